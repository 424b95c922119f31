"""3×3 convolutions of many channels as matrix products with a quarter of the multiplications.

Winograd's F(4×4, 3×3), Lavin & Gray, "Fast Algorithms for Convolutional Neural Networks" (CVPR 2016), §4.3: a tile of
4×4 outputs is Aᵀ[(G g Gᵀ) ⊙ (Bᵀ d B)]A, with d the 6×6 inputs that it sees and g the kernel.
"""

import numpy as np
import tensorflow as tf

TILE = 4
INPUT_TRANSFORM = np.array(  # Bᵀ
    [
        [4, 0, -5, 0, 1, 0],
        [0, -4, -4, 1, 1, 0],
        [0, 4, -4, -1, 1, 0],
        [0, -2, -1, 2, 1, 0],
        [0, 2, -1, -2, 1, 0],
        [0, 4, 0, -5, 0, 1],
    ]
)
KERNEL_TRANSFORM = np.array([[6, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 24]]) / 24  # G
OUTPUT_TRANSFORM = np.array([[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]])  # Aᵀ
POINTS = len(INPUT_TRANSFORM)


def convolve_by_winograd(images, kernel):
    """Convolve with a 3×3 kernel at stride 1, one pixel of zeros on every side, by Winograd's F(4×4, 3×3).

    Args:
        images: (b, height, width, channels), float32 or float64; height and width are known multiples of 4.
        kernel: (3, 3, channels, filters) of the same dtype.

    Returns:
        (b, height, width, filters) of the same dtype.
    """
    channels, filters = kernel.shape[2:]
    transform = tf.constant(np.kron(KERNEL_TRANSFORM, KERNEL_TRANSFORM), images.dtype)
    kernels = tf.reshape(transform @ tf.reshape(kernel, (9, channels * filters)), (POINTS**2, channels, filters))
    return _convolve(images, kernels)


@tf.function(autograph=False)  # layers of one shape are traced once
def _convolve(images, kernels):
    """Winograd's convolution with transformed kernels, shape (36, channels, filters)."""
    number, (height, width, channels), filters = tf.shape(images)[0], images.shape[1:], kernels.shape[2]
    down, across = height // TILE, width // TILE
    rows_in, rows_out = _transforms(down, images.dtype)
    columns_in, columns_out = _transforms(across, images.dtype)

    # Pixels first, so that each transform is a product from the left: rows become (point, tile), then columns do.
    values = tf.reshape(tf.transpose(images, (1, 2, 0, 3)), (height, width * number * channels))
    values = tf.reshape(rows_in @ values, (POINTS * down, width, number * channels))
    values = tf.reshape(columns_in @ values, (POINTS, down, POINTS, across * number * channels))
    values = tf.reshape(tf.transpose(values, (0, 2, 1, 3)), (POINTS**2, down * across * number, channels))
    values = values @ kernels
    values = tf.transpose(tf.reshape(values, (POINTS, POINTS, down, across * number * filters)), (0, 2, 1, 3))
    values = columns_out @ tf.reshape(values, (POINTS * down, POINTS * across, number * filters))
    values = rows_out @ tf.reshape(values, (POINTS * down, width * number * filters))
    return tf.transpose(tf.reshape(values, (height, width, number, filters)), (2, 0, 1, 3))


def _transforms(tiles: int, dtype: tf.DType) -> tuple[tf.Tensor, tf.Tensor]:
    """Bᵀ and Aᵀ of a row of so many tiles between zeros: shapes (6 · tiles, 4 · tiles) and (4 · tiles, 6 · tiles)."""
    inputs = np.zeros((POINTS, tiles, TILE * tiles + 2))
    outputs = np.zeros((TILE * tiles, POINTS, tiles))
    for tile in range(tiles):
        start = TILE * tile
        inputs[:, tile, start : start + POINTS] = INPUT_TRANSFORM
        outputs[start : start + TILE, :, tile] = OUTPUT_TRANSFORM
    inputs = inputs[:, :, 1:-1].reshape(POINTS * tiles, TILE * tiles)
    return tf.constant(inputs, dtype), tf.constant(outputs.reshape(TILE * tiles, POINTS * tiles), dtype)
