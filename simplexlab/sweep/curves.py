"""The time to fit against the label corruption, curve by curve: medians, shares, growth exponents, linear trends."""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Literal

import numpy as np

from simplexlab import objectives
from simplexlab.config import flag, format_value
from simplexlab.dataset_name import dataset_title
from simplexlab.errors import UsageError
from simplexlab.runs import Run
from simplexlab.schedule import learning_rate_time
from simplexlab.sweep.growth import fit_growth, fit_line, share_interval
from simplexlab.sweep.table import applies, rows, varied_settings

TITLES = {2: "Time to fit corrupted labels: CE and SC", 8: "Time to fit corrupted labels, by loss"}
Clock = Literal["iterations", "learning-rate"]
# What a clock shows: the keys of a run's interval, and the unit.
CLOCKS: dict[str, tuple[str, str]] = {
    "iterations": ("fit_lower", "time_to_fit"),
    "learning-rate": ("fit_lower_lr", "time_to_fit_lr"),
}
BUDGET = ("iterations", "schedule")  # runs that differ in these stand in panels side by side
SWEPT = ("loss", "corrupt", "seed", "dataset", *BUDGET)
REFERENCE = 0.2  # corruption with which the times at others are compared


def time_to_fit(runs: Sequence[Run], number: int = 8, clock: Clock = "iterations") -> dict[str, Any]:
    """The time to fit of finished runs, with the growth exponent and the linear trend of each curve.

    Runs of one dataset and one budget (iterations and schedule) make a panel. A curve of it is made of the runs that
    differ in corruption and seed only. Its growth exponent is that of `simplexlab.sweep.growth.fit_growth`. What takes
    no power law stands at each corruption: the median time, its ratio to that at corruption 0.2 (or at the next that
    there is), and the share of the seeds that fitted within the budget with its exact 95 % interval. The linear trend
    is the straight line through the runs up to half of the largest corruption, known where most of them were fitted at
    two corruptions at least; the ratio of a time to it is 1 at every corruption where growth is linear, and rises
    above 1 where it is superlinear. Of a run that never fitted it is a lower bound.

    Args:
        runs: training runs; those that have not finished, or of other losses, are passed over.
        number: 2 (those of the paper's objectives whose classifier is not fixed) or 8 (every objective).
        clock: iterations, or learning-rate time, `simplexlab.schedule.learning_rate_time`.

    Raises:
        UsageError: none of the runs has finished.
    """
    known = [run for run in runs if number == 8 or _in_figure_2(objectives.of_run(run.config))]
    finished = [(run, row) for run, row in zip(known, rows(known), strict=True) if row["censored"] is not None]
    if not finished:
        taken = ", ".join(entry.name for entry in objectives.table().values() if number == 8 or _in_figure_2(entry))
        raise UsageError(f"figure {number} takes finished runs of {taken}; there is none")
    varied = [key for key in varied_settings([run for run, _ in finished]) if key not in SWEPT]
    panels: dict[tuple, dict[tuple, list]] = {}
    drawn: dict[str, objectives.Objective] = {}
    for run, row in finished:
        experiment = run.config["experiment"]
        objective = objectives.of_run(run.config)
        drawn[objective.name] = objective
        settings = tuple((key, experiment[key]) for key in varied if applies(run, key))
        panel = experiment["dataset"], *(experiment[key] for key in BUDGET)
        panels.setdefault(panel, {}).setdefault((objective.name, settings), []).append(
            {**experiment, **row, "total": experiment["iterations"], **_on_the_other_clock(experiment, row)}
        )
    return {
        "figure": number,
        "title": TITLES[number],
        "clock": clock,
        "panels": [
            {
                "dataset": dataset_title(dataset),
                "title": _panel_title(dataset, total, schedule, list(panels)),
                "budget": total if clock == "iterations" else learning_rate_time(schedule, total, total),
                "told": _told([row for members in curves.values() for row in members]),
                "curves": [
                    _curve(drawn[loss], dict(settings), members, clock)
                    for (loss, settings), members in sorted(curves.items(), key=lambda item: _order(*item[0]))
                ],
            }
            for (dataset, total, schedule), curves in panels.items()
        ],
    }


