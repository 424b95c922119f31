"""Energies, largest cosines, and the bounds of the losses that the paper stands beside."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from simplexlab.geometry import orthogonal_frame, regular_simplex
from simplexlab.theory import (
    alignment_uniformity_bound,
    collapse_threshold,
    least_energy,
    least_largest_cosine,
    n_pairs_bound,
    prototypes_floor,
    soft_nearest_neighbour_floor,
    triplet_bound,
)


def units_of(free, dimension):
    points = free.reshape(-1, dimension)
    return points / np.linalg.norm(points, axis=1, keepdims=True)


def energy(units, power):
    distances = np.linalg.norm(units[:, None] - units[None], axis=2)[np.triu_indices(len(units), 1)]
    return np.mean(-np.log(distances) if power == 0 else distances**-power)


def energy_and_gradient(free, dimension, power):
    lengths = np.linalg.norm(free.reshape(-1, dimension), axis=1, keepdims=True)
    units = units_of(free, dimension)
    offsets = units[:, None] - units[None]
    squares = np.sum(offsets**2, axis=2) + np.eye(len(units))
    forces = -(squares**-1 if power == 0 else power * squares ** (-power / 2 - 1)) * (1 - np.eye(len(units)))
    gradient = np.sum(forces[:, :, None] * offsets, axis=1) / (len(units) * (len(units) - 1) / 2)
    gradient -= np.sum(gradient * units, axis=1, keepdims=True) * units
    return energy(units, power), (gradient / lengths).ravel()


@pytest.mark.parametrize("power", [0, 1, 2])
@pytest.mark.parametrize(("num_classes", "dimension"), [(4, 3), (10, 9), (6, 3), (5, 2), (7, 3), (12, 3), (10, 5)])
def test_no_configuration_has_less_energy(num_classes, dimension, power):
    found = least_energy(num_classes, dimension, power)
    generator = np.random.default_rng(0)
    starts = generator.standard_normal((3, num_classes * dimension))
    options = {"method": "L-BFGS-B", "jac": True, "args": (dimension, power), "options": {"gtol": 1e-8}}
    best = min(minimize(energy_and_gradient, start, **options).fun for start in starts)
    assert best >= found.bound - 1e-6
    if found.attained is not None:
        assert found.attained == found.bound
    if (num_classes, dimension) in {(4, 3), (10, 9), (6, 3), (5, 2), (12, 3), (10, 5)}:
        assert best == pytest.approx(found.bound, rel=1e-4)


def test_known_energies():
    assert least_energy(10, 9).bound == pytest.approx((20 / 9) ** -1)
    assert least_energy(10, 5, 1).bound == pytest.approx((8 * 2**-0.5 + 0.5) / 9)
    golden = (1 + math.sqrt(5)) / 2
    icosahedron = np.array([[0, a, b * golden] for a in (1, -1) for b in (1, -1)])
    icosahedron = np.concatenate([np.roll(icosahedron, turn, axis=1) for turn in range(3)])
    for power in (0, 1, 2):
        expected = energy(units_of(icosahedron, 3), power)
        assert least_energy(12, 3, power).bound == pytest.approx(expected, abs=1e-6)
        assert least_energy(12, 3, power).bound <= expected


@pytest.mark.parametrize(
    ("num_classes", "dimension", "cosine"),
    [
        (10, 9, -1 / 9),
        (10, 512, -1 / 9),
        (8, 2, math.cos(math.pi / 4)),
        (6, 3, 0),
        (5, 3, 0),
        (7, 3, 0.21014),
        (12, 3, 0.44721),
    ],
)
def test_largest_cosines(num_classes, dimension, cosine):
    found = least_largest_cosine(num_classes, dimension)
    assert found.bound == pytest.approx(cosine, abs=1e-5)
    assert found.attained == found.bound
    assert least_largest_cosine(50, 5).attained is None


def alignment_uniformity(points, labels, weight, scale):
    squares = np.sum((points[:, None] - points[None]) ** 2, axis=2)
    pairs = np.triu_indices(len(points), 1)
    same = labels[pairs[0]] == labels[pairs[1]]
    return weight * squares[pairs][same].mean() + np.log(np.mean(np.exp(-scale * squares[pairs])))


@pytest.mark.parametrize("weight", [0.0, 0.3, 0.7, 3.0])
def test_free_points_reach_alignment_and_uniformity(weight):
    labels = np.repeat(np.arange(3), 3)
    bound, within = alignment_uniformity_bound(3, 3, weight)

    def loss(free):
        return alignment_uniformity(units_of(free, 8), labels, weight, 2.0)

    found = minimize(loss, np.random.default_rng(0).standard_normal(72), method="L-BFGS-B", options={"maxfun": 10**5})
    assert found.fun >= bound - 1e-12
    assert found.fun == pytest.approx(bound, abs=1e-5)
    assert (within == 1) == (weight >= collapse_threshold(3, 3))


def test_cifar10_does_not_collapse_and_cifar100_does():
    assert collapse_threshold(10, 5000) == pytest.approx(1.788, abs=1e-3)
    assert collapse_threshold(100, 500) == pytest.approx(0.716, abs=1e-3)
    assert alignment_uniformity_bound(10, 5000, 1.0)[1] < 1
    bound, within = alignment_uniformity_bound(100, 500, 1.0)
    share = 499 / 49_999
    assert within == 1
    assert bound == pytest.approx(math.log(share + (1 - share) * math.exp(-400 / 99)))


@settings(deadline=None, max_examples=60)
@given(
    num_classes=st.integers(2, 6),
    near=st.sampled_from([0.01, 0.3, 10.0]),
    nonnegative=st.booleans(),
    size=st.floats(0.2, 3),
    seed=st.integers(0, 2**32 - 1),
)
def test_no_configuration_is_below_its_bound(num_classes, near, nonnegative, size, seed):
    generator = np.random.default_rng(seed)
    features = "nonnegative" if nonnegative else "free"
    best = orthogonal_frame(num_classes, 7) if nonnegative else regular_simplex(num_classes, 7)
    labels = np.tile(np.arange(num_classes), 2)
    points = best[labels] + near * generator.standard_normal((len(labels), 7))
    points = units_of(np.abs(points) if nonnegative else points, 7)
    inner = points @ points.T
    first, second = inner[:num_classes, num_classes:], 2 - 2 * inner
    pairs = np.logaddexp.reduce(size**2 * (first - np.diag(first)[:, None]), axis=1).mean()
    assert pairs >= n_pairs_bound(num_classes, num_classes, size, features=features) - 1e-12

    own = np.diag(second[:num_classes, num_classes:])
    others = ~np.eye(num_classes, dtype=bool)
    triplets = np.maximum(own[:, None] - second[:num_classes, :num_classes] + size, 0)[others].mean()
    assert triplets >= triplet_bound(num_classes, size, features=features) - 1e-12

    assert (
        alignment_uniformity(points, labels, size, 2.0) >= alignment_uniformity_bound(num_classes, 2, size)[0] - 1e-12
    )


@pytest.mark.parametrize("features", ["free", "nonnegative"])
def test_soft_nearest_neighbours(features):
    temperature, p = 0.7, np.full(4, 0.25)
    floor = soft_nearest_neighbour_floor(p, 16, temperature, features=features)
    assert floor.is_exact
    generator = np.random.default_rng(0)
    losses = []
    for labels in generator.integers(0, 4, (4_000, 16)):
        l = np.bincount(labels, minlength=4)  # noqa: E741
        distance = 8 / 3 if features == "free" else 2.0
        use = l > 1
        losses.append(np.sum(l[use] * np.log1p((16 - l[use]) / (l[use] - 1) * math.exp(-distance / temperature))))
    assert np.mean(losses) == pytest.approx(floor.value, abs=5 * np.std(losses) / math.sqrt(4_000))
    unequal = soft_nearest_neighbour_floor([0.7, 0.2, 0.1], 16, temperature)
    assert unequal.is_exact
    np.testing.assert_allclose(np.linalg.norm(unequal.points, axis=1), 1)


def test_prototypes_under_a_relu():
    simplex = regular_simplex(5, 6) @ np.linalg.qr(np.random.default_rng(0).standard_normal((6, 6)))[0]
    assert prototypes_floor(simplex) == 0
    expected = 0.0
    for prototype in simplex:
        found = minimize(
            lambda free, p=prototype: (1 - free**2 @ p / np.linalg.norm(free**2)) ** 2, np.ones(6), method="BFGS"
        )
        expected += found.fun / 5
    assert prototypes_floor(simplex, features="nonnegative") == pytest.approx(expected, abs=1e-6)
    with pytest.raises(ValueError, match="unit vectors"):
        prototypes_floor(2 * simplex)


def test_refuses():
    with pytest.raises(ValueError, match="power must be 0, 1 or 2"):
        least_energy(4, 3, 3)
    with pytest.raises(ValueError, match="dimension of at least 2"):
        least_energy(4, 1)
    with pytest.raises(ValueError, match="at most the 4 classes"):
        n_pairs_bound(4, 5, 1.0)
    with pytest.raises(ValueError, match="samples per class must be at least 2"):
        collapse_threshold(4, 1)
    with pytest.raises(ValueError, match="margin must be at least 0"):
        triplet_bound(4, -1.0)
