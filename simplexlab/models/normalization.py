"""Batch normalisation that is fast on one device and exact under replicas."""

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable(package="simplexlab")
class FusedBatchNormalization(keras.layers.BatchNormalization):
    """Batch normalisation over the last axis by TensorFlow's fused kernel, with global statistics under replicas.

    `y = γ·(x − μ)/√(σ² + ε) + β`, where μ and σ² are the mean and the biased variance of the global batch in training,
    and the moving statistics otherwise. The moving variance takes the unbiased estimate, as PyTorch's does, on every
    path. Statistics are computed in float32 for bfloat16 inputs.

    The fused kernel serves images in float32 and below; float64, inputs of another rank and training under several
    replicas take separate operations. Arguments, inputs and outputs are those of `keras.layers.BatchNormalization`;
    `export_model` turns the layer into one.

    Raises:
        ValueError: an axis other than the last, `renorm`, or a layer without `scale` or `center`.
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = False

    def build(self, input_shape):
        if self.axis not in (-1, len(input_shape) - 1) or self.renorm or not (self.scale and self.center):
            raise ValueError("FusedBatchNormalization takes the last axis, with scale and center, without renorm")
        super().build(input_shape)

    def call(self, inputs, training=None):
        learns = bool(training) and self.trainable
        context = tf.distribute.get_replica_context()
        synchronised = learns and context is not None and context.num_replicas_in_sync > 1
        if len(inputs.shape) == 4 and inputs.dtype != "float64" and not synchronised:
            return self._fused(inputs, learns)
        dtype = keras.backend.result_type(inputs.dtype, "float32")
        values = tf.cast(inputs, dtype)
        mean, variance = tf.cast(self.moving_mean, dtype), tf.cast(self.moving_variance, dtype)
        if learns:
            mean, variance, count = self._moments(values, context if synchronised else None)
            unbiased = variance * count / tf.maximum(count - 1, 1)
            self.moving_mean.assign(self.momentum * self.moving_mean + (1 - self.momentum) * mean)
            self.moving_variance.assign(self.momentum * self.moving_variance + (1 - self.momentum) * unbiased)
        outputs = tf.nn.batch_normalization(values, mean, variance, self.beta, self.gamma, self.epsilon)
        return tf.cast(outputs, self.compute_dtype)

    def _fused(self, inputs, learns: bool):
        outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=inputs,
            scale=self.gamma,
            offset=self.beta,
            mean=self.moving_mean,
            variance=self.moving_variance,
            epsilon=self.epsilon,
            exponential_avg_factor=1 - self.momentum,
            is_training=learns,
        )
        if learns:
            self.moving_mean.assign(mean)
            self.moving_variance.assign(variance)
        return outputs

    def _moments(self, values, context):
        """Mean, biased variance and number of values a channel, over all replicas where there is a context."""
        channels = values.shape[-1]
        rows = tf.reshape(values, (-1, channels))
        count = tf.cast(tf.shape(rows)[:1], values.dtype)
        if context is None:
            return *tf.nn.moments(rows, 0), count
        # E(x−s)² − (Ex−s)² cancels badly unless s is near the mean; the moving mean is, and is equal on all replicas.
        shift = tf.cast(self.moving_mean, values.dtype)
        rows = rows - shift
        sums = tf.concat([tf.reduce_sum(rows, 0), tf.reduce_sum(tf.square(rows), 0), count], 0)
        sums = context.all_reduce(tf.distribute.ReduceOp.SUM, sums)
        count = sums[-1:]
        mean, square = sums[:channels] / count, sums[channels:-1] / count
        return mean + shift, tf.maximum(square - tf.square(mean), 0), count