def intervals(runs: Sequence[dict[str, Any]], clock: Clock = "iterations") -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Corruption, lower and upper of the runs of a curve, as `fit_growth` takes them."""
    before, at = CLOCKS[clock]
    upper = np.array([np.inf if run["censored"] else run[at] for run in runs], float)
    upper = np.maximum(upper, 1)  # a run that was fitted at its first evaluation, at iteration 0
    lower = np.array([run[before] or 0 for run in runs], float)
    lower = np.minimum(lower, upper * (1 - 1e-6))  # annealed to nothing, the learning rate may stand still in between
    return np.array([run["corrupt"] for run in runs], float), lower, upper


def exponent_text(growth: dict[str, Any] | None) -> str:
    """A growth exponent with its interval: `1.02 (0.95–1.10)`; `unknown` where there is none."""
    if growth is None:
        return "unknown"
    upper = growth["upper"]
    upper = "∞" if upper is None or np.isinf(upper) else f"{upper:.2f}"
    return f"{growth['exponent']:.2f} ({growth['lower']:.2f}–{upper})"


@dataclass(frozen=True)
class Table:
    """A table to print or to set as HTML: its title, the headings of its columns, its rows of text."""

    title: str
    headings: list[str]
    rows: list[list[str]]


def tables(panel: dict[str, Any], clock: Clock = "iterations") -> list[Table]:
    """The tables of a panel of `time_to_fit`: medians, ratios, shares of fitted seeds where some did not, growth."""
    curves = panel["curves"]
    corruptions = sorted({level["corrupt"] for curve in curves for level in curve["levels"]})

    def by_corruption(title: str, cell: Callable[[dict[str, Any]], str]) -> Table:
        found = [{level["corrupt"]: cell(level) for level in curve["levels"]} for curve in curves]
        return Table(
            f"{title}, by corruption",
            ["", *(f"{corruption:g}" for corruption in corruptions)],
            [
                [curve["label"], *(cells.get(corruption, "") for corruption in corruptions)]
                for curve, cells in zip(curves, found, strict=True)
            ],
        )

    unit = "iterations" if clock == "iterations" else "learning-rate time"
    references = {level["reference"] for curve in curves for level in curve["levels"]}
    reference = f"{references.pop():g}" if len(references) == 1 and None not in references else "reference"
    made = [
        by_corruption(f"{panel['title']}: median time to fit, {unit}", lambda level: _median_text(level["median"])),
        by_corruption(f"Ratio to the time at corruption {reference}", _ratio_text),
    ]
    if any(run["censored"] for curve in curves for run in curve["runs"]):
        made.append(by_corruption("Seeds that fitted within the budget (95 % interval of their share)", _share_text))
    made.append(Table("Growth T(p) = T(0) + a·pᵏ", GROWTH_HEADINGS, [_growth_cells(curve) for curve in curves]))
    return made


GROWTH_HEADINGS = [
    "",
    "exponent k (95 %)",
    "from 0.1 on",
    "p of k = 1",
    "T(0)",
    "T(1) − T(0)",
    "noise",
    "runs",
    "never",
]


def _median_text(value: float | None) -> str:
    return "never" if value is None else f"{value:.4g}" if value < 1000 else f"{value:.0f}"


def _ratio_text(level: dict[str, Any]) -> str:
    ratio = level["ratio_to_reference"]
    return "–" if ratio is None else f"{ratio:.2f}"


def _share_text(level: dict[str, Any]) -> str:
    return f"{level['fitted']}/{level['runs']} ({level['share_lower']:.0%}–{level['share_upper']:.0%})"


def _growth_cells(curve: dict[str, Any]) -> list[str]:
    growth, runs = curve["growth"], curve["runs"]
    counts = [str(len(runs)), str(sum(run["censored"] for run in runs))]
    if growth is None:
        return [curve["label"], "unknown", "", "", "", "", "", *counts]
    p_value = growth["linear_p_value"]
    return [
        curve["label"],
        exponent_text(growth),
        exponent_text(growth["from_tenth"]),
        "< 0.001" if p_value < 0.001 else f"{p_value:.2g}",
        f"{growth['start']:.0f}",
        f"{growth['rise']:.0f}",
        f"{growth['noise']:.2f}",
        *counts,
    ]


def _on_the_other_clock(experiment: dict[str, Any], row: dict[str, Any]) -> dict[str, float | None]:
    """The interval of a run in learning-rate time, which its schedule tells also where the run has not recorded it."""
    schedule, total = experiment["schedule"], experiment["iterations"]
    return {
        key: None if row[iteration] is None else learning_rate_time(schedule, total, row[iteration])
        for key, iteration in zip(CLOCKS["learning-rate"], CLOCKS["iterations"], strict=True)
    }


def _panel_title(dataset: str, total: int, schedule: str, panels: list[tuple]) -> str:
    """The dataset, and of the budget what tells this panel from others of that dataset."""
    own = [panel for panel in panels if panel[0] == dataset]
    parts = [dataset_title(dataset)]
    if len({panel[1] for panel in own}) > 1:
        parts.append(f"{total} iterations")
    if len({panel[2] for panel in own}) > 1:
        parts.append(schedule)
    return ", ".join(parts)


def _order(loss: str, settings: tuple[tuple[str, Any], ...]) -> tuple:
    return objectives.rank(loss), [(isinstance(value, str), value or 0) for _, value in settings]


def _told(members: list[dict[str, Any]]) -> str:
    """How these runs were trained, as the caption tells it."""
    names = ("encoder", "width", "batch_size", "learning_rate", "schedule", "evaluate_every", "tolerance", "total")
    told = {name: ", ".join(map(format_value, sorted({row[name] for row in members}))) for name in names}
    fitted = "no train error" if told["tolerance"] == "0" else f"a train error of at most {told['tolerance']}"
    return (
        f"{told['encoder']} of width {told['width']}, batches of {told['batch_size']}, learning rate "
        f"{told['learning_rate']} ({told['schedule']}) over {told['total']} iterations, evaluated every "
        f"{told['evaluate_every']}; fitted means {fitted}"
    )


def at_constant_rate(rows: Sequence[dict[str, Any]], *, title: str, budget: int, told: str) -> dict[str, Any]:
    """What `time_to_fit` returns, for one panel of rows that were trained elsewhere at a constant learning rate.

    Args:
        rows: run, loss, corrupt, seed, time_to_fit, fit_lower, censored of each run.
        title: of the panel.
        budget: iterations.
        told: how they were trained, for the caption.
    """
    losses = sorted({row["loss"] for row in rows}, key=objectives.rank)
    members = [{**row, "time_to_fit_lr": row["time_to_fit"], "fit_lower_lr": row["fit_lower"]} for row in rows]
    curves = [
        _curve(objectives.get(loss), {}, [row for row in members if row["loss"] == loss], "iterations")
        for loss in losses
    ]
    panel = {"dataset": title, "title": title, "budget": budget, "told": told, "curves": curves}
    return {"figure": 8, "title": TITLES[8], "clock": "iterations", "panels": [panel]}


def _in_figure_2(objective: objectives.Objective) -> bool:
    return objective.in_paper and objective.head != "fixed"


def _curve(
    objective: objectives.Objective, settings: dict[str, Any], members: list[dict[str, Any]], clock: Clock
) -> dict[str, Any]:
    members = sorted(members, key=lambda row: (row["corrupt"], row["seed"]))
    keys = ("run", "corrupt", "seed", "censored", *CLOCKS["iterations"], *CLOCKS["learning-rate"])
    runs = [{key: row[key] for key in keys} for row in members]
    corruption, lower, upper = intervals(runs, clock)
    curve = {
        "loss": objective.name,
        "colour": objective.colour,
        "marker": objective.marker,
        "label": ", ".join([objective.title, *(f"{flag(k)[2:]} {format_value(v)}" for k, v in settings.items())]),
        "runs": runs,
        "levels": _levels(runs, clock),
        "growth": None,
        "growth_unknown": None,
        "linear_trend": None,
    }
    try:
        curve["growth"] = dataclasses.asdict(fit_growth(corruption, lower, upper))
    except ValueError as error:
        curve["growth_unknown"] = str(error)
    low = corruption <= corruption.max() / 2
    fitted = [p for p in np.unique(corruption[low]) if np.isfinite(np.median(upper[corruption == p]))]
    if len(fitted) >= 2:
        start, rise = fit_line(corruption[low], lower[low], upper[low])
        curve["linear_trend"] = {"start": start, "rise": rise, "up_to": float(corruption[low].max())}
        before, at = CLOCKS[clock]
        for run in runs:
            run["ratio_to_linear_trend"] = (run[before if run["censored"] else at] or 0) / (
                start + rise * run["corrupt"]
            )
    return curve


def _levels(runs: list[dict[str, Any]], clock: Clock) -> list[dict[str, Any]]:
    """What takes no power law: median, ratio to the reference and share of fitted seeds, at each corruption.

    Of runs that never fitted the time counts as infinite; None stands for it.
    """
    at = CLOCKS[clock][1]
    times: dict[float, list[float]] = {}
    for run in runs:
        times.setdefault(run["corrupt"], []).append(np.inf if run["censored"] else run[at])
    reference = min((level for level in times if level >= REFERENCE - 1e-9), default=None)
    base = None if reference is None else median(times[reference])
    levels = []
    for level, found in times.items():
        fitted = sum(np.isfinite(found).tolist())
        low, high = share_interval(fitted, len(found))
        middle = median(found)
        ratio = middle / base if base and np.isfinite(base) else np.inf
        levels.append(
            {
                "corrupt": level,
                "runs": len(found),
                "fitted": fitted,
                "share_lower": low,
                "share_upper": high,
                "median": _finite(middle),
                "reference": reference,
                "ratio_to_reference": _finite(ratio),
            }
        )
    return levels


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
