"""AlignmentUniformity, NPairs, Triplet and SoftNearestNeighbour against their definitions, and as Keras losses."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import example, given, settings
from hypothesis import strategies as st

from simplexlab import theory
from simplexlab.losses import AlignmentUniformity, NPairs, SoftNearestNeighbour, Triplet


def squared(points, i, j):
    return float(np.sum((points[i] - points[j]) ** 2))


def alignment_uniformity(points, labels, weight=1.5, scale=2.0):
    size = len(labels)
    pairs = [(i, j) for i in range(size) for j in range(size) if i != j]
    positives = [(i, j) for i, j in pairs if labels[i] == labels[j]]
    uniformity = math.log(np.mean([math.exp(-scale * squared(points, i, j)) for i, j in pairs])) if pairs else 0.0
    values = []
    for i in range(size):
        own = sum(squared(points, i, j) for first, j in positives if first == i)
        values.append(weight * own * size / len(positives) + uniformity if positives else uniformity)
    return values


def n_pairs(points, labels, temperature=0.5):
    """Tuplets by hand: pairs of each class in the order of the batch, then Sohn's loss with either as anchor."""
    by_class = {label: [i for i in range(len(labels)) if labels[i] == label] for label in labels}
    values = [0.0] * len(labels)
    for round_ in range(len(labels) // 2):
        pairs = [places[2 * round_ : 2 * round_ + 2] for places in by_class.values()]
        pairs = [pair for pair in pairs if len(pair) == 2]
        for role in (0, 1):
            for anchor in pairs:
                z, positive = points[anchor[role]], points[anchor[1 - role]]
                others = [points[pair[1 - role]] for pair in pairs if pair is not anchor]
                terms = [math.exp((z @ other - z @ positive) / temperature) for other in others]
                values[anchor[role]] = math.log(1 + sum(terms))
    return values


def triplet(points, labels, margin=0.7):
    values = []
    for i in range(len(labels)):
        found = [
            max(0.0, squared(points, i, j) - squared(points, i, k) + margin)
            for j in range(len(labels))
            for k in range(len(labels))
            if j != i and labels[j] == labels[i] != labels[k]
        ]
        values.append(np.mean(found) if found else 0.0)
    return values


def soft_nearest_neighbour(points, labels, temperature=0.3):
    values = []
    for i in range(len(labels)):
        near = {j: math.exp(-squared(points, i, j) / temperature) for j in range(len(labels)) if j != i}
        own = sum(value for j, value in near.items() if labels[j] == labels[i])
        values.append(-math.log(own / sum(near.values())) if any(labels[j] == labels[i] for j in near) else 0.0)
    return values


LOSSES = {
    "alignment and uniformity": (AlignmentUniformity, {"weight": 1.5, "scale": 2.0}, alignment_uniformity),
    "n-pairs": (NPairs, {"temperature": 0.5}, n_pairs),
    "triplet": (Triplet, {"margin": 0.7}, triplet),
    "soft nearest neighbour": (SoftNearestNeighbour, {"temperature": 0.3}, soft_nearest_neighbour),
}
each = pytest.mark.parametrize(("kind", "options", "definition"), LOSSES.values(), ids=LOSSES)


def unit_vectors(generator, size, dimension):
    points = generator.normal(size=(size, dimension))
    return points / np.linalg.norm(points, axis=1, keepdims=True)


def gradient(loss, labels, points):
    variable = tf.Variable(points)
    with tf.GradientTape() as tape:
        value = loss(labels, variable)
    return value.numpy(), tf.convert_to_tensor(tape.gradient(value, variable)).numpy()


@each
@settings(deadline=None, max_examples=30)
@example(labels=[0], seed=0)
@example(labels=[0, 0], seed=0)
@example(labels=[0, 1, 2], seed=0)
@given(labels=st.lists(st.integers(0, 3), min_size=1, max_size=10), seed=st.integers(0, 1000))
def test_equals_its_definition_for_any_label_counts(kind, options, definition, labels, seed):
    generator = np.random.default_rng(seed)
    points = unit_vectors(generator, len(labels), 3)[generator.integers(0, len(labels), len(labels))]  # with duplicates
    found = kind(**options, reduction=None, dtype="float64")(np.array(labels), points).numpy()
    np.testing.assert_allclose(found, definition(points, labels), rtol=1e-9, atol=1e-9)


def test_two_samples_of_each_class_have_sohns_loss():
    points = unit_vectors(np.random.default_rng(0), 8, 3)
    anchors, positives = points[:4], points[4:]
    inner = anchors @ positives.T
    sohn = np.log(1 + np.sum(np.exp(inner - np.diag(inner)[:, None]) * (1 - np.eye(4)), axis=1))
    values = NPairs(reduction=None, dtype="float64")(np.tile(np.arange(4), 2), points).numpy()
    np.testing.assert_allclose(values[:4], sohn, rtol=1e-12)


@each
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_gradients_are_finite(kind, options, definition, dtype):
    """Also of classes that have collapsed, of a class with one sample, of a single class and of a single sample."""
    labels = np.array([0, 0, 0, 1, 1, 2, 2, 3])
    for points, given_labels in (
        (unit_vectors(np.random.default_rng(2), 8, 4), labels),
        (np.eye(4)[labels], labels),
        (np.ones((8, 4)) / 2, labels),
        (np.zeros((8, 4)), labels),
        (unit_vectors(np.random.default_rng(3), 8, 4), np.zeros(8, int)),
        (unit_vectors(np.random.default_rng(3), 1, 4), np.zeros(1, int)),
    ):
        value, slope = gradient(kind(**options), given_labels, tf.cast(points, dtype))
        assert value.dtype == np.float32
        assert np.isfinite(value)
        assert np.isfinite(slope.astype(np.float32)).all()


@each
def test_half_precision_is_computed_in_float32(kind, options, definition):
    points = tf.cast(unit_vectors(np.random.default_rng(3), 12, 4), tf.bfloat16)
    labels = np.arange(12) % 4
    expected = np.mean(definition(tf.cast(points, tf.float64).numpy(), labels))
    np.testing.assert_allclose(kind(**options)(labels, points), expected, rtol=1e-5)


@each
def test_gradient_equals_finite_differences(kind, options, definition):
    generator = np.random.default_rng(4)
    points, labels = unit_vectors(generator, 7, 3), np.array([0, 0, 0, 1, 1, 2, 0])
    loss = kind(**options, dtype="float64")
    _, slope = gradient(loss, labels, points)
    direction = generator.normal(size=points.shape)
    step = 1e-6
    ends = [np.mean(definition(points + sign * step * direction, labels)) for sign in (1, -1)]
    np.testing.assert_allclose(np.sum(slope * direction), (ends[0] - ends[1]) / (2 * step), rtol=1e-5)


@each
def test_configuration_and_reductions_are_those_of_keras(kind, options, definition):
    loss = kind(**options, reduction="sum", name="mine", dtype="float64")
    again = keras.losses.deserialize(keras.losses.serialize(loss))
    assert isinstance(again, kind)
    assert again.get_config() == loss.get_config()
    assert loss.get_config().items() >= {**options, "reduction": "sum", "name": "mine", "dtype": "float64"}.items()
    points, labels = unit_vectors(np.random.default_rng(0), 6, 3), np.arange(6) % 2
    weights = np.array([1.0, 0.0, 2.0, 1.0, 0.5, 0.0])
    np.testing.assert_allclose(loss(labels, points, weights), definition(points, labels) @ weights, rtol=1e-9)
    np.testing.assert_allclose(loss(2**40 + labels[:, None], points), np.sum(definition(points, labels)), rtol=1e-9)


@each
def test_trains_in_plain_keras(kind, options, definition):
    labels = np.arange(60) % 3
    images = np.random.default_rng(5).normal(size=(60, 6)).astype(np.float32) + 2 * np.eye(6)[labels]
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(8), keras.layers.UnitNormalization()])
    model.compile(keras.optimizers.SGD(0.2), kind(**options))
    history = model.fit(images, labels, batch_size=20, epochs=5, verbose=0).history["loss"]
    assert history[-1] < history[0] - 0.1


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: AlignmentUniformity(weight=-1.0), "weight must be a finite number of at least 0"),
        (lambda: AlignmentUniformity(scale=0.0), "scale must be a positive finite number"),
        (lambda: NPairs(float("nan")), "temperature must be a positive finite number"),
        (lambda: Triplet(-0.1), "margin must be a finite number of at least 0"),
        (lambda: SoftNearestNeighbour(float("inf")), "temperature must be a positive finite number"),
    ],
)
def test_what_is_out_of_range_is_refused(make, told):
    with pytest.raises(ValueError, match=told):
        make()


