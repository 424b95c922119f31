"""Keras losses of the project, for every backend of Keras. Cross-entropy is Keras's own."""

import copy

import keras
import numpy as np
from keras import ops


@keras.saving.register_keras_serializable(package="simplexlab")
class SupervisedContrastive(keras.losses.Loss):
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
        given = keras.dtype_policies.get(dtype or keras.config.floatx()).compute_dtype
        super().__init__(name, reduction, keras.backend.result_type(given, "float32"))
        if not 0.0 < temperature < float("inf"):
            raise ValueError(f"temperature must be a positive finite number, not {temperature}")
        if positives is not None and (positives != int(positives) or positives < 1):
            raise ValueError(f"positives must be a whole number of at least 1, or None, not {positives}")
        self.temperature = float(temperature)
        self.positives = None if positives is None else int(positives)

    def __call__(self, y_true, y_pred, sample_weight=None):
        """Return the loss of the batch, reduced and weighted as Keras's losses are."""
        # Keras would cast the labels to the loss's dtype, which makes one of several from 2²⁴ on.
        with_labels = copy.copy(self)
        with_labels.call = lambda _, anchors: self.call(y_true, anchors)
        return super(SupervisedContrastive, with_labels).__call__(y_pred, y_pred, sample_weight)

    def call(self, y_true, y_pred):
        """Return the loss of each anchor, shape (b,)."""
        return supervised_contrastive(y_true, y_pred, self.temperature, self.positives)

    def get_config(self) -> dict:
        """Arguments that rebuild this loss."""
        own = {"temperature": self.temperature, "dtype": self.dtype, "positives": self.positives}
        return {**super().get_config(), **own}


def supervised_contrastive(y_true, y_pred, temperature: float = 1.0, positives: int | None = None):
    """Supervised contrastive loss of each anchor, shape (b,); see `SupervisedContrastive`.

    Args:
        y_true: integer labels, shape (b,) or (b, 1).
        y_pred: representations, shape (b, h), any float dtype; half precision is computed in float32.
        temperature: positive number that divides the inner products.
        positives: how many of its positives each anchor keeps, the first that follow it in the batch; None keeps all.
    """
    anchors = ops.convert_to_tensor(y_pred)
    if keras.backend.standardize_dtype(anchors.dtype) in ("bfloat16", "float16"):
        anchors = ops.cast(anchors, "float32")
    if len(anchors.shape) != 2:
        raise ValueError(f"representations must have shape (b, h), not {tuple(anchors.shape)}")
    labels = _labels(y_true)
    samples, sample_labels, first = global_batch(anchors, labels)

    logits = ops.matmul(anchors, ops.transpose(samples)) / temperature
    positions, others = first + _range(anchors)[:, None], _range(samples)[None, :]
    is_self = ops.equal(positions, others)
    # A finite floor, not −∞: an anchor that is alone in the batch must give 0 and a finite gradient.
    logits = ops.where(is_self, _lowest(logits) / 4, logits)
    # Shifting both terms alike keeps the difference exact to the last digits when s is large (small temperatures).
    logits = logits - ops.stop_gradient(ops.max(logits, axis=1, keepdims=True))
    is_positive = ops.logical_and(ops.equal(labels[:, None], sample_labels[None, :]), ops.logical_not(is_self))
    if positives is not None:
        is_positive = _first_positives(is_positive, positions, others, positives)
    count = ops.sum(ops.cast(is_positive, logits.dtype), axis=1)
    attraction = ops.sum(ops.where(is_positive, logits, 0.0), axis=1) / ops.maximum(count, 1.0)
    repulsion = ops.log(ops.sum(ops.where(is_self, 0.0, ops.exp(logits)), axis=1) + _alone(count))
    return ops.where(count > 0, repulsion - attraction, 0.0)


def _first_positives(is_positive, positions, others, most: int):
    """Of the positives (b, B) of each anchor the first `most` after its position (b, 1), cyclically."""
    ones = ops.cast(is_positive, "float32")
    before = ops.sum(ops.where(others < positions, ones, 0.0), axis=1, keepdims=True)
    rank = ops.cumsum(ones, axis=1) - before  # after the anchor: 1, 2, …; before it they come last
    rank = ops.where(others < positions, rank + ops.sum(ones, axis=1, keepdims=True), rank)
    return ops.logical_and(is_positive, rank <= float(most))


