"""Facts about a run that several screens show, taken from its records."""

import math
import shlex
import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import numpy as np

from simplexlab.config import Experiment
from simplexlab.geometry import ORTHOGONAL_SIMILARITY, distance_from_optimum, simplex_similarity
from simplexlab.objectives import of_run
from simplexlab.runs import Run


def value(record: dict[str, Any] | None, key: str) -> float | None:
    """The number under a key (`a.b` for nested ones); None if there is none, NaN if it was recorded as not finite."""
    if record is None:
        return None
    if key in (record.get("non_finite") or ()):
        return math.nan
    found: Any = record
    for part in key.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return float(found) if isinstance(found, int | float) and not isinstance(found, bool) else None


def column(records: list[dict[str, Any]], key: str) -> tuple[np.ndarray, np.ndarray]:
    """Iterations and values of one key over the records that have it, shapes (n,); diverged values are NaN."""
    pairs = [
        (iteration, number)
        for record in records
        if (iteration := value(record, "iteration")) is not None and (number := value(record, key)) is not None
    ]
    x, y = np.array(pairs, float).reshape(-1, 2).T
    return x, y


def key_of(records: list[dict[str, Any]], key: str) -> str:
    """Where the number of a statistic stands in a record: under its key, or the mean of its distribution."""
    found = next((record[key] for record in reversed(records) if key in record), None)
    return f"{key}.mean" if isinstance(found, dict) else key


def is_relu(record: dict[str, Any] | None) -> bool:
    """Whether the encoder ends in a ReLU, whose optimum is the orthogonal frame."""
    if projection_of(record) is not None:  # the floor is not that of the encoder
        return record.get("nonnegative") is True
    return value(record, "free_bound") is not None


def projection_of(record: dict[str, Any] | None) -> dict[str, Any] | None:
    """What a record says of the output of a projection head, which the loss sees; None without one."""
    found = (record or {}).get("projection")
    return found if isinstance(found, dict) else None


