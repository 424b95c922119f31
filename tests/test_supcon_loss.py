"""SupCon against its definition in both forms, and as a Keras loss."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from simplexlab import theory
from simplexlab.losses import SupCon, SupervisedContrastive

FORMS = ("out", "in")


def definition(points, labels, temperature, base, form):
    """Equations 2 (out) and 3 (in) of Khosla et al. term by term, one value per anchor, times τ/τ_base."""
    size = len(labels)
    values = np.zeros(size)
    for i in range(size):
        others = [k for k in range(size) if k != i]
        positives = [j for j in others if labels[j] == labels[i]]
        if not positives:
            continue
        total = sum(np.exp(points[i] @ points[k] / temperature) for k in others)
        shares = [np.exp(points[i] @ points[j] / temperature) / total for j in positives]
        inside = -sum(np.log(share) for share in shares) / len(positives)
        values[i] = inside if form == "out" else -np.log(sum(shares) / len(positives))
    return values * temperature / base


def unit_vectors(seed, size, dimension):
    points = np.random.default_rng(seed).normal(size=(size, dimension))
    return points / np.linalg.norm(points, axis=1, keepdims=True)


def gradient(loss, labels, points):
    variable = tf.Variable(points)
    with tf.GradientTape() as tape:
        value = loss(labels, variable)
    return value.numpy(), tf.convert_to_tensor(tape.gradient(value, variable)).numpy()


@settings(deadline=None, max_examples=60)
@given(
    labels=st.lists(st.integers(0, 4), min_size=1, max_size=12),
    temperature=st.floats(0.05, 10),
    base=st.floats(0.05, 10),
    form=st.sampled_from(FORMS),
    seed=st.integers(0, 1000),
)
def test_equals_the_definition_for_any_label_counts(labels, temperature, base, form, seed):
    points = unit_vectors(seed, len(labels), 3)
    loss = SupCon(temperature, base, form, reduction=None, dtype="float64")
    expected = definition(points, labels, temperature, base, form)
    np.testing.assert_allclose(loss(np.array(labels), points).numpy(), expected, rtol=1e-6, atol=1e-12)


@settings(deadline=None, max_examples=40)
@given(
    sizes=st.lists(st.integers(0, 3), min_size=2, max_size=8),
    scale=st.sampled_from([0.1, 3.0, 60.0]),
    seed=st.integers(0, 1000),
)
def test_the_losses_of_batches_in_numpy_are_the_same(sizes, scale, seed):
    labels, points = np.array(sizes), scale * unit_vectors(seed, len(sizes), 3)
    labels = np.unique(labels, return_inverse=True)[1]
    indices = np.random.default_rng(seed).integers(0, len(labels), (3, 6))
    for form in FORMS:
        loss = SupCon(1.0, 1.0, form, reduction="sum", dtype="float64")
        expected = [float(loss(labels[rows], points[rows])) for rows in indices]
        found = theory.sc_loss_batches(points, labels, indices, form=form)
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


def test_the_form_out_is_the_contrastive_loss_and_the_form_in_is_below_it():
    points, labels = unit_vectors(0, 12, 3), np.arange(12) % 4
    out = SupCon(0.2, 0.2, reduction=None)(labels, points).numpy()
    np.testing.assert_array_equal(out, SupervisedContrastive(0.2, reduction=None)(labels, points).numpy())
    within = SupCon(0.2, 0.2, "in", reduction=None)(labels, points).numpy()
    assert (within < out).all()
    collapsed = unit_vectors(1, 4, 3)[labels]
    forms = [SupCon(0.2, 0.2, form, reduction=None, dtype="float64")(labels, collapsed) for form in FORMS]
    np.testing.assert_allclose(*forms, rtol=1e-12)


def test_both_views_of_an_image_are_positives_of_each_other():
    """Two images of different classes: the other view is the only positive, as in SimCLR."""
    views = unit_vectors(3, 4, 5)  # image 0, image 1, image 0, image 1
    labels = np.array([0, 1, 0, 1])
    products = views @ views.T
    expected = [
        np.log(sum(np.exp(products[i, k] - products[i, (i + 2) % 4]) for k in range(4) if k != i)) for i in range(4)
    ]
    for form in FORMS:
        np.testing.assert_allclose(SupCon(1.0, 1.0, form, reduction=None, dtype="float64")(labels, views), expected)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_gradients_are_finite(form, dtype):
    labels = np.arange(32) % 5
    far = np.eye(5)[np.arange(32) // 7]  # positives are orthogonal, negatives coincide
    alone = (np.arange(8), unit_vectors(2, 8, 5))
    cases = [(labels, points) for points in (unit_vectors(2, 32, 5), np.eye(5)[labels], far)] + [alone]
    for temperature in (0.001, 0.07, 10.0):
        for given_labels, points in cases:
            value, slope = gradient(SupCon(temperature, form=form), given_labels, tf.cast(points, dtype))
            assert value.dtype == np.float32
            assert np.isfinite(value)
            assert np.isfinite(slope.astype(np.float32)).all()
    assert value == 0
    assert not slope.any()


@pytest.mark.parametrize("form", FORMS)
def test_positives_far_below_the_other_products_keep_their_digits(form):
    """With τ = 0.001 their exponentials over those of the negatives vanish also in float64."""
    points = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.0, 1.0]])
    value = SupCon(1e-3, 1e-3, form, reduction=None)(np.array([0, 0, 1, 1]), points).numpy()
    np.testing.assert_allclose(value, 1000.0, rtol=1e-6)


@pytest.mark.parametrize("form", FORMS)
def test_gradient_equals_finite_differences(form):
    points, labels = unit_vectors(4, 7, 3), np.array([0, 0, 0, 1, 1, 2, 0])
    loss = SupCon(0.3, 0.1, form, reduction="sum", dtype="float64")
    _, slope = gradient(loss, labels, points)
    direction = np.random.default_rng(5).normal(size=points.shape)
    step = 1e-6
    numeric = (loss(labels, points + step * direction) - loss(labels, points - step * direction)) / (2 * step)
    np.testing.assert_allclose(np.sum(slope * direction), numeric, rtol=1e-6)


def test_half_precision_is_computed_in_float32():
    points, labels = tf.cast(unit_vectors(3, 16, 4), tf.bfloat16), np.arange(16) % 4
    expected = definition(tf.cast(points, tf.float64).numpy(), labels, 0.1, 0.07, "in").mean()
    np.testing.assert_allclose(SupCon(0.1, form="in")(labels, points).numpy(), expected, rtol=1e-5)


@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "sum", None])
def test_config_round_trip(reduction):
    loss = SupCon(0.1, 0.2, "in", reduction=reduction, name="mine", dtype="float64")
    copy = keras.losses.deserialize(keras.losses.serialize(loss))
    assert isinstance(copy, SupCon)
    assert copy.get_config() == loss.get_config()
    values = (copy.temperature, copy.base_temperature, copy.form, copy.reduction, copy.name, copy.dtype)
    assert values == (0.1, 0.2, "in", reduction, "mine", "float64")


def test_trains_in_plain_keras():
    labels = np.arange(90) % 3
    images = np.random.default_rng(5).normal(size=(90, 6)).astype(np.float32) + 2 * np.eye(6)[labels]
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(8), keras.layers.UnitNormalization()])
    model.compile(keras.optimizers.SGD(0.3), SupCon(0.2, 0.2, "in"))
    history = model.fit(images, labels, batch_size=30, epochs=6, verbose=0).history["loss"]
    assert history[-1] < history[0] - 0.3


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"temperature": 0.0}, "temperature must be a positive"),
        ({"base_temperature": float("nan")}, "base_temperature must be a positive"),
        ({"form": "both"}, "form must be out or in"),
    ],
)
def test_bad_arguments(arguments, told):
    with pytest.raises(ValueError, match=told):
        SupCon(**arguments)
