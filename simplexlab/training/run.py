"""One training run from its options to its run folder, and on from its last checkpoint."""

import contextlib
import dataclasses
import datetime
import hashlib
import json
import logging
import math
import platform
import signal
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from simplexlab.config import Experiment, flag, format_value
from simplexlab.data import Dataset, corrupt_labels, is_tfds, load, require
from simplexlab.errors import RunError, UsageError
from simplexlab.quiet import quiet_stderr
from simplexlab.runs import Run, RunWriter, read_run
from simplexlab.training import checkpoints, runtime
from simplexlab.training.checkpoints import Checkpoint
from simplexlab.training.cluster import Cluster
from simplexlab.training.evaluation import Objective, Representations, TimeToFit, evaluate

if TYPE_CHECKING:
    import keras

    Callbacks = Sequence[keras.callbacks.Callback] | Callable[[], Sequence[keras.callbacks.Callback]]

logger = logging.getLogger(__name__)

# What a run may be resumed with though it differs from what it was started with: where things are.
PLACES = ("name", "run_dir", "data_dir")
PACKAGES = ("simplexlab", "tensorflow", "keras", "numpy")
GOES_ON, FINISHED, DIVERGED = range(3)


def train(experiment: Experiment, callbacks: "Callbacks" = (), *, resume: bool = False) -> dict[str, Any]:
    """Train one experiment and write its run folder.

    Keras callbacks see an evaluation interval as an epoch: `on_train_begin` gets the iteration to start from,
    `on_train_batch_end(iteration, logs)` follows each graph call of up to about half a second of steps,
    `on_epoch_end(index, logs)` each evaluation, with its numbers; `model.stop_training = True` ends the run. Their own
    state is not part of a checkpoint.

    Where TF_CONFIG names several workers, each of them calls this with the same options; worker 0 writes the folder.

    Args:
        experiment: the options; `resolve` is called on them.
        callbacks: further Keras callbacks, or a function that makes them once the data are there (Keras takes seconds
            to import); only worker 0 calls them.
        resume: go on with the run of that name if there is one, see `resume`.

    Returns:
        The final summary, the content of `result.json`; its key `state` is finished, stopped or diverged. On a worker
        other than 0: `state`, `iterations` and `worker`.

    Raises:
        UsageError: the options do not fit the data or the machine, and no run folder is left behind; or they are not
            those of the run that is resumed.
        RunError: the run failed while it ran, e.g. on a full disk; its folder stays, in state failed.
    """
    experiment = experiment.resolve()
    cluster = Cluster.from_environment()
    if resume and experiment.name is None:
        raise UsageError("--resume goes on with a run by its name; give --name")
    if resume:
        run = read_run(Path(experiment.run_dir, experiment.name))
        if run.status.state != "missing":
            _check_same_options(run, experiment)
            return _go_on(run, experiment, cluster, callbacks)
    task = _prepare(experiment, cluster)
    config = describe(experiment, task.dataset, task.labels, cluster)
    name = experiment.name or run_stem(experiment)
    numbered = experiment.name is None
    with _interrupts() as interrupted:
        if not cluster.is_chief:
            return _follow(task, interrupted)
        total = experiment.iterations
        with RunWriter.create(experiment.run_dir, name, config, total=total, numbered=numbered) as writer:
            try:
                return _write(task, writer, interrupted, callbacks)
            except UsageError:
                writer.discard()
                raise


def resume(folder: str | Path, callbacks: "Callbacks" = ()) -> dict[str, Any]:
    """Go on with a run from its last whole checkpoint, or from the start where it has none, as if it had not stopped.

    On a CPU with as many threads, metrics (but for `seconds`) and weights are bit for bit those of a run that was
    never interrupted.

    Args:
        folder: the run folder.
        callbacks: as of `train`.

    Returns:
        The final summary as from `train`; of a finished run, the one that it has.

    Raises:
        UsageError: the folder holds no training run, another process writes it, it diverged, or its data changed.
        RunError: as from `train`.
    """
    run = read_run(folder)
    if run.config.get("kind") != "train":
        raise UsageError(f"{folder} is not the folder of a training run; `simplexlab runs` lists them")
    experiment = dataclasses.replace(
        Experiment.from_dict(run.config["experiment"]), run_dir=str(run.path.parent), name=run.name
    ).resolve()
    return _go_on(run, experiment, Cluster.from_environment(), callbacks)


