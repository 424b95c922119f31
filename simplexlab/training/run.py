"""One training run from its options to its run folder."""

import datetime
import math
import platform
import signal
import threading
import time
from collections.abc import Sequence
from contextlib import contextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np

from simplexlab.config import Experiment
from simplexlab.data import Dataset, corrupt_labels, load
from simplexlab.errors import RunError, UsageError
from simplexlab.runs import RunWriter
from simplexlab.training import runtime
from simplexlab.training.evaluation import Objective, Representations, TimeToFit, evaluate

if TYPE_CHECKING:
    import keras


def train(experiment: Experiment, callbacks: Sequence["keras.callbacks.Callback"] = ()) -> dict[str, Any]:
    """Train one experiment and write its run folder.

    Keras callbacks see an evaluation interval as an epoch: `on_train_batch_end(iteration, logs)` follows each graph
    call of up to about half a second of steps, `on_epoch_end(index, logs)` each evaluation, with its numbers;
    `model.stop_training = True` ends the run.

    Args:
        experiment: the options; `resolve` is called on them.
        callbacks: further Keras callbacks.

    Returns:
        The final summary, the content of `result.json`; its key `state` is finished, stopped or diverged.

    Raises:
        UsageError: the options do not fit the data or the machine; no run folder is left behind.
        RunError: the run failed while it ran, e.g. on a full disk; its folder stays, in state failed.
    """
    experiment = experiment.resolve()
    dataset = load(experiment.dataset, experiment.data_dir)
    labels, flipped = corrupt_labels(
        dataset.y_train,
        experiment.corrupt,
        experiment.corruption,
        experiment.seed,
        balanced=experiment.balanced,
        num_classes=dataset.num_classes,
    )
    _check_classes(labels, dataset.num_classes)
    config = describe(experiment, dataset, labels)
    name = experiment.name or run_stem(experiment)
    numbered = experiment.name is None
    with RunWriter.create(experiment.run_dir, name, config, total=experiment.iterations, numbered=numbered) as writer:
        try:
            writer.save_labels(labels, flipped)
            return _Run(experiment, dataset, labels, writer, callbacks).execute()
        except UsageError:
            writer.discard()
            raise
        except OSError as error:
            raise RunError(f"cannot write in {writer.path}: {error.strerror or error}") from error


def run_stem(experiment: Experiment) -> str:
    """Default name of a run: dataset, loss, corruption and seed, e.g. `digits-ce-0.2-s0`."""
    dataset = experiment.dataset.rstrip("/").rsplit("/", 1)[-1].removesuffix(".npz").replace(":", "-").lstrip(".")
    return f"{dataset}-{experiment.loss}-{experiment.corrupt:g}-s{experiment.seed}"


def describe(experiment: Experiment, dataset: Dataset, labels: np.ndarray) -> dict[str, Any]:
    """The content of `config.json`: options, the command that repeats them, versions, host and data facts."""
    packages = ("simplexlab", "tensorflow", "keras", "numpy")
    return {
        "kind": "train",
        "experiment": experiment.to_dict(),
        "command": experiment.command_line(),
        "versions": {"python": platform.python_version()} | {package: version(package) for package in packages},
        "host": {"system": platform.platform(), "machine": platform.machine()},
        "dataset": {
            "name": dataset.name,
            "num_classes": dataset.num_classes,
            "image_shape": list(dataset.image_shape),
            "train_size": len(dataset.y_train),
            "test_size": len(dataset.y_test),
            "class_names": list(dataset.class_names),
            "class_counts": np.bincount(labels, minlength=dataset.num_classes).tolist(),
        },
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }


def objective_of(experiment: Experiment) -> Objective:
    """What the evaluation needs to know of a resolved experiment."""
    from simplexlab.models import is_nonnegative

    return Objective(
        loss=experiment.loss,
        batch_size=experiment.batch_size,
        radius=1 / math.sqrt(experiment.temperature),
        nonnegative=is_nonnegative(experiment.encoder, experiment.dimension),
        policy=experiment.policy,
        seed=experiment.seed,
    )


