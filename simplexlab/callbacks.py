"""Keras callbacks for anybody's own `model.fit`."""

import keras
import numpy as np

from simplexlab.config import LOSSES
from simplexlab.evaluation import Criterion, Evaluation, Representations, evaluate
from simplexlab.losses import SupervisedContrastive

BIAS = "the bounds hold for a classifier without bias; build the last Dense with use_bias=False"


class Geometry(keras.callbacks.Callback):
    """Evaluate the geometry of a model's representations at the end of epochs, as `simplexlab train` does.

    The numbers are added to Keras's `logs` under `prefix` (so that `History` and `CSVLogger` keep them) and the
    evaluations, with distributions and class means, to `evaluations`.

    Args:
        x: images or other inputs of the model, shape (N, …).
        y: integer labels, shape (N,) or (N, 1), every class 0 … K−1 present.
        loss: ce or ce-fix where the model ends in a Dense classifier of K units without bias, sc where its output is
            the representation; by default what the model is compiled with, or else ce if it ends in such a layer, and
            sc if it does not.
        layer: name of the layer whose output is the representation; by default the
            input of the final Dense layer (ce, ce-fix), or the output (sc).
        temperature: divides the inner products in the contrastive loss of the model; sc only.
        batch_size: batch of the contrastive loss, sc only; also the batch of the forward pass.
        nonnegative: whether the encoder ends in a ReLU; by default as the representations say.
        every: epochs between evaluations.
        prefix: put before each key in `logs`.

    Raises:
        ValueError: an argument is out of range; or, before the first epoch, model and labels do not fit.

    Example:
        >>> model.fit(x, y, epochs=10, callbacks=[simplexlab.callbacks.Geometry(x, y)])
    """

    def __init__(
        self,
        x: np.ndarray,
        y: np.ndarray,
        *,
        loss: str | None = None,
        layer: str | None = None,
        temperature: float = 1.0,
        batch_size: int = 256,
        nonnegative: bool | None = None,
        every: int = 1,
        prefix: str = "geometry_",
    ):
        super().__init__()
        if every < 1:
            raise ValueError(f"every must be at least 1, not {every}")
        if loss not in (None, *LOSSES):
            raise ValueError(f"loss must be one of {', '.join(LOSSES)}, not {loss!r}")
        if not 0 < temperature < np.inf:
            raise ValueError(f"temperature must be a positive finite number, not {temperature}")
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, not {batch_size}")
        self.x = x
        self.y = _integer_labels(y)
        if len(x) != len(self.y):
            raise ValueError(f"{len(x)} inputs but {len(self.y)} labels")
        self.loss = loss
        self.layer = layer
        self.temperature = temperature
        self.batch_size = batch_size
        self.nonnegative = nonnegative
        self.every = every
        self.prefix = prefix
        self.evaluations: list[Evaluation] = []

    def set_model(self, model):
        super().set_model(model)
        self._encoder = None

    def on_train_begin(self, logs=None):
        """Tell what does not fit before an epoch is spent."""
        if isinstance(self.model, keras.Sequential) and not self.model.built:
            return  # its layers have no inputs yet
        head = self._head()
        if head is not None and head.use_bias and head.trainable:
            raise ValueError(BIAS)
        self._encoder = self._build_encoder(head)
        if head is None and self.batch_size < 3:
            raise ValueError(f"sc needs batches of at least 3 samples, not {self.batch_size}")

    def on_epoch_end(self, epoch, logs=None):
        """Evaluate after every `every`-th epoch and add the numbers to `logs`."""
        if (epoch + 1) % self.every:
            return
        evaluation = self.evaluate(epoch + 1)
        self.evaluations.append(evaluation)
        if logs is not None:
            numbers = {key: value for key, value in evaluation.record.items() if type(value) in (int, float)}
            logs.update({self.prefix + key: value for key, value in numbers.items()})

    def evaluate(self, iteration: int = 0) -> Evaluation:
        """Evaluate the model as it is now."""
        head = self._head()
        if head is not None and head.use_bias and np.any(head.bias):
            raise ValueError(BIAS)
        if self._encoder is None:  # one for all evaluations: each would trace a graph of its own
            self._encoder = self._build_encoder(head)
        values = np.asarray(self._encoder.predict(self.x, batch_size=self.batch_size, verbose=0))
        if values.ndim != 2:
            raise ValueError(f"representations must have shape (N, h), not {values.shape}; name another layer")
        loss = "sc" if head is None else self.loss or "ce"
        criterion = Criterion(
            loss=loss,
            batch_size=self.batch_size,
            radius=float(np.sqrt(np.mean(np.sum(np.square(values, dtype=np.float64), axis=1)) / self.temperature)),
            nonnegative=bool(values.min() >= 0) if self.nonnegative is None else self.nonnegative,
            policy="class-means" if loss == "sc" else "head",
        )
        values = values / np.sqrt(self.temperature) if loss == "sc" else values
        weights = None if head is None else np.asarray(head.kernel).T
        return evaluate(Representations(values, self.y), None, criterion, weights, iteration=iteration)

    def _head(self) -> keras.layers.Dense | None:
        """The classifier of ce and ce-fix; None where the objective is sc."""
        compiled = getattr(self.model, "loss", None)
        if self.loss == "sc" or (self.loss is None and isinstance(compiled, SupervisedContrastive)):
            return None
        num_classes = int(self.y.max()) + 1
        last = self.model.layers[-1] if self.model.layers else None
        if isinstance(last, keras.layers.Dense) and last.units == num_classes and hasattr(self.model, "outputs"):
            return last
        name = getattr(compiled, "__name__", None) or getattr(compiled, "name", None) or compiled
        if self.loss is not None or "crossentropy" in str(name):
            raise ValueError(
                f"{self.loss or 'a model compiled with cross-entropy'} needs a functional or Sequential model whose "
                f'last layer is Dense with {num_classes} units; loss="sc" takes its output as the representation'
            )
        return None

    def _build_encoder(self, head: keras.layers.Layer | None) -> keras.Model:
        """The model from inputs to representations."""
        inputs = getattr(self.model, "inputs", None)
        if inputs is None and self.layer is not None:
            raise ValueError("layer names an output within a functional or Sequential model; this one is neither")
        if inputs is None:
            return self.model
        if self.layer is not None:
            return keras.Model(inputs, self.model.get_layer(self.layer).output)
        return keras.Model(inputs, self.model.outputs[0] if head is None else head.input)


def _integer_labels(y: np.ndarray) -> np.ndarray:
    """Labels as int64 (N,).

    Raises:
        ValueError: they are not whole numbers 0 … K−1, one for each point, with every class present.
    """
    labels = np.asarray(y)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1 or len(labels) == 0:
        hint = "; of one-hot rows take argmax(axis=1)" if labels.ndim == 2 else ""
        raise ValueError(f"labels must be integers of shape (N,), not {labels.shape}{hint}")
    whole = labels.astype(np.int64) if labels.dtype.kind in "biuf" and np.isfinite(labels).all() else None
    if whole is None or not np.array_equal(whole, labels):
        raise ValueError("labels must be whole numbers")
    missing = np.setdiff1d(np.arange(max(whole.max(), 1) + 1), whole)
    if whole.min() < 0 or len(missing):
        wrong = f"{whole.min()} is negative" if whole.min() < 0 else f"no point has the label {missing[0]}"
        raise ValueError(f"labels must be 0 … K−1 with every class present; {wrong}")
    return whole