def _go_on(run: Run, experiment: Experiment, cluster: Cluster, callbacks: "Callbacks") -> dict[str, Any]:
    state = run.status.state
    if state == "finished" and run.result is not None:
        return {**run.result, "run": run.name}  # the folder may have been renamed since
    if state == "diverged":
        raise UsageError(
            f"the run {run.name} diverged: {run.status.message}; going on would repeat it. Start a new one with a "
            "smaller --learning-rate"
        )
    if state == "unknown version":
        raise UsageError(f"{run.path}: {run.status.message}")
    task = _prepare(experiment, cluster)
    if run.config["dataset"].get("checksum") not in (None, checksum(task.dataset, task.labels)):
        raise UsageError(f"the data of {experiment.dataset} are not those that the run {run.name} was started on")
    with _interrupts() as interrupted:
        if not cluster.is_chief:
            return _follow(task, interrupted)
        _tell_other_versions(run)
        with RunWriter.reopen(run.path, total=experiment.iterations) as writer:
            return _write(task, writer, interrupted, callbacks)


@dataclasses.dataclass(frozen=True)
class _Task:
    """What a run works on; `started` is the runtime where reading the data has needed it already."""

    experiment: Experiment
    dataset: Dataset
    labels: np.ndarray
    flipped: np.ndarray
    cluster: Cluster
    started: runtime.Runtime | None


def _follow(task: _Task, interrupted: Callable[[], bool]) -> dict[str, Any]:
    """What a worker other than 0 does."""
    with runtime.lost_workers_told(task.cluster), runtime.keras_precision(task.experiment.precision):
        return _Run(task, interrupted).execute()


def _write(task: _Task, writer: RunWriter, interrupted: Callable[[], bool], callbacks: "Callbacks") -> dict[str, Any]:
    writer.save_labels(task.labels, task.flipped)
    with (
        runtime.lost_workers_told(task.cluster),
        runtime.numpy_threads(task.experiment.threads),
        runtime.keras_precision(task.experiment.precision),
    ):
        return _Run(task, interrupted, writer, callbacks).execute()


@contextlib.contextmanager
def _told(path: Path) -> Iterator[None]:
    """Tell an OSError in one line that names the file."""
    try:
        yield
    except OSError as error:
        raise RunError(f"cannot write {path}: {error.strerror or error}") from error


def _prepare(experiment: Experiment, cluster: Cluster) -> _Task:
    """Load the data and corrupt the labels."""
    require(experiment.dataset, experiment.data_dir)
    # TensorFlow, which reads TFDS sets, takes threads, devices and cluster only before its first operation.
    started = runtime.start(experiment, cluster) if is_tfds(experiment.dataset) else None
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
    return _Task(experiment, dataset, labels, flipped, cluster, started)


def _check_same_options(run: Run, experiment: Experiment) -> None:
    if run.config.get("kind") != "train":
        raise UsageError(f"{run.path} is not the folder of a training run; choose another --name")
    started = Experiment.from_dict(run.config["experiment"])
    for field in dataclasses.fields(Experiment):
        old, new = getattr(started, field.name), getattr(experiment, field.name)
        if field.name not in PLACES and old != new:
            raise UsageError(
                f"{flag(field.name)} is {_shown(new)} here and {_shown(old)} in the run {run.name}; "
                f"`simplexlab resume {run.name}` goes on with its own options"
            )


def _shown(value: Any) -> str:
    return "not given" if value is None else format_value(value)


def _tell_other_versions(run: Run) -> None:
    versions = run.config.get("versions", {})
    changed = [f"{name} {versions[name]} → {version(name)}" for name in PACKAGES if versions.get(name) != version(name)]
    if changed:
        logger.warning("%s was started with other versions, numbers may differ: %s", run.name, ", ".join(changed))


