"""The steps, evaluations and checkpoints of one run in their order."""

import contextlib
import logging
import math
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from simplexlab.asides import AT_ONCE
from simplexlab.config import Experiment
from simplexlab.errors import RunError
from simplexlab.evaluation import Representations, TimeToFit, evaluate, import_probe, numbers, with_probe
from simplexlab.files import reason
from simplexlab.quiet import quiet_stderr
from simplexlab.runs import RunWriter, read_run
from simplexlab.runs.folder import PROJECTION_FILE
from simplexlab.runs.record import diverged_line, final_result, metrics_line
from simplexlab.schedule import evaluations_before, is_evaluation, learning_rate_time, next_evaluation
from simplexlab.training import checkpoints
from simplexlab.training.beside import Beside
from simplexlab.training.checkpoints import Checkpoint
from simplexlab.training.description import Task, check_same_start, criterion_of

if TYPE_CHECKING:
    import keras

    Callbacks = Sequence[keras.callbacks.Callback] | Callable[[], Sequence[keras.callbacks.Callback]]

logger = logging.getLogger(__name__)

GOES_ON, FINISHED, DIVERGED = range(3)


class Session:
    """The steps, evaluations and checkpoints of a run in their order.

    Every worker goes through them; the chief alone has a writer, evaluates, and decides how it goes on.

    With `Experiment.overlap` numbers are taken from the devices between two steps as without, but evaluated and
    written in a thread while the steps go on: a checkpoint, then the evaluation before which it is due, at most one of
    each at a time. What was evaluated is what would have been, in the same order, so that every file is the same. The
    last evaluation, and that of an interrupted run, is waited for; so is each one whose outcome may end the run
    (`until_fit`), or at which a callback may look at more than its logs.
    """

    def __init__(
        self,
        task: Task,
        interrupted: Callable[[], bool],
        writer: RunWriter | None = None,
        callbacks: "Callbacks" = (),
    ):
        experiment, dataset, labels = task.experiment, task.dataset, task.labels
        self.experiment = experiment
        self.dataset = dataset
        self.labels = labels
        self.clean = dataset.true_labels if len(task.flipped) else None
        self.evaluated = (experiment.evaluate_every, experiment.evaluate_at == "dense")
        self.checkpoint_every = experiment.checkpoint_every or experiment.evaluate_every
        self.writer = writer
        self.interrupted = interrupted
        self.beside = Beside()
        self.evaluation: Future | None = None
        self.imports: threading.Thread | None = None
        self.time_to_fit = TimeToFit(experiment.tolerance)
        self.batch_losses: list[float] = []
        self.record: dict[str, Any] = {}
        self.classifier: np.ndarray | None = None
        self.runtime = task.started
        check_same_start(self.runtime, task)
        with quiet_stderr(watched=True, log=None if writer is None else writer.log_path):
            import keras

            from simplexlab.training.events import EventFiles
            from simplexlab.training.function_loss import try_out
            from simplexlab.training.learner import build_learner
            from simplexlab.training.loop import Loop

            with self.runtime.strategy.scope():
                self.learner = build_learner(experiment, dataset)
            if experiment.objective.source is not None:
                width = self.learner.model.output_shape[-1]
                try_out(experiment.objective, experiment.options, self.learner.loss_dtype, dataset.num_classes, width)
        own = experiment.objective.measure is None
        self.criterion = criterion_of(
            experiment, dataset.num_classes, *((self.learner.loss, self.learner.penalty) if own else ())
        )
        self.loop = Loop(experiment, dataset, labels, self.learner, self.runtime)
        if writer is not None:
            self.events = EventFiles(writer.tensorboard_path)
            together = [self.events, *(callbacks() if callable(callbacks) else callbacks)]
            self.overlaps = overlaps(experiment, self.runtime.devices, together)
            self.callbacks = keras.callbacks.CallbackList(
                together,
                model=self.learner.model,
                epochs=self._epoch(experiment.iterations) + 1,
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
        with self.beside:
            state, iteration = self._train(start)
            self.beside.finish()
        self.callbacks.on_train_end()
        result = self._result(state, iteration)
        if state != "diverged":
            self._save_model()
        self.writer.save_result(result)
        messages = {"diverged": f"the loss became non-finite by iteration {iteration}", "stopped": "interrupted"}
        self.writer.set_status(state, iteration=iteration, message=messages.get(state))
        if state == "finished" and self.experiment.schedule == "constant":
            checkpoints.keep(self.writer.checkpoints_path, 1)  # `resume --iterations` goes on from it
        elif state == "finished":
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
            evaluated = is_evaluation(iteration, *self.evaluated)
            if (evaluated or iteration == experiment.iterations) and (state := self._evaluate(iteration)):
                return state, iteration
            if self.writer is not None and evaluated:
                self.callbacks.on_epoch_begin(self._epoch(iteration + 1))
            for reached, losses in self.loop.run(iteration, self._next_stop(iteration)):
                finite = np.isfinite(losses)
                if not finite.all():
                    iteration += int(np.argmin(finite)) + 1
                    self.beside.finish()
                    self._log_divergence(iteration)
                    return "diverged", iteration
                iteration = reached
                self._note(iteration, losses)
                if any(self.runtime.gather(int(self.interrupted()))):
                    self._save_checkpoint(iteration, at_once=True)
                    logger.warning(
                        "interrupted at iteration %d; once more leaves without an evaluation", iteration, extra=AT_ONCE
                    )
                    return self._evaluate(iteration, at_once=True) or "stopped", iteration
            if iteration % self.checkpoint_every == 0 or iteration == experiment.iterations:
                self._save_checkpoint(iteration)

    def _next_stop(self, iteration: int) -> int:
        """The next iteration at which an evaluation or a checkpoint is due."""
        checkpoint = iteration - iteration % self.checkpoint_every + self.checkpoint_every
        return min(self.experiment.iterations, next_evaluation(iteration, *self.evaluated), checkpoint)

    def _epoch(self, iteration: int) -> int:
        """The number, from 0, of what callbacks see as an epoch: the steps between two evaluations."""
        return evaluations_before(iteration, *self.evaluated)

    def _is_last(self, iteration: int) -> bool:
        fitted = self.time_to_fit.iteration is not None
        return iteration == self.experiment.iterations or (self.experiment.until_fit and fitted)

    def _note(self, iteration: int, losses: np.ndarray) -> None:
        if self.writer is not None:
            self.batch_losses.extend(losses.tolist())
            self.writer.progress(iteration)
            self.callbacks.on_train_batch_end(iteration, {"loss": float(losses.mean())})
            self.beside.settle()
            if self.overlaps and self.imports is None:  # the first steps are traced, the next leave Python idle
                self.imports = threading.Thread(target=import_probe, name="imports of the last evaluation")
                self.imports.start()

    def _do(self, job: Callable[[], Any], then: Callable[[Any], None], *, at_once: bool) -> Future | None:
        """Do a job and what follows it, now or beside the steps."""
        if self.overlaps and not at_once:
            return self.beside.submit(job, then)
        self.beside.finish()
        then(job())
        return None

    def _save_checkpoint(self, iteration: int, *, at_once: bool = False) -> None:
        if self.writer is None:
            return
        self.beside.finish()  # what the run knows of its fit is part of it
        checkpoint = Checkpoint(
            iteration=iteration,
            seconds=time.monotonic() - self.began,
            batch_losses=np.array(self.batch_losses),
            fit_lower=self.time_to_fit.lower,
            fit_iteration=self.time_to_fit.iteration,
            variables=[variable.numpy() for variable in self.learner.variables()],
        )

        def save() -> None:
            with _told(self.writer.checkpoints_path):
                checkpoints.save(self.writer.checkpoints_path, checkpoint)

        self._do(save, lambda _: None, at_once=at_once)

    def _evaluate(self, iteration: int, *, at_once: bool = False) -> str | None:
        """Evaluate, now or beside the steps; return the state that ends the run, or None where it goes on."""
        self.beside.settle(self.evaluation)  # one at a time, as each holds all representations
        values, test_values, projections = self.loop.encode()
        outcome = GOES_ON
        if self.writer is not None:
            train = Representations(values, self.labels, self.clean)
            test = Representations(test_values, self.dataset.y_test)
            at_once = at_once or iteration == self.experiment.iterations
            outcome = self._record(iteration, train, test, projections, at_once=at_once)
        return {FINISHED: "finished", DIVERGED: "diverged"}.get(self.runtime.gather(outcome)[0])

    def _record(
        self,
        iteration: int,
        train: Representations,
        test: Representations,
        projections: np.ndarray | None,
        *,
        at_once: bool,
    ) -> int:
        found = (train.values, test.values, *([] if projections is None else [projections]))
        if not all(np.isfinite(values).all() for values in found):
            self.beside.finish()
            self._log_divergence(iteration)
            return DIVERGED
        # What the next step changes is taken before it.
        weights, learning_rate, batch_losses = self.learner.weights(), self.learner.learning_rate, self.batch_losses
        self.batch_losses = []

        def write() -> dict[str, Any]:
            return self._write(iteration, train, test, projections, weights, learning_rate, batch_losses)

        def tell(record: dict[str, Any]) -> None:
            if iteration > 0:
                self.callbacks.on_epoch_end(self._epoch(iteration), numbers(record))

        self.evaluation = self._do(write, tell, at_once=at_once)
        return FINISHED if self._is_last(iteration) or self.learner.model.stop_training else GOES_ON

    def _write(
        self,
        iteration: int,
        train: Representations,
        test: Representations,
        projections: np.ndarray | None,
        weights: np.ndarray | None,
        learning_rate: float,
        batch_losses: list[float],
    ) -> dict[str, Any]:
        """Evaluate and write the record; nothing is read of what a step changes."""
        with np.errstate(over="ignore", invalid="ignore"):  # shortly before a run diverges
            evaluation = evaluate(train, test, self.criterion, weights, projections=projections, iteration=iteration)
            self.time_to_fit.update(iteration, evaluation.record["train_error"])
            if self._is_last(iteration) and self.criterion.policy != "probe":  # it judges all objectives alike
                evaluation = with_probe(evaluation, train, test)
        self.record = metrics_line(
            evaluation.record,
            iteration=iteration,
            seconds=time.monotonic() - self.began,
            learning_rate=learning_rate,
            batch_loss=math.fsum(batch_losses) / len(batch_losses) if batch_losses else None,
            time_to_fit=self.time_to_fit.iteration,
            time_to_fit_lr=self._learning_rate_time(self.time_to_fit.iteration),
            fit_lower=self.time_to_fit.lower,
            fit_lower_lr=self._learning_rate_time(self.time_to_fit.lower),
        )
        self.classifier = evaluation.classifier
        self.writer.save_geometry(iteration, **evaluation.arrays)
        self.writer.log_metrics(self.record)
        return self.record

    def _learning_rate_time(self, iteration: int | None) -> float | None:
        if iteration is None:
            return None
        return learning_rate_time(self.experiment.schedule, self.experiment.iterations, iteration)

    def _log_divergence(self, iteration: int) -> None:
        if self.writer is not None:
            self.writer.log_metrics(diverged_line(iteration, time.monotonic() - self.began))

    def _result(self, state: str, iteration: int) -> dict[str, Any]:
        experiment = self.experiment
        return final_result(
            self.record,
            run=self.writer.path.name,
            state=state,
            loss=experiment.objective.name,
            dataset=experiment.dataset,
            corrupt=experiment.corrupt,
            seed=experiment.seed,
            iterations=iteration,
            time_to_fit=self.time_to_fit.iteration,
            fit_lower=self.time_to_fit.lower,
            fit_policy=experiment.policy,
            tolerance=experiment.tolerance,
            seconds=time.monotonic() - self.began,
        )

    def _save_model(self) -> None:
        from simplexlab.models import export_model

        model = export_model(self.learner.classifier_model(self.classifier))
        self.writer.save_model(model.save)
        if self.learner.projection is not None:
            self.writer.save_model(self.learner.projection.save, PROJECTION_FILE)


def overlaps(experiment: Experiment, devices: Sequence[str], callbacks: "Sequence[keras.callbacks.Callback]") -> bool:
    """Whether a run evaluates and writes beside its steps: as asked, or where these leave a processor idle.

    A GPU does, and steps of several threads on a CPU, which wait for each other.
    """
    wanted = experiment.overlap
    if wanted is None:
        wanted = devices[0].startswith("GPU") or (experiment.threads or os.cpu_count() or 1) > 1
    # Others may look at the model, which has gone on by then, or end the run.
    only_logs = all(getattr(callback, "reads_logs_only", False) for callback in callbacks)
    return wanted and only_logs and not experiment.until_fit


@contextlib.contextmanager
def _told(path: Path) -> Iterator[None]:
    """Tell an OSError in one line that names the file."""
    try:
        yield
    except OSError as error:
        raise RunError(f"cannot write {path}: {reason(error)}") from error