TWO_REPLICAS = """
import numpy as np
import tensorflow as tf
from simplexlab import losses

cpus = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpus[0], [tf.config.LogicalDeviceConfiguration()] * 2)
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
points = np.random.default_rng(0).normal(size=(8, 4))
labels = np.array([0, 1, 0, 2, 1, 1, 0, 2])

def step(loss, shared):
    first = 4 * tf.distribute.get_replica_context().replica_id_in_sync_group
    with tf.GradientTape() as tape:
        tape.watch(shared)
        values = loss(tf.constant(labels)[first : first + 4], shared[first : first + 4])
        mean = tf.reduce_mean(values) / 2
    slope = tape.gradient(mean, shared)
    return values, tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, slope)

for kind in (losses.AlignmentUniformity, losses.NPairs, losses.Triplet, losses.SoftNearestNeighbour):
    loss = kind(reduction=None, dtype="float64")
    with tf.GradientTape() as tape:
        tape.watch(whole := tf.constant(points))
        expected = loss(labels, whole)
        slope = tape.gradient(tf.reduce_mean(expected), whole)
    run = tf.function(lambda: strategy.run(step, (loss, tf.constant(points))), autograph=False)
    values, slopes = map(strategy.experimental_local_results, run())
    np.testing.assert_allclose(tf.concat(values, 0), expected, rtol=1e-12)
    np.testing.assert_allclose(slopes[0], slope, rtol=1e-12, atol=1e-14)
print("equal")
"""


