"""Fast convolutions against the definition, TensorFlow's gradients and Keras's layer."""

from functools import partial

import keras
import numpy as np
import pytest
import tensorflow as tf

from simplexlab.models import FastConvolution, convolution, export_model, winograd
from simplexlab.models.convolution import faster_convolution
from simplexlab.models.product_gradient import convolve_with_product_gradient
from simplexlab.models.winograd import convolve_by_winograd

METHODS = {
    (convolve_by_winograd, 1): [(4, 4), (8, 4), (12, 20), (32, 32)],
    (convolve_with_product_gradient, 1): [(1, 1), (2, 5), (4, 4), (7, 8)],
    (convolve_with_product_gradient, 2): [(4, 4), (4, 6), (10, 8), (18, 18)],
}
CASES = [
    pytest.param(method if stride == 1 else partial(method, stride=stride), stride, shape)
    for (method, stride), shapes in METHODS.items()
    for shape in shapes
]


def numbers(seed, *shape, dtype="float64"):
    return tf.cast(np.random.default_rng(seed).normal(size=shape), dtype)


def by_definition(images, kernel, stride):
    """out[b, i, j] = Σ in[b, s·i + u − p, s·j + v − p] · kernel[u, v], with p = 1 at stride s = 1 and p = 0 at 2."""
    padding = 1 if stride == 1 else 0
    padded = np.pad(images, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))[:, ::stride, ::stride]
    return np.einsum("bijcuv,uvcd->bijd", windows, kernel)


def gradients(convolve, images, kernel, upstream):
    with tf.GradientTape() as tape:
        tape.watch((images, kernel))
        outputs = convolve(images, kernel)
    return tape.gradient(outputs, (images, kernel), upstream)


def library(images, kernel, stride=1):
    return tf.nn.conv2d(images, kernel, stride, "SAME" if stride == 1 else "VALID")


@pytest.mark.parametrize(("convolve", "stride", "sides"), CASES)
def test_the_outputs_are_those_of_the_definition(convolve, stride, sides):
    images, kernel = numbers(0, 3, *sides, 5), numbers(1, 3, 3, 5, 4)
    expected = by_definition(images.numpy(), kernel.numpy(), stride)
    np.testing.assert_allclose(convolve(images, kernel), expected, rtol=0, atol=1e-12 * np.abs(expected).max())


@pytest.mark.parametrize(("convolve", "stride", "sides"), CASES)
def test_the_gradients_are_those_of_tensorflow(convolve, stride, sides):
    images, kernel = numbers(0, 3, *sides, 5), numbers(1, 3, 3, 5, 4)
    upstream = numbers(2, *library(images, kernel, stride).shape)
    expected = gradients(partial(library, stride=stride), images, kernel, upstream)
    compiled = tf.function(lambda *tensors: gradients(convolve, *tensors), autograph=False)
    for found in (gradients(convolve, images, kernel, upstream), compiled(images, kernel, upstream)):
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(one, other, rtol=0, atol=1e-12 * np.abs(other).max())


@pytest.mark.parametrize(("channels", "side"), [(128, 16), (256, 8), (512, 4)])
def test_winograd_in_float32_rounds_as_its_docstring_says(channels, side):
    images, kernel = numbers(0, 2, side, side, channels), numbers(1, 3, 3, channels, 128)
    exact = library(images, kernel).numpy()
    found = convolve_by_winograd(tf.cast(images, "float32"), tf.cast(kernel, "float32")).numpy()
    assert np.abs(found - exact).max() < 3e-5 * np.abs(exact).max()


def test_the_bfloat16_gradient_is_as_near_to_the_exact_one_as_the_librarys():
    rounded = [numbers(seed, *shape, dtype="bfloat16") for seed, shape in enumerate([(8, 4, 4, 256), (3, 3, 256, 256)])]
    rounded.append(numbers(2, 8, 4, 4, 256, dtype="bfloat16"))
    exact = gradients(library, *(tf.cast(values, "float64") for values in rounded))[1]
    errors = {}
    for convolve in (library, convolve_with_product_gradient):
        found = gradients(convolve, *rounded)[1]
        assert found.dtype == "bfloat16"
        errors[convolve] = np.abs(tf.cast(found, "float64") - exact).mean()
    assert errors[convolve_with_product_gradient] < 1.1 * errors[library]


