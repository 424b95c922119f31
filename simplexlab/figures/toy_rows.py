"""Figure 1: two toy runs over time, the supervised contrastive loss above cross-entropy."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rcParams
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from simplexlab.errors import UsageError
from simplexlab.figures.style import (
    CLASS_COLORS,
    THEORY_LINE,
    class_color,
    draw_disc,
    new_figure,
    scientific,
    thin,
)
from simplexlab.geometry import align_procrustes, regular_simplex
from simplexlab.geometry.similarity import unit_vectors
from simplexlab.runs import list_geometry, read_geometry, read_metrics, read_run
from simplexlab.toy import Toy, run_toy

TITLE = "Each class collapses to a vertex of a regular simplex"
TITLE_WITHOUT_SIMPLEX = "Each class collapses to a point"
LABELS = {"sc": "contrastive loss", "ce": "cross-entropy"}
SHARES = (1.0, 0.6, 0.25, 0.03, 0.0)  # of the first excess: the frames that are shown
SMALLEST_EXCESS = 1e-12  # below it, rounding


def toy_rows(contrastive: Path | None = None, cross_entropy: Path | None = None, seed: int = 0) -> dict[str, Any]:
    """The frames and the loss of a toy run of each loss.

    Args:
        contrastive: run folder of `simplexlab toy sc` in two dimensions; None runs the settings of Fig. 1.
        cross_entropy: run folder of `simplexlab toy ce` in two dimensions; None runs the settings of Fig. 1.
        seed: of the toys that are run.

    Raises:
        UsageError: a folder holds no such run.
    """
    with tempfile.TemporaryDirectory() as scratch:
        rows = []
        for loss, folder in (("sc", contrastive), ("ce", cross_entropy)):
            if folder is None:
                result = run_toy(Toy(loss=loss, evaluate_every=5, seed=seed, run_dir=scratch))
                folder = Path(scratch, result["run"])
            rows.append(_row(folder, loss))
    has_simplices = all(row["simplex"] is not None for row in rows)
    return {"figure": 1, "title": TITLE if has_simplices else TITLE_WITHOUT_SIMPLEX, "rows": rows}


def draw(numbers: dict[str, Any]) -> tuple[Figure, str]:
    """Draw `toy_rows`; returns the figure and its caption."""
    figure = new_figure(7.0, 3.2, numbers["title"])
    columns = max(len(row["frames"]) for row in numbers["rows"])
    panels = figure.subplots(2, columns + 1, squeeze=False, width_ratios=[1] * columns + [1.1])
    for row, line in zip(numbers["rows"], panels, strict=True):
        limit = 1.15 * max(
            [1.0, *(np.linalg.norm(frame["weights"] or [[0, 0]], axis=1).max() for frame in row["frames"])]
        )
        for axes, frame in zip(line, row["frames"], strict=False):
            _draw_frame(axes, frame, limit)
            axes.tick_params(labelleft=axes is line[0], left=axes is line[0])
        for axes in line[len(row["frames"]) : -1]:
            axes.set_axis_off()
        line[0].set_ylabel(row["label"])
        if row["simplex"] is not None:
            corners = np.array([*row["simplex"], row["simplex"][0]])
            line[len(row["frames"]) - 1].plot(*corners.T, **THEORY_LINE | {"linewidth": thin()})
        _draw_excess(line[-1], row)
    panels[-1, -1].set_xlabel("step")
    contrastive, cross_entropy = numbers["rows"]
    missing = sorted({row["classes"] for row in numbers["rows"] if row["simplex"] is None})
    caption = (
        f"Free points in two dimensions. Top: supervised contrastive loss (τ = {contrastive['temperature']:g}) over "
        f"{_sizes(contrastive)} on the circle, drawn with radius 1. Bottom: cross-entropy + λ‖W‖² (λ = "
        f"{cross_entropy['weight_decay']:g}) over {_sizes(cross_entropy)} in the unit disc and weights; rays show the "
        "weights, grey discs their ends. Dashed: the regular simplex"
        + (f", which does not exist for K = {' and '.join(map(str, missing))} > 3" if missing else "")
        + ". Right: the excess of the loss (contrastive: sum over anchors) over its bound, Theorem 2 and Corollary 2; "
        f"it ends at {scientific(contrastive['excesses'][-1])} and {scientific(cross_entropy['excesses'][-1])}."
    )
    return figure, caption


def _sizes(row: dict[str, Any]) -> str:
    return f"{row['classes']} classes of {row['points_per_class']} points"


def _row(folder: Path, loss: str) -> dict[str, Any]:
    run = read_run(folder)
    experiment = run.config.get("experiment", {})
    if run.config.get("kind") != "toy" or experiment.get("loss") != loss or experiment.get("dimension") != 2:
        raise UsageError(f"{folder} is no run of `simplexlab toy {loss}` in two dimensions")
    lines = [line for line in read_metrics(folder) if line["iteration"] in set(list_geometry(folder))]
    if len(lines) < 2:
        raise UsageError(f"the run {folder} has recorded {len(lines)} frames; the figure needs two")
    radius = Toy(loss=loss, temperature=experiment["temperature"]).radius
    frames = [_frame(folder, line, radius) for line in _chosen(lines)]
    classes = experiment["classes"]
    return {
        "loss": loss,
        "label": LABELS[loss],
        "run": run.name,
        "command": run.config.get("command"),
        "classes": classes,
        "points_per_class": experiment["points_per_class"],
        "temperature": experiment["temperature"],
        "weight_decay": experiment["weight_decay"],
        "iterations": [line["iteration"] for line in lines],
        "losses": [line["loss"] for line in lines],
        "excesses": [line["excess"] for line in lines],
        "bound": lines[-1]["bound"],
        "frames": frames,
        "simplex": _simplex(classes, np.array(frames[-1]["class_means"])),
    }


def _chosen(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The evaluations whose excess is nearest to each of `SHARES` of the way from the last excess to the first."""
    excesses = np.array([line["excess"] for line in lines])
    targets = excesses[-1] + np.array(SHARES) * (excesses[0] - excesses[-1])
    rows = {int(np.argmin(np.abs(excesses - target))) for target in targets[1:-1]}
    return [lines[row] for row in sorted({0, *rows, len(lines) - 1})]


