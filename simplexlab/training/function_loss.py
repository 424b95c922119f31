"""The Keras loss of an objective and its penalty, also of one that is a plain function, with errors in one line."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import keras

from simplexlab.errors import RunError, UsageError
from simplexlab.objectives import Objective
from simplexlab.objectives.own import line_of, told


def make_loss(objective: Objective, options: Mapping[str, Any], dtype: str) -> keras.losses.Loss:
    """The Keras loss of an objective, one value per sample.

    Args:
        objective: entry of the table, or one of one's own.
        options: its own options, all of them.
        dtype: float32 or float64, of its computation.

    Raises:
        UsageError: the file of a loss of one's own is wrong.
    """
    if objective.source is None:
        return objective.make_loss(options, dtype)
    return FunctionLoss(objective, options, dtype)


def make_penalty(objective: Objective, options: Mapping[str, Any], dtype: str) -> Callable[[Any], Any] | None:
    """What an objective adds to its loss for the rows of its head.

    Args:
        objective: entry of the table, or one of one's own.
        options: its own options, all of them.
        dtype: float32 or float64, of the sum.

    Returns:
        A function of the rows (K, h) that returns a scalar; None where the objective adds nothing.

    Raises:
        UsageError: by the function, where a file of one's own is wrong.
    """
    if objective.penalty is None:
        return None

    def penalty(rows: Any) -> Any:
        with _errors_told(objective):
            value = keras.ops.convert_to_tensor(objective.penalty(rows, **options))
        if tuple(value.shape) != () or not keras.backend.is_float_dtype(value.dtype):
            raise UsageError(
                f"{line_of(objective.penalty)}: the penalty must return one floating-point number; it returned shape "
                f"{tuple(value.shape)}, {keras.backend.standardize_dtype(value.dtype)}"
            )
        return keras.ops.cast(value, dtype)

    return penalty


@contextlib.contextmanager
def _errors_told(objective: Objective) -> Iterator[None]:
    """Within the block, what a file of one's own raises is told with file and line."""
    try:
        yield
    except (UsageError, RunError, KeyboardInterrupt):
        raise
    except Exception as error:
        if objective.source is None:
            raise
        raise UsageError(told(error, objective.source)) from error


class FunctionLoss(keras.losses.Loss):
    """A loss of one's own. What it raises, and a result of another shape, is told with file and line.

    Args:
        objective: holds the function, or makes a Keras loss.
        options: passed to the function by name.
        dtype: of the computation.
    """

    def __init__(self, objective: Objective, options: Mapping[str, Any], dtype: str):
        super().__init__(objective.name.replace("-", "_"), None, dtype)
        self.objective = objective
        self.options = dict(options)
        with_file = objective.loss or objective.make_loss
        self.where = line_of(with_file)
        self.function = objective.loss
        if self.function is None:
            with _errors_told(objective):
                self.function = objective.make_loss(options, dtype)

    def __call__(self, y_true, y_pred, sample_weight=None):
        """Loss of each sample, shape (b,). Labels stay integers: Keras would cast them to the dtype of the loss."""
        labels = keras.ops.cast(keras.ops.reshape(y_true, (-1,)), "int64")
        outputs = keras.ops.cast(y_pred, self.dtype)
        extra = self.options if self.objective.loss is not None else {}
        with _errors_told(self.objective):
            values = keras.ops.convert_to_tensor(self.function(labels, outputs, **extra))
        if len(values.shape) != 1 or values.shape[0] not in (None, outputs.shape[0]):
            raise UsageError(
                f"{self.where}: the loss must return one value per sample, shape ({outputs.shape[0]},); it returned "
                f"shape {tuple(values.shape)}"
            )
        if not keras.backend.is_float_dtype(values.dtype):
            raise UsageError(
                f"{self.where}: the loss must return floating-point numbers; it returned "
                f"{keras.backend.standardize_dtype(values.dtype)}"
            )
        return keras.ops.cast(values, self.dtype)

    def call(self, y_true, y_pred):
        """As when the loss is called."""
        return self(y_true, y_pred)


def try_out(objective: Objective, options: Mapping[str, Any], dtype: str, num_classes: int, width: int) -> None:
    """Compute a loss of one's own once on a small batch, so that what is wrong is told before a run begins.

    Args:
        objective: the loss.
        options: its own options, all of them.
        dtype: float32 or float64.
        num_classes: K.
        width: what the outputs hold a sample: K logits, or h numbers of a representation.

    Raises:
        UsageError: it raises, or does not return one finite value per sample.
    """
    loss = make_loss(objective, options, dtype)
    generator = keras.random.SeedGenerator(0)
    outputs = keras.random.normal((2 * num_classes, width), seed=generator)
    labels = keras.ops.tile(keras.ops.arange(num_classes), (2,))
    values = keras.ops.convert_to_numpy(loss(labels, outputs))
    if values.shape != (2 * num_classes,):
        raise UsageError(
            f"{loss.where}: the loss must return one value per sample, shape ({2 * num_classes},), not {values.shape}"
        )
    if not (abs(values) < float("inf")).all():
        raise UsageError(f"{loss.where}: the loss is not finite on random outputs")
