"""Convolutions of many channels as matrix products, which a CPU computes faster."""

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

# Where the products are faster, measured on two cores: see tests/benchmarks/README.md.
WINOGRAD_CHANNELS = 128
WINOGRAD_LARGEST_IMAGE = 32
PRODUCT_GRADIENT_CHANNELS = 256

# Winograd's F(4×4, 3×3), Lavin & Gray, "Fast Algorithms for Convolutional Neural Networks" (CVPR 2016), §4.3: a tile of
# 4×4 outputs is Aᵀ[(G g Gᵀ) ⊙ (Bᵀ d B)]A, with d the 6×6 inputs that it sees and g the kernel.
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


@keras.saving.register_keras_serializable(package="simplexlab")
class FastConvolution(keras.layers.Conv2D):
    """A two-dimensional convolution that a CPU computes as matrix products where they are faster.

    That is on a CPU, with 3×3 kernels, stride 1, padding "same" and images in the format "channels_last", and there

    - in float32 and float64, from 128 channels on both sides, for images of up to 32×32 pixels whose sides are
      multiples of 4: the whole convolution by Winograd's F(4×4, 3×3), which needs a quarter of the multiplications. In
      float32 its rounding error is about 1e-5 of the largest output, where the direct sum has 1e-6;
    - in bfloat16, from 256 channels: the gradient of the kernel.

    Everything else is left to `keras.layers.Conv2D`, also wherever TensorFlow sees a GPU. Arguments, inputs and outputs
    are those of `keras.layers.Conv2D`; `export_model` turns the layer into one.
    """

    def convolution_op(self, inputs, kernel):
        keeps_size = self.strides == self.dilation_rate == (1, 1) and self.padding == "same"
        is_plain = self.kernel_size == (3, 3) and self.groups == 1 and self.data_format == "channels_last"
        if keeps_size and is_plain and not tf.config.list_logical_devices("GPU"):
            convolve = faster_convolution(inputs.shape[1:], self.filters, inputs.dtype)
            if convolve is not None:
                return convolve(inputs, tf.cast(kernel, inputs.dtype))
        return super().convolution_op(inputs, kernel)


def faster_convolution(image_shape: tuple[int | None, ...], filters: int, dtype: str | tf.DType) -> Callable | None:
    """The function of this module that is faster on a CPU than TensorFlow's convolution, or None.

    Args:
        image_shape: (height, width, channels); None where a side is not known.
        filters: channels of the output.
        dtype: of images and kernel.
    """
    *sides, channels = image_shape
    fewest = min(channels, filters)
    if None in sides:
        return None
    if dtype == "bfloat16":
        return convolve_with_product_gradient if fewest >= PRODUCT_GRADIENT_CHANNELS else None
    fits = all(side % TILE == 0 and side <= WINOGRAD_LARGEST_IMAGE for side in sides)
    if dtype in ("float32", "float64") and fewest >= WINOGRAD_CHANNELS and fits:
        return convolve_by_winograd
    return None


def convolve_by_winograd(images, kernel):
    """Convolve with a 3×3 kernel at stride 1, one pixel of zeros on every side, by Winograd's F(4×4, 3×3).

    Args:
        images: (b, height, width, channels), float32 or float64; height and width are known multiples of 4.
        kernel: (3, 3, channels, filters) of the same dtype.

    Returns:
        (b, height, width, filters) of the same dtype.
    """
    number, (height, width, channels), filters = tf.shape(images)[0], images.shape[1:], kernel.shape[3]
    down, across = height // TILE, width // TILE
    rows_in, rows_out = _transforms(down, images.dtype)
    columns_in, columns_out = _transforms(across, images.dtype)

    # Pixels first, so that each transform is a product from the left: rows become (point, tile), then columns do.
    values = tf.reshape(tf.transpose(images, (1, 2, 0, 3)), (height, width * number * channels))
    values = tf.reshape(rows_in @ values, (POINTS * down, width, number * channels))
    values = tf.reshape(columns_in @ values, (POINTS, down, POINTS, across * number * channels))
    values = tf.reshape(tf.transpose(values, (0, 2, 1, 3)), (POINTS**2, down * across * number, channels))

    kernel_transform = tf.constant(np.kron(KERNEL_TRANSFORM, KERNEL_TRANSFORM), images.dtype)
    kernels = kernel_transform @ tf.reshape(kernel, (9, channels * filters))
    values = values @ tf.reshape(kernels, (POINTS**2, channels, filters))

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


@tf.custom_gradient
def convolve_with_product_gradient(images, kernel):
    """Convolve with a 3×3 kernel at stride 1 by `tf.nn.conv2d`; the kernel's gradient is nine matrix products.

    The products leave out the zeros around the image: at 4×4 pixels, three tenths of the convolution.

    Args:
        images: (b, height, width, channels); height and width are known.
        kernel: (3, 3, channels, filters) of the same dtype.

    Returns:
        (b, height, width, filters) of the same dtype.
    """

    def gradient(upstream):
        # Pixels first: a shift of the rows is then a view, and one of the columns copies whole pixels.
        inputs, outputs = tf.transpose(images, (1, 2, 0, 3)), tf.transpose(upstream, (1, 2, 0, 3))
        products = {}
        for column in (-1, 0, 1):
            shifted_inputs, shifted_outputs = _overlap(inputs, outputs, column, axis=1)
            for row in (-1, 0, 1):
                left, right = _overlap(shifted_inputs, shifted_outputs, row, axis=0)
                left, right = (tf.reshape(values, (-1, values.shape[-1])) for values in (left, right))
                products[row, column] = tf.matmul(left, right, transpose_a=True)
        kernel_gradient = tf.stack([products[position] for position in sorted(products)])
        images_gradient = tf.nn.conv2d_transpose(upstream, kernel, tf.shape(images), 1, "SAME")
        return images_gradient, tf.reshape(kernel_gradient, kernel.shape)

    return tf.nn.conv2d(images, kernel, 1, "SAME"), gradient


def _overlap(inputs, outputs, shift: int, axis: int):
    """The inputs that an entry of the kernel so far from its centre multiplies, and the outputs that they enter."""
    size = inputs.shape[axis]
    every = (slice(None),) * axis
    seen, entered = slice(max(shift, 0), size + min(shift, 0)), slice(max(-shift, 0), size - max(shift, 0))
    return inputs[(*every, seen)], outputs[(*every, entered)]
