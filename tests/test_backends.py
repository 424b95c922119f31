"""The losses and the callback on every backend of Keras that is installed, each in a process of its own."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

OTHERS = [name for name in ("jax", "torch") if importlib.util.find_spec(name)]


def run(backend: str) -> dict:
    script = Path(__file__).with_name("keras_backend.py")
    environment = os.environ | {"KERAS_BACKEND": backend}
    done = subprocess.run([sys.executable, script], env=environment, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def reference():
    found = run("tensorflow")
    assert found["backend"] == "tensorflow"
    return found


@pytest.fixture(scope="module", params=OTHERS)
def other(request):
    found = run(request.param)
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


@pytest.mark.parametrize("words", [["train", "--iterations", "1"], ["toy", "sc", "--steps", "1"]], ids=" ".join)
def test_training_says_in_one_line_that_it_runs_on_tensorflow(words, tmp_path):
    environment = os.environ | {"KERAS_BACKEND": "jax"}
    command = [sys.executable, "-m", "simplexlab", *words, "--run-dir", "runs"]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    line = "simplexlab: training runs on TensorFlow, but Keras's backend is jax; set KERAS_BACKEND=tensorflow"
    assert done.stderr.splitlines()[-1] == line
    assert list(tmp_path.glob("runs/*")) == []
