"""The encoders' convolution: Keras's, or on a CPU one of two faster ways to compute it."""

import math
from collections.abc import Callable
from functools import partial

import keras
import tensorflow as tf

from simplexlab.models import winograd
from simplexlab.models.product_gradient import convolve_with_product_gradient

# Where the products are faster, measured on two cores: see tests/benchmarks/README.md.
WINOGRAD_LARGEST_IMAGE = 32
WINOGRAD_CHANNELS = 128
WINOGRAD_CHANNELS_IN_PARTS = 64
PRODUCT_GRADIENT_CHANNELS = {1: 256, 2: 64}  # by stride, in bfloat16


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
    """The function that is faster on a CPU than TensorFlow's convolution, or None.

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
    fits = all(side % winograd.TILE == 0 and side <= WINOGRAD_LARGEST_IMAGE for side in sides)
    in_parts = number is not None and number * math.prod(sides) * channels <= winograd.MOST_PARTS * winograd.PART_SIZE
    enough = fewest >= (WINOGRAD_CHANNELS_IN_PARTS if in_parts else WINOGRAD_CHANNELS)
    fits = fits and enough and stride == 1 and dtype in ("float32", "float64")
    return winograd.convolve_by_winograd if fits else None
