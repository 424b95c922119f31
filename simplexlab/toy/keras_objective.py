"""An objective of the table as a function of free numbers, with the Keras loss and head that also train encoders."""

import keras
import numpy as np
import tensorflow as tf

from simplexlab.toy.configurations import Configuration
from simplexlab.toy.ideal import IdealToy


class KerasObjective:
    """The loss of all points of a resolved toy, in float64.

    Args:
        toy: resolved options.
        labels: y, shape (N,).
    """

    def __init__(self, toy: IdealToy, labels: np.ndarray):
        from simplexlab.models import linear_head
        from simplexlab.training.function_loss import make_loss, make_penalty

        self.toy = toy
        objective = toy.objective
        self.loss = make_loss(objective, toy.options, "float64")
        self.penalty = make_penalty(objective, toy.options, "float64")
        self.labels = tf.constant(labels)
        self.shape = (len(labels), toy.dimension + (not objective.sphere))
        self.head = None
        before = keras.config.dtype_policy()
        keras.config.set_dtype_policy("float64")  # of the head
        try:
            with tf.device("CPU:0"):
                if objective.head == "learned":
                    self.head = linear_head(toy.classes, toy.seed)
                    self.head.build((None, toy.dimension))
                elif objective.head == "fixed":
                    self.head = objective.make_head(toy.options, toy.classes, toy.dimension, toy.seed)
        finally:
            keras.config.set_dtype_policy(before)
        self.learned = objective.head == "learned"
        self._graph = tf.function(self._value_and_gradient, autograph=False)

    def first_weights(self, generator: np.random.Generator) -> np.ndarray:
        """Free numbers of a learned classifier, none where it is fixed or there is none."""
        return generator.standard_normal(self.toy.classes * self.toy.dimension + 1) if self.learned else np.empty(0)

    def value_and_gradient(self, free: np.ndarray) -> tuple[float, np.ndarray]:
        """The loss and its gradient in the free numbers: a mean over points, or a sum where the objective is one."""
        with tf.device("CPU:0"):  # so small that a GPU would only slow it down
            value, gradient = self._graph(tf.constant(free))
        return float(value), gradient.numpy()

    def configuration(self, free: np.ndarray) -> Configuration:
        """Points (N, h) and the rows of the classifier (K, h), None without one."""
        with tf.device("CPU:0"):
            points, weights = self._split(tf.constant(free))
        if self.head is not None and not self.learned:
            weights = keras.ops.transpose(self.head.kernel)
        return Configuration(points.numpy(), None if weights is None else keras.ops.convert_to_numpy(weights))

    def _split(self, free):
        count = self.shape[0] * self.shape[1]
        units = tf.math.l2_normalize(tf.reshape(free[:count], self.shape), axis=1, epsilon=0.0)
        points = self.toy.radius * units[:, : self.toy.dimension]
        if not self.learned:
            return points, None
        unit = tf.math.l2_normalize(free[count:], epsilon=0.0)
        return points, self.toy.head_norm * tf.reshape(unit[:-1], (self.toy.classes, self.toy.dimension))

    def _value_and_gradient(self, free):
        with tf.GradientTape() as tape:
            tape.watch(free)
            points, weights = self._split(free)
            outputs = points
            if self.learned:
                outputs, _ = self.head.stateless_call([tf.transpose(weights)], [], points)
            elif self.head is not None:
                outputs = self.head(points)
            values = self.loss(self.labels, outputs)
            total = tf.reduce_sum if self.toy.objective.reduction == "sum" else tf.reduce_mean
            value = total(values)
            if self.penalty is not None:
                value += self.penalty(weights)
        return value, tape.gradient(value, free)
