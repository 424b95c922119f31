"""The encoders: residual networks, their pre-activation variants and a multilayer perceptron."""

from collections.abc import Callable, Sequence
from functools import partial

import keras
import numpy as np

from simplexlab.encoder_name import ENCODERS
from simplexlab.errors import UsageError, nearest
from simplexlab.models.convolution import FastConvolution
from simplexlab.models.normalization import FusedBatchNormalization

# Every layer that takes images states it: a user's keras.json may ask for another.
FORMAT = "channels_last"
# Blocks in each stage; every stage after the first halves the image and doubles the width.
STAGES = {"resnet18": (2, 2, 2, 2), "resnet-small": (1, 1, 1)}
WIDTH = {"resnet18": 64, "resnet-small": 32, "mlp": 64}
HIDDEN_LAYERS = 3


def build_encoder(
    name: str,
    input_shape: Sequence[int],
    *,
    width: int | None = None,
    dimension: int | None = None,
    mean: Sequence[float] | None = None,
    standard_deviation: Sequence[float] | None = None,
    seed: int = 0,
    dtype: str | keras.DTypePolicy | None = None,
) -> keras.Model:
    """Build an encoder that maps raw images to representations.

    The layers are, in this order: normalisation of the images by constant channel statistics; the network; global
    average pooling over the pixels; with `dimension`, a linear map without bias.

    - `resnet18`: the authors' network for 32×32 images. A 3×3 convolution, then four stages of two basic blocks (He et
      al. 2016a) with widths w, 2w, 4w, 8w (w = 64 by default); 8w-dimensional.
    - `resnet-small`: three stages of one basic block with widths w, 2w, 4w (w = 32); 4w-dimensional.
    - `…-preact`: the same with full pre-activation (He et al. 2016b). After the last addition comes a batch
      normalisation but no ReLU, so representations take negative values and the simplex is within reach (§5.2).
    - `mlp`: three hidden layers of 4w units (w = 64) with batch normalisation and ReLU; 4w-dimensional.

    As in the authors' code, convolutions have no bias, zero padding is one pixel on every side, batch normalisation has
    momentum 0.9 (PyTorch's 0.1) and ε = 1e-5, and the shortcut of a block that changes shape is a 1×1 convolution.
    Kernels are drawn from U(−1/√f, 1/√f) with f the fan-in, PyTorch's default.

    Args:
        name: one of `simplexlab.encoder_name.ENCODERS`.
        input_shape: (height, width, channels) of the images.
        width: channels w of the first stage.
        dimension: dimension of a final linear map.
        mean: mean of each channel over the training images, in the units of the images.
        standard_deviation: standard deviation of each channel; a channel of standard deviation 0 is only centred.
            Without `mean` and `standard_deviation`, images are taken as they come.
        seed: the same seed gives the same weights, whatever was built before.
        dtype: dtype policy of the layers; by default Keras's global policy. Images are normalised, and representations
            computed from the last feature map, in at least float32.

    Returns:
        A functional model from images (b, height, width, channels), uint8 or float, to representations (b, h); its
        output layer is called "representation".

    Raises:
        UsageError: an unknown name, or a shape, width or dimension that is not positive.
    """
    if name not in ENCODERS:
        raise UsageError(f"encoder {name}: {nearest(name, ENCODERS)}")
    if len(input_shape) != 3 or min(input_shape) < 1:
        raise UsageError(f"encoder {name} takes images of shape (height, width, channels), not {tuple(input_shape)}")
    family = name.removesuffix("-preact")
    width = WIDTH[family] if width is None else width
    if width < 1 or (dimension is not None and dimension < 1):
        raise UsageError(f"encoder {name}: width {width} and dimension {dimension} must be at least 1")

    layers = _Layers(keras.dtype_policies.get(dtype or keras.config.dtype_policy()), seed)
    images = x = keras.Input(input_shape, dtype=layers.precise, name="images")
    if mean is not None:
        deviation = np.asarray(standard_deviation, float)
        variance = np.where(deviation > 0, deviation**2, 1.0)
        x = keras.layers.Normalization(
            mean=np.asarray(mean, float).tolist(),
            variance=variance.tolist(),
            dtype=layers.precise,
            name="normalization",
        )(x)
    if family == "mlp":
        x = keras.layers.Flatten(FORMAT, dtype=layers.policy)(x)
        for _ in range(HIDDEN_LAYERS):
            x = layers.relu(layers.normalize(layers.dense(4 * width)(x)))
        pool = keras.layers.Identity
    else:
        network = _preact_network if name.endswith("-preact") else _network
        x = network(layers, x, width, STAGES[family])
        pool = partial(keras.layers.GlobalAveragePooling2D, FORMAT)
    if dimension is None:
        x = pool(dtype=layers.precise, name="representation")(x)
    else:
        x = pool(dtype=layers.precise)(x)
        x = layers.dense(dimension, dtype=layers.precise, name="representation")(x)
    return keras.Model(images, x, name=name)


