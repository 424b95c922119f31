"""A resumed run is the uninterrupted run, bit for bit; what cannot be resumed is refused."""

import errno
import functools
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from simplexlab.config import Experiment
from simplexlab.errors import RunError, UsageError
from simplexlab.evaluation import evaluate
from simplexlab.runs import RunWriter, read_run
from simplexlab.training import checkpoints
from simplexlab.training.commands import resume, train
from simplexlab.training.session import overlaps

OPTIONS = {"encoder": "mlp", "width": 4, "batch_size": 12, "iterations": 60, "evaluate_every": 20} | {
    "corrupt": 0.2,
    "augment": True,
    "evaluate_at": "dense",
}
HARNESS = Path(__file__).parents[1] / "benchmarks" / "killed_runs.py"


class Interrupt(keras.callbacks.Callback):
    """Sends this process a signal at the first graph call that ends at or after an iteration."""

    def __init__(self, iteration: int, number: int = signal.SIGTERM):
        super().__init__()
        self.iteration = iteration
        self.number = number

    def on_train_batch_end(self, batch, logs=None):
        if batch >= self.iteration:
            self.iteration = 10**9
            os.kill(os.getpid(), self.number)


class Ends(keras.callbacks.Callback):
    """The iterations whose evaluations were told, and from which threads."""

    reads_logs_only = True

    def __init__(self):
        super().__init__()
        self.seen, self.threads = [], set()

    def on_epoch_end(self, epoch, logs=None):
        self.seen.append(logs["iteration"])
        self.threads.add(threading.current_thread())


class Break(keras.callbacks.Callback):
    """Fails at an iteration, as a run would that meets a bug or a full disk."""

    def __init__(self, iteration: int, error: Exception):
        super().__init__()
        self.iteration = iteration
        self.error = error

    def on_train_batch_end(self, batch, logs=None):
        if batch >= self.iteration:
            raise self.error


@pytest.fixture
def options(tiny_npz, tmp_path):
    """Options of a run of a few seconds."""
    return {"dataset": str(tiny_npz), "run_dir": str(tmp_path), **OPTIONS}


@pytest.fixture(scope="module")
def whole(tmp_path_factory, shared_npz):
    """The folder of an uninterrupted run with a loss, on the images of `tiny_npz`."""
    folder = tmp_path_factory.mktemp("whole")

    @functools.cache
    def folder_of(loss: str) -> Path:
        train(Experiment(name=loss, loss=loss, dataset=str(shared_npz), run_dir=str(folder), **OPTIONS))
        return folder / loss

    return folder_of


def lines(folder: Path) -> list[dict]:
    records = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in record.items() if key != "seconds"} for record in records]


def weights(folder: Path) -> list[np.ndarray]:
    return keras.models.load_model(folder / "model.keras", compile=False).get_weights()


def assert_same(folder: Path, other: Path) -> None:
    assert lines(folder) == lines(other)
    for one, two in zip(weights(folder), weights(other), strict=True):
        np.testing.assert_array_equal(one, two)
    for frame in (other / "geometry").iterdir():
        with np.load(frame) as wanted, np.load(folder / "geometry" / frame.name) as found:
            assert all(np.array_equal(found[key], wanted[key]) for key in wanted)
    first, second = (json.loads((path / "result.json").read_text()) for path in (folder, other))
    other_place = {"run": "", "dataset": "", "seconds": 0.0}
    assert {**first, **other_place} == {**second, **other_place}


@pytest.mark.parametrize("loss", ["ce", "sc"])  # every other one by `tests/objectives/test_every_objective.py`
def test_a_run_stopped_between_evaluations_goes_on_as_if_it_had_not_been(options, tmp_path, loss, whole, monkeypatch):
    folder = whole(loss)
    monkeypatch.setattr("simplexlab.training.loop.CHUNK_SECONDS", 1e-6)  # a graph call a step: stopped where asked
    stopped = train(Experiment(name="run", loss=loss, **options), [Interrupt(27)])
    run = tmp_path / "run"
    assert (stopped["state"], stopped["iterations"], stopped["evaluated_at"]) == ("stopped", 27, 27)
    assert read_run(run).status.state == "stopped"
    assert [line["iteration"] for line in lines(run)] == [0, 1, 2, 5, 10, 20, 27]
    assert not np.array_equal(weights(run)[0], weights(folder)[0])
    if loss == "sc":
        stopped = resume(run, [Interrupt(33, signal.SIGINT)])
        assert (stopped["state"], stopped["iterations"]) == ("stopped", 33)
    monkeypatch.undo()
    assert resume(run)["state"] == "finished"
    assert_same(run, folder)
    assert not (run / "checkpoints").exists()


