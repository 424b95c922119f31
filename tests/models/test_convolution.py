"""Fast convolutions against the definition, TensorFlow's gradients and Keras's layer."""

from functools import partial

import keras
import numpy as np
import pytest
import tensorflow as tf

from simplexlab.models import FastConvolution, convolution, export_model
from simplexlab.models.convolution import faster_convolution, multiplies_bfloat16
from simplexlab.models.product_gradient import convolve_with_product_gradient
from simplexlab.models.products import convolve_as_dense, convolve_by_patches
from simplexlab.models.winograd import convolve_by_winograd

METHODS = {  # of a function, the size of the kernel and the stride: sides of the images
    (convolve_by_winograd, 3, 1): [(4, 4), (8, 4), (12, 20), (32, 32)],
    (convolve_with_product_gradient, 3, 1): [(1, 1), (2, 5), (4, 4), (7, 8)],
    (convolve_with_product_gradient, 3, 2): [(2, 2), (4, 6), (10, 8), (18, 18)],
    (convolve_as_dense, 3, 1): [(1, 1), (1, 2), (2, 2), (3, 4)],
    (convolve_as_dense, 3, 2): [(1, 1), (2, 1), (2, 2), (3, 4), (6, 5)],
    (convolve_by_patches, 3, 2): [(1, 1), (2, 6), (4, 4), (7, 6), (5, 9)],
    (convolve_by_patches, 3, 1): [(1, 2), (4, 3)],
    (convolve_by_patches, 1, 2): [(1, 1), (2, 2), (4, 6), (5, 8)],
    (convolve_by_patches, 5, 3): [(7, 8)],
}
CASES = [
    pytest.param(method if method is convolve_by_winograd else partial(method, stride=stride), size, stride, shape)
    for (method, size, stride), shapes in METHODS.items()
    for shape in shapes
]
AMX, AVX = "flags : fpu avx512f avx512_bf16 amx_bf16", "vendor_id : GenuineIntel\nflags : fpu avx512f avx512_bf16"
FAST_BFLOAT16 = {
    AMX: True,
    "vendor_id : AuthenticAMD\nflags : fpu avx512_bf16": True,
    AVX: False,
    "vendor_id : AuthenticAMD\nflags : fpu avx2": False,
    "Features : fp asimd sve bf16": True,
    "Features : fp asimd": False,
}


@pytest.fixture
def processor(monkeypatch, tmp_path):
    """Has the processor say of itself what it is called with."""

    def says(account):
        path = tmp_path / "cpuinfo"
        path.write_text(account)
        monkeypatch.setattr(convolution, "PROCESSOR", path)
        multiplies_bfloat16.cache_clear()

    yield says
    monkeypatch.undo()
    multiplies_bfloat16.cache_clear()


@pytest.mark.parametrize(("account", "expected"), FAST_BFLOAT16.items())
def test_a_processor_is_taken_at_its_word(account, expected, processor):
    processor(account)
    assert multiplies_bfloat16() is expected


def test_a_processor_that_says_nothing_is_left_to_tensorflow(processor, monkeypatch, tmp_path):
    processor("")
    monkeypatch.setattr(convolution, "PROCESSOR", tmp_path / "none")
    assert multiplies_bfloat16() is True


def numbers(seed, *shape, dtype="float64"):
    return tf.cast(np.random.default_rng(seed).normal(size=shape), dtype)


