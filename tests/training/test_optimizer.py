"""SGD with momentum against its recursion in numpy."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from simplexlab.training.optimizer import Momentum


def recursion(theta, gradients, rates, momentum, weight_decay):
    """v ← m·v + g + λ·θ, θ ← θ − η·v: `torch.optim.SGD` without dampening."""
    velocity = np.zeros_like(theta)
    for gradient, rate in zip(gradients, rates, strict=True):
        velocity = momentum * velocity + gradient + weight_decay * theta
        theta = theta - rate * velocity
    return theta


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-5), ("float64", 1e-12)])
@pytest.mark.parametrize(("momentum", "weight_decay"), [(0.9, 0.01), (0.0, 0.1), (0.5, 0.0)])
def test_the_recursion_with_a_changing_rate(dtype, tolerance, momentum, weight_decay):
    generator = np.random.default_rng(0)
    starts = [generator.normal(size=shape) for shape in [(3, 2), (4,)]]
    gradients = [[generator.normal(size=start.shape) for start in starts] for _ in range(12)]
    # Keras computes a schedule in float32, which holds these rates exactly.
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay([3, 7], [0.125, 0.03125, 0.5])
    variables = [keras.Variable(start, dtype=dtype) for start in starts]
    optimizer = Momentum(schedule, momentum, weight_decay)
    step = tf.function(lambda *parts: optimizer.apply(parts, variables))
    optimizer.build(variables)
    for parts in gradients:
        step(*[tf.constant(part, dtype) for part in parts])
    rates = [0.125] * 4 + [0.03125] * 4 + [0.5] * 4
    for index, (start, variable) in enumerate(zip(starts, variables, strict=True)):
        expected = recursion(start, [parts[index] for parts in gradients], rates, momentum, weight_decay)
        np.testing.assert_allclose(variable, expected, rtol=tolerance, atol=tolerance)
    assert int(optimizer.iterations) == 12


def test_a_rate_that_changes_does_not_rescale_the_velocity():
    # Keras's SGD keeps learning rate × gradient in its velocity; here a rate of 0 stops the parameter at once.
    variable = keras.Variable([1.0])
    optimizer = Momentum(0.1, momentum=0.9)
    optimizer.apply([tf.constant([1.0])], [variable])
    optimizer.learning_rate = 0.0
    optimizer.apply([tf.constant([1.0])], [variable])
    np.testing.assert_allclose(variable, [0.9])
    optimizer.learning_rate = 1.0
    optimizer.apply([tf.constant([0.0])], [variable])
    np.testing.assert_allclose(variable, [0.9 - 0.9 * 1.9], rtol=1e-6)


def test_it_trains_by_fit_and_survives_a_round_trip(tmp_path):
    keras.utils.set_random_seed(0)
    generator = np.random.default_rng(0)
    x = generator.normal(size=(64, 3))
    y = x @ [[1.0], [2.0], [3.0]]
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, use_bias=False)])
    model.compile(Momentum(0.05, 0.8, 1e-4), "mse")
    model.fit(x, y, epochs=20, verbose=0)
    assert model.evaluate(x, y, verbose=0) < 1e-3
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras").optimizer
    assert loaded.get_config() == model.optimizer.get_config()
    assert (loaded.momentum, loaded.weight_decay) == (0.8, 1e-4)
    for one, other in zip(loaded.variables, model.optimizer.variables, strict=True):
        np.testing.assert_array_equal(one, other)


def test_mixed_precision_updates_float32_parameters():
    layer = keras.layers.Dense(2, use_bias=False, dtype="mixed_bfloat16")
    layer.build((None, 3))
    optimizer = Momentum(1e-4, 0.0)
    before = layer.get_weights()[0]
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.cast(layer(tf.ones((1, 3))), "float32"))
    optimizer.apply(tape.gradient(loss, layer.trainable_variables), layer.trainable_variables)
    np.testing.assert_allclose(layer.get_weights()[0], before - 1e-4, rtol=1e-6)
