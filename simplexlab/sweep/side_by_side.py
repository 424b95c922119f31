"""Objectives side by side: where each puts the representations, what is left of its excess, how it is judged.

What shows is told in words made from the numbers: who collapses, who reaches the simplex, who does not and why.
"""

import math
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

from simplexlab import geometry, objectives
from simplexlab.config import as_typed, flag
from simplexlab.dataset_name import dataset_title
from simplexlab.errors import UsageError
from simplexlab.runs import Run, first_metrics
from simplexlab.sweep.curves import Table
from simplexlab.sweep.table import applies, varied_settings

TITLE = "Objectives side by side"
COLLAPSED = 0.2  # angle of a point to its class mean over that between class means up to which classes collapse
AT_THE_SIMPLEX = 0.015  # largest |γ − γ of the simplex| of a pair: 2.7°
SMALL = 0.01  # share of the excess below which the loss has little left to ask for
OPTIMUM_AWAY = 0.005  # |γ − γ of the simplex| from which on an optimum is another configuration
# Why an objective is not at a collapsed simplex, and what is told of it; the numbers decide which.
REASONS: dict[str, tuple[str, Callable[[dict[str, Any]], str]]] = {
    "spread": (
        "the optimum itself does not collapse (γ within there; γ within reached) under",
        lambda row: f"{row['title']} ({row['within_optimum']:.2f}; {row['within']:.2f})",
    ),
    "elsewhere": (
        "the optimum itself is another configuration (its γ between class means) under",
        lambda row: f"{row['title']} {row['class_means_optimum']:.3f}",
    ),
    "all the same": (
        f"at most {100 * SMALL:g} % of the first excess is left all the same (γ within; largest distance of a γ "
        "between class means) under",
        lambda row: f"{row['title']} ({row['within']:.2f}; {row['from_simplex']:.2f})",
    ),
    "excess": (
        "training has left a share of the first excess under",
        lambda row: f"{row['title']} {_percent(row['excess_left'])}",
    ),
    "unknown": ("no floor is known for", lambda row: row["title"]),
}
JUDGES = {"class_means": "class means", "probe": "linear probe"}


def side_by_side(runs: Sequence[Run]) -> dict[str, Any]:
    """The objectives of finished runs beside each other, by dataset and corruption.

    Args:
        runs: training runs; those that have not finished are passed over.

    Returns:
        Ready for JSON: `panels`, one a dataset, each with `rows`, one for each objective, further option that varies,
        and corruption, with medians over its runs: γ between class means and within classes, the largest distance of
        a γ between class means from that of the simplex, the share of the first excess that is left at the end, test
        errors by the run's own classifier, by the class means and by a linear probe, and the time to fit. And
        `words`, sentences made from these numbers.

    Raises:
        UsageError: none has finished.
    """
    finished = [run for run in runs if run.status.state == "finished" and run.result and _is_whole(run.result)]
    if not finished:
        raise UsageError("figure objectives takes finished runs; there is none")
    varied = [key for key in varied_settings(finished) if key != "dataset"]
    groups: dict[tuple, list[Run]] = {}
    for run in finished:
        experiment = run.config["experiment"]
        settings = tuple(f"{flag(key)[2:]} {as_typed(experiment[key])}" for key in varied if applies(run, key))
        name = objectives.of_run(run.config).name
        key = run.result["dataset"], experiment["corrupt"], objectives.rank(name), settings
        groups.setdefault(key, []).append(run)
    panels: dict[str, list[dict[str, Any]]] = {}
    for dataset, corrupt, rank, settings in sorted(groups):
        row = _row(groups[dataset, corrupt, rank, settings], corrupt, settings)
        panels.setdefault(dataset, []).append(row)
    return {
        "figure": "objectives",
        "title": TITLE,
        "panels": [_panel(dataset_title(dataset), rows) for dataset, rows in panels.items()],
    }


def _is_whole(result: dict[str, Any]) -> bool:
    spreads = [result.get(key) or {} for key in ("class_mean_similarity", "within_class_similarity")]
    return all({"mean", "q50", "minimum", "maximum"} <= spread.keys() for spread in spreads)


