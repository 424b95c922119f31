"""The least cross-entropy + λ‖W‖²_F: Corollary 2 where classes are alike, a certified program where not."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simplexlab import theory


@pytest.mark.parametrize("features", ["free", "nonnegative"])
def test_classes_of_one_size_give_corollary_2(features):
    floor = theory.ce_floor_weight_decay([7, 7, 7, 7], 2.0, 0.02, features=features)
    assert floor.value == theory.ce_bound_weight_decay(4, 2.0, 0.02, features=features)
    assert floor.is_exact
    value = theory.ce_loss(floor.points, np.arange(4), floor.weights) + 0.02 * np.sum(floor.weights**2)
    assert value == pytest.approx(floor.value, rel=1e-9)


@pytest.mark.parametrize("features", ["free", "nonnegative"])
@pytest.mark.parametrize("weight_decay", [1e-3, 0.03, 1.0])
def test_other_classes_have_a_certificate_that_meets_the_value(features, weight_decay):
    counts = np.array([60, 30, 10])
    floor = theory.ce_floor_weight_decay(counts, 1.0, weight_decay, features=features)
    labels = np.repeat(np.arange(3), counts)
    value = theory.ce_loss(floor.points[labels], labels, floor.weights) + weight_decay * np.sum(floor.weights**2)
    assert value == pytest.approx(floor.value, rel=1e-8)
    assert floor.certificate <= floor.value
    assert floor.is_exact


@settings(deadline=None, max_examples=25)
@given(
    st.lists(st.integers(1, 30), min_size=2, max_size=4),
    st.floats(0.01, 0.3),
    st.integers(0, 10**6),
    st.floats(0.1, 4.0),
)
def test_no_configuration_is_below_the_certificate(counts, weight_decay, seed, size):
    floor = theory.ce_floor_weight_decay(counts, 1.0, weight_decay)
    generator = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(counts)), counts)
    points = generator.normal(size=(len(labels), 3))
    points /= np.maximum(np.linalg.norm(points, axis=1, keepdims=True), 1)
    near = np.pad(floor.points, ((0, 0), (0, 3 - floor.points.shape[1])))[labels] + 0.01 * points
    near /= np.maximum(np.linalg.norm(near, axis=1, keepdims=True), 1)
    rows = np.pad(floor.weights, ((0, 0), (0, 3 - floor.weights.shape[1])))
    for z, w in ((points, size * generator.normal(size=(len(counts), 3))), (near, rows)):
        assert theory.ce_loss(z, labels, w) + weight_decay * np.sum(w**2) >= floor.certificate - 1e-12
