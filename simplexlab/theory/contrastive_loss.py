"""The supervised contrastive loss of given batches and over all batches of a small configuration, in float64."""

import math
from collections.abc import Iterator
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from simplexlab.geometry.checks import (
    as_array,
    batch_rows,
    choice,
    class_labels,
    finite,
    matrix,
    real_numbers,
    whole,
    whole_labels,
)

GRAM_ENTRIES = 2**16  # inner products held at once: half a MB, which stays in the cache
SINGLE_THREAD_PRODUCTS = 2**18  # multiplications up to which OpenBLAS stays in one thread
LARGEST_ENUMERATION = 2 * 10**7  # counts of all multisets over all points: 160 MB, a few times
FORMS = ("out", "in")
SMALLEST_EXPONENT = -600.0  # below it, exponentials are near to vanish in float64


def sc_loss_batch(representations: ArrayLike, labels: ArrayLike) -> float:
    """SC loss of one batch, summed over its anchors.

    −Σ_i 1[l_{y_i} > 1]/(l_{y_i} − 1)·Σ_{j ≠ i, y_j = y_i} log(exp⟨z_i, z_j⟩ / Σ_{k ≠ i} exp⟨z_i, z_k⟩).

    Args:
        representations: z, the rows of the batch as they come (duplicates repeat their row), shape (b, h).
        labels: y, whole numbers, shape (b,).

    Returns:
        The loss; an anchor that is alone in its class contributes 0.

    Reference: Definition 2 of the paper.
    """
    representations = matrix("representations", representations)
    return float(sc_loss_batches(representations, labels, np.arange(len(representations))[None])[0])


