"""The certified floor of cross-entropy and of other losses of the logits, for any class counts and dimension."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from simplexlab.theory import (
    CrossEntropy,
    SmoothedCrossEntropy,
    SquaredError,
    ce_bound_frobenius,
    ce_floor,
    ce_loss,
    minimiser,
)

COUNTS = [[50, 40, 30, 20, 10], [1, 1], [1, 30], [7, 7, 7, 1], [1000, 10, 1], [3, 1, 4, 1, 5, 9, 2]]


def geometric(num_classes, ratio):
    return np.rint(np.geomspace(1000, 1000 * ratio, num_classes)).astype(int)


@pytest.mark.parametrize("features", ["free", "nonnegative"])
@pytest.mark.parametrize(("num_classes", "radius", "norm"), [(2, 1.0, 3.0), (10, 3.0, 6.0), (100, 5.0, 20.0)])
def test_balanced_labels_give_theorem_1(num_classes, radius, norm, features):
    floor = ce_floor(np.full(num_classes, 7), radius, norm, features=features)
    assert floor.value == ce_bound_frobenius(num_classes, radius, norm, features=features)
    assert floor.certificate == floor.value
    assert floor.is_exact
    assert value_of(floor, np.full(num_classes, 7)) == pytest.approx(floor.value, rel=1e-12)


@pytest.mark.parametrize("features", ["free", "nonnegative"])
def test_the_program_finds_theorem_1(features):
    class Plain(CrossEntropy):
        """Cross-entropy that the closed form does not know."""

    floor = ce_floor([5] * 6, 2.0, 4.0, features=features, loss=Plain())
    assert floor.value == pytest.approx(ce_bound_frobenius(6, 2.0, 4.0, features=features), rel=1e-9)
    assert floor.is_exact


def value_of(floor, counts):
    labels = np.repeat(np.arange(len(counts)), counts)
    return ce_loss(floor.points[labels], labels, floor.weights)


@pytest.mark.parametrize("features", ["free", "nonnegative"])
@pytest.mark.parametrize("counts", COUNTS)
@pytest.mark.parametrize(("radius", "norm"), [(0.3, 0.5), (2.0, 4.0), (5.0, 30.0)])
def test_unequal_classes_are_certified_and_attained(counts, radius, norm, features):
    floor = ce_floor(counts, radius, norm, features=features)
    assert floor.converged
    assert floor.is_exact
    assert floor.certificate <= floor.value
    assert floor.gap <= 1e-6 * floor.value
    assert value_of(floor, counts) == pytest.approx(floor.value, rel=1e-9)
    assert np.linalg.norm(floor.weights) <= norm * (1 + 1e-12)
    assert np.linalg.norm(floor.points, axis=1).max() <= radius * (1 + 1e-12)
    if features == "nonnegative":
        assert floor.points.min() >= 0
        assert floor.certificate >= ce_floor(counts, radius, norm).certificate


@pytest.mark.parametrize(("ratio", "expected"), [(10, 0.0129038), (100, 0.0076117)])
def test_known_values_beside_theorem_1(ratio, expected):
    counts = np.rint(np.geomspace(1e5, 1e5 * ratio, 10)).astype(int)
    floor = ce_floor(counts, 3.0, 6.0)
    assert floor.value == pytest.approx(expected, abs=6e-8)
    assert ce_bound_frobenius(10, 3.0, 6.0) == pytest.approx(0.0159972, abs=6e-8)  # above it: no bound here


def test_minorities_merge_beyond_a_ratio():
    cosines = []
    for ratio in (1, 3, 3000):
        points = ce_floor([ratio, ratio, 1, 1], 1.0, 2.0).points
        cosines.append(points[2] @ points[3])
    assert cosines[0] == pytest.approx(-1 / 3)
    assert cosines[0] < cosines[1] <= cosines[2] + 1e-9
    assert cosines[2] > 0.99


@settings(deadline=None, max_examples=60)
@given(
    counts=st.lists(st.integers(1, 60), min_size=2, max_size=6),
    radius=st.floats(0.05, 6),
    norm=st.floats(0.05, 12),
    near=st.sampled_from([1e-3, 0.1, 3.0]),
    nonnegative=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_no_configuration_is_below_the_certificate(counts, radius, norm, near, nonnegative, seed):
    features = "nonnegative" if nonnegative else "free"
    floor = ce_floor(counts, radius, norm, features=features)
    generator = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(counts)), counts)
    dimension = floor.points.shape[1] + 2
    wider = [(0, 0), (0, 2)]
    points = np.pad(floor.points, wider)[labels] + near * radius * generator.standard_normal((len(labels), dimension))
    points = np.abs(points) if nonnegative else points
    points *= radius / np.maximum(np.linalg.norm(points, axis=1, keepdims=True), radius)
    weights = np.pad(floor.weights, wider) + near * norm * generator.standard_normal((len(counts), dimension))
    weights *= norm / np.linalg.norm(weights)
    assert ce_loss(points, labels, weights) >= floor.certificate * (1 - 1e-12)


@settings(deadline=None, max_examples=25)
@given(
    counts=st.lists(st.integers(1, 200), min_size=3, max_size=7), radius=st.floats(0.2, 4), norm=st.floats(0.2, 8),
    seed=st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_a_permutation_changes_nothing_and_merging_never_helps(counts, radius, norm, seed):
    floor = ce_floor(counts, radius, norm)
    order = np.random.default_rng(seed).permutation(len(counts))
    turned = ce_floor(np.array(counts)[order], radius, norm)
    assert turned.value == pytest.approx(floor.value, rel=1e-7)
    np.testing.assert_allclose(
        turned.points @ turned.points.T, (floor.points @ floor.points.T)[np.ix_(order, order)], atol=0.1 * radius**2
    )
    labels = np.repeat(np.arange(len(counts)), counts)
    merged = floor.points.copy()
    merged[order[0]] = merged[order[1]]
    assert ce_loss(merged[labels], labels, floor.weights) >= floor.certificate * (1 - 1e-12)


@pytest.mark.parametrize("counts", [(6, 2, 1), (5, 1, 1, 1)])
def test_points_of_their_own_without_collapse_end_at_the_floor(counts):
    """All N points and W free: scipy's minimiser, its own derivatives of the loss, another start."""
    radius, norm = 1.5, 3.0
    labels = np.repeat(np.arange(len(counts)), counts)
    dimension = len(counts) + 1

    def configuration(free):
        points, weights = np.split(free.reshape(-1, dimension), [len(labels)])
        points = radius * points / np.maximum(np.linalg.norm(points, axis=1, keepdims=True), radius)
        return points, weights * (norm / max(np.linalg.norm(weights), norm))

    def loss(free):
        points, weights = configuration(free)
        return ce_loss(points, labels, weights)

    start = np.random.default_rng(1).standard_normal((len(labels) + len(counts)) * dimension)
    found = minimize(loss, start, method="L-BFGS-B", options={"maxfun": 10**6, "maxiter": 2000, "ftol": 1e-13})
    floor = ce_floor(counts, radius, norm)
    assert floor.certificate <= found.fun
    assert found.fun == pytest.approx(floor.value, rel=1e-4)


