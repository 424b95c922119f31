"""Models that Keras loads without this package."""

import keras

from simplexlab.models.convolution import FastConvolution
from simplexlab.models.normalization import FusedBatchNormalization

PLAIN = {FastConvolution: keras.layers.Conv2D, FusedBatchNormalization: keras.layers.BatchNormalization}


def export_model(model: keras.Model) -> keras.Model:
    """Copy a model so that `keras.models.load_model` reads it where simplexlab is not installed.

    Args:
        model: a functional model.

    Returns:
        A model with the same weights and outputs in which each `FusedBatchNormalization` is a plain
        `keras.layers.BatchNormalization` and each `FastConvolution` a plain `keras.layers.Conv2D`.
    """

    def clone(layer):
        return PLAIN.get(type(layer), type(layer)).from_config(layer.get_config())

    copy = keras.models.clone_model(model, clone_function=clone)
    copy.set_weights(model.get_weights())
    return copy
