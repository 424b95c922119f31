"""SGD with momentum and an L2 term, as the paper's experiments used it."""

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable(package="simplexlab")
class Momentum(keras.optimizers.Optimizer):
    """SGD with momentum and weight decay in PyTorch's form, by TensorFlow's fused kernel.

    For a parameter θ with gradient g at learning rate η:

        v ← momentum · v + g + weight_decay · θ
        θ ← θ − η · v

    The weight decay is the gradient of weight_decay/2 · ‖θ‖², a part of the objective; Keras's own
    `SGD(weight_decay=…)` is decoupled from the momentum, and its velocity carries the learning rate.

    Args:
        learning_rate: a float, a `keras.optimizers.schedules.LearningRateSchedule` or a function without arguments.
        momentum: momentum, 0 to 1.
        weight_decay: factor of the L2 term, on every variable.
        name: name of the optimizer.
        **kwargs: further options of `keras.optimizers.Optimizer`.
    """

    def __init__(
        self,
        learning_rate: float | keras.optimizers.schedules.LearningRateSchedule = 0.1,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        name: str = "momentum",
        **kwargs,
    ):
        super().__init__(learning_rate=learning_rate, name=name, weight_decay=weight_decay, **kwargs)
        self.momentum = momentum

    def build(self, variables):
        if not self.built:
            super().build(variables)
            self.velocities = self.add_optimizer_variables(variables, "velocity")

    def _apply_weight_decay(self, variables):
        """Leave out Keras's decoupled weight decay: `update_step` has the L2 term."""

    def update_step(self, gradient, variable, learning_rate):
        velocity = self.velocities[self._get_variable_index(variable)]
        tf.raw_ops.ResourceApplyMomentum(
            var=variable.handle,
            accum=velocity.handle,
            lr=tf.cast(learning_rate, variable.dtype),
            grad=tf.cast(gradient, variable.dtype) + self.weight_decay * variable,
            momentum=tf.constant(self.momentum, variable.dtype),
        )

    def get_config(self):
        return {**super().get_config(), "momentum": self.momentum}
