"""Arrays of other libraries and labels in other shapes mean what NumPy's would."""

import numpy as np
import pytest

from simplexlab.geometry import angular_similarity, statistics
from simplexlab.geometry.checks import as_array, whole_labels
from simplexlab.theory import ce_loss, conditions_sc, sc_loss_batch

LABELS = np.arange(12) % 3


class LikeTorch:
    """What a PyTorch tensor that needs its gradient, on another device, lets one do."""

    def __init__(self, array, detached=False, here=False):
        self.array, self.detached, self.here = array, detached, here
        self.dtype = f"torch.{array.dtype}"

    def detach(self):
        return LikeTorch(self.array, True, self.here)

    def cpu(self):
        return LikeTorch(self.array, self.detached, True)

    def __array__(self, dtype=None, copy=None):
        if not (self.detached and self.here):
            raise RuntimeError("call detach() and cpu() first")
        return self.array


class OnlyDlpack:
    """An array that offers the exchange protocol and nothing else."""

    def __init__(self, array):
        self.array = array

    def __dlpack__(self, **options):
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()


def of_jax(array):
    return pytest.importorskip("jax.numpy").asarray(array)


@pytest.mark.parametrize("made", [LikeTorch, OnlyDlpack, of_jax])
def test_arrays_of_other_libraries(made):
    z = np.random.default_rng(0).normal(size=(12, 4)).astype(np.float32)
    w = np.random.default_rng(1).normal(size=(3, 4)).astype(np.float32)
    labels = LABELS.astype(np.int32)
    assert statistics(made(z), made(labels), made(w)).to_dict() == statistics(z, labels, w).to_dict()
    assert ce_loss(made(z), made(labels), made(w)) == ce_loss(z, labels, w)
    assert sc_loss_batch(made(z), made(labels)) == sc_loss_batch(z, labels)
    np.testing.assert_array_equal(angular_similarity(made(z), made(z[::-1].copy())), angular_similarity(z, z[::-1]))


def test_bfloat16_becomes_float32():
    jax_numpy = pytest.importorskip("jax.numpy")
    array = as_array(jax_numpy.asarray([[1.5, -2.0]], jax_numpy.bfloat16))
    assert array.dtype == np.float32
    assert array.tolist() == [[1.5, -2.0]]


@pytest.mark.parametrize(
    "labels", [LABELS[:, None], LABELS.astype(np.float64), LABELS.astype(np.float16)[:, None], LABELS.tolist()]
)
def test_whole_numbers_of_any_type_and_in_a_column(labels):
    z = np.random.default_rng(0).normal(size=(12, 4))
    w = np.random.default_rng(1).normal(size=(3, 4))
    assert whole_labels(labels, 12).tolist() == LABELS.tolist()
    assert statistics(z, labels).to_dict() == statistics(z, LABELS).to_dict()
    assert conditions_sc(z, labels, 2.0) == conditions_sc(z, LABELS, 2.0)
    assert sc_loss_batch(z, labels) == sc_loss_batch(z, LABELS)
    assert ce_loss(z, labels, w) == ce_loss(z, LABELS, w)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (LABELS + 0.5, "whole numbers"),
        (np.where(LABELS == 2, np.nan, LABELS), "whole numbers"),
        (np.where(LABELS == 2, np.inf, LABELS), "whole numbers"),
        (np.full(12, 1e300), "whole numbers"),
        (LABELS.astype(str), "whole numbers"),
        (np.eye(3)[LABELS], r"one number for each of 12 points, got shape \(12, 3\)"),
        (LABELS[None], r"got shape \(1, 12\)"),
    ],
)
def test_labels_that_are_none(labels, message):
    z, w = np.ones((12, 4)), np.ones((3, 4))
    for function in (lambda: statistics(z, labels), lambda: ce_loss(z, labels, w), lambda: sc_loss_batch(z, labels)):
        with pytest.raises(ValueError, match=message):
            function()


@pytest.mark.parametrize("labels", [LABELS - 1, LABELS + 1])
def test_labels_beyond_the_classifier(labels):
    with pytest.raises(ValueError, match="the labels must be 0 … 2, got"):
        ce_loss(np.ones((12, 4)), labels, np.ones((3, 4)))
