"""Keras callbacks for anybody's own `model.fit`, on every backend of Keras."""

import math
import warnings
from typing import Any

import keras
import numpy as np

from simplexlab import objectives
from simplexlab.errors import nearest
from simplexlab.evaluation import Criterion, Evaluation, Representations, evaluate, numbers
from simplexlab.geometry.checks import as_array
from simplexlab.losses import SupervisedContrastive
from simplexlab.models.graph import Output, graph_outputs, layer_output, makes_logits

BIAS = "the bounds hold for a classifier without bias; build the last Dense with use_bias=False"


class Geometry(keras.callbacks.Callback):
    """Evaluate the geometry of a model's representations at the end of epochs, as `simplexlab train` does.

    The numbers are added to Keras's `logs` under `prefix`, those of a distribution as `…_mean`, `…_q05`, …: the same
    keys after every epoch, NaN where there is no number. `History` keeps them, and so does every callback behind this
    one, such as `CSVLogger`: Keras hands the logs from one callback to the next. The evaluations, with distributions
    and class means, are added to `evaluations`. A model that has diverged, or whose representations or classifier are
    all zero, has NaN for its numbers; training goes on.

    Args:
        x: inputs of the model, an array of shape (N, …), or a list or dict of such arrays for several inputs.
        y: integer labels, shape (N,) or (N, 1), every class 0 … K−1 present.
        loss: ce or ce-fix where the model ends in a Dense classifier of K units without bias (a softmax behind it is
            looked through), sc where its output is the representation; by default what the model is compiled with, or
            else ce if it ends in such a layer, and sc if it does not. These are the losses whose optimum needs
            nothing beyond the model and its temperature; any other objective, with its own options, sampling and
            layers, is measured by `simplexlab.evaluation.evaluate` with a `Criterion`, or by `simplexlab train`.
        head: name of the classifier in a model of several outputs: that of its Dense layer or of the output.
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
        x: Any,
        y: np.ndarray,
        *,
        loss: str | None = None,
        head: str | None = None,
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
        if loss not in (None, *objectives.paper()):
            raise ValueError(
                f"loss must be one of {', '.join(objectives.paper())}, not {loss!r}; simplexlab.evaluation.evaluate "
                "measures representations under any objective of the table"
            )
        if loss is not None and objectives.get(loss).head == "none" and head is not None:
            raise ValueError(
                f"{loss} has no classifier, so head={head!r} does not apply; layer names its representation"
            )
        if not 0 < temperature < np.inf:
            raise ValueError(f"temperature must be a positive finite number, not {temperature}")
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, not {batch_size}")
        self.x = keras.tree.map_structure(_plain, x)
        self.y = _integer_labels(y)
        _check_inputs(self.x, len(self.y))
        self.loss = loss
        self.head = head
        self.layer = layer
        self.temperature = temperature
        self.batch_size = batch_size
        self.nonnegative = nonnegative
        self.every = every
        self.prefix = prefix
        self.evaluations: list[Evaluation] = []

    def set_model(self, model: keras.Model) -> None:
        super().set_model(model)
        self._parts: tuple[keras.Model, keras.layers.Dense | None] | None = None
        self._example_record: dict[str, Any] | None = None

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Tell what does not fit before an epoch is spent."""
        if isinstance(self.model, keras.Sequential) and not self.model.built and hasattr(self.x, "shape"):
            self.model.build((None, *self.x.shape[1:]))
        self._find_parts()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Evaluate after every `every`-th epoch and add the numbers to `logs`."""
        found = {}
        if (epoch + 1) % self.every == 0:
            self.evaluations.append(self.evaluate(epoch + 1))
            found = numbers(self.evaluations[-1].record)
        if logs is not None:
            logs.update({self.prefix + key: found.get(key, math.nan) for key in numbers(self._example())})

    def evaluate(self, iteration: int = 0) -> Evaluation:
        """Evaluate the model as it is now."""
        encoder, head = self._find_parts()
        values = encoder.predict(self.x, batch_size=self.batch_size, verbose=0)
        values = values if values.dtype in (np.float32, np.float64) else values.astype(np.float32)
        if values.ndim != 2:
            raise ValueError(f"representations must have shape (N, h), not {values.shape}; name another layer")
        if head is not None and head.use_bias and np.any(_array(head.bias)):
            raise ValueError(BIAS)
        weights = None if head is None else _array(head.kernel).T.astype(np.float64)
        for name, array in {"representations": values, "weights": weights}.items():
            if array is not None and (not np.isfinite(array).all() or not array.any()):
                fault = "all zero" if np.isfinite(array).all() else "not finite"
                warnings.warn(f"Geometry at epoch {iteration}: the {name} are {fault}", RuntimeWarning, stacklevel=2)
                return Evaluation(_without_numbers(self._example()), {}, np.empty((0, values.shape[1])))
        return self._measure(values, self.y, weights, iteration)

    def _measure(
        self, values: np.ndarray, labels: np.ndarray, weights: np.ndarray | None, iteration: int
    ) -> Evaluation:
        """Evaluate representations under the objective: sc where there are no weights."""
        nonnegative = bool(values.min() >= 0) if self.nonnegative is None else self.nonnegative
        radius = float(np.sqrt(np.mean(np.sum(np.square(values, dtype=np.float64), axis=1)) / self.temperature))
        objective = objectives.get(self.loss or ("sc" if weights is None else "ce"))
        criterion = Criterion(
            objective=objective,
            batch_size=self.batch_size,
            radius=radius,
            nonnegative=nonnegative,
            policy=objective.judge,
            options=objective.resolve({}),
        )
        values = values / np.sqrt(self.temperature) if objective.sphere else values
        with np.errstate(over="ignore", invalid="ignore"):  # shortly before a model diverges
            return evaluate(Representations(values, labels), None, criterion, weights, iteration=iteration)

    def _example(self) -> dict[str, Any]:
        """A record in which every number has a value: that of an orthogonal frame."""
        if self._example_record is None:
            frame, labels = np.eye(3)[np.arange(6) % 3], np.arange(6) % 3
            weights = None if self._find_parts()[1] is None else np.eye(3)
            self._example_record = self._measure(frame, labels, weights, 0).record
        return self._example_record

    def _find_parts(self) -> tuple[keras.Model, keras.layers.Dense | None]:
        """The model from inputs to representations, and the classifier, None for sc; found once for each model.

        Each encoder would be compiled anew.
        """
        if self._parts is None:
            outputs = graph_outputs(self.model)
            output = self._classifier(outputs)
            head = None if output is None else output.layer
            if head is not None and head.use_bias and (head.trainable or np.any(_array(head.bias))):
                raise ValueError(BIAS)
            if head is None and self.batch_size < 3:
                raise ValueError(f"sc needs batches of at least 3 samples, not {self.batch_size}")
            self._parts = self._encoder(outputs, output), head
        return self._parts

    def _classifier(self, outputs: list[Output]) -> Output | None:
        """The output whose layer is the classifier of ce and ce-fix; None where the objective is sc."""
        compiled = keras.tree.flatten(getattr(self.model, "loss", None))
        compiled = compiled[0] if len(compiled) == 1 else None
        is_contrastive = isinstance(compiled, SupervisedContrastive)
        if self.loss is None:
            without_head = self.head is None and is_contrastive
        else:
            without_head = objectives.get(self.loss).head == "none"
        if without_head:
            return None
        if not outputs:
            chosen = None
        elif self.head is not None:
            chosen = self._named(self.head, outputs)
        elif len(outputs) > 1:
            names = ", ".join(output.names[0] for output in outputs)
            raise ValueError(
                f'the model has outputs {names}: name the classifier by head=, or take loss="sc" and name the '
                "representation by layer="
            )
        else:
            chosen = outputs[0]
        num_classes = int(self.y.max()) + 1
        if chosen is not None and isinstance(chosen.layer, keras.layers.Dense) and chosen.layer.units == num_classes:
            if makes_logits(chosen.layer):
                return chosen
            activation = getattr(chosen.layer.activation, "__name__", chosen.layer.activation)
            raise ValueError(
                f"the classifier {chosen.layer.name} has the activation {activation}, where the bounds are those of "
                'logits; give it softmax or none, or take loss="sc" for its output as the representation'
            )
        name = getattr(compiled, "__name__", None) or getattr(compiled, "name", None) or compiled
        if self.loss is not None or self.head is not None or "crossentropy" in str(name):
            raise ValueError(
                f"{self.loss or self.head or 'a model compiled with cross-entropy'} needs a functional or Sequential "
                f'model whose last layer is Dense with {num_classes} units; loss="sc" takes its output as the '
                "representation"
            )
        return None

    def _named(self, name: str, outputs: list[Output]) -> Output:
        found = [output for output in outputs if name in output.names]
        if len(found) == 1:
            return found[0]
        if found:
            raise ValueError(f"{name} makes {len(found)} outputs; name one by the activation behind it")
        names = [known for output in outputs for known in output.names]
        raise ValueError(f"head {name}: {nearest(name, names)}")

    def _encoder(self, outputs: list[Output], classifier: Output | None) -> keras.Model:
        """The model from inputs to representations."""
        if not outputs:
            if self.layer is not None:
                raise ValueError("layer names an output within a functional or Sequential model; this one is neither")
            return self.model
        if self.layer is not None:
            representation = layer_output(self.model, self.layer)
        elif classifier is not None:
            representation = classifier.taken
        elif len(outputs) == 1:
            representation = outputs[0].made
        else:
            names = ", ".join(output.names[0] for output in outputs)
            raise ValueError(f"the model has outputs {names}: name the one that is the representation by layer=")
        if len(representation.shape) != 2:
            shape = str(tuple(representation.shape)).replace("None", "N", 1)
            raise ValueError(f"representations must have shape (N, h), not {shape}; name another layer")
        if classifier is not None and representation.shape[1] != classifier.layer.kernel.shape[0]:
            raise ValueError(
                f"the classifier takes {classifier.layer.kernel.shape[0]} numbers, but layer {self.layer} has "
                f"{representation.shape[1]}"
            )
        return keras.Model(self.model.inputs, representation)


def _without_numbers(record: dict[str, Any]) -> dict[str, Any]:
    """The same keys with NaN for each number and None for what is none."""
    return {
        key: _without_numbers(value) if isinstance(value, dict) else math.nan if numbers({key: value}) else None
        for key, value in record.items()
    }


def _array(tensor: Any) -> np.ndarray:
    return keras.ops.convert_to_numpy(tensor)


def _plain(x: Any) -> Any:
    """A tensor of PyTorch, which may have a gradient, or of a library that offers DLPack alone, as a NumPy array."""
    is_taken = isinstance(x, np.ndarray) or (hasattr(x, "__array__") and not hasattr(x, "detach"))
    return as_array(x) if not is_taken and (hasattr(x, "detach") or hasattr(x, "__dlpack__")) else x


def _check_inputs(x: Any, number: int) -> None:
    """Tell inputs that are no arrays, or not one row for each label.

    Raises:
        ValueError: they are so.
    """
    arrays = keras.tree.flatten(x)
    if not arrays or not all(getattr(array, "shape", None) for array in arrays):
        raise ValueError(
            f"x must be an array of shape (N, …), or a list or dict of such arrays, not {type(x).__name__}; a dataset "
            "or generator must be made into arrays, in the order of the labels"
        )
    for array in arrays:
        if array.shape[0] != number:
            raise ValueError(f"{array.shape[0]} inputs but {number} labels")


def _integer_labels(y: np.ndarray) -> np.ndarray:
    """Labels as int64 (N,).

    Raises:
        ValueError: they are not whole numbers 0 … K−1, one for each point, with every class present.
    """
    labels = as_array(y)
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
