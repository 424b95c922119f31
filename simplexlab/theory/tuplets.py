"""The floors of the N-pair loss and of the triplet loss over batches, for any label counts.

Both are convex in the Gram matrix of a batch's points and fall with the inner products within classes, so that, as for
SC (see `contrastive_floor`), classes collapse at the optimum and a convex function of the K×K Gram matrix C of the
class means remains, C ⪰ 0 and C_yy = ρ².
"""

import math
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from simplexlab.geometry.checks import as_array, choice, not_negative, positive, real_numbers, whole
from simplexlab.theory.contrastive import inner_product_gap
from simplexlab.theory.contrastive_floor import gram_floor
from simplexlab.theory.contrastive_mean import whole_counts
from simplexlab.theory.cross_entropy import FEATURES, Features
from simplexlab.theory.floor import Floor, probabilities


def n_pairs_floor(
    label_counts: ArrayLike,
    radius: float,
    *,
    dimension: int | None = None,
    features: Features = "free",
    exchangeable: bool = False,
    start: Floor | None = None,
) -> Floor:
    """The least N-pair loss (mean over the samples) of a sample of batches over points on the sphere.

    Each batch is cut into tuplets, as `n_pairs_losses` does. A tuplet with the classes A has at the optimum
    2·Σ_{y∈A} log(1 + Σ_{k∈A, k≠y} exp(C_yk − ρ²)); with all K classes in each, which batches of as many samples of
    every class have, that is `n_pairs_bound`.

    Args:
        label_counts: l of each batch, whole numbers, as many samples in each batch, shape (R, K).
        radius: ρ > 0, the norm of the representations.
        dimension: see `sc_floor`.
        features: see `sc_floor`.
        exchangeable: whether every permutation of the classes is as likely as the counts given, as where all classes
            are drawn alike: the floor of the mean over these permutations, which the regular simplex attains.
        start: see `sc_floor`.

    Returns:
        The floor with class means, which are 0 for a class that has no pair in any batch.

    Raises:
        ValueError: an argument out of range, or a program too large for memory.

    Reference: Sohn 2016 for the loss.
    """
    counts = _counts(label_counts)
    square = positive("radius", radius) ** 2
    choice("features", features, FEATURES)
    present = (counts.max(axis=0) > 1) | (exchangeable and counts.max() > 1)
    num_classes = int(present.sum())
    if num_classes < 2:
        points = np.zeros((counts.shape[1], 1))
        points[present] = math.sqrt(square)
        return Floor(0.0, 0.0, 0.0, points, origin="no batch has pairs of two classes")
    tuplets = Tuplets(counts[:, present], int(counts.sum()))
    gap = inner_product_gap(num_classes, radius=math.sqrt(square), features=features)
    has_closed_form = features == "nonnegative" or exchangeable or tuplets.are_whole
    closed = tuplets.value(gap) if has_closed_form else None
    floor = gram_floor(tuplets, num_classes, square, dimension, features, closed, tuplets.value(0.0), start)
    if floor.points is None or present.all():
        return floor
    points = np.zeros((counts.shape[1], floor.points.shape[1]))
    points[present] = floor.points
    return replace(floor, points=points)


def n_pairs_floor_of_batch(
    label_counts: ArrayLike, radius: float, *, dimension: int | None = None, features: Features = "free"
) -> Floor:
    """The least N-pair loss (mean over the samples) of one batch of fixed points on the sphere.

    Its tuplets share no point, so that each has the regular simplex of its own classes; nothing draws them together.

    Args:
        label_counts: l, whole numbers, shape (K,).
        radius: ρ > 0, the norm of the representations.
        dimension: see `sc_floor`.
        features: see `sc_floor`.

    Returns:
        The floor, with class means where every tuplet has the same classes.

    Raises:
        ValueError: an argument out of range.
    """
    counts = _counts(as_array(label_counts)[None])
    tuplets = Tuplets(counts, int(counts.sum()))
    sizes = tuplets.classes.sum(axis=1)
    if len(set(sizes[sizes > 1].tolist())) < 2:
        return n_pairs_floor(counts, radius, dimension=dimension, features=features)
    gaps = [
        inner_product_gap(int(size), radius=radius, features=features) if size > 1 else 0.0 for size in sizes.tolist()
    ]
    value = float(tuplets.weights @ (sizes * np.log1p(np.maximum(sizes - 1, 0) * np.exp(-np.array(gaps)))))
    needed = int(sizes.max()) - (features == "free")
    attained = dimension is None or whole("dimension", dimension, 1) >= needed
    return Floor(value, value, tuplets.value(0.0), origin="a regular simplex a tuplet", attained=attained)


