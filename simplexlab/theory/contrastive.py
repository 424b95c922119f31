"""The supervised contrastive loss: the law of a batch's label counts, the bound of Theorem 2, the paired excess.

A batch of size b in which class y occurs l_y times has at the optimum the loss Σ_y l_y·log(l_y − 1 + (b − l_y)·e^(−g)),
classes with l_y ≤ 1 contributing 0. The gap g between the inner products within and between classes is K·ρ²/(K−1) at
the regular simplex and ρ² at the orthogonal frame, the optimum of non-negative representations (there the inequality
holds batch by batch). The mean over batches needs only the law of one l_y: b + 1 numbers.
"""

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from simplexlab.geometry.checks import as_array, choice, positive, real_numbers, whole
from simplexlab.theory.cross_entropy import FEATURES, Features

Sampling = Literal["multiset", "iid", "without-replacement"]
SAMPLINGS = ("multiset", "iid", "without-replacement")
REDUCTIONS = ("sum", "mean")
LARGEST_BATCH = 10**7


def sc_bound(
    num_classes: int,
    batch_size: int,
    *,
    radius: float | None = None,
    temperature: float | None = None,
    samples_per_class: int | None = None,
    sampling: Sampling = "multiset",
    features: Features = "free",
    reduction: Literal["sum", "mean"] = "sum",
) -> float:
    """Lower bound of the mean SC loss of a batch, for balanced labels.

    K·Σ_{l=2..b} P(l_y = l)·l·log(l − 1 + (b−l)·exp(−g)), g = K·ρ²/(K−1), for non-negative representations g = ρ².
    Theorem 2 states it as a sum over all batches; this is that sum divided by the number of batches.

    Args:
        num_classes: K ≥ 2.
        batch_size: b ≥ 3.
        radius: ρ > 0, the norm of the representations; or
        temperature: τ > 0, the same as ρ = 1/√τ.
        samples_per_class: n ≥ 1; `iid` does without it.
        sampling: how a batch is drawn, see `log_label_count_law`.
        features: `free`, or `nonnegative` for an encoder that ends in a ReLU.
        reduction: `sum` over the anchors of a batch (the paper's), or their `mean`.

    Returns:
        The bound, reached at the regular simplex if K ≤ h + 1 (non-negative: at the orthogonal frame if K ≤ h).

    Raises:
        ValueError: an argument out of range, both or neither of radius and temperature.

    Reference: Theorem 2 of the paper; arXiv 2306.07960 for non-negative representations.
    """
    log_law = log_label_count_law(num_classes, batch_size, samples_per_class, sampling)
    choice("reduction", reduction, REDUCTIONS)
    gap = inner_product_gap(num_classes, radius=radius, temperature=temperature, features=features)
    counts = np.arange(batch_size + 1)
    bound = num_classes * np.sum(np.exp(log_law) * class_value(counts, batch_size, gap))
    return float(bound if reduction == "sum" else bound / batch_size)


def log_label_count_law(
    num_classes: int, batch_size: int, samples_per_class: int | None = None, sampling: Sampling = "multiset"
) -> np.ndarray:
    """Logarithm of the law of one class's count in a batch, for n points in each of K classes (N = nK).

    - `multiset`: every multiset of b indices equally likely, as in the paper;
      P(l) = C(n+l−1, l)·C(N−n+b−l−1, b−l) / C(N+b−1, b), so that Theorem 2's M_l is K·C(N+b−1, b)·P(l).
    - `iid`: indices drawn with replacement, as one trains; binomial(b, 1/K), whatever n is.
    - `without-replacement`: every subset equally likely, as with shuffled epochs; hypergeometric.

    Args:
        num_classes: K ≥ 2.
        batch_size: 3 ≤ b ≤ 10⁷.
        samples_per_class: n ≥ 1; `iid` does without it.
        sampling: `multiset`, `iid` or `without-replacement`.

    Returns:
        log P(l) for l = 0 … b, −∞ where a count is impossible, float64, shape (b+1,).

    Raises:
        ValueError: an argument out of range, n missing where it is needed, b > N without replacement.
    """
    num_classes = whole("number of classes", num_classes, 2)
    batch_size = _batch_size(batch_size)
    choice("sampling", sampling, SAMPLINGS)
    count = np.arange(batch_size, dtype=np.float64)  # l in the ratios P(l+1)/P(l)
    first, last = 0, batch_size
    if sampling == "iid":
        ratio = (batch_size - count) / ((count + 1) * (num_classes - 1))
    else:
        if samples_per_class is None:
            raise ValueError(f"{sampling} sampling needs the number of samples per class")
        own = whole("number of samples per class", samples_per_class, 1)
        others = own * (num_classes - 1)
        if sampling == "multiset":
            ratio = (own + count) / (count + 1) * ((batch_size - count) / (others + (batch_size - 1 - count)))
        else:
            if batch_size > own + others:
                raise ValueError(f"without replacement, the batch size {batch_size} must be at most N = {own + others}")
            first, last = max(0, batch_size - others), min(own, batch_size)
            count = count[first:last]
            ratio = (own - count) / (count + 1) * ((batch_size - count) / (others - batch_size + count + 1))
    law = np.full(batch_size + 1, -np.inf)
    law[first : last + 1] = _log_law(ratio)
    return law


def binomial_log_law(draws: int, probability: float) -> np.ndarray:
    """log P(l) for l = 0 … n of the binomial law of n draws, shape (n+1,)."""
    count = np.arange(draws, dtype=np.float64)
    return _log_law((draws - count) / (count + 1) * (probability / (1 - probability)))


