"""The encoders: shapes, seeds, sign, normalisation, and the network built anew from plain operations."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from simplexlab.encoder_name import ENCODERS
from simplexlab.errors import UsageError
from simplexlab.models import FusedBatchNormalization, build_encoder, export_model, is_nonnegative

SHORT = [name for name in ENCODERS if not name.startswith("resnet18")]  # which are the small ones with more blocks


def images_of(*shape):
    return np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)


@pytest.mark.parametrize("name", ENCODERS)
@pytest.mark.parametrize("shape", [(32, 32, 3), (9, 7, 2), (1, 1, 1)])
def test_any_image_size_and_channel_count(name, shape):
    encoder = build_encoder(name, shape, width=4, mean=[100.0] * shape[2], standard_deviation=[50.0] * shape[2])
    representations = encoder(images_of(3, *shape)).numpy()
    assert representations.shape == (3, 32 if "resnet18" in name else 16)
    assert representations.dtype == np.float32
    assert encoder.layers[-1].name == "representation"
    assert np.all(np.isfinite(representations))


def test_resnet18_at_full_width_is_the_authors():
    encoder = build_encoder("resnet18", (32, 32, 3))
    assert encoder.output_shape == (None, 512)
    # PyTorch's count for the same network: 11,173,962 with a classifier of 10 classes and bias.
    trainable = sum(int(np.prod(weight.shape)) for weight in encoder.trainable_weights)
    assert trainable == 11_173_962 - 512 * 10 - 10
    normalizations = [layer for layer in encoder.layers if isinstance(layer, FusedBatchNormalization)]
    assert {(layer.momentum, layer.epsilon) for layer in normalizations} == {(0.9, 1e-5)}
    assert len(normalizations) == 20


def convolve(x, kernel, stride):
    """Convolution with one pixel of zeros on every side of a 3×3 window, as PyTorch's padding=1."""
    pad = kernel.shape[0] // 2
    x = np.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    size = kernel.shape[0]
    windows = np.lib.stride_tricks.sliding_window_view(x, (size, size), axis=(1, 2))[:, ::stride, ::stride]
    return np.einsum("bijcuv,uvcd->bijd", windows, kernel)


def relu(x):
    return np.maximum(x, 0)


class Weights:
    """Hands out an encoder's kernels and normalisations in the order in which the network uses them."""

    def __init__(self, encoder):
        self.kernels = [layer.get_weights()[0] for layer in encoder.layers if isinstance(layer, keras.layers.Conv2D)]
        self.statistics = [
            layer.get_weights() for layer in encoder.layers if isinstance(layer, FusedBatchNormalization)
        ]

    def convolve(self, x, shape, stride=1):
        index = next(i for i, kernel in enumerate(self.kernels) if kernel.shape == shape)
        return convolve(x, self.kernels.pop(index), stride)

    def normalize(self, x):
        index = next(i for i, weights in enumerate(self.statistics) if len(weights[0]) == x.shape[-1])
        gamma, beta, mean, variance = self.statistics.pop(index)
        return gamma * (x - mean) / np.sqrt(variance + 1e-5) + beta


def randomise(encoder):
    generator = np.random.default_rng(5)
    for layer in encoder.layers:
        if isinstance(layer, FusedBatchNormalization):
            size = layer.gamma.shape[0]
            layer.set_weights([generator.normal(1, 0.2, size), *generator.normal(0, 0.3, (2, size)), np.ones(size)])


@pytest.mark.parametrize("stages", [("resnet-small", (1, 1, 1)), ("resnet18", (2, 2, 2, 2))])
def test_the_residual_network_in_numpy(stages):
    name, blocks = stages
    encoder = build_encoder(
        name, (9, 8, 2), width=3, mean=[100.0, 90.0], standard_deviation=[50.0, 0.0], dtype="float64"
    )
    randomise(encoder)
    images, weights = images_of(2, 9, 8, 2), Weights(encoder)
    x = (images - [100.0, 90.0]) / [50.0, 1.0]
    x = relu(weights.normalize(weights.convolve(x, (3, 3, 2, 3))))
    for stage, count in enumerate(blocks):
        for index in range(count):
            filters, channels = 3 * 2**stage, x.shape[-1]
            stride = 2 if stage and not index else 1
            y = weights.convolve(x, (3, 3, channels, filters), stride)
            y = weights.convolve(relu(weights.normalize(y)), (3, 3, filters, filters))
            y = weights.normalize(y)
            if stride == 2:
                x = weights.normalize(weights.convolve(x, (1, 1, channels, filters), stride))
            x = relu(x + y)
    np.testing.assert_allclose(encoder(images), x.mean((1, 2)), rtol=1e-10)
    assert not weights.kernels
    assert not weights.statistics