class Tuplets:
    """The mean N-pair loss of batches whose classes have collapsed.

    Args:
        label_counts: of the classes that have pairs, shape (R, K).
        samples: in all batches.

    Attributes:
        classes: which classes each kind of tuplet has, 0 or 1, shape (T, K).
        weights: tuplets of that kind in all batches, times 2, over all samples, shape (T,).
    """

    def __init__(self, label_counts: np.ndarray, samples: int):
        rounds = [label_counts >= 2 * number for number in range(1, int(label_counts.max()) // 2 + 1)]
        kinds, numbers = np.unique(np.concatenate(rounds), axis=0, return_counts=True)
        self.classes = kinds.astype(np.float64)
        self.weights = 2 * numbers / samples

    @property
    def are_whole(self) -> bool:
        """Whether every tuplet has every class, or none."""
        return bool((self.classes.all(axis=1) | ~self.classes.any(axis=1)).all())

    def value(self, gap: float) -> float:
        """The loss where every two class means have the inner product ρ² − gap."""
        sizes = self.classes.sum(axis=1)
        return float(self.weights @ (sizes * np.log1p(np.maximum(sizes - 1, 0) * math.exp(-gap))))

    def value_and_gradient(self, gram: np.ndarray) -> tuple[float, np.ndarray]:
        """The loss, and its gradient in the inner products between classes (0 on the diagonal, symmetric)."""
        factors = np.exp(gram - np.diag(gram)[:, None])
        np.fill_diagonal(factors, 0.0)
        others = self.classes @ factors.T
        anchors = self.weights[:, None] * self.classes
        gradient = ((anchors / (1 + others)).T @ self.classes) * factors
        return float(np.sum(anchors * np.log1p(others))), (gradient + gradient.T) / 2


def n_pairs_values(label_counts: ArrayLike, gram: ArrayLike) -> np.ndarray:
    """N-pair loss (mean over the samples) of batches whose classes have collapsed, shape (R,).

    Args:
        label_counts: l of each batch, shape (R, K).
        gram: inner products of the class means, shape (K, K).
    """
    gram = real_numbers(gram)
    counts = _counts(label_counts)
    return np.array([Tuplets(row[None], int(row.sum())).value_and_gradient(gram)[0] for row in counts])


def triplet_floor(
    class_probabilities: ArrayLike,
    batch_size: int,
    margin: float,
    *,
    dimension: int | None = None,
    features: Features = "free",
    views: int = 1,
) -> Floor:
    """The least mean triplet loss of a batch (mean over anchors) over points on the unit sphere.

    Images are drawn independently. An anchor counts where the batch holds a positive and a negative of it, and of its
    negatives a share p_k/(1 − p_y) is of class k in expectation; so the loss of collapsed classes is

        Σ_{y≠k} ω_yk·(m − 2 + 2·C_yk)₊,   ω_yk = p_y·P(an anchor of class y counts)·p_k/(1 − p_y).

    0 for a margin up to 2K/(K−1), the squared distance of the simplex, and Σω·(m − 2K/(K−1)) beyond it for equal
    probabilities. For others (x)₊ ≥ x leaves a linear function of C: its least value is a bound, and the floor where no
    term is cut off there. Non-negative points: Σω·(m − 2)₊.

    Args:
        class_probabilities: p > 0 with sum 1, shape (K,).
        batch_size: images of a batch, at least 3.
        margin: m ≥ 0.
        dimension: h of the points; with less than K − 1 (non-negative: K) a positive floor is not attained, and 0 where
            no known configuration has the margin is not.
        features: `free`, or `nonnegative` for an encoder that ends in a ReLU.
        views: points that each image gives to the batch.

    Returns:
        The floor with class means. Where its terms are cut off, `attained` is False.

    Raises:
        ValueError: an argument out of range.

    Reference: Schroff et al. 2015 for the loss.
    """
    weights = _triplet_weights(class_probabilities, batch_size, views)
    return _triplet_floor(weights, not_negative("margin", margin), dimension, features)


def triplet_floor_of_composition(
    label_counts: ArrayLike, margin: float, *, dimension: int | None = None, features: Features = "free"
) -> Floor:
    """The least triplet loss (mean over anchors) of one batch over points on the unit sphere; see `triplet_floor`.

    Args:
        label_counts: l, whole numbers, shape (K,), two of them at least 1.
        margin: m ≥ 0.
        dimension: see `triplet_floor`.
        features: see `triplet_floor`.
    """
    counts = _counts(as_array(label_counts)[None])[0]
    return _triplet_floor(_composition_weights(counts), not_negative("margin", margin), dimension, features)


def triplet_values(label_counts: ArrayLike, gram: ArrayLike, margin: float) -> np.ndarray:
    """Triplet loss (mean over anchors) of batches whose classes have collapsed on the unit sphere, shape (R,).

    Args:
        label_counts: l of each batch, shape (R, K).
        gram: inner products of the class means, shape (K, K).
        margin: m ≥ 0.
    """
    hinges = np.maximum(margin - 2 + 2 * real_numbers(gram), 0.0)
    return np.array([np.vdot(_composition_weights(counts), hinges) for counts in _counts(label_counts)])


class _Linear:
    """Σ_yk ω_yk·(m − 2 + 2·C_yk): the triplet loss where no term is cut off."""

    def __init__(self, weights: np.ndarray, margin: float):
        self.weights, self.margin = (weights + weights.T) / 2, margin

    def value_and_gradient(self, gram: np.ndarray) -> tuple[float, np.ndarray]:
        """See `Tuplets`."""
        return float(np.sum(self.weights * (self.margin - 2 + 2 * gram))), 2 * self.weights


def _triplet_floor(weights: np.ndarray, margin: float, dimension: int | None, features: Features) -> Floor:
    num_classes, total = len(weights), float(weights.sum())
    gap = 2 * inner_product_gap(num_classes, radius=1.0, features=features)
    collapsed = margin * total
    is_uniform = np.ptp(weights[~np.eye(num_classes, dtype=bool)]) <= 1e-12 * max(total, 1e-300)
    closed = max(0.0, margin - gap) * total
    if margin <= gap or is_uniform or choice("features", features, FEATURES) == "nonnegative":
        floor = gram_floor(_Linear(weights, margin), num_classes, 1.0, None, features, closed, collapsed, None)
        # Below the gap there is room to move; beyond it free points of equal weights need no more than the sum 0.
        unique = margin >= gap and not (margin > gap and features == "free" and num_classes > 3)
        return replace(floor, attained=_has_room(num_classes, dimension, features, margin), unique=unique)
    floor = gram_floor(_Linear(weights, margin), num_classes, 1.0, None, features, None, collapsed, None)
    if floor.points is None:  # classes beyond what a program takes are refused before
        raise AssertionError("a program without its configuration")
    hinges = np.maximum(margin - 2 + 2 * floor.points @ floor.points.T, 0.0)
    reached = float(np.vdot(weights, hinges))
    bound = max(floor.certificate, 0.0)
    attained = reached <= bound + 1e-6 * abs(bound) and (dimension is None or dimension >= num_classes - 1)
    return replace(floor, value=max(floor.value, 0.0) if attained else bound, certificate=bound, attained=attained)


def _has_room(num_classes: int, dimension: int | None, features: Features, margin: float) -> bool:
    """Whether points in h dimensions take the closed value: those of the simplex or frame, or 0 by a smaller margin."""
    if dimension is None:
        return True
    dimension = whole("dimension", dimension, 1)
    if features == "nonnegative":
        return dimension >= num_classes
    from simplexlab.theory.energies import least_largest_cosine

    if dimension >= num_classes - 1:
        return True
    cosine = least_largest_cosine(num_classes, dimension).attained
    return cosine is not None and margin <= 2 - 2 * cosine


def _triplet_weights(class_probabilities: ArrayLike, batch_size: int, views: int) -> np.ndarray:
    """ω in expectation over batches of independent images."""
    p = probabilities(class_probabilities)
    others = whole("batch size", batch_size, 3) - 1
    counted = p * -np.expm1(others * np.log(p))  # not all others are of class y
    if whole("number of views", views, 1) == 1:
        counted = counted - p * np.exp(others * np.log1p(-p))  # and some are
    weights = counted[:, None] * p[None, :] / (1 - p)[:, None]
    np.fill_diagonal(weights, 0.0)
    return weights


def _composition_weights(counts: np.ndarray) -> np.ndarray:
    """ω of one batch."""
    size = counts.sum()
    anchors = np.where((counts > 1) & (counts < size), counts / size, 0.0)
    weights = anchors[:, None] * counts[None, :] / np.maximum(size - counts, 1)[:, None]
    np.fill_diagonal(weights, 0.0)
    return weights


def _counts(label_counts: ArrayLike) -> np.ndarray:
    counts = whole_counts(label_counts)
    if counts.ndim != 2 or counts.shape[1] < 2 or not counts.size or np.ptp(counts.sum(axis=1)):
        raise ValueError(f"the label counts must be those of batches of one size, shape (R, K), got {counts.shape}")
    return counts
