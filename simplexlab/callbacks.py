"""Keras callbacks for anybody's own `model.fit`."""

import keras
import numpy as np

from simplexlab.training.evaluation import Evaluation, Objective, Representations, evaluate


class Geometry(keras.callbacks.Callback):
    """Evaluate the geometry of a model's representations at the end of epochs, as `simplexlab train` does.

    The numbers are added to Keras's `logs` under `prefix` (so that `History` and `CSVLogger` keep them) and the
    evaluations, with distributions and class means, to `evaluations`.

    Args:
        x: images or other inputs of the model, shape (N, …).
        y: integer labels, shape (N,), every class 0 … K−1 present.
        loss: ce or ce-fix where the model ends in a Dense classifier of logits without bias, sc where its output is
            the representation; by default ce if the last layer is Dense with K units, else sc.
        layer: name of the layer whose output is the representation; by default the
            input of the final Dense layer (ce, ce-fix), or the output (sc).
        temperature: divides the inner products in the contrastive loss of the model; sc only.
        batch_size: batch of the contrastive loss, sc only; also the batch of the forward pass.
        nonnegative: whether the encoder ends in a ReLU; by default as the representations say.
        every: epochs between evaluations.
        prefix: put before each key in `logs`.

    Raises:
        ValueError: on the first evaluation, when labels and outputs do not fit.

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
        self.x = x
        self.y = np.asarray(y).reshape(-1)
        self.loss = loss
        self.layer = layer
        self.temperature = temperature
        self.batch_size = batch_size
        self.nonnegative = nonnegative
        self.every = every
        self.prefix = prefix
        self.evaluations: list[Evaluation] = []

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
        num_classes = int(self.y.max()) + 1
        last = self.model.layers[-1]
        has_head = isinstance(last, keras.layers.Dense) and last.units == num_classes
        loss = self.loss or ("ce" if has_head else "sc")
        if loss != "sc" and not has_head:
            raise ValueError(f"{loss} needs a model whose last layer is Dense with {num_classes} units")
        if loss != "sc" and last.use_bias and np.any(last.bias):
            raise ValueError("the bounds hold for a classifier without bias; build the last Dense with use_bias=False")
        encoder = keras.Model(self.model.inputs, self._output(last if loss != "sc" else None))
        values = np.asarray(encoder.predict(self.x, batch_size=self.batch_size, verbose=0))
        if values.ndim != 2:
            raise ValueError(f"representations must have shape (N, h), not {values.shape}; name another layer")
        objective = Objective(
            loss=loss,
            batch_size=self.batch_size,
            radius=float(np.sqrt(np.mean(np.sum(np.square(values, dtype=np.float64), axis=1)) / self.temperature)),
            nonnegative=bool(values.min() >= 0) if self.nonnegative is None else self.nonnegative,
            policy="class-means" if loss == "sc" else "head",
        )
        values = values / np.sqrt(self.temperature) if loss == "sc" else values
        weights = np.asarray(last.kernel).T if loss != "sc" else None
        return evaluate(Representations(values, self.y), None, objective, weights, iteration=iteration)

    def _output(self, head: keras.layers.Layer | None):
        if self.layer is not None:
            return self.model.get_layer(self.layer).output
        return self.model.outputs[0] if head is None else head.input
