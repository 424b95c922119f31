"""Bounds of losses that the paper stands beside: alignment and uniformity, n-pairs, triplets, neighbours, prototypes.

Two views of each image are `sc_floor(…, views=2)`, batches with m points of each class
`sc_floor_of_composition([m] * K)`, classifiers of any fixed rows `fixed_head_floor`, label smoothing
`ce_floor(…, loss=SmoothedCrossEntropy(ε))`.
"""

import math
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from simplexlab.geometry.checks import as_array, choice, finite, matrix, not_negative, positive, real_numbers, whole
from simplexlab.theory.contrastive import binomial_log_law, inner_product_gap
from simplexlab.theory.contrastive_floor import sc_floor, sc_floor_of_composition
from simplexlab.theory.contrastive_mean import sc_composition_value
from simplexlab.theory.cross_entropy import FEATURES, Features
from simplexlab.theory.floor import Floor, probabilities


def alignment_uniformity_bound(
    num_classes: int, samples_per_class: int, weight: float, *, scale: float = 2.0
) -> tuple[float, float]:
    """Lower bound of a·alignment + uniformity with labels, on the unit sphere, for n points in each of K classes.

    a·mean over positive pairs of ‖z_i − z_j‖² + log mean over all pairs of exp(−t·‖z_i − z_j‖²). It is convex in the
    Gram matrix, so the optimum has one inner product c within classes and one between them, at best
    −(1 + (n−1)·c)/((K−1)·n): a convex function of c alone. N − 1 dimensions reach it, and K − 1 where classes collapse.

    Args:
        num_classes: K ≥ 2.
        samples_per_class: n ≥ 2.
        weight: a ≥ 0.
        scale: t > 0.

    Returns:
        The bound, and the inner product c within classes where it is taken: 1 exactly where they collapse.

    Raises:
        ValueError: an argument out of range.

    Reference: Wang and Isola 2020 for the loss.
    """
    threshold = collapse_threshold(num_classes, samples_per_class, scale=scale)
    weight, n = not_negative("weight", weight), samples_per_class
    inside = (n - 1) / (num_classes * n - 1)

    def between(c: float) -> float:
        return -(1 + (n - 1) * c) / ((num_classes - 1) * n)

    def terms(c: float) -> tuple[float, float]:
        return math.log(inside) - 2 * scale * (1 - c), math.log1p(-inside) - 2 * scale * (1 - between(c))

    def slope(c: float) -> float:
        own, other = terms(c)
        share = 1 / (1 + math.exp(other - own))
        return -weight + scale * (share - (1 - share) * (n - 1) / ((num_classes - 1) * n))

    low, high = -1 / (n - 1), 1.0
    if weight >= threshold:
        low = high
    while high - low > 1e-15:
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (low, middle) if slope(middle) > 0 else (middle, high)
    c = high
    return float(2 * weight * (1 - c) + np.logaddexp(*terms(c))), c


def collapse_threshold(num_classes: int, samples_per_class: int, *, scale: float = 2.0) -> float:
    """The weight a of the alignment from which on classes collapse under a·alignment + uniformity.

    t·p·(1 − q)/(p + (1 − p)·q), with p = (n−1)/(N−1) and q = exp(−2tK/(K−1)).

    Args:
        num_classes: K ≥ 2.
        samples_per_class: n ≥ 2.
        scale: t > 0.

    Raises:
        ValueError: an argument out of range.
    """
    num_classes = whole("number of classes", num_classes, 2)
    n = whole("number of samples per class", samples_per_class, 2)
    scale = positive("scale", scale)
    p = (n - 1) / (num_classes * n - 1)
    q = math.exp(-2 * scale * num_classes / (num_classes - 1))
    return scale * p * (1 - q) / (p + (1 - p) * q)


