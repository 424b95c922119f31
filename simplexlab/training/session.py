"""The steps, evaluations and checkpoints of one run in their order."""

import contextlib
import logging
import math
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from simplexlab.errors import RunError
from simplexlab.evaluation import Representations, TimeToFit, evaluate, numbers, with_probe
from simplexlab.files import reason
from simplexlab.quiet import quiet_stderr
from simplexlab.runs import RunWriter, read_run
from simplexlab.runs.folder import PROJECTION_FILE
from simplexlab.runs.record import diverged_line, final_result, metrics_line
from simplexlab.schedule import evaluations_before, is_evaluation, learning_rate_time, next_evaluation
from simplexlab.training import checkpoints
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
        self.time_to_fit = TimeToFit(experiment.tolerance)
        self.batch_losses: list[float] = []
        self.record: dict[str, Any] = {}
        self.classifier: np.ndarray | None = None
        self.runtime = task.started
        check_same_start(self.runtime, task)
        with quiet_stderr():
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
        self.criterion = criterion_of(experiment, dataset.num_classes, self.learner.loss if own else None)
        self.loop = Loop(experiment, dataset, labels, self.learner, self.runtime)
        if writer is not None:
            self.events = EventFiles(writer.tensorboard_path)
            self.callbacks = keras.callbacks.CallbackList(
                [self.events, *(callbacks() if callable(callbacks) else callbacks)],
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
        state, iteration = self._train(start)
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
                    self._log_divergence(iteration)
                    return "diverged", iteration
                iteration = reached
                self._note(iteration, losses)
                if any(self.runtime.gather(int(self.interrupted()))):
                    self._save_checkpoint(iteration)
                    logger.warning("interrupted at iteration %d; once more leaves without an evaluation", iteration)
                    return self._evaluate(iteration) or "stopped", iteration
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
        values, test_values, projections = self.loop.encode()
        train = Representations(values, self.labels, self.clean)
        test = Representations(test_values, self.dataset.y_test)
        outcome = self._record(iteration, train, test, projections) if self.writer is not None else GOES_ON
        return {FINISHED: "finished", DIVERGED: "diverged"}.get(self.runtime.gather(outcome)[0])

    def _record(
        self, iteration: int, train: Representations, test: Representations, projections: np.ndarray | None
    ) -> int:
        found = (train.values, test.values, *([] if projections is None else [projections]))
        if not all(np.isfinite(values).all() for values in found):
            self._log_divergence(iteration)
            return DIVERGED
        weights = self.learner.weights()
        with np.errstate(over="ignore", invalid="ignore"):  # shortly before a run diverges
            evaluation = evaluate(train, test, self.criterion, weights, projections=projections, iteration=iteration)
            self.time_to_fit.update(iteration, evaluation.record["train_error"])
            if self._is_last(iteration) and self.criterion.policy != "probe":  # it judges all objectives alike
                evaluation = with_probe(evaluation, train, test)
        self.record = metrics_line(
            evaluation.record,
            iteration=iteration,
            seconds=time.monotonic() - self.began,
            learning_rate=self.learner.learning_rate,
            batch_loss=math.fsum(self.batch_losses) / len(self.batch_losses) if self.batch_losses else None,
            time_to_fit=self.time_to_fit.iteration,
            time_to_fit_lr=self._learning_rate_time(self.time_to_fit.iteration),
            fit_lower=self.time_to_fit.lower,
            fit_lower_lr=self._learning_rate_time(self.time_to_fit.lower),
        )
        self.batch_losses = []
        self.classifier = evaluation.classifier
        self.writer.save_geometry(iteration, **evaluation.arrays)
        self.writer.log_metrics(self.record)
        if iteration > 0:
            self.callbacks.on_epoch_end(self._epoch(iteration), numbers(self.record))
        return FINISHED if self._is_last(iteration) or self.learner.model.stop_training else GOES_ON

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


@contextlib.contextmanager
def _told(path: Path) -> Iterator[None]:
    """Tell an OSError in one line that names the file."""
    try:
        yield
    except OSError as error:
        raise RunError(f"cannot write {path}: {reason(error)}") from error
