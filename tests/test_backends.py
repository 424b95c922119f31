"""The losses and the callback on every backend of Keras: TensorFlow's in this process, others in one of their own."""

import importlib.util
import json
import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

SCRIPT = Path(__file__).with_name("keras_backend.py")
OTHERS = [name for name in ("jax", "torch") if importlib.util.find_spec(name)]


@pytest.fixture(scope="module")
def reference():
    spec = importlib.util.spec_from_file_location("keras_backend", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = module.report()
    assert found["backend"] == "tensorflow"
    return json.loads(json.dumps(found))


@pytest.fixture(scope="module", params=OTHERS)
def other(request):
    environment = os.environ | {"KERAS_BACKEND": request.param}
    done = subprocess.run([sys.executable, SCRIPT], env=environment, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["backend"] == request.param
    return found


def test_jax_is_among_the_backends():
    assert "jax" in OTHERS


def test_tensorflow_is_not_imported_for_another_backend(other):
    assert not other["tensorflow is loaded"]
    assert other["registered"]


@pytest.mark.parametrize("kind", ["losses", "gradients"])
def test_losses_and_gradients_are_those_of_tensorflow(kind, other, reference):
    assert other[kind].keys() == reference[kind].keys()
    for name, expected in reference[kind].items():
        np.testing.assert_allclose(other[kind][name], expected, rtol=1e-4, atol=1e-6, err_msg=name)
    assert np.ptp(reference["losses"]["balanced, 0.05"]) > 1


@pytest.mark.parametrize("kind", ["ce", "sc"])
def test_a_training_with_the_callback_is_that_of_tensorflow(kind, other, reference):
    assert other[kind].keys() == reference[kind].keys()
    for name, expected in reference[kind].items():
        np.testing.assert_allclose(other[kind][name], expected, rtol=2e-4, atol=1e-6, err_msg=name)
    assert np.isfinite(reference[kind]["geometry_loss"]).tolist() == [False, True, False, True]


def test_a_training_that_diverges_goes_on_without_numbers(other, reference):
    """The loss itself is left out: what a ReLU makes of NaN is each backend's own."""
    for found in (other["diverged"], reference["diverged"]):
        assert {"geometry_loss", "geometry_nc1", "geometry_norms_mean"} <= found.keys()
        assert all(np.isnan(values).all() for name, values in found.items() if name.startswith("geometry_"))


LINE = "simplexlab: training runs on TensorFlow, but Keras's backend is jax; set KERAS_BACKEND=tensorflow"


def test_training_says_in_one_line_that_it_runs_on_tensorflow(tmp_path):
    environment = os.environ | {"KERAS_BACKEND": "jax"}
    command = [sys.executable, "-m", "simplexlab", "train", "--iterations", "1", "--run-dir", "runs"]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == LINE
    assert list(tmp_path.glob("runs/*")) == []


def test_so_does_a_toy(tmp_path, monkeypatch, simplexlab):
    monkeypatch.setattr("keras.backend.backend", lambda: "jax")
    code, _, error = simplexlab("toy", "sc", "--steps", "1", "--run-dir", tmp_path / "runs")
    assert (code, error.splitlines()[-1]) == (2, LINE)
    assert not (tmp_path / "runs").exists()
