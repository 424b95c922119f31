"""Angular similarity (Eq. 7 of the paper) and its value at the optimal configurations."""

import numpy as np
from numpy.typing import ArrayLike

from simplexlab.geometry.checks import as_array, real_numbers, whole

ORTHOGONAL_SIMILARITY = 0.5
"""Angular similarity of orthogonal vectors, the floor for non-negative representations."""


def angular_similarity(x: ArrayLike, y: ArrayLike) -> np.ndarray:
    """Angular similarity γ(x, y) = 1 − arccos(⟨x, y⟩ / (‖x‖ ‖y‖)) / π, between 0 (opposite) and 1 (same direction).

    Args:
        x: vectors along the last axis, shape (…, h).
        y: vectors that broadcast against `x`, shape (…, h).

    Returns:
        γ, float64, shape (…). A zero vector has no direction and counts as orthogonal: γ = 0.5.

    Reference: Eq. 7 of the paper.
    """
    x, y = unit_vectors(x), unit_vectors(y)
    # The angle from the two diagonals of the rhombus x, y: arccos would lose half of the digits near 0 and π.
    angle = 2 * np.arctan2(np.linalg.norm(x - y, axis=-1), np.linalg.norm(x + y, axis=-1))
    directed = x.any(axis=-1) & y.any(axis=-1)
    return np.where(directed, 1 - angle / np.pi, ORTHOGONAL_SIMILARITY)


def simplex_similarity(num_classes: int) -> float:
    """Angular similarity between vertices of a regular simplex: 1 − arccos(−1/(K−1)) / π."""
    return float(1 - np.arccos(-1 / (whole("number of classes", num_classes, 2) - 1)) / np.pi)


def pairwise_similarity(points: ArrayLike) -> np.ndarray:
    """Angular similarity of every pair i < j of points (K, h), shape (K(K−1)/2,)."""
    points = unit_vectors(points)
    cosines = (points @ points.T)[np.triu_indices(len(points), 1)]
    return 1 - np.arccos(np.clip(cosines, -1, 1)) / np.pi


def largest_deviation(similarities: ArrayLike, optimum: ArrayLike) -> float:
    """How far angular similarities are from their values at the optimum: max |γ − γ*|.

    The mean of γ tells nothing of it: centring alone forces the mean cosine to −1/(K−1), also where the angles differ.

    Args:
        similarities: γ of every pair, or only the smallest and the largest of them, shape (n,), n ≥ 1.
        optimum: γ* in [0, 1), one for all of them or one for each, shape (n,).

    Returns:
        0 exactly where all of them are γ*.
    """
    return float(np.abs(real_numbers(similarities) - as_array(optimum)).max())


def distance_from_optimum(similarities: ArrayLike, optimum: float) -> float:
    """Largest deviation as a share of that of classes which all coincide (γ = 1): min(max |γ − γ*| / (1 − γ*), 1).

    Args:
        similarities: γ of every pair, or only the smallest and the largest of them, shape (n,), n ≥ 1.
        optimum: γ* in [0, 1).

    Returns:
        A number in [0, 1]: 0 at the optimum, 1 where two classes coincide or the deviation is as large.
    """
    return min(largest_deviation(similarities, optimum) / (1 - optimum), 1.0)


def unit_vectors(x: ArrayLike) -> np.ndarray:
    """Divide vectors (…, h) by their norms in float64; zero vectors stay 0."""
    x = real_numbers(x)
    largest = np.abs(x).max(axis=-1, keepdims=True, initial=0.0)
    x = x / np.where(largest > 0, largest, 1.0)  # squares neither overflow nor vanish
    norms = np.linalg.norm(x, axis=-1, keepdims=True)
    return x / np.where(norms > 0, norms, 1.0)
