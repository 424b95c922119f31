"""The floor of cross-entropy under a fixed classifier: primal equals dual, whatever rows, targets and features."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from simplexlab.geometry import regular_simplex
from simplexlab.theory import ce_bound_frobenius, fixed_head_floor


def loss_at(points, weights, targets):
    scores = points @ weights.T
    return np.logaddexp.reduce(scores, axis=1) - np.sum(targets * scores, axis=1)


def rotated_simplex(num_classes, dimension, radius, seed=0):
    rotation = np.linalg.qr(np.random.default_rng(seed).standard_normal((dimension, dimension)))[0]
    return regular_simplex(num_classes, dimension, radius) @ rotation


@pytest.mark.parametrize(
    ("num_classes", "dimension", "radius"), [(2, 3, 1.0), (10, 512, 3.0), (40, 128, 5.0), (10, 9, 40.0)]
)
def test_a_simplex_head_gives_theorem_1_for_free_features(num_classes, dimension, radius):
    weights = rotated_simplex(num_classes, dimension, 1.0)
    floor = fixed_head_floor(weights, radius)
    expected = ce_bound_frobenius(num_classes, radius, np.linalg.norm(weights))
    assert floor.value == pytest.approx(expected, rel=1e-9)
    assert floor.is_exact
    np.testing.assert_allclose(floor.points, radius * weights, atol=1e-4 * radius)


def test_orthonormal_rows_are_a_simplex_of_smaller_radius():
    num_classes, radius, norm = 7, 2.0, 1.5
    rotation = np.linalg.qr(np.random.default_rng(0).standard_normal((20, 20)))[0][:num_classes] * norm
    expected = math.log1p((num_classes - 1) * math.exp(-radius * norm * math.sqrt(num_classes / (num_classes - 1))))
    assert fixed_head_floor(rotation, radius).value == pytest.approx(expected, rel=1e-9)
    frame = norm * np.eye(num_classes, 20)
    expected = math.log1p((num_classes - 1) * math.exp(-radius * norm))
    assert fixed_head_floor(frame, radius, features="nonnegative").value == pytest.approx(expected, rel=1e-9)


def test_a_relu_costs_a_rotated_simplex_head_much_and_an_aligned_one_only_the_frame():
    rotated = fixed_head_floor(rotated_simplex(10, 512, 1.0), 3.0, features="nonnegative")
    assert rotated.is_exact
    assert 0.60 < rotated.value < 0.64  # 0.619 for one rotation
    aligned = math.sqrt(10 / 9) * (np.eye(10, 512) - np.eye(1, 512).repeat(10, axis=0) * 0)
    aligned[:, :10] -= math.sqrt(10 / 9) / 10
    floor = fixed_head_floor(aligned, 3.0, features="nonnegative")
    assert floor.value == pytest.approx(0.32278, abs=6e-6)
    assert floor.value == pytest.approx(ce_bound_frobenius(10, 3.0, math.sqrt(10), features="nonnegative"), rel=1e-9)


@pytest.mark.parametrize("nonnegative", [False, True])
@pytest.mark.parametrize(("num_classes", "dimension"), [(3, 2), (6, 2), (10, 4), (5, 16)])
@pytest.mark.parametrize("soft", [False, True])
def test_equals_a_minimiser_of_its_own(num_classes, dimension, nonnegative, soft):
    """scipy's SLSQP on the primal, with the ball and the orthant as constraints."""
    generator = np.random.default_rng(num_classes)
    weights = generator.standard_normal((num_classes, dimension))
    targets = generator.dirichlet(np.ones(num_classes), num_classes) if soft else np.eye(num_classes)
    floor = fixed_head_floor(weights, 2.0, targets, features="nonnegative" if nonnegative else "free")
    assert floor.is_exact
    found = [
        minimize(
            lambda z, target=target: loss_at(z[None], weights, target[None])[0],
            np.full(dimension, 0.1),
            method="SLSQP",
            bounds=[(0, None)] * dimension if nonnegative else None,
            constraints={"type": "ineq", "fun": lambda z: 4 - z @ z},
            options={"ftol": 1e-12, "maxiter": 500},
        ).fun
        for target in targets
    ]
    assert np.mean(found) == pytest.approx(floor.value, rel=1e-6)


