"""One toy run from its options to its run folder."""

import datetime
import platform
import time
from collections.abc import Callable, Iterable
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np

from simplexlab.config import Experiment
from simplexlab.errors import UsageError
from simplexlab.evaluation import TimeToFit
from simplexlab.memory import check_address_space
from simplexlab.runs import RunWriter
from simplexlab.runs.record import final_result, metrics_line
from simplexlab.theory import AllBatches
from simplexlab.toy.configurations import Configuration, first_configuration, labels_of
from simplexlab.toy.evaluation import evaluate_toy
from simplexlab.toy.minimise import minimise_all_batches
from simplexlab.toy.settings import Toy

if TYPE_CHECKING:
    from simplexlab.toy.ideal import IdealToy


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
    check_place(toy)
    labels = labels_of(resolved.class_counts)
    objective = _all_batches(resolved, labels) if resolved.all_batches else None
    packages = ("numpy", "scipy") if toy.all_batches else ("numpy", "tensorflow", "keras")
    config = describe_toy(vars(resolved), toy.command_line(), labels, packages)
    optimise = _optimiser(resolved, labels, objective)
    stem = toy.name or f"toy-{toy.loss}{'-all-batches' if toy.all_batches else ''}-s{toy.seed}"
    return record_toy(
        (resolved.run_dir, stem, toy.name is None),
        config,
        labels,
        optimise,
        lambda configuration, iteration, loss: evaluate_toy(resolved, labels, configuration, iteration, loss),
        report,
    )


def check_place(toy: "Toy | IdealToy") -> None:
    """Raise before TensorFlow is imported, which takes seconds, what can be known of the name and of the memory."""
    check_address_space()
    if toy.name is not None:
        RunWriter.check_free(toy.run_dir, toy.name)


def record_toy(
    place: tuple[str, str, bool],
    config: dict[str, Any],
    labels: np.ndarray,
    optimise: Callable[[Callable[..., None]], object],
    evaluate: Callable[[Configuration, int, float | None], tuple[dict[str, Any], dict[str, np.ndarray]]],
    report: Callable[[dict[str, Any]], None] | None,
) -> dict[str, Any]:
    """Optimise and write the run folder.

    Args:
        place: folder that holds the runs, name of the run, and whether a number is added where it is taken.
        config: content of `config.json`.
        labels: y, shape (N,).
        optimise: calls its argument with iteration, configuration and, where it is known, loss of each one to record.
        evaluate: configuration, iteration, loss → record and arrays.
        report: called with the metrics line of each evaluation.
    """
    run_dir, stem, numbered = place
    total = config["experiment"]["steps"]
    with RunWriter.create(run_dir, stem, config, total=total, numbered=numbered) as writer:
        writer.save_labels(labels, np.empty(0, dtype=np.int64), labels)
        run = _Run(config["experiment"], evaluate, writer, report)
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
        self,
        options: dict[str, Any],
        evaluate: Callable[[Configuration, int, float | None], tuple[dict[str, Any], dict[str, np.ndarray]]],
        writer: RunWriter,
        report: Callable[[dict[str, Any]], None] | None,
    ):
        self.options = options
        self.evaluate = evaluate
        self.writer = writer
        self.report = report
        self.time_to_fit = TimeToFit(0.0)
        self.record: dict[str, Any] = {}
        self.iteration = 0
        self.began = time.monotonic()

    def visit(self, iteration: int, configuration: Configuration, loss: float | None = None) -> None:
        """Evaluate a configuration and record it."""
        self.iteration = iteration
        record, arrays = self.evaluate(configuration, iteration, loss)
        self.judge = "class-means" if configuration.weights is None else "head"
        self.time_to_fit.update(iteration, record["train_error"])
        self.record = metrics_line(
            record,
            iteration=iteration,
            seconds=time.monotonic() - self.began,
            learning_rate=self.options.get("learning_rate"),
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
            loss=self.options["loss"],
            dataset="toy",
            corrupt=0.0,
            seed=self.options["seed"],
            iterations=self.iteration,
            time_to_fit=self.time_to_fit.iteration,
            fit_lower=self.time_to_fit.lower,
            fit_policy=self.judge,
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


def describe_toy(options: dict[str, Any], command: str, labels: np.ndarray, packages: Iterable[str]) -> dict[str, Any]:
    """The content of `config.json`: options, the command that repeats them, versions, host and data facts.

    Args:
        options: of the resolved toy.
        command: repeats it.
        labels: y, shape (N,).
        packages: whose versions matter.
    """
    counts = np.bincount(labels)
    return {
        "kind": "toy",
        "experiment": {"dataset": "toy", "corrupt": 0.0, **options},
        "command": command,
        "versions": {"python": platform.python_version()}
        | {package: version(package) for package in ("simplexlab", *packages)},
        "host": {"system": platform.platform(), "machine": platform.machine()},
        "dataset": {
            "name": "toy",
            "num_classes": len(counts),
            "train_size": len(labels),
            "test_size": 0,
            "class_names": [str(label) for label in range(len(counts))],
            "class_counts": counts.tolist(),
        },
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }
