"""Exported models: the same outputs, loaded by Keras alone."""

import keras
import numpy as np
import pytest

from simplexlab.models import FusedBatchNormalization, build_encoder, export_model, linear_head, project_to_sphere

NAMES = ("resnet-small", "resnet-small-preact", "mlp")


def trained_model(name, with_projection, policy="float32"):
    encoder = build_encoder(name, (8, 8, 1), width=4, mean=[120.0], standard_deviation=[60.0], dtype=policy)
    outputs = project_to_sphere(3.0)(encoder.output) if with_projection else encoder.output
    model = keras.Model(encoder.input, linear_head(3)(outputs))
    for _ in range(3):
        model(np.random.default_rng(1).integers(0, 256, (16, 8, 8, 1)), training=True)
    return model


@pytest.mark.parametrize("name", NAMES)
def test_an_exported_model_is_loaded_with_its_outputs(name, tmp_path):
    """By Keras alone: `tests/cli/test_train_command.py` does so in a process that has not imported the package."""
    images = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 1)).astype(np.uint8)
    model = trained_model(name, with_projection=name != "mlp")
    export_model(model).save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras", safe_mode=True)
    assert all(type(layer).__module__.startswith("keras") for layer in loaded.layers)
    np.testing.assert_allclose(loaded(images), model(images), atol=1e-5)


@pytest.mark.parametrize(("policy", "tolerance"), [("float32", 1e-5), ("float64", 1e-10), ("mixed_bfloat16", 0.05)])
def test_an_exported_model_has_no_layer_of_ours_and_the_same_outputs(policy, tolerance):
    images = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 1))
    model = trained_model("resnet-small-preact", with_projection=True, policy=policy)
    exported = export_model(model)
    assert any(isinstance(layer, FusedBatchNormalization) for layer in model.layers)
    assert all(type(layer).__module__.startswith("keras") for layer in exported.layers)
    padding = keras.layers.ZeroPadding2D  # of the two convolutions that halve the image
    names = [layer.name for layer in exported.layers if not isinstance(layer, padding)]
    assert names == [layer.name for layer in model.layers]
    assert len(exported.layers) == len(names) + 2
    np.testing.assert_allclose(exported(images), model(images), atol=tolerance)