def test_a_run_stopped_among_the_early_evaluations(options, tmp_path, whole, monkeypatch):
    monkeypatch.setattr("simplexlab.training.loop.CHUNK_SECONDS", 1e-6)
    for iteration in (4, 10):  # between two evaluations, at one
        stopped = train(Experiment(name="run", **options), [Interrupt(iteration)], resume=True)
        assert (stopped["state"], stopped["iterations"]) == ("stopped", iteration)
    assert [line["iteration"] for line in lines(tmp_path / "run")] == [0, 1, 2, 5, 10]
    monkeypatch.undo()
    assert resume(tmp_path / "run")["state"] == "finished"
    assert_same(tmp_path / "run", whole("ce"))


def test_the_same_experiment_twice_gives_the_same_run(options, tmp_path, whole, monkeypatch):
    monkeypatch.setattr("simplexlab.training.loop.CHUNK_SECONDS", 1e-6)  # as on a far slower machine
    train(Experiment(name="again", loss="sc", **options))
    assert_same(tmp_path / "again", whole("sc"))


def test_a_damaged_newest_checkpoint_falls_back_to_the_one_before(options, tmp_path, caplog, whole):
    with pytest.raises(ZeroDivisionError):
        train(Experiment(name="run", **options), [Break(41, ZeroDivisionError())])
    kept = sorted((tmp_path / "run" / "checkpoints").iterdir())
    assert [path.name for path in kept] == ["00000020.npz", "00000040.npz"]
    kept[1].write_bytes(kept[1].read_bytes()[:-40])
    assert resume(tmp_path / "run")["state"] == "finished"
    assert "00000040.npz is damaged" in caplog.text
    assert_same(tmp_path / "run", whole("ce"))


def test_a_run_without_a_checkpoint_starts_anew_in_its_folder(options, tmp_path, whole):
    with pytest.raises(ZeroDivisionError):
        train(Experiment(name="run", **options), [Break(1, ZeroDivisionError())])
    assert [line["iteration"] for line in lines(tmp_path / "run")] == [0]
    assert read_run(tmp_path / "run").status.state == "failed"
    assert train(Experiment(name="run", **options), resume=True)["state"] == "finished"
    assert_same(tmp_path / "run", whole("ce"))


def test_checkpoints_apart_from_evaluations(options, tmp_path):
    with pytest.raises(ZeroDivisionError):
        train(Experiment(name="run", checkpoint_every=7, **options), [Break(50, ZeroDivisionError())])
    kept = {path.name for path in (tmp_path / "run" / "checkpoints").iterdir()}
    assert kept == {"00000042.npz", "00000049.npz"}
    assert [line["iteration"] for line in lines(tmp_path / "run")] == [0, 1, 2, 5, 10, 20, 40]


def test_a_disk_that_fills_up_stops_the_run_and_leaves_it_resumable(options, tmp_path, monkeypatch):
    options["width"] = 16  # the checkpoint is larger than anything before it
    train(Experiment(name="whole", **options))
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    class Fill(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch > 20:
                resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, hard))

    try:
        with pytest.raises(RunError, match=r"cannot write .*File too large"):
            train(Experiment(name="run", **options), [Fill()])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    status = read_run(tmp_path / "run").status
    assert status.state == "failed"
    assert "File too large" in status.message
    assert [path.name for path in (tmp_path / "run" / "checkpoints").iterdir()] == ["00000020.npz"]
    assert resume(tmp_path / "run")["state"] == "finished"
    assert_same(tmp_path / "run", tmp_path / "whole")


