"""Follow run folders while they are written, reading only what is new."""

import math
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from simplexlab.files import open_file, reason
from simplexlab.runs import folder
from simplexlab.runs.folder import parse_line
from simplexlab.runs.read import HEARTBEAT_LIMIT_SECONDS, Run, is_fresh, read_as_written, run_paths, settle
from simplexlab.runs.record import METRICS, checked

BLOCK = 1 << 22


class MetricsFollower:
    """Follows a run's `metrics.jsonl`: each `poll` reads what was appended since the last one.

    A line that is not complete yet waits for its end; one that is no object or does not say its iteration is passed
    over, and so is a value that is not as `record.METRICS` states it. When the file is
    cut or replaced, as it is when a run resumes from a checkpoint, or removed, following starts again from its
    beginning: `records` is emptied and `restarts` grows by one.

    Args:
        path: The run folder.
        most: Keep at most about this many records: of a longer file every 2nd, 4th, 8th… line and the newest.
            Lines that are not kept are not parsed either, so that a file of any length opens quickly.

    Attributes:
        records: The records kept so far, in order.
        lines: Complete lines seen so far.
        unreadable: How many of those that were parsed are damaged: passed over, or in part.
        restarts: How often following began anew.
    """

    def __init__(self, path: str | Path, most: int | None = None):
        if most is not None and most < 2:
            raise ValueError(f"most is {most}; it must be at least 2")
        self.path = Path(path, folder.METRICS_FILE)
        self.most = most
        self.restarts = 0
        self._begin()

    def _begin(self) -> None:
        self.records: list[dict[str, Any]] = []
        self.lines = 0
        self.unreadable = 0
        self._numbers: list[int] = []  # line number of each record
        self._stride = 1
        self._offset = 0
        self._last_line = b""

    def poll(self) -> list[dict[str, Any]]:
        """Read what is new.

        Returns:
            The records of the new lines, oldest first; after a restart those of the whole file.
        """
        try:
            with os.fdopen(open_file(self.path), "rb", buffering=0) as file:
                if not self._continues(file):
                    self._restart()
                return self._read(file)
        except FileNotFoundError:
            if self._offset:
                self._restart()
        except OSError:
            pass
        return []

    def _restart(self) -> None:
        self.restarts += 1
        self._begin()

    def _continues(self, file: BinaryIO) -> bool:
        """Whether the last line that was read is still where it was."""
        file.seek(self._offset - len(self._last_line))
        return file.read(len(self._last_line)) == self._last_line

    def _read(self, file: BinaryIO) -> list[dict[str, Any]]:
        kept: list[tuple[int, bytes]] = []
        rest = b""
        file.seek(self._offset)
        before = self.lines
        while block := file.read(BLOCK):
            *lines, rest = (rest + block).split(b"\n")
            if not lines:
                continue
            newest = lines[-1]
            first = -self.lines % self._stride
            kept += [(self.lines + index, lines[index]) for index in range(first, len(lines), self._stride)]
            self.lines += len(lines)
            self._offset += sum(map(len, lines)) + len(lines)
            kept = self._thin(kept)
        if self.lines == before:
            return []
        self._last_line = newest + b"\n"
        if not kept or kept[-1][0] != self.lines - 1:
            kept.append((self.lines - 1, newest))
        if self._numbers and self._numbers[-1] % self._stride:  # it was kept only as the newest
            self._numbers.pop()
            self.records.pop()
        new = []
        for number, line in kept:
            record, wrong = checked(parse_line(line) or {}, METRICS)
            self.unreadable += bool(wrong) or "iteration" not in record
            if "iteration" in record:
                new.append((number, record))
        self._numbers += [number for number, _ in new]
        self.records += [record for _, record in new]
        return [record for _, record in new]

    def _thin(self, kept: list[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
        while self.most is not None and len(self._numbers) + len(kept) > self.most:
            self._stride *= 2
            survivors = [index for index, number in enumerate(self._numbers) if number % self._stride == 0]
            self._numbers = [self._numbers[index] for index in survivors]
            self.records = [self.records[index] for index in survivors]
            kept = [(number, line) for number, line in kept if number % self._stride == 0]
        return kept


def read_metrics(path: str | Path) -> list[dict[str, Any]]:
    """Every record of a run's `metrics.jsonl`; [] if it has none."""
    return MetricsFollower(path).poll()


class RunsFollower:
    """Follows the run folders in `run_dir`: each `poll` reads only the files that changed since the last one.

    It also knows what a single reading cannot: when a clock jumps, a run on another machine counts as alive for as
    long as its signs of life keep coming.

    Attributes:
        problem: why the folder could not be read at the last poll, which then found nothing new; else None.
    """

    def __init__(self, run_dir: str | Path):
        self.run_dir = Path(run_dir)
        self.problem: str | None = None
        self._known: dict[Path, _Known] = {}

    def poll(self) -> list[Run]:
        """The runs as they stand now, sorted by name."""
        try:
            paths: Iterable[Path] = run_paths(self.run_dir)
            self.problem = None
        except OSError as error:
            paths, self.problem = self._known, f"{self.run_dir} cannot be read: {reason(error)}"
        self._known = {path: self._look(path) for path in paths}
        now = time.monotonic()
        return [settle(known.run, now - known.alive_at < HEARTBEAT_LIMIT_SECONDS) for known in self._known.values()]

    def _look(self, path: Path) -> "_Known":
        stamp = _stamp(path)
        before = self._known.get(path)
        if before is not None and before.stamp == stamp:
            return before
        run = read_as_written(path)
        if before is None:
            alive_at = time.monotonic() if is_fresh(run.status) else -math.inf
        else:
            alive_at = before.alive_at if run.status.sequence == before.run.status.sequence else time.monotonic()
        return _Known(stamp, run, alive_at)


class _Known(NamedTuple):
    stamp: tuple
    run: Run
    alive_at: float  # by the monotonic clock


def _stamp(path: Path) -> tuple:
    """Changes whenever one of the small files of a run, or its metrics, does."""
    stamp = []
    for file in (folder.CONFIG_FILE, folder.STATUS_FILE, folder.METRICS_FILE, folder.RESULT_FILE):
        try:
            found = os.stat(path / file)
            stamp.append((found.st_ino, found.st_size, found.st_mtime_ns))
        except OSError:
            stamp.append(None)
    return tuple(stamp)
