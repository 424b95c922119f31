"""Floors of smoothed cross-entropy and squared error in closed form, where they have one, for any class counts.

Smoothed cross-entropy has a least value over all logits, the entropy of its targets. A regular simplex, or the
orthogonal frame of non-negative points, takes it as soon as the norms allow its margin log(K/ε − K + 1), whatever the
class counts. With less, equal counts have it at the largest margin: by convexity the best logits are alike for all
classes. Else the convex program of `ce_floor` is solved.

Squared error with h ≥ K: changing the signs of a row and a column of the logits alike changes neither what the norms
allow nor the loss at the diagonal, and their mean over all signs is diagonal. So the least value is that of diagonal
logits, Σ_y π_y·½(1 − m_y)² under Σ_y m_y² ≤ (B·ρ)², at the points ρ·e_y, which are non-negative. With h < K the logits
X = M·D^½, D the shares, have rank h and nuclear norm at most B·ρ, and lie at ½‖X − D^½‖² from the targets: at best
½·Σ_{k≤h}(s_k − x_k)² + ½·Σ_{k>h} s_k² with s_k the ordered √π_k and x_k = (s_k − μ)₊ (von Neumann). Equal counts take
it at an equal-norm tight frame, others where B·ρ is large enough to fit h classes and leave the rest.
"""

import math

import numpy as np
from numpy.typing import ArrayLike

from simplexlab.geometry import orthogonal_frame, regular_simplex
from simplexlab.geometry.checks import choice, not_negative, whole
from simplexlab.theory.cross_entropy import FEATURES, Features
from simplexlab.theory.cross_entropy_floor import ce_floor
from simplexlab.theory.floor import TOLERANCE, Floor, fits, shares
from simplexlab.theory.logit_losses import SmoothedCrossEntropy


def smoothed_ce_floor(
    class_counts: ArrayLike,
    radius: float,
    frobenius_norm: float,
    smoothing: float,
    *,
    dimension: int | None = None,
    features: Features = "free",
) -> Floor:
    """The least cross-entropy to smoothed labels over all points ‖z‖ ≤ ρ and classifiers ‖W‖_F ≤ B.

    Args:
        class_counts: points of each class, whole numbers of at least 1, shape (K,), 2 ≤ K ≤ 10⁴.
        radius: ρ ≥ 0, the largest norm of a representation.
        frobenius_norm: B ≥ 0, the largest ‖W‖_F.
        smoothing: ε, at least 0 and less than 1; 0 is cross-entropy.
        dimension: h of the representations; by default as many as the optimum needs. With less, see `ce_floor`.
        features: `free`, or `nonnegative` for an encoder that ends in a ReLU.

    Returns:
        The floor with class means and classifier rows.

    Raises:
        ValueError: an argument out of range, or a program too large for memory.

    Reference: the module's docstring; Szegedy et al. 2016 for the loss.
    """
    loss = SmoothedCrossEntropy(smoothing)
    distribution = shares(class_counts)
    num_classes = len(distribution)
    radius, norm = not_negative("radius", radius), not_negative("Frobenius norm", frobenius_norm)
    nonnegative = choice("features", features, FEATURES) == "nonnegative"
    if smoothing == 0:
        return ce_floor(class_counts, radius, norm, dimension=dimension, features=features)
    needed = num_classes if nonnegative else num_classes - 1
    dimension = needed if dimension is None else whole("dimension", dimension, 1)
    # Of the simplex or frame of norm ρ with its centred rows, the margin for each unit of ‖W‖_F.
    unit = radius / math.sqrt(num_classes - 1) if nonnegative else radius * math.sqrt(num_classes) / (num_classes - 1)
    wanted = math.log(num_classes / smoothing - num_classes + 1)
    reached = unit * norm >= wanted
    balanced = bool((distribution == distribution[0]).all())
    if dimension < needed or radius * norm == 0 or not (reached or balanced):
        return ce_floor(class_counts, radius, norm, dimension=dimension, features=features, loss=loss)
    margin = min(unit * norm, wanted)
    value = math.log1p((num_classes - 1) * math.exp(-margin)) + smoothing * (num_classes - 1) / num_classes * margin
    points = weights = None
    if fits(2 * num_classes * needed):
        points = (orthogonal_frame if nonnegative else regular_simplex)(num_classes, needed, radius)
        weights = points - points.mean(axis=0)
        weights *= margin / unit / np.linalg.norm(weights)
    origin = "orthogonal frame" if nonnegative else "regular simplex"
    # Norms that leave slack let points and classifier be deformed against each other, with the same logits.
    unique = unit * norm <= wanted
    return Floor(value, value, math.log(num_classes), points, weights, origin=origin, unique=unique)


