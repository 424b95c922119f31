"""Random crops and flips: stateless draws, one gather, no loop over images."""

import numpy as np
import tensorflow as tf

from simplexlab.data.sampling import AUGMENTATION, stateless_seed


def augment(
    images: tf.Tensor, seed: int | tf.Tensor, step: int | tf.Tensor, batch_size: int, start: int | tf.Tensor = 0
) -> tf.Tensor:
    """Crop at random after padding with black, and flip left to right, each with probability ½.

    The padding is 4 pixels on each side for images of 32 pixels and more, an eighth of the shorter side below. What
    happens to an image depends on the seed, the step and its position in the *global* batch alone, so that replicas
    that hold slices of the batch see the images that one device would see.

    Args:
        images: uint8 (b, H, W, C), before normalisation (the padding is 0), positions `start` to `start + b` of the
            global batch.
        seed: seed of the run, 0 to 2³¹ − 1.
        step: iteration, at least 0; may be a tensor in a graph.
        batch_size: images in the global batch.
        start: position of `images[0]` in the global batch.

    Returns:
        float32 (b, H, W, C), of whole numbers.
    """
    count, height, width, channels = images.shape
    padding = min(4, round(min(height, width) / 8))
    draws = tf.random.stateless_uniform(
        (batch_size, 4), stateless_seed(seed, step, AUGMENTATION), 0, 2**31 - 1, tf.int32, alg="philox"
    )
    draws = tf.slice(tf.cast(draws, tf.int64), [start, 0], [count, 4])  # int32 would be computed with on the host
    crops, flips = draws[:, 0:1] % 2, draws[:, 1:2] % 2
    shifts = crops * (draws[:, 2:4] % (2 * padding + 1) - padding)

    rows = np.arange(height) + shifts[:, 0:1]
    columns = np.arange(width)
    columns = tf.where(flips == 1, width - 1 - columns, columns) + shifts[:, 1:2]
    inside = ((rows >= 0) & (rows < height))[:, :, None] & ((columns >= 0) & (columns < width))[:, None, :]
    positions = tf.where(inside, rows[:, :, None] * width + columns[:, None, :], height * width)
    # TensorFlow gathers uint8 from a tensor on the host only.
    pixels = tf.reshape(tf.cast(images, tf.float32), (count, height * width, channels))
    pixels = tf.concat([pixels, tf.zeros((count, 1, channels))], axis=1)
    return tf.gather(pixels, positions, batch_dims=1)
