"""Models that Keras loads without this package."""

import keras

from simplexlab.models.normalization import FusedBatchNormalization


def export_model(model: keras.Model) -> keras.Model:
    """Copy a model so that `keras.models.load_model` reads it where simplexlab is not installed.

    Args:
        model: a functional model.

    Returns:
        A model with the same weights and outputs in which each `FusedBatchNormalization` is a plain
        `keras.layers.BatchNormalization`.
    """

    def clone(layer):
        if isinstance(layer, FusedBatchNormalization):
            return keras.layers.BatchNormalization.from_config(layer.get_config())
        return layer.__class__.from_config(layer.get_config())

    copy = keras.models.clone_model(model, clone_function=clone)
    copy.set_weights(model.get_weights())
    return copy
