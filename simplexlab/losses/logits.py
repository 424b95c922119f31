"""Losses of logits, or of cosines to fixed prototypes, beside cross-entropy: one value per sample."""

from typing import Any

import keras
from keras import ops


class _LogitLoss(keras.losses.Loss):
    """A Keras loss of sparse labels and K numbers a sample, computed in at least float32.

    Args:
        name: name of the loss.
        reduction: as in every Keras loss, e.g. `"sum_over_batch_size"` (mean), `None` (values per sample).
        dtype: dtype of the computation, raised to float32; by default Keras's `floatx`.
    """

    def __init__(self, name: str, reduction: str | None, dtype: str | None):
        given = keras.dtype_policies.get(dtype or keras.config.floatx()).compute_dtype
        super().__init__(name, reduction, keras.backend.result_type(given, "float32"))

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Values per sample, shape (b,), of labels (b,) or (b, 1) and numbers (b, K).

        NaN where a label is none of 0 … K−1, as of Keras's own cross-entropy of sparse labels.
        """
        numbers = ops.convert_to_tensor(y_pred)
        if len(numbers.shape) != 2:
            raise ValueError(f"{self.name} takes one number for each class, shape (b, K), not {tuple(numbers.shape)}")
        labels = ops.reshape(ops.cast(y_true, "int32"), (-1,))
        own = ops.one_hot(labels, numbers.shape[1], dtype=numbers.dtype)
        is_class = ops.logical_and(labels >= 0, labels < numbers.shape[1])
        return ops.where(is_class, self.values(own, numbers), float("nan"))

    def values(self, own: Any, numbers: Any) -> Any:
        """Values per sample, of one-hot labels and numbers, both (b, K)."""
        raise NotImplementedError

    def get_config(self) -> dict:
        """Arguments that rebuild this loss."""
        return {**super().get_config(), "dtype": self.dtype}


@keras.saving.register_keras_serializable(package="simplexlab")
class SmoothedCrossEntropy(_LogitLoss):
    """Cross-entropy of logits to the targets (1 − ε)·e_y + ε/K.

        ℓ(y, m) = −(1 − ε)·log p_y − ε/K·Σ_j log p_j,   p = softmax(m)

    Keras's `CategoricalCrossentropy(label_smoothing=ε)` of sparse labels.

    Args:
        smoothing: ε, from 0 up to but not including 1.
        name, reduction, dtype: as of every Keras loss; half precision is raised to float32.

    Raises:
        ValueError: ε out of range.

    Reference: Szegedy et al. 2016.
    """

    def __init__(
        self,
        smoothing: float = 0.1,
        name: str = "smoothed_cross_entropy",
        reduction: str | None = "sum_over_batch_size",
        dtype: str | None = None,
    ):
        if not 0 <= smoothing < 1:
            raise ValueError(f"the label smoothing must be at least 0 and less than 1, got {smoothing:g}")
        super().__init__(name, reduction, dtype)
        self.smoothing = smoothing

    def values(self, own: Any, numbers: Any) -> Any:
        """Values per sample."""
        logarithms = ops.log_softmax(numbers, axis=1)
        targets = (1 - self.smoothing) * own + self.smoothing / numbers.shape[1]
        return -ops.sum(targets * logarithms, axis=1)

    def get_config(self) -> dict:
        """Arguments that rebuild this loss."""
        return {**super().get_config(), "smoothing": self.smoothing}


@keras.saving.register_keras_serializable(package="simplexlab")
class SquaredError(_LogitLoss):
    """Half of the squared distance of the logits from one-hot labels, ½‖m − e_y‖²; not divided by K.

    Args:
        name, reduction, dtype: as of every Keras loss; half precision is raised to float32.

    Reference: Hui and Belkin 2021 for its use in classification; the convention is that of Zhou et al. 2022.
    """

    def __init__(
        self,
        name: str = "squared_error",
        reduction: str | None = "sum_over_batch_size",
        dtype: str | None = None,
    ):
        super().__init__(name, reduction, dtype)

    def values(self, own: Any, numbers: Any) -> Any:
        """Values per sample."""
        return 0.5 * ops.sum(ops.square(numbers - own), axis=1)


@keras.saving.register_keras_serializable(package="simplexlab")
class PrototypeDistance(_LogitLoss):
    """Squared cosine distance (1 − cos(z, p_y))² to the prototype of the own class.

    It takes the cosines (b, K): inner products of unit representations with unit prototypes, which
    `simplexlab.models.fixed_head` of `simplexlab.theory.spread_directions` gives.

    Args:
        name, reduction, dtype: as of every Keras loss; half precision is raised to float32.

    Reference: Mettes et al. 2019, equation 2, whose sum over the batch is a mean here.
    """

    def __init__(
        self,
        name: str = "prototype_distance",
        reduction: str | None = "sum_over_batch_size",
        dtype: str | None = None,
    ):
        super().__init__(name, reduction, dtype)

    def values(self, own: Any, numbers: Any) -> Any:
        """Values per sample."""
        return ops.square(1.0 - ops.sum(own * numbers, axis=1))
