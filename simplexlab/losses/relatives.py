"""Losses over pairs and triplets of a batch that the supervised contrastive loss stands beside."""

from typing import Any

import keras
from keras import ops

from simplexlab.losses.batch import Batch, BatchLoss, batch_of, lowest, positions_of


@keras.saving.register_keras_serializable(package="simplexlab")
class AlignmentUniformity(BatchLoss):
    """Alignment of positives and uniformity of all samples, one value per sample whose mean is the loss.

    With d_ij = ‖z_i − z_j‖², P the ordered pairs i ≠ j of one class and B samples in the batch,

        loss = weight · 1/|P| · Σ_{(i,j) ∈ P} d_ij + log( 1/(B(B−1)) · Σ_{i ≠ j} exp(−scale · d_ij) ),

    the first term 0 where P is empty. The value of sample i holds its share of the alignment,
    weight · B/|P| · Σ_{j: (i,j) ∈ P} d_ij, and the whole uniformity. The representations are taken as they come: put
    them on the unit sphere. Under a `tf.distribute` strategy the batch is that of all replicas.

    Args:
        weight: a of the alignment, at least 0.
        scale: t of the uniformity, greater than 0.
        reduction: as in every Keras loss, e.g. `"sum_over_batch_size"` (mean), `"sum"`, `None` (values per sample).
        name: name of the loss.
        dtype: dtype of the computation, raised to float32; by default Keras's `floatx`.

    Call arguments:
        y_true: integer labels, shape (b,) or (b, 1).
        y_pred: representations, shape (b, h).

    Raises:
        ValueError: weight or scale out of range, the labels not sparse or of half precision, or the representations no
            vectors.

    Example:
        >>> model.compile(optimizer="sgd", loss=AlignmentUniformity(weight=2.0))
        >>> model.fit(images, labels, batch_size=256)

    Reference:
        Wang and Isola, "Understanding Contrastive Representation Learning through Alignment and Uniformity on the
        Hypersphere", ICML 2020, with the samples of one class as positives.
    """

    def __init__(
        self,
        weight: float = 1.0,
        scale: float = 2.0,
        reduction: str | None = "sum_over_batch_size",
        name: str = "alignment_uniformity",
        dtype: str | None = None,
    ):
        super().__init__(name, reduction, dtype)
        self.weight = _at_least_0("weight", weight)
        self.scale = _positive("scale", scale)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the value of each sample, shape (b,)."""
        batch = batch_of(y_true, y_pred)
        squares = _squared_distances(batch.anchors, batch.samples)
        ones = ops.cast(batch.is_positive, squares.dtype)
        all_same = ops.cast(ops.equal(batch.sample_labels[:, None], batch.sample_labels[None, :]), squares.dtype)
        size = ops.cast(ops.shape(batch.samples)[0], squares.dtype)
        pairs = ops.sum(all_same) - size
        alignment = ops.sum(ones * squares, axis=1) * size / ops.maximum(pairs, 1.0)

        # Every replica sums over the whole batch: what stands inside a logarithm cannot be added up afterwards.
        logits = -self.scale * _squared_distances(batch.samples, batch.samples)
        positions = positions_of(batch.samples)
        logits = ops.where(ops.equal(positions[:, None], positions[None, :]), lowest(logits) / 4, logits)
        uniformity = ops.logsumexp(logits) - ops.log(ops.maximum(size * (size - 1.0), 1.0))
        return self.weight * alignment + ops.where(size > 1.0, uniformity, 0.0)

    def get_config(self) -> dict:
        """Arguments that rebuild this loss."""
        return {**super().get_config(), "weight": self.weight, "scale": self.scale}


@keras.saving.register_keras_serializable(package="simplexlab")
class NPairs(BatchLoss):
    """Multi-class N-pair loss of a batch with any label counts, one value per sample.

    The batch is cut into tuplets: the first two samples of each class make a pair of the first tuplet, the third and
    the fourth one of the second, and so on. In a tuplet with the pairs (z_c, z'_c) of several classes c,

        loss of z_c  = log(1 + Σ_{d ≠ c} exp((⟨z_c, z'_d⟩ − ⟨z_c, z'_c⟩) / temperature)),
        loss of z'_c = log(1 + Σ_{d ≠ c} exp((⟨z'_c, z_d⟩ − ⟨z'_c, z_c⟩) / temperature)).

    With two samples of each class in a batch the first line is Sohn's loss, and the second the same with anchor and
    positive exchanged. The last sample of a class with an odd count has no partner and contributes 0. The
    representations are taken as they come. Under a `tf.distribute` strategy the batch is that of all replicas.

    Args:
        temperature: positive number that divides the inner products.
        reduction: as in every Keras loss, e.g. `"sum_over_batch_size"` (mean), `"sum"`, `None` (values per sample).
        name: name of the loss.
        dtype: dtype of the computation, raised to float32; by default Keras's `floatx`.

    Call arguments:
        y_true: integer labels, shape (b,) or (b, 1).
        y_pred: representations, shape (b, h).

    Raises:
        ValueError: the temperature is not positive, the labels are not sparse or of half precision, or the
            representations no vectors.

    Example:
        >>> model.compile(optimizer="sgd", loss=NPairs(temperature=0.1))
        >>> model.fit(images, labels, batch_size=256)

    Reference:
        Sohn, "Improved Deep Metric Learning with Multi-class N-pair Loss Objective", NIPS 2016.
    """

    def __init__(
        self,
        temperature: float = 1.0,
        reduction: str | None = "sum_over_batch_size",
        name: str = "n_pairs",
        dtype: str | None = None,
    ):
        super().__init__(name, reduction, dtype)
        self.temperature = _positive("temperature", temperature)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the loss of each sample, shape (b,)."""
        batch = batch_of(y_true, y_pred)
        logits = ops.matmul(batch.anchors, ops.transpose(batch.samples)) / self.temperature
        rank, has_partner = _ranks(batch, logits.dtype)
        tuplet = ops.floor(rank / 2.0)
        own_rank, own_tuplet = (ops.take(values, batch.positions)[:, None] for values in (rank, tuplet))
        opposite = ops.logical_and(
            ops.equal(own_tuplet, tuplet[None, :]),
            ops.not_equal(own_rank - 2.0 * own_tuplet, (rank - 2.0 * tuplet)[None, :]),
        )
        is_partner = ops.logical_and(opposite, batch.is_positive)
        same = ops.logical_or(batch.is_positive, batch.is_self)
        is_negative = ops.logical_and(ops.logical_and(opposite, ops.logical_not(same)), has_partner[None, :])
        own = ops.sum(ops.where(is_partner, logits, 0.0), axis=1, keepdims=True)
        # A finite floor, not −∞: a sample without negatives must give a finite gradient.
        others = ops.where(is_negative, logits - own, lowest(logits) / 4)
        return ops.where(ops.take(has_partner, batch.positions), ops.softplus(ops.logsumexp(others, axis=1)), 0.0)

    def get_config(self) -> dict:
        """Arguments that rebuild this loss."""
        return {**super().get_config(), "temperature": self.temperature}


@keras.saving.register_keras_serializable(package="simplexlab")
class Triplet(BatchLoss):
    """Triplet loss over all triplets of a batch, one value per anchor.

    With d_ij = ‖z_i − z_j‖², P(i) the other samples of the anchor's class and N(i) those of other classes,

        loss_i = 1/(|P(i)|·|N(i)|) · Σ_{j ∈ P(i)} Σ_{k ∈ N(i)} max(0, d_ij − d_ik + margin),

    0 where P(i) or N(i) is empty. The representations are taken as they come: put them on the unit sphere. Time and
    memory grow as b²·log b, not as the number of triplets. Under a `tf.distribute` strategy every anchor sees the batch
    of all replicas.

    Args:
        margin: at least 0.
        reduction: as in every Keras loss, e.g. `"sum_over_batch_size"` (mean), `"sum"`, `None` (values per anchor).
        name: name of the loss.
        dtype: dtype of the computation, raised to float32; by default Keras's `floatx`.

    Call arguments:
        y_true: integer labels, shape (b,) or (b, 1).
        y_pred: representations, shape (b, h).

    Raises:
        ValueError: the margin is below 0, the labels are not sparse or of half precision, or the representations no
            vectors.

    Example:
        >>> model.compile(optimizer="sgd", loss=Triplet(margin=0.2))
        >>> model.fit(images, labels, batch_size=256)

    Reference:
        Schroff et al., "FaceNet: A Unified Embedding for Face Recognition and Clustering", CVPR 2015, without its
        choice of triplets.
    """

    def __init__(
        self,
        margin: float = 0.2,
        reduction: str | None = "sum_over_batch_size",
        name: str = "triplet",
        dtype: str | None = None,
    ):
        super().__init__(name, reduction, dtype)
        self.margin = _at_least_0("margin", margin)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the loss of each anchor, shape (b,)."""
        batch = batch_of(y_true, y_pred)
        squares = _squared_distances(batch.anchors, batch.samples)
        is_negative = ops.logical_not(ops.logical_or(batch.is_positive, batch.is_self))
        positives, negatives = (ops.cast(kind, squares.dtype) for kind in (batch.is_positive, is_negative))
        # Positives stand where their distance + margin is. In the order of all, what each adds is that value times the
        # negatives before it, less the sum of their distances.
        values = ops.concatenate([squares + self.margin, squares], axis=1)
        is_end = ops.concatenate([positives, ops.zeros_like(negatives)], axis=1)
        is_start = ops.concatenate([ops.zeros_like(positives), negatives], axis=1)
        order = ops.argsort(ops.stop_gradient(values), axis=1)
        values, is_end, is_start = (ops.take_along_axis(rows, order, axis=1) for rows in (values, is_end, is_start))
        count, total = ops.cumsum(is_start, axis=1), ops.cumsum(is_start * values, axis=1)
        sums = ops.sum(is_end * ops.maximum(values * count - total, 0.0), axis=1)
        return sums / ops.maximum(ops.sum(positives, axis=1) * ops.sum(negatives, axis=1), 1.0)

    def get_config(self) -> dict:
        """Arguments that rebuild this loss."""
        return {**super().get_config(), "margin": self.margin}


@keras.saving.register_keras_serializable(package="simplexlab")
class SoftNearestNeighbour(BatchLoss):
    """Soft nearest neighbour loss of a batch, one value per anchor.

    With d_ij = ‖z_i − z_j‖² and P(i) the other samples of the anchor's class,

        loss_i = −log( Σ_{j ∈ P(i)} exp(−d_ij / temperature) / Σ_{k ≠ i} exp(−d_ik / temperature) ),

    0 where P(i) is empty. The representations are taken as they come: put them on the unit sphere. Under a
    `tf.distribute` strategy every anchor sees the batch of all replicas.

    Args:
        temperature: positive number that divides the squared distances.
        reduction: as in every Keras loss, e.g. `"sum_over_batch_size"` (mean), `"sum"`, `None` (values per anchor).
        name: name of the loss.
        dtype: dtype of the computation, raised to float32; by default Keras's `floatx`.

    Call arguments:
        y_true: integer labels, shape (b,) or (b, 1).
        y_pred: representations, shape (b, h).

    Raises:
        ValueError: the temperature is not positive, the labels are not sparse or of half precision, or the
            representations no vectors.

    Example:
        >>> model.compile(optimizer="sgd", loss=SoftNearestNeighbour(temperature=0.2))
        >>> model.fit(images, labels, batch_size=256)

    Reference:
        Frosst et al., "Analyzing and Improving Representations with the Soft Nearest Neighbor Loss", ICML 2019.
    """

    def __init__(
        self,
        temperature: float = 1.0,
        reduction: str | None = "sum_over_batch_size",
        name: str = "soft_nearest_neighbour",
        dtype: str | None = None,
    ):
        super().__init__(name, reduction, dtype)
        self.temperature = _positive("temperature", temperature)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the loss of each anchor, shape (b,)."""
        batch = batch_of(y_true, y_pred)
        logits = -_squared_distances(batch.anchors, batch.samples) / self.temperature
        # A finite floor, not −∞: an anchor that is alone in its class must give 0 and a finite gradient.
        least = lowest(logits) / 4
        same = ops.logical_or(batch.is_positive, batch.is_self)
        positive = ops.logsumexp(ops.where(batch.is_positive, logits, least), axis=1)
        negative = ops.logsumexp(ops.where(same, least, logits), axis=1)
        # log(1 + negatives/positives), exact to the last digits also where it is small.
        return ops.where(ops.any(batch.is_positive, axis=1), ops.softplus(negative - positive), 0.0)

    def get_config(self) -> dict:
        """Arguments that rebuild this loss."""
        return {**super().get_config(), "temperature": self.temperature}


def _squared_distances(first, second):
    """‖z_i − z_j‖² between the rows of two arrays (b, h) and (B, h), shape (b, B), never below 0 by rounding."""
    norms = ops.sum(first * first, axis=1)[:, None] + ops.sum(second * second, axis=1)[None, :]
    return ops.maximum(norms - 2.0 * ops.matmul(first, ops.transpose(second)), 0.0)


def _ranks(batch: Batch, dtype):
    """How many of its class stand before each sample of the batch, (B,), and whether its pair is whole, (B,)."""
    positions = positions_of(batch.samples)
    same = ops.equal(batch.sample_labels[:, None], batch.sample_labels[None, :])
    before = ops.logical_and(same, positions[None, :] < positions[:, None])
    rank, count = (ops.sum(ops.cast(kind, dtype), axis=1) for kind in (before, same))
    return rank, rank < 2.0 * ops.floor(count / 2.0)


def _positive(name: str, value: float) -> float:
    if not 0.0 < value < float("inf"):
        raise ValueError(f"{name} must be a positive finite number, not {value}")
    return float(value)


def _at_least_0(name: str, value: float) -> float:
    if not 0.0 <= value < float("inf"):
        raise ValueError(f"{name} must be a finite number of at least 0, not {value}")
    return float(value)
