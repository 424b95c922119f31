"""Every objective of the table as it trains: in bfloat16, resumed bit for bit, evaluated again, alike on replicas."""

import json
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest

from simplexlab import objectives
from simplexlab.config import Experiment
from simplexlab.runs import read_run
from simplexlab.training.commands import resume, train
from simplexlab.training.reevaluation import reevaluate

ENCODER = {"encoder": "mlp", "width": 4, "dimension": 6, "batch_size": 12, "learning_rate": 0.05}
STEPS = {"iterations": 4, "evaluate_every": 2, "seed": 1}

REPLICAS = """
import json, sys
import keras
from simplexlab.config import Experiment
from simplexlab.data import load
from simplexlab.training import learner as learners, runtime
from simplexlab.training.learner import build_learner
from simplexlab.training.loop import Loop
settings = json.loads(sys.argv[1])
losses, found = settings.pop("losses"), {}

def linear(name, shape, *, dimension, seed, **options):
    # In the encoder's place: how those of the table follow each other on replicas is told by tests/training.
    start = keras.initializers.RandomUniform(-0.1, 0.1, seed)
    images = keras.Input(shape)
    pixels = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(images))
    dense = keras.layers.Dense(dimension, use_bias=False, kernel_initializer=start, name="representation")
    return keras.Model(images, dense(pixels))

learners.build_encoder = linear
for devices in ("cpu:2", "cpu"):  # two logical devices exist from the first run on; one of them is used then
    for loss in losses:
        experiment = Experiment(loss=loss, devices=devices, precision="float64", **settings).resolve()
        data, started = load(experiment.dataset), runtime.start(experiment)
        with runtime.keras_precision("float64"):
            with started.strategy.scope():
                learner = build_learner(experiment, data)
            loop = Loop(experiment, data, data.y_train, learner, started)
            steps = [value for _, values in loop.run(0, 4) for value in values]
        found[f"{loss} {devices}"] = [steps, learner.head is not None and learner.weights().tolist()]
print(json.dumps(found))
"""


class CopyAt(keras.callbacks.Callback):
    """Copies a run folder at an iteration, as it would be left if the process were killed there."""

    def __init__(self, iteration: int, folder: Path, copy: Path):
        super().__init__()
        self.iteration, self.folder, self.copy = iteration, folder, copy

    def on_train_batch_end(self, batch, logs=None):
        if batch == self.iteration:
            shutil.copytree(self.folder, self.copy)


def lines(folder: Path) -> list[dict]:
    records = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in record.items() if key != "seconds"} for record in records]


@pytest.mark.parametrize("loss", objectives.names())
def test_in_bfloat16_a_run_is_resumed_bit_for_bit_and_evaluated_again(loss, shared_npz, tmp_path, monkeypatch):
    options = {"loss": loss, "dataset": str(shared_npz), "run_dir": str(tmp_path), "precision": "bfloat16"}
    options |= {**ENCODER, **STEPS}
    options |= {"augment": True, "balanced_batches": True} if loss == "supcon" else {}  # two views, drawn by class
    monkeypatch.setattr("simplexlab.training.loop.CHUNK_SECONDS", 1e-6)  # a graph call a step: copied where asked
    copying = CopyAt(3, tmp_path / "whole", tmp_path / "parts")
    assert train(Experiment(name="whole", **options), [copying])["state"] == "finished"
    left = read_run(tmp_path / "parts")
    assert (left.status.state, left.metrics["iteration"]) == ("failed", 2)
    assert resume(tmp_path / "parts")["state"] == "finished"

    whole, parts = lines(tmp_path / "whole"), lines(tmp_path / "parts")
    assert [line["iteration"] for line in whole] == [0, 2, 4]
    assert parts == whole
    for kept in ["model.keras", *(["projection.keras"] if loss == "supcon" else [])]:
        for one, two in zip(*(_weights(tmp_path / name / kept) for name in ("whole", "parts")), strict=True):
            np.testing.assert_array_equal(one, two)
    for line in whole:
        assert np.isfinite(line["loss"])
        if line["bound_certificate"] is not None:  # up to the noise of the batches that the loss was measured on
            assert line["excess"] > -4 * (line["excess_standard_error"] or 0) - 1e-6 * max(1, abs(line["bound"]))
    assert reevaluate(tmp_path / "whole")["differences"] == {}


def _weights(model: Path) -> list[np.ndarray]:
    """Of a file that Keras loads as it is, whatever trained it."""
    return keras.models.load_model(model).get_weights()


@pytest.fixture(scope="module")
def on_one_and_two(shared_npz, forked):
    """By loss and devices: the loss of each step in float64, and the classifier after the last."""
    settings = {"losses": objectives.names(), "dataset": str(shared_npz), **ENCODER, **STEPS}
    return json.loads(forked(REPLICAS, json.dumps(settings)))


@pytest.mark.parametrize("loss", objectives.names())
def test_two_replicas_train_as_one(loss, on_one_and_two):
    (losses, weights), (losses_of_two, weights_of_two) = (on_one_and_two[f"{loss} {name}"] for name in ("cpu", "cpu:2"))
    assert len(losses) == STEPS["iterations"]
    np.testing.assert_allclose(losses_of_two, losses, rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(weights_of_two, weights, rtol=1e-6)
