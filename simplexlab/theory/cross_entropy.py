"""Lower bounds of the cross-entropy loss for balanced labels: Theorem 1 and Corollaries 1 and 2.

All of them are one function of the weight norm. For points in the ball of radius ρ and balanced labels, Jensen's
inequality gives CE ≥ log(1 + (K−1)·exp(−m)) with the mean margin m = Σ_y ⟨μ_y − μ̄, w_y⟩ / (K−1), and Cauchy–Schwarz
bounds m by ‖M‖_F·‖W‖_F / (K−1), where M holds the centred class means μ_y − μ̄:

- free points: ‖M‖²_F ≤ Kρ², reached when the class means have norm ρ and mean 0;
- non-negative points: inner products of class means are at least 0, so K‖μ̄‖² ≥ Σ_y ‖μ_y‖²/K and
  ‖M‖²_F = Σ_y ‖μ_y‖² − K‖μ̄‖² ≤ (1 − 1/K)·Kρ² = (K−1)ρ², reached when the class means are orthogonal with norm ρ.

With the root-mean-square row norm r = ‖W‖_F/√K the bound is log(1 + (K−1)·exp(−a·r)), where the slope a is K·ρ/(K−1)
for free and ρ·√(K/(K−1)) for non-negative points. It decreases in r, so a limit on each row's norm acts like the same
limit on r (Corollary 1), and with the penalty λ‖W‖²_F = λKr² it remains to minimise over r (Corollary 2). Equality
holds where every row is parallel to its centred class mean and has norm r: at the regular simplex with W ∝ M, and for
non-negative points at the orthogonal frame, where W, which may be negative, is the centred frame, a regular simplex.
"""

import math
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from simplexlab.geometry.checks import choice, matrix, not_negative, positive, whole, whole_labels

Features = Literal["free", "nonnegative"]
FEATURES = ("free", "nonnegative")
BLOCK = 8192


def ce_loss(representations: ArrayLike, labels: ArrayLike, weights: ArrayLike) -> float:
    """Cross-entropy loss, the mean over points of −log softmax(⟨z_n, w⟩)[y_n].

    Args:
        representations: z, float32 or float64, shape (N, h).
        labels: y in 0 … K−1, shape (N,).
        weights: rows of the classifier, shape (K, h).

    Returns:
        The loss, computed in float64 over blocks of points.

    Raises:
        ValueError: shapes that do not fit, or labels that are not 0 … K−1.

    Reference: Definition 1 of the paper.
    """
    representations = matrix("representations", representations, dtype=None)
    weights, labels = matrix("weights", weights), whole_labels(labels, len(representations))
    if not 0 <= labels.min() <= labels.max() < len(weights):
        raise ValueError(f"the labels must be 0 … {len(weights) - 1}, got {labels.min()} … {labels.max()}")
    total = 0.0
    for start in range(0, len(labels), BLOCK):
        part = slice(start, start + BLOCK)
        scores = representations[part].astype(np.float64, copy=False) @ weights.T
        # log Σ exp(s_k − s_y) keeps its digits where the loss is far below the rounding of the scores.
        scores -= scores[np.arange(len(scores)), labels[part]][:, None]
        total += np.logaddexp.reduce(scores, axis=1).sum()
    return float(total / len(labels))


def ce_bound_frobenius(num_classes: int, radius: float, frobenius_norm: float, *, features: Features = "free") -> float:
    """Lower bound of CE for weights of a given Frobenius norm.

    log(1 + (K−1)·exp(−ρ·√K/(K−1)·‖W‖_F)); for non-negative points log(1 + (K−1)·exp(−ρ·‖W‖_F/√(K−1))).

    Args:
        num_classes: K ≥ 2.
        radius: ρ ≥ 0, the largest norm of a representation.
        frobenius_norm: ‖W‖_F ≥ 0.
        features: `free`, or `nonnegative` for an encoder that ends in a ReLU.

    Returns:
        The bound, reached at the regular simplex if K ≤ h + 1 (non-negative: at the orthogonal frame if K ≤ h).

    Raises:
        ValueError: an argument out of range.

    Reference: Theorem 1 of the paper; the module's docstring for non-negative points.
    """
    row_norm = not_negative("Frobenius norm", frobenius_norm) / math.sqrt(whole("number of classes", num_classes, 2))
    return ce_bound_max_norm(num_classes, radius, row_norm, features=features)


def ce_bound_max_norm(num_classes: int, radius: float, max_norm: float, *, features: Features = "free") -> float:
    """Lower bound of CE for weights whose rows have at most a given norm.

    log(1 + (K−1)·exp(−K·ρ·r/(K−1))); for non-negative points log(1 + (K−1)·exp(−ρ·r·√(K/(K−1)))).

    Args:
        num_classes: K ≥ 2.
        radius: ρ ≥ 0, the largest norm of a representation.
        max_norm: r ≥ 0, the largest norm of a row of W.
        features: `free`, or `nonnegative` for an encoder that ends in a ReLU.

    Returns:
        The bound, reached at the regular simplex if K ≤ h + 1 (non-negative: at the orthogonal frame if K ≤ h).

    Raises:
        ValueError: an argument out of range.

    Reference: Corollary 1 of the paper; the module's docstring for non-negative points.
    """
    slope = _margin_slope(num_classes, not_negative("radius", radius), features)
    margin = slope * not_negative("largest norm of a row of W", max_norm)
    return float(np.logaddexp(0.0, math.log(num_classes - 1) - margin))


def ce_bound_weight_decay(
    num_classes: int, radius: float, weight_decay: float, *, features: Features = "free"
) -> float:
    """Lower bound of CE + λ‖W‖²_F.

    log(1 + (K−1)·exp(−a·r_W)) + λ·K·r_W² with r_W = `optimal_weight_norm` and a = K·ρ/(K−1), for non-negative points
    a = ρ·√(K/(K−1)).

    Args:
        num_classes: K ≥ 2.
        radius: ρ > 0, the largest norm of a representation.
        weight_decay: λ > 0, the factor of ‖W‖²_F itself.
        features: `free`, or `nonnegative` for an encoder that ends in a ReLU.

    Returns:
        The bound, reached at the regular simplex if K ≤ h + 1 (non-negative: at the orthogonal frame if K ≤ h).

    Raises:
        ValueError: an argument out of range.

    Reference: Corollary 2 of the paper; the module's docstring for non-negative points.
    """
    margin = _optimal_margin(num_classes, radius, weight_decay, features)
    # At the root, λKr_W² = (K−1)·u / (2(e^u + K−1)) with the margin u = a·r_W: no factor of it can overflow.
    odds = (num_classes - 1) * math.exp(-margin)
    return math.log1p(odds) + 0.5 * margin * odds / (1 + odds)


def optimal_weight_norm(radius: float, weight_decay: float, num_classes: int, *, features: Features = "free") -> float:
    """Norm r_W of every row of W where CE + λ‖W‖²_F is smallest.

    The one root x > 0 of 2λ·x = ρ / (exp(K·ρ·x/(K−1)) + K − 1); for non-negative points, of
    2λ·x = ρ·√((K−1)/K) / (exp(ρ·√(K/(K−1))·x) + K − 1).

    Args:
        radius: ρ > 0, the largest norm of a representation.
        weight_decay: λ > 0, the factor of ‖W‖²_F itself.
        num_classes: K ≥ 2.
        features: `free`, or `nonnegative` for an encoder that ends in a ReLU.

    Returns:
        r_W to the last few units of float64.

    Raises:
        ValueError: an argument out of range.

    Reference: Corollary 2 of the paper; the module's docstring for non-negative points.
    """
    margin = _optimal_margin(num_classes, radius, weight_decay, features)
    slope = _margin_slope(num_classes, radius, features)
    if margin >= 1:
        return margin / slope
    # Small margins by the defining equation: precise, and r_W lives on where the margin itself vanishes.
    others = num_classes - 1.0
    return slope * (others / num_classes) / (math.exp(margin) + others) / weight_decay / 2


def _margin_slope(num_classes: int, radius: float, features: Features) -> float:
    """The slope a of the margin a·r in the row norm r."""
    num_classes = whole("number of classes", num_classes, 2)
    ratio = num_classes / (num_classes - 1)
    return radius * (ratio if choice("features", features, FEATURES) == "free" else math.sqrt(ratio))


def _optimal_margin(num_classes: int, radius: float, weight_decay: float, features: Features) -> float:
    """The margin u = a·r_W: the root of u·(e^u + K − 1) = c with c = a²·(K−1)/(2λK)."""
    slope = _margin_slope(num_classes, positive("radius", radius), features)
    weight_decay = positive("weight decay λ", weight_decay)
    others = num_classes - 1.0
    share = others / num_classes
    log_constant = 2 * math.log(slope) + math.log(share) - math.log(2) - math.log(weight_decay)

    # Newton's iteration for v = log u on v + log(e^u + K − 1) = log c. The left side is convex and increasing in v, so
    # that from above the root, u = min(c/K, log(1 + c)), the iteration descends onto it.
    log_margin = min(log_constant - math.log(num_classes), math.log(np.logaddexp(0.0, log_constant) or 1.0))
    for _ in range(100):
        margin = math.exp(log_margin)
        log_sum = np.logaddexp(margin, math.log(others))
        step = (log_margin + log_sum - log_constant) / (1 + margin * math.exp(margin - log_sum))
        log_margin -= step
        if abs(step) < 1e-12:
            break
    margin = math.exp(log_margin)
    # One step more on u·(e^u + K − 1)/c itself: its rounding does not grow with |log c|.
    constant = slope * (slope / weight_decay) * share / 2
    if 1 <= margin < 700 and math.isfinite(constant):
        ratio = margin * (math.exp(margin) + others) / constant
        margin *= math.exp(-math.log(ratio) / (1 + margin / (1 + others * math.exp(-margin))))
    return margin