def n_pairs_bound(num_classes: int, batch_classes: int, radius: float, *, features: Features = "free") -> float:
    """Lower bound of the mean n-pairs loss over batches of b classes that are drawn alike, one pair of each.

    log(1 + (b−1)·exp(−g)) with g = K·ρ²/(K−1), ρ² for non-negative points.

    Args:
        num_classes: K ≥ 2.
        batch_classes: b classes of a batch, 2 ≤ b ≤ K.
        radius: ρ > 0, the norm of the representations.
        features: `free` or `nonnegative`.

    Raises:
        ValueError: an argument out of range.

    Reference: Sohn 2016 for the loss.
    """
    gap = inner_product_gap(num_classes, radius=radius, features=features)
    batch_classes = whole("number of classes in a batch", batch_classes, 2)
    if batch_classes > num_classes:
        raise ValueError(f"a batch has at most the {num_classes} classes there are, got {batch_classes}")
    return float(np.logaddexp(0.0, math.log(batch_classes - 1) - gap))


def triplet_bound(num_classes: int, margin: float, *, features: Features = "free") -> float:
    """Lower bound of the mean triplet loss (‖z − z⁺‖² − ‖z − z⁻‖² + m)₊ on the unit sphere, all pairs of classes alike.

    (m − 2K/(K−1))₊, for non-negative points (m − 2)₊.

    Args:
        num_classes: K ≥ 2.
        margin: m ≥ 0.
        features: `free` or `nonnegative`.

    Raises:
        ValueError: an argument out of range.

    Reference: Schroff et al. 2015 for the loss.
    """
    return max(0.0, not_negative("margin", margin) - 2 * inner_product_gap(num_classes, radius=1.0, features=features))


def soft_nearest_neighbour_floor(
    class_probabilities: ArrayLike,
    batch_size: int,
    temperature: float,
    *,
    dimension: int | None = None,
    features: Features = "free",
    views: int = 1,
    start: Floor | None = None,
) -> Floor:
    """The least mean soft nearest neighbour loss of a batch (sum over anchors) over points on the unit sphere.

    −log of the share of Σ exp(−‖z_i − z_j‖²/T) that positives have. Where classes collapse it is the SC loss at
    ρ² = 2/T less Σ_y l_y·log(l_y − 1), and they do: the loss rises with the positives' distances.

    Args:
        class_probabilities: p > 0 with sum 1, shape (K,).
        batch_size: images of a batch, drawn independently, at least 3, at least 2 with two views.
        temperature: T > 0.
        dimension: see `sc_floor`.
        features: see `sc_floor`.
        views: points that each image gives to the batch.
        start: see `sc_floor`.

    Returns:
        The floor with class means on the unit sphere.

    Raises:
        ValueError: an argument out of range.

    Reference: Frosst et al. 2019 for the loss.
    """
    square = 2 / positive("temperature", temperature)
    floor = sc_floor(
        class_probabilities,
        batch_size,
        radius=math.sqrt(square),
        dimension=dimension,
        features=features,
        views=views,
        start=start,
    )
    alone = _alone(views * np.arange(batch_size + 1))
    shift = sum(float(np.exp(binomial_log_law(batch_size, p)) @ alone) for p in as_array(class_probabilities).tolist())
    return _on_unit_sphere(floor, shift, square)


def soft_nearest_neighbour_floor_of_composition(
    label_counts: ArrayLike, temperature: float, *, dimension: int | None = None, features: Features = "free"
) -> Floor:
    """The least soft nearest neighbour loss (sum over anchors) of one batch over points on the unit sphere.

    Args:
        label_counts: l, whole numbers, shape (K,); a class may be absent.
        temperature: T > 0.
        dimension: see `sc_floor`.
        features: see `sc_floor`.

    Returns:
        The floor with class means on the unit sphere.

    Raises:
        ValueError: an argument out of range.
    """
    square = 2 / positive("temperature", temperature)
    floor = sc_floor_of_composition(label_counts, radius=math.sqrt(square), dimension=dimension, features=features)
    return _on_unit_sphere(floor, float(_alone(as_array(label_counts)).sum()), square)


