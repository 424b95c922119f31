"""Label corruption: a pure function of the labels, the fraction, the mode and the seed."""

import math

import numpy as np

from simplexlab.errors import UsageError

SWAP_ROUNDS = 64  # of pairwise swaps in `_exchange`; the assignment is mixed long before


def corrupt_labels(
    labels: np.ndarray,
    fraction: float,
    mode: str = "flip",
    seed: int = 0,
    balanced: bool = False,
    num_classes: int | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Corrupt a fraction of the labels, the same ones for the same arguments.

    With N labels, exactly ⌊fraction·N⌋ of them are drawn without replacement.

    - `flip` moves each to a class drawn uniformly from the K − 1 *other* classes, so that pure noise is at (K−1)/K.
    - `flip` with `balanced` exchanges the drawn labels among themselves, each for a different one, so that every class
      keeps its count. The labels are drawn in equal numbers from each class, as far as the counts allow, and the
      exchange is mixed by random swaps that leave every valid exchange equally likely. One label fewer is flipped where
      ⌊fraction·N⌋ labels cannot be exchanged: a single one, or an odd number of them in two classes.
    - `uniform` resamples each over all K classes (Zhang et al., "Understanding deep learning requires rethinking
      generalization", ICLR 2017); about one in K keeps its label and does not count as flipped.

    Args:
        labels: whole numbers (N,), 0 to K − 1.
        fraction: share of the labels to corrupt, 0 to 1.
        mode: `flip` or `uniform`.
        seed: seed of the draws, at least 0.
        balanced: keep every class count; with `flip` only.
        num_classes: K; by default the largest label plus one.

    Returns:
        corrupted labels: (N,) in the dtype of `labels`.
        flipped indices: int64, ascending, where the corrupted labels differ from `labels`.

    Raises:
        UsageError: the fraction is not in [0, 1], the mode is unknown or does not go with `balanced`, there are fewer
            than two classes, or the class counts allow no balanced exchange of that many labels.
    """
    labels = np.asarray(labels)
    if not 0 <= fraction <= 1:
        raise UsageError(f"the fraction of corrupted labels is {fraction}; it must lie between 0 and 1")
    if mode not in ("flip", "uniform"):
        raise UsageError(f"label corruption {mode!r} is unknown; it is flip or uniform")
    if balanced and mode != "flip":
        raise UsageError("balanced corruption goes with flip: uniform resampling does not keep class counts")
    if num_classes is None:
        num_classes = int(labels.max(initial=0)) + 1
    if num_classes < 2:
        raise UsageError("labels of a single class cannot be corrupted")

    generator = np.random.Generator(np.random.Philox(seed))
    # 0.29 · 100 is 28.999999999999996 in floating point
    count = math.floor(fraction * len(labels) + 1e-6)
    corrupted = labels.copy()
    if balanced:
        chosen = _choose_evenly(labels, count, num_classes, generator)
        corrupted[chosen] = _exchange(labels[chosen], num_classes, generator)
    else:
        chosen = generator.choice(len(labels), count, replace=False)
        if mode == "flip":
            corrupted[chosen] = (labels[chosen] + generator.integers(1, num_classes, count)) % num_classes
        else:
            corrupted[chosen] = generator.integers(0, num_classes, count)
    return corrupted, np.flatnonzero(corrupted != labels)


def _choose_evenly(labels: np.ndarray, count: int, num_classes: int, generator: np.random.Generator) -> np.ndarray:
    """Indices of `count` labels (or one fewer), in equal numbers from each class as far as its members reach."""
    available = np.bincount(labels, minlength=num_classes)
    if count == 1 or (count % 2 and np.count_nonzero(available) == 2):
        count -= 1
    quota = np.zeros(num_classes, np.int64)
    remaining = count
    while remaining:
        open_classes = np.flatnonzero(available > quota)
        share = min(remaining // len(open_classes), (available - quota)[open_classes].min())
        if share == 0:
            open_classes = generator.choice(open_classes, remaining, replace=False)
            share = 1
        quota[open_classes] += share
        remaining -= share * len(open_classes)
    if 2 * quota.max() > count:
        largest = available.max()
        possible = min(2 * (len(labels) - largest), len(labels)) / len(labels)
        raise UsageError(
            f"the class counts do not allow a balanced flip of {count} of {len(labels)} labels;"
            f" at most a fraction of {possible:g} can be exchanged"
        )
    members = [np.flatnonzero(labels == label) for label in range(num_classes)]
    return np.concatenate(
        [generator.choice(indices, size, replace=False) for indices, size in zip(members, quota, strict=True)]
    )


def _exchange(own: np.ndarray, num_classes: int, generator: np.random.Generator) -> np.ndarray:
    """A random rearrangement of `own` in which no entry keeps its value; no value fills more than half of `own`."""
    if len(own) == 0:
        return own
    # A cyclic shift of the sorted labels by at least the largest count, both ways round, keeps no label in place.
    order = np.argsort(generator.permutation(num_classes)[own], kind="stable")
    largest = np.bincount(own).max()
    exchanged = np.empty_like(own)
    exchanged[order] = np.roll(own[order], generator.integers(largest, len(own) - largest + 1))
    # Swapping random pairs where both stay valid is a symmetric walk, uniform over the valid exchanges in the limit.
    half = len(own) // 2
    for _ in range(SWAP_ROUNDS):
        pairs = generator.permutation(len(own))
        first, second = pairs[:half], pairs[half : 2 * half]
        valid = (exchanged[first] != own[second]) & (exchanged[second] != own[first])
        first, second = first[valid], second[valid]
        exchanged[first], exchanged[second] = exchanged[second], exchanged[first]
    return exchanged
