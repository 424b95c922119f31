"""Which images make up the batch of a step: stateless draws, the same on every device."""

import numpy as np
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


class BalancedBatches:
    """Batches with as many images of each class, drawn with replacement within the class.

    The image at position p of a batch is of class p mod K, so that the shares of replicas are balanced too, as far as
    they can be.

    Args:
        labels: of the training set, every class 0 … K−1 among them, shape (N,).
        batch_size: images in the global batch, a multiple of K.

    Attributes:
        order: the images sorted by class, int64 (N,); a batch holds places in it.
    """

    def __init__(self, labels: np.ndarray, batch_size: int):
        counts = np.bincount(labels)
        classes = np.arange(batch_size) % len(counts)
        self.order = np.argsort(labels, kind="stable").astype(np.int64)
        self._counts = counts[classes].astype(np.int64)
        self._starts = (np.cumsum(counts) - counts)[classes].astype(np.int64)

    def places(self, seed: int | tf.Tensor, step: int | tf.Tensor) -> tf.Tensor:
        """Draw the places in `order` of the images of the global batch of a step, a function of its arguments alone.

        Args:
            seed: seed of the run, 0 to 2³¹ − 1.
            step: iteration, at least 0; may be a tensor in a graph.

        Returns:
            int64 (batch_size,).
        """
        shape = self._counts.shape
        draws = tf.random.stateless_uniform(shape, stateless_seed(seed, step, INDICES), 0, 2**62, tf.int64, "philox")
        return self._starts + draws % self._counts  # uniform to 1 in 2⁶²/N