def _panel(dataset: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    classes = rows[0]["num_classes"]
    panel = {
        "dataset": dataset,
        "num_classes": classes,
        "simplex": geometry.optimum(classes)["class_mean_similarity"],
        "orthogonal_frame": geometry.optimum(classes, "nonnegative")["class_mean_similarity"],
        "rows": rows,
    }
    for row in rows:
        row |= _verdict(row, panel["simplex"])
    return panel | {"words": words(panel)}


def _row(runs: list[Run], corrupt: float, settings: tuple[str, ...]) -> dict[str, Any]:
    """What the runs of one objective at one corruption say, their medians."""
    objective = objectives.of_run(runs[0].config)
    results = [run.result for run in runs]
    simplex = geometry.optimum(results[0]["num_classes"])["class_mean_similarity"]
    deviations = [
        max(abs(result["class_mean_similarity"][end] - simplex) for end in ("minimum", "maximum")) for result in results
    ]
    optima = [result.get("optimum") or {} for result in results]
    times = [math.inf if result.get("time_to_fit") is None else result["time_to_fit"] for result in results]
    middle = median(times)
    left = [share for run in runs if (share := _excess_left(run)) is not None]
    return {
        "loss": objective.name,
        "title": " ".join([objective.title, *settings]),
        "colour": objective.colour,
        "marker": objective.marker,
        "corrupt": corrupt,
        "runs": [run.name for run in runs],
        "num_classes": results[0]["num_classes"],
        "nonnegative": any(result.get("nonnegative") for result in results),
        "judge": results[0]["fit_policy"],
        "class_means": _median(result["class_mean_similarity"]["mean"] for result in results),
        "class_means_least": _median(result["class_mean_similarity"]["minimum"] for result in results),
        "class_means_largest": _median(result["class_mean_similarity"]["maximum"] for result in results),
        "from_simplex": _median(deviations),
        "within": _median(result["within_class_similarity"]["q50"] for result in results),
        "class_means_optimum": _median(one.get("class_mean_similarity") for one in optima),
        "within_optimum": _median(one.get("within_class_similarity") for one in optima),
        "excess_left": _median(left),
        "excess_left_of_runs": left,
        "train_error": _median(result.get("train_error") for result in results),
        "test_error": _median(result.get("test_error") for result in results),
        "test_error_of_runs": [result["test_error"] for result in results if result.get("test_error") is not None],
        **{f"test_error_{key}": _median(result.get(f"test_error_{key}") for result in results) for key in JUDGES},
        "time_to_fit": None if math.isinf(middle) else middle,
        "fitted": sum(math.isfinite(time) for time in times),
        "iterations": max(result["iterations"] for result in results),
    }


def _median(values: Any) -> float | None:
    known = [value for value in values if value is not None]
    return float(median(known)) if known else None


def _excess_left(run: Run) -> float | None:
    """The last excess over that of the first evaluation, at least 0; None where no floor is known."""
    first = next((line for line in first_metrics(run.path) if line.get("excess") is not None), None)
    last, at = run.result.get("excess"), run.result.get("evaluated_at")
    if first is None or last is None or at is None or not (first["excess"] > 0 and at > first["iteration"]):
        return None
    return max(0.0, last / first["excess"])


def _verdict(row: dict[str, Any], simplex: float) -> dict[str, Any]:
    """Whether classes collapsed, whether the class means are at the simplex, and if not why, from the numbers alone."""
    collapsed = is_collapsed(row["within"], row["class_means"])
    at_simplex = row["from_simplex"] <= AT_THE_SIMPLEX
    reason = None if collapsed and at_simplex else _reason(row, simplex)
    return {"collapsed": collapsed, "at_simplex": at_simplex, "reason": reason}


def is_collapsed(within: float, between: float) -> bool:
    """Whether the angle 1 − γ within classes is small beside the mean one between class means."""
    return 1 - within <= COLLAPSED * (1 - between)


def _reason(row: dict[str, Any], simplex: float) -> str:
    """A key of `REASONS`."""
    between, within, left = row["class_means_optimum"], row["within_optimum"], row["excess_left"]
    if left is None:
        return "unknown"
    if within is not None and between is not None and not is_collapsed(within, between):
        return "spread"
    if between is not None and abs(between - simplex) > OPTIMUM_AWAY:
        return "elsewhere"
    return "all the same" if left <= SMALL else "excess"


def words(panel: dict[str, Any]) -> list[str]:
    """What shows, in sentences that are made from the numbers of a panel: of every corruption five at most."""
    sentences = []
    for corrupt in sorted({row["corrupt"] for row in panel["rows"]}):
        rows = [row for row in panel["rows"] if row["corrupt"] == corrupt]
        sentences.append(summary(panel, corrupt))
        away = [
            f"{explanation} {_listed(rows, lambda row, key=key: row['reason'] == key, told)}"
            for key, (explanation, told) in REASONS.items()
            if any(row["reason"] == key for row in rows)
        ]
        if away:
            sentences.append(f"Not at a collapsed simplex: {'; '.join(away)}.")
        sentences += [_errors_in_words(rows), _times_in_words(rows)]
    return sentences


def summary(panel: dict[str, Any], corrupt: float) -> str:
    """Who collapses and who is at the simplex, at one corruption."""
    rows = [row for row in panel["rows"] if row["corrupt"] == corrupt]
    labels = "Clean labels" if corrupt == 0 else f"{_percent(corrupt)} of the labels flipped"
    collapsed, at_simplex = (
        _listed(rows, lambda row, key=key: row[key], lambda row: row["title"]) for key in ("collapsed", "at_simplex")
    )
    return (
        f"{labels}: classes collapse (to {_percent(COLLAPSED)} of the angle between class means) under {collapsed}; "
        f"every γ between class means is within {AT_THE_SIMPLEX:g} of the simplex's {panel['simplex']:.3f} under "
        f"{at_simplex}."
    )


def _listed(
    rows: list[dict[str, Any]], chosen: Callable[[dict[str, Any]], bool], told: Callable[[dict[str, Any]], str]
) -> str:
    return ", ".join(told(row) for row in rows if chosen(row)) or "none"


def _errors_in_words(rows: list[dict[str, Any]]) -> str:
    parts = []
    for key, name in JUDGES.items():
        known = [row for row in rows if row[f"test_error_{key}"] is not None]
        if known:
            (least, lowest), (most, highest) = (_extreme(known, f"test_error_{key}", choose) for choose in (min, max))
            parts.append(f"by {name} from {_percent(least)} ({lowest}) to {_percent(most)} ({highest})")
    return f"Test error {' and '.join(parts)}." if parts else "No test error is known."


def _extreme(rows: list[dict[str, Any]], key: str, choose: Callable[..., float]) -> tuple[float, str]:
    """The least or the largest value, and every objective that has it."""
    value = choose(row[key] for row in rows)
    return value, ", ".join(row["title"] for row in rows if row[key] == value)


def _times_in_words(rows: list[dict[str, Any]]) -> str:
    fitted = [row for row in rows if row["time_to_fit"] is not None]
    never = [row["title"] for row in rows if row["time_to_fit"] is None]
    if not fitted:
        return f"None fitted its labels within {rows[0]['iterations']} iterations."
    (least, first), (most, last) = (_extreme(fitted, "time_to_fit", choose) for choose in (min, max))
    text = f"Fitted first by {first}, after {least:g} iterations"
    if most > least:
        text += f", last by {last}, after {most:g}"
    return text + (f"; not within {rows[0]['iterations']} by {', '.join(never)}." if never else ".")


def table(panel: dict[str, Any]) -> Table:
    """The numbers of a panel as a table."""
    headings = [
        *("objective", "corrupt", "γ means", "from simplex", "γ within", "excess left", "train error", "test error"),
        *("by class means", "by probe", "time to fit", "fitted", "collapsed", "simplex"),
    ]
    lines = []
    for row in panel["rows"]:
        errors = [row[key] for key in ("train_error", "test_error", "test_error_class_means", "test_error_probe")]
        lines.append(
            [
                row["title"],
                f"{row['corrupt']:g}",
                f"{row['class_means']:.3f}",
                f"{row['from_simplex']:.3f}",
                f"{row['within']:.3f}",
                "–" if row["excess_left"] is None else _percent(row["excess_left"]),
                *("–" if error is None else _percent(error) for error in errors),
                "never" if row["time_to_fit"] is None else f"{row['time_to_fit']:g}",
                f"{row['fitted']} of {len(row['runs'])}",
                "yes" if row["collapsed"] else "no",
                "yes" if row["at_simplex"] else "no",
            ]
        )
    return Table(f"{TITLE}, {panel['dataset']}", headings, lines)


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"