def test_two_replicas_have_the_values_and_the_gradient_of_one_batch(forked):
    assert forked(TWO_REPLICAS).strip().endswith("equal")


@settings(deadline=None, max_examples=20)
@given(labels=st.lists(st.integers(0, 3), min_size=2, max_size=9), seed=st.integers(0, 1000))
def test_the_losses_of_the_evaluation_are_the_same(labels, seed):
    """Those in numpy, which runs are measured by, against the definitions term by term."""
    generator = np.random.default_rng(seed)
    points, labels = unit_vectors(generator, len(labels), 3), np.array(labels)
    rows = generator.integers(0, len(labels), (3, 5))
    batches = [(points[row], labels[row]) for row in rows]
    for found, definition in (
        (theory.n_pairs_losses(points / 0.5**0.5, labels, rows), n_pairs),
        (theory.triplet_losses(points, labels, rows, 0.7), triplet),
        (theory.soft_nearest_neighbour_losses(points, labels, rows, 0.3), soft_nearest_neighbour),
    ):
        np.testing.assert_allclose(found, [np.mean(definition(*batch)) for batch in batches], rtol=1e-9, atol=1e-12)
    whole = theory.alignment_uniformity_loss(points, labels, 1.5)[0]
    assert whole == pytest.approx(np.mean(alignment_uniformity(points, labels)), rel=1e-9)