def _frame(folder: Path, line: dict[str, Any], radius: float) -> dict[str, Any]:
    arrays = read_geometry(folder, line["iteration"])
    return {
        "iteration": line["iteration"],
        "loss": line["loss"],
        "excess": line["excess"],
        "points": (arrays["sample"] / radius).tolist(),
        "labels": arrays["sample_labels"].tolist(),
        "class_means": (arrays["class_means"] / radius).tolist(),
        "weights": arrays["weights"].tolist() if "weights" in arrays else None,
    }


def _simplex(classes: int, class_means: np.ndarray) -> list[list[float]] | None:
    """The regular simplex on the unit circle, turned towards the class means; None where there is none."""
    if classes > 3:
        return None
    return unit_vectors(align_procrustes(regular_simplex(classes, 2), class_means)).tolist()


def _draw_frame(axes: Axes, frame: dict[str, Any], limit: float) -> None:
    draw_disc(axes, limit)
    points, labels = np.array(frame["points"]), np.array(frame["labels"])
    mixed = np.random.default_rng(0).permutation(len(points))  # so that no class hides the others
    colors = [class_color(label) for label in labels[mixed]]
    size = rcParams["lines.markersize"]
    axes.scatter(*points[mixed].T, c=colors, s=size**2 / 3, alpha=0.7, linewidths=0, zorder=3)
    for label, weight in enumerate(frame["weights"] or []):
        axes.plot(*np.transpose([[0, 0], weight]), color=class_color(label), zorder=3.5, linewidth=thin())
        axes.plot(*weight, "o", color="#9A9A9A", markeredgecolor=class_color(label), markersize=0.7 * size, zorder=4)
    axes.set_title(f"step {frame['iteration']}", loc="center")


def _draw_excess(axes: Axes, row: dict[str, Any]) -> None:
    excesses = np.maximum(row["excesses"], SMALLEST_EXCESS)
    axes.plot(row["iterations"], excesses, color=CLASS_COLORS[0])
    shown = [frame["iteration"] for frame in row["frames"]]
    axes.plot(shown, np.interp(shown, row["iterations"], excesses), "o", color=CLASS_COLORS[0], clip_on=False)
    axes.set(yscale="log", box_aspect=1)
    axes.set_title("excess (nats)", loc="center")
