"""Figure 7: how the angular similarities are distributed under each loss, and the test error."""

from collections.abc import Sequence
from statistics import median
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from simplexlab import geometry
from simplexlab.config import flag, format_value
from simplexlab.dataset_name import dataset_title
from simplexlab.errors import UsageError
from simplexlab.figures.style import MUTED_COLOR, THEORY_LINE, new_figure
from simplexlab.figures.time_to_fit import COLORS
from simplexlab.runs import Run
from simplexlab.sweep.curves import LABELS
from simplexlab.sweep.plan import has_option
from simplexlab.sweep.table import varied_options

TITLE = "Geometry of representations and weights, by loss"
STATISTICS = {
    "class_mean_similarity": "of class means",
    "weight_similarity": "of weights",
    "within_class_similarity": "within classes",
}
QUANTILES = ("q05", "q25", "q50", "q75", "q95")
MOST_BOXES = 12  # of a panel: more runs than these share the box of their curve, or else of their loss


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
    boxes = _boxes(runs)
    optima = {name: geometry.optimum(classes, name) for name in ("free", "nonnegative")}
    return {
        "dataset": dataset_title(dataset),
        "num_classes": classes,
        "simplex": {key: optima["free"][key] for key in STATISTICS},
        "orthogonal_frame": {key: optima["nonnegative"][key] for key in STATISTICS},
        "box": "run" if len(boxes) == len(runs) else "curve",
        "boxes": boxes,
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


def _boxes(runs: list[Run]) -> list[dict[str, Any]]:
    """What the boxes show: each run, or where they are many the medians over the runs of a curve, or of a loss."""
    varied = [key for key in varied_options(runs) if key not in ("loss", "corrupt", "seed")]

    def settings(run: Run) -> tuple[str, ...]:
        experiment = run.config["experiment"]
        return tuple(
            f"{flag(key)[2:]} {format_value(experiment.get(key))}"
            for key in varied
            if has_option(run.result["loss"], key)
        )

    for key in (lambda run: run.name, settings, lambda run: ()):
        groups: dict[tuple, list[Run]] = {}
        for run in runs:
            groups.setdefault((run.result["loss"], key(run)), []).append(run)
        if len(groups) <= MOST_BOXES:
            break
    single = len(groups) == len(runs)
    return [
        {
            "loss": loss,
            "label": LABELS[loss] if single or not words else "\n".join([LABELS[loss], *words]),
            "runs": len(members),
            "test_errors": [run.result["test_error"] for run in members],
            **{key: _middle([run.result[key] for run in members]) for key in STATISTICS},
        }
        for (loss, words), members in groups.items()
    ]


def _middle(distributions: list[dict[str, float] | None]) -> dict[str, float] | None:
    """The median over runs of each quantile; None where the runs do not have the distribution."""
    known = [found for found in distributions if found is not None]
    return {name: median(found[name] for found in known) for name in QUANTILES} if known else None


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
    for position, shown in enumerate(panel["boxes"]):
        if shown[key] is None:
            continue
        low, first, middle, third, high = (shown[key][quantile] for quantile in QUANTILES)
        box = {"whislo": low, "q1": first, "med": middle, "q3": third, "whishi": high, "fliers": []}
        color = COLORS[shown["loss"]]
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
    _label_boxes(axes, panel)


def _draw_errors(axes: Axes, panel: dict[str, Any]) -> None:
    for position, shown in enumerate(panel["boxes"]):
        errors = 100 * np.array(shown["test_errors"])
        spread = position + 0.25 * np.linspace(-1, 1, len(errors)) if len(errors) > 1 else [position]
        size = min(1, (MOST_BOXES / len(errors)) ** 0.5) * matplotlib.rcParams["lines.markersize"]
        axes.plot(spread, errors, "o", color=COLORS[shown["loss"]], markersize=size)
        if len(errors) > 1:
            axes.plot([position - 0.3, position + 0.3], [np.median(errors)] * 2, color=COLORS[shown["loss"]])
    largest = max(run["test_error"] for run in panel["runs"])
    axes.set(title="test error (%)", ylim=(0, 115 * largest or 1))
    _label_boxes(axes, panel)


def _label_boxes(axes: Axes, panel: dict[str, Any]) -> None:
    """One label for neighbours that have the same."""
    labels = [shown["label"] for shown in panel["boxes"]]
    present = list(dict.fromkeys(labels))
    ticks = [float(np.mean([index for index, label in enumerate(labels) if label == name])) for name in present]
    crowded = len(present) > 3 or any("\n" in label for label in present)
    axes.set_xticks(ticks, present, rotation=90 if crowded else 0)
    axes.set_xlim(-0.7, len(labels) - 0.3)


def _caption(numbers: dict[str, Any]) -> str:
    runs = [run for panel in numbers["panels"] for run in panel["runs"]]
    iterations = sorted({run["iteration"] for run in runs})
    span = f"{iterations[0]}" if len(iterations) == 1 else f"{iterations[0]} to {iterations[-1]}"
    each = {
        "run": "one box and one point a run. Box: quartiles and median; whiskers: 5 % and 95 %.",
        "curve": "one point a run, its bar their median. Box: quartiles and median, whiskers: 5 % and 95 %, of each "
        "the median over the runs of the box.",
    }
    return (
        "Angular similarity γ(x, y) = 1 − arccos(cos(x, y))/π between class means, between the rows of the classifier "
        "(SC trains none) and of training representations with the mean of their class, and the test error; "
        f"{' '.join(each[kind] for kind in dict.fromkeys(panel['box'] for panel in numbers['panels']))} Dashed: the "
        "value at the regular simplex. Dotted: the least γ between class means that a ReLU encoder can reach, the "
        f"orthogonal frame. {numbers['corrupt']:.0%} of the labels corrupted; {len(runs)} runs, each at its last "
        f"evaluation (iteration {span})."
    )