def run_stem(experiment: Experiment) -> str:
    """Default name of a run: dataset, loss, corruption and seed, e.g. `digits-ce-0.2-s0`."""
    dataset = experiment.dataset.rstrip("/").rsplit("/", 1)[-1].removesuffix(".npz").replace(":", "-").lstrip(".")
    return f"{dataset}-{experiment.loss}-{experiment.corrupt:g}-s{experiment.seed}"


def describe(experiment: Experiment, dataset: Dataset, labels: np.ndarray, cluster: Cluster) -> dict[str, Any]:
    """The content of `config.json`: options, the command that repeats them, versions, host and data facts."""
    return {
        "kind": "train",
        "experiment": experiment.to_dict(),
        "command": dataclasses.replace(experiment, name=None).command_line(),  # the name is taken
        "versions": {"python": platform.python_version()} | {package: version(package) for package in PACKAGES},
        "host": {"system": platform.platform(), "machine": platform.machine(), "workers": list(cluster.workers)},
        "dataset": {
            "name": dataset.name,
            "num_classes": dataset.num_classes,
            "image_shape": list(dataset.image_shape),
            "train_size": len(dataset.y_train),
            "test_size": len(dataset.y_test),
            "class_names": list(dataset.class_names),
            "checksum": checksum(dataset, labels),
            "class_counts": np.bincount(labels, minlength=dataset.num_classes).tolist(),
        },
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }


def checksum(dataset: Dataset, labels: np.ndarray) -> str:
    """CRC-32 of the training images, the labels given to training and the test set."""
    value = 0
    for array in (dataset.x_train, labels, dataset.x_test, dataset.y_test):
        value = zlib.crc32(np.ascontiguousarray(array), value)
    return f"{value:08x}"


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
    """The steps, evaluations and checkpoints of a run in their order.

    Every worker goes through them; the chief alone has a writer, evaluates, and decides how it goes on.
    """

    def __init__(
        self,
        task: _Task,
        interrupted: Callable[[], bool],
        writer: RunWriter | None = None,
        callbacks: "Callbacks" = (),
    ):
        experiment, dataset, labels = task.experiment, task.dataset, task.labels
        self.experiment = experiment
        self.dataset = dataset
        self.labels = labels
        self.writer = writer
        self.interrupted = interrupted
        self.objective = objective_of(experiment)
        self.time_to_fit = TimeToFit(experiment.tolerance)
        self.batch_losses: list[float] = []
        self.record: dict[str, Any] = {}
        self.classifier: np.ndarray | None = None
        self.runtime = task.started or runtime.start(experiment, task.cluster, math.prod(dataset.image_shape[:2]))
        _check_same_start(self.runtime, experiment, dataset, labels)
        with quiet_stderr():
            import keras

            from simplexlab.training.events import EventFiles
            from simplexlab.training.learner import build_learner
            from simplexlab.training.loop import Loop

            with self.runtime.strategy.scope():
                self.learner = build_learner(experiment, dataset)
        self.loop = Loop(experiment, dataset, labels, self.learner, self.runtime)
        if writer is not None:
            self.events = EventFiles(writer.tensorboard_path)
            self.callbacks = keras.callbacks.CallbackList(
                [self.events, *(callbacks() if callable(callbacks) else callbacks)],
                model=self.learner.model,
                epochs=math.ceil(experiment.iterations / experiment.evaluate_every),
                steps=experiment.iterations,
                verbose=0,
            )

    def execute(self) -> dict[str, Any]:
        """Train to the end, the fit, an interrupt or a non-finite loss, and write the result."""
        start = self._restore()
        if self.writer is None:
            state, iteration = self._train(start)
            return {"state": state, "iterations": iteration, "worker": self.runtime.cluster.index}
        self.learner.model.stop_training = False
        self.callbacks.on_train_begin({"iteration": start})
        state, iteration = self._train(start)
        self.callbacks.on_train_end()
        result = self._result(state, iteration)
        if state != "diverged":
            self._save_model()
        self.writer.save_result(result)
        messages = {"diverged": f"the loss became non-finite by iteration {iteration}", "stopped": "interrupted"}
        self.writer.set_status(state, iteration=iteration, message=messages.get(state))
        if state == "finished":
            checkpoints.remove(self.writer.checkpoints_path)
        return result

    def _restore(self) -> int:
        """Take up the last checkpoint, on every worker; return its iteration, 0 without one."""
        variables = self.learner.variables()
        checkpoint = None
        if self.writer is not None:
            checkpoint = checkpoints.load(self.writer.checkpoints_path, [variable.numpy() for variable in variables])
            start = checkpoint.iteration if checkpoint else 0
            # The evaluation at `start` is done again: what it recorded is dropped.
            self.writer.rewind(start - 1)
            self.events.rewind(start - 1)
            self.record = read_run(self.writer.path).metrics or {}
        start = self.runtime.gather(checkpoint.iteration if checkpoint else 0)[0]
        self.began = time.monotonic() - (checkpoint.seconds if checkpoint else 0.0)
        if checkpoint:
            self.time_to_fit.lower, self.time_to_fit.iteration = checkpoint.fit_lower, checkpoint.fit_iteration
            self.batch_losses = checkpoint.batch_losses.tolist()
        if start > 0:
            with self.runtime.strategy.scope():
                for index, variable in enumerate(variables):
                    value = checkpoint.variables[index] if checkpoint else variable.numpy()
                    variable.assign(self.runtime.broadcast(value))
        return start

    def _train(self, iteration: int) -> tuple[str, int]:
        experiment = self.experiment
        while True:
            if self._is_due(iteration, experiment.evaluate_every) and (state := self._evaluate(iteration)):
                return state, iteration
            if self.writer is not None and iteration % experiment.evaluate_every == 0:
                self.callbacks.on_epoch_begin(iteration // experiment.evaluate_every)
            for reached, losses in self.loop.run(iteration, self._next_stop(iteration)):
                finite = np.isfinite(losses)
                if not finite.all():
                    iteration += int(np.argmin(finite)) + 1
                    self._log_divergence(iteration)
                    return "diverged", iteration
                iteration = reached
                self._note(iteration, losses)
                if any(self.runtime.gather(int(self.interrupted()))):
                    self._save_checkpoint(iteration)
                    logger.warning("interrupted at iteration %d; once more leaves without an evaluation", iteration)
                    return self._evaluate(iteration) or "stopped", iteration
            if self._is_due(iteration, experiment.checkpoint_every or experiment.evaluate_every):
                self._save_checkpoint(iteration)

    def _next_stop(self, iteration: int) -> int:
        """The next iteration at which an evaluation or a checkpoint is due."""
        intervals = {self.experiment.evaluate_every, self.experiment.checkpoint_every or self.experiment.evaluate_every}
        return min(self.experiment.iterations, *(iteration - iteration % every + every for every in intervals))

    def _is_due(self, iteration: int, every: int) -> bool:
        return iteration % every == 0 or iteration == self.experiment.iterations

    def _is_last(self, iteration: int) -> bool:
        fitted = self.time_to_fit.iteration is not None
        return iteration == self.experiment.iterations or (self.experiment.until_fit and fitted)

    def _note(self, iteration: int, losses: np.ndarray) -> None:
        if self.writer is not None:
            self.batch_losses.extend(losses.tolist())
            self.writer.progress(iteration)
            self.callbacks.on_train_batch_end(iteration, {"loss": float(losses.mean())})

    def _save_checkpoint(self, iteration: int) -> None:
        if self.writer is None:
            return
        checkpoint = Checkpoint(
            iteration=iteration,
            seconds=time.monotonic() - self.began,
            batch_losses=np.array(self.batch_losses),
            fit_lower=self.time_to_fit.lower,
            fit_iteration=self.time_to_fit.iteration,
            variables=[variable.numpy() for variable in self.learner.variables()],
        )
        with _told(self.writer.checkpoints_path):
            checkpoints.save(self.writer.checkpoints_path, checkpoint)

    def _evaluate(self, iteration: int) -> str | None:
        """Evaluate; return the state that ends the run, or None where it goes on."""
        train, test = map(Representations, self.loop.encode(), (self.labels, self.dataset.y_test))
        outcome = self._record(iteration, train, test) if self.writer is not None else GOES_ON
        return {FINISHED: "finished", DIVERGED: "diverged"}.get(self.runtime.gather(outcome)[0])

    def _record(self, iteration: int, train: Representations, test: Representations) -> int:
        if not (np.isfinite(train.values).all() and np.isfinite(test.values).all()):
            self._log_divergence(iteration)
            return DIVERGED
        weights = self.learner.weights()
        with np.errstate(over="ignore", invalid="ignore"):  # shortly before a run diverges
            evaluation = evaluate(train, test, self.objective, weights, iteration=iteration)
            self.time_to_fit.update(iteration, evaluation.record["train_error"])
            if self.objective.loss == "sc" and self._is_last(iteration) and self.objective.policy != "probe":
                evaluation = evaluate(train, test, self.objective, weights, iteration=iteration, probe=True)
        self.record = {
            "iteration": iteration,
            "seconds": time.monotonic() - self.began,
            "learning_rate": self.learner.learning_rate,
            "batch_loss": math.fsum(self.batch_losses) / len(self.batch_losses) if self.batch_losses else None,
            "time_to_fit": self.time_to_fit.iteration,
            "fit_lower": self.time_to_fit.lower,
            **evaluation.record,
        }
        self.batch_losses = []
        self.classifier = evaluation.classifier
        self.writer.save_geometry(iteration, **evaluation.arrays)
        self.writer.log_metrics(self.record)
        if iteration > 0:
            self.callbacks.on_epoch_end((iteration - 1) // self.experiment.evaluate_every, self._logs())
        return FINISHED if self._is_last(iteration) or self.learner.model.stop_training else GOES_ON

    def _log_divergence(self, iteration: int) -> None:
        if self.writer is not None:
            seconds = time.monotonic() - self.began
            self.writer.log_metrics({"iteration": iteration, "seconds": seconds, "loss": math.nan, "diverged": True})

    def _logs(self) -> dict[str, float]:
        return {key: value for key, value in self.record.items() if type(value) in (int, float)}

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

        model = export_model(self.learner.classifier_model(self.classifier))
        self.writer.save_model(model.save)


def _check_classes(labels: np.ndarray, num_classes: int) -> None:
    missing = np.flatnonzero(np.bincount(labels, minlength=num_classes) == 0)
    if len(missing):
        raise UsageError(f"after corruption no training label is left of class {missing[0]}; corrupt fewer labels")


def _check_same_start(started: runtime.Runtime, experiment: Experiment, dataset: Dataset, labels: np.ndarray) -> None:
    """Raise a UsageError on every worker where their options or data differ."""
    options = {name: value for name, value in experiment.to_dict().items() if name not in PLACES}
    text = json.dumps(options, sort_keys=True) + checksum(dataset, labels)
    fingerprint = int(hashlib.sha256(text.encode()).hexdigest()[:15], 16)  # fits an int64
    if len(set(started.gather(fingerprint))) > 1:
        raise UsageError("the workers were started with different options or data; start each with the same command")


@contextlib.contextmanager
def _interrupts() -> Iterator[Callable[[], bool]]:
    """Let the first SIGINT or SIGTERM within the block only be noted, once the yielded function was asked for it.

    A second one, and one that comes while the run is still being prepared, raises KeyboardInterrupt.
    """
    asked = requested = False

    def note(number, frame):
        nonlocal requested
        if requested or not asked:
            raise KeyboardInterrupt
        requested = True

    def interrupted() -> bool:
        nonlocal asked
        asked = True
        return requested

    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    saved = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield interrupted
    finally:
        for number, handler in saved.items():
            signal.signal(number, handler)
