"""Figure 7: how the angular similarities are distributed under each loss, and the test error."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from simplexlab import geometry
from simplexlab.dataset_name import dataset_title
from simplexlab.errors import UsageError
from simplexlab.figures.style import MUTED_COLOR, THEORY_LINE, new_figure
from simplexlab.figures.time_to_fit import COLORS
from simplexlab.runs import Run
from simplexlab.sweep.curves import LABELS

TITLE = "Geometry of representations and weights, by loss"
STATISTICS = {
    "class_mean_similarity": "of class means",
    "weight_similarity": "of weights",
    "within_class_similarity": "within classes",
}
QUANTILES = ("q05", "q25", "q50", "q75", "q95")


def distributions(runs: Sequence[Run], corrupt: float | None = None) -> dict[str, Any]:
    """The three distributions of angular similarity and the test error of finished runs of one corruption.

    Args:
        runs: training runs; those that have not finished are passed over.
        corrupt: their label corruption; None: the smallest that a finished run has.

    Raises:
        UsageError: no run of that corruption has finished.
    """
    finished = [run for run in runs if run.status.state == "finished" and run.result and "norms" in run.result]
    levels = sorted({run.config["experiment"]["corrupt"] for run in finished})
    if not levels:
        raise UsageError("figure 7 takes finished runs; there is none")
    corrupt = levels[0] if corrupt is None else corrupt
    chosen = [run for run in finished if run.config["experiment"]["corrupt"] == corrupt]
    if not chosen:
        raise UsageError(
            f"--corrupt {corrupt:g}: no finished run has it; there are {', '.join(map('{:g}'.format, levels))}"
        )
    panels: dict[str, list[Run]] = {}
    for run in sorted(chosen, key=lambda run: (list(LABELS).index(run.result["loss"]), run.name)):
        panels.setdefault(run.result["dataset"], []).append(run)
    return {
        "figure": 7,
        "title": TITLE,
        "corrupt": corrupt,
        "panels": [_panel(dataset, members) for dataset, members in panels.items()],
    }


def _panel(dataset: str, runs: list[Run]) -> dict[str, Any]:
    classes = runs[0].result["num_classes"]
    optima = {name: geometry.optimum(classes, name) for name in ("free", "nonnegative")}
    return {
        "dataset": dataset_title(dataset),
        "num_classes": classes,
        "simplex": {key: optima["free"][key] for key in STATISTICS},
        "orthogonal_frame": {key: optima["nonnegative"][key] for key in STATISTICS},
        "runs": [
            {
                "run": run.name,
                "loss": run.result["loss"],
                "seed": run.result["seed"],
                "iteration": run.result["evaluated_at"],
                "nonnegative": run.result["nonnegative"],
                "test_error": run.result["test_error"],
                **{key: run.result[key] for key in STATISTICS},
            }
            for run in runs
        ],
    }


def draw(numbers: dict[str, Any]) -> tuple[Figure, str]:
    """Draw `distributions`; returns the figure and its caption."""
    panels = numbers["panels"]
    figure = new_figure(7.0, 0.6 + 2.4 * len(panels), numbers["title"])
    grid = figure.subplots(len(panels), 4, squeeze=False)
    for row, panel in zip(grid, panels, strict=True):
        for axes, (key, label) in zip(row[:3], STATISTICS.items(), strict=True):
            _draw_boxes(axes, panel, key)
            axes.set_title(f"γ {label}")
        row[0].set_ylabel(f"{panel['dataset']}\nangular similarity γ")
        _draw_errors(row[3], panel)
    # Not below: the caption makes the page that is saved longer at its lower end, which the legend would follow.
    figure.legend(*grid[0, 0].get_legend_handles_labels(), loc="outside right upper")
    return figure, _caption(numbers)


def _draw_boxes(axes: Axes, panel: dict[str, Any], key: str) -> None:
    for position, run in enumerate(panel["runs"]):
        if run[key] is None:
            continue
        low, first, median, third, high = (run[key][quantile] for quantile in QUANTILES)
        box = {"whislo": low, "q1": first, "med": median, "q3": third, "whishi": high, "fliers": []}
        color = COLORS[run["loss"]]
        axes.bxp(
            [box],
            positions=[position],
            widths=0.6,
            patch_artist=True,
            boxprops={"facecolor": color, "alpha": 0.35, "edgecolor": color},
            medianprops={"color": color},
            whiskerprops={"color": color},
            capprops={"color": color},
        )
    axes.axhline(panel["simplex"][key], label="simplex", **THEORY_LINE)
    nonnegative = any(run["nonnegative"] for run in panel["runs"])
    if key == "class_mean_similarity" and nonnegative:
        axes.axhline(panel["orthogonal_frame"][key], color=MUTED_COLOR, linestyle=":", label="ReLU floor")
    _label_losses(axes, panel)


def _draw_errors(axes: Axes, panel: dict[str, Any]) -> None:
    for position, run in enumerate(panel["runs"]):
        axes.plot(position, 100 * run["test_error"], "o", color=COLORS[run["loss"]])
    largest = max(run["test_error"] for run in panel["runs"])
    axes.set(title="test error (%)", ylim=(0, 115 * largest or 1))
    _label_losses(axes, panel)


def _label_losses(axes: Axes, panel: dict[str, Any]) -> None:
    losses = [run["loss"] for run in panel["runs"]]
    present = list(dict.fromkeys(losses))
    ticks = [float(np.mean([index for index, loss in enumerate(losses) if loss == name])) for name in present]
    axes.set_xticks(ticks, [LABELS[name] for name in present])
    axes.set_xlim(-0.7, len(losses) - 0.3)


def _caption(numbers: dict[str, Any]) -> str:
    runs = [run for panel in numbers["panels"] for run in panel["runs"]]
    iterations = sorted({run["iteration"] for run in runs})
    span = f"{iterations[0]}" if len(iterations) == 1 else f"{iterations[0]} to {iterations[-1]}"
    return (
        "Angular similarity γ(x, y) = 1 − arccos(cos(x, y))/π between class means, between the rows of the classifier "
        "(SC trains none) and of training representations with the mean of their class, and the test error; one box "
        "and one point a run. Box: quartiles and median; whiskers: 5 % and 95 %. Dashed: the value at the regular "
        "simplex. Dotted: the least γ between class means that a ReLU encoder can reach, the orthogonal frame. "
        f"{numbers['corrupt']:.0%} of the labels corrupted; each run at its last evaluation (iteration {span})."
    )
