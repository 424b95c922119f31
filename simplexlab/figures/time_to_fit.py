"""Figures 2 and 8: the time to fit against label corruption, and how it grows."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from simplexlab.config import flag, format_value
from simplexlab.dataset_name import dataset_title
from simplexlab.errors import UsageError
from simplexlab.figures.style import CLASS_COLORS, MUTED_COLOR, new_figure
from simplexlab.runs import Run
from simplexlab.sweep.growth import fit_growth, fit_line
from simplexlab.sweep.table import rows, varied_options

TITLES = {2: "Time to fit corrupted labels: CE and SC", 8: "Time to fit corrupted labels, by loss"}
LOSSES = {2: ("ce", "sc"), 8: ("ce", "ce-fix", "sc")}
LABELS = {"ce": "CE", "ce-fix": "CE-fix", "sc": "SC"}
COLORS = {"ce": CLASS_COLORS[0], "ce-fix": CLASS_COLORS[2], "sc": CLASS_COLORS[1]}
MARKERS = {"ce": "oDph", "ce-fix": "^v<>", "sc": "sPX*"}  # of the curves of one loss
SHIFTS = {"ce": -0.008, "ce-fix": 0.0, "sc": 0.008}  # in corruption, so that runs do not hide one another
LINE_STYLES = ("-", "--", "-.", ":")
SWEPT = ("loss", "corrupt", "seed", "dataset")


def time_to_fit(runs: Sequence[Run], number: int = 8) -> dict[str, Any]:
    """The time to fit of finished runs, with the growth exponent and the linear trend of each curve.

    A curve is made of the runs that differ in corruption and seed only. Its growth exponent is that of
    `simplexlab.sweep.growth.fit_growth`. Its linear trend is the straight line through the runs up to half of the
    largest corruption, known where most of them were fitted at two corruptions at least; the ratio of a time to it is 1
    at every corruption where growth is linear, and rises above 1 where it is superlinear. Of a run that never fitted it
    is a lower bound.

    Args:
        runs: training runs; those that have not finished, or of other losses, are passed over.
        number: 2 (CE and SC) or 8 (CE-fix as well).

    Raises:
        UsageError: none of the runs has finished.
    """
    chosen = [run for run in runs if run.config["experiment"]["loss"] in LOSSES[number]]
    chosen = [run for run, row in zip(chosen, rows(chosen), strict=True) if row["censored"] is not None]
    if not chosen:
        raise UsageError(f"figure {number} takes finished runs of {', '.join(LOSSES[number])}; there is none")
    varied = [key for key in varied_options(chosen) if key not in SWEPT]
    panels: dict[str, dict[tuple, list]] = {}
    for run, row in zip(chosen, rows(chosen), strict=True):
        experiment = run.config["experiment"]
        curve = experiment["loss"], tuple(experiment.get(key) for key in varied)
        panels.setdefault(experiment["dataset"], {}).setdefault(curve, []).append(
            {**experiment, "total": experiment["iterations"], **row}
        )
    return {
        "figure": number,
        "title": TITLES[number],
        "panels": [
            {
                "dataset": dataset_title(dataset),
                "settings": _settings([row for members in curves.values() for row in members]),
                "curves": [
                    _curve(loss, dict(zip(varied, settings, strict=True)), members)
                    for (loss, settings), members in sorted(curves.items(), key=lambda item: _order(item[0]))
                ],
            }
            for dataset, curves in panels.items()
        ],
    }


def _order(key: tuple[str, tuple]) -> tuple:
    return list(LABELS).index(key[0]), repr(key[1])


def _settings(members: list[dict[str, Any]]) -> dict[str, Any]:
    """The options that the caption tells, each with its values."""
    names = ("encoder", "width", "batch_size", "learning_rate", "schedule", "evaluate_every", "tolerance", "total")
    return {name: sorted({row[name] for row in members}) for name in names}


def _curve(loss: str, settings: dict[str, Any], members: list[dict[str, Any]]) -> dict[str, Any]:
    members = sorted(members, key=lambda row: (row["corrupt"], row["seed"]))
    corruption = np.array([row["corrupt"] for row in members])
    lower = np.array([row["fit_lower"] or 0 for row in members], float)
    upper = np.array([np.inf if row["time_to_fit"] is None else row["time_to_fit"] for row in members])
    lower = np.minimum(lower, upper - 1)  # a run that was fitted at its first evaluation, at iteration 0
    lower = np.maximum(lower, 0)
    upper = np.maximum(upper, 1)
    keys = ("run", "corrupt", "seed", "fit_lower", "time_to_fit", "censored")
    curve = {
        "loss": loss,
        "label": ", ".join([LABELS[loss], *(f"{flag(k)[2:]} {format_value(v)}" for k, v in settings.items())]),
        "runs": [{key: row[key] for key in keys} for row in members],
        "growth": None,
        "growth_unknown": None,
        "linear_trend": None,
    }
    try:
        curve["growth"] = vars(fit_growth(corruption, lower, upper))
    except ValueError as error:
        curve["growth_unknown"] = str(error)
    low = corruption <= corruption.max() / 2
    fitted = [p for p in np.unique(corruption[low]) if np.isfinite(np.median(upper[corruption == p]))]
    if len(fitted) >= 2:
        start, rise = fit_line(corruption[low], lower[low], upper[low])
        curve["linear_trend"] = {"start": start, "rise": rise, "up_to": float(corruption[low].max())}
        for run in curve["runs"]:
            reached = run["fit_lower"] if run["censored"] else run["time_to_fit"]
            run["ratio_to_linear_trend"] = reached / (start + rise * run["corrupt"])
    return curve


def exponent_text(growth: dict[str, Any] | None) -> str:
    """A growth exponent with its interval: `1.02 (0.95–1.10)`; `unknown` where there is none."""
    if growth is None:
        return "unknown"
    upper = growth["upper"]
    upper = "∞" if upper is None or np.isinf(upper) else f"{upper:.2f}"
    return f"{growth['exponent']:.2f} ({growth['lower']:.2f}–{upper})"


def draw(numbers: dict[str, Any]) -> tuple[Figure, str]:
    """Draw `time_to_fit`; returns the figure and its caption."""
    panels = numbers["panels"]
    figure = new_figure(max(4.6, 3.6 * len(panels)), 5.0, numbers["title"])
    grid = figure.subplots(2, len(panels), squeeze=False, height_ratios=(2, 1), sharex=True)
    for (above, below), panel in zip(grid.T, panels, strict=True):
        _draw_times(above, panel)
        _draw_ratios(below, panel)
    return figure, _caption(numbers)


def _draw_times(axes: Axes, panel: dict[str, Any]) -> None:
    handles = []
    for curve, line, marker, shift in _styled(panel):
        color = COLORS[curve["loss"]]
        for run in curve["runs"]:
            x = run["corrupt"] + shift
            low = run["fit_lower"] or 0
            if run["censored"]:
                _draw_censored(axes, x, low, color, marker)
            else:
                axes.plot([x, x], [low, run["time_to_fit"]], color=color, solid_capstyle="butt")
                axes.plot(x, run["time_to_fit"], marker, color=color, markeredgecolor="white", markeredgewidth=0.4)
        if curve["growth"]:
            growth = curve["growth"]
            p = np.linspace(0, 1, 401) ** 4 * max(run["corrupt"] for run in curve["runs"])  # a root is steep at 0
            axes.plot(p, growth["start"] + growth["rise"] * p ** growth["exponent"], line, color=color, alpha=0.6)
        label = f"{curve['label']}: exponent {exponent_text(curve['growth'])}"
        handles.append(Line2D([], [], color=color, marker=marker, linestyle=line, label=label))
    top = max(run["time_to_fit"] or run["fit_lower"] for curve in panel["curves"] for run in curve["runs"])
    levels = [run["corrupt"] for curve in panel["curves"] for run in curve["runs"]]
    margin = max(0.06 * (max(levels) - min(levels)), 0.03)
    axes.set(ylabel="time to fit (iterations)", ylim=(0, 1.14 * top))
    axes.set_xlim(min(levels) - margin, max(levels) + margin)
    if any(run["censored"] for curve in panel["curves"] for run in curve["runs"]):
        handles.append(
            Line2D([], [], color=MUTED_COLOR, marker="$\\uparrow$", linestyle="none", label="did not fit until here")
        )
    axes.legend(
        handles=handles, title=panel["dataset"], alignment="left", loc="lower left", bbox_to_anchor=(0, 1), borderpad=0
    )


def _draw_censored(axes: Axes, x: float, y: float, color: str, marker: str) -> None:
    axes.plot(x, y, marker, markerfacecolor="white", color=color)
    axes.annotate(
        "", (x, y), xytext=(0, 16), textcoords="offset points", arrowprops={"arrowstyle": "<-", "color": color}
    )


def _draw_ratios(axes: Axes, panel: dict[str, Any]) -> None:
    axes.axhline(1, color=MUTED_COLOR, linewidth=0.8, zorder=0)
    for curve, line, marker, shift in _styled(panel):
        color = COLORS[curve["loss"]]
        known = [run for run in curve["runs"] if "ratio_to_linear_trend" in run]
        ratios = {run["corrupt"]: [] for run in known}
        for run in known:
            x, ratio = run["corrupt"] + shift, run["ratio_to_linear_trend"]
            ratios[run["corrupt"]].append(np.inf if run["censored"] else ratio)
            if run["censored"]:
                _draw_censored(axes, x, ratio, color, marker)
            else:
                axes.plot(x, ratio, marker, color=color)
        medians = [np.median(values) for values in ratios.values()]
        axes.plot(
            list(ratios), [np.nan if np.isinf(value) else value for value in medians], line, color=color, alpha=0.6
        )
    if not any("ratio_to_linear_trend" in run for curve in panel["curves"] for run in curve["runs"]):
        told = "unknown: most runs must fit at two\ncorruptions in the lower half at least"
        axes.text(0.5, 0.4, told, transform=axes.transAxes, ha="center", va="center", color=MUTED_COLOR)
    axes.set(xlabel="corrupted labels (fraction)", ylabel="ratio to its\nlinear trend")
    axes.set_ylim(0, 1.2 * max(axes.get_ylim()[1], 1))


def _styled(panel: dict[str, Any]):
    """Each curve with the line style, marker and shift that tell curves of one loss apart."""
    seen: dict[str, int] = {}
    for curve in panel["curves"]:
        loss = curve["loss"]
        index = seen[loss] = seen.get(loss, -1) + 1
        kind = index % len(LINE_STYLES)
        yield curve, LINE_STYLES[kind], MARKERS[loss][kind], SHIFTS[loss] + 0.003 * kind


def _caption(numbers: dict[str, Any]) -> str:
    parts = []
    for panel in numbers["panels"]:
        settings = panel["settings"]
        told = {name: ", ".join(map(format_value, values)) for name, values in settings.items()}
        fitted = f"a train error of at most {told['tolerance']}" if any(settings["tolerance"]) else "no train error"
        censored = sum(run["censored"] for curve in panel["curves"] for run in curve["runs"])
        total = sum(len(curve["runs"]) for curve in panel["curves"])
        parts.append(
            f"{panel['dataset']}: {told['encoder']} of width {told['width']}, batches of {told['batch_size']}, "
            f"learning rate {told['learning_rate']} ({told['schedule']}) over {told['total']} iterations, evaluated "
            f"every {told['evaluate_every']}; fitted means {fitted}; {total} run{'s' if total > 1 else ''}, "
            f"{censored or 'none'} of which never fitted."
        )
    return (
        "Iterations until the given labels are fitted, against the fraction that is corrupted; one point a run, its "
        "bar the evaluations between which it happened, an open point with an arrow a run that did not fit by its last "
        "evaluation. Line: T(p) = T(0) + a·pᵏ, fitted by maximum likelihood with log-normal noise to the intervals, "
        "runs that never fitted included; k is the growth exponent (1 linear, above 1 superlinear) with its 95 % "
        "profile-likelihood interval. Below: ratio to the straight line through the runs up to half of the largest "
        "corruption, open where a run never fitted; above 1 is faster than linear. " + " ".join(parts)
    )
