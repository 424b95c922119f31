"""The supervised contrastive loss of collapsed classes as a function of their Gram matrix, exact in expectation.

Where the points of class y all lie at ζ_y, with C_yk = ⟨ζ_y, ζ_k⟩, a batch with label counts l has the loss

    Σ_{y: l_y > 1} l_y·log(l_y − 1 + Σ_{k≠y} l_k·exp(C_yk − C_yy)),

which is convex in C. Its mean over batches whose classes are drawn independently needs no sampling: for an anchor of
class y the others are multinomial, X = Σ_k l′_k·w_k with w_k = exp(C_yk − C_yy) is a sum of independent terms, and by
Frullani's integral log X = ∫₀^∞ (e^(−t) − e^(−tX))/t dt, so that E log X needs only
E e^(−tX) = (Σ_k p_k·e^(−t·w_k))^(b−1). With t = e^u the integrand is analytic and vanishes fast at both ends: the
trapezoidal rule with 70 nodes or so has all digits (Trefethen and Weideman 2014).
"""

import math

import numpy as np
from numpy.typing import ArrayLike

from simplexlab.geometry.checks import as_array, finite, matrix, whole
from simplexlab.theory.contrastive import LARGEST_BATCH, binomial_log_law, class_value
from simplexlab.theory.floor import probabilities

NODE_DISTANCE = 0.33  # of u; the error of the trapezoidal rule is about exp(−π²/distance), 1e-13
LAST_NODE = math.log(36.0)  # e^(−t·X) is below 1e-15 from there on, as X ≥ 1
LARGEST_EXPONENT = 600.0
NEGLIGIBLE = 1e-7  # t·X up to which e^(−tX) is 1 − tX; the error is its square
ALMOST_ONE = 1 - 1e-15  # largest 1 − E e^(−t·w) of one draw whose logarithm is taken
BLOCK_ENTRIES = 2**20  # exponentials held at once


