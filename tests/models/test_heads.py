"""Classifier heads and the projection onto the sphere."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from simplexlab.errors import UsageError
from simplexlab.models import linear_head, project_to_sphere, simplex_head


def test_the_linear_head_has_no_bias_and_keeps_to_its_seed():
    z = np.random.default_rng(0).normal(size=(5, 4)).astype("float32")
    head, same, other = linear_head(3, 1), linear_head(3, 1), linear_head(3, 2)
    np.testing.assert_allclose(head(z), z @ head.get_weights()[0], rtol=1e-5)
    np.testing.assert_array_equal(same(z), head(z))
    assert not np.array_equal(other(z), head(z))
    assert [tuple(weight.shape) for weight in head.weights] == [(4, 3)]


@pytest.mark.parametrize(("classes", "dimension", "radius"), [(10, 64, 1.0), (4, 3, 2.5), (2, 1, 1.0)])
def test_the_simplex_head_is_a_rotated_regular_simplex_that_never_trains(classes, dimension, radius):
    head, same, other = (simplex_head(classes, dimension, radius, seed) for seed in (0, 0, 1))
    rows = head.get_weights()[0].T
    gram = radius**2 * (classes * np.eye(classes) - 1) / (classes - 1)
    np.testing.assert_allclose(rows @ rows.T, gram, atol=1e-6 * radius**2)
    assert not head.trainable_weights
    np.testing.assert_array_equal(same.get_weights()[0], head.get_weights()[0])
    assert dimension == 1 or not np.allclose(other.get_weights()[0], head.get_weights()[0])


def test_no_simplex_of_more_than_dimension_plus_one_classes():
    with pytest.raises(UsageError, match=r"10 classes exists in dimension 8.*at least 9"):
        simplex_head(10, 8)


@pytest.mark.parametrize(("policy", "dtype"), [("mixed_bfloat16", "float32"), ("float64", "float64")])
def test_logits_and_projections_are_computed_in_at_least_float32(policy, dtype):
    saved = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        z = keras.ops.ones((2, 4), dtype="bfloat16" if policy == "mixed_bfloat16" else policy)
        assert linear_head(3)(z).dtype == dtype
        assert simplex_head(3, 4)(z).dtype == dtype
        assert project_to_sphere(2.0)(z).dtype == dtype
    finally:
        keras.config.set_dtype_policy(saved)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_projection_has_its_radius_and_is_finite_at_the_origin(dtype):
    z = tf.Variable([[3.0, 4.0], [0.0, 0.0], [1e-30, 0.0], [1e8, -1e8]], dtype=dtype)
    with tf.GradientTape() as tape:
        projected = project_to_sphere(2.0)(z)
        loss = tf.reduce_sum(projected * [1.0, 0.5])
    gradient = tape.gradient(loss, z).numpy()
    np.testing.assert_allclose(projected[0], [1.2, 1.6], rtol=1e-6)
    np.testing.assert_array_equal(projected[1], [0, 0])
    np.testing.assert_allclose(np.linalg.norm(projected[3]), 2.0, rtol=1e-6)
    assert np.all(np.isfinite(gradient))
    # (I − ẑẑᵀ) w · radius / ‖z‖ with w = (1, ½)
    np.testing.assert_allclose(gradient[0], 2.0 / 5.0 * (np.array([1, 0.5]) - np.array([0.6, 0.8])), rtol=1e-5)
