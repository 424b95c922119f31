"""Figure 5: the configurations that minimise the loss of single batches, by the batch's label counts."""

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import rcParams
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from simplexlab.figures.style import (
    CLASS_COLORS,
    MUTED_COLOR,
    THEORY_LINE,
    class_color,
    draw_disc,
    new_figure,
    thin,
)
from simplexlab.geometry import regular_simplex
from simplexlab.geometry.similarity import unit_vectors
from simplexlab.theory import composition_value, sc_floor_of_composition
from simplexlab.toy import minimise_batch

TITLE = "No configuration is best for every batch"
LABEL_COUNTS = ((7, 2, 0), (6, 2, 1), (5, 3, 1), (4, 4, 1), (7, 1, 1), (5, 2, 2), (3, 3, 3))
MOST_COLUMNS = 4
LARGEST_BATCH = 64
PLANE_CLASSES = 3  # classes of which a regular simplex exists in the plane
FIRST_UP = np.array([[0, 1], [-1, 0]])  # carries (1, 0) to (0, 1)
COINCIDENT = 0.02  # points closer than this are drawn as one, with their number


def batches(label_counts: Sequence[Sequence[int]] = LABEL_COUNTS, seed: int = 0, starts: int = 8) -> dict[str, Any]:
    """The best configuration on the unit circle for batches of given label counts.

    Up to three classes in a batch it is the optimum of a convex program, with a certificate. For more there is no such
    program in the plane: they get the best that gradient descent finds, and the certificate of all dimensions.

    Args:
        label_counts: for each batch its points of every class; a class may be absent.
        seed: of the random starts of gradient descent.
        starts: random starts of each such batch.

    Raises:
        ValueError: counts that make no batch, or one that is too large to draw.
    """
    return {
        "figure": 5,
        "title": TITLE if len(label_counts) > 1 else "The configuration that is best for one batch",
        "seed": seed,
        "starts": starts,
        "batches": [_batch(counts, seed, starts) for counts in label_counts],
    }


def draw(numbers: dict[str, Any]) -> tuple[Figure, str]:
    """Draw `batches`; returns the figure and its caption."""
    found = numbers["batches"]
    columns = min(MOST_COLUMNS, len(found))
    rows = math.ceil(len(found) / columns)
    figure = new_figure(7.0 * max(columns, 2) / MOST_COLUMNS, 2.45 * rows + 0.3, numbers["title"])
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).ravel()
    for axes, batch in zip(panels, found, strict=False):
        _draw_batch(axes, batch)
    for axes in panels[len(found) :]:
        axes.set_axis_off()
    if len(found) < len(panels):
        handles = [
            Line2D([], [], color=class_color(label), marker="o", linestyle="none", label=f"class {label + 1}")
            for label in range(max(len(batch["label_counts"]) for batch in found))
        ]
        simplex = Line2D([], [], **THEORY_LINE | {"linewidth": thin(), "color": MUTED_COLOR}, label="regular simplex")
        panels[-1].legend(handles=[*handles, simplex], loc="center")
    sizes = sorted({batch["batch_size"] for batch in found})
    caption = (
        f"Points on the unit circle that minimise the supervised contrastive loss of one batch (b = "
        f"{', '.join(map(str, sizes))}; temperature 1, sum over anchors), by the batch's label counts: "
        f"{_provenance(found, numbers['starts'])} Numbers: how many points of a class lie there. Dashed: the regular "
        "simplex and the loss it takes on the same batch, which a single batch may undercut though the mean over all "
        "batches may not."
    )
    return figure, caption