class IndependentBatches:
    """The mean over batches of b images whose classes are drawn independently, each image in the batch `views` times.

    Attributes:
        probabilities: p of the classes, shape (K,).
        batch_size: images b of a batch.
        views: points v that each image gives; the loss is the sum over all b·v of them.
    """

    def __init__(self, class_probabilities: ArrayLike, batch_size: int, views: int = 1):
        self.probabilities = probabilities(class_probabilities)
        self.views = whole("number of views", views, 1)
        self.batch_size = whole("batch size", batch_size, 3 if views == 1 else 2)
        if self.batch_size > LARGEST_BATCH:
            raise ValueError(f"the batch size must be at most {LARGEST_BATCH}, got {batch_size}")

    def value_and_gradient(self, gram: np.ndarray) -> tuple[float, np.ndarray]:
        """The mean loss, and its gradient in the inner products between classes (0 on the diagonal, symmetric).

        Args:
            gram: C, shape (K, K).
        """
        p, draws, views = self.probabilities, self.batch_size - 1, self.views
        exponents = gram - np.diag(gram)[:, None]
        largest = max(0.0, exponents.max())
        if largest > LARGEST_EXPONENT:
            raise ValueError(
                f"an inner product between classes exceeds one within a class by {largest:.3g}, at most "
                f"{LARGEST_EXPONENT:g} is possible"
            )
        factors = views * np.exp(exponents)
        first_node = math.log(NEGLIGIBLE / (views * self.batch_size)) - largest
        nodes = np.arange(LAST_NODE, first_node, -NODE_DISTANCE)
        t = np.exp(nodes)
        # P(the batch has a positive): with one view the draws without another of class y are taken out.
        present = -np.expm1(draws * np.log1p(-p)) if views == 1 else np.ones(len(p))
        value, gradient = 0.0, np.zeros_like(gram)
        block = max(1, BLOCK_ENTRIES // (len(t) * len(p)))
        for start in range(0, len(p), block):
            rows = np.arange(start, min(start + block, len(p)))
            own = (np.arange(len(rows)), slice(None), rows)
            miss = t[:, None] * -factors[rows, None, :]
            miss = -np.expm1(miss, out=miss)  # 1 − exp(−t·v·w), shape (rows, T, K)
            sums = np.minimum(miss @ p, ALMOST_ONE)
            log_one = np.log1p(-sums)
            anchor = -t * (views - 1)
            integrand = present[rows, None] * np.exp(-t) - np.exp(anchor + draws * log_one)
            slope = np.exp(anchor + (draws - 1) * log_one)
            if views == 1:
                others = p[rows, None] + sums - p[rows, None] * miss[own]
                log_none = np.log1p(-np.minimum(others, ALMOST_ONE))
                integrand += np.exp(draws * log_none)
                slope = slope - np.exp((draws - 1) * log_none)
            # What lies before the first node is linear in t; the trapezoidal rule sums it as a geometric series.
            before = t[-1] / math.expm1(NODE_DISTANCE)
            if views == 1:
                mean = draws * p * -np.expm1((draws - 1) * np.log1p(-p[rows]))[:, None]
                mean[np.arange(len(rows)), rows] = draws * p[rows]
            else:
                mean = draws * p[None, :]
            mean = before * mean * factors[rows]
            tail = np.sum(mean, axis=1) + before * (views - 1 - present[rows])
            share = self.batch_size * views * p[rows]
            value += NODE_DISTANCE * share @ (integrand.sum(axis=1) + tail)
            slope = slope * t
            left = slope.sum(axis=1, keepdims=True) - np.matmul(slope[:, None, :], miss)[:, 0, :]
            gradient[rows] = NODE_DISTANCE * share[:, None] * (left * draws * p * factors[rows] + mean)
        np.fill_diagonal(gradient, 0.0)
        return float(value), (gradient + gradient.T) / 2


class GivenBatches:
    """The mean over batches of given label counts.

    Attributes:
        counts: l, shape (R, K).
    """

    def __init__(self, label_counts: np.ndarray):
        self.counts = label_counts.astype(np.float64)

    def value_and_gradient(self, gram: np.ndarray) -> tuple[float, np.ndarray]:
        """See `IndependentBatches`; the inner products within classes must be the largest of their rows."""
        factors = np.exp(gram - np.diag(gram)[:, None])
        np.fill_diagonal(factors, 0.0)
        anchors = self.counts > 1
        others = np.where(anchors, self.counts - 2 + self.counts @ factors.T, 0.0)  # Σ − 1, to its last digits
        value = np.sum(np.where(anchors, self.counts, 0.0) * np.log1p(others)) / len(self.counts)
        gradient = (np.where(anchors, self.counts / (1 + others), 0.0).T @ self.counts) * factors / len(self.counts)
        return float(value), (gradient + gradient.T) / 2


def sc_expected_loss(gram: ArrayLike, class_probabilities: ArrayLike, batch_size: int, *, views: int = 1) -> float:
    """The mean SC loss of a batch (sum over anchors) of collapsed classes, exact in expectation over i.i.d. batches.

    Args:
        gram: C_yk = ⟨ζ_y, ζ_k⟩ of the points where the classes lie, with the temperature divided out, shape (K, K).
        class_probabilities: p > 0 with sum 1, shape (K,).
        batch_size: images b ≥ 3 of a batch.
        views: points that each image gives, all at the place of its class.

    Raises:
        ValueError: shapes that do not fit, an argument out of range.

    Reference: the module's docstring.
    """
    batches = IndependentBatches(class_probabilities, batch_size, views)
    return batches.value_and_gradient(_gram(gram, len(batches.probabilities)))[0]


def sc_composition_value(label_counts: ArrayLike, gram: ArrayLike) -> np.ndarray:
    """SC loss (sum over anchors) of collapsed classes on batches of given label counts.

    Args:
        label_counts: l, whole numbers, shape (…, K).
        gram: C_yk = ⟨ζ_y, ζ_k⟩ of the points where the classes lie, with the temperature divided out, shape (K, K).

    Returns:
        The values, float64, shape (…).

    Raises:
        ValueError: counts that are not whole numbers ≥ 0, shapes that do not fit.
    """
    counts = whole_counts(label_counts)
    gram = _gram(gram, counts.shape[-1])
    exponents = gram - np.diag(gram)[:, None]
    largest = np.maximum(exponents.max(axis=1), 0.0)
    factors = np.exp(exponents - largest[:, None])
    np.fill_diagonal(factors, 0.0)
    sums = np.maximum(counts - 1, 0) * np.exp(-largest) + counts @ factors.T
    return np.sum(np.where(counts > 1, counts * (largest + np.log(np.where(counts > 1, sums, 1.0))), 0.0), axis=-1)


def symmetric_mean(class_probabilities: np.ndarray, batch_size: int, views: int, gap: float) -> float:
    """`sc_expected_loss` where each inner product between classes is the one within less `gap`: sums over one count."""
    law = np.array([np.exp(binomial_log_law(batch_size, p)) for p in np.unique(class_probabilities)])
    number = np.unique(class_probabilities, return_counts=True)[1]
    values = class_value(views * np.arange(batch_size + 1), views * batch_size, gap)
    return float(np.sum(number * (law @ values)))


def whole_counts(label_counts: ArrayLike) -> np.ndarray:
    """Label counts of batches, shape (…, K), or a ValueError."""
    counts = as_array(label_counts)
    if counts.ndim == 0 or counts.dtype.kind not in "iu" or (counts.size and counts.min() < 0):
        raise ValueError("the label counts must be whole numbers of at least 0, one for each class")
    return counts


def _gram(gram: ArrayLike, num_classes: int) -> np.ndarray:
    gram = finite("inner products", matrix("inner products", gram))
    if gram.shape != (num_classes, num_classes):
        raise ValueError(
            f"the inner products of {num_classes} classes must have shape {(num_classes,) * 2}, got {gram.shape}"
        )
    return gram