def test_the_preactivation_network_in_numpy():
    encoder = build_encoder("resnet-small-preact", (9, 8, 2), width=3, dtype="float64")
    randomise(encoder)
    x = images_of(2, 9, 8, 2) / 64.0
    images, weights = x, Weights(encoder)
    x = weights.convolve(x, (3, 3, 2, 3))
    for stage in range(3):
        filters, channels, stride = 3 * 2**stage, x.shape[-1], 2 if stage else 1
        active = relu(weights.normalize(x))
        y = weights.convolve(active, (3, 3, channels, filters), stride)
        y = weights.convolve(relu(weights.normalize(y)), (3, 3, filters, filters))
        x = y + (weights.convolve(active, (1, 1, channels, filters), stride) if stage else x)
    x = weights.normalize(x)
    np.testing.assert_allclose(encoder(images), x.mean((1, 2)), rtol=1e-10)
    assert not weights.kernels
    assert not weights.statistics


@pytest.mark.parametrize("name", ENCODERS)
@pytest.mark.parametrize("dimension", [None, 5])
def test_nonnegative_is_what_the_representations_are(name, dimension):
    encoder = build_encoder(name, (8, 8, 1), width=4, dimension=dimension)
    smallest = encoder(images_of(16, 8, 8, 1) / 255.0, training=True).numpy().min()
    assert (smallest >= 0) == is_nonnegative(name, dimension)
    if dimension:
        assert encoder.output_shape == (None, dimension)


@pytest.mark.parametrize("name", SHORT)
def test_the_seed_alone_decides_the_weights(name):
    first = build_encoder(name, (8, 8, 1), width=4, dimension=3, seed=1).get_weights()
    tf.random.normal((3,))
    keras.utils.set_random_seed(99)
    again = build_encoder(name, (8, 8, 1), width=4, dimension=3, seed=1).get_weights()
    other = build_encoder(name, (8, 8, 1), width=4, dimension=3, seed=2).get_weights()
    for a, b, c in zip(first, again, other, strict=True):
        np.testing.assert_array_equal(a, b)
        assert np.ptp(a) == 0 or not np.array_equal(a, c)
    kernels = [weight for weight in first if weight.ndim > 1]
    for kernel in kernels:
        bound = 1 / np.sqrt(np.prod(kernel.shape[:-1]))
        assert 0.8 * bound < np.abs(kernel).max() <= bound
    assert len({kernel.flat[0] * np.sqrt(np.prod(kernel.shape[:-1])) for kernel in kernels}) == len(kernels)


def test_normalisation_by_the_training_statistics_is_part_of_the_model():
    options = {"width": 4, "seed": 3}
    images = images_of(4, 8, 8, 2)
    raw = build_encoder("mlp", (8, 8, 2), mean=[100.0, 120.0], standard_deviation=[30.0, 0.0], **options)
    plain = build_encoder("mlp", (8, 8, 2), **options)
    np.testing.assert_allclose(raw(images), plain((images - [100.0, 120.0]) / [30.0, 1.0]), atol=1e-5)


@pytest.mark.parametrize("name", ENCODERS)
def test_bfloat16_computes_near_float32_and_keeps_its_parameters_in_it(name):
    options = {"width": 4, "mean": [120.0], "standard_deviation": [60.0]}
    images = images_of(32, 8, 8, 1)
    full = build_encoder(name, (8, 8, 1), **options)
    half = build_encoder(name, (8, 8, 1), dtype="mixed_bfloat16", **options)
    representations = half(images, training=True)
    assert representations.dtype == "float32"
    assert {weight.dtype for weight in half.weights} == {"float32"}
    expected = full(images, training=True).numpy()
    assert np.abs(representations - expected).mean() < 0.05 * np.abs(expected).mean()


@pytest.fixture
def channels_first():
    """Keras as somebody whose keras.json says so has it."""
    before = keras.config.image_data_format()
    keras.config.set_image_data_format("channels_first")
    yield
    keras.config.set_image_data_format(before)


@pytest.fixture(params=SHORT)
def plain_encoder(request):
    return build_encoder(
        request.param, (6, 8, 3), width=4, dimension=2, mean=[100.0] * 3, standard_deviation=[50.0] * 3
    )


def test_the_image_format_of_a_user_s_keras_changes_nothing(plain_encoder, channels_first):
    options = {"width": 4, "dimension": 2, "mean": [100.0] * 3, "standard_deviation": [50.0] * 3}
    encoder = build_encoder(plain_encoder.name, (6, 8, 3), **options)
    images = images_of(4, 6, 8, 3)
    np.testing.assert_array_equal(encoder(images, training=True), plain_encoder(images, training=True))
    np.testing.assert_array_equal(export_model(encoder)(images), export_model(plain_encoder)(images))
    formats = {layer.data_format for layer in encoder.layers if hasattr(layer, "data_format")}
    assert formats == {"channels_last"}


@pytest.mark.parametrize(
    ("name", "shape", "options", "message"),
    [
        ("resnet-smal", (8, 8, 1), {}, "did you mean resnet-small"),
        ("mlp", (8, 8), {}, r"\(height, width, channels\), not \(8, 8\)"),
        ("mlp", (8, 0, 1), {}, r"not \(8, 0, 1\)"),
        ("mlp", (8, 8, 1), {"width": 0}, "width 0 .* at least 1"),
        ("mlp", (8, 8, 1), {"dimension": 0}, "dimension 0 .* at least 1"),
    ],
)
def test_wrong_use_is_told(name, shape, options, message):
    with pytest.raises(UsageError, match=message):
        build_encoder(name, shape, **options)
