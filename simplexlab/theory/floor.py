"""What a floor is: the least value of an objective, with a certificate, and the configuration that attains it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from simplexlab.geometry.checks import as_array, real_numbers, whole

TOLERANCE = 1e-6  # relative distance between value and certificate up to which a floor counts as exact
AIM = 1e-8  # relative distance of value and certificate that is good enough
MOST_CLASSES = 10**4
MOST_UNKNOWNS = 4 * 10**6  # with the memory of the minimiser about 2 GB


@dataclass(frozen=True)
class Floor:
    """The least value that an objective takes over all free configurations.

    Attributes:
        value: the least value found. `points` and `weights` take it, unless there is a `best_known`.
        certificate: a lower bound of every configuration, computed apart from the minimiser; at most `value`.
        collapsed: value where all points are one, the worst that a balanced start does: the other end of the scale.
        points: optimal class means, one a row, shape (K, h′), h′ as many dimensions as they need; None where they would
            be too large, or every configuration is alike.
        weights: optimal classifier rows, shape (K, h′); None as for the points, or without a free classifier.
        best_known: value of the best known configuration where the dimension is too small to attain `value`; `points`
            and `weights` are then that configuration. None where `value` is attained.
        origin: where the configuration comes from, such as "regular simplex", "convex program", "best of 8 starts".
        converged: False if the minimiser stopped before value and certificate met; both hold all the same.
        state: what a later solve of the same size starts from.
        attained: False where the value is a bound that no configuration of this dimension is known to take.
        unique: False where class means whose angles are not those of `points` are known to take the value, too.
    """

    value: float
    certificate: float
    collapsed: float
    points: np.ndarray | None = None
    weights: np.ndarray | None = None
    best_known: float | None = None
    origin: str = "convex program"
    converged: bool = True
    state: dict[Any, np.ndarray] = field(
        default_factory=dict, repr=False, compare=False
    )  # where a later solve can start
    attained: bool = True
    unique: bool = True

    @property
    def gap(self) -> float:
        """Distance between the value and its certificate."""
        return self.value - self.certificate

    @property
    def is_exact(self) -> bool:
        """Whether the value is attained, and the certificate within 1e-6 of it."""
        attained = self.attained and self.best_known is None
        return attained and is_certified(self.value, self.certificate, self.collapsed, TOLERANCE)


def is_certified(value: float, certificate: float, scale: float, tolerance: float) -> bool:
    """Whether the certificate proves the value up to a relative tolerance, or up to the rounding of the scale."""
    return value - certificate <= max(tolerance * abs(value), 1e-13 * abs(scale))


def shares(class_counts: ArrayLike) -> np.ndarray:
    """Share of each class among the points.

    Args:
        class_counts: points of each class, whole numbers of at least 1, shape (K,), 2 ≤ K ≤ 10⁴.

    Raises:
        ValueError: anything else.
    """
    counts = as_array(class_counts)
    if counts.ndim != 1:
        raise ValueError(f"the class counts must be one number for each class, got shape {counts.shape}")
    _number_of_classes(len(counts))
    for position, count in enumerate(counts.tolist(), 1):
        whole(f"count of class {position}", count, 1)
    return counts / counts.sum()


def probabilities(class_probabilities: ArrayLike) -> np.ndarray:
    """The class probabilities, float64.

    Args:
        class_probabilities: greater than 0, with sum 1, shape (K,), 2 ≤ K ≤ 10⁴.

    Raises:
        ValueError: anything else.
    """
    array = real_numbers(class_probabilities)
    if array.ndim != 1:
        raise ValueError(f"the class probabilities must be one number for each class, got shape {array.shape}")
    _number_of_classes(len(array))
    if not (array > 0).all() or not abs(array.sum() - 1) < 1e-6:
        raise ValueError(f"the class probabilities must be greater than 0 with sum 1, got sum {array.sum():g}")
    return array / array.sum()


def fits(unknowns: int) -> bool:
    """Whether a program with so many unknowns fits into memory."""
    return unknowns <= MOST_UNKNOWNS


def refuse_too_many(unknowns: int, num_classes: int) -> None:
    """Raise a ValueError if a program with so many unknowns would not fit into memory."""
    if not fits(unknowns):
        raise ValueError(
            f"{num_classes} classes make a program of {unknowns:.1e} unknowns, more than {MOST_UNKNOWNS:.1e}; "
            "take fewer classes, or classes of one size, for which the theorems answer at once"
        )


def least_diagonal(symmetric: np.ndarray, diagonal: np.ndarray) -> np.ndarray:
    """A diagonal D ⪰ A with a small trace, from one that nearly is.

    The best of: the diagonal plus a constant, the diagonal times a constant, a constant.

    Args:
        symmetric: A, shape (K, K).
        diagonal: the guess, shape (K,).

    Returns:
        The diagonal of D, shape (K,).
    """
    used = symmetric.any(axis=1)
    block, guess = symmetric[np.ix_(used, used)], diagonal[used]
    found = np.zeros(len(diagonal))
    if used.any():
        candidates = [
            guess + max(0.0, np.linalg.eigvalsh(block - np.diag(guess))[-1]),
            np.full(len(guess), max(0.0, np.linalg.eigvalsh(block)[-1])),
        ]
        if guess.min() > 1e-12 * guess.max() > 0:
            root = np.sqrt(guess)
            candidates.append(guess * max(0.0, np.linalg.eigvalsh(block / root / root[:, None])[-1]))
        found[used] = min(candidates, key=np.sum)
    return found


def conditioned(free: np.ndarray, curvatures: np.ndarray) -> np.ndarray:
    """Free vectors of such lengths that a step of unit length changes the objective alike in each of their directions.

    Args:
        free: nonzero vectors, shape (K, h).
        curvatures: how strongly the objective depends on each direction, at least 0, shape (K,).
    """
    largest = curvatures.max()
    if not largest > 0:
        return free
    lengths = np.sqrt(np.maximum(curvatures / largest, 1e-8))
    return free * (lengths / np.linalg.norm(free, axis=1))[:, None]


def to_sphere(
    free: np.ndarray, radius: float, nonnegative: bool
) -> tuple[np.ndarray, Callable[[np.ndarray], np.ndarray]]:
    """Points ρ·u/‖u‖ of free vectors, for non-negative points of their squares, and the way back for gradients.

    Args:
        free: shape (K, h).
        radius: ρ.
        nonnegative: whether the points are to be non-negative.

    Returns:
        The points (K, h), and a function from gradients in the points to gradients in the free vectors.
    """
    directions = free**2 if nonnegative else free
    norms = np.linalg.norm(directions, axis=1, keepdims=True)
    units = directions / norms

    def back(gradient: np.ndarray) -> np.ndarray:
        tangent = (gradient - units * np.sum(gradient * units, axis=1, keepdims=True)) * (radius / norms)
        return 2 * free * tangent if nonnegative else tangent

    return radius * units, back


def _number_of_classes(number: int) -> None:
    whole("number of classes", number, 2)
    if number > MOST_CLASSES:
        raise ValueError(f"the number of classes must be at most {MOST_CLASSES}, got {number}")