@pytest.mark.parametrize(
    ("number", "parts"),
    [(1, [1]), (4, [2, 2]), (7, [2, 2, 2, 1]), (16, [2] * 8), (17, [17]), (None, [None])],
    ids=str,
)
def test_a_batch_in_parts_is_the_batch(number, parts, monkeypatch):
    """Two images of 8×8×4 numbers are a part; 17 would be more than the most parts."""
    monkeypatch.setattr(winograd, "PART_SIZE", 2 * 8 * 8 * 4)
    whole, taken = winograd._convolve_part, []

    def recording(images, kernels):
        taken.append(images.shape[0])
        return whole(images, kernels)

    monkeypatch.setattr(winograd, "_convolve_part", recording)
    shapes = [(number, 8, 8, 4), (3, 3, 4, 6), (number, 8, 8, 6)]

    @tf.function(autograph=False, input_signature=[tf.TensorSpec(shape, "float64") for shape in shapes])
    def results(images, kernel, upstream):
        found = gradients(convolve_by_winograd, images, kernel, upstream)
        assert taken == parts
        return convolve_by_winograd(images, kernel), *found

    tensors = [numbers(seed, *(length or 5 for length in shape)) for seed, shape in enumerate(shapes)]
    expected = library(*tensors[:2]), *gradients(library, *tensors)
    for one, other in zip(results(*tensors), expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-12 * np.abs(other).max())


def test_large_kernels_are_read_once():
    assert winograd._parts((64, 16, 16, 128), 128) == 8
    assert winograd._parts((64, 16, 16, 128), 256) == 1


@pytest.mark.parametrize(
    ("shape", "filters", "dtype", "stride", "method"),
    [
        ((None, 16, 16, 128), 128, "float32", 1, convolve_by_winograd),
        ((256, 32, 32, 128), 128, "float32", 1, convolve_by_winograd),
        ((None, 4, 32, 256), 128, "float64", 1, convolve_by_winograd),
        ((None, 16, 16, 127), 128, "float32", 1, None),
        ((None, 16, 16, 128), 64, "float32", 1, None),
        ((128, 16, 16, 64), 64, "float32", 1, convolve_by_winograd),
        ((129, 16, 16, 64), 64, "float32", 1, None),
        ((64, 16, 16, 64), 63, "float32", 1, None),
        ((None, 6, 8, 128), 128, "float32", 1, None),
        ((None, 36, 36, 128), 128, "float32", 1, None),
        ((None, None, 8, 128), 128, "float32", 1, None),
        ((None, 16, 16, 128), 128, "bfloat16", 1, None),
        ((None, 16, 16, 128), 128, "float16", 1, None),
        ((None, 7, 7, 256), 256, "bfloat16", 1, convolve_with_product_gradient),
        ((None, None, 8, 256), 256, "bfloat16", 1, None),
        ((None, 18, 18, 64), 128, "bfloat16", 2, convolve_with_product_gradient),
        ((None, 18, 18, 32), 64, "bfloat16", 2, None),
        ((None, 17, 18, 64), 128, "bfloat16", 2, None),
        ((None, 10, 10, 256), 512, "float32", 2, None),
        ((None, 8, 8, 512), 512, "float64", 2, None),
    ],
)
def test_which_images_take_which_way(shape, filters, dtype, stride, method):
    found = faster_convolution(shape, filters, dtype, stride)
    assert getattr(found, "func", found) is method
    assert method is not convolve_with_product_gradient or found.keywords == {"stride": stride}


@pytest.fixture
def taken(monkeypatch):
    """The methods that layers take, in their order."""
    calls = []

    def recording(*arguments):
        found = faster_convolution(*arguments)
        calls.append(getattr(found, "func", found))
        return found

    monkeypatch.setattr(convolution, "faster_convolution", recording)
    return calls