def sc_loss_batches(
    representations: ArrayLike, labels: ArrayLike, indices: ArrayLike, *, form: Literal["out", "in"] = "out"
) -> np.ndarray:
    """SC loss of many batches, each summed over its anchors (`sc_loss_batch`).

    With the form `in` the logarithm stands outside the mean over the positives of an anchor. By Jensen's inequality
    that is at most the form `out`. It has the same least value: an anchor's loss is at least
    log(l_y − 1 + Σ exp(⟨z_i, z_k⟩ − ρ²)) over the points k of other classes, which is convex in the Gram matrix.

    Args:
        representations: z, float32 or float64, shape (N, h).
        labels: y, whole numbers, shape (N,).
        indices: rows of `representations` in each batch, duplicates allowed, shape (R, b).
        form: `out`, the paper's, or `in`.

    Returns:
        The losses, computed in float64, shape (R,). Memory stays bounded by a few blocks of 2¹⁶ inner products.

    Reference: Definition 2 of the paper; Equations 2 and 3 of Khosla et al. 2020 for both forms.
    """
    choice("form", form, FORMS)
    representations = matrix("representations", representations, dtype=None)
    labels, indices = whole_labels(labels, len(representations)), batch_rows(indices)
    labels = np.unique(labels, return_inverse=True)[1]
    labels = labels.astype(np.min_scalar_type(len(labels)))  # comparing short integers takes a quarter of the time
    num_batches, batch_size = indices.shape
    batches = max(1, GRAM_ENTRIES // batch_size**2)
    anchors = min(batch_size, max(1, GRAM_ENTRIES // batch_size))
    # Exponentials of such inner products neither overflow nor vanish, so that no row needs a shift.
    squares = np.einsum("nh,nh->n", representations, representations, dtype=np.float64)
    moderate = bool(2 * squares.max(initial=0.0) < -SMALLEST_EXPONENT)
    losses = np.zeros(num_batches)
    for start in range(0, num_batches, batches):
        part = slice(start, start + batches)
        points = representations[indices[part]].astype(np.float64, copy=False)
        classes = labels[indices[part]]
        for first in range(0, batch_size, anchors):
            rows = slice(first, min(first + anchors, batch_size))
            inner = points[:, rows] @ points.transpose(0, 2, 1)
            same = classes[:, rows, None] == classes[:, None, :]
            itself = (slice(None), np.arange(rows.stop - first), np.arange(first, rows.stop))
            same[itself] = False
            positives = same.sum(axis=2)
            if not moderate:
                inner[itself] = -np.inf
                inner -= inner.max(axis=2, keepdims=True)  # a loss has only differences of an anchor's inner products
            inner[itself] = 0.0
            if form == "out":
                attraction = np.einsum("rij,rij->ri", inner, same) / np.maximum(positives, 1)
            else:
                attraction = _log_mean_exp(inner, same, positives)
            np.exp(inner, out=inner)
            inner[itself] = 0.0
            losses[part] += np.sum(np.log(inner.sum(axis=2)) - attraction, axis=1, where=positives > 0)
    return losses


def _log_mean_exp(inner: np.ndarray, same: np.ndarray, positives: np.ndarray) -> np.ndarray:
    """log of the mean of exp of the inner products of positives, by anchor; 0 for one without."""
    largest = np.max(inner, axis=2, where=same, initial=-np.inf)
    largest = np.where(positives > 0, largest, 0.0)
    total = np.sum(np.exp(np.minimum(inner - largest[:, :, None], 0.0)), axis=2, where=same)
    return largest + np.log(np.where(positives > 0, total / np.maximum(positives, 1), 1.0))


class AllBatches:
    """The exact SC objective of a small configuration: the mean loss over all multisets of b of its N points.

    A multiset is a vector of counts over the points. An anchor i sees the other b − 1 members of its batch; going
    through all multisets c of size b − 1 as those others, batch c + e_i counts the anchor c_i + 1 times, and
    Σ_k c_k·exp⟨z_i, z_k⟩ is one matrix product for all of them.

    Attributes:
        labels: y, shape (N,).
        batch_size: b.
        batches: counts of every multiset over the points, float64, shape (M, N), M = C(N+b−1, b).
        label_counts: its counts over the classes, int64, shape (M, K).

    Reference: Definition 2 and Fig. 6 of the paper.
    """

    def __init__(self, labels: ArrayLike, batch_size: int) -> None:
        """Enumerate the batches.

        Args:
            labels: y in 0 … K−1, each class with a point, shape (N,).
            batch_size: b ≥ 3.

        Raises:
            ValueError: labels or batch size out of range, or multisets whose counts would not fit into memory.
        """
        self.labels, class_sizes = class_labels(labels, as_array(labels).size)
        self.batch_size = whole("batch size", batch_size, 3)
        num_points = len(self.labels)
        number = math.comb(num_points + self.batch_size - 1, self.batch_size)
        if number * num_points > LARGEST_ENUMERATION:
            raise ValueError(
                f"{num_points} points have {number} multisets of size {self.batch_size}, too many to sum over all of "
                "them; take fewer points or a smaller batch"
            )
        membership = np.eye(len(class_sizes))[self.labels]
        self.batches = _multisets(num_points, self.batch_size)
        self.label_counts = np.rint(self.batches @ membership).astype(np.int64)
        self._others = _multisets(num_points, self.batch_size - 1)
        positives = (self._others @ membership)[:, self.labels]  # of each anchor, among the others
        self._anchor_weights = np.where(positives > 0, self._others + 1, 0.0) / number
        pulls = self._anchor_weights / np.maximum(positives, 1)
        same = self.labels[:, None] == self.labels[None, :]
        self._attraction = same * sum(pulls[rows].T @ self._others[rows] for rows in self._blocks())

    def losses(self, points: ArrayLike) -> np.ndarray:
        """SC loss of every batch, summed over its anchors.

        Args:
            points: z, shape (N, h).

        Returns:
            The losses in the order of `batches` and `label_counts`, shape (M,).
        """
        inner = self._inner_products(points)
        losses = np.zeros(len(self.batches))
        for anchor, label in enumerate(self.labels):
            chosen = np.flatnonzero((self.batches[:, anchor] > 0) & (self.label_counts[:, label] > 1))
            others = self.batches[chosen]
            others[:, anchor] -= 1
            positive = others * (self.labels == label)
            attraction = positive @ inner[anchor] / positive.sum(axis=1)
            losses[chosen] += (others[:, anchor] + 1) * (_log_sum(others, inner[anchor]) - attraction)
        return losses

    def mean_loss(self, points: ArrayLike) -> float:
        """Mean over all batches of the SC loss, each summed over its anchors.

        Args:
            points: z, shape (N, h).
        """
        return self.mean_loss_and_gradient(points)[0]

    def mean_loss_and_gradient(self, points: ArrayLike) -> tuple[float, np.ndarray]:
        """Mean over all batches of the SC loss, each summed over its anchors, and its gradient.

        Args:
            points: z, shape (N, h).

        Returns:
            The mean loss, and its gradient with respect to the points as free vectors, shape (N, h).
        """
        inner = self._inner_products(points)
        loss = -np.sum(self._attraction * inner)
        inner_gradient = -self._attraction
        if inner.min() > SMALLEST_EXPONENT:
            exponentials = np.exp(inner)
            shares = np.zeros_like(inner)
            for rows in self._blocks():
                others, weights = self._others[rows], self._anchor_weights[rows]
                sums = others @ exponentials.T
                shares += (weights / sums).T @ others
                loss += np.sum(weights * np.log(sums))
            inner_gradient += shares * exponentials
        else:
            for anchor, weights in enumerate(self._anchor_weights.T):
                log_sums = _log_sum(self._others, inner[anchor])
                loss += weights @ log_sums
                exponents = np.minimum(inner[anchor] - log_sums[:, None], 0.0)  # above 0 only at points of count 0
                inner_gradient[anchor] += weights @ (self._others * np.exp(exponents))
        return float(loss), (inner_gradient + inner_gradient.T) @ real_numbers(points)

    def _blocks(self) -> Iterator[slice]:
        """Rows of `_others` in blocks that stay in cache and that BLAS multiplies in one thread.

        For products of so few columns more threads cost more than they save, and short sums round less.
        """
        size = max(1, SINGLE_THREAD_PRODUCTS // len(self.labels) ** 2)
        return (slice(start, start + size) for start in range(0, len(self._others), size))

    def _inner_products(self, points: ArrayLike) -> np.ndarray:
        """⟨z_i, z_j⟩ less the largest one of row i, shape (N, N)."""
        points = finite("points", matrix("points", points))
        if len(points) != len(self.labels):
            raise ValueError(f"{len(self.labels)} labels need as many points, got {len(points)}")
        inner = points @ points.T
        return inner - inner.max(axis=1, keepdims=True)  # each anchor's loss has only differences of its row


def _log_sum(counts: np.ndarray, inner: np.ndarray) -> np.ndarray:
    """log Σ_k c_k·exp(s_k) for counts (M, N) and inner products (N,)."""
    largest = np.where(counts > 0, inner, -np.inf).max(axis=1)
    return largest + np.log(np.sum(counts * np.exp(np.minimum(inner - largest[:, None], 0)), axis=1))


def _multisets(num_points: int, size: int) -> np.ndarray:
    """Counts of all multisets of `size` out of `num_points`, shape (C(num_points+size−1, size), num_points)."""
    # Stars and bars, one point after another: `left` is what the remaining points still have to take.
    counts, left = np.zeros((1, 0)), np.array([size])
    for _ in range(num_points - 1):
        repeats = left + 1
        taken = np.arange(repeats.sum()) - np.repeat(np.cumsum(repeats) - repeats, repeats)
        counts = np.column_stack([np.repeat(counts, repeats, axis=0), taken])
        left = np.repeat(left, repeats) - taken
    return np.column_stack([counts, left]).astype(np.float64)