class _Run:
    """The run while it runs: what one evaluation, one interval and the end do."""

    def __init__(
        self,
        experiment: Experiment,
        dataset: Dataset,
        labels: np.ndarray,
        writer: RunWriter,
        callbacks: Sequence["keras.callbacks.Callback"],
    ):
        self.experiment = experiment
        self.dataset = dataset
        self.labels = labels
        self.writer = writer
        self.objective = objective_of(experiment)
        self.time_to_fit = TimeToFit(experiment.tolerance)
        self.record: dict[str, Any] = {}
        self.classifier: np.ndarray | None = None
        self.runtime = runtime.start(experiment)
        with runtime.quiet_stderr():
            import keras

            from simplexlab.training.events import EventFiles
            from simplexlab.training.learner import build_learner
            from simplexlab.training.loop import Loop

            with self.runtime.strategy.scope():
                self.learner = build_learner(experiment, dataset)
        self.loop = Loop(experiment, dataset, labels, self.learner, self.runtime)
        self.callbacks = keras.callbacks.CallbackList(
            [EventFiles(writer.tensorboard_path), *callbacks],
            model=self.learner.model,
            epochs=math.ceil(experiment.iterations / experiment.evaluate_every),
            steps=experiment.iterations,
            verbose=0,
        )

    def execute(self) -> dict[str, Any]:
        """Train to the end, the fit, an interrupt or a non-finite loss, and write the result."""
        self.began = time.monotonic()
        self.learner.model.stop_training = False
        with _interrupts() as interrupted:
            self.callbacks.on_train_begin()
            state, iteration = self._train(interrupted)
            self.callbacks.on_train_end()
        result = self._result(state, iteration)
        if state != "diverged":
            self._save_model()
        self.writer.save_result(result)
        messages = {"diverged": f"the loss became non-finite by iteration {iteration}", "stopped": "interrupted"}
        self.writer.set_status(state, iteration=iteration, message=messages.get(state))
        return result

    def _train(self, interrupted) -> tuple[str, int]:
        total, every = self.experiment.iterations, self.experiment.evaluate_every
        if not self._evaluate(0, None):
            return "diverged", 0
        for interval, start in enumerate(range(0, total, every)):
            stop = min(start + every, total)
            self.callbacks.on_epoch_begin(interval)
            losses, done = 0.0, start
            for reached, loss in self.loop.run(start, stop):
                losses += loss * (reached - done)
                done = reached
                if not math.isfinite(loss):
                    self._log_divergence(done)
                    return "diverged", done
                self.writer.progress(done)
                self.callbacks.on_train_batch_end(done, {"loss": loss})
                if interrupted() and done < stop:
                    return "stopped", done
            if not self._evaluate(stop, losses / (stop - start)):
                return "diverged", stop
            self.callbacks.on_epoch_end(interval, self._logs())
            if self._is_last(stop) or self.learner.model.stop_training:
                return "finished", stop
            if interrupted():
                return "stopped", stop
        raise AssertionError("the last interval ends the loop")

    def _is_last(self, iteration: int) -> bool:
        fitted = self.time_to_fit.iteration is not None
        return iteration == self.experiment.iterations or (self.experiment.until_fit and fitted)

    def _evaluate(self, iteration: int, batch_loss: float | None) -> bool:
        """Evaluate and record; False where the representations or the loss are not finite."""
        train = Representations(self.loop.encode("train"), self.labels)
        test = Representations(self.loop.encode("test"), self.dataset.y_test)
        weights = self.learner.weights()
        if not (np.isfinite(train.values).all() and np.isfinite(test.values).all()):
            self._log_divergence(iteration)
            return False
        evaluation = evaluate(train, test, self.objective, weights, iteration=iteration)
        self.time_to_fit.update(iteration, evaluation.record["train_error"])
        if self.objective.loss == "sc" and self._is_last(iteration) and self.objective.policy != "probe":
            evaluation = evaluate(train, test, self.objective, weights, iteration=iteration, probe=True)
        self.record = {
            "iteration": iteration,
            "seconds": time.monotonic() - self.began,
            "learning_rate": float(self.learner.optimizer.learning_rate),
            "batch_loss": batch_loss,
            **evaluation.record,
        }
        self.classifier = evaluation.classifier
        self.writer.save_geometry(iteration, **evaluation.arrays)
        self.writer.log_metrics(self.record)
        return True

    def _log_divergence(self, iteration: int) -> None:
        seconds = time.monotonic() - self.began
        self.writer.log_metrics({"iteration": iteration, "seconds": seconds, "loss": math.nan, "diverged": True})

    def _logs(self) -> dict[str, float]:
        numbers = {key: value for key, value in self.record.items() if type(value) in (int, float)}
        return {**numbers, "time_to_fit": self.time_to_fit.iteration}

    def _result(self, state: str, iteration: int) -> dict[str, Any]:
        experiment = self.experiment
        record = dict(self.record)
        return {
            "run": self.writer.path.name,
            "state": state,
            "loss": experiment.loss,
            "dataset": experiment.dataset,
            "corrupt": experiment.corrupt,
            "seed": experiment.seed,
            "iterations": iteration,
            "time_to_fit": self.time_to_fit.iteration,
            "fit_lower": self.time_to_fit.lower,
            "fit_policy": experiment.policy,
            "tolerance": experiment.tolerance,
            "final_loss": record.pop("loss", None),
            "evaluated_at": record.pop("iteration", None),
            **record,
            "seconds": time.monotonic() - self.began,
        }

    def _save_model(self) -> None:
        from simplexlab.models import export_model

        export_model(self.learner.classifier_model(self.classifier)).save(self.writer.model_path)


def _check_classes(labels: np.ndarray, num_classes: int) -> None:
    missing = np.flatnonzero(np.bincount(labels, minlength=num_classes) == 0)
    if len(missing):
        raise UsageError(f"after corruption no training label is left of class {missing[0]}; corrupt fewer labels")


@contextmanager
def _interrupts():
    """Within the block the first SIGINT or SIGTERM asks the run to stop; the yielded function tells. A second kills."""
    requested: list[int] = []

    def request(number, _):
        requested.append(number)
        signal.signal(number, signal.default_int_handler)

    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    saved = {number: signal.signal(number, request) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(requested)
    finally:
        for number, handler in saved.items():
            signal.signal(number, handler)
