"""Figure objectives: every objective of a sweep beside the others, one row each."""

from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from simplexlab.figures.style import MUTED_COLOR, PALE_COLOR, THEORY_LINE, new_figure, scale, thin
from simplexlab.runs import Run
from simplexlab.sweep.side_by_side import side_by_side, summary

SMALLEST_SHARE = 1e-6  # of the excess: what is less is drawn there
MOST_IN_LINE, LEGEND_LINE = 5, 0.17  # entries of the legend beside the title, and inches of a line of it


def objectives(runs: Sequence[Run]) -> dict[str, Any]:
    """The numbers of the figure: `simplexlab.sweep.side_by_side.side_by_side`."""
    return side_by_side(runs)


def draw(numbers: dict[str, Any]) -> tuple[Figure, str]:
    """Draw `objectives`; returns the figure and its caption."""
    panels = numbers["panels"]
    titles = [list(dict.fromkeys(row["title"] for row in panel["rows"])) for panel in panels]
    heights = [0.55 + 0.18 * len(names) for names in titles]
    figure = new_figure(7.2, 0.35 + sum(heights), numbers["title"])
    grid = figure.subplots(len(panels), 5, squeeze=False, sharey="row", height_ratios=heights)
    corruptions = sorted({row["corrupt"] for panel in panels for row in panel["rows"]})
    for panel, names, line in zip(panels, titles, grid, strict=True):
        _draw_panel(line, panel, names, corruptions)
    handles = [
        Line2D([], [], color=MUTED_COLOR, marker="o", linestyle="", label=_labels(corrupt), **_fill(index, MUTED_COLOR))
        for index, corrupt in enumerate(corruptions)
    ]
    handles.append(Line2D([], [], label="simplex", **THEORY_LINE))
    if any(row["nonnegative"] for panel in panels for row in panel["rows"]):
        handles.append(Line2D([], [], color=MUTED_COLOR, linestyle=":", label="ReLU floor"))
    columns = len(handles) if len(handles) <= MOST_IN_LINE else MOST_IN_LINE - 1
    figure.set_figheight(figure.get_figheight() + scale() * LEGEND_LINE * (-(-len(handles) // columns) - 1))
    figure.legend(handles=handles, loc="outside upper right", ncols=columns)
    return figure, _caption(numbers)


def _draw_panel(line: Sequence[Axes], panel: dict[str, Any], names: list[str], corruptions: list[float]) -> None:
    means, within, left, errors, times = line
    size = 0.8 * matplotlib.rcParams["lines.markersize"]
    offsets = np.linspace(-0.22, 0.22, len(corruptions)) if len(corruptions) > 1 else [0.0]
    for row in panel["rows"]:
        index = corruptions.index(row["corrupt"])
        position = names.index(row["title"]) + offsets[index]
        style = {
            "color": row["colour"],
            "marker": row["marker"],
            "linestyle": "",
            "markersize": size,
            **_fill(index, row["colour"]),
        }
        means.plot(
            [row["class_means_least"], row["class_means_largest"]],
            [position] * 2,
            color=row["colour"],
            linewidth=thin(),
        )
        means.plot(row["class_means"], position, **style)
        within.plot(row["within"], position, **style)
        if row["excess_left"] is not None:
            left.plot(max(row["excess_left"], SMALLEST_SHARE), position, **style)
        if row["test_error"] is not None:
            errors.plot(100 * row["test_error"], position, **style)
            ends = 100 * min(row["test_error_of_runs"]), 100 * max(row["test_error_of_runs"])
            errors.plot(ends, [position] * 2, color=row["colour"], linewidth=thin())
        if row["time_to_fit"] is not None:
            times.plot(max(row["time_to_fit"], 1), position, **style)
        else:
            place = {"ha": "right", "va": "center", "transform": times.get_yaxis_transform()}
            size_of_word = 0.6 * matplotlib.rcParams["font.size"]
            times.text(0.98, position, "never", color=row["colour"], fontsize=size_of_word, **place)
    means.axvline(panel["simplex"], **THEORY_LINE)
    if any(row["nonnegative"] for row in panel["rows"]):
        means.axvline(panel["orthogonal_frame"], color=MUTED_COLOR, linestyle=":")
    within.axvline(1.0, **THEORY_LINE)
    left.set_xscale("log")
    shares = [max(row["excess_left"], SMALLEST_SHARE) for row in panel["rows"] if row["excess_left"] is not None]
    left.set_xlim(min([0.03, *(0.5 * share for share in shares)]), 1.6)
    errors.set_xlim(left=0)
    most = max([1.0, *(row["iterations"] for row in panel["rows"])])
    times.set_xlim(0, 1.35 * most)
    means.set_xticks([0, 0.5, 1])
    means.set_xlim(0, 1)
    means.set_ylim(len(names) - 0.5, -0.5)
    means.set_yticks(range(len(names)), names)
    means.set_ylabel(panel["dataset"])
    titles = ("γ class means", "γ within", "excess left", "test error (%)", "time to fit")
    for axes, title in zip(line, titles, strict=True):
        axes.set_title(title)
        axes.tick_params(axis="y", length=0)
        axes.hlines(np.arange(len(names) - 1) + 0.5, 0, 1, color=PALE_COLOR, linewidth=0.5 * thin(), zorder=0,
                    transform=axes.get_yaxis_transform())  # fmt: skip


def _fill(index: int, colour: str) -> dict[str, Any]:
    """The first corruption filled, others open."""
    return {"markerfacecolor": colour if index == 0 else "white", "zorder": 3}


def _labels(corrupt: float) -> str:
    return "clean labels" if corrupt == 0 else f"{corrupt:.0%} flipped"


def _caption(numbers: dict[str, Any]) -> str:
    runs = sum(len(row["runs"]) for panel in numbers["panels"] for row in panel["rows"])
    told = [
        summary(panel, corrupt)
        for panel in numbers["panels"]
        for corrupt in sorted({row["corrupt"] for row in panel["rows"]})
    ]
    return (
        f"Medians over the seeds of {runs} runs at their last evaluation: γ between class means (line: least to "
        "largest), γ of points and their class mean, last over first excess, test error (line: least to largest run), "
        f"first fitted evaluation. {' '.join(told)}"
    )
