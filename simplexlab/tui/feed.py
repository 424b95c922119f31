"""Follows one run folder: its status, its records and the geometry of its evaluations."""

import threading
from pathlib import Path

import numpy as np

from simplexlab.errors import RunError
from simplexlab.runs import MetricsFollower, Run, list_geometry, read_geometry, read_run
from simplexlab.tui.views.configuration import reach_of
from simplexlab.tui.views.records import value

Arrays = dict[str, np.ndarray]
KEPT_FRAMES = 64
MEASURED_FRAMES = 7
TRAIL_FRAMES = 5


class RunFeed:
    """What is known of one run; `poll` and `geometry` read files, beside the event loop where they can.

    Args:
        path: The run folder.
        most: Keep at most about this many records (see `MetricsFollower`).

    Attributes:
        run: The run as it stood at the last poll.
        frames: Iterations whose geometry is recorded, ascending.
    """

    def __init__(self, path: Path, most: int):
        self.path = path
        self.run: Run = read_run(path)
        self.frames: list[int] = []
        self._follower = MetricsFollower(path, most=most)
        self._cache: dict[int, Arrays] = {}
        self._reaches: dict[int, float] = {}
        self._lock = threading.Lock()

    @property
    def records(self) -> list[dict]:
        """The records kept so far."""
        return self._follower.records

    def poll(self) -> None:
        """Read what is new; `stamp` tells whether anything that is drawn changed."""
        with self._lock:
            restarts = self._follower.restarts
            self.run = read_run(self.path)
            self._follower.poll()
            self.frames = list_geometry(self.path)
            if restarts != self._follower.restarts:
                self._cache.clear()
                self._reaches.clear()
        self._measure()

    def _measure(self) -> None:
        """Look how far the picture reaches at some evaluations over the whole run."""
        places = np.unique(np.linspace(0, len(self.frames) - 1, MEASURED_FRAMES).round().astype(int))
        for frame in [self.frames[place] for place in places] if self.frames else []:
            if frame not in self._reaches:
                arrays = self.geometry(frame)
                self._reaches[frame] = 0.0 if arrays is None else reach_of(arrays)

    @property
    def reach(self) -> float | None:
        """How far the picture of any evaluation reaches, so that a replay keeps its scale; None before one was read."""
        return max(self._reaches.values(), default=0.0) or None

    @property
    def unreadable(self) -> int:
        """How many metrics lines could not be read."""
        return self._follower.unreadable

    @property
    def stamp(self) -> tuple:
        """Changes whenever something that is drawn does."""
        return self.run.status.state, tuple(self.frames[-1:]), self._follower.lines, self._follower.restarts

    def geometry(self, iteration: int) -> Arrays | None:
        """The arrays of one evaluation, None if they cannot be read (removed meanwhile, or not complete yet)."""
        with self._lock:
            if iteration not in self._cache:
                try:
                    arrays = read_geometry(self.path, iteration)
                except RunError:
                    return None
                if len(self._cache) >= KEPT_FRAMES:
                    self._cache.pop(next(iter(self._cache)))
                self._cache[iteration] = arrays
            return self._cache[iteration]

    def trail(self, iteration: int | None) -> list[Arrays]:
        """The arrays of some evaluations before one, oldest first; for None before the newest."""
        before = [frame for frame in self.frames if iteration is None or frame < iteration]
        before = before[:-1] if iteration is None else before
        return [arrays for frame in before[-TRAIL_FRAMES:] if (arrays := self.geometry(frame)) is not None]

    def record_at(self, iteration: int | None) -> dict | None:
        """The metrics line of an evaluation, the newest for None; None if it was not kept."""
        if iteration is None:
            return self.records[-1] if self.records else None
        return next((one for one in reversed(self.records) if value(one, "iteration") == iteration), None)

    def evaluated_at(self, iteration: int | None) -> dict | None:
        """The metrics line of an evaluation; for None the newest that was measured before a divergence."""
        if iteration is not None:
            return self.record_at(iteration)
        return next((one for one in reversed(self.records) if not one.get("diverged")), None)

    def frame_at(self, iteration: int) -> int | None:
        """The last recorded evaluation at or before an iteration, else the first."""
        before = [frame for frame in self.frames if frame <= iteration]
        return before[-1] if before else self.frames[0] if self.frames else None