@settings(deadline=None, max_examples=60)
@given(
    num_classes=st.integers(2, 6),
    dimension=st.integers(1, 7),
    size=st.floats(0.05, 4),
    radius=st.floats(0.01, 8),
    nonnegative=st.booleans(),
    soft=st.booleans(),
    near=st.sampled_from([0.001, 0.1, 3.0]),
    seed=st.integers(0, 2**32 - 1),
)
def test_no_point_is_below_the_certificate(num_classes, dimension, size, radius, nonnegative, soft, near, seed):
    generator = np.random.default_rng(seed)
    weights = size * generator.standard_normal((num_classes, dimension))
    targets = generator.dirichlet(np.full(num_classes, 0.3), 4) if soft else np.eye(num_classes)
    frequencies = generator.dirichlet(np.ones(len(targets))) * 0.99 + 0.01 / len(targets)
    floor = fixed_head_floor(weights, radius, targets, frequencies, features="nonnegative" if nonnegative else "free")
    assert floor.is_exact
    assert frequencies @ loss_at(floor.points, weights, targets) == pytest.approx(floor.value, rel=1e-9, abs=1e-14)
    points = floor.points + near * radius * generator.standard_normal(floor.points.shape)
    points = np.abs(points) if nonnegative else points
    points *= radius / np.maximum(np.linalg.norm(points, axis=1, keepdims=True), radius)
    assert frequencies @ loss_at(points, weights, targets) >= floor.certificate * (1 - 1e-12) - 1e-14
    order = generator.permutation(num_classes)
    turned = fixed_head_floor(
        weights[order], radius, targets[:, order], frequencies, features="nonnegative" if nonnegative else "free"
    )
    assert turned.value == pytest.approx(floor.value, rel=1e-6)


def test_soft_targets_within_reach_cost_their_entropy():
    targets = 0.9 * np.eye(10) + 0.01
    entropy = -(0.91 * math.log(0.91) + 0.09 * math.log(0.01))
    for features in ("free", "nonnegative"):
        floor = fixed_head_floor(rotated_simplex(10, 64, 1.0), 50.0, targets, features=features)
        assert floor.is_exact
        assert floor.value == pytest.approx(entropy, rel=1e-6)


def test_frequencies_weigh_the_targets():
    weights = np.random.default_rng(5).standard_normal((3, 2))
    alone = [fixed_head_floor(weights, 1.0, np.eye(3)[[y]]).value for y in range(3)]
    floor = fixed_head_floor(weights, 1.0, class_probabilities=[0.7, 0.2, 0.1])
    assert floor.value == pytest.approx(np.dot([0.7, 0.2, 0.1], alone), rel=1e-9)


@pytest.mark.parametrize("features", ["free", "nonnegative"])
def test_a_later_solve_starts_from_an_earlier_one(features):
    weights = rotated_simplex(10, 64, 1.0)
    first = fixed_head_floor(weights, 3.0, features=features)
    again = fixed_head_floor(weights, 3.3, features=features, start=first)
    assert again.is_exact
    assert again.value == pytest.approx(fixed_head_floor(weights, 3.3, features=features).value, rel=1e-8)


def test_extremes():
    weights = rotated_simplex(4, 8, 1.0)
    assert fixed_head_floor(weights, 0.0).value == pytest.approx(math.log(4))
    assert fixed_head_floor(0 * weights, 5.0).value == pytest.approx(math.log(4))
    tiny = fixed_head_floor(weights, 400.0)
    assert 0 < tiny.certificate <= tiny.value < 1e-200
    assert tiny.is_exact


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.ones((1, 3)), 1.0), "number of classes must be at least 2"),
        ((np.full((2, 3), np.nan), 1.0), "weights must be finite"),
        ((np.ones(3), 1.0), "weights must be a matrix"),
        ((np.eye(2), -1.0), "radius must be at least 0"),
        ((np.eye(2), 1.0, np.ones((2, 3)) / 3), r"targets must have shape \(T, 2\)"),
        ((np.eye(2), 1.0, np.ones((2, 2))), "must be a distribution"),
        ((np.eye(2), 1.0, None, [0.5, 0.2, 0.3]), "2 targets need as many probabilities, got 3"),
    ],
)
def test_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        fixed_head_floor(*arguments)
