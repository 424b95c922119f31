"""What a run is: its data and labels, the content of `config.json`, and the checks before it starts or goes on."""

import dataclasses
import datetime
import functools
import hashlib
import json
import logging
import math
import platform
import zlib
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import numpy as np

from simplexlab import objectives
from simplexlab.config import Experiment, class_share, flag, format_value
from simplexlab.data import Dataset, corrupt_labels, load, require
from simplexlab.dataset_name import dataset_kind, dataset_stem
from simplexlab.errors import UsageError
from simplexlab.evaluation import Criterion
from simplexlab.geometry.catalogue import own_facts
from simplexlab.memory import check_address_space, check_memory, check_step_addresses
from simplexlab.objectives import own
from simplexlab.runs import Run
from simplexlab.runs.folder import CHECKPOINTS_FOLDER, LOSS_FILE
from simplexlab.training import checkpoints, runtime
from simplexlab.training.cluster import Cluster

logger = logging.getLogger(__name__)

# What a run may be resumed with though it differs from what it was started with: where things are.
PLACES = ("name", "run_dir", "data_dir")
PACKAGES = ("simplexlab", "tensorflow", "keras", "numpy")


@dataclasses.dataclass(frozen=True)
class Task:
    """What a run works on.

    `flipped` are the indices of the wrong labels; `started` is the runtime where reading the data has needed it.
    """

    experiment: Experiment
    dataset: Dataset
    labels: np.ndarray
    flipped: np.ndarray
    cluster: Cluster
    started: runtime.Runtime | None

    @functools.cached_property
    def checksum(self) -> str:
        """CRC-32 of the training images, the labels given to training and the test set."""
        value = 0
        for array in (self.dataset.x_train, self.labels, self.dataset.x_test, self.dataset.y_test):
            value = zlib.crc32(np.ascontiguousarray(array), value)
        return f"{value:08x}"


def prepare(experiment: Experiment, cluster: Cluster) -> Task:
    """Load the data and corrupt the labels."""
    check_address_space(len(cluster.workers))
    require(experiment.dataset, experiment.data_dir, experiment.labels)
    # TensorFlow, which reads TFDS sets, takes threads, devices and cluster only before its first operation.
    started = runtime.start(experiment, cluster) if dataset_kind(experiment.dataset) == "tfds" else None
    dataset = load_dataset(experiment)
    labels, _ = corrupt_labels(
        dataset.y_train,
        experiment.corrupt,
        experiment.corruption,
        experiment.seed,
        balanced=experiment.balanced,
        num_classes=dataset.num_classes,
    )
    check_classes(labels, dataset.num_classes)
    class_share(experiment, dataset.num_classes)
    return Task(experiment, dataset, labels, np.flatnonzero(labels != dataset.true_labels), cluster, started)


def check_training_run(run: Run) -> None:
    """Raise a UsageError where a folder is no training run's, or its config.json is not as it was written."""
    damage = [problem for problem in run.damage if problem.startswith("config.json")]
    if damage:
        raise UsageError(f"{run.path} is damaged: {damage[0]}")
    if run.config.get("kind") != "train":
        raise UsageError(f"{run.path} is not the folder of a training run; `simplexlab runs` lists them")
    if lacking := [key for key in ("experiment", "dataset") if key not in run.config]:
        raise UsageError(f"{run.path} is damaged: config.json lacks {lacking[0]}")


def load_dataset(experiment: Experiment) -> Dataset:
    """The dataset of an experiment, as `load` gives it."""
    return load(
        experiment.dataset,
        experiment.data_dir,
        labels=experiment.labels,
        train_size=experiment.train_size,
        image_size=experiment.image_size,
    )


def start(task: Task) -> Task:
    """The task with its runtime, before a run folder is made: most of what a machine lacks shows here.

    Raises:
        UsageError: as of `runtime.start`, or a step needs more memory than the machine has.
        RunError: it will hardly fit into what `ulimit -v` allows.
    """
    pixels = math.prod(task.dataset.image_shape[:2])
    started = task.started or runtime.start(task.experiment, task.cluster, pixels)
    check_step_memory(task.experiment, task.dataset, started)
    return dataclasses.replace(task, started=started)