def soft_nearest_neighbour_values(label_counts: ArrayLike, gram: ArrayLike, temperature: float) -> np.ndarray:
    """Soft nearest neighbour loss (sum over anchors) of collapsed classes on batches of given label counts, shape (…).

    Args:
        label_counts: l, whole numbers, shape (…, K).
        gram: inner products of the class means on the unit sphere, shape (K, K).
        temperature: T > 0.
    """
    scaled = real_numbers(gram) * (2 / positive("temperature", temperature))
    return sc_composition_value(label_counts, scaled) - _alone(as_array(label_counts)).sum(axis=-1)


def _alone(counts: np.ndarray) -> np.ndarray:
    """l·log(l − 1), 0 for l ≤ 1."""
    return counts * np.log(np.maximum(counts - 1, 1))


def _on_unit_sphere(floor: Floor, shift: float, square: float) -> Floor:
    return replace(
        floor,
        value=floor.value - shift,
        certificate=floor.certificate - shift,
        collapsed=floor.collapsed - shift,
        points=None if floor.points is None else floor.points / math.sqrt(square),
        best_known=None if floor.best_known is None else floor.best_known - shift,
    )


def prototypes_floor(
    prototypes: ArrayLike, class_probabilities: ArrayLike | None = None, *, features: Features = "free"
) -> float:
    """The least mean over points of (1 − cos(z, p_y))²: 0, and mean_y (1 − ‖(p_y)₊‖)² for non-negative points.

    Args:
        prototypes: unit vectors p, shape (K, h).
        class_probabilities: how often each class occurs, shape (K,); by default alike.
        features: `free` or `nonnegative`.

    Raises:
        ValueError: prototypes that are no unit vectors, or probabilities of another number.

    Reference: Mettes et al. 2019 for the loss.
    """
    prototypes = finite("prototypes", matrix("prototypes", prototypes))
    if np.abs(np.linalg.norm(prototypes, axis=1) - 1).max() > 1e-5:
        raise ValueError("the prototypes must be unit vectors")
    if choice("features", features, FEATURES) == "free":
        return 0.0
    reached = np.linalg.norm(np.maximum(prototypes, 0.0), axis=1)
    reached = np.where(reached > 0, reached, prototypes.max(axis=1))  # no positive part: the least negative axis
    return float(np.average((1 - np.minimum(reached, 1.0)) ** 2, weights=_alike(class_probabilities, len(prototypes))))


def prototypes_optimum(
    prototypes: ArrayLike, class_probabilities: ArrayLike | None = None, *, features: Features = "free"
) -> Floor:
    """The floor of the distance to prototypes, with the points that take it.

    Args:
        prototypes, class_probabilities, features: as of `prototypes_floor`.

    Returns:
        The floor, which is its own certificate, a closed form; `collapsed` is the value of all points at the one
        prototype at which it is least.
    """
    rows = finite("prototypes", matrix("prototypes", prototypes))
    value = prototypes_floor(rows, class_probabilities, features=features)
    frequencies = _alike(class_probabilities, len(rows))
    points = rows
    if features == "nonnegative":
        points = np.maximum(rows, 0.0)
        hidden = ~points.any(axis=1)  # no positive part: the least negative axis is nearest
        points[hidden, rows[hidden].argmax(axis=1)] = 1.0
        points = points / np.linalg.norm(points, axis=1, keepdims=True)
    collapsed = float(np.min(((1 - points @ rows.T) ** 2) @ frequencies))
    return Floor(value, value, collapsed, points, rows, origin="the prototypes")


def _alike(class_probabilities: ArrayLike | None, num_classes: int) -> np.ndarray:
    if class_probabilities is None:
        return np.full(num_classes, 1 / num_classes)
    found = probabilities(class_probabilities)
    if len(found) != num_classes:
        raise ValueError(f"{num_classes} prototypes need as many probabilities, got {len(found)}")
    return found