def _log_law(ratios: np.ndarray) -> np.ndarray:
    """Logarithm of the law whose ratios P(l+1)/P(l) are given."""
    # Sums of log-ratios outward from the mode, so that the likely counts carry the smallest rounding errors.
    log_ratio = np.log(ratios)
    mode = int(np.argmax(np.concatenate([[0.0], np.cumsum(log_ratio)])))
    relative = np.concatenate([-np.cumsum(log_ratio[:mode][::-1])[::-1], [0.0], np.cumsum(log_ratio[mode:])])
    return relative - np.log(np.sum(np.exp(relative)))


def inner_product_gap(
    num_classes: int,
    *,
    radius: float | None = None,
    temperature: float | None = None,
    features: Features = "free",
) -> float:
    """Inner product within classes minus between classes at the optimum: K·ρ²/(K−1), or ρ² for non-negative points.

    Args:
        num_classes: K ≥ 2.
        radius: ρ > 0; or
        temperature: τ > 0 with ρ² = 1/τ.
        features: `free` or `nonnegative`.

    Raises:
        ValueError: an argument out of range, both or neither of radius and temperature.
    """
    num_classes = whole("number of classes", num_classes, 2)
    with np.errstate(over="ignore"):  # an infinite gap has the right limit
        square = squared_radius(radius, temperature)
        ratio = num_classes / (num_classes - 1)
        return float(square * (ratio if choice("features", features, FEATURES) == "free" else 1.0))


def squared_radius(radius: float | None, temperature: float | None) -> np.float64:
    """ρ² of the sphere, from ρ or from τ with ρ² = 1/τ.

    Raises:
        ValueError: an argument out of range, both or neither of radius and temperature.
    """
    if (radius is None) == (temperature is None):
        raise ValueError("give the radius or the temperature, one of the two")
    if temperature is None:
        return np.square(np.float64(positive("radius", radius)))
    return 1 / np.float64(positive("temperature", temperature))


def composition_value(label_counts: ArrayLike, radius: float, *, features: Features = "free") -> np.ndarray:
    """SC loss (sum over anchors) that the optimal configuration takes on batches of given label counts.

    Σ_y l_y·log(l_y − 1 + (b − l_y)·exp(−g)), classes with l_y ≤ 1 contributing 0.

    Args:
        label_counts: l, whole numbers, shape (…, K) with one entry for each of the K classes, b = Σ_y l_y.
        radius: ρ > 0, the norm of the representations.
        features: `free` for the regular simplex, `nonnegative` for the orthogonal frame.

    Returns:
        The values, float64, shape (…).

    Raises:
        ValueError: counts that are not whole numbers ≥ 0, fewer than two classes, an argument out of range.

    Reference: proof of Theorem 2 of the paper; arXiv 2306.07960 for non-negative representations.
    """
    counts = as_array(label_counts)
    if counts.ndim == 0 or counts.dtype.kind not in "iu" or (counts.size and counts.min() < 0):
        raise ValueError("the label counts must be whole numbers of at least 0, one for each class")
    gap = inner_product_gap(counts.shape[-1], radius=radius, features=features)
    return class_value(counts, counts.sum(axis=-1, keepdims=True), gap).sum(axis=-1)


def paired_excess(
    batch_losses: ArrayLike, label_counts: ArrayLike, radius: float, *, features: Features = "free"
) -> tuple[float, float]:
    """Estimate loss − bound from a sample of batches, each compared with the optimum on its own label counts.

    Mean over batches of loss − `composition_value`: the expectation of loss − bound under any law of batches, without
    the variance of the label counts. A single batch may fall below 0; the expectation does not.

    Args:
        batch_losses: SC loss of each batch, summed over anchors, shape (R,).
        label_counts: of the same batches, shape (R, K).
        radius: ρ > 0, the norm of the representations.
        features: `free` for the excess over the simplex, `nonnegative` over the orthogonal frame.

    Returns:
        The mean and its standard error (0 for a single batch).

    Raises:
        ValueError: shapes that do not fit.
    """
    batch_losses = real_numbers(batch_losses)
    label_counts = as_array(label_counts)
    values = composition_value(label_counts, radius, features=features)
    if batch_losses.ndim != 1 or not batch_losses.size or values.shape != batch_losses.shape:
        raise ValueError(f"losses {batch_losses.shape} and label counts {label_counts.shape} must be of R batches")
    differences = batch_losses - values
    error = differences.std(ddof=1) / np.sqrt(len(differences)) if len(differences) > 1 else 0.0
    return float(differences.mean()), float(error)


def class_value(count: ArrayLike, batch_size: ArrayLike, gap: float) -> np.ndarray:
    """l·log(l − 1 + (b − l)·exp(−g)), and 0 for l ≤ 1."""
    count = np.asarray(count, dtype=np.float64)
    with np.errstate(divide="ignore"):
        positives, negatives = np.log(np.maximum(count - 1, 1)), np.log(batch_size - count)
        return np.where(count > 1, count * np.logaddexp(positives, negatives - gap), 0.0)


def _batch_size(batch_size: int) -> int:
    try:
        batch_size = whole("batch size", batch_size, 3)
    except ValueError as error:
        raise ValueError(f"{error}; the theory of the supervised contrastive loss needs three points") from None
    if batch_size > LARGEST_BATCH:
        raise ValueError(f"the batch size must be at most {LARGEST_BATCH}, got {batch_size}")
    return batch_size