def test_a_finished_run_goes_on_to_more_iterations_as_if_it_had_had_them(options, tmp_path, simplexlab):
    options |= {"loss": "sc", "schedule": "constant"}
    wanted = train(Experiment(name="whole", **options))
    train(Experiment(name="run", **{**options, "iterations": 50}))  # where no evaluation is due; its last has a probe
    run = tmp_path / "run"
    assert [path.name for path in (run / "checkpoints").iterdir()] == ["00000050.npz"]
    for iterations, told in ((40, "has 50; a run can go on to more"), (2**31, "at most 2147483647")):
        code, _, err = simplexlab("resume", "run", "--run-dir", tmp_path, "--iterations", iterations)
        assert code == 2
        assert told in err
        assert len(err.splitlines()) == 1
    code, out, err = simplexlab("resume", "run", "--run-dir", tmp_path, "--iterations", 60, "--json")
    assert code == 0, err
    assert json.loads(out)["iterations"] == wanted["iterations"] == 60
    assert_same(run, tmp_path / "whole")
    found, whole = (json.loads((folder / "config.json").read_text()) for folder in (run, tmp_path / "whole"))
    assert {**found["experiment"], "name": "whole"} == whole["experiment"]
    assert found["command"] == whole["command"]
    assert read_run(run).status.total == 60
    for again in (None, 60):  # there is nothing left to do
        assert resume(run, iterations=again)["iterations"] == 60
    shutil.rmtree(run / "checkpoints")
    with pytest.raises(UsageError, match="no checkpoint any more"):
        resume(run, iterations=70)


def test_an_annealed_run_does_not_go_on_to_more_iterations(tmp_path, whole):
    with pytest.raises(UsageError, match=r"the learning rate of ce is annealed \(polynomial\) over its 60 iterations"):
        resume(whole("ce"), iterations=80)


@pytest.mark.parametrize("loss", ["ce", "sc"])
def test_evaluations_beside_the_steps_are_those_that_are_waited_for(options, tmp_path, loss, whole, monkeypatch):
    wanted = whole(loss)
    reached = threading.Condition()
    progress = [0]

    def note(writer, iteration):
        with reached:
            progress[0] = iteration
            reached.notify_all()

    def evaluate_late(*words, iteration, **options):
        if iteration < 60:  # the last is waited for
            assert threading.current_thread() is not threading.main_thread()
            with reached:
                assert reached.wait_for(lambda: progress[0] > iteration, timeout=60), "the steps wait"
        return evaluate(*words, iteration=iteration, **options)

    monkeypatch.setattr(RunWriter, "progress", note)
    monkeypatch.setattr("simplexlab.training.session.evaluate", evaluate_late)
    ends = Ends()
    train(Experiment(name="run", loss=loss, overlap=True, **options), [ends])
    assert_same(tmp_path / "run", wanted)
    assert ends.seen == [line["iteration"] for line in lines(wanted)[1:]]
    assert ends.threads == {threading.main_thread()}


def test_a_run_stopped_while_it_evaluates_beside_the_steps(options, tmp_path, whole, monkeypatch):
    monkeypatch.setattr("simplexlab.training.loop.CHUNK_SECONDS", 1e-6)
    interrupt = Interrupt(27)
    interrupt.reads_logs_only = True
    stopped = train(Experiment(name="run", overlap=True, checkpoint_every=7, **options), [interrupt])
    assert (stopped["state"], stopped["iterations"], stopped["evaluated_at"]) == ("stopped", 27, 27)
    assert [line["iteration"] for line in lines(tmp_path / "run")] == [0, 1, 2, 5, 10, 20, 27]
    assert resume(tmp_path / "run")["state"] == "finished"
    assert_same(tmp_path / "run", whole("ce"))


def test_a_second_interrupt_does_not_wait_for_the_evaluation_beside_the_steps(options, tmp_path, whole, monkeypatch):
    started = threading.Event()

    def evaluate_for_ever(*words, iteration, **options):
        if iteration == 20:
            started.set()
            while True:
                time.sleep(0.01)
        return evaluate(*words, iteration=iteration, **options)

    class Twice(Interrupt):
        reads_logs_only = True

        def on_train_batch_end(self, batch, logs=None):
            if batch >= self.iteration:
                assert started.wait(60)
                os.kill(os.getpid(), signal.SIGINT)
                super().on_train_batch_end(batch)

    with monkeypatch.context() as patch:
        patch.setattr("simplexlab.training.session.evaluate", evaluate_for_ever)
        patch.setattr("simplexlab.training.loop.CHUNK_SECONDS", 1e-6)
        with pytest.raises(KeyboardInterrupt):
            train(Experiment(name="run", overlap=True, **options), [Twice(21)])
    assert not [thread for thread in threading.enumerate() if "beside" in thread.name]
    status = read_run(tmp_path / "run").status
    assert (status.state, status.message) == ("stopped", "interrupted")
    assert [line["iteration"] for line in lines(tmp_path / "run")] == [0, 1, 2, 5, 10]
    resume(tmp_path / "run")
    assert_same(tmp_path / "run", whole("ce"))


