"""Convolutions of many channels as matrix products, which a CPU computes faster."""

import math
from collections.abc import Callable
from functools import partial

import keras
import numpy as np
import tensorflow as tf

# Where the products are faster, measured on two cores: see tests/benchmarks/README.md.
WINOGRAD_LARGEST_IMAGE = 32
WINOGRAD_CHANNELS = 128
WINOGRAD_CHANNELS_IN_PARTS = 64
LARGEST_KERNEL_IN_PARTS = 128  # channels; every part reads the whole transformed kernel
PART_SIZE = 2**18  # numbers in the images of a part, so that they and their transforms stay in the cache
MOST_PARTS = 8  # each is a piece of graph
PRODUCT_GRADIENT_CHANNELS = {1: 256, 2: 64}  # by stride, in bfloat16

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

    That is on a CPU, with 3×3 kernels and images in the format "channels_last", and there

    - in float32 and float64, with stride 1 and padding "same", for images of up to 32×32 pixels whose sides are
      multiples of 4: the whole convolution by Winograd's F(4×4, 3×3), which needs a quarter of the multiplications,
      from 128 channels on both sides; from 64 where the batch is known and small enough to be taken in a few parts. In
      float32 its rounding error is about 1e-5 of the largest output, where the direct sum has 1e-6;
    - in bfloat16 the gradient of the kernel, from 256 channels with stride 1 and padding "same", and from 64 with
      stride 2, padding "valid" and images of even sides.

    Everything else is left to `keras.layers.Conv2D`, also wherever TensorFlow sees a GPU. Arguments, inputs and outputs
    are those of `keras.layers.Conv2D`; `export_model` turns the layer into one.
    """

    def convolution_op(self, inputs, kernel):
        is_plain = self.kernel_size == (3, 3) and self.groups == 1 and self.data_format == "channels_last"
        is_plain = is_plain and self.dilation_rate == (1, 1)
        stride = {((1, 1), "same"): 1, ((2, 2), "valid"): 2}.get((self.strides, self.padding))
        if is_plain and stride and not tf.config.list_logical_devices("GPU"):
            convolve = faster_convolution(inputs.shape, self.filters, inputs.dtype, stride)
            if convolve is not None:
                return convolve(inputs, tf.cast(kernel, inputs.dtype))
        return super().convolution_op(inputs, kernel)


def faster_convolution(
    image_shape: tuple[int | None, ...], filters: int, dtype: str | tf.DType, stride: int = 1
) -> Callable | None:
    """The function of this module that is faster on a CPU than TensorFlow's convolution, or None.

    Args:
        image_shape: (number, height, width, channels); None for a length that is not known.
        filters: channels of the output.
        dtype: of images and kernel.
        stride: 1, with one pixel of zeros on every side, or 2, without.
    """
    number, *sides, channels = image_shape
    fewest = min(channels, filters)
    if None in sides:
        return None
    if dtype == "bfloat16":
        fits = fewest >= PRODUCT_GRADIENT_CHANNELS[stride] and all(side % stride == 0 for side in sides)
        return partial(convolve_with_product_gradient, stride=stride) if fits else None
    fits = all(side % TILE == 0 and side <= WINOGRAD_LARGEST_IMAGE for side in sides)
    in_parts = number is not None and number * math.prod(sides) * channels <= MOST_PARTS * PART_SIZE
    enough = fewest >= (WINOGRAD_CHANNELS_IN_PARTS if in_parts else WINOGRAD_CHANNELS)
    return convolve_by_winograd if stride == 1 and dtype in ("float32", "float64") and fits and enough else None


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
    count = _parts(images.shape, filters)
    if count == 1:
        return _convolve_part(images, kernels)
    sizes = [len(part) for part in np.array_split(range(images.shape[0]), count)]
    return tf.concat([_convolve_part(part, kernels) for part in tf.split(images, sizes)], 0)


def _parts(image_shape: tuple[int | None, ...], filters: int) -> int:
    """In how many parts a batch is convolved faster than as a whole."""
    number, *lengths = image_shape
    if not number or max(lengths[-1], filters) > LARGEST_KERNEL_IN_PARTS:
        return 1
    parts = math.ceil(number * math.prod(lengths) / PART_SIZE)
    return min(parts, number) if parts <= MOST_PARTS else 1


@tf.function(autograph=False)  # the parts of a batch, and layers of one shape, are traced once
def _convolve_part(images, kernels):
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


def convolve_with_product_gradient(images, kernel, stride: int = 1):
    """Convolve with a 3×3 kernel by `tf.nn.conv2d`; the kernel's gradient is made of matrix products.

    Args:
        images: (b, height, width, channels); height and width are known, at stride 2 even and at least 4.
        kernel: (3, 3, channels, filters) of the same dtype.
        stride: 1, with one pixel of zeros on every side, or 2, without.

    Returns:
        (b, height, width, filters) of the same dtype; at stride 2 (b, height/2 − 1, width/2 − 1, filters).
    """
    padding, kernel_gradient = {1: ("SAME", _kernel_gradient), 2: ("VALID", _kernel_gradient_by_two)}[stride]

    @tf.custom_gradient
    def convolve(images, kernel):
        def gradient(upstream):
            images_gradient = tf.nn.conv2d_transpose(upstream, kernel, tf.shape(images), stride, padding)
            return images_gradient, kernel_gradient(images, upstream)

        return tf.nn.conv2d(images, kernel, stride, padding), gradient

    return convolve(images, kernel)


def _kernel_gradient(images, upstream):
    """At stride 1: nine products, without the zeros around the image; at 4×4 pixels three tenths of the convolution."""
    # Pixels first: a shift of the rows is then a view, and one of the columns copies whole pixels.
    inputs, outputs = tf.transpose(images, (1, 2, 0, 3)), tf.transpose(upstream, (1, 2, 0, 3))
    products = {}
    for column in (-1, 0, 1):
        shifted_inputs, shifted_outputs = _overlap(inputs, outputs, column, axis=1)
        for row in (-1, 0, 1):
            products[row, column] = _product(*_overlap(shifted_inputs, shifted_outputs, row, axis=0))
    gradient = tf.stack([products[position] for position in sorted(products)])
    return tf.reshape(gradient, (3, 3, images.shape[3], upstream.shape[3]))


def _overlap(inputs, outputs, shift: int, axis: int):
    """The inputs that an entry of the kernel so far from its centre multiplies, and the outputs that they enter."""
    size = inputs.shape[axis]
    every = (slice(None),) * axis
    seen, entered = slice(max(shift, 0), size + min(shift, 0)), slice(max(-shift, 0), size - max(shift, 0))
    return inputs[(*every, seen)], outputs[(*every, entered)]


def _kernel_gradient_by_two(images, upstream):
    """At stride 2: four products. An output sees a block of 2×2 inputs, and of the blocks behind it the near pixels."""
    (height, width, channels), filters = images.shape[1:], upstream.shape[3]
    blocks = tf.reshape(images, (tf.shape(images)[0], height // 2, 2, width // 2, 2, channels))
    blocks = tf.transpose(blocks, (1, 3, 0, 2, 4, 5))
    outputs = tf.transpose(upstream, (1, 2, 0, 3))
    own, right = blocks[:-1, :-1], blocks[:-1, 1:, :, :, 0]
    below, corner = blocks[1:, :-1, :, 0], blocks[1:, 1:, :, 0, 0]
    own, right, below, corner = (
        tf.reshape(_product(tf.reshape(seen, (*outputs.shape[:2], -1, rows * columns * channels)), outputs), shape)
        for seen, rows, columns in ((own, 2, 2), (right, 2, 1), (below, 1, 2), (corner, 1, 1))
        for shape in [(rows, columns, channels, filters)]
    )
    return tf.concat([tf.concat([own, right], 1), tf.concat([below, corner], 1)], 0)


def _product(inputs, outputs):
    """Σ over all but the last axis: (…, channels) and (…, filters) make (channels, filters)."""
    inputs, outputs = (tf.reshape(values, (-1, values.shape[-1])) for values in (inputs, outputs))
    return tf.matmul(inputs, outputs, transpose_a=True)
