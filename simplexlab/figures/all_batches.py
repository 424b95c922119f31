"""Figure 6: the exact loss over all batches against Theorem 2, and the loss of every batch."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from simplexlab.figures.style import CLASS_COLORS, MUTED_COLOR, THEORY_LINE, new_figure, scientific, thin
from simplexlab.theory import AllBatches, composition_value, sc_bound
from simplexlab.toy import Toy, minimise_all_batches
from simplexlab.toy.configurations import balanced_labels, first_configuration

TITLE = "The loss over all batches reaches its bound"
PAPER = {"theory": "12.12015", "empirical": "12.12016"}


def all_batches(seed: int = 0) -> dict[str, Any]:
    """Minimise the mean SC loss over all 167,960 batches of 9 of 12 points on the circle, and take every batch's loss.

    Args:
        seed: of the first points.
    """
    toy = Toy(loss="sc", all_batches=True, seed=seed).resolve()
    objective = AllBatches(balanced_labels(toy.classes, toy.points_per_class), toy.batch_size)
    points, loss = minimise_all_batches(objective, first_configuration(toy).points, steps=toy.steps)
    losses = objective.losses(points)
    sorted_counts = np.sort(objective.label_counts, axis=1)[:, ::-1]
    compositions, which = np.unique(sorted_counts, axis=0, return_inverse=True)
    levels = [
        {
            "label_counts": counts.tolist(),
            "batches": int(np.sum(which == index)),
            "smallest": float(losses[which == index].min()),
            "largest": float(losses[which == index].max()),
            "simplex": float(composition_value(counts, toy.radius)),
        }
        for index, counts in enumerate(compositions)
    ]
    return {
        "figure": 6,
        "title": TITLE,
        "classes": toy.classes,
        "points_per_class": toy.points_per_class,
        "batch_size": toy.batch_size,
        "radius": toy.radius,
        "seed": seed,
        "batches": len(losses),
        "empirical": loss,
        "theory": sc_bound(
            toy.classes, toy.batch_size, radius=toy.radius, samples_per_class=toy.points_per_class, sampling="multiset"
        ),
        "points": points.tolist(),
        "levels": sorted(levels, key=lambda level: level["simplex"]),
    }


def draw(numbers: dict[str, Any]) -> tuple[Figure, str]:
    """Draw `all_batches`; returns the figure and its caption."""
    figure = new_figure(7.0, 3.4, numbers["title"])
    axes = figure.subplots()
    _draw_histogram(axes, numbers)
    _draw_table(axes, numbers)
    spread = max(abs(level[end] - level["simplex"]) for level in numbers["levels"] for end in ("smallest", "largest"))
    caption = (
        f"The supervised contrastive loss, summed over anchors, of all {numbers['batches']:,} batches (multisets) of "
        f"{numbers['batch_size']} out of {numbers['classes']} × {numbers['points_per_class']} points on the unit "
        "circle, where their mean is smallest (minimised from random points). The loss of a batch depends on its label "
        f"counts: it is within {scientific(spread)} of what the regular simplex takes on the same counts. Table: the "
        "mean, the bound of Theorem 2, and both as the paper prints them."
    )
    return figure, caption


def _draw_histogram(axes: Axes, numbers: dict[str, Any]) -> None:
    levels = numbers["levels"]
    for present in range(numbers["classes"], 0, -1):
        chosen = [level for level in levels if np.count_nonzero(level["label_counts"]) == present]
        axes.bar(
            [(level["smallest"] + level["largest"]) / 2 for level in chosen],
            [level["batches"] for level in chosen],
            width=0.08,
            color=CLASS_COLORS[numbers["classes"] - present],
            label=f"{present} class{'es' if present > 1 else ''} in the batch",
        )
    for level in levels:
        axes.annotate(
            ", ".join(map(str, level["label_counts"])),
            (level["simplex"], level["batches"]),
            xytext=(0, 3),
            textcoords="offset points",
            rotation=90,
            ha="center",
            va="bottom",
            fontsize="x-small",
        )
    axes.axvline(numbers["theory"], label="mean: Theorem 2", **THEORY_LINE | {"linewidth": thin()})
    axes.set(yscale="log", ylim=(300, 2e6), xlabel="loss of a batch (nats, sum over anchors)", ylabel="batches")
    axes.set_title(f"All {numbers['batches']:,} batches by label counts")
    axes.legend(loc="upper right")


def _draw_table(axes: Axes, numbers: dict[str, Any]) -> None:
    rows = [
        ("Theorem 2", f"{numbers['theory']:.7f}", "black"),
        ("optimised", f"{numbers['empirical']:.7f}", "black"),
        ("paper: theory", PAPER["theory"], MUTED_COLOR),
        ("paper: SGD", PAPER["empirical"], MUTED_COLOR),
    ]
    for row, (name, value, color) in enumerate(rows):
        for place, text, side in ((0.25, name, "left"), (0.62, value, "right")):
            axes.text(place, 0.93 - 0.083 * row, text, color=color, ha=side, va="center", transform=axes.transAxes)
