"""Convex losses of the logits of collapsed classes, each with its gradient: what a certified floor needs to know.

The logits are a K×K matrix M: column y belongs to the points of class y, row j to the classifier row of class j. A loss
of one's own is any object with `value_and_gradient`; it must be convex in M, or its certificate is none.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np


class LogitLoss(Protocol):
    """A convex loss of the logits, a mean over the points.

    It may have an attribute `least`, a lower bound of its values whatever the logits are.
    """

    def value_and_gradient(self, logits: np.ndarray, shares: np.ndarray) -> tuple[float, np.ndarray]:
        """Value and gradient.

        Args:
            logits: M, column y for the points of class y, shape (K, K).
            shares: share of each class among the points, shape (K,).

        Returns:
            The mean loss over the points, and its gradient with respect to M, shape (K, K).
        """


@dataclass(frozen=True)
class CrossEntropy:
    """Σ_y π_y·log(1 + Σ_{j≠y} exp(M_jy − M_yy)), precise also where it is tiny."""

    least = 0.0

    def value_and_gradient(self, logits: np.ndarray, shares: np.ndarray) -> tuple[float, np.ndarray]:
        """Value and gradient; see `LogitLoss`."""
        values, errors = softmax_errors(logits)
        return float(shares @ values), errors * shares


@dataclass(frozen=True)
class SmoothedCrossEntropy:
    """Cross-entropy to the targets (1−ε)·e_y + ε/K.

    Attributes:
        smoothing: ε, from 0 up to but not including 1.
    """

    smoothing: float

    def __post_init__(self) -> None:
        if not 0 <= self.smoothing < 1:
            raise ValueError(f"the label smoothing must be at least 0 and less than 1, got {self.smoothing:g}")

    def value_and_gradient(self, logits: np.ndarray, shares: np.ndarray) -> tuple[float, np.ndarray]:
        """Value and gradient; see `LogitLoss`."""
        values, errors = softmax_errors(logits)
        own = np.diag(logits)
        values = values + self.smoothing * (own - logits.mean(axis=0))
        errors = errors + self.smoothing * (np.eye(len(logits)) - 1 / len(logits))
        return float(shares @ values), errors * shares


@dataclass(frozen=True)
class SquaredError:
    """Half of the squared distance from one-hot targets, Σ_y π_y·½‖M_y − e_y‖²."""

    least = 0.0

    def value_and_gradient(self, logits: np.ndarray, shares: np.ndarray) -> tuple[float, np.ndarray]:
        """Value and gradient; see `LogitLoss`."""
        errors = logits - np.eye(len(logits))
        return float(shares @ np.sum(errors**2, axis=0) / 2), errors * shares


def softmax_errors(logits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cross-entropy of each column to its own class, and softmax less one-hot, both to their last digits.

    Args:
        logits: M, shape (K, K).

    Returns:
        The values (K,) and the errors P − I (K, K).
    """
    own = np.diag_indices(len(logits))
    others = logits - logits[own]
    others[own] = -np.inf
    largest = others.max(axis=0)
    exponentials = np.exp(others - largest)
    sums = exponentials.sum(axis=0)
    odds = largest + np.log(sums)
    values = np.logaddexp(0.0, odds)
    miss = np.exp(odds - values)  # 1 − p_y, without a difference of near numbers
    errors = exponentials * (miss / sums)
    errors[own] = -miss
    return values, errors
