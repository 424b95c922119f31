"""What losses over pairs of samples share: the batch of all replicas, labels that stay apart, dtypes."""

import copy
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops


class BatchLoss(keras.losses.Loss):
    """A Keras loss with one value per sample that may depend on the whole batch.

    It is computed in float32 or, with `dtype="float64"`, in double precision, whatever the dtype of the
    representations. Integer labels are compared as they are: any int64 where the backend has it. JAX's integers have 32
    bits unless `jax_enable_x64` is set, and `fit` hands over the labels' low bits.

    Args:
        name: name of the loss.
        reduction: as in every Keras loss, e.g. `"sum_over_batch_size"` (mean), `"sum"`, `None` (values per sample).
        dtype: dtype of the computation, raised to float32; by default Keras's `floatx`.
    """

    def __init__(self, name: str, reduction: str | None, dtype: str | None):
        given = keras.dtype_policies.get(dtype or keras.config.floatx()).compute_dtype
        super().__init__(name, reduction, keras.backend.result_type(given, "float32"))

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """Return the loss of the batch, reduced and weighted as Keras's losses are."""
        # Keras would cast the labels to the loss's dtype, which makes one of several from 2²⁴ on.
        with_labels = copy.copy(self)
        with_labels.call = lambda _, anchors: self.call(y_true, anchors)
        return super(BatchLoss, with_labels).__call__(y_pred, y_pred, sample_weight)

    def get_config(self) -> dict:
        """Arguments that rebuild this loss."""
        return {**super().get_config(), "dtype": self.dtype}


class Batch(NamedTuple):
    """The anchors of this replica among the samples of all replicas.

    Attributes:
        anchors: representations of this replica's samples, float32 or float64, shape (b, h).
        labels: their labels, shape (b,).
        samples: representations of all samples, shape (B, h).
        sample_labels: their labels, shape (B,).
        positions: where the anchors stand among the samples, shape (b,).
        is_self: whether a sample is the anchor itself, shape (b, B).
        is_positive: whether it is another sample of the anchor's class, shape (b, B).
    """

    anchors: Any
    labels: Any
    samples: Any
    sample_labels: Any
    positions: Any
    is_self: Any
    is_positive: Any


def batch_of(y_true: Any, y_pred: Any) -> Batch:
    """The global batch that labels and representations belong to.

    Args:
        y_true: integer labels, shape (b,) or (b, 1).
        y_pred: representations, shape (b, h), any float dtype; half precision is raised to float32.

    Raises:
        ValueError: the labels are not sparse or of half precision, or the representations no vectors.
    """
    anchors = ops.convert_to_tensor(y_pred)
    if keras.backend.standardize_dtype(anchors.dtype) in ("bfloat16", "float16"):
        anchors = ops.cast(anchors, "float32")
    if len(anchors.shape) != 2:
        raise ValueError(f"representations must have shape (b, h), not {tuple(anchors.shape)}")
    labels = _labels(y_true)
    samples, sample_labels, first = global_batch(anchors, labels)
    positions = first + positions_of(anchors)
    is_self = ops.equal(positions[:, None], positions_of(samples)[None, :])
    same = ops.equal(labels[:, None], sample_labels[None, :])
    is_positive = ops.logical_and(same, ops.logical_not(is_self))
    return Batch(anchors, labels, samples, sample_labels, positions, is_self, is_positive)


def positions_of(values: Any) -> Any:
    """The positions 0, 1, … of a batch: constants where its size is known; int64, as GPUs leave int32 to the host."""
    size = values.shape[0]
    return ops.arange(ops.shape(values)[0], dtype="int64") if size is None else ops.convert_to_tensor(np.arange(size))


def lowest(tensor: Any) -> float:
    """The lowest finite number of the tensor's dtype."""
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


def global_batch(anchors: Any, labels: Any) -> tuple[Any, Any, Any]:
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