def both_layers(channels, filters, size=3, **options):
    """The same convolution by our layer and by Keras's."""
    layers = []
    for kind in (FastConvolution, keras.layers.Conv2D):
        layer = kind(filters, size, kernel_initializer=keras.initializers.RandomNormal(seed=3), **options)
        layer.build((None, 8, 8, channels))
        layers.append(layer)
    return layers


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [("float32", 3e-5), ("float64", 1e-12), ("mixed_bfloat16", 0)], ids=lambda value: str(value)
)
def test_the_layer_is_keras_convolution(dtype, tolerance, taken):
    fast, plain = both_layers(256, 256, padding="same", dtype=dtype, bias_initializer="ones", activation="relu")
    images = numbers(0, 2, 8, 8, 256, dtype=plain.compute_dtype)
    expected, found = tf.cast(plain(images), "float64").numpy(), tf.cast(fast(images), "float64").numpy()
    assert taken == [convolve_with_product_gradient if "bfloat16" in dtype else convolve_by_winograd]
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * np.abs(expected).max())
    assert fast.compute_output_spec(keras.KerasTensor((None, 8, 8, 256))).shape == (None, 8, 8, 256)


def test_the_layer_of_stride_2_is_keras_convolution(taken):
    images = numbers(0, 2, 10, 10, 256, dtype="float32")
    found = []
    for layer in both_layers(256, 256, padding="valid", strides=2, dtype="mixed_bfloat16", use_bias=False):
        with tf.GradientTape() as tape:
            outputs = layer(images)
        found.append([tf.cast(values, "float32") for values in (outputs, tape.gradient(outputs, layer.kernel))])
    assert taken == [convolve_with_product_gradient]
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-2 * np.abs(other).max())


@pytest.mark.parametrize(
    "options",
    [
        {"padding": "valid"},
        {"padding": "valid", "strides": (1, 2)},
        {"padding": "same", "strides": 2},
        {"padding": "same", "size": 5},
        {"padding": "same", "groups": 2},
        {"padding": "same", "dilation_rate": 2},
    ],
    ids=str,
)
def test_what_is_not_faster_is_left_to_keras(options, taken):
    fast, plain = both_layers(256, 256, **options)
    images = numbers(0, 2, 8, 8, 256, dtype="float32")
    np.testing.assert_array_equal(fast(images), plain(images))
    assert not taken


def test_a_gpu_takes_the_librarys_convolution(monkeypatch, taken):
    fast, plain = both_layers(128, 128, padding="same")
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: ["GPU:0"] if kind == "GPU" else [])
    images = numbers(0, 2, 8, 8, 128, dtype="float32")
    np.testing.assert_array_equal(fast(images), plain(images))
    assert not taken


@pytest.mark.parametrize("number", [0, 1, 5])
def test_any_number_of_images(number):
    fast, plain = both_layers(128, 128, padding="same")
    images = numbers(0, number, 8, 8, 128, dtype="float32")
    np.testing.assert_allclose(fast(images), plain(images), atol=1e-3)


def test_the_same_images_give_the_same_bits():
    images, kernel = numbers(0, 16, 16, 16, 128, dtype="float32"), numbers(1, 3, 3, 128, 128, dtype="float32")
    compiled = tf.function(lambda *tensors: gradients(convolve_by_winograd, *tensors), autograph=False)
    first, *others = [compiled(images, kernel, images) for _ in range(5)]
    for other in others:
        for one, two in zip(first, other, strict=True):
            np.testing.assert_array_equal(one, two)


def test_a_saved_layer_is_loaded_as_it_was_and_exported_as_keras_layer(tmp_path):
    model = keras.Sequential([keras.Input((4, 4, 128)), FastConvolution(128, 3, padding="same", use_bias=False)])
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    exported = export_model(model)
    assert type(loaded.layers[0]) is FastConvolution
    assert type(exported.layers[0]) is keras.layers.Conv2D
    images = numbers(0, 2, 4, 4, 128, dtype="float32")
    np.testing.assert_array_equal(loaded(images), model(images))
    np.testing.assert_allclose(exported(images), model(images), atol=1e-4)
