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


def descend(toy: Toy, labels: np.ndarray, start: Configuration, visit: Callable[[int, Configuration], None]) -> None:
    """Minimise the loss of a toy by plain SGD in float64 on the CPU, projecting the points after each step.

    The loss of a step is Keras's mean over its points: all of them, or `batch_size` drawn i.i.d. with replacement.
    Points of ce that leave the unit ball return to its surface; points of sc return to the sphere.

    Args:
        toy: resolved options.
        labels: y, shape (N,).
        start: the first configuration.
        visit: called with the steps done and the configuration: at the start, every `evaluate_every` steps, at the end.
    """
    with tf.device("CPU:0"):  # so small that a GPU would only slow it down
        descent = _Descent(toy, labels, start)
        visit(0, start)
        done = 0
        while done < toy.steps:
            next_visit = min(done - done % toy.evaluate_every + toy.evaluate_every, toy.steps)
            stop = min(done + STEPS_A_CALL, next_visit)
            descent.run(tf.constant(done), tf.constant(stop))
            done = stop
            if done == next_visit:
                visit(done, descent.configuration())


class _Descent:
    """The variables, the loss and one step.

    Points of sc are kept on the unit sphere and their inner products divided by the temperature, as in Fig. 1: the same
    loss as on the sphere of radius 1/√τ without a temperature, which is what `configuration` returns.
    """

    def __init__(self, toy: Toy, labels: np.ndarray, start: Configuration):
        self.toy = toy
        self.labels = tf.constant(labels)
        self.points = keras.Variable(start.points / toy.radius, dtype="float64", name="points")
        self.variables = [self.points]
        rates = [toy.learning_rate]
        if toy.loss == "ce":
            self.weights = keras.Variable(start.weights, dtype="float64", name="weights")
            self.variables.append(self.weights)
            rates.append(toy.weights_learning_rate)
            self.cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True, dtype="float64")
        else:
            self.contrastive = SupervisedContrastive(toy.temperature, dtype="float64")
        self.optimizers = [keras.optimizers.SGD(rate) for rate in rates]
        for optimizer, variable in zip(self.optimizers, self.variables, strict=True):
            optimizer.build([variable])

    @tf.function
    def run(self, first: tf.Tensor, stop: tf.Tensor) -> None:
        """Take the steps first … stop − 1."""
        for step in tf.range(first, stop):
            with tf.GradientTape() as tape:
                loss = self.loss(*self.batch(step))
            gradients = tape.gradient(loss, [variable.value for variable in self.variables])
            for optimizer, variable, gradient in zip(self.optimizers, self.variables, gradients, strict=True):
                optimizer.apply([tf.convert_to_tensor(gradient)], [variable])
            norms = tf.norm(self.points, axis=1, keepdims=True)
            self.points.assign(self.points / (norms if self.toy.loss == "sc" else tf.maximum(norms, 1.0)))

    def batch(self, step: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Points and labels of a step."""
        points = tf.convert_to_tensor(self.points)
        if self.toy.batch_size is None:
            return points, self.labels
        rows = batch_indices(self.toy.seed, step, self.toy.batch_size, self.toy.num_points)
        return tf.gather(points, rows), tf.gather(self.labels, rows)

    def loss(self, points: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        """The objective of a step."""
        if self.toy.loss == "sc":
            return self.contrastive(labels, points)
        scores = tf.matmul(points, self.weights, transpose_b=True)
        return self.cross_entropy(labels, scores) + self.toy.weight_decay * tf.reduce_sum(tf.square(self.weights))

    def configuration(self) -> Configuration:
        """Where the points and weights are now."""
        weights = self.weights.numpy() if self.toy.loss == "ce" else None
        return Configuration(self.toy.radius * self.points.numpy(), weights)