def test_a_checkpoint_beside_the_steps_that_cannot_be_written_ends_the_run(options, tmp_path, whole, monkeypatch):
    def refuse(folder, checkpoint):
        if checkpoint.iteration == 20:
            raise OSError(errno.ENOSPC, "No space left on device")
        checkpoints.save(folder, checkpoint)

    with monkeypatch.context() as patch:
        patch.setattr("simplexlab.training.session.checkpoints", SimpleNamespace(save=refuse, load=checkpoints.load))
        with pytest.raises(RunError, match=r"cannot write .*checkpoints: No space left on device"):
            train(Experiment(name="run", overlap=True, **options))
    assert read_run(tmp_path / "run").status.state == "failed"
    assert [line["iteration"] for line in lines(tmp_path / "run")] == [0, 1, 2, 5, 10]  # none without its checkpoint
    resume(tmp_path / "run")
    assert_same(tmp_path / "run", whole("ce"))


def test_a_run_that_diverges_beside_an_evaluation_tells_both_in_order(options, tmp_path):
    wild = {**options, "learning_rate": 1e30}
    for overlap in (False, True):
        assert train(Experiment(name=str(overlap), overlap=overlap, **wild))["state"] == "diverged"
    assert str(lines(tmp_path / "True")) == str(lines(tmp_path / "False"))


def test_what_goes_on_beside_the_steps_follows_the_device_and_who_looks():
    quiet, looking = Ends(), keras.callbacks.Callback()
    assert overlaps(Experiment(), ["GPU:0"], [quiet])
    assert overlaps(Experiment(threads=2), ["CPU:0"], [quiet])
    assert not overlaps(Experiment(threads=1), ["CPU:0"], [quiet])
    assert overlaps(Experiment(threads=1, overlap=True), ["CPU:0"], [quiet])
    assert not overlaps(Experiment(threads=2, overlap=False), ["CPU:0"], [quiet])
    assert not overlaps(Experiment(overlap=False), ["GPU:0"], [quiet])
    assert not overlaps(Experiment(), ["GPU:0"], [quiet, looking])
    assert not overlaps(Experiment(until_fit=True), ["GPU:0"], [quiet])


def test_what_cannot_be_resumed(options, tmp_path, simplexlab):
    finished = train(Experiment(name="run", **options))
    before = (tmp_path / "run" / "metrics.jsonl").read_bytes()
    code, out, err = simplexlab("resume", "run", "--run-dir", tmp_path, "--json")
    assert code == 0
    assert "run is finished after 60 iterations" in err
    assert json.loads(out) == finished
    assert (tmp_path / "run" / "metrics.jsonl").read_bytes() == before

    for changes, told in (
        ({"learning_rate": 0.2}, r"--learning-rate is 0.2 here and 0.1 in the run run"),
        ({"threads": 1}, r"--threads is 1 here and not given in the run run"),
        ({"iterations": 70}, r"`simplexlab resume run --iterations 70` goes on"),
    ):
        with pytest.raises(UsageError, match=told):
            train(Experiment(name="run", **{**options, **changes}), resume=True)
    with pytest.raises(UsageError, match="give --name"):
        train(Experiment(**options), resume=True)

    assert train(Experiment(name="wild", **{**options, "learning_rate": 1e30}))["state"] == "diverged"
    code, _, err = simplexlab("resume", "wild", "--run-dir", tmp_path)
    assert code == 2
    assert "diverged" in err
    code, _, err = simplexlab("resume", "runn", "--run-dir", tmp_path)
    assert code == 2
    assert "did you mean run?" in err

    with pytest.raises(ZeroDivisionError):
        train(Experiment(name="broken", **options), [Break(41, ZeroDivisionError())])
    with RunWriter.reopen(tmp_path / "broken"), pytest.raises(UsageError, match="is being written by process"):
        resume(tmp_path / "broken")
    with np.load(options["dataset"]) as arrays:
        np.savez(options["dataset"], **{**arrays, "x_train": arrays["x_train"] // 2})
    with pytest.raises(UsageError, match="not those that the run broken was started on"):
        resume(tmp_path / "broken")


@pytest.mark.skipif(sys.platform != "linux", reason="the runs are forked from a process that has imported TensorFlow")
def test_runs_killed_at_random_moments():
    words = [sys.executable, HARNESS, "--kills", "2", "--fresh", "0", "--jobs", "1", "--what", "ce-fix", "--overlap"]
    process = subprocess.run(words, capture_output=True, text=True, timeout=280)
    assert "equal to the uninterrupted run after 2 kills" in process.stdout, process.stderr