def test_label_smoothing_with_balanced_labels_is_its_formula():
    num_classes, smoothing = 5, 0.1
    for radius, norm in ((1.0, 2.0), (4.0, 20.0)):
        margin = min(
            radius * math.sqrt(num_classes) / (num_classes - 1) * norm,
            math.log(num_classes / smoothing - num_classes + 1),
        )
        expected = (
            math.log1p((num_classes - 1) * math.exp(-margin)) + smoothing * (num_classes - 1) * margin / num_classes
        )
        floor = ce_floor([9] * num_classes, radius, norm, loss=SmoothedCrossEntropy(smoothing))
        assert floor.is_exact
        assert floor.value == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize("features", ["free", "nonnegative"])
@pytest.mark.parametrize("loss", [SmoothedCrossEntropy(0.2), SquaredError()])
def test_other_losses_are_certified(loss, features):
    for counts in ([5, 3, 1], [20, 10, 5, 1]):
        floor = ce_floor(counts, 0.9, 1.2, loss=loss, features=features)
        assert floor.is_exact
        value, _ = loss.value_and_gradient(floor.weights @ floor.points.T, np.array(counts) / sum(counts))
        assert value == pytest.approx(floor.value, rel=1e-9)


def test_a_loss_of_ones_own_has_a_certified_floor():
    class SquaredHinge:
        def value_and_gradient(self, logits, shares):
            missing = np.maximum(1 + logits - np.diag(logits), 0)
            np.fill_diagonal(missing, 0)
            gradient = 2 * missing
            np.fill_diagonal(gradient, -gradient.sum(axis=0))
            return float(shares @ (missing**2).sum(axis=0)), gradient * shares

    floor = ce_floor([8, 2, 1], 0.5, 1.0, loss=SquaredHinge())
    assert floor.is_exact
    assert floor.value < floor.collapsed


@pytest.mark.parametrize("loss", [CrossEntropy(), SmoothedCrossEntropy(0.3), SquaredError()])
def test_gradients_equal_finite_differences(loss):
    generator = np.random.default_rng(0)
    logits, shares = generator.standard_normal((4, 4)), generator.dirichlet(np.ones(4))
    _, gradient = loss.value_and_gradient(logits, shares)
    for index in np.ndindex(4, 4):
        moved = np.zeros((4, 4))
        moved[index] = 1e-6
        rise = loss.value_and_gradient(logits + moved, shares)[0] - loss.value_and_gradient(logits - moved, shares)[0]
        assert gradient[index] == pytest.approx(rise / 2e-6, abs=1e-8)