def _range(values):
    """The positions in a batch: constants where its size is known, and int64, as GPUs leave int32 to the host."""
    size = values.shape[0]
    return ops.arange(ops.shape(values)[0], dtype="int64") if size is None else ops.convert_to_tensor(np.arange(size))


def _alone(count):
    # Keeps the logarithm finite where its value is discarded: an anchor without a positive may have no other sample.
    return ops.cast(ops.equal(count, 0), count.dtype)


def _lowest(tensor) -> float:
    return float(np.finfo(keras.backend.standardize_dtype(tensor.dtype)).min)


def _labels(y_true):
    """The labels as a tensor of shape (b,) in which different labels are different numbers."""
    if not ops.is_tensor(y_true) and keras.backend.backend() == "jax":
        y_true = np.asarray(y_true)
        # JAX would keep the low bits of an int64; which labels are equal is all that counts.
        y_true = np.unique(y_true, return_inverse=True)[1].astype(np.int32).reshape(y_true.shape)
    labels = ops.convert_to_tensor(y_true)
    if len(labels.shape) == 2 and labels.shape[1] not in (1, None):
        shape = tuple(labels.shape)
        raise ValueError(f"labels must be integers of shape (b,) or (b, 1), not one-hot rows of shape {shape}")
    dtype = keras.backend.standardize_dtype(labels.dtype)
    if dtype in ("bfloat16", "float16"):
        raise ValueError(f"labels must be integers; {dtype} makes one of several")
    if dtype == "uint64":  # which Keras compares as floats
        labels = ops.cast(labels, "int64")
    return ops.reshape(labels, (-1,))


def global_batch(anchors, labels):
    """Gather what a loss over pairs of samples needs under `tf.distribute`: the batch of all replicas.

    The one place where a loss knows of replicas; under other backends and without a strategy there is one.

    Args:
        anchors: representations of this replica's samples, shape (b, h).
        labels: their labels, shape (b,).

    Returns:
        Representations (B, h) and labels (B,) of all samples, and the position of this replica's first among them.
    """
    if keras.backend.backend() != "tensorflow":
        return anchors, labels, 0
    import tensorflow as tf

    context = tf.distribute.get_replica_context() if tf.distribute.has_strategy() else None
    if context is None or context.num_replicas_in_sync == 1:
        return anchors, labels, 0
    # One collective for both: a float would merge labels from 2²⁴ on, so they go along as digits.
    rows = tf.concat([anchors, _digits(labels, anchors.dtype)], axis=1)
    replica, size = tf.get_static_value(context.replica_id_in_sync_group), rows.shape[0]
    if replica is None or size is None:
        sizes = context.all_gather(tf.shape(rows, tf.int64)[:1], axis=0)
        first = tf.reduce_sum(sizes[: context.replica_id_in_sync_group])
        rows = context.all_gather(rows, axis=0)
    else:
        # Every replica adds its batch, in its place among zeros: a gather would first gather the sizes, on the host.
        first = int(replica) * size
        after = (context.num_replicas_in_sync - 1) * size - first
        rows = context.all_reduce(tf.distribute.ReduceOp.SUM, tf.pad(rows, [[first, after], [0, 0]]))
    return rows[:, :-DIGITS], _from_digits(rows[:, -DIGITS:], labels.dtype), first


DIGITS, BITS = 4, 16  # of an int64, so that each is a whole number in any float


def _digits(labels, dtype):
    """Integers (b,) as floats (b, 4); labels that are floats are taken by their bits."""
    import tensorflow as tf

    bits = tf.bitcast(tf.cast(labels, tf.float64), tf.int64) if labels.dtype.is_floating else tf.cast(labels, tf.int64)
    shifts = np.arange(DIGITS) * BITS
    return tf.cast(tf.bitwise.bitwise_and(tf.bitwise.right_shift(bits[:, None], shifts), 2**BITS - 1), dtype)


def _from_digits(digits, dtype):
    import tensorflow as tf

    shifts = np.arange(DIGITS) * BITS
    bits = tf.reduce_sum(tf.bitwise.left_shift(tf.cast(digits, tf.int64), shifts), axis=1)
    return tf.cast(tf.bitcast(bits, tf.float64) if dtype.is_floating else bits, dtype)
