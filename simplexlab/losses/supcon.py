"""The supervised contrastive loss as its authors ran it."""

from typing import Any, Literal

import keras
from keras import ops

from simplexlab.losses.batch import BatchLoss, batch_of, lowest
from simplexlab.losses.contrastive import inner_products, repulsion

FORMS = ("out", "in")


@keras.saving.register_keras_serializable(package="simplexlab")
class SupCon(BatchLoss):
    """Supervised contrastive loss of Khosla et al. in both of its forms, one value per anchor.

    With s_ij = ⟨z_i, z_j⟩ / τ and P(i) the other samples of the batch with the label of anchor i, among them the other
    view of its image,

        out:  loss_i = τ/τ_base · (log Σ_{k ≠ i} exp(s_ik) − 1/|P(i)| · Σ_{j ∈ P(i)} s_ij),
        in:   loss_i = τ/τ_base · (log Σ_{k ≠ i} exp(s_ik) − log(1/|P(i)| · Σ_{j ∈ P(i)} exp(s_ij))),

    and 0 where P(i) is empty. `in` is at most `out`, and over batches both have the same least value, where the points
    of each class coincide. The representations are taken as they come: the authors normalise them. A batch with two
    views holds both with their label; their order does not matter. The mean over all anchors is Keras's default
    reduction. Under a `tf.distribute` strategy every anchor sees the batch of all replicas.

    Args:
        temperature: positive number τ that divides the inner products.
        base_temperature: positive number τ_base; it scales the loss only.
        form: `out`, the logarithm inside the sum over positives (L_out); or `in`, outside it (L_in).
        reduction: as in every Keras loss, e.g. `"sum_over_batch_size"` (mean), `"sum"`, `None` (values per anchor).
        name: name of the loss.
        dtype: dtype of the computation, raised to float32; by default Keras's `floatx`.

    Call arguments:
        y_true: integer labels, shape (b,) or (b, 1).
        y_pred: representations, shape (b, h).

    Raises:
        ValueError: a temperature is not positive, the form is unknown, the labels are not sparse or of half precision,
            or the representations no vectors.

    Example:
        >>> model.compile(optimizer="sgd", loss=SupCon(temperature=0.07))
        >>> model.fit(two_views, labels, batch_size=512)

    Reference:
        Equations 2 and 3 of Khosla et al., "Supervised Contrastive Learning", NeurIPS 2020; the scale τ/τ_base is that
        of their code.
    """

    def __init__(
        self,
        temperature: float = 0.07,
        base_temperature: float = 0.07,
        form: Literal["out", "in"] = "out",
        reduction: str | None = "sum_over_batch_size",
        name: str = "supcon",
        dtype: str | None = None,
    ):
        super().__init__(name, reduction, dtype)
        for label, value in {"temperature": temperature, "base_temperature": base_temperature}.items():
            if not 0.0 < value < float("inf"):
                raise ValueError(f"{label} must be a positive finite number, not {value}")
        if form not in FORMS:
            raise ValueError(f"form must be out or in, not {form!r}")
        self.temperature = float(temperature)
        self.base_temperature = float(base_temperature)
        self.form = form

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the loss of each anchor, shape (b,)."""
        batch = batch_of(y_true, y_pred)
        products = inner_products(batch, self.temperature)
        attraction = _mean(batch, products) if self.form == "out" else _log_mean_exp(batch, products)
        values = (repulsion(batch, products) - attraction) * (self.temperature / self.base_temperature)
        return ops.where(ops.any(batch.is_positive, axis=1), values, 0.0)

    def get_config(self) -> dict:
        """Arguments that rebuild this loss."""
        own = {"temperature": self.temperature, "base_temperature": self.base_temperature, "form": self.form}
        return {**super().get_config(), **own}


def _mean(batch, products):
    """Mean of the products with the positives of each anchor, shape (b,)."""
    return ops.sum(ops.where(batch.is_positive, products, 0.0), axis=1) / _count(batch, products)


def _log_mean_exp(batch, products):
    """Logarithm of the mean of the exponentials of the products with the positives of each anchor, shape (b,)."""
    # Shifted by the largest of the positives, which may all be far below the largest of the row.
    of_positives = ops.where(batch.is_positive, products, lowest(products) / 4)
    largest = ops.stop_gradient(ops.max(of_positives, axis=1, keepdims=True))
    shares = ops.exp(of_positives - largest)  # all 1 where there is no positive
    total = ops.sum(ops.where(batch.is_positive, shares, 0.0), axis=1)
    alone = ops.cast(ops.logical_not(ops.any(batch.is_positive, axis=1)), total.dtype)
    return largest[:, 0] + ops.log(total + alone) - ops.log(_count(batch, products))


def _count(batch, products):
    return ops.maximum(ops.sum(ops.cast(batch.is_positive, products.dtype), axis=1), 1.0)
