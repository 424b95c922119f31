"""Closed forms of smoothed cross-entropy and squared error against the convex program, free points, and each other."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from simplexlab import theory
from simplexlab.theory import SmoothedCrossEntropy, SquaredError
from simplexlab.theory.logit_floors import _of_rank

FEATURES = ("free", "nonnegative")
COUNTS = ((5, 5, 5, 5), (9, 4, 2, 1), (6, 3, 1))


def value_at(loss, floor, counts):
    """The loss of the configuration of a floor."""
    return loss.value_and_gradient(floor.weights @ floor.points.T, np.array(counts) / sum(counts))[0]


def check_configuration(loss, floor, counts, radius, norm, features):
    reached = floor.value if floor.best_known is None else floor.best_known
    assert value_at(loss, floor, counts) == pytest.approx(reached, abs=1e-12)
    assert np.linalg.norm(floor.weights) <= norm * (1 + 1e-12)
    assert np.linalg.norm(floor.points, axis=1).max() <= radius * (1 + 1e-12)
    assert features == "free" or floor.points.min() >= 0


@pytest.mark.parametrize("features", FEATURES)
@pytest.mark.parametrize("counts", COUNTS)
@pytest.mark.parametrize("norm", [0.4, 1.5, 4.0, 20.0])
def test_the_closed_forms_are_the_convex_program(counts, norm, features):
    shape = {"dimension": len(counts), "features": features}
    floor = theory.mse_floor(counts, 1.3, norm, **shape)
    program = theory.ce_floor(counts, 1.3, norm, loss=SquaredError(), **shape)
    assert floor.value == pytest.approx(program.value, abs=1e-7)
    assert floor.is_exact
    check_configuration(SquaredError(), floor, counts, 1.3, norm, features)
    for smoothing in (0.1, 0.6):
        floor = theory.smoothed_ce_floor(counts, 1.3, norm, smoothing, **shape)
        program = theory.ce_floor(counts, 1.3, norm, loss=SmoothedCrossEntropy(smoothing), **shape)
        assert floor.value == pytest.approx(program.value, rel=1e-7)
        assert floor.is_exact
        check_configuration(SmoothedCrossEntropy(smoothing), floor, counts, 1.3, norm, features)


def test_smoothed_labels_by_the_formula():
    classes, radius, row, smoothing = 5, 1.2, 0.8, 0.15
    for radius in (1.2, 30.0):
        margin = min(classes * radius * row / (classes - 1), math.log(classes / smoothing - classes + 1))
        wanted = math.log(1 + (classes - 1) * math.exp(-margin)) + smoothing * (classes - 1) * margin / classes
        found = theory.smoothed_ce_floor([3] * classes, radius, row * math.sqrt(classes), smoothing)
        assert found.value == pytest.approx(wanted, rel=1e-12)
    targets = np.full(classes, smoothing / classes) + (1 - smoothing) * np.eye(classes)[0]
    assert found.value == pytest.approx(-np.sum(targets * np.log(targets)), rel=1e-12)
    assert theory.smoothed_ce_floor([3, 1], 1.0, 2.0, 0.0).value == theory.ce_floor([3, 1], 1.0, 2.0).value


@pytest.mark.parametrize("dimension", [1, 2, 3])
def test_squared_error_in_few_dimensions_is_that_of_the_penalised_problem_without_a_penalty(dimension):
    """With norms that are large enough it is what the best approximation of that rank leaves of the labels."""
    for counts in COUNTS:
        floor = theory.mse_floor(counts, 10.0, 10.0, dimension=dimension)
        wanted = sum(sorted(counts)[: max(0, len(counts) - dimension)]) / sum(counts) / 2
        assert floor.value == pytest.approx(wanted, abs=1e-12)
        assert floor.is_exact
        check_configuration(SquaredError(), floor, counts, 10.0, 10.0, "free")


@settings(deadline=None, max_examples=60)
@given(
    counts=st.sampled_from([*COUNTS, (2,) * 6]),
    dimension=st.integers(1, 7),
    norm=st.floats(0.05, 6.0),
    features=st.sampled_from(FEATURES),
    near=st.sampled_from([0.01, 0.3, 10.0]),
    seed=st.integers(0, 2**32 - 1),
)
def test_nothing_is_below(counts, dimension, norm, features, near, seed):
    """Points in the ball and classifiers of that norm, far from the optimum or near it."""
    generator = np.random.default_rng(seed)
    shares = np.array(counts) / sum(counts)
    for loss, floor in (
        (SquaredError(), theory.mse_floor(counts, 1.3, norm, dimension=dimension, features=features)),
        (SmoothedCrossEntropy(0.2), theory.smoothed_ce_floor(counts, 1.3, norm, 0.2, features=features)),
    ):
        points, rows = floor.points, floor.weights
        points = points + near * generator.standard_normal(points.shape)
        points = np.abs(points) if features == "nonnegative" else points
        points *= 1.3 / np.maximum(1.3, np.linalg.norm(points, axis=1, keepdims=True))
        rows = rows + near * generator.standard_normal(rows.shape)
        rows *= norm / max(norm, np.linalg.norm(rows))
        assert loss.value_and_gradient(rows @ points.T, shares)[0] >= floor.certificate - 1e-12


@pytest.mark.parametrize(
    ("counts", "dimension", "norm"),
    [((2, 2, 2), 2, 1.0), ((2, 2, 2, 2), 3, 1.1), ((1,) * 5, 3, 9.0), ((4, 3, 1), 3, 0.7)],
)
def test_free_points_reach_the_floor_of_squared_error(counts, dimension, norm):
    """Minimised apart, from several starts, with points that need not collapse."""
    labels = np.repeat(np.arange(len(counts)), counts)
    size = len(labels) * (dimension + 1)

    def ball(free, shape, radius):
        free = free.reshape(shape) if len(shape) == 2 else free
        return radius * free[..., :-1] / np.linalg.norm(free, axis=-1, keepdims=True)

    def loss(free):
        points = ball(free[:size], (len(labels), dimension + 1), 1.0)
        rows = ball(free[size:], (len(counts) * dimension + 1,), norm).reshape(len(counts), dimension)
        return np.mean(np.sum((points @ rows.T - np.eye(len(counts))[labels]) ** 2, axis=1)) / 2

    starts = np.random.default_rng(0).normal(size=(3, size + len(counts) * dimension + 1))
    reached = [
        minimize(loss, start, method="L-BFGS-B", options={"maxfun": 40_000, "ftol": 1e-14}).fun for start in starts
    ]
    floor = theory.mse_floor(counts, 1.0, norm, dimension=dimension)
    assert floor.is_exact
    assert min(reached) == pytest.approx(floor.value, abs=1e-6)
    assert min(reached) >= floor.certificate - 1e-10


@pytest.mark.parametrize("limit", [0.2, 0.5, 1.2, 3.0])
def test_the_nearest_matrix_of_some_rank_and_nuclear_norm(limit):
    """Against a general minimiser over its singular values; the smallest ones are 0 where the limit is tight."""
    shares, rank = np.array([1, 9, 4, 1]) / 15, 3
    kept = np.sqrt(np.sort(shares)[::-1])[:rank]
    found = minimize(
        lambda sizes: np.sum((kept - sizes) ** 2) / 2,
        np.full(rank, limit / rank / 2),
        bounds=[(0, None)] * rank,
        constraints={"type": "ineq", "fun": lambda sizes: limit - sizes.sum()},
        method="SLSQP",
        options={"ftol": 1e-14},
    )
    assert _of_rank(shares, limit, rank) == pytest.approx(found.fun + np.sort(shares)[0] / 2, abs=1e-8)


def test_a_bound_that_is_not_known_to_be_reached_says_so():
    floor = theory.mse_floor((9, 4, 1), 1.0, 0.5, dimension=2)
    assert floor.best_known > floor.value
    assert not floor.is_exact
    check_configuration(SquaredError(), floor, (9, 4, 1), 1.0, 0.5, "free")


@pytest.mark.parametrize(
    "kind", [lambda *given: theory.mse_floor(*given), lambda *g: theory.smoothed_ce_floor(*g, 0.1)]
)
def test_bad_input_is_told(kind):
    with pytest.raises(ValueError, match="radius"):
        kind([1, 1], -1.0, 1.0)
    with pytest.raises(ValueError, match="class"):
        kind([1], 1.0, 1.0)
    assert kind([2, 1], 0.0, 1.0).value == kind([2, 1], 1.0, 0.0).value


def other_angles(floor, points):
    """Largest difference between the cosines of some points and those of a floor."""
    grams = [rows @ rows.T / np.outer(*[np.linalg.norm(rows, axis=1)] * 2) for rows in (floor.points, points)]
    return np.abs(grams[0] - grams[1]).max()


@pytest.mark.parametrize(
    ("classes", "dimension", "norm", "smoothing", "slack"),
    [(4, 3, 30.0, 0.1, True), (4, 3, 2.0, 0.1, False), (3, 3, 4.0, None, True), (3, 3, 1.0, None, False)],
)
def test_norms_that_leave_slack_leave_the_angles_open(classes, dimension, norm, smoothing, slack):
    counts, loss = (2,) * classes, SquaredError() if smoothing is None else SmoothedCrossEntropy(smoothing)
    if smoothing is None:
        floor = theory.mse_floor(counts, 1.0, norm, dimension=dimension)
    else:
        floor = theory.smoothed_ce_floor(counts, 1.0, norm, smoothing, dimension=dimension)
    assert floor.unique is not slack
    bend = np.eye(dimension) + 0.1 * np.random.default_rng(0).normal(size=(dimension, dimension))
    points = floor.points @ bend
    size = np.linalg.norm(points, axis=1).max()
    points, rows = points / size, floor.weights @ np.linalg.inv(bend).T * size
    assert other_angles(floor, points) > 0.05
    assert loss.value_and_gradient(rows @ points.T, np.full(classes, 1 / classes))[0] == pytest.approx(floor.value)
    assert bool(np.linalg.norm(rows) <= norm) is slack


@pytest.mark.parametrize("norm", [0.7, 30.0])
def test_squared_error_in_few_dimensions_is_indifferent_to_a_sign(norm):
    floor = theory.mse_floor((2, 2, 2), 1.0, norm, dimension=2)
    assert floor.is_exact
    assert not floor.unique
    signs = np.array([1, 1, -1])[:, None]
    logits = signs * floor.weights @ (signs * floor.points).T
    assert SquaredError().value_and_gradient(logits, np.full(3, 1 / 3))[0] == pytest.approx(floor.value)
    assert other_angles(floor, signs * floor.points) > 0.9
