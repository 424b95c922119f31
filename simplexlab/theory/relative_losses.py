"""The losses over pairs and triplets that SC stands beside, of given points and batches, in float64."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike

from simplexlab.geometry.checks import batch_rows, matrix, not_negative, positive, whole_labels

PAIR_ENTRIES = 2**20  # pairs held at once
ALL_PAIRS = 2**25  # pairs up to which the uniformity is summed over all of them
BATCH_ENTRIES = 2**18  # pairs of the batches that are held at once


def alignment_uniformity_loss(
    points: ArrayLike,
    labels: ArrayLike,
    weight: float,
    *,
    scale: float = 2.0,
    generator: np.random.Generator | None = None,
) -> tuple[float, float | None]:
    """a·mean over positive pairs of ‖z_i − z_j‖² + log mean over all pairs of exp(−t·‖z_i − z_j‖²), pairs i ≠ j.

    Args:
        points: z, float32 or float64, shape (N, h).
        labels: y, whole numbers, shape (N,).
        weight: a ≥ 0.
        scale: t > 0.
        generator: draws the points whose pairs with all others stand for all pairs where those are more than 2²⁵;
            without one all pairs are summed.

    Returns:
        The loss, and the standard error of what was drawn, None where nothing was.

    Reference: Wang and Isola 2020.
    """
    points = matrix("points", points, dtype=None)
    labels, size = whole_labels(labels, len(points)), len(points)
    weight, scale = not_negative("weight", weight), positive("scale", scale)
    points = points.astype(np.float64, copy=False)
    norms = np.sum(points**2, axis=1)
    counts = np.bincount(labels)
    sums = np.zeros((len(counts), points.shape[1]))
    np.add.at(sums, labels, points)
    # Σ_{i≠j} ‖z_i − z_j‖² over a class is 2n·Σ‖z_i‖² − 2·‖Σz_i‖²; about the means it does not cancel.
    deviations = points - (sums / np.maximum(counts, 1)[:, None])[labels]
    squares = 2 * np.bincount(labels, np.sum(deviations**2, axis=1)) @ counts
    positives = counts @ (counts - 1)
    rows = np.arange(size)
    if generator is not None and size**2 > ALL_PAIRS:
        rows = generator.choice(size, max(2, ALL_PAIRS // size), replace=False)
    means = np.zeros(len(rows))
    block = max(1, PAIR_ENTRIES // size)
    for start in range(0, len(rows), block):
        part = rows[start : start + block]
        distances = norms[part, None] + norms[None, :] - 2 * points[part] @ points.T
        kernel = np.exp(-scale * np.maximum(distances, 0.0))
        kernel[np.arange(len(part)), part] = 0.0
        means[start : start + len(part)] = kernel.sum(axis=1) / (size - 1)
    loss = weight * squares / max(int(positives), 1) + np.log(means.mean())
    error = None if len(rows) == size else float(means.std(ddof=1) / means.mean() / np.sqrt(len(rows)))
    return float(loss), error


def n_pairs_losses(points: ArrayLike, labels: ArrayLike, indices: ArrayLike) -> np.ndarray:
    """Multi-class N-pair loss of many batches, each the mean over its samples.

    Each batch is cut into tuplets: the first two samples of each class in the first, the third and fourth in the
    second, … In a tuplet a sample z_c with the partner z'_c has log(1 + Σ_{d≠c} exp(⟨z_c, z'_d⟩ − ⟨z_c, z'_c⟩)); one
    without a partner has 0.

    Args:
        points: z, float32 or float64, shape (N, h).
        labels: y, whole numbers, shape (N,).
        indices: rows of `points` in each batch, shape (R, b).

    Returns:
        The losses, float64, shape (R,).

    Reference: Sohn 2016.
    """
    losses = []
    for _, inner, classes in _batches(points, labels, indices):
        same = classes[:, :, None] == classes[:, None, :]
        rank = np.sum(np.tril(same, -1), axis=2)
        whole = rank < 2 * (same.sum(axis=2) // 2)
        opposite = (rank // 2)[:, :, None] == (rank // 2)[:, None, :]
        opposite &= (rank % 2)[:, :, None] != (rank % 2)[:, None, :]
        own = np.einsum("rij,rij->ri", inner, opposite & same)
        exponents = np.where(opposite & ~same & whole[:, None, :], inner - own[:, :, None], -np.inf)
        values = np.logaddexp(0.0, np.logaddexp.reduce(exponents, axis=2))
        losses.append(np.mean(np.where(whole, values, 0.0), axis=1))
    return np.concatenate(losses)


def triplet_losses(points: ArrayLike, labels: ArrayLike, indices: ArrayLike, margin: float) -> np.ndarray:
    """Triplet loss of many batches, each the mean over its anchors of the mean over their triplets.

    (‖z_i − z_j‖² − ‖z_i − z_k‖² + m)₊ over positives j ≠ i and negatives k; 0 for an anchor without either.

    Args:
        points: z, float32 or float64, shape (N, h).
        labels: y, whole numbers, shape (N,).
        indices: rows of `points` in each batch, shape (R, b).
        margin: m ≥ 0.

    Returns:
        The losses, float64, shape (R,).

    Reference: Schroff et al. 2015.
    """
    margin = not_negative("margin", margin)
    losses = []
    for squares, _, classes in _batches(points, labels, indices):
        same = classes[:, :, None] == classes[:, None, :]
        itself = np.eye(classes.shape[1], dtype=bool)
        values = np.zeros(classes.shape)
        for batch, anchor in np.argwhere((same.sum(axis=2) > 1) & ~same.all(axis=2)):
            row, own = squares[batch, anchor], same[batch, anchor]
            excess = row[own & ~itself[anchor]][:, None] - row[~own][None, :] + margin
            values[batch, anchor] = np.maximum(excess, 0.0).mean()
        losses.append(values.mean(axis=1))
    return np.concatenate(losses)


def soft_nearest_neighbour_losses(
    points: ArrayLike, labels: ArrayLike, indices: ArrayLike, temperature: float
) -> np.ndarray:
    """Soft nearest neighbour loss of many batches, each the mean over its anchors.

    −log of the share of Σ_{k≠i} exp(−‖z_i − z_k‖²/T) that the anchor's class has; 0 for an anchor that is alone in it.

    Args:
        points: z, float32 or float64, shape (N, h).
        labels: y, whole numbers, shape (N,).
        indices: rows of `points` in each batch, shape (R, b).
        temperature: T > 0.

    Returns:
        The losses, float64, shape (R,).

    Reference: Frosst et al. 2019.
    """
    temperature = positive("temperature", temperature)
    losses = []
    for squares, _, classes in _batches(points, labels, indices):
        logits = -squares / temperature
        same = classes[:, :, None] == classes[:, None, :]
        own = np.logaddexp.reduce(np.where(same & ~np.eye(classes.shape[1], dtype=bool), logits, -np.inf), axis=2)
        others = np.logaddexp.reduce(np.where(same, -np.inf, logits), axis=2)
        anchors = same.sum(axis=2) > 1
        values = np.logaddexp(0.0, np.where(anchors, others, -np.inf) - np.where(anchors, own, 0.0))
        losses.append(np.mean(values, axis=1))
    return np.concatenate(losses)


def _batches(
    points: ArrayLike, labels: ArrayLike, indices: ArrayLike
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Squared distances and inner products (r, b, b) and labels (r, b) of some batches after the other."""
    points = matrix("points", points, dtype=None)
    labels, indices = whole_labels(labels, len(points)), batch_rows(indices)
    block = max(1, BATCH_ENTRIES // indices.shape[1] ** 2)
    for start in range(0, len(indices), block):
        rows = indices[start : start + block]
        batch = points[rows].astype(np.float64, copy=False)
        inner = batch @ batch.transpose(0, 2, 1)
        norms = np.sum(batch**2, axis=2)
        squares = np.maximum(norms[:, :, None] + norms[:, None, :] - 2 * inner, 0.0)
        yield squares, inner, labels[rows]
