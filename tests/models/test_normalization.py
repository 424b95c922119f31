"""Batch normalisation against its formula, PyTorch's moving statistics, and two replicas against one device."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from simplexlab.models import FusedBatchNormalization

SHAPES = {"images": (6, 5, 4, 3), "vectors": (24, 3)}


def make_layer(shape, dtype="float32", **options):
    generator = np.random.default_rng(1)
    layer = FusedBatchNormalization(momentum=0.9, epsilon=1e-3, dtype=dtype, **options)
    layer.build((None, *shape[1:]))
    layer.set_weights([*generator.normal(size=(3, 3)), np.array([0.5, 1.0, 2.0])])
    return layer


def inputs_of(shape):
    return np.random.default_rng(2).normal(3.0, 2.0, shape)


@pytest.mark.parametrize("kind", SHAPES)
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 2e-5), ("float64", 1e-12)])
def test_training_uses_batch_statistics_and_moves_by_the_unbiased_variance(kind, dtype, tolerance):
    layer, x = make_layer(SHAPES[kind], dtype), inputs_of(SHAPES[kind])
    gamma, beta, moving_mean, moving_variance = layer.get_weights()
    rows = x.reshape(-1, 3)
    mean, variance = rows.mean(0), rows.var(0)
    outputs = layer(tf.constant(x, dtype), training=True).numpy()
    np.testing.assert_allclose(outputs, gamma * (x - mean) / np.sqrt(variance + 1e-3) + beta, atol=tolerance)
    np.testing.assert_allclose(layer.moving_mean, 0.9 * moving_mean + 0.1 * mean, rtol=tolerance)
    unbiased = rows.var(0, ddof=1)
    np.testing.assert_allclose(layer.moving_variance, 0.9 * moving_variance + 0.1 * unbiased, rtol=tolerance)


@pytest.mark.parametrize("kind", SHAPES)
@pytest.mark.parametrize("frozen", [False, True])
def test_inference_and_a_frozen_layer_use_moving_statistics(kind, frozen):
    layer, x = make_layer(SHAPES[kind], trainable=not frozen), inputs_of(SHAPES[kind])
    before = gamma, beta, mean, variance = layer.get_weights()
    outputs = layer(tf.constant(x, "float32"), training=frozen).numpy()
    np.testing.assert_allclose(outputs, gamma * (x - mean) / np.sqrt(variance + 1e-3) + beta, atol=2e-5)
    for old, new in zip(before, layer.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize("kind", SHAPES)
def test_the_fused_gradients_are_those_of_the_formula(kind):
    x = inputs_of(SHAPES[kind])
    weights = tf.constant(np.random.default_rng(3).normal(size=x.shape))
    gradients = {}
    for dtype in ("float32", "float64"):
        layer, values = make_layer(SHAPES[kind], dtype), tf.Variable(x, dtype=dtype)
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.cast(weights, dtype) * layer(values, training=True) ** 2)
        gradients[dtype] = tape.gradient(loss, [values, layer.gamma, layer.beta])
    # The float64 path is built of elementary operations; check it by central differences along one direction.
    direction, step = np.random.default_rng(4).normal(size=x.shape), 1e-5

    def loss_at(values):
        return float(tf.reduce_sum(weights * make_layer(x.shape, "float64")(tf.constant(values), training=True) ** 2))

    slope = (loss_at(x + step * direction) - loss_at(x - step * direction)) / (2 * step)
    assert np.sum(gradients["float64"][0] * direction) == pytest.approx(slope, rel=1e-7)
    for single, double in zip(gradients["float32"], gradients["float64"], strict=True):
        np.testing.assert_allclose(single, double, atol=2e-5 * np.abs(double).max())


@pytest.mark.parametrize("kind", SHAPES)
def test_bfloat16_statistics_are_computed_in_float32(kind):
    # 4096 + noise of deviation 16: in bfloat16, whose values lie 32 apart there, a variance would be far off.
    x = tf.cast(4096 + 16 * np.random.default_rng(0).normal(size=(256, *SHAPES[kind][1:])), "bfloat16")
    layer = FusedBatchNormalization(momentum=0.0, dtype="mixed_bfloat16")
    outputs = layer(x, training=True)
    rows = tf.cast(tf.reshape(x, (-1, 3)), "float64").numpy()
    assert outputs.dtype == "bfloat16"
    assert layer.moving_mean.dtype == "float32"
    np.testing.assert_allclose(layer.moving_mean, rows.mean(0), rtol=1e-5)
    np.testing.assert_allclose(layer.moving_variance, rows.var(0, ddof=1), rtol=1e-2)


def test_the_moving_statistics_survive_a_round_trip(tmp_path):
    model = keras.Sequential([keras.Input((4, 4, 3)), FusedBatchNormalization(momentum=0.7, epsilon=1e-5)])
    model(inputs_of((6, 4, 4, 3)), training=True)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert type(loaded.layers[0]) is FusedBatchNormalization
    assert (loaded.layers[0].momentum, loaded.layers[0].epsilon) == (0.7, 1e-5)
    x = inputs_of((6, 4, 4, 3))
    np.testing.assert_array_equal(loaded(x), model(x))


@pytest.mark.parametrize("options", [{"axis": 1}, {"renorm": True}, {"scale": False}, {"center": False}])
def test_options_that_the_layer_does_not_have_are_refused(options):
    with pytest.raises(ValueError, match="last axis, with scale and center, without renorm"):
        FusedBatchNormalization(**options).build((None, 4, 4, 3))


REPLICAS = """
import sys
import numpy as np
import tensorflow as tf
from simplexlab.models import FusedBatchNormalization

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
generator = np.random.default_rng(0)
x = generator.normal(100, 3, (8, 5, 4, 3)) + np.arange(8)[:, None, None, None]
weights = generator.normal(size=x.shape)