def projections(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same as records of their own, each with its iteration."""
    return [
        {**found, "iteration": record.get("iteration")}
        for record in records
        if (found := projection_of(record)) is not None
    ]


def optimum_name(record: dict[str, Any] | None) -> str:
    """What the optimal class means are called."""
    name = (record or {}).get("optimum_name")
    if isinstance(name, str):
        title, _, origin = name.partition(" (")
        return title if is_pinned(record) or not origin else origin.removesuffix(")")
    return "orthogonal frame" if is_relu(record) else "simplex"


def reached(run: Run, records: Sequence[dict[str, Any]] = ()) -> int:
    """The last iteration that is known of a run: its heartbeat may be older than its last evaluation.

    Args:
        run: as it was read.
        records: metrics lines that were followed since.
    """
    last = records[-1] if records else run.metrics or {}
    return max(run.status.iteration, last.get("iteration", 0))


def is_pinned(record: dict[str, Any] | None) -> bool:
    """Whether the class means that the picture shows as ideal are the only ones that are optimal, as far as is known.

    The floor of the objective says it: there may be others that take its value, or none that is known to.
    """
    found = record or {}
    return found.get("optimum_is_unique") is not False and found.get("bound_attained") is not False


def how_far(record: dict[str, Any] | None) -> float | None:
    """How far the class means are from their optimum: 0 at it, 1 where two of them coincide.

    The largest deviation of γ from its value at the optimum, the regular simplex or for an encoder that ends in a ReLU
    the orthogonal frame, as a share of 1 − γ* (`geometry.distance_from_optimum`). The one number behind the bars of the
    picture, the table and Compare.

    Returns:
        None where nothing was measured, where no simplex (K > h + 1) or frame (K > h) fits the dimension, and where
        the optimum is not pinned: how far one of many is says nothing.
    """
    return distance_from_drawn(record) if is_pinned(record) else None


def distance_from_drawn(record: dict[str, Any] | None) -> float | None:
    """The same from the configuration that the picture shows, whether or not others are optimal, too."""
    deviation, best = value(record, "similarity_deviation"), value(record, "optimum.class_mean_similarity")
    ends = [value(record, f"class_mean_similarity.{end}") for end in ("minimum", "maximum")]
    classes, dimension = value(record, "num_classes"), value(record, "dimension")
    if classes is None or classes < 2 or None in ends or any(map(math.isnan, ends)):
        return None
    if dimension is not None and classes > dimension + (0 if is_relu(record) else 1):
        return None
    if deviation is not None and best is not None and math.isfinite(deviation):
        return distance_from_optimum([best + deviation], best)
    if is_relu(record):
        return distance_from_optimum(ends, ORTHOGONAL_SIMILARITY)
    return distance_from_optimum(ends, simplex_similarity(int(classes)))


def bar(share: float, width: int = 5) -> str:
    """A share as a bar of blocks, empty at 0."""
    full = min(max(round(share * width), 0), width)
    return "▰" * full + "▱" * (width - full)


def big_numbers(record: dict[str, Any] | None) -> tuple[str, str, str]:
    """Iteration, train error and how far, the last two in percent, as the projector mode shows them."""
    iteration, error, far = value(record, "iteration"), value(record, "train_error"), how_far(record)
    return (
        "–" if iteration is None else f"{iteration:.0f}",
        "–" if error is None or math.isnan(error) else f"{100 * error:.1f}",
        "–" if far is None else f"{100 * far:.0f}",
    )


def experiment_of(run: Run) -> dict[str, Any]:
    """The options of a run, {} where they cannot be read."""
    options = run.config.get("experiment")
    return options if isinstance(options, dict) else {}


def kind_of(run: Run) -> str:
    """What made a run: train or toy."""
    return str(run.config.get("kind") or "train")


def option(run: Run, name: str) -> Any:
    """One option of a run, or None."""
    return experiment_of(run).get(name)


def going_to(run: Run) -> int | None:
    """The last iteration of a run that goes on; None where it has ended, or does not say."""
    return run.status.total or None if run.status.state in ("running", "queued") else None


def unit_of(run: Run) -> str:
    """What one value of a run's loss is, in words."""
    return {"mean": "mean over points", "sum": "sum over a batch"}.get(of_run(run.config).reduction, "")


def repeat_command(run: Run) -> str:
    """The shell command that repeats a run, "" where it is unknown."""
    command = run.config.get("command")
    return shlex.join(map(str, command)) if isinstance(command, list) else str(command or "")


def tolerance(run: Run) -> float:
    """Train error at or below which the labels count as fitted."""
    return float(option(run, "tolerance") or 0.0)


def is_fitted(run: Run) -> bool:
    """Whether the newest evaluation of a run fits its labels."""
    error = value(run.metrics, "train_error")
    return error is not None and error <= tolerance(run)


def named(runs: list[Run], most: int = 5) -> str:
    """The names of some runs, and how many more there are."""
    names = ", ".join(run.name for run in runs[:most])
    return names + (f" and {len(runs) - most} more" if len(runs) > most else "")


def time_to_fit(run: Run, records: list[dict[str, Any]] | None = None) -> int | None:
    """First evaluated iteration at which the given labels were fitted, None where they are not.

    The result says it, and so does every metrics line. Lines of earlier versions, which do not, are looked through;
    those of a long run are thinned, so that this is the reason why it comes last.
    """
    newest = records[-1] if records else run.metrics
    for said in (run.result, newest):
        if said is not None and "time_to_fit" in said:
            found = value(said, "time_to_fit")
            return None if found is None else int(found)
    for record in records or ():
        error = value(record, "train_error")
        if error is not None and error <= tolerance(run):
            return int(record["iteration"])
    return None


def age(run: Run, now: float | None = None) -> float | None:
    """Seconds since a run was made, None if it does not say when; never negative, whatever the clock does."""
    try:
        made = datetime.fromisoformat(run.config["created"]).timestamp()
    except (KeyError, TypeError, ValueError):
        return None
    return max(0.0, (time.time() if now is None else now) - made)


def duration(seconds: float | None) -> str:
    """A duration in one unit: 12 s, 5 min, 3 h, 2 d."""
    if seconds is None:
        return "–"
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def options_line(run: Run) -> str:
    """The options that tell runs apart, in one line."""
    options = experiment_of(run)
    if not options:
        return kind_of(run)
    names = [name for name in Experiment.__dataclass_fields__ if options.get(name) is not None]
    shown = [name for name in names if name in ("encoder", "width", "batch_size", "iterations", "seed")]
    return "  ".join(f"{name.replace('_', ' ')} {options[name]}" for name in shown)
