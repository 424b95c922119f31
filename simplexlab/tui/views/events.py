"""What happened in a run: places on its slider that one jumps to."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from simplexlab.tui.views.explain import COLLAPSED
from simplexlab.tui.views.records import column, value

MEMORISED = 0.25


@dataclass(frozen=True)
class Event:
    """Something that happened at an evaluation.

    Attributes:
        iteration: Of the evaluation that shows it first.
        sign: One character for the slider.
        words: What it is.
    """

    iteration: int
    sign: str
    words: str


def events_of(records: list[dict[str, Any]], fitted_at: int | None) -> list[Event]:
    """The events of a run in order.

    Args:
        records: its metrics lines.
        fitted_at: its time to fit, None as long as it is not fitted.
    """
    found = [] if fitted_at is None else [Event(fitted_at, "f", "fitted")]
    x, excess = column(records, "excess")
    if len(excess) and excess[0] > 0:
        found += _first(x, excess <= excess[0] / 2, "½", "excess halved")
    # Where all points have one direction the classes have, too: that is no collapse of each class to its own.
    apart = [record for record in records if (value(record, "class_mean_similarity.mean") or 0.0) < COLLAPSED]
    found += _first(*_reach(apart, "within_class_similarity.mean", COLLAPSED), "c", "classes collapsed")
    found += _first(*_reach(records, "flipped_as_given", MEMORISED), "m", "a quarter of the flipped labels memorised")
    last = records[-1] if records else {}
    if last.get("diverged") and "iteration" in last:
        found.append(Event(int(last["iteration"]), "✗", "diverged"))
    return sorted(found, key=lambda event: event.iteration)


def _reach(records: list[dict[str, Any]], key: str, level: float) -> tuple[np.ndarray, np.ndarray]:
    x, y = column(records, key)
    return x, y >= level


def _first(x: np.ndarray, holds: np.ndarray, sign: str, words: str) -> list[Event]:
    where = np.flatnonzero(holds)
    return [Event(int(x[where[0]]), sign, words)] if len(where) else []