def step_on(devices, dtype, shape):
    if len(devices) > 1:
        strategy = tf.distribute.MirroredStrategy(devices, cross_device_ops=tf.distribute.ReductionToOneDevice())
    else:
        strategy = tf.distribute.OneDeviceStrategy(devices[0])
    with strategy.scope():
        layer = FusedBatchNormalization(momentum=0.9, epsilon=1e-5, dtype=dtype)
        layer.build((None, *shape[1:]))

    @tf.function
    def replica_step(values, weights):
        with tf.GradientTape() as tape:
            tape.watch(values)
            outputs = layer(values, training=True)
            loss = tf.reduce_sum(weights * tf.sin(outputs))
        gradient = tape.gradient(loss, [values, layer.gamma.value, layer.beta.value])
        return outputs, gradient[0], *[tf.distribute.get_replica_context().all_reduce("SUM", g) for g in gradient[1:]]

    def share(array):
        parts = np.split(array.reshape(shape).astype(dtype), len(devices))
        return strategy.experimental_distribute_values_from_function(
            lambda context: tf.constant(parts[context.replica_id_in_sync_group])
        )

    outputs, by_input, *by_weights = strategy.run(replica_step, (share(x), share(weights)))
    joined = [np.concatenate(strategy.experimental_local_results(part)) for part in (outputs, by_input)]
    by_weights = [strategy.experimental_local_results(part)[0].numpy() for part in by_weights]
    return [*joined, *by_weights, *layer.get_weights()]

for shape in [(8, 5, 4, 3), (160, 3)]:
    for dtype, tolerance in [("float64", 1e-10), ("float32", 1e-4)]:
        one, two = step_on(["CPU:0"], dtype, shape), step_on(["CPU:0", "CPU:1"], dtype, shape)
        for a, b in zip(one, two, strict=True):
            np.testing.assert_allclose(b, a, rtol=tolerance, atol=tolerance * np.abs(a).max())
"""


def test_two_replicas_give_the_values_and_gradients_of_one_device(forked):
    forked(REPLICAS)
