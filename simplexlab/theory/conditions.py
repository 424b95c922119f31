"""How far a configuration is from each condition under which the bounds hold with equality."""

import numpy as np
from numpy.typing import ArrayLike

from simplexlab.geometry import simplex_deviation
from simplexlab.geometry.checks import class_labels, finite, matrix, positive
from simplexlab.theory.cross_entropy import optimal_weight_norm


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
    means = _class_means(representations, labels)
    weights = finite("weights", matrix("weights", weights))
    if weights.shape != means.shape:
        raise ValueError(f"the weights must have shape {means.shape}, got {weights.shape}")
    product, size, norm = np.vdot(weights, means), np.vdot(means, means), np.linalg.norm(weights)
    best = max(product / size, 0.0) if size else 0.0
    deviations["C3"] = float(np.linalg.norm(weights - best * means) / norm) if norm else 1.0
    limits = {}
    if max_norm is not None:
        limits["C3r"] = positive("largest norm of a row of W", max_norm)
    if weight_decay is not None:
        limits["C3wd"] = optimal_weight_norm(radius, weight_decay, len(means))
    for name, limit in limits.items():
        deviations[name] = float(np.linalg.norm(weights - limit / radius * means, axis=1).max() / limit)
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
    means = _class_means(representations, labels)
    spread = np.linalg.norm(np.asarray(representations) - means[np.asarray(labels)], axis=1).max()
    offset = np.abs(np.linalg.norm(means, axis=1) - radius).max()
    simplex = simplex_deviation(means).largest if means.any() else 1.0
    return {"C1": float(spread / radius), "C2": float(max(simplex, offset / radius))}


def _class_means(representations: ArrayLike, labels: ArrayLike) -> np.ndarray:
    representations = finite("representations", matrix("representations", representations))
    labels, counts = class_labels(labels, len(representations))
    sums = np.zeros((len(counts), representations.shape[1]))
    np.add.at(sums, labels, representations)
    return sums / counts[:, None]
