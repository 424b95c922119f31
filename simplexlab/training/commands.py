"""Train a run from its options to its run folder, and go on from its last checkpoint."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simplexlab import objectives
from simplexlab.config import Experiment
from simplexlab.errors import RunError, UsageError
from simplexlab.objectives import own
from simplexlab.runs import Run, RunWriter, read_run
from simplexlab.runs.record import flaw
from simplexlab.training import runtime
from simplexlab.training.cluster import Cluster
from simplexlab.training.description import (
    Task,
    check_same_options,
    check_training_run,
    describe,
    load_objective,
    longer,
    prepare,
    run_stem,
    start,
    tell_other_versions,
)
from simplexlab.training.interrupts import interrupts
from simplexlab.training.session import Session

if TYPE_CHECKING:
    from simplexlab.training.session import Callbacks


def train(experiment: Experiment, callbacks: "Callbacks" = (), *, resume: bool = False) -> dict[str, Any]:
    """Train one experiment and write its run folder.

    Keras callbacks see the steps between two evaluations as an epoch: `on_train_begin` gets the first iteration,
    `on_train_batch_end(iteration, logs)` follows each graph call of up to about half a second of steps,
    `on_epoch_end(index, logs)` each evaluation, with its numbers, before the next step; `model.stop_training = True`
    ends the run. Their own state is not part of a checkpoint. A callback with an attribute `reads_logs_only = True`
    lets `Experiment.overlap` go on with the steps: its `on_epoch_end` comes after some of them, before the next
    evaluation and still in order; the model is then not the one that was evaluated. All are called from the thread that
    calls this.

    Where TF_CONFIG names several workers, each of them calls this with the same options; worker 0 writes the folder.

    Args:
        experiment: the options; `resolve` is called on them, and a file that `loss` names is executed.
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
    objectives.allow(experiment.loss)
    experiment = experiment.resolve()
    cluster = Cluster.from_environment()
    if resume and experiment.name is None:
        raise UsageError("--resume goes on with a run by its name; give --name")
    if resume:
        run = read_run(Path(experiment.run_dir, experiment.name))
        if run.status.state != "missing":
            check_same_options(run, experiment)
            return _go_on(run, experiment, cluster, callbacks)
    numbered = experiment.name is None
    if cluster.is_chief and not numbered:
        RunWriter.check_free(experiment.run_dir, experiment.name)
    task = prepare(experiment, cluster)
    config = describe(task)
    name = experiment.name or run_stem(experiment)
    with interrupts() as interrupted:
        task = start(task)
        if not cluster.is_chief:
            return _follow(task, interrupted)
        total = experiment.iterations
        with RunWriter.create(experiment.run_dir, name, config, total=total, numbered=numbered) as writer:
            try:
                if (source := own.executed(experiment.loss)) is not None:
                    writer.save_loss(source)
                return _write(task, writer, interrupted, callbacks)
            except UsageError:
                writer.discard()
                raise


def resume(
    folder: str | Path, callbacks: "Callbacks" = (), *, iterations: int | None = None, trust: bool = False
) -> dict[str, Any]:
    """Go on with a run from its last whole checkpoint, or from the start where it has none, as if it had not stopped.

    On a CPU with as many threads, metrics (but for `seconds`) and weights are bit for bit those of a run that was
    never interrupted, and that was given the larger number of iterations from the start.

    Args:
        folder: the run folder.
        callbacks: as of `train`.
        iterations: go on to more than the run has, also where it is finished; its learning rate must be constant.
        trust: whether a loss of one's own may be taken from the copy in the run folder, where its file is gone or has
            changed, or was never run here.

    Returns:
        The final summary as from `train`; of a finished run, the one that it has.

    Raises:
        UsageError: the folder holds no training run, another process writes it, it diverged, its data changed, or so
            did the file of its loss; or it cannot go on to that many iterations.
        RunError: as from `train`.
    """
    run = read_run(folder)
    check_training_run(run)
    config = run.config if iterations is None else longer(run, iterations)
    load_objective(run, trust)
    experiment = dataclasses.replace(
        Experiment.from_dict(config["experiment"]), run_dir=str(run.path.parent), name=run.path.name
    ).resolve()
    return _go_on(run, experiment, Cluster.from_environment(), callbacks, config)


def _go_on(
    run: Run,
    experiment: Experiment,
    cluster: Cluster,
    callbacks: "Callbacks",
    config: dict[str, Any] | None = None,
) -> dict[str, Any]:
    state = run.status.state
    goes_longer = config is not None and config["experiment"] != run.config["experiment"]
    if state == "finished" and run.result is not None and not goes_longer:
        if problem := next(iter(run.damage), None) or flaw(run.config, run.result, state):
            raise RunError(
                f"{run.path} is finished, but {problem}; remove its result.json to have it trained and measured again, "
                "from its last checkpoint or, where it kept none, from the start"
            )
        return {**run.result, "run": run.name}  # the folder may have been renamed since
    if state == "diverged":
        raise UsageError(
            f"the run {run.name} diverged: {run.status.message}; going on would repeat it. Start a new one with a "
            "smaller --learning-rate"
        )
    if state == "unknown version":
        raise UsageError(f"{run.path}: {run.status.message}")
    task = prepare(experiment, cluster)
    if run.config["dataset"].get("checksum") not in (None, task.checksum):
        raise UsageError(f"the data of {experiment.dataset} are not those that the run {run.name} was started on")
    with interrupts() as interrupted:
        task = start(task)
        if not cluster.is_chief:
            return _follow(task, interrupted)
        tell_other_versions(run)
        with RunWriter.reopen(run.path, total=experiment.iterations) as writer:
            if goes_longer:
                writer.save_config(config)
            return _write(task, writer, interrupted, callbacks)


def _follow(task: Task, interrupted: Callable[[], bool]) -> dict[str, Any]:
    """What a worker other than 0 does."""
    with (
        runtime.failures_told(task.cluster),
        runtime.keras_precision(task.experiment.precision),
        runtime.determinism(task.experiment.deterministic),
    ):
        return Session(task, interrupted).execute()


def _write(task: Task, writer: RunWriter, interrupted: Callable[[], bool], callbacks: "Callbacks") -> dict[str, Any]:
    writer.save_labels(task.labels, task.flipped, task.dataset.true_labels)
    with (
        runtime.failures_told(task.cluster),
        runtime.numpy_threads(task.experiment.threads),
        runtime.keras_precision(task.experiment.precision),
        runtime.determinism(task.experiment.deterministic),
    ):
        return Session(task, interrupted, writer, callbacks).execute()
