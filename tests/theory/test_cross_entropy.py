"""Theorem 1 and Corollaries 1 and 2: never undercut, reached at the optimum, right to the last digits."""

import math

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from simplexlab.geometry import orthogonal_frame, regular_simplex
from simplexlab.theory import (
    ce_bound_frobenius,
    ce_bound_max_norm,
    ce_bound_weight_decay,
    ce_loss,
    optimal_weight_norm,
)


@st.composite
def configurations(draw):
    """Balanced labels, points in the ball of radius ρ (most of them on its sphere), weights of any size."""
    num_classes = draw(st.integers(2, 6))
    dimension = draw(st.integers(num_classes - 1, num_classes + 3))
    samples = draw(st.integers(1, 3))
    radius, size = draw(st.floats(0.01, 20)), draw(st.floats(0.01, 20))
    near = draw(st.sampled_from([0.01, 0.3, 3.0]))  # distance from the optimum, where a wrong bound would show
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    labels = np.tile(np.arange(num_classes), samples)
    vertices = regular_simplex(num_classes, dimension)
    points = vertices[labels] + near * generator.standard_normal((len(labels), dimension))
    points *= radius / np.maximum(np.linalg.norm(points, axis=1, keepdims=True), 0.9)
    weights = size * (vertices + near * generator.standard_normal(vertices.shape))
    return points, labels, weights, float(np.linalg.norm(points, axis=1).max()), num_classes


@given(configurations(), st.floats(1e-6, 10))
@settings(deadline=None, max_examples=300)
def test_no_configuration_undercuts_a_bound(configuration, weight_decay):
    points, labels, weights, radius, num_classes = configuration
    loss = ce_loss(points, labels, weights)
    norm = np.linalg.norm(weights)
    largest = np.linalg.norm(weights, axis=1).max()
    slack = 1e-12 * (1 + loss)
    assert loss >= ce_bound_frobenius(num_classes, radius, norm) - slack
    assert loss >= ce_bound_max_norm(num_classes, radius, largest) - slack
    assert loss + weight_decay * norm**2 >= ce_bound_weight_decay(num_classes, radius, weight_decay) - slack


@given(configurations(), st.floats(1e-6, 10))
@settings(deadline=None, max_examples=300)
def test_no_nonnegative_configuration_undercuts_its_bound(configuration, weight_decay):
    points, labels, weights, _, num_classes = configuration
    points = np.maximum(points, 0)
    radius = np.linalg.norm(points, axis=1).max()
    if radius < 1e-3:
        return
    loss = ce_loss(points, labels, weights)
    norm = np.linalg.norm(weights)
    largest = np.linalg.norm(weights, axis=1).max()
    slack = 1e-12 * (1 + loss)
    options = {"features": "nonnegative"}
    assert loss >= ce_bound_frobenius(num_classes, radius, norm, **options) - slack
    assert loss >= ce_bound_max_norm(num_classes, radius, largest, **options) - slack
    assert loss + weight_decay * norm**2 >= ce_bound_weight_decay(num_classes, radius, weight_decay, **options) - slack


@pytest.mark.parametrize("num_classes", [2, 3, 10, 50])
@pytest.mark.parametrize(("radius", "row_norm"), [(0.1, 0.3), (1.0, 1.0), (2.0, 7.0), (30.0, 2.0)])
def test_simplex_and_frame_reach_the_bounds(num_classes, radius, row_norm):
    labels = np.repeat(np.arange(num_classes), 2)
    frame = orthogonal_frame(num_classes, 60, radius)
    centred = frame - frame.mean(axis=0)
    cases = {
        "free": (regular_simplex(num_classes, 60, radius), regular_simplex(num_classes, 60, row_norm)),
        "nonnegative": (frame, row_norm * centred / np.linalg.norm(centred, axis=1, keepdims=True)),
    }
    for features, (points, weights) in cases.items():
        loss = ce_loss(points[labels], labels, weights)
        frobenius = np.linalg.norm(weights)
        assert ce_bound_frobenius(num_classes, radius, frobenius, features=features) == pytest.approx(loss, rel=1e-12)
        assert ce_bound_max_norm(num_classes, radius, row_norm, features=features) == pytest.approx(loss, rel=1e-12)
        for weight_decay in (1e-6, 1e-2, 1.0):
            best = optimal_weight_norm(radius, weight_decay, num_classes, features=features)
            scaled = weights * best / row_norm
            objective = ce_loss(points[labels], labels, scaled) + weight_decay * np.sum(scaled**2)
            bound = ce_bound_weight_decay(num_classes, radius, weight_decay, features=features)
            assert bound == pytest.approx(objective, rel=1e-12)


@pytest.mark.parametrize("features", ["free", "nonnegative"])
@pytest.mark.parametrize(("num_classes", "weight_decay"), [(2, 1e-2), (3, 1e-3), (4, 3e-2)])
def test_optimisation_over_points_and_weights_ends_at_the_bound(features, num_classes, weight_decay):
    radius, dimension = 1.5, 5
    labels = np.tile(np.arange(num_classes), 2)
    shape = (len(labels), dimension)

    def unpack(x):
        points, weights = x[: labels.size * dimension].reshape(shape), x[labels.size * dimension :]
        if features == "nonnegative":
            points = points**2
        norms = np.linalg.norm(points, axis=1, keepdims=True)
        return radius * points / np.maximum(norms, 1.0), weights.reshape(num_classes, dimension)

    def objective(x):
        points, weights = unpack(x)
        return ce_loss(points, labels, weights) + weight_decay * np.sum(weights**2)

    start = np.random.default_rng(num_classes).standard_normal((len(labels) + num_classes) * dimension)
    found = minimize(objective, start, method="L-BFGS-B", options={"maxiter": 3000, "maxfun": 10**6})
    bound = ce_bound_weight_decay(num_classes, radius, weight_decay, features=features)
    assert found.fun >= bound - 1e-12
    assert found.fun == pytest.approx(bound, abs=2e-5)
    norms = np.linalg.norm(unpack(found.x)[1], axis=1)
    expected = optimal_weight_norm(radius, weight_decay, num_classes, features=features)
    np.testing.assert_allclose(norms, expected, rtol=2e-2)


@pytest.mark.parametrize("features", ["free", "nonnegative"])
@pytest.mark.parametrize("num_classes", [2, 3, 10, 1000, 10**6])
def test_weight_norm_to_full_double_precision(num_classes, features):
    with mpmath.workdps(60):
        for radius in (1e-3, 0.37, 1.0, 12.0, 1e3):
            for weight_decay in (1e-12, 1e-7, 1e-4, 0.3, 1e3):
                exact = _bisect(radius, weight_decay, num_classes, features)
                found = optimal_weight_norm(radius, weight_decay, num_classes, features=features)
                assert abs(found / exact - 1) < 1e-15, (radius, weight_decay)
                bound = ce_bound_weight_decay(num_classes, radius, weight_decay, features=features)
                slope = _slope(radius, num_classes, features)
                value = mpmath.log(1 + (num_classes - 1) * mpmath.exp(-slope * exact))
                value += mpmath.mpf(weight_decay) * num_classes * exact**2
                assert abs(bound / value - 1) < 1e-13, (radius, weight_decay)


def _slope(radius, num_classes, features):
    ratio = mpmath.mpf(num_classes) / (num_classes - 1)
    return mpmath.mpf(radius) * (ratio if features == "free" else mpmath.sqrt(ratio))


def _bisect(radius, weight_decay, num_classes, features):
    """The minimum of log(1 + (K−1)·exp(−ax)) + λKx², by bisection on the sign of its derivative."""
    slope, others = _slope(radius, num_classes, features), num_classes - 1
    decay = 2 * mpmath.mpf(weight_decay) * num_classes
    low, high = mpmath.mpf(0), slope / decay
    high = min(high, 200 / slope)
    for _ in range(190):
        middle = (low + high) / 2
        rising = decay * middle * (mpmath.exp(slope * middle) + others) > slope * others
        low, high = (low, middle) if rising else (middle, high)
    return (low + high) / 2


@pytest.mark.parametrize("num_classes", [2, 10, 10**6, 2**53])
@pytest.mark.parametrize("radius", [1e-300, 1e-3, 1.0, 1e3, 1e300])
@pytest.mark.parametrize("limit", [1e-300, 1e-12, 1.0, 1e3, 1e300])
@pytest.mark.parametrize("features", ["free", "nonnegative"])
def test_extreme_inputs_give_the_limit(num_classes, radius, limit, features):
    for bound in (ce_bound_frobenius, ce_bound_max_norm, ce_bound_weight_decay):
        value = bound(num_classes, radius, limit, features=features)
        assert 0 <= value <= math.log(num_classes) * (1 + 1e-15)
    norm = optimal_weight_norm(radius, limit, num_classes, features=features)
    assert math.isfinite(norm)
    assert norm >= 0


def test_limits():
    assert ce_bound_frobenius(10, 1.0, 0.0) == pytest.approx(math.log(10))
    assert ce_bound_frobenius(10, 0.0, 5.0) == pytest.approx(math.log(10))
    assert ce_bound_max_norm(10, 1e3, 1e3) == 0
    assert ce_bound_weight_decay(10, 1.0, 1e12) == pytest.approx(math.log(10))
    assert ce_bound_max_norm(3, 40.0, 1.0) == pytest.approx(2 * math.exp(-60), rel=1e-12)


def test_theorem_1_has_the_papers_factor():
    # √K/(K−1), not √(K/(K−1)).
    expected = math.log(1 + 9 * math.exp(-2 * math.sqrt(10) / 9 * 3))
    assert ce_bound_frobenius(10, 2.0, 3.0) == pytest.approx(expected, rel=1e-15)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ce_bound_frobenius(1, 1.0, 1.0), "number of classes must be at least 2, got 1"),
        (lambda: ce_bound_frobenius(0, 1.0, 1.0), "number of classes must be at least 2, got 0"),
        (lambda: ce_bound_frobenius(2.5, 1.0, 1.0), "whole number"),
        (lambda: ce_bound_frobenius(3, -1.0, 1.0), "radius must be at least 0, got -1"),
        (lambda: ce_bound_frobenius(3, float("nan"), 1.0), "radius must be at least 0, got nan"),
        (lambda: ce_bound_frobenius(3, 1.0, -1.0), "Frobenius norm must be at least 0"),
        (lambda: ce_bound_max_norm(3, 1.0, float("inf")), "must be at most 1e"),
        (lambda: ce_bound_max_norm(3, 1.0, -2.0), "norm of a row of W must be at least 0"),
        (lambda: ce_bound_weight_decay(3, 1.0, 0.0), "weight decay λ must be greater than 0, got 0"),
        (lambda: ce_bound_weight_decay(3, 1.0, -1.0), "weight decay λ must be greater than 0, got -1"),
        (lambda: ce_bound_weight_decay(3, 0.0, 1.0), "radius must be greater than 0, got 0"),
        (lambda: optimal_weight_norm(1.0, float("nan"), 3), "greater than 0, got nan"),
        (lambda: ce_bound_max_norm(10**400, 1.0, 1.0), "at most 2"),
        (lambda: ce_bound_max_norm(3, 1.0, 1.0, features="relu"), "free, nonnegative"),
    ],
)
def test_refuses(call, message):
    with pytest.raises(ValueError, match=message):
        call()