def test_a_later_solve_starts_from_an_earlier_one():
    counts = geometric(20, 10)
    first = ce_floor(counts, 3.0, 9.0)
    again = ce_floor(counts, 3.1, 9.2, start=first)
    assert again.is_exact
    assert again.value == pytest.approx(ce_floor(counts, 3.1, 9.2).value, rel=1e-7)
    assert ce_floor(counts[:5], 3.1, 9.2, start=first).is_exact  # of another size: ignored


@pytest.mark.parametrize(
    ("num_classes", "dimension", "origin"),
    [(7, 2, "regular polygon"), (8, 4, "cross-polytope"), (7, 4, "3 simplices in orthogonal spaces")],
)
def test_more_classes_than_dimensions_have_a_floor_and_a_best_known_value(num_classes, dimension, origin):
    floor = ce_floor([4] * num_classes, 1.0, 5.0, dimension=dimension)
    assert floor.value == ce_bound_frobenius(num_classes, 1.0, 5.0)
    assert floor.best_known > floor.value
    assert not floor.is_exact
    assert floor.origin == origin
    assert floor.points.shape == floor.weights.shape == (num_classes, dimension)
    assert value_of(floor, [4] * num_classes) == pytest.approx(floor.best_known, rel=1e-9)


def test_a_search_says_how_many_starts():
    floor = ce_floor([9, 5, 3, 2, 2, 1], 1.0, 5.0, dimension=3)
    assert floor.origin == "best of 9 starts"
    assert floor.certificate <= floor.value < floor.best_known
    again = ce_floor([9, 5, 3, 2, 2, 1], 1.0, 5.0, dimension=3, start=floor)
    assert again.best_known == pytest.approx(floor.best_known, rel=1e-9)


def test_enough_dimensions_are_enough():
    assert ce_floor([9, 5, 3], 1.0, 5.0, dimension=2).is_exact
    assert ce_floor([9, 5, 3], 1.0, 5.0, dimension=512).is_exact
    assert not ce_floor([9, 5, 3], 1.0, 5.0, dimension=2, features="nonnegative").is_exact


def test_extreme_norms():
    for radius, norm in ((0.0, 1.0), (1.0, 0.0), (1e-9, 1e-9)):
        floor = ce_floor([5, 3, 1], radius, norm)
        assert floor.value == pytest.approx(math.log(3))
        assert floor.certificate == pytest.approx(math.log(3))
    tiny = ce_floor([5, 3, 1], 10.0, 55.0)
    assert 0 < tiny.certificate <= tiny.value < 1e-200
    assert tiny.gap <= 1e-6 * tiny.value
    vanished = ce_floor([5, 3, 1], 1e6, 1e6)
    assert vanished.certificate == vanished.value == 0


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ([3, 0, 2], "count of class 2 must be at least 1, got 0"),
        ([3, -1], "count of class 2 must be at least 1, got -1"),
        ([3], "number of classes must be at least 2, got 1"),
        ([2.5, 1], "must be a whole number, got 2.5"),
        ([[3, 2]], "one number for each class"),
        (np.ones(10_001, dtype=int), "at most 10000, got 10001"),
        (np.arange(1, 5001), "5000 classes make a program of 5.0e.07 unknowns"),
    ],
)
def test_refuses_counts(counts, message):
    with pytest.raises(ValueError, match=message):
        ce_floor(counts, 1.0, 1.0)


def test_refuses_other_arguments():
    with pytest.raises(ValueError, match="radius must be at least 0"):
        ce_floor([1, 2], -1.0, 1.0)
    with pytest.raises(ValueError, match="dimension must be at least 1"):
        ce_floor([1, 2], 1.0, 1.0, dimension=0)
    with pytest.raises(ValueError, match="features must be one of"):
        ce_floor([1, 2], 1.0, 1.0, features="relu")
    with pytest.raises(ValueError, match="smoothing must be at least 0 and less than 1"):
        SmoothedCrossEntropy(1.0)


@pytest.mark.parametrize("features", ["free", "nonnegative"])
def test_classes_of_very_unequal_size_are_certified_too(features):
    generator = np.random.default_rng(7)
    for num_classes in (3, 8, 12):
        counts = np.rint(10 ** generator.uniform(0, 5, num_classes)).astype(int)
        for loss in (None, SmoothedCrossEntropy(0.1)):
            assert ce_floor(counts, 1.3, 2.5, features=features, loss=loss).is_exact


def test_a_minimiser_that_does_not_converge_says_so(monkeypatch):
    monkeypatch.setattr(minimiser, "STEPS", 3)
    floor = ce_floor([90, 30, 10, 1], 2.0, 4.0)
    assert not floor.converged
    assert not floor.is_exact
    assert floor.certificate < ce_floor([90, 30, 10, 1], 2.0, 4.0, start=floor).value <= floor.value
