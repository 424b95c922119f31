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
from importlib.metadata import version
from typing import Any

import numpy as np

from simplexlab.config import Experiment, flag, format_value
from simplexlab.data import Dataset, corrupt_labels, load, require
from simplexlab.dataset_name import dataset_kind, dataset_stem
from simplexlab.errors import UsageError
from simplexlab.evaluation import Criterion
from simplexlab.runs import Run
from simplexlab.training import runtime
from simplexlab.training.cluster import Cluster

logger = logging.getLogger(__name__)

# What a run may be resumed with though it differs from what it was started with: where things are.
PLACES = ("name", "run_dir", "data_dir")
PACKAGES = ("simplexlab", "tensorflow", "keras", "numpy")


@dataclasses.dataclass(frozen=True)
class Task:
    """What a run works on; `started` is the runtime where reading the data has needed it already."""

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
    require(experiment.dataset, experiment.data_dir, experiment.labels)
    # TensorFlow, which reads TFDS sets, takes threads, devices and cluster only before its first operation.
    started = runtime.start(experiment, cluster) if dataset_kind(experiment.dataset) == "tfds" else None
    dataset = load_dataset(experiment)
    labels, flipped = corrupt_labels(
        dataset.y_train,
        experiment.corrupt,
        experiment.corruption,
        experiment.seed,
        balanced=experiment.balanced,
        num_classes=dataset.num_classes,
    )
    check_classes(labels, dataset.num_classes)
    return Task(experiment, dataset, labels, flipped, cluster, started)


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
    """The task with its runtime, before a run folder is made: most of what a machine lacks shows here."""
    if task.started is not None:
        return task
    pixels = math.prod(task.dataset.image_shape[:2])
    return dataclasses.replace(task, started=runtime.start(task.experiment, task.cluster, pixels))


def run_stem(experiment: Experiment) -> str:
    """Default name of a run: dataset, loss, corruption and seed, e.g. `digits-ce-0.2-s0`."""
    return f"{dataset_stem(experiment.dataset)}-{experiment.loss}-{experiment.corrupt:g}-s{experiment.seed}"


def describe(task: Task) -> dict[str, Any]:
    """The content of `config.json`: options, the command that repeats them, versions, host and data facts."""
    experiment, dataset = task.experiment, task.dataset
    return {
        "kind": "train",
        "experiment": experiment.to_dict(),
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


def criterion_of(experiment: Experiment) -> Criterion:
    """What the evaluation needs to know of a resolved experiment."""
    from simplexlab.models import is_nonnegative

    return Criterion(
        loss=experiment.loss,
        batch_size=experiment.batch_size,
        radius=1 / math.sqrt(experiment.temperature),
        nonnegative=is_nonnegative(experiment.encoder, experiment.dimension),
        policy=experiment.policy,
        seed=experiment.seed,
    )


def check_classes(labels: np.ndarray, num_classes: int) -> None:
    missing = np.flatnonzero(np.bincount(labels, minlength=num_classes) == 0)
    if len(missing):
        raise UsageError(f"after corruption no training label is left of class {missing[0]}; corrupt fewer labels")


def check_same_options(run: Run, experiment: Experiment) -> None:
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


def tell_other_versions(run: Run) -> None:
    versions = run.config.get("versions", {})
    changed = [f"{name} {versions[name]} → {version(name)}" for name in PACKAGES if versions.get(name) != version(name)]
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
