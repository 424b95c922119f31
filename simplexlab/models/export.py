"""Models that Keras loads without this package."""

import keras

from simplexlab.models.convolution import FastConvolution
from simplexlab.models.normalization import FusedBatchNormalization

PLAIN = {FastConvolution: keras.layers.Conv2D, FusedBatchNormalization: keras.layers.BatchNormalization}


def export_model(model: keras.Model) -> keras.Model:
    """Copy a model so that `keras.models.load_model` reads it where simplexlab is not installed.

    Args:
        model: a functional or built Sequential model; what is returned is functional.

    Returns:
        A model with the same weights and outputs in which each `FusedBatchNormalization` is a plain
        `keras.layers.BatchNormalization` and each `FastConvolution` a plain `keras.layers.Conv2D`, behind a
        `keras.layers.ZeroPadding2D` where Keras would not put its zeros on every side alike.
    """
    if isinstance(model, keras.Sequential):
        model = keras.Model(model.inputs, model.outputs, name=model.name)
    padded = {}

    def clone(layer):
        config = layer.get_config()
        if isinstance(layer, FastConvolution) and config.pop("symmetric") and layer.strides != (1, 1):
            config["padding"] = "valid"
            padded[layer.name] = [size // 2 for size in layer.kernel_size]
        return PLAIN.get(type(layer), type(layer)).from_config(config)

    def call(layer, inputs, *arguments, **options):
        zeros = padded.get(layer.name, (0, 0))
        if any(zeros):
            inputs = keras.layers.ZeroPadding2D(zeros, "channels_last", dtype=layer.dtype_policy)(inputs)
        return layer(inputs, *arguments, **options)

    copy = keras.models.clone_model(model, clone_function=clone, call_function=call)
    copy.set_weights(model.get_weights())
    return copy
