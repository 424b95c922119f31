"""Figure 7: the angular similarities under each loss, the test error, and every other statistic of the catalogue."""

import math
from collections.abc import Sequence
from statistics import median
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from simplexlab import geometry, objectives
from simplexlab.config import flag, format_value
from simplexlab.dataset_name import dataset_title
from simplexlab.errors import UsageError
from simplexlab.figures.style import MUTED_COLOR, THEORY_LINE, new_figure, power_of_ten
from simplexlab.geometry.catalogue import rows_of
from simplexlab.runs import Run
from simplexlab.sweep.table import applies, varied_settings

TITLE = "Geometry of representations and weights, by loss"
COLUMNS = 4
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
    for run in sorted(chosen, key=lambda run: (objectives.rank(objectives.of_run(run.config).name), run.name)):
        panels.setdefault(run.result["dataset"], []).append(run)
    return {
        "figure": 7,
        "title": TITLE,
        "corrupt": corrupt,
        "panels": [_panel(dataset, members) for dataset, members in panels.items()],
    }


def _panel(dataset: str, runs: list[Run]) -> dict[str, Any]:
    classes = runs[0].result["num_classes"]
    catalogue = {row.key: row for run in runs for row in rows_of(run.config)}
    catalogue = {key: row for key, row in catalogue.items() if any(run.result.get(key) is not None for run in runs)}
    boxes = _boxes(runs, list(catalogue))
    return {
        "dataset": dataset_title(dataset),
        "num_classes": classes,
        "statistics": [row.facts() for row in catalogue.values()],
        "simplex": geometry.optimum(classes),
        "orthogonal_frame": geometry.optimum(classes, "nonnegative"),
        "box": "run" if len(boxes) == len(runs) else "curve",
        "boxes": boxes,
        "runs": [
            {
                "run": run.name,
                "loss": objectives.of_run(run.config).name,
                "seed": run.result["seed"],
                "iteration": run.result["evaluated_at"],
                "nonnegative": run.result["nonnegative"],
                "test_error": run.result["test_error"],
                **{key: run.result.get(key) for key in catalogue},
                "optimum": run.result.get("optimum"),
            }
            for run in runs
        ],
    }


def _boxes(runs: list[Run], statistics: list[str]) -> list[dict[str, Any]]:
    """What the boxes show: each run, or where they are many the medians over the runs of a curve, or of a loss."""
    varied = varied_settings(runs)

    def settings(run: Run) -> tuple[str, ...]:
        experiment = run.config["experiment"]
        return tuple(f"{flag(key)[2:]} {format_value(experiment.get(key))}" for key in varied if applies(run, key))

    for key in (lambda run: run.name, settings, lambda run: ()):
        groups: dict[tuple, list[Run]] = {}
        for run in runs:
            groups.setdefault((objectives.of_run(run.config).name, key(run)), []).append(run)
        if len(groups) <= MOST_BOXES:
            break
    single = len(groups) == len(runs)
    made = []
    for (_, words), members in groups.items():
        objective = objectives.of_run(members[0].config)
        made.append(
            {
                "loss": objective.name,
                "colour": objective.colour,
                "marker": objective.marker,
                "label": objective.title if single or not words else "\n".join([objective.title, *words]),
                "runs": len(members),
                "test_errors": [run.result["test_error"] for run in members],
                **{key: _middle([run.result.get(key) for run in members]) for key in statistics},
            }
        )
    return made


def _middle(values: list[Any]) -> dict[str, float] | float | None:
    """The median over runs of a number, or of each quantile of a distribution; None where no run has it."""
    known = [value for value in values if value is not None]
    if known and isinstance(known[0], dict):
        return {name: median(value[name] for value in known) for name in QUANTILES}
    return median(known) if known else None


