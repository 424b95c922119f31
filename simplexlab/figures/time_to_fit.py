"""Figures 2 and 8: the time to fit against label corruption, and how it grows."""

from collections.abc import Iterator
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.transforms import offset_copy

from simplexlab.figures.style import MUTED_COLOR, new_figure
from simplexlab.sweep.curves import CLOCKS, exponent_text, intervals

SHIFT = 0.008  # in corruption from one loss to the next, so that runs do not hide one another
FILLS = ("full", "left", "top", "right")  # of the points of the curves of one loss
LINE_STYLES = ("-", "--", "-.", ":")
UNITS = {"iterations": "iterations", "learning-rate": "Σ lr/lr₀"}
MOST_COLUMNS = 4
MOST_LABELLED = 16  # curves of a panel that the legend names one by one
FULL_SIZE = 150  # points of a panel up to which they are drawn at full size


def draw(numbers: dict[str, Any]) -> tuple[Figure, str]:
    """Draw `simplexlab.sweep.curves.time_to_fit`; returns the figure and its caption."""
    panels, clock = numbers["panels"], numbers["clock"]
    columns = min(len(panels), MOST_COLUMNS)
    blocks = -(-len(panels) // columns)
    walls = any(run["censored"] for panel in panels for run in _runs(panel))
    heights = (2, 1, 0.7) if walls else (2, 1)
    figure = new_figure(max(4.6, 3.6 * columns), (5.9 if walls else 5.0) * blocks, numbers["title"])
    grid = figure.subplots(blocks * len(heights), columns, squeeze=False, height_ratios=heights * blocks)
    first: dict[str, Axes] = {}  # panels of one dataset have one axis of times
    for index in range(blocks * columns):
        top = index // columns * len(heights)
        axes = grid[top : top + len(heights), index % columns]
        if index >= len(panels):
            for empty in axes:
                empty.remove()
            continue
        panel = panels[index]
        for below in axes[1:]:
            below.sharex(axes[0])
        if panel["dataset"] in first:
            axes[0].sharey(first[panel["dataset"]])
        first.setdefault(panel["dataset"], axes[0])
        _draw_times(axes[0], panel, clock)
        _draw_ratios(axes[1], panel, clock)
        if walls:
            _draw_shares(axes[2], panel)
        for above in axes[:-1]:
            above.tick_params(labelbottom=False)
        axes[-1].set_xlabel("corrupted labels (fraction)")
    for dataset, axes in first.items():
        axes.set_ylim(0, 1.08 * max(_top(panel, clock) for panel in panels if panel["dataset"] == dataset))
    return figure, _caption(numbers, walls)


def _runs(panel: dict[str, Any]) -> list[dict[str, Any]]:
    return [run for curve in panel["curves"] for run in curve["runs"]]


def _top(panel: dict[str, Any], clock: str) -> float:
    """The largest time to show: the budget where a run reached it, else the last fit."""
    runs = _runs(panel)
    if any(run["censored"] for run in runs):
        return panel["budget"]
    return max(run[CLOCKS[clock][1]] for run in runs) or 1


def _draw_times(axes: Axes, panel: dict[str, Any], clock: str) -> None:
    handles = []
    size = matplotlib.rcParams["lines.markersize"] * max(0.5, min(1, (FULL_SIZE / len(_runs(panel))) ** 0.5))
    for curve, style in _styled(panel):
        color, marker, line = style["color"], style["marker"], style["line"]
        corruption, lower, upper = intervals(curve["runs"], clock)
        x, fitted = corruption + style["shift"], np.isfinite(upper)
        bars = [((at, low), (at, high)) for at, low, high in zip(x[fitted], lower[fitted], upper[fitted], strict=True)]
        axes.add_collection(LineCollection(bars, colors=color, capstyle="butt"), autolim=False)
        points = {"color": color, "linestyle": "none", "markersize": size}
        edge = {"markeredgecolor": "white", "markeredgewidth": 0.4} if style["fill"] == "full" else {}
        axes.plot(x[fitted], upper[fitted], marker, fillstyle=style["fill"], **edge, **points)
        _draw_censored(axes, x[~fitted], lower[~fitted], marker, points)
        if curve["growth"]:
            growth = curve["growth"]
            p = np.linspace(0, 1, 401) ** 4 * corruption.max()  # a root is steep at 0
            times = growth["start"] + growth["rise"] * p ** growth["exponent"]
            axes.plot(p, np.where(times <= panel["budget"], times, np.nan), line, color=color, alpha=0.6)
        label = f"{curve['label']}: exponent {exponent_text(curve['growth'])}"
        shape = {"marker": marker, "fillstyle": style["fill"]}
        handles.append(Line2D([], [], color=color, linestyle=line, label=label, **shape))
    if len(handles) > MOST_LABELLED:
        handles = _handles_of_losses(panel)
    levels = [run["corrupt"] for run in _runs(panel)]
    margin = max(0.06 * (max(levels) - min(levels)), 0.03)
    axes.set_ylabel(f"time to fit ({UNITS[clock]})")
    axes.set_xlim(min(levels) - margin, max(levels) + margin)
    if any(run["censored"] for run in _runs(panel)):
        axes.axhline(panel["budget"], color=MUTED_COLOR, linestyle=":", linewidth=0.8, zorder=0)
        label = "did not fit until here; dotted: the budget"
        handles.append(Line2D([], [], color=MUTED_COLOR, marker="$\\uparrow$", linestyle="none", label=label))
    axes.legend(
        handles=handles, title=panel["title"], alignment="left", loc="lower left", bbox_to_anchor=(0, 1), borderpad=0
    )


def _handles_of_losses(panel: dict[str, Any]) -> list[Line2D]:
    """One entry of the legend for each loss, where there are too many curves to name."""
    handles = []
    for loss in dict.fromkeys(curve["loss"] for curve in panel["curves"]):
        curves = [curve for curve in panel["curves"] if curve["loss"] == loss]
        known = [curve["growth"]["exponent"] for curve in curves if curve["growth"]]
        span = f", exponents {min(known):.2f} to {max(known):.2f}" if known else ""
        name = curves[0]["label"].split(",")[0]
        label = f"{name}: {len(curves)} curve{'s' if len(curves) > 1 else ''}{span}"
        handles.append(Line2D([], [], color=curves[0]["colour"], marker=curves[0]["marker"], label=label))
    return handles


def _draw_censored(axes: Axes, x: np.ndarray, y: np.ndarray, marker: str, points: dict[str, Any]) -> None:
    """Open points with an arrow that tells that the true value lies above."""
    if not len(x):
        return
    axes.plot(x, y, marker, markerfacecolor="white", **points)
    above = offset_copy(axes.transData, axes.figure, y=2.2 * points["markersize"], units="points")
    size = 2 * points["markersize"]
    axes.plot(x, y, marker="$\\uparrow$", transform=above, clip_on=False, **{**points, "markersize": size})


def _draw_ratios(axes: Axes, panel: dict[str, Any], clock: str) -> None:
    axes.axhline(1, color=MUTED_COLOR, linewidth=0.8, zorder=0)
    size = matplotlib.rcParams["lines.markersize"] * max(0.5, min(1, (FULL_SIZE / len(_runs(panel))) ** 0.5))
    highest = 1.0
    for curve, style in _styled(panel):
        known = [run for run in curve["runs"] if "ratio_to_linear_trend" in run]
        if not known:
            continue
        corruption = np.array([run["corrupt"] for run in known])
        ratios = np.array([run["ratio_to_linear_trend"] for run in known])
        censored = np.array([run["censored"] for run in known])
        x = corruption + style["shift"]
        points = {"color": style["color"], "linestyle": "none", "markersize": size}
        axes.plot(x[~censored], ratios[~censored], style["marker"], fillstyle=style["fill"], **points)
        _draw_censored(axes, x[censored], ratios[censored], style["marker"], points)
        counted = np.where(censored, np.inf, ratios)
        levels = np.unique(corruption)
        medians = np.array([np.median(counted[corruption == level]) for level in levels])
        medians[np.isinf(medians)] = np.nan
        axes.plot(levels, medians, style["line"], color=style["color"], alpha=0.6)
        highest = max(highest, ratios.max())
    if not any("ratio_to_linear_trend" in run for run in _runs(panel)):
        told = "unknown: most runs must fit at two\ncorruptions in the lower half at least"
        axes.text(0.5, 0.4, told, transform=axes.transAxes, ha="center", va="center", color=MUTED_COLOR)
    axes.set(ylabel="ratio to its\nlinear trend", ylim=(0, 1.25 * highest))


def _draw_shares(axes: Axes, panel: dict[str, Any]) -> None:
    """The share of the seeds that fitted within the budget, each with its interval: the wall, which is no slope."""
    for curve, style in _styled(panel):
        levels = curve["levels"]
        x = np.array([level["corrupt"] for level in levels]) + style["shift"]
        share = np.array([level["fitted"] / level["runs"] for level in levels])
        ends = [(level["share_lower"], level["share_upper"]) for level in levels]
        bars = [((at, low), (at, high)) for at, (low, high) in zip(x, ends, strict=True)]
        axes.add_collection(LineCollection(bars, colors=style["color"], alpha=0.35), autolim=False)
        axes.plot(x, share, style["line"], color=style["color"], marker=style["marker"], markersize=3)
    axes.set(ylabel="share\nfitted", ylim=(-0.05, 1.05), yticks=(0, 0.5, 1))


def _styled(panel: dict[str, Any]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Each curve with the colour, line style, marker, filling and shift that tell curves of one loss apart."""
    seen: dict[str, int] = {}
    losses = list(dict.fromkeys(curve["loss"] for curve in panel["curves"]))
    for curve in panel["curves"]:
        loss = curve["loss"]
        index = seen[loss] = seen.get(loss, -1) + 1
        kind = index % len(LINE_STYLES)
        shift = SHIFT * (losses.index(loss) - (len(losses) - 1) / 2) + 0.003 * kind
        style = {"color": curve["colour"], "marker": curve["marker"], "shift": shift}
        yield curve, style | {"line": LINE_STYLES[kind], "fill": FILLS[kind]}


def _caption(numbers: dict[str, Any], walls: bool) -> str:
    parts = []
    for panel in numbers["panels"]:
        censored = sum(run["censored"] for run in _runs(panel))
        total = len(_runs(panel))
        parts.append(
            f"{panel['title']}: {panel['told']}; {total} run{'s' if total > 1 else ''}, {censored or 'none'} of which "
            "never fitted."
        )
    unit = (
        "Iterations until the given labels are fitted"
        if numbers["clock"] == "iterations"
        else "Learning-rate time until the given labels are fitted (steps, each counted by its learning rate in units "
        "of the first one's)"
    )
    shares = "Lowest: share of the seeds that fitted within the budget, with its exact 95 % interval. " if walls else ""
    return (
        f"{unit}, against the fraction that is corrupted; one point a run, its bar the evaluations between which it "
        "happened, an open point with an arrow a run that did not fit by its last evaluation. Line: T(p) = T(0) + "
        "a·pᵏ, fitted by maximum likelihood with log-normal noise to the intervals, runs that never fitted included; k "
        "is the growth exponent (1 linear, above 1 superlinear) with its 95 % profile-likelihood interval. Below: "
        "ratio to the straight line through the runs up to half of the largest corruption, open where a run never "
        f"fitted; above 1 is faster than linear. {shares}" + " ".join(parts)
    )