def by_definition(images, kernel, stride):
    """out[b, i, j] = Σ in[b, s·i + u − p, s·j + v − p] · kernel[u, v], with p = (size − 1)/2."""
    size = len(kernel)
    padded = np.pad(images, ((0, 0), (size // 2, size // 2), (size // 2, size // 2), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (size, size), axis=(1, 2))[:, ::stride, ::stride]
    return np.einsum("bijcuv,uvcd->bijd", windows, kernel)


def gradients(convolve, images, kernel, upstream):
    with tf.GradientTape() as tape:
        tape.watch((images, kernel))
        outputs = convolve(images, kernel)
    return tape.gradient(outputs, (images, kernel), upstream)


def library(images, kernel, stride=1):
    zeros = kernel.shape[0] // 2
    return tf.nn.conv2d(tf.pad(images, [[0, 0], [zeros, zeros], [zeros, zeros], [0, 0]]), kernel, stride, "VALID")


@pytest.mark.parametrize(("convolve", "size", "stride", "sides"), CASES)
def test_the_outputs_are_those_of_the_definition(convolve, size, stride, sides):
    images, kernel = numbers(0, 3, *sides, 5), numbers(1, size, size, 5, 4)
    expected = by_definition(images.numpy(), kernel.numpy(), stride)
    np.testing.assert_allclose(convolve(images, kernel), expected, rtol=0, atol=1e-12 * np.abs(expected).max())


@pytest.mark.parametrize(("convolve", "size", "stride", "sides"), CASES)
def test_the_gradients_are_those_of_tensorflow(convolve, size, stride, sides):
    images, kernel = numbers(0, 3, *sides, 5), numbers(1, size, size, 5, 4)
    upstream = numbers(2, *library(images, kernel, stride).shape)
    expected = gradients(partial(library, stride=stride), images, kernel, upstream)

    @tf.function(autograph=False, input_signature=[tf.TensorSpec((None, *images.shape[1:]), "float64")] * 1)
    def outputs_of_any_number(images):
        return convolve(images, kernel)

    np.testing.assert_allclose(outputs_of_any_number(images[:2]), convolve(images, kernel)[:2], atol=1e-12)
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
    ("shape", "kernel", "dtype", "stride", "method"),
    [
        ((None, 16, 16, 128), (3, 3, 128, 128), "float32", 1, convolve_by_winograd),
        ((256, 32, 32, 128), (3, 3, 128, 128), "float32", 1, convolve_by_winograd),
        ((None, 4, 32, 256), (3, 3, 256, 128), "float64", 1, convolve_by_winograd),
        ((None, 16, 16, 127), (3, 3, 127, 128), "float32", 1, None),
        ((None, 16, 16, 128), (3, 3, 128, 64), "float32", 1, None),
        ((None, 16, 16, 64), (3, 3, 64, 64), "float32", 1, None),
        ((None, 8, 8, 64), (3, 3, 64, 64), "float32", 1, convolve_by_winograd),
        ((None, 4, 8, 64), (3, 3, 64, 63), "float32", 1, None),
        ((None, 6, 8, 128), (3, 3, 128, 128), "float32", 1, None),
        ((None, 36, 36, 128), (3, 3, 128, 128), "float32", 1, None),
        ((None, None, 8, 128), (3, 3, 128, 128), "float32", 1, None),
        ((None, 16, 16, 128), (3, 3, 128, 128), "bfloat16", 1, None),
        ((None, 16, 16, 128), (3, 3, 128, 128), "float16", 1, None),
        ((None, 16, 16, 128), (5, 5, 128, 128), "float32", 1, None),
        ((None, 16, 16, 128), (1, 1, 128, 128), "float32", 1, None),
        ((None, 7, 7, 256), (3, 3, 256, 256), "bfloat16", 1, convolve_with_product_gradient),
        ((None, None, 8, 256), (3, 3, 256, 256), "bfloat16", 1, None),
        ((None, 16, 16, 64), (3, 3, 64, 128), "bfloat16", 2, convolve_with_product_gradient),
        ((None, 16, 16, 32), (3, 3, 32, 64), "bfloat16", 2, None),
        ((None, 15, 16, 64), (3, 3, 64, 128), "bfloat16", 2, None),
        ((None, 16, 16, 16), (1, 1, 16, 32), "bfloat16", 2, convolve_by_patches),
        ((None, 16, 16, 16), (1, 1, 16, 32), "float32", 2, convolve_by_patches),
        ((None, 16, 15, 16), (1, 1, 16, 32), "float32", 2, convolve_by_patches),
        ((None, 8, 5, 16), (3, 3, 16, 32), "float32", 2, convolve_by_patches),
        ((None, 9, 8, 16), (3, 3, 16, 32), "float32", 2, None),
        ((None, 2, 2, 16), (3, 3, 16, 32), "float64", 2, convolve_as_dense),
        ((None, 1, 2, 16), (3, 3, 16, 32), "float32", 1, convolve_as_dense),
        ((None, 2, 3, 16), (3, 3, 16, 32), "float32", 1, None),
    ],
)
def test_which_images_take_which_way(shape, kernel, dtype, stride, method):
    found = faster_convolution(shape, kernel, dtype, stride)
    assert getattr(found, "func", found) is method
    assert not hasattr(found, "keywords") or found.keywords == {"stride": stride}


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
def test_the_layer_is_keras_convolution(dtype, tolerance, taken, processor):
    processor(AMX)
    fast, plain = both_layers(256, 256, padding="same", dtype=dtype, bias_initializer="ones", activation="relu")
    images = numbers(0, 2, 8, 8, 256, dtype=plain.compute_dtype)
    expected, found = tf.cast(plain(images), "float64").numpy(), tf.cast(fast(images), "float64").numpy()
    assert taken == [convolve_with_product_gradient if "bfloat16" in dtype else convolve_by_winograd]
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * np.abs(expected).max())
    assert fast.compute_output_spec(keras.KerasTensor((None, 8, 8, 256))).shape == (None, 8, 8, 256)


SYMMETRIC = [  # sides, kernel size, stride
    ((8, 8), 3, 1), ((8, 8), 3, 2), ((16, 16), 3, 2), ((7, 5), 3, 2), ((2, 2), 3, 2), ((1, 1), 3, 2),
    ((8, 8), 1, 2), ((7, 8), 1, 2), ((6, 7), 5, 2), ((9, 9), 3, 3),
]  # fmt: skip


@pytest.mark.parametrize(("sides", "size", "stride"), SYMMETRIC)
@pytest.mark.parametrize("account", [AMX, AVX], ids=["amx", "avx"])
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [("float32", 3e-5), ("float64", 1e-12), ("mixed_bfloat16", 2e-2)], ids=str
)
def test_a_symmetric_layer_has_zeros_on_every_side(sides, size, stride, account, dtype, tolerance, processor):
    processor(account)
    layer = FastConvolution(8, size, stride, padding="same", symmetric=True, use_bias=False, dtype=dtype)
    layer.build((None, *sides, 6))
    images = numbers(0, 4, *sides, 6, dtype=layer.compute_dtype)
    with tf.GradientTape() as tape:
        tape.watch(images)
        outputs = layer(images)
    upstream = numbers(1, *outputs.shape, dtype=outputs.dtype)
    kernel = tf.cast(layer.kernel, layer.compute_dtype)
    exact = [tf.cast(values, "float64") for values in (images, kernel, upstream)]
    expected = library(*exact[:2], stride), *gradients(partial(library, stride=stride), *exact)
    assert layer.compute_output_spec(keras.KerasTensor((None, *sides, 6))).shape[1:] == outputs.shape[1:]
    for found, other in zip(
        (outputs, *tape.gradient(outputs, (images, layer.kernel), upstream)), expected, strict=True
    ):
        np.testing.assert_allclose(
            tf.cast(found, "float64"), other, rtol=0, atol=tolerance * np.abs(other).max(), strict=True
        )


