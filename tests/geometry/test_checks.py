"""Arrays of other libraries and labels in other shapes mean what NumPy's would."""

import numpy as np
import pytest

from simplexlab import geometry, theory
from simplexlab.evaluation import Representations
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


COUNTS, PAIRS, BATCHES = np.array([4, 4, 4]), np.array([[2, 2, 0], [2, 0, 2]]), np.arange(12).reshape(2, 6)
POINTS = np.random.default_rng(0).normal(size=(12, 4))
GRAM = POINTS[:3] @ POINTS[:3].T
SHARES = np.array([0.25, 0.25, 0.5])
# Functions that take arrays, each in its own way, with arrays that they take.
TAKING = {
    "imbalance": (geometry.imbalance, (COUNTS,)),
    "largest_deviation": (geometry.largest_deviation, (SHARES, SHARES[::-1].copy())),
    "AllBatches": (lambda labels, z: theory.AllBatches(labels, 3).mean_loss_and_gradient(z), (LABELS[:6], POINTS[:6])),
    "alignment_uniformity_floor": (lambda n: theory.alignment_uniformity_floor(n, 1.0).value, (COUNTS,)),
    "ce_floor": (lambda n: theory.ce_floor(n, 1.0, 1.0).value, (COUNTS,)),
    "composition_value": (lambda n: theory.composition_value(n, 1.0), (PAIRS,)),
    "conditions_ce": (lambda z, y, w: theory.conditions_ce(z, y, w, 2.0), (POINTS, LABELS, POINTS[:3])),
    "n_pairs_floor_of_batch": (lambda n: theory.n_pairs_floor_of_batch(n, 1.0).value, (PAIRS[0],)),
    "n_pairs_losses": (theory.n_pairs_losses, (POINTS, LABELS, BATCHES)),
    "n_pairs_values": (theory.n_pairs_values, (PAIRS, GRAM)),
    "paired_excess": (lambda loss, n: theory.paired_excess(loss, n, 1.0), (SHARES[:2], PAIRS)),
    "sc_expected_loss": (lambda g, p: theory.sc_expected_loss(g, p, 3), (GRAM, SHARES)),
    "sc_floor": (lambda p: theory.sc_floor(p, 3, radius=1.0).value, (SHARES,)),
    "soft_nearest_neighbour_floor": (lambda p: theory.soft_nearest_neighbour_floor(p, 3, 1.0).value, (SHARES,)),
    "soft_nearest_neighbour_values": (lambda n, g: theory.soft_nearest_neighbour_values(n, g, 1.0), (PAIRS, GRAM)),
    "triplet_floor_of_composition": (lambda n: theory.triplet_floor_of_composition(n, 1.0).value, (COUNTS,)),
    "triplet_values": (lambda n, g: theory.triplet_values(n, g, 1.0), (PAIRS, GRAM)),
    "ufm_ce_floor": (lambda n: theory.ufm_ce_floor(n, 0.01, 0.01).value, (COUNTS,)),
    "ufm_mse_floor": (lambda n: theory.ufm_mse_floor(n, 0.01, 0.01).value, (COUNTS,)),
    "Representations": (lambda z, y: statistics(*vars(Representations(z, y)).values()).nc1, (POINTS, LABELS)),
}


@pytest.mark.parametrize("made", [LikeTorch, OnlyDlpack])
@pytest.mark.parametrize("name", TAKING)
def test_every_kind_of_function_takes_them(name, made):
    function, arrays = TAKING[name]
    with np.printoptions(floatmode="unique"):
        assert repr(function(*map(made, arrays))) == repr(function(*arrays))


def test_a_list_of_them_is_stacked():
    assert as_array([LikeTorch(row) for row in GRAM]).tolist() == GRAM.tolist()
    assert geometry.class_means([OnlyDlpack(row) for row in POINTS], LABELS).shape == (3, 4)


def test_what_holds_no_numbers_is_told_in_one_line():
    class Meta(LikeTorch):
        def detach(self):
            raise NotImplementedError("there is no data\nand no second line")

    for function in (geometry.class_means, ce_loss):
        with pytest.raises(ValueError, match=r"^a Meta cannot be read as an array: there is no data$"):
            function(Meta(POINTS), LABELS, *([GRAM] if function is ce_loss else []))
    with pytest.raises(ValueError, match="real numbers are taken here, got complex128"):
        angular_similarity(POINTS * 1j, POINTS)
    with pytest.raises(ValueError, match="whole numbers of shape"):
        theory.n_pairs_losses(POINTS, LABELS, BATCHES + 0.5)


def test_tensors_of_pytorch():
    """With a gradient, in bfloat16, sparse, negated without a copy, or not contiguous."""
    torch = pytest.importorskip("torch")
    wanted = np.round(POINTS * 8) / 8
    tensor = torch.tensor(wanted)
    kinds = {
        "gradient": tensor.clone().requires_grad_(),
        "bfloat16": tensor.bfloat16().requires_grad_(),
        "sparse": tensor.to_sparse(),
        "negated": torch._neg_view(-tensor),
        "transposed": tensor.T.contiguous().T,
    }
    for name, made in kinds.items():
        assert as_array(made).tolist() == wanted.tolist(), name
    assert as_array([kinds["gradient"][0], kinds["bfloat16"][1]]).tolist() == wanted[:2].tolist()


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
