"""The supervised contrastive loss."""

from typing import Any

import keras
from keras import ops

from simplexlab.losses.batch import Batch, BatchLoss, batch_of, lowest, positions_of


@keras.saving.register_keras_serializable(package="simplexlab")
class SupervisedContrastive(BatchLoss):
    """Supervised contrastive loss of a batch, one value per anchor.

    With s_ij = ⟨z_i, z_j⟩ / temperature and P(i) the other samples of the batch with the label of anchor i,

        loss_i = log Σ_{k ≠ i} exp(s_ik) − 1/|P(i)| · Σ_{j ∈ P(i)} s_ij,    loss_i = 0 where P(i) is empty.

    The representations are taken as they come: put them on the unit sphere and give a temperature τ, or on the sphere
    of radius 1/√τ and leave the temperature at 1. The paper sums over the anchors (`reduction="sum"`); the default is
    Keras's mean over the anchors. Under a `tf.distribute` strategy every anchor sees the batch of all replicas.
    Computed in float32 or, with `dtype="float64"`, in double precision, whatever the dtype of the representations.
    With `positives=M` the mean over P(i) is over the first M positives that follow the anchor in the batch, cyclically.
    In a batch of independent draws these are a uniform choice, so the expected loss of any configuration, and with it
    its bound, is that of all positives; only the noise of the gradient differs.
    Integer labels are compared as they are: any int64 where the backend has it. JAX's integers have 32 bits unless
    `jax_enable_x64` is set, and `fit` hands over the labels' low bits.

    Args:
        temperature: positive number that divides the inner products.
        reduction: as in every Keras loss, e.g. `"sum_over_batch_size"` (mean), `"sum"`, `None` (values per anchor).
        name: name of the loss.
        dtype: dtype of the computation, raised to float32; by default Keras's `floatx`.
        positives: positives that each anchor keeps, at least 1; None keeps all.

    Call arguments:
        y_true: integer labels, shape (b,) or (b, 1).
        y_pred: representations, shape (b, h).

    Raises:
        ValueError: the temperature or the number of positives is not positive, the labels are not sparse or of half
            precision, or the representations no vectors.

    Example:
        >>> model.compile(optimizer="sgd", loss=SupervisedContrastive(temperature=0.1))
        >>> model.fit(images, labels, batch_size=256)

    Reference:
        Definition 2 of Graf et al., "Dissecting Supervised Contrastive Learning", ICML 2021, for multisets of indices.
    """

    def __init__(
        self,
        temperature: float = 1.0,
        reduction: str | None = "sum_over_batch_size",
        name: str = "supervised_contrastive",
        dtype: str | None = None,
        positives: int | None = None,
    ):
        super().__init__(name, reduction, dtype)
        if not 0.0 < temperature < float("inf"):
            raise ValueError(f"temperature must be a positive finite number, not {temperature}")
        if positives is not None and (positives != int(positives) or positives < 1):
            raise ValueError(f"positives must be a whole number of at least 1, or None, not {positives}")
        self.temperature = float(temperature)
        self.positives = None if positives is None else int(positives)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the loss of each anchor, shape (b,)."""
        return supervised_contrastive(y_true, y_pred, self.temperature, self.positives)

    def get_config(self) -> dict:
        """Arguments that rebuild this loss."""
        return {**super().get_config(), "temperature": self.temperature, "positives": self.positives}


def supervised_contrastive(y_true: Any, y_pred: Any, temperature: float = 1.0, positives: int | None = None) -> Any:
    """Supervised contrastive loss of each anchor, shape (b,); see `SupervisedContrastive`.

    Args:
        y_true: integer labels, shape (b,) or (b, 1).
        y_pred: representations, shape (b, h), any float dtype; half precision is computed in float32.
        temperature: positive number that divides the inner products.
        positives: how many of its positives each anchor keeps, the first that follow it in the batch; None keeps all.
    """
    batch = batch_of(y_true, y_pred)
    logits = inner_products(batch, temperature)
    is_positive = batch.is_positive if positives is None else _first_positives(batch, positives)
    count = ops.sum(ops.cast(is_positive, logits.dtype), axis=1)
    attraction = ops.sum(ops.where(is_positive, logits, 0.0), axis=1) / ops.maximum(count, 1.0)
    return ops.where(count > 0, repulsion(batch, logits) - attraction, 0.0)


def inner_products(batch: Batch, temperature: float):
    """Inner products (b, B) of the anchors and all samples over the temperature, less the largest of each row.

    Both terms of a loss shifted alike keep their difference exact to the last digits when the products are large. That
    of an anchor with itself is far below all others and finite, so that one which is alone has a finite gradient.
    """
    products = ops.matmul(batch.anchors, ops.transpose(batch.samples)) / temperature
    products = ops.where(batch.is_self, lowest(products) / 4, products)
    return products - ops.stop_gradient(ops.max(products, axis=1, keepdims=True))


def repulsion(batch: Batch, products):
    """log Σ_{k ≠ i} exp(s_ik) of each anchor, shape (b,); finite also without a positive, where it is discarded."""
    total = ops.sum(ops.where(batch.is_self, 0.0, ops.exp(products)), axis=1)
    alone = ops.logical_not(ops.any(batch.is_positive, axis=1))  # may be the only sample
    return ops.log(total + ops.cast(alone, total.dtype))


def _first_positives(batch: Batch, most: int):
    """Of the positives (b, B) of each anchor the first `most` after its position, cyclically."""
    is_before = positions_of(batch.samples)[None, :] < batch.positions[:, None]
    ones = ops.cast(batch.is_positive, "float32")
    before = ops.sum(ops.where(is_before, ones, 0.0), axis=1, keepdims=True)
    rank = ops.cumsum(ones, axis=1) - before  # after the anchor: 1, 2, …; before it they come last
    rank = ops.where(is_before, rank + ops.sum(ones, axis=1, keepdims=True), rank)
    return ops.logical_and(batch.is_positive, rank <= float(most))
