"""One toy run from its options to its run folder."""

import datetime
import platform
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import numpy as np

from simplexlab.config import Experiment
from simplexlab.errors import UsageError
from simplexlab.evaluation import TimeToFit
from simplexlab.runs import RunWriter
from simplexlab.runs.record import final_result, metrics_line
from simplexlab.theory import AllBatches
from simplexlab.toy.configurations import Configuration, first_configuration, labels_of
from simplexlab.toy.evaluation import evaluate_toy
from simplexlab.toy.minimise import minimise_all_batches
from simplexlab.toy.settings import Toy


def run_toy(toy: Toy, report: Callable[[dict[str, Any]], None] | None = None) -> dict[str, Any]:
    """Optimise the free points of a toy and write its run folder, with a frame of all points an evaluation.

    Args:
        toy: the options; `resolve` is called on them.
        report: called with the metrics line of each evaluation.

    Returns:
        The final summary, the content of `result.json`; its key `state` is finished, or stopped by an interrupt.

    Raises:
        UsageError: the options are wrong; no run folder is left behind.
        RunError: the run folder could not be written.
    """
    resolved = toy.resolve()
    labels = labels_of(resolved.class_counts)
    objective = _all_batches(resolved, labels) if resolved.all_batches else None
    config = _describe(toy, resolved, labels)
    optimise = _optimiser(resolved, labels, objective)
    stem = toy.name or f"toy-{toy.loss}{'-all-batches' if toy.all_batches else ''}-s{toy.seed}"
    with RunWriter.create(resolved.run_dir, stem, config, total=resolved.steps, numbered=toy.name is None) as writer:
        writer.save_labels(labels, np.empty(0, dtype=np.int64), labels)
        run = _Run(resolved, labels, writer, report)
        try:
            optimise(run.visit)
            state, message = "finished", None
        except KeyboardInterrupt:
            state, message = "stopped", "interrupted"
        result = run.result(state)
        writer.save_result(result)
        writer.set_status(state, result["iterations"], message)
    return result


class _Run:
    """What one evaluation records, and the summary at the end."""

    def __init__(
        self, toy: Toy, labels: np.ndarray, writer: RunWriter, report: Callable[[dict[str, Any]], None] | None
    ):
        self.toy = toy
        self.labels = labels
        self.writer = writer
        self.report = report
        self.time_to_fit = TimeToFit(0.0)
        self.record: dict[str, Any] = {}
        self.iteration = 0
        self.began = time.monotonic()

    def visit(self, iteration: int, configuration: Configuration, loss: float | None = None) -> None:
        """Evaluate a configuration and record it."""
        self.iteration = iteration
        record, arrays = evaluate_toy(self.toy, self.labels, configuration, iteration, loss)
        self.time_to_fit.update(iteration, record["train_error"])
        self.record = metrics_line(
            record,
            iteration=iteration,
            seconds=time.monotonic() - self.began,
            learning_rate=self.toy.learning_rate,
            time_to_fit=self.time_to_fit.iteration,
            fit_lower=self.time_to_fit.lower,
        )
        self.writer.save_geometry(iteration, **arrays)
        self.writer.log_metrics(self.record)
        self.writer.progress(iteration)
        if self.report is not None:
            self.report(self.record)

    def result(self, state: str) -> dict[str, Any]:
        """The content of `result.json`: the last good numbers."""
        return final_result(
            self.record,
            run=self.writer.name,
            state=state,
            loss=self.toy.loss,
            dataset="toy",
            corrupt=0.0,
            seed=self.toy.seed,
            iterations=self.iteration,
            time_to_fit=self.time_to_fit.iteration,
            fit_lower=self.time_to_fit.lower,
            fit_policy="head" if self.toy.loss == "ce" else "class-means",
            tolerance=0.0,
            seconds=time.monotonic() - self.began,
        )


def _optimiser(toy: Toy, labels: np.ndarray, objective: AllBatches | None) -> Callable[[Callable[..., None]], object]:
    """The function that optimises the toy and calls its argument with each configuration to record."""
    start = first_configuration(toy)
    if objective is not None:
        return lambda visit: minimise_all_batches(
            objective,
            start.points,
            radius=toy.radius,
            steps=toy.steps,
            visit=lambda iteration, points, loss: visit(iteration, Configuration(points), loss),
        )
    from simplexlab.training import runtime

    runtime.start(Experiment().resolve(), pixels=0)
    from simplexlab.toy.descent import descend

    return lambda visit: descend(toy, labels, start, visit)


def _all_batches(toy: Toy, labels: np.ndarray) -> AllBatches:
    try:
        return AllBatches(labels, toy.batch_size)
    except ValueError as error:
        raise UsageError(str(error)) from None


def _describe(toy: Toy, resolved: Toy, labels: np.ndarray) -> dict[str, Any]:
    """The content of `config.json`: options, the command that repeats them, versions, host and data facts."""
    packages = ("simplexlab", "numpy", "scipy") if toy.all_batches else ("simplexlab", "numpy", "tensorflow", "keras")
    return {
        "kind": "toy",
        "experiment": {"dataset": "toy", "corrupt": 0.0, **vars(resolved)},
        "command": toy.command_line(),
        "versions": {"python": platform.python_version()} | {package: version(package) for package in packages},
        "host": {"system": platform.platform(), "machine": platform.machine()},
        "dataset": {
            "name": "toy",
            "num_classes": resolved.classes,
            "train_size": len(labels),
            "test_size": 0,
            "class_names": [str(label) for label in range(resolved.classes)],
            "class_counts": np.bincount(labels).tolist(),
        },
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }
