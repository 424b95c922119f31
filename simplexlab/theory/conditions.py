"""How far a configuration is from each condition under which the bounds hold with equality."""

import numpy as np
from numpy.typing import ArrayLike

from simplexlab.geometry import class_means, simplex_deviation
from simplexlab.geometry.checks import finite, matrix, positive, whole_labels
from simplexlab.theory.cross_entropy import BLOCK, optimal_weight_norm


def conditions_ce(
    representations: ArrayLike,
    labels: ArrayLike,
    weights: ArrayLike,
    radius: float,
    *,
    max_norm: float | None = None,
    weight_decay: float | None = None,
) -> dict[str, float]:
    """Deviations from the equality conditions of Theorem 1 and Corollaries 1 and 2, each 0 exactly where it holds.

    - C1, classes collapsed: max_n ‖z_n − ζ_{y_n}‖ / ρ, ζ the class means.
    - C2, class means at a regular simplex inscribed in the sphere of radius ρ: the largest of the deviations from
      (S1), (S2) and (S3) and of |‖ζ_y‖ − ρ| / ρ.
    - C3, weights parallel to the class means: ‖W − s·Z‖_F / ‖W‖_F at the best s ≥ 0, Z the class means.
    - C3r, with `max_norm` r: max_y ‖w_y − (r/ρ)·ζ_y‖ / r.
    - C3wd, with `weight_decay` λ: the same with r = r_W(ρ, λ).

    Args:
        representations: z, shape (N, h).
        labels: y in 0 … K−1, each class with a point, shape (N,).
        weights: rows of the classifier, shape (K, h).
        radius: ρ > 0 of the ball that holds the representations.
        max_norm: r > 0 of Corollary 1.
        weight_decay: λ > 0 of Corollary 2.

    Returns:
        Deviations under the names C1, C2, C3 and, where asked for, C3r and C3wd.

    Raises:
        ValueError: shapes that do not fit, an argument out of range.
    """
    radius = positive("radius", radius)
    deviations = conditions_sc(representations, labels, radius)
    means = class_means(representations, labels)
    weights = finite("weights", matrix("weights", weights))
    if weights.shape != means.shape:
        raise ValueError(f"the weights must have shape {means.shape}, got {weights.shape}")
    deviations["C3"] = _off_parallel(weights, means)
    limits = {}
    if max_norm is not None:
        limits["C3r"] = positive("largest norm of a row of W", max_norm)
    if weight_decay is not None:
        limits["C3wd"] = optimal_weight_norm(radius, weight_decay, len(means))
    for name, limit in limits.items():
        deviations[name] = float(np.linalg.norm(weights / limit - means / radius, axis=1).max())
    return deviations


def conditions_sc(representations: ArrayLike, labels: ArrayLike, radius: float) -> dict[str, float]:
    """Deviations from the equality conditions of Theorem 2, C1 and C2 as in `conditions_ce`.

    Args:
        representations: z, shape (N, h).
        labels: y in 0 … K−1, each class with a point, shape (N,).
        radius: ρ > 0 of the sphere that holds the representations.

    Returns:
        Deviations under the names C1 and C2.

    Raises:
        ValueError: shapes that do not fit, an argument out of range.
    """
    radius = positive("radius", radius)
    representations = matrix("representations", representations, dtype=None)
    labels = whole_labels(labels, len(representations))
    means = class_means(representations, labels) / radius
    spread = 0.0
    for start in range(0, len(labels), BLOCK):
        part = slice(start, start + BLOCK)
        offsets = np.divide(representations[part], radius, dtype=np.float64) - means[labels[part]]
        spread = max(spread, np.linalg.norm(offsets, axis=1).max())
    departure = np.abs(np.linalg.norm(means, axis=1) - 1).max()
    simplex = simplex_deviation(means).largest if means.any() else 1.0
    return {"C1": float(spread), "C2": float(max(simplex, departure))}


def _off_parallel(weights: np.ndarray, means: np.ndarray) -> float:
    """Sine of the angle between W and Z as vectors, and 1 beyond the right angle: ‖W − s·Z‖_F / ‖W‖_F at the best s."""
    if not (weights.any() and means.any()):
        return 1.0
    weights, means = (array / np.abs(array).max() for array in (weights, means))
    weights /= np.linalg.norm(weights)
    means /= np.linalg.norm(means)
    return float(np.linalg.norm(weights - max(np.vdot(weights, means), 0.0) * means))
