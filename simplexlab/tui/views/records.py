"""Facts about a run that several screens show, taken from its records."""

import math
import shlex
import time
from datetime import datetime
from typing import Any

import numpy as np

from simplexlab.config import Experiment
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


def repeat_command(run: Run) -> str:
    """The shell command that repeats a run, "" where it is unknown."""
    command = run.config.get("command")
    return shlex.join(map(str, command)) if isinstance(command, list) else str(command or "")


def tolerance(run: Run) -> float:
    """Train error at or below which the labels count as fitted."""
    return float(option(run, "tolerance") or 0.0)


def time_to_fit(run: Run, records: list[dict[str, Any]] | None = None) -> int | None:
    """First evaluated iteration at which the given labels were fitted: from the result, else from the records.

    Without a result and without records the last metrics line decides whether the run is fitted, but not since when:
    then None.
    """
    if run.result is not None and "time_to_fit" in run.result:
        found = value(run.result, "time_to_fit")
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
