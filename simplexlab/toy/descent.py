"""Gradient descent on free points with the Keras losses that also train encoders."""

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from simplexlab.data.sampling import batch_indices
from simplexlab.losses import SupervisedContrastive
from simplexlab.toy.configurations import Configuration
from simplexlab.toy.settings import Toy

STEPS_A_CALL = 10  # an interrupt is answered between graph calls


def descend(
    toy: Toy, labels: np.ndarray, start: Configuration, visit: Callable[[int, Configuration], None]
) -> Configuration:
    """Minimise the loss of a toy by plain SGD in float64, projecting the points after each step.

    The loss of a step is Keras's mean over its points. Points of ce that leave the unit ball return to its surface;
    points of sc return to the sphere.

    Args:
        toy: resolved options.
        labels: y, shape (N,).
        start: the first configuration.
        visit: called with the steps done and the configuration: at the start, every `evaluate_every` steps, at the end.

    Returns:
        The last configuration.
    """
    # SC works on the unit sphere with the temperature, as in Fig. 1; the same as the sphere of radius 1/√τ without it.
    points = keras.Variable(start.points / toy.radius, dtype="float64", name="points")
    targets = tf.constant(labels)
    if toy.loss == "ce":
        weights = keras.Variable(start.weights, dtype="float64", name="weights")
        cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True, dtype="float64")
        descents = [(points, toy.learning_rate), (weights, toy.weights_learning_rate)]
    else:
        contrastive = SupervisedContrastive(toy.temperature, dtype="float64")
        descents = [(points, toy.learning_rate)]
    optimizers = [keras.optimizers.SGD(rate) for _, rate in descents]
    variables = [variable for variable, _ in descents]
    for optimizer, variable in zip(optimizers, variables, strict=True):
        optimizer.build([variable])

    def loss(chosen, chosen_targets):
        if toy.loss == "sc":
            return contrastive(chosen_targets, chosen)
        scores = tf.matmul(chosen, weights, transpose_b=True)
        return cross_entropy(chosen_targets, scores) + toy.weight_decay * tf.reduce_sum(tf.square(weights))

    @tf.function
    def run(first: tf.Tensor, stop: tf.Tensor) -> None:
        for step in tf.range(first, stop):
            with tf.GradientTape() as tape:
                if toy.batch_size is None:
                    value = loss(tf.convert_to_tensor(points), targets)
                else:
                    rows = batch_indices(toy.seed, step, toy.batch_size, toy.num_points)
                    value = loss(tf.gather(tf.convert_to_tensor(points), rows), tf.gather(targets, rows))
            gradients = tape.gradient(value, [variable.value for variable in variables])
            for optimizer, variable, gradient in zip(optimizers, variables, gradients, strict=True):
                optimizer.apply([tf.convert_to_tensor(gradient)], [variable])
            norms = tf.norm(points, axis=1, keepdims=True)
            points.assign(points / (norms if toy.loss == "sc" else tf.maximum(norms, 1.0)))

    def current() -> Configuration:
        return Configuration(toy.radius * points.numpy(), weights.numpy() if toy.loss == "ce" else None)

    visit(0, start)
    done = 0
    while done < toy.steps:
        evaluation = min(done - done % toy.evaluate_every + toy.evaluate_every, toy.steps)
        stop = min(done + STEPS_A_CALL, evaluation)
        run(tf.constant(done), tf.constant(stop))
        done = stop
        if done == evaluation:
            visit(done, current())
    return current()