class _Layers:
    """The layers of one encoder, with its dtype policy and a seed for each kernel."""

    def __init__(self, policy: keras.DTypePolicy, seed: int):
        self.policy = policy
        self.precise = keras.backend.result_type(policy.compute_dtype, "float32")
        self._seeds = np.random.default_rng(seed)

    def _kernel(self) -> keras.Initializer:
        return keras.initializers.VarianceScaling(
            scale=1 / 3, mode="fan_in", distribution="uniform", seed=int(self._seeds.integers(2**31))
        )

    def dense(self, units: int, dtype=None, name: str | None = None) -> keras.Layer:
        return keras.layers.Dense(
            units, use_bias=False, kernel_initializer=self._kernel(), dtype=dtype or self.policy, name=name
        )

    def convolve(self, x, filters: int, size: int, stride: int = 1):
        return FastConvolution(
            filters,
            size,
            stride,
            padding="same",
            symmetric=True,
            data_format=FORMAT,
            use_bias=False,
            kernel_initializer=self._kernel(),
            dtype=self.policy,
        )(x)

    def normalize(self, x):
        return FusedBatchNormalization(momentum=0.9, epsilon=1e-5, dtype=self.policy)(x)

    def relu(self, x):
        return keras.layers.ReLU(dtype=self.policy)(x)

    def add(self, x, y):
        return keras.layers.Add(dtype=self.policy)([x, y])


def least_memory(
    name: str,
    input_shape: Sequence[int],
    *,
    width: int,
    dimension: int | None,
    num_classes: int,
    batch_size: int,
    precision: str = "float32",
) -> int:
    """Bytes that a training step needs at least: weights, their gradients and momentum, and what it keeps of the batch.

    Args:
        name, input_shape, width, dimension: as of `build_encoder`.
        num_classes: rows of the classifier.
        batch_size: images a step on one machine.
        precision: float32, float64, or bfloat16, which keeps float32 weights.
    """
    height, columns, channels = input_shape
    family = name.removesuffix("-preact")
    if family == "mlp":
        features = 4 * width
        weights = (height * columns * channels + (HIDDEN_LAYERS - 1) * features) * features
        outputs = HIDDEN_LAYERS * features
    else:
        pixels, features = height * columns, width
        weights, outputs = 9 * channels * width, pixels * width
        for stage, blocks in enumerate(STAGES[family]):
            before, features = features, width * 2**stage
            pixels = -(-height // 2**stage) * -(-columns // 2**stage)
            weights += 9 * features * (before + (2 * blocks - 1) * features)
            outputs += 2 * blocks * pixels * features
    if dimension is not None:
        weights, outputs, features = weights + features * dimension, outputs + dimension, dimension
    weights += num_classes * features
    number = 8 if precision == "float64" else 4
    return 3 * number * weights + batch_size * outputs * (2 if precision == "bfloat16" else number)


def _network(layers: _Layers, x, width: int, stages: Sequence[int]):
    x = layers.relu(layers.normalize(layers.convolve(x, width, 3)))
    return _each_block(layers, _block, x, width, stages)


def _preact_network(layers: _Layers, x, width: int, stages: Sequence[int]):
    x = _each_block(layers, _preact_block, layers.convolve(x, width, 3), width, stages)
    return layers.normalize(x)


def _each_block(layers: _Layers, block: Callable, x, width: int, stages: Sequence[int]):
    for stage, blocks in enumerate(stages):
        for index in range(blocks):
            x = block(layers, x, width * 2**stage, 2 if stage > 0 and index == 0 else 1)
    return x


def _block(layers: _Layers, x, filters: int, stride: int):
    y = layers.relu(layers.normalize(layers.convolve(x, filters, 3, stride)))
    y = layers.normalize(layers.convolve(y, filters, 3))
    if stride > 1 or x.shape[-1] != filters:
        x = layers.normalize(layers.convolve(x, filters, 1, stride))
    return layers.relu(layers.add(y, x))


def _preact_block(layers: _Layers, x, filters: int, stride: int):
    y = layers.relu(layers.normalize(x))
    if stride > 1 or x.shape[-1] != filters:
        x = layers.convolve(y, filters, 1, stride)
    y = layers.convolve(y, filters, 3, stride)
    y = layers.convolve(layers.relu(layers.normalize(y)), filters, 3)
    return layers.add(y, x)