def mse_floor(
    class_counts: ArrayLike,
    radius: float,
    frobenius_norm: float,
    *,
    dimension: int | None = None,
    features: Features = "free",
) -> Floor:
    """The least mean of ½‖W·z − e_y‖² over all points ‖z‖ ≤ ρ and classifiers ‖W‖_F ≤ B without bias.

    Args:
        class_counts: points of each class, whole numbers of at least 1, shape (K,), 2 ≤ K ≤ 10⁴.
        radius: ρ ≥ 0, the largest norm of a representation.
        frobenius_norm: B ≥ 0, the largest ‖W‖_F.
        dimension: h of the representations; by default K.
        features: `free`, or `nonnegative` for an encoder that ends in a ReLU.

    Returns:
        The floor with class means and the classifier rows of least norm. Where h < K and the bound is not met by the
        configuration known, that one is `best_known`.

    Raises:
        ValueError: an argument out of range.

    Reference: the module's docstring.
    """
    distribution = shares(class_counts)
    num_classes = len(distribution)
    radius, norm = not_negative("radius", radius), not_negative("Frobenius norm", frobenius_norm)
    nonnegative = choice("features", features, FEATURES) == "nonnegative"
    dimension = num_classes if dimension is None else whole("dimension", dimension, 1)
    limit = radius * norm
    if limit == 0:
        return Floor(0.5, 0.5, 0.5, origin="all logits are 0")
    kept = np.argsort(-distribution, kind="stable")[:dimension]  # the largest classes, as many as fit
    logits, value, certificate = _diagonal(distribution[kept], limit)
    points = rows = None
    if fits(2 * num_classes * len(kept)):
        points, rows = np.zeros((2, num_classes, len(kept)))
        points[kept, np.arange(len(kept))] = radius
        rows[kept, np.arange(len(kept))] = logits / radius
    unique = limit**2 <= len(kept)  # else points and rows can be deformed against each other, with the same logits
    if dimension >= num_classes:
        return Floor(value, certificate, 0.5, points, rows, origin="orthogonal frame", unique=unique)

    bound = max(_of_rank(distribution, limit, dimension), _diagonal(distribution, limit)[2])
    best, origin = value + (1 - distribution[kept].sum()) / 2, f"the {dimension} largest classes alone"
    if not nonnegative and (distribution == distribution[0]).all():
        size = min(1.0, limit * math.sqrt(num_classes) / dimension)
        best = (dimension * (1 - size) ** 2 + num_classes - dimension) / (2 * num_classes)
        unique = False  # a class mean and its row may both change their sign
        is_simplex = num_classes == dimension + 1
        origin = "regular simplex" if is_simplex else "tight frame"
        if fits(2 * num_classes * dimension):
            points = radius * (regular_simplex if is_simplex else _tight_frame)(num_classes, dimension)
            rows = points * (size * dimension / num_classes / radius**2)
    if best - bound <= TOLERANCE / 1e3 * best:
        return Floor(best, min(bound, best), 0.5, points, rows, origin=origin, unique=unique)
    return Floor(bound, bound, 0.5, points, rows, best_known=best, origin=origin)


def _diagonal(distribution: np.ndarray, limit: float) -> tuple[np.ndarray, float, float]:
    """Diagonal logits m with Σ m² ≤ limit² of the least Σ π·½(1 − m)², that value, and its Lagrange dual."""
    from scipy.optimize import brentq

    def left(multiplier: float) -> float:
        return float(np.sum((distribution / (distribution + multiplier)) ** 2)) - limit**2

    if left(0.0) <= 0:
        return np.ones(len(distribution)), 0.0, 0.0
    multiplier = brentq(left, 0.0, np.linalg.norm(distribution) / limit, xtol=1e-300, rtol=1e-14)
    logits = distribution / (distribution + multiplier)
    logits *= min(1.0, limit / np.linalg.norm(logits))
    value = float(distribution @ (1 - logits) ** 2) / 2
    dual = float(np.sum(distribution * multiplier / (distribution + multiplier)) - multiplier * limit**2) / 2
    return logits, value, min(dual, value)


def _of_rank(distribution: np.ndarray, limit: float, rank: int) -> float:
    """The least ½‖X − D^½‖² over matrices X of that rank whose nuclear norm is at most the limit."""
    sizes = np.sqrt(np.sort(distribution)[::-1])
    kept, left = sizes[:rank], float(np.sum(sizes[rank:] ** 2)) / 2
    # What exceeds the limit is taken off alike from the m largest, the others are 0.
    cuts = (np.cumsum(kept) - limit) / np.arange(1, len(kept) + 1)
    return float(np.sum(np.minimum(kept, max(0.0, cuts.max())) ** 2)) / 2 + left


def _tight_frame(num_classes: int, dimension: int) -> np.ndarray:
    """K unit vectors in h < K dimensions whose outer products have the mean 1/h, from waves, shape (K, h)."""
    angles = 2 * np.pi * np.arange(num_classes)[:, None] / num_classes * np.arange(1, dimension // 2 + 1)
    constant = np.full((num_classes, dimension % 2), math.sqrt(0.5))
    return np.hstack([np.cos(angles), np.sin(angles), constant]) * math.sqrt(2 / dimension)