def check_step_memory(experiment: Experiment, dataset: Dataset, started: runtime.Runtime) -> None:
    """Raise a UsageError or, under `ulimit -v`, a RunError where a step on the CPU cannot fit.

    A GPU says so itself, in its own time.
    """
    if not started.devices[0].startswith("CPU"):
        return
    from simplexlab.models import least_memory

    needed = least_memory(
        experiment.encoder,
        dataset.image_shape,
        width=experiment.width,
        dimension=experiment.dimension,
        num_classes=dataset.num_classes,
        batch_size=-(-experiment.points // len(started.cluster.workers)),
        precision=experiment.precision,
    )
    what = f"a step with --batch-size {experiment.batch_size}, --width {experiment.width}"
    what += f", --views {experiment.views}" if experiment.views > 1 else ""
    what += "" if experiment.dimension is None else f", --dimension {experiment.dimension}"
    check_memory(needed, what, "take less of one of them")
    check_step_addresses(needed, what, "take less of one of them")


def run_stem(experiment: Experiment) -> str:
    """Default name of a run: dataset, loss, corruption and seed, e.g. `digits-ce-0.2-s0`."""
    return f"{dataset_stem(experiment.dataset)}-{experiment.objective.name}-{experiment.corrupt:g}-s{experiment.seed}"


def describe(task: Task) -> dict[str, Any]:
    """The content of `config.json`: options, the command that repeats them, versions, host and data facts."""
    experiment, dataset = task.experiment, task.dataset
    return {
        "kind": "train",
        "experiment": experiment.to_dict(),
        "objective": experiment.objective.facts() | own.executed_facts(experiment.loss),
        "statistics": own_facts(),
        "command": dataclasses.replace(experiment, name=None).command_line(),  # the name is taken
        "versions": {"python": platform.python_version()} | {package: version(package) for package in PACKAGES},
        "host": {"system": platform.platform(), "machine": platform.machine(), "workers": list(task.cluster.workers)},
        "dataset": {
            "name": dataset.name,
            "num_classes": dataset.num_classes,
            "image_shape": list(dataset.image_shape),
            "train_size": len(dataset.y_train),
            "test_size": len(dataset.y_test),
            "class_names": list(dataset.class_names),
            "checksum": task.checksum,
            "class_counts": np.bincount(task.labels, minlength=dataset.num_classes).tolist(),
        },
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }


def criterion_of(
    experiment: Experiment, num_classes: int, keras_loss: Any = None, penalty: Callable[[Any], Any] | None = None
) -> Criterion:
    """What the evaluation needs to know of a resolved experiment.

    Args:
        experiment: the options.
        num_classes: K.
        keras_loss: the Keras loss, for objectives whose loss the evaluation computes by it.
        penalty: what those add for the rows of their head, made of `keras.ops`.
    """
    from simplexlab.models import is_nonnegative

    return Criterion(
        objective=experiment.objective,
        batch_size=experiment.batch_size,
        nonnegative=is_nonnegative(experiment.encoder, experiment.dimension),
        policy=experiment.policy,
        options=experiment.options,
        seed=experiment.seed,
        sample_losses=None if keras_loss is None else _of_arrays(keras_loss),
        penalty=None if penalty is None else _of_rows(penalty),
        views=experiment.views or 1,  # runs of earlier versions say nothing of views
        per_class=class_share(experiment, num_classes),
    )


def _of_arrays(keras_loss: Any) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """A Keras loss without reduction as a function of arrays."""

    def sample_losses(labels: np.ndarray, outputs: np.ndarray) -> np.ndarray:
        from keras import ops

        return ops.convert_to_numpy(keras_loss(labels, outputs))

    return sample_losses


def _of_rows(penalty: Callable[[Any], Any]) -> Callable[[np.ndarray], float]:
    """A penalty made of `keras.ops` as a function of an array."""

    def value(rows: np.ndarray) -> float:
        from keras import ops

        return float(ops.convert_to_numpy(penalty(ops.convert_to_tensor(rows))))

    return value


def check_classes(labels: np.ndarray, num_classes: int) -> None:
    missing = np.flatnonzero(np.bincount(labels, minlength=num_classes) == 0)
    if len(missing):
        raise UsageError(f"after corruption no training label is left of class {missing[0]}; corrupt fewer labels")


def load_objective(run: Run, trust: bool) -> None:
    """Make the loss of a run known to this process where it comes from a file of one's own.

    The original is taken where it is unchanged and its user has run it before; nothing that a folder from somewhere
    else contains or points to is executed. With `trust` the copy in the run folder takes its place where it is not.

    Args:
        run: the run.
        trust: whether the copy may be executed.

    Raises:
        UsageError: the file is not there any more, has changed, or was never run here, and the copy may not or cannot
            be executed.
    """
    experiment, facts = run.config.get("experiment"), run.config.get("objective")
    loss = experiment.get("loss") if isinstance(experiment, dict) else None
    if not isinstance(loss, str) or not own.is_path(loss):
        return
    recorded = facts.get("checksum") if isinstance(facts, dict) else None
    path = own.split(loss)[0]
    try:
        changed = own.source_facts(loss)["checksum"] != recorded
        reason = "has changed since the run was started" if changed else "was never run here by its user"
        if not changed and own.is_allowed(loss):
            return
    except UsageError:
        reason = "is not there any more"
    if not trust:
        raise UsageError(f"the loss of {run.name}, {path}, {reason}; --trust goes on with the copy in its folder")
    logger.warning("%s %s; going on with the copy in the run folder", path, reason)
    own.load_copy(loss, run.path / LOSS_FILE, recorded, taken=objectives.table())


def longer(run: Run, iterations: int) -> dict[str, Any]:
    """The content of `config.json` for a run that goes on to `iterations`, at least as many as it has.

    Raises:
        UsageError: they are fewer, its learning rate is annealed over those that it has, it ended by its fit, or it is
            finished and has no checkpoint.
    """
    options = run.config["experiment"]
    old, schedule = options.get("iterations"), options.get("schedule")
    if old is None:
        raise UsageError(f"{run.path} is damaged: config.json lacks the iterations")
    asked = f"--iterations {iterations}"
    if iterations < old:
        raise UsageError(f"{asked}: the run {run.name} has {old}; a run can go on to more, not to fewer")
    if iterations > old and schedule != "constant":
        raise UsageError(
            f"{asked}: the learning rate of {run.name} is annealed ({schedule}) over its {old} iterations, so a longer "
            "run would have had other rates from the start; train a new one, or with --schedule constant"
        )
    if iterations > old and run.status.state == "finished":
        if options.get("until_fit") and (run.result or {}).get("time_to_fit") is not None:
            raise UsageError(f"{asked}: the run {run.name} ended where it had fitted (--until-fit)")
        if not checkpoints.exist(run.path / CHECKPOINTS_FOLDER):
            raise UsageError(f"{asked}: the run {run.name} has no checkpoint any more to go on from; train a new one")
    options = {**options, "iterations": iterations}
    command = dataclasses.replace(Experiment.from_dict(options), name=None).command_line()
    return {**run.config, "experiment": options, "command": command}


def check_same_options(run: Run, experiment: Experiment) -> None:
    check_training_run(run)
    started = Experiment.from_dict(run.config["experiment"]).to_dict()
    for name, new in experiment.to_dict().items():
        old = started.get(name)
        known = name in run.config["experiment"]  # by the version that started the run
        if known and name not in PLACES and old != new:
            more = f" --iterations {new}" if name == "iterations" and new > old else ""
            raise UsageError(
                f"{flag(name)} is {_shown(new)} here and {_shown(old)} in the run {run.name}; "
                f"`simplexlab resume {run.name}{more}` goes on with its own options"
            )
    checksum = own.source_facts(experiment.loss).get("checksum")
    if checksum != (run.config.get("objective") or {}).get("checksum"):
        raise UsageError(
            f"{own.split(experiment.loss)[0]} has changed since {run.name} was started; "
            f"`simplexlab resume {run.name} --trust` goes on with the copy in its folder"
        )


def _shown(value: Any) -> str:
    return "not given" if value is None else format_value(value)


def tell_other_versions(run: Run) -> None:
    versions = run.config.get("versions", {})
    before = {name: versions.get(name, "unknown") for name in PACKAGES}
    changed = [f"{name} {old} → {version(name)}" for name, old in before.items() if old != version(name)]
    if changed:
        logger.warning("%s was started with other versions, numbers may differ: %s", run.name, ", ".join(changed))


def check_same_start(started: runtime.Runtime, task: Task) -> None:
    """Raise a UsageError on every worker where their options or data differ."""
    if len(task.cluster.workers) == 1:
        return
    options = {name: value for name, value in task.experiment.to_dict().items() if name not in PLACES}
    text = json.dumps(options, sort_keys=True) + task.checksum
    fingerprint = int(hashlib.sha256(text.encode()).hexdigest()[:15], 16)  # fits an int64
    if len(set(started.gather(fingerprint))) > 1:
        raise UsageError("the workers were started with different options or data; start each with the same command")