def draw(numbers: dict[str, Any]) -> tuple[Figure, str]:
    """Draw `distributions`; returns the figure and its caption."""
    panels = numbers["panels"]
    parts = [_boxes_and_dots(panel) for panel in panels]
    heights = [math.ceil((len(boxes) + 1 + len(dots)) / COLUMNS) for boxes, dots in parts]
    figure = new_figure(7.0, 0.6 + 2.0 * sum(heights), numbers["title"])
    grid = figure.subplots(sum(heights), COLUMNS, squeeze=False)
    start = 0
    for panel, (boxes, dots), height in zip(panels, parts, heights, strict=True):
        places = list(grid[start : start + height].flat)
        start += height
        places[0].set_ylabel(f"{panel['dataset']}\nangular similarity γ")
        for row, axes in zip(boxes, places, strict=False):
            _draw_boxes(axes, panel, row["key"])
            axes.set_title(row["short"])
        _draw_errors(places[len(boxes)], panel)
        for row, axes in zip(dots, places[len(boxes) + 1 :], strict=False):
            _draw_dots(axes, panel, row)
            axes.set_title(row["short"])
        for axes in places[len(boxes) + 1 + len(dots) :]:
            axes.set_axis_off()
    # Above: the caption makes the page that is saved longer at its lower end, which a legend below would follow.
    figure.legend(*grid[0, 0].get_legend_handles_labels(), loc="outside upper right", ncols=2)
    return figure, _caption(numbers)


def _boxes_and_dots(panel: dict[str, Any]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The statistics that are distributions, and those that are numbers."""
    rows = panel["statistics"]
    boxes = [row for row in rows if any(isinstance(run[row["key"]], dict) for run in panel["runs"])]
    return boxes, [row for row in rows if row not in boxes]


def _draw_dots(axes: Axes, panel: dict[str, Any], row: dict[str, Any]) -> None:
    """One point a box: the number of a run, or the median over the runs of the box."""
    key = row["key"]
    for position, shown in enumerate(panel["boxes"]):
        if shown[key] is not None:
            axes.plot(position, shown[key], shown["marker"], color=shown["colour"])
    values = [shown[key] for shown in panel["boxes"] if shown[key] is not None]
    recorded = [run["optimum"].get(key) for run in panel["runs"] if isinstance(run["optimum"], dict)]
    optimum = panel["simplex"].get(key, next((value for value in recorded if value is not None), None))
    if row["log"] and min(values) > 0:  # whole decades, so that ticks stay few and short
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(power_of_ten)
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.set_ylim(10 ** math.floor(math.log10(0.8 * min(values))), 10 ** math.ceil(math.log10(1.25 * max(values))))
    elif optimum is not None:
        axes.axhline(optimum, **THEORY_LINE)
    _label_boxes(axes, panel)


def _draw_boxes(axes: Axes, panel: dict[str, Any], key: str) -> None:
    for position, shown in enumerate(panel["boxes"]):
        if shown[key] is None:
            continue
        low, first, middle, third, high = (shown[key][quantile] for quantile in QUANTILES)
        box = {"whislo": low, "q1": first, "med": middle, "q3": third, "whishi": high, "fliers": []}
        color = shown["colour"]
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
    if key in panel["simplex"]:
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
        axes.plot(spread, errors, shown["marker"], color=shown["colour"], markersize=size)
        if len(errors) > 1:
            axes.plot([position - 0.3, position + 0.3], [np.median(errors)] * 2, color=shown["colour"])
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
    boxes = " ".join(each[kind] for kind in dict.fromkeys(panel["box"] for panel in numbers["panels"]))
    return (
        "Angular similarity γ(x, y) = 1 − arccos(cos(x, y))/π between class means, between the rows of the classifier "
        "(if one is trained) and of training representations with the mean of their class, the test error, and every "
        f"other statistic; {boxes} Dashed: the value at the regular simplex, on logarithmic axes 0. Dotted: the least "
        "γ between class means that a ReLU encoder can reach, the orthogonal frame. "
        f"{numbers['corrupt']:.0%} of the labels corrupted; {len(runs)} runs, each at its last evaluation (iteration "
        f"{span})."
    )
