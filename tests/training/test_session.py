"""What a session computes and tells."""

import threading
from pathlib import Path

import keras
import pytest
import tensorflow as tf

from simplexlab import geometry
from simplexlab.config import Experiment
from simplexlab.evaluation import numbers
from simplexlab.runs import read_metrics
from simplexlab.training.commands import train


class Recorder(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.logs = []

    def on_epoch_end(self, epoch, logs=None):
        self.logs.append(logs)


@pytest.fixture
def run(shared_npz, tmp_path):
    def call(loss: str) -> tuple[Path, list[dict]]:
        recorder = Recorder()
        options = {"encoder": "mlp", "width": 4, "batch_size": 12, "iterations": 4, "evaluate_every": 2}
        experiment = Experiment(dataset=str(shared_npz), run_dir=str(tmp_path), name=loss, loss=loss, **options)
        train(experiment.resolve(), [recorder])
        return tmp_path / loss, recorder.logs

    return call


def tags(folder: Path, part: str) -> dict[str, int]:
    """Every tag of the event files and how many values it has."""
    found = {}
    for path in (folder / "tb" / part).iterdir():
        for event in tf.compat.v1.train.summary_iterator(str(path)):
            for value in event.summary.value:
                found[value.tag] = found.get(value.tag, 0) + 1
    return found


@pytest.mark.parametrize("loss", ["ce", "sc"])
def test_every_number_reaches_event_files_and_callbacks(run, loss):
    folder, logs = run(loss)
    lines = [numbers(line) for line in read_metrics(folder)][1:]
    assert [set(line) for line in logs] == [set(line) for line in lines]
    assert {type(value) for line in logs for value in line.values()} <= {int, float}
    training = tags(folder, "train")
    expected = {key.removeprefix("train_") for key in lines[0] if not key.startswith("test_")} - {"iteration"}
    assert {tag for tag, count in training.items() if count == 2} >= expected
    assert {"nc1", "nc2", "nc4", "class_mean_similarity_mean", "within_class_similarity_q05", "norms_mean"} <= expected
    assert tags(folder, "validation").keys() == {key.removeprefix("test_") for key in lines[-1] if "test_" in key}


def test_early_evaluations(shared_npz, tmp_path):
    class Epochs(keras.callbacks.Callback):
        def __init__(self):
            super().__init__()
            self.seen = []

        def on_epoch_begin(self, epoch, logs=None):
            self.seen.append(f"begin {epoch}")

        def on_epoch_end(self, epoch, logs=None):
            self.seen.append(f"end {epoch} at {logs['iteration']:g}")

    points = {"dense": [0, 1, 2, 5, 8, 10, 16, 20, 24, 27], "interval": [0, 8, 16, 24, 27]}
    options = {"encoder": "mlp", "width": 4, "batch_size": 12, "iterations": 27, "evaluate_every": 8}
    final = {}
    for at, expected in points.items():
        epochs = Epochs()
        experiment = Experiment(dataset=str(shared_npz), run_dir=str(tmp_path), name=at, evaluate_at=at, **options)
        final[at] = train(experiment, [epochs])
        assert [line["iteration"] for line in read_metrics(tmp_path / at)] == expected
        wanted = [(f"begin {index}", f"end {index} at {point}") for index, point in enumerate(expected[1:])]
        assert epochs.seen[: 2 * len(wanted)] == [word for pair in wanted for word in pair]
    assert final["dense"]["final_loss"] == final["interval"]["final_loss"]  # looking changes nothing
    assert Experiment().resolve().evaluate_at == "dense"
    assert Experiment(dataset="cifar10").resolve().evaluate_at == "interval"


@pytest.mark.parametrize("loss", ["ce", "sc"])
def test_the_last_evaluation_is_computed_once_and_has_the_probe(run, monkeypatch, loss):
    measured = []
    whole = geometry.statistics
    monkeypatch.setattr(geometry, "statistics", lambda *words: measured.append(1) or whole(*words))
    folder, logs = run(loss)
    lines = read_metrics(folder)
    assert len(measured) == len(lines) == 3
    assert "train_error_probe" in lines[-1]
    assert "train_error_probe" not in lines[-2]
    assert "test_error_probe" in logs[-1]


@pytest.mark.parametrize("overlap", [True, False])
def test_what_the_probe_needs_is_imported_beside_steps_alone(shared_npz, tmp_path, monkeypatch, overlap):
    threads = []
    monkeypatch.setattr("simplexlab.training.session.import_probe", lambda: threads.append(threading.current_thread()))
    options = {"encoder": "mlp", "width": 4, "batch_size": 12, "iterations": 4, "evaluate_every": 2}
    train(Experiment(dataset=str(shared_npz), run_dir=str(tmp_path), overlap=overlap, **options))
    assert len(threads) == overlap
    assert threading.main_thread() not in threads
