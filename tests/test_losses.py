"""SupervisedContrastive against its definition, and as a Keras loss."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from simplexlab.losses import SupervisedContrastive, batch


def definition(representations, labels, temperature):
    """Definition 2 term by term, one value per anchor."""
    size = len(labels)
    values = np.zeros(size)
    for i in range(size):
        positives = [j for j in range(size) if j != i and labels[j] == labels[i]]
        denominator = sum(np.exp(representations[i] @ representations[k] / temperature) for k in range(size) if k != i)
        for j in positives:
            share = np.exp(representations[i] @ representations[j] / temperature) / denominator
            values[i] -= np.log(share) / len(positives)
    return values


def unit_vectors(generator, size, dimension):
    points = generator.normal(size=(size, dimension))
    return points / np.linalg.norm(points, axis=1, keepdims=True)


def gradient(loss, labels, representations):
    variable = tf.Variable(representations)
    with tf.GradientTape() as tape:
        value = loss(labels, variable)
    return value.numpy(), tf.convert_to_tensor(tape.gradient(value, variable)).numpy()


@settings(deadline=None, max_examples=60)
@given(
    labels=st.lists(st.integers(0, 4), min_size=1, max_size=12),
    temperature=st.floats(0.05, 10),
    seed=st.integers(0, 1000),
)
def test_equals_the_definition_for_any_label_counts(labels, temperature, seed):
    points = unit_vectors(np.random.default_rng(seed), len(labels), 3)
    loss = SupervisedContrastive(temperature, reduction=None, dtype="float64")
    expected = definition(points, labels, temperature)
    np.testing.assert_allclose(loss(np.array(labels), points).numpy(), expected, rtol=1e-6, atol=1e-12)


@settings(deadline=None, max_examples=40)
@given(
    labels=st.lists(st.integers(0, 3), min_size=1, max_size=12),
    positives=st.integers(1, 13),
    seed=st.integers(0, 1000),
)
def test_each_anchor_keeps_the_first_positives_after_it(labels, positives, seed):
    points = unit_vectors(np.random.default_rng(seed), len(labels), 3)
    size, similar = len(labels), points @ points.T
    expected = np.zeros(size)
    for i in range(size):
        after = [(i + step) % size for step in range(1, size)]
        kept = [j for j in after if labels[j] == labels[i]][:positives]
        if kept:
            expected[i] = np.log(sum(np.exp(similar[i, k]) for k in after)) - np.mean([similar[i, j] for j in kept])
    loss = SupervisedContrastive(reduction=None, dtype="float64", positives=positives)
    np.testing.assert_allclose(loss(np.array(labels), points).numpy(), expected, rtol=1e-6, atol=1e-12)


def test_fewer_positives_have_the_same_expected_loss_and_so_the_same_bound():
    """The order of independent draws is uniform given the draws: averaged over it, M positives are all of them."""
    generator = np.random.default_rng(0)
    labels = np.array([0, 0, 0, 0, 1, 1])
    points = unit_vectors(generator, len(labels), 3)
    full = definition(points, labels, 1.0).sum()
    losses = []
    loss = tf.function(SupervisedContrastive(reduction="sum", dtype="float64", positives=1))  # traced once
    for order in itertools.permutations(range(len(labels))):
        losses.append(float(loss(tf.constant(labels[list(order)]), tf.constant(points[list(order)]))))
    assert np.mean(losses) == pytest.approx(full, rel=1e-9)
    assert np.std(losses) > 0.1


@pytest.mark.parametrize("positives", [0, -1, 1.5])
def test_a_wrong_number_of_positives_is_refused(positives):
    with pytest.raises(ValueError, match="positives must be a whole number"):
        SupervisedContrastive(positives=positives)


def test_duplicates_of_an_anchor_are_its_positives():
    points = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    loss = SupervisedContrastive(reduction=None, dtype="float64")
    alone = np.log(1 + np.exp(-1.0))  # one duplicate as the positive, the third point as the only negative
    np.testing.assert_allclose(loss(np.array([0, 0, 1]), points).numpy(), [alone, alone, 0.0], rtol=1e-12)


def test_an_anchor_without_a_positive_gives_exactly_zero():
    points = unit_vectors(np.random.default_rng(0), 5, 4).astype(np.float32)
    values = SupervisedContrastive(0.1, reduction=None)(np.array([0, 0, 1, 2, 3]), points).numpy()
    assert (values[2:] == 0).all()
    assert (values[:2] > 0).all()
    value, slope = gradient(SupervisedContrastive(0.1), np.array([0]), points[:1])
    assert value == 0
    assert (slope == 0).all()


def test_temperature_is_a_radius():
    points = unit_vectors(np.random.default_rng(1), 8, 3)
    labels = np.arange(8) % 3
    with_temperature = SupervisedContrastive(0.25, dtype="float64")(labels, points)
    on_sphere = SupervisedContrastive(dtype="float64")(labels, points * 2.0)
    np.testing.assert_allclose(with_temperature, on_sphere, rtol=1e-12)


@pytest.mark.parametrize("temperature", [0.01, 0.1, 1.0, 10.0])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_gradients_are_finite(temperature, dtype):
    labels = np.arange(32) % 5
    collapsed = np.eye(5)[labels]
    for points in (unit_vectors(np.random.default_rng(2), 32, 5), collapsed):
        value, slope = gradient(SupervisedContrastive(temperature), labels, tf.cast(points, dtype))
        assert value.dtype == np.float32
        assert np.isfinite(value)
        assert np.isfinite(slope.astype(np.float32)).all()


def test_half_precision_is_computed_in_float32():
    points = tf.cast(unit_vectors(np.random.default_rng(3), 16, 4), tf.bfloat16)
    labels = np.arange(16) % 4
    rounded = tf.cast(points, tf.float64).numpy()
    value = SupervisedContrastive(0.1)(labels, points).numpy()
    np.testing.assert_allclose(value, definition(rounded, labels, 0.1).mean(), rtol=1e-5)


def test_gradient_equals_finite_differences():
    generator = np.random.default_rng(4)
    points, labels = unit_vectors(generator, 7, 3), np.array([0, 0, 0, 1, 1, 2, 0])
    loss = SupervisedContrastive(0.3, reduction="sum", dtype="float64")
    _, slope = gradient(loss, labels, points)
    direction = generator.normal(size=points.shape)
    step = 1e-6
    numeric = (loss(labels, points + step * direction) - loss(labels, points - step * direction)) / (2 * step)
    np.testing.assert_allclose(np.sum(slope * direction), numeric, rtol=1e-6)


@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "sum", None])
def test_config_round_trip(reduction):
    loss = SupervisedContrastive(0.07, reduction=reduction, name="sc", dtype="float64", positives=2)
    copy = keras.losses.deserialize(keras.losses.serialize(loss))
    assert isinstance(copy, SupervisedContrastive)
    assert copy.get_config() == loss.get_config()


def test_trains_and_reloads_in_plain_keras(tmp_path):
    generator = np.random.default_rng(5)
    labels = np.arange(90) % 3
    images = generator.normal(size=(90, 6)).astype(np.float32) + 2 * np.eye(6)[labels]
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(8), keras.layers.UnitNormalization()])
    model.compile(keras.optimizers.SGD(0.3), SupervisedContrastive(0.2))
    history = model.fit(images, labels, batch_size=30, epochs=6, verbose=0).history["loss"]
    assert history[-1] < history[0] - 0.3
    model.save(tmp_path / "model.keras")
    reloaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(
        reloaded.evaluate(images, labels, verbose=0), model.evaluate(images, labels, verbose=0), rtol=1e-6
    )


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan"), float("inf")])
def test_bad_temperature(temperature):
    with pytest.raises(ValueError, match="temperature must be a positive"):
        SupervisedContrastive(temperature)


def test_the_configuration_makes_the_same_loss():
    loss = SupervisedContrastive(0.3, reduction="sum", name="mine", dtype="float64", positives=3)
    copy = SupervisedContrastive.from_config(loss.get_config())
    names = ("temperature", "reduction", "name", "dtype", "positives")
    assert [getattr(copy, name) for name in names] == [getattr(loss, name) for name in names]


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_many_labels_stay_apart_in_half_precision(dtype):
    points = unit_vectors(np.random.default_rng(0), 8, 4)
    labels = np.arange(8) // 2
    expected = SupervisedContrastive(0.5, dtype="float32")(labels, points)
    assert SupervisedContrastive(0.5, dtype=dtype)(labels + 5000, points) == expected


@pytest.mark.parametrize("shape", [(6,), (6, 2, 2)])
def test_representations_that_are_no_vectors_are_refused(shape):
    with pytest.raises(ValueError, match=r"must have shape \(b, h\)"):
        SupervisedContrastive()(np.arange(6) // 2, np.ones(shape))


def test_one_hot_labels_are_refused():
    with pytest.raises(ValueError, match="not one-hot"):
        SupervisedContrastive()(np.eye(3), np.eye(3))


def test_labels_of_shape_one_column():
    points = unit_vectors(np.random.default_rng(6), 6, 2)
    labels = np.array([0, 1, 0, 1, 2, 2])
    loss = SupervisedContrastive(dtype="float64")
    assert loss(labels, points) == loss(labels[:, None], points)


LARGE_LABELS = {
    "2²⁴": 2**24 + np.arange(8) // 2,
    "2⁵³": 2**53 + np.arange(8) // 2,
    "int64 from end to end": np.repeat([-(2**63), -(2**63) + 1, 2**63 - 2, 2**63 - 1], 2),
    "equal low bits": np.repeat(np.arange(4), 2) * 2**32,
    "uint64": np.repeat(np.array([0, 2**64 - 1, 2**64 - 2, 2**63], np.uint64), 2),
}


@pytest.mark.parametrize("labels", LARGE_LABELS.values(), ids=LARGE_LABELS)
@pytest.mark.parametrize("kind", ["arrays", "tensors", "graph", "autograph"])
def test_labels_of_any_size_stay_apart(labels, kind):
    points = unit_vectors(np.random.default_rng(0), 8, 4).astype(np.float32)
    loss = SupervisedContrastive(0.5)
    expected = loss(np.arange(8) // 2, points)
    if kind == "tensors":
        labels, points = tf.constant(labels), tf.constant(points)
    call = tf.function(loss, autograph=kind == "autograph") if "graph" in kind else loss
    assert call(labels, points) == expected


def test_large_labels_in_fit():
    points = unit_vectors(np.random.default_rng(0), 8, 4).astype(np.float32)
    losses = []
    for labels in (np.arange(8) // 2, 2**40 + np.arange(8) // 2):
        model = keras.Sequential([keras.Input((4,)), keras.layers.Identity()])
        model.compile(loss=SupervisedContrastive(0.5))
        losses.append(model.fit(points, labels, verbose=0).history["loss"])
    assert losses[0] == losses[1]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_labels_in_half_precision_are_refused(dtype):
    points = unit_vectors(np.random.default_rng(0), 4, 2)
    with pytest.raises(ValueError, match=f"labels must be integers; {dtype}"):
        SupervisedContrastive()(tf.cast([0, 0, 1, 1], dtype), points)


@pytest.mark.parametrize("weights", [None, np.array([1.0, 0.0, 2.0, 1.0, 0.5, 0.0], np.float32)])
@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "sum", "mean_with_sample_weight", None])
def test_weights_and_reductions_are_those_of_keras(reduction, weights):
    points, labels = unit_vectors(np.random.default_rng(0), 6, 3), np.arange(6) % 2
    values = definition(points, labels, 0.5) * (1 if weights is None else weights)
    total = 6 if weights is None or reduction == "sum_over_batch_size" else weights.sum()
    expected = {None: values, "sum": values.sum()}.get(reduction, values.sum() / total)
    loss = SupervisedContrastive(0.5, reduction=reduction, dtype="float64")
    np.testing.assert_allclose(loss(labels, points, weights), expected, rtol=1e-6)
    assert "call" not in vars(loss)


@pytest.mark.parametrize("dtype", [keras.DTypePolicy("mixed_float16"), "mixed_bfloat16", "float16", "float32", None])
def test_any_dtype_that_keras_takes_is_raised_to_float32(dtype):
    assert SupervisedContrastive(dtype=dtype).dtype == "float32"


@pytest.mark.parametrize("dtype", ["int64", "int32", "uint8", "bool", "float32", "float64"])
def test_labels_travel_between_replicas_as_digits(dtype):
    """Every int64 comes back from floats of 16 bits, and so does every other label."""
    labels = tf.cast([0, 1, -1, 127, -(2**63), 2**63 - 1, 2**24 + 1, -(2**33)], dtype)
    for carrier in ("float32", "float64"):
        digits = batch._digits(labels, carrier)
        assert digits.dtype == carrier
        assert digits.shape == (8, 4)
        np.testing.assert_array_equal(batch._from_digits(digits, labels.dtype), labels)


TWO_REPLICAS = """
import numpy as np
import tensorflow as tf
from simplexlab.losses import SupCon, SupervisedContrastive

cpus = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpus[0], [tf.config.LogicalDeviceConfiguration()] * 2)
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
points = np.random.default_rng(0).normal(size=(8, 4)).astype(np.float32)

losses = [SupervisedContrastive(0.5, reduction=None, positives=positives) for positives in (None, 1)]
losses.append(SupCon(0.5, form="in", reduction=None))
labellings = [
    np.arange(8) % 3, 2**40 + np.arange(8) % 3, -(np.arange(8) % 3) * 2**32, np.float32(np.arange(8) % 3)
]

expected = [loss(np.arange(8) % 3, points) for loss in losses]
for rows, kinds in ((4, labellings), (tf.constant(4), labellings[1:2])):  # of known size, and not

    def step(rows, kinds=kinds):
        first = 4 * tf.distribute.get_replica_context().replica_id_in_sync_group
        own = tf.constant(points)[first : first + rows]
        return [loss(tf.constant(labels)[first : first + rows], own) for loss in losses for labels in kinds]

    found = tf.function(lambda rows, step=step: strategy.run(step, (rows,)), autograph=False)(rows)
    for values, wanted in zip(found, [it for it in expected for _ in kinds], strict=True):
        np.testing.assert_allclose(tf.concat(strategy.experimental_local_results(values), 0), wanted, rtol=1e-5)
print("equal")
"""


def test_two_replicas_see_one_batch_with_labels_of_any_size(forked):
    assert forked(TWO_REPLICAS).strip().endswith("equal")
