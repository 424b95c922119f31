"""Floors under weight decay on both sides: closed forms, the nuclear-norm program, squared error."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from simplexlab.theory import CrossEntropy, SmoothedCrossEntropy, SquaredError, ufm_ce_floor, ufm_mse_floor


def objective(points, weights, counts, weight_decay, feature_decay, loss):
    counts = np.asarray(counts)
    value, _ = loss.value_and_gradient(weights @ points.T, counts / counts.sum())
    penalty = weight_decay * np.sum(weights**2) + feature_decay * counts @ np.sum(points**2, axis=1)
    return value + penalty / 2


def test_balanced_labels_have_the_entropy():
    floor = ufm_ce_floor([100] * 10, 1e-3, 1e-4)
    miss = math.sqrt(100 * 1e-3 * 1e-4)
    expected = -(1 - 9 * miss) * math.log(1 - 9 * miss) - 9 * miss * math.log(miss)
    assert floor.value == pytest.approx(expected, rel=1e-12)
    assert floor.is_exact
    attained = objective(floor.points, floor.weights, [100] * 10, 1e-3, 1e-4, CrossEntropy())
    assert attained == pytest.approx(expected, rel=1e-12)
    assert ufm_ce_floor([100] * 10, 1.0, 1.0).value == math.log(10)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("counts", [[100, 101], [50, 40, 30], [3000, 3000, 1, 1], [9, 7, 5, 3, 1]])
@pytest.mark.parametrize("decay", [1e-6, 1e-3, 0.02])
def test_unequal_classes_are_certified_and_attained(counts, decay, smoothing):
    floor = ufm_ce_floor(counts, decay, decay / 3, smoothing=smoothing)
    assert floor.is_exact
    loss = SmoothedCrossEntropy(smoothing)
    attained = objective(floor.points, floor.weights, counts, decay, decay / 3, loss)
    assert attained == pytest.approx(floor.value, rel=1e-9)


def test_the_program_meets_the_closed_form():
    nearly = ufm_ce_floor([10**6] * 5 + [10**6 + 1], 1e-5, 1e-5)
    assert nearly.origin == "convex program"
    assert nearly.value == pytest.approx(ufm_ce_floor([10**6] * 6, 1e-5, 1e-5).value, rel=1e-6)


def test_minority_collapse():
    """As the classes grow unequal (40,000 points in all) the two small ones merge, as Fang et al. 2021 saw."""
    cosines = []
    for ratio in (1, 30, 1000):
        small = round(20_000 / (ratio + 1))
        means = ufm_ce_floor([ratio * small, ratio * small, small, small], 1e-3, 1e-4).points
        cosines.append(means[2] @ means[3] / np.linalg.norm(means[2]) / np.linalg.norm(means[3]))
    assert cosines[0] == pytest.approx(-1 / 3)
    assert cosines[0] < cosines[1] < cosines[2]
    assert cosines[2] == pytest.approx(1, abs=1e-3)


def test_all_points_free_end_at_the_floor():
    """Every point of its own and W, scipy's minimiser, without collapse."""
    counts, decay, feature_decay = (5, 2, 1), 0.03, 0.01
    labels = np.repeat(np.arange(3), counts)

    def loss(free):
        points, weights = np.split(free.reshape(-1, 3), [8])
        scores = points @ weights.T
        scores -= scores[np.arange(8), labels][:, None]
        penalty = decay * np.sum(weights**2) + feature_decay * np.sum(points**2)
        return np.logaddexp.reduce(scores, axis=1).mean() + penalty / 2

    found = minimize(loss, np.random.default_rng(0).standard_normal(33), method="L-BFGS-B", options={"maxfun": 10**6})
    assert found.fun == pytest.approx(ufm_ce_floor(counts, decay, feature_decay).value, rel=1e-5)
    assert found.fun >= ufm_ce_floor(counts, decay, feature_decay).certificate


@settings(deadline=None, max_examples=40)
@given(
    counts=st.lists(st.integers(1, 300), min_size=2, max_size=6),
    decays=st.tuples(st.floats(1e-5, 0.1), st.floats(1e-5, 0.1)),
    smoothing=st.sampled_from([0.0, 0.2]),
    near=st.sampled_from([1e-3, 0.1, 2.0]),
    seed=st.integers(0, 2**32 - 1),
)
def test_no_configuration_is_below_a_certificate(counts, decays, smoothing, near, seed):
    generator = np.random.default_rng(seed)
    floors = {
        SmoothedCrossEntropy(smoothing): ufm_ce_floor(counts, *decays, smoothing=smoothing),
        SquaredError(): ufm_mse_floor(counts, *decays),
    }
    for loss, floor in floors.items():
        assert floor.is_exact
        points = floor.points + near * generator.standard_normal(floor.points.shape)
        weights = floor.weights + near * generator.standard_normal(floor.weights.shape)
        assert objective(points, weights, counts, *decays, loss) >= floor.certificate * (1 - 1e-12)


@pytest.mark.parametrize("dimension", [1, 2, 4])
@pytest.mark.parametrize("decays", [(1e-3, 1e-4), (0.1, 0.2)])
def test_squared_error_in_any_dimension(dimension, decays):
    counts = np.array([9, 4, 2, 1])
    floor = ufm_mse_floor(counts, *decays, dimension=dimension)
    assert objective(floor.points, floor.weights, counts, *decays, SquaredError()) == pytest.approx(
        floor.value, rel=1e-12
    )

    def loss(free):
        points, weights = free.reshape(2, 4, dimension)
        return objective(points, weights, counts, *decays, SquaredError())

    generator = np.random.default_rng(0)
    starts = generator.standard_normal((4, 8 * dimension))
    found = min(minimize(loss, start, method="BFGS", options={"gtol": 1e-9}).fun for start in starts)
    assert found == pytest.approx(floor.value, rel=1e-6)


def test_few_dimensions():
    floor = ufm_ce_floor([20] * 6, 1e-3, 1e-3, dimension=2)
    assert floor.origin == "regular polygon"
    assert floor.certificate == floor.value < floor.best_known
    attained = objective(floor.points, floor.weights, [20] * 6, 1e-3, 1e-3, CrossEntropy())
    assert attained == pytest.approx(floor.best_known, rel=1e-9)


def test_refuses():
    for function in (ufm_ce_floor, ufm_mse_floor):
        with pytest.raises(ValueError, match="weight decay must be greater than 0"):
            function([3, 2], 0.0, 1.0)
        with pytest.raises(ValueError, match="feature decay must be greater than 0"):
            function([3, 2], 1.0, -1.0)
        with pytest.raises(ValueError, match="count of class 1 must be at least 1"):
            function([0, 2], 1.0, 1.0)
        with pytest.raises(ValueError, match="dimension must be at least 1"):
            function([1, 2], 1.0, 1.0, dimension=0)
    with pytest.raises(ValueError, match="smoothing"):
        ufm_ce_floor([1, 2], 1.0, 1.0, smoothing=1.0)
