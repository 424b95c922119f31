"""Which images make up the batch of a step: stateless draws, the same on every device."""

import tensorflow as tf

# The last bits of a random seed say what is drawn with it.
INDICES, AUGMENTATION = range(2)


def stateless_seed(seed: int | tf.Tensor, step: int | tf.Tensor, purpose: int) -> tf.Tensor:
    """The seed of TensorFlow's stateless generators for one purpose at one step.

    Args:
        seed: seed of the run, 0 to 2³¹ − 1.
        step: iteration, at least 0.
        purpose: INDICES or AUGMENTATION.

    Returns:
        int64 (2,).
    """
    with tf.device("CPU:0"):  # TensorFlow takes seeds from the host's memory
        return tf.stack([tf.cast(seed, tf.int64) * 2 + purpose, tf.cast(step, tf.int64)])


def batch_indices(seed: int | tf.Tensor, step: int | tf.Tensor, batch_size: int, num_samples: int) -> tf.Tensor:
    """Draw the indices of the global batch of a step, i.i.d. with replacement, as the authors train.

    A function of its arguments alone: every replica, every machine and a resumed run draws the same batch.

    Args:
        seed: seed of the run, 0 to 2³¹ − 1.
        step: iteration, at least 0; may be a tensor in a graph.
        batch_size: images in the global batch.
        num_samples: size of the training set.

    Returns:
        int64 (batch_size,), each in [0, num_samples).
    """
    draws = tf.random.stateless_uniform(
        (batch_size,), stateless_seed(seed, step, INDICES), 0, num_samples, tf.int32, alg="philox"
    )
    return tf.cast(draws, tf.int64)  # int32 would be computed with on the host
