"""The encoders' convolution: Keras's, or on a CPU one of several faster ways to compute it."""

import functools
from collections.abc import Callable
from functools import partial
from pathlib import Path

import keras
import tensorflow as tf

from simplexlab.models.product_gradient import convolve_with_product_gradient
from simplexlab.models.products import convolve_as_dense, convolve_by_patches
from simplexlab.models.winograd import TILE, convolve_by_winograd

# Where the products are faster, measured on two cores: see tests/benchmarks/README.md.
WINOGRAD_CHANNELS = {32: 128, 8: 64}  # by the longest side
PATCHES_LONGEST_SIDE = 8
DENSE_LONGEST_SIDE = 2
PRODUCT_GRADIENT_CHANNELS = {1: 256, 2: 64}  # by stride, in bfloat16

PROCESSOR = Path("/proc/cpuinfo")


@keras.saving.register_keras_serializable(package="simplexlab")
class FastConvolution(keras.layers.Conv2D):
    """A two-dimensional convolution that a CPU computes as matrix products where they are faster.

    That is on a CPU, for images in the format "channels_last", and there in float32 and float64

    - 3×3 kernels with stride 1 and images of up to 32×32 pixels whose sides are multiples of 4: the whole convolution
      by Winograd's F(4×4, 3×3), which needs a quarter of the multiplications, from 128 channels on both sides; from 64
      for up to 8×8 pixels. In float32 its rounding error is about 1e-5 of the largest output, where the direct sum has
      1e-6;
    - 3×3 kernels and up to 2×2 pixels, and with stride 2 up to 8×8 pixels: one product;
    - 1×1 kernels with stride 2: one product.

    In bfloat16 the gradient of 3×3 kernels is made of products, from 256 channels with stride 1 and from 64 with stride
    2 and images of even sides, and 1×1 kernels are taken as above. A processor that does not multiply bfloat16 faster
    than float32 takes the ways of float32 for all of them, which round less: the outputs alone are rounded to bfloat16.

    Everything else is left to TensorFlow, also wherever it sees a GPU. Arguments, inputs and outputs are those of
    `keras.layers.Conv2D`, with one more; `export_model` turns the layer into that one.

    Args:
        symmetric: with padding "same", zeros are put on every side alike, as PyTorch does it. At stride 2 Keras puts
            fewer of them, or none, before an image.

    Raises:
        ValueError: `symmetric` without padding "same", or with a kernel of even size, dilated or in groups.
    """

    def __init__(self, *arguments, symmetric: bool = False, **options):
        super().__init__(*arguments, **options)
        odd = all(size % 2 for size in self.kernel_size)
        dilated = self.dilation_rate != (1, 1) or self.groups > 1
        if symmetric and (self.padding != "same" or not odd or dilated or self.data_format != "channels_last"):
            raise ValueError("symmetric takes padding same, kernels of odd size, no dilation, no groups, channels_last")
        self.symmetric = symmetric

    def get_config(self):
        return {**super().get_config(), "symmetric": self.symmetric}

    def convolution_op(self, inputs, kernel):
        if tf.config.list_logical_devices("GPU"):
            return self._library(inputs, kernel)
        if inputs.dtype == "bfloat16" and not multiplies_bfloat16():
            outputs = self._fastest(tf.cast(inputs, "float32"), tf.cast(kernel, "float32"))
            return tf.cast(outputs, "bfloat16")
        return self._fastest(inputs, tf.cast(kernel, inputs.dtype))

    def _fastest(self, inputs, kernel):
        # At stride 1 padding "same" is symmetric for kernels of odd size, and of a 1×1 kernel there is none.
        plain = self.groups == 1 and self.dilation_rate == (1, 1) and self.data_format == "channels_last"
        around = self.symmetric or (self.padding == "same" and self.strides == (1, 1)) or self.kernel_size == (1, 1)
        if plain and around and self.strides in ((1, 1), (2, 2)):
            convolve = faster_convolution(inputs.shape, tuple(kernel.shape), inputs.dtype, self.strides[0])
            if convolve is not None:
                return convolve(inputs, kernel)
        return self._library(inputs, kernel)

    def _library(self, inputs, kernel):
        if not self.symmetric or self.strides == (1, 1):
            return super().convolution_op(inputs, kernel)
        # TensorFlow takes the zeros as an argument, too, and is then up to twice as slow on a CPU.
        rows, columns = (size // 2 for size in self.kernel_size)
        inputs = tf.pad(inputs, [[0, 0], [rows, rows], [columns, columns], [0, 0]])
        return tf.nn.conv2d(inputs, kernel, self.strides, "VALID")


def faster_convolution(
    image_shape: tuple[int | None, ...], kernel_shape: tuple[int, ...], dtype: str | tf.DType, stride: int = 1
) -> Callable | None:
    """The function that is faster on a CPU than TensorFlow's convolution, or None.

    Args:
        image_shape: (number, height, width, channels); None for a length that is not known.
        kernel_shape: (rows, columns, channels, filters); there are zeros around the images for 3×3 kernels.
        dtype: of images and kernel.
        stride: 1 or 2.

    Returns:
        A function of images and kernel.
    """
    sides, size, fewest = image_shape[1:3], tuple(kernel_shape[:2]), min(kernel_shape[2:])
    if None in sides or dtype not in ("float32", "float64", "bfloat16"):
        return None
    longest = max(sides)
    by_patches = partial(convolve_by_patches, stride=stride)
    if size == (1, 1):
        return by_patches if stride == 2 else None
    if size != (3, 3):
        return None
    if dtype == "bfloat16":
        fits = fewest >= PRODUCT_GRADIENT_CHANNELS[stride] and all(side % stride == 0 for side in sides)
        return partial(convolve_with_product_gradient, stride=stride) if fits else None
    if longest <= DENSE_LONGEST_SIDE:
        return partial(convolve_as_dense, stride=stride)
    if stride == 2:
        return by_patches if longest <= PATCHES_LONGEST_SIDE else None
    enough = [channels for side, channels in WINOGRAD_CHANNELS.items() if longest <= side]
    fits = enough and fewest >= min(enough) and all(side % TILE == 0 for side in sides)
    return convolve_by_winograd if fits else None


@functools.cache
def multiplies_bfloat16() -> bool:
    """Whether this processor multiplies bfloat16 faster than float32, by its own account.

    AMX, AMD's AVX-512 and Arm's extension are taken to do so. Of Intel's AVX-512 it was measured that TensorFlow's
    convolutions do not; of processors without any of them it is assumed, as there the library emulates bfloat16. One
    that gives no account in /proc/cpuinfo is left to TensorFlow.
    """
    try:
        account = PROCESSOR.read_text()
    except OSError:
        return True
    words = set(account.split())
    return bool(words & {"amx_bf16", "bf16"}) or {"AuthenticAMD", "avx512_bf16"} <= words
