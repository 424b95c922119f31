"""Exported models: the same outputs, loaded by Keras alone."""

import subprocess
import sys

import keras
import numpy as np
import pytest

from simplexlab.models import FusedBatchNormalization, build_encoder, export_model, linear_head, project_to_sphere

NAMES = ("resnet-small", "resnet-small-preact", "mlp")
LOAD = """
import sys
import keras
import numpy as np
folder = sys.argv[1]
images = np.load(folder + "/images.npy")
for path in sys.argv[2:]:
    outputs = keras.models.load_model(f"{folder}/{path}.keras", safe_mode=True).predict(images, verbose=0)
    np.testing.assert_allclose(outputs, np.load(f"{folder}/{path}.npy"), atol=1e-5)
assert not [name for name in sys.modules if name.startswith("simplexlab")]
"""


def trained_model(name, with_projection, policy="float32"):
    encoder = build_encoder(name, (8, 8, 1), width=4, mean=[120.0], standard_deviation=[60.0], dtype=policy)
    outputs = project_to_sphere(3.0)(encoder.output) if with_projection else encoder.output
    model = keras.Model(encoder.input, linear_head(3)(outputs))
    for _ in range(3):
        model(np.random.default_rng(1).integers(0, 256, (16, 8, 8, 1)), training=True)
    return model


def test_an_exported_model_is_loaded_by_keras_alone(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 1)).astype(np.uint8)
    np.save(tmp_path / "images.npy", images)
    for name in NAMES:
        model = trained_model(name, with_projection=name != "mlp")
        exported = export_model(model)
        exported.save(tmp_path / f"{name}.keras")
        np.save(tmp_path / f"{name}.npy", model.predict(images, verbose=0))
    done = subprocess.run(
        [sys.executable, "-c", LOAD, str(tmp_path), *NAMES],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("policy", "tolerance"), [("float32", 1e-5), ("float64", 1e-10), ("mixed_bfloat16", 0.05)])
def test_an_exported_model_has_no_layer_of_ours_and_the_same_outputs(policy, tolerance):
    images = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 1))
    model = trained_model("resnet-small-preact", with_projection=True, policy=policy)
    exported = export_model(model)
    assert any(isinstance(layer, FusedBatchNormalization) for layer in model.layers)
    assert all(type(layer).__module__.startswith("keras") for layer in exported.layers)
    assert [layer.name for layer in exported.layers] == [layer.name for layer in model.layers]
    np.testing.assert_allclose(exported(images), model(images), atol=tolerance)