@pytest.mark.parametrize(
    "options",
    [{"padding": "valid"}, {"kernel_size": 2}, {"groups": 2}, {"dilation_rate": 2}, {"data_format": "channels_first"}],
    ids=str,
)
def test_what_cannot_be_symmetric_is_refused(options):
    with pytest.raises(ValueError, match="symmetric takes padding same"):
        FastConvolution(4, symmetric=True, **{"kernel_size": 3, "padding": "same", **options})


@pytest.mark.parametrize(("size", "stride", "side"), [(3, 1, 8), (3, 2, 16), (3, 2, 8), (1, 2, 8)])
def test_without_a_fast_bfloat16_outputs_are_rounded_once(size, stride, side, processor, taken):
    """Products and sums are float32's, so that what is returned is the nearest bfloat16, but near ties."""
    processor(AVX)
    layer = FastConvolution(256, size, stride, padding="same", symmetric=True, use_bias=False, dtype="mixed_bfloat16")
    layer.build((None, side, side, 256))
    images = numbers(0, 2, side, side, 256, dtype="bfloat16")
    kernel = tf.cast(layer.kernel, "bfloat16")
    exact = library(tf.cast(images, "float64"), tf.cast(kernel, "float64"), stride)
    outputs = layer(images)
    assert outputs.dtype == "bfloat16"
    assert convolve_with_product_gradient not in taken
    assert np.mean(outputs.numpy() == tf.cast(exact, "bfloat16").numpy()) > 0.99


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
    assert set(taken) <= {None}


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
    assert type(exported.layers[1]) is keras.layers.Conv2D
    images = numbers(0, 2, 4, 4, 128, dtype="float32")
    np.testing.assert_array_equal(loaded(images), model(images))
    np.testing.assert_allclose(exported(images), model(images), atol=1e-4)


@pytest.mark.parametrize("sides", [(6, 4), (5, 7)])
def test_an_exported_layer_keeps_its_zeros_on_every_side(sides, tmp_path):
    layers = [FastConvolution(8, size, 2, padding="same", symmetric=True) for size in (3, 1)]
    model = keras.Sequential([keras.Input((*sides, 3)), *layers])
    exported = export_model(model)
    assert [type(layer) for layer in exported.layers[1:]] == [
        keras.layers.ZeroPadding2D, keras.layers.Conv2D, keras.layers.Conv2D,
    ]  # fmt: skip
    assert [layer.name for layer in exported.layers[2:]] == [layer.name for layer in layers]
    exported.save(tmp_path / "model.keras")
    images = numbers(0, 3, *sides, 3, dtype="float32")
    for copy in (exported, keras.models.load_model(tmp_path / "model.keras")):
        np.testing.assert_allclose(copy(images), model(images), atol=1e-5)