def _batch(label_counts: Sequence[int], seed: int, starts: int) -> dict[str, Any]:
    counts = [int(count) for count in label_counts]
    if not 2 <= len(counts) <= len(CLASS_COLORS) or min(counts) < 0:
        raise ValueError(f"the label counts {counts} must be 2 to {len(CLASS_COLORS)} whole numbers of at least 0")
    if sum(counts) > LARGEST_BATCH:
        raise ValueError(f"the label counts {counts} are {sum(counts)} points; at most {LARGEST_BATCH} are drawn")
    labels = np.repeat(np.arange(len(counts)), counts)
    floor = sc_floor_of_composition(counts, radius=1.0)
    exact = np.count_nonzero(counts) <= PLANE_CLASSES
    if exact:
        means = np.zeros((len(counts), 2))
        means[:, : floor.points.shape[1]] = floor.points[:, :2]
        points, loss = means[labels], floor.value
    else:
        points, labels, loss = minimise_batch(counts, seed=seed, starts=starts)
    points = points @ _first_class_up(_class_means(points, labels, len(counts)))
    simplex = regular_simplex(len(counts), 2) @ FIRST_UP if len(counts) <= 3 else None
    return {
        "label_counts": counts,
        "batch_size": sum(counts),
        "points": points.tolist(),
        "labels": labels.tolist(),
        "loss": loss,
        "certificate": floor.certificate,
        "exact": exact and floor.is_exact,
        "simplex_loss": None if simplex is None else float(composition_value(counts, 1.0)),
        "simplex": None if simplex is None else simplex.tolist(),
    }


def _provenance(found: list[dict[str, Any]], starts: int) -> str:
    """How the configurations were found, and how far below them a better one could be."""
    words = []
    exact = [batch["loss"] - batch["certificate"] for batch in found if batch["exact"]]
    searched = [batch["loss"] - batch["certificate"] for batch in found if not batch["exact"]]
    if exact:
        words.append(f"a convex program, whose certificates leave at most {max(max(exact), 1e-12):.0e} below.")
    if searched:
        words.append(
            f"{'of more than three classes ' if exact else ''}gradient descent, best of {starts} random starts; the "
            f"certificate of all dimensions leaves {max(searched):.2g} below."
        )
    return " ".join(words)


def _class_means(points: np.ndarray, labels: np.ndarray, num_classes: int) -> np.ndarray:
    """Mean of each class, 0 where there is none."""
    sums = np.zeros((num_classes, 2))
    np.add.at(sums, labels, points)
    return sums / np.maximum(np.bincount(labels, minlength=num_classes), 1)[:, None]


def _first_class_up(means: np.ndarray) -> np.ndarray:
    """The rotation or reflection that turns the first class upward and the next one beside it to the left."""
    across, upward = unit_vectors(means[np.argmax(means.any(axis=1))])
    turn = np.array([[upward, across], [-across, upward]])
    aside = (means @ turn)[:, 0]
    off_axis = np.flatnonzero(np.abs(aside) > COINCIDENT)
    return turn * [-1, 1] if len(off_axis) and aside[off_axis[0]] > 0 else turn


def _draw_batch(axes: Axes, batch: dict[str, Any]) -> None:
    draw_disc(axes, 1.5)
    if batch["simplex"] is not None:
        corners = np.array([*batch["simplex"], batch["simplex"][0]])
        axes.plot(*corners.T, **THEORY_LINE | {"linewidth": thin(), "color": MUTED_COLOR})
    for place, numbers in _clusters(np.array(batch["points"]), np.array(batch["labels"])):
        # Classes that share a place: one marker inside the other, their numbers side by side.
        sideways = np.array([-place[1], place[0]])
        for order, (label, number) in enumerate(numbers.items()):
            size = rcParams["lines.markersize"] * (1 + 0.9 * (len(numbers) - 1 - order))
            axes.plot(*place, "o", color=class_color(label), markeredgecolor="white", markersize=size, zorder=4)
            shift = 0.28 * (order - (len(numbers) - 1) / 2)
            axes.text(
                *(1.28 * place + shift * sideways),
                number,
                color=class_color(label),
                ha="center",
                va="center",
                fontweight="bold",
            )
    simplex = "no simplex" if batch["simplex_loss"] is None else f"simplex {batch['simplex_loss']:.4f}"
    axes.set_title(f"({', '.join(map(str, batch['label_counts']))})", loc="center")
    axes.set_xlabel(f"loss {batch['loss']:.4f}\n{simplex}")


def _clusters(points: np.ndarray, labels: np.ndarray) -> list[tuple[np.ndarray, Counter[int]]]:
    """Where points coincide, and how many of each class lie there."""
    left = list(range(len(points)))
    clusters = []
    while left:
        near = [row for row in left if np.linalg.norm(points[row] - points[left[0]]) < COINCIDENT]
        classes, numbers = np.unique(labels[near], return_counts=True)
        clusters.append(
            (unit_vectors(points[near].mean(axis=0)), dict(zip(classes.tolist(), numbers.tolist(), strict=True)))
        )
        left = [row for row in left if row not in near]
    return clusters
