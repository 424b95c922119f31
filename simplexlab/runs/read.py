"""Read run folders, whatever state they are in."""

import contextlib
import difflib
import json
import os
import socket
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from simplexlab.errors import RunError, UsageError
from simplexlab.files import open_binary, read_file, reason
from simplexlab.npz import NpzReader
from simplexlab.runs import folder
from simplexlab.runs.folder import FORMAT, STATES, Locked, LocksUnsupported, parse_line, take_lock
from simplexlab.runs.record import FILES, METRICS, NEEDED_RESULT, checked, flaw

# Without a lock to ask, a run whose heartbeat is older than this is dead.
HEARTBEAT_LIMIT_SECONDS = 60.0
LONGEST_LINE = 1 << 24  # bytes of a line of metrics, as far as it is looked for
CANNOT_BE_READ = "cannot be read"
DEAD_MESSAGE = "the process ended without a word (killed?)"


@dataclass(frozen=True, kw_only=True)
class Status:
    """What a run is doing.

    Attributes:
        state: One of `STATES` (queued, running, stopped, finished, diverged, failed), or what only a reader can find
            out: missing (no run folder), unknown version. A run whose process died is `failed`, whatever it wrote.
        iteration: Iterations done.
        total: Iterations of the whole run.
        pid: Process that writes the run, on `host`.
        host: Name of its machine.
        heartbeat: When it last gave a sign of life, seconds since 1970 by its clock.
        sequence: Grows with every sign of life, also when a clock jumps.
        message: One line for people, or None.
    """

    state: str
    iteration: int = 0
    total: int = 0
    pid: int | None = None
    host: str | None = None
    heartbeat: float = 0.0
    sequence: int = 0
    message: str | None = None


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run folder as it stood when it was read.

    Attributes:
        path: The folder.
        name: Its name.
        config: `config.json`, {} if it cannot be read.
        status: What the run is doing.
        metrics: The last complete line of `metrics.jsonl`, or None.
        result: `result.json`, or None.
        damage: What in these files is not as `record` states it, and was left out of the above.
    """

    path: Path
    name: str
    config: dict[str, Any] = field(default_factory=dict)
    status: Status
    metrics: dict[str, Any] | None = None
    result: dict[str, Any] | None = None
    damage: tuple[str, ...] = ()


def read_run(path: str | Path, *, brief: bool = False) -> Run:
    """Read the run folder `path`; never raises for what it finds or does not find there.

    Args:
        path: the folder.
        brief: leave out `metrics` where `result` says all that a table needs, which spares a third of the time.
    """
    run = read_as_written(path, brief=brief)
    return settle(run, is_fresh(run.status))


class LeftOut(NamedTuple):
    """The name of a run and why it cannot stand beside others."""

    name: str
    why: str


def sound(runs: Iterable[Run]) -> tuple[list[Run], list[LeftOut]]:
    """The runs that can stand beside others in a figure, a table or a report, and those that cannot.

    A run that has not been started, or goes on, is sound unless its files are damaged.
    """
    kept, left_out = [], []
    for run in runs:
        problem = run.damage[0] if run.damage else None
        if run.status.state == "unknown version":
            problem = run.status.message
        elif problem is None and run.status.state != "missing":
            problem = flaw(run.config, run.result, run.status.state)
        if problem is None:
            kept.append(run)
        else:
            left_out.append(LeftOut(run.name, problem))
    return kept, left_out


def list_runs(run_dir: str | Path, *, brief: bool = False) -> list[Run]:
    """Read every run folder in `run_dir`, sorted by name; a folder that does not exist holds none.

    Args:
        run_dir: the folder.
        brief: as of `read_run`.

    Raises:
        OSError: the folder is there and cannot be read.
    """
    return [read_run(path, brief=brief) for path in run_paths(run_dir)]


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    """Whether it is a folder or leads to one; a link that leads in a circle, or where nobody may look, does not."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def run_paths(run_dir: str | Path) -> list[Path]:
    """The run folders in `run_dir`, sorted by name; a folder that does not exist holds none.

    Raises:
        OSError: the folder is there and cannot be read.
    """
    try:
        with os.scandir(run_dir) as entries:
            names = [entry.name for entry in entries if entry.name[0] != "." and _is_folder(entry)]
    except (FileNotFoundError, NotADirectoryError):
        os.getcwd()  # or tell that the working directory was deleted
        return []
    return [Path(run_dir, name) for name in sorted(names) if is_run(f"{run_dir}/{name}")]


def find_run(run: str | Path, run_dir: str | Path = "runs") -> Path:
    """The folder of a run that is named by its name in `run_dir` or by its path.

    Raises:
        UsageError: there is no such run; the message names the nearest.
        OSError: the run, or `run_dir`, cannot be read.
    """
    for path in (Path(run_dir, run), Path(run)):
        if is_run(path):
            os.scandir(path).close()  # or tell why one may not look into it
            return path
    names = [path.name for path in run_paths(run_dir)]
    if not names:
        raise UsageError(f"there is no run {run}: {run_dir} holds no runs; --run-dir chooses the folder")
    close = difflib.get_close_matches(str(run), names, n=1, cutoff=0.4)
    hint = f"did you mean {close[0]}?" if close else "`simplexlab runs` lists them"
    raise UsageError(f"there is no run {run} in {run_dir}; {hint}")


def read_last_metrics(path: str | Path) -> dict[str, Any] | None:
    """The last record of a run's `metrics.jsonl`, found from its end; None if there is none."""
    try:
        with open_binary(f"{path}/{folder.METRICS_FILE}") as file:
            size = file.seek(0, os.SEEK_END)
            for block in (1 << 13, 1 << 16, 1 << 20, LONGEST_LINE):
                file.seek(max(0, size - block))
                for line in reversed(file.read(block).split(b"\n")):
                    if (record := parse_line(line)) is not None:
                        return record
                if block >= size:
                    break
    except OSError:
        pass
    return None


def first_metrics(path: str | Path) -> Iterator[dict[str, Any]]:
    """The records of a run's `metrics.jsonl` from its beginning, each read when it is asked for, as far as they go.

    A line without an iteration is passed over, and so is a value that is not as `record.METRICS` states it.
    """
    with contextlib.suppress(OSError), open_binary(f"{path}/{folder.METRICS_FILE}") as file:
        while (line := file.readline(LONGEST_LINE)).endswith(b"\n"):
            record = checked(parse_line(line) or {}, METRICS)[0]
            if "iteration" in record:
                yield record


def read_labels(path: str | Path) -> tuple[np.ndarray, np.ndarray]:
    """Labels that a run trained on, and the indices of those that were corrupted.

    Returns:
        labels (N,) and flipped (F,), both integer.

    Raises:
        RunError: the run has none, or they cannot be read.
    """
    arrays = _read_npz(Path(path, folder.LABELS_FILE))
    try:
        return arrays["labels"], arrays["flipped"]
    except KeyError as error:
        raise RunError(f"{Path(path, folder.LABELS_FILE)} has no {error}") from error


def list_geometry(path: str | Path) -> list[int]:
    """The iterations whose geometry a run has recorded, ascending."""
    try:
        names = os.listdir(Path(path, folder.GEOMETRY_FOLDER))
    except OSError:
        return []
    return sorted(int(name[:-4]) for name in names if name.endswith(".npz") and name[:-4].isdecimal())


def read_geometry(path: str | Path, iteration: int) -> dict[str, np.ndarray]:
    """The arrays that a run recorded at `iteration`.

    Raises:
        RunError: there are none, or they cannot be read.
    """
    return _read_npz(Path(path, folder.GEOMETRY_FOLDER, f"{iteration:08d}.npz"))


def read_log(path: str | Path, lines: int = 20) -> list[str]:
    """The last lines of a run's log, [] if it has none."""
    try:
        with open_binary(Path(path, folder.LOG_FILE)) as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 65536))
            return [line for line in file.read().decode(errors="replace").splitlines() if line.strip()][-lines:]
    except OSError:
        return []


def read_as_written(path: str | Path, *, brief: bool = False) -> Run:
    """Read a run folder and believe its status; `settle` asks whether its process still lives."""
    path = Path(path)
    name = path.name or path.resolve().name
    config, damage = _read_checked(path, folder.CONFIG_FILE)
    status, more = _read_json(path, folder.STATUS_FILE)
    if config is None and status is None and not is_run(path):
        return Run(path=path, name=name, status=Status(state="missing", message=f"there is no run in {path}"))
    made_by = max(_whole(part.get("format"), FORMAT) for part in (config or {}, status or {}))
    if made_by > FORMAT:
        message = f"made by a newer simplexlab (run format {made_by}, this one reads {FORMAT}); update simplexlab"
        return Run(path=path, name=name, config=config or {}, status=Status(state="unknown version", message=message))
    result, of_result = _read_checked(path, folder.RESULT_FILE)
    is_enough = brief and result is not None and not of_result and result.keys() >= NEEDED_RESULT
    metrics = None if is_enough else read_last_metrics(path)
    return Run(
        path=path,
        name=name,
        config=config or {},
        status=_status(status, more),
        metrics=None if metrics is None else checked(metrics, METRICS)[0],
        result=result,
        damage=(*damage, *more, *of_result),
    )


def settle(run: Run, fresh: bool) -> Run:
    """The run as it is: failed, if it says that it is running and its process is dead.

    Args:
        run: The run as it was written.
        fresh: Whether its heartbeat counts as recent, which decides where the lock cannot be asked.
    """
    if run.status.state != "running" or _is_alive(run, fresh):
        return run
    # The process may have ended well between the reading of its status and of its lock.
    record, unread = _read_json(run.path, folder.STATUS_FILE)
    latest = _status(record, unread)
    if latest.state != "running":
        result, damage = _read_checked(run.path, folder.RESULT_FILE)
        return replace(run, status=latest, result=result, damage=(*run.damage, *damage))
    last_words = read_log(run.path, 1)
    message = f"{DEAD_MESSAGE}; its last words: {last_words[0].strip()}" if last_words else DEAD_MESSAGE
    return replace(run, status=replace(latest, state="failed", message=message))


def is_fresh(status: Status) -> bool:
    """Whether a run's heartbeat is recent by the clock on the wall."""
    return time.time() - status.heartbeat < HEARTBEAT_LIMIT_SECONDS


def is_run(path: str | Path) -> bool:
    """Whether `path` is a run folder, or a folder of which one may not know."""
    for file in (folder.CONFIG_FILE, folder.STATUS_FILE):
        try:
            os.stat(f"{path}/{file}")
            return True
        except PermissionError:
            return True
        except (OSError, ValueError):
            pass
    return False


def _status(record: dict[str, Any] | None, damage: Iterable[str] = ()) -> Status:
    """What a status says; a run whose status may not be read has failed for whoever reads it."""
    unread = [problem for problem in damage if CANNOT_BE_READ in problem]
    if unread:
        return Status(state="failed", message=unread[0])
    if record is None or record.get("state") not in STATES:
        return Status(state="running", message=f"{folder.STATUS_FILE} is missing or cannot be read")
    message, host = record.get("message"), record.get("host")
    return Status(
        state=record["state"],
        iteration=_whole(record.get("iteration"), 0),
        total=_whole(record.get("total"), 0),
        pid=_whole(record.get("pid"), None),
        host=host if isinstance(host, str) else None,
        heartbeat=_number(record.get("heartbeat")),
        sequence=_whole(record.get("sequence"), 0),
        message=message if isinstance(message, str) else None,
    )


def _is_alive(run: Run, fresh: bool) -> bool:
    if run.status.host in (None, socket.gethostname()) and (alive := _has_writer(run.path)) is not None:
        return alive
    return fresh


def _has_writer(path: Path) -> bool | None:
    """Whether a process of this machine holds the lock of a run; None if it cannot be told."""
    try:
        os.close(take_lock(path, shared=True))
    except Locked:
        return True
    except LocksUnsupported:
        return None
    except FileNotFoundError:
        return False
    except OSError:
        return None
    return False


def _read_json(path: Path, name: str) -> tuple[dict[str, Any] | None, list[str]]:
    """The object in a file of a run, and what is wrong with the file; None and nothing where there is none."""
    try:
        content = read_file(f"{path}/{name}")
    except (FileNotFoundError, NotADirectoryError):
        return None, []
    except OSError as error:
        return None, [f"{name} {CANNOT_BE_READ}: {reason(error)}"]
    try:
        record = json.loads(content)
    except (ValueError, RecursionError):
        return None, [f"{name} is {'damaged' if content.strip() else 'empty'}"]
    return (record, []) if isinstance(record, dict) else (None, [f"{name} holds no JSON object"])


def _read_checked(path: Path, name: str) -> tuple[dict[str, Any] | None, list[str]]:
    record, damage = _read_json(path, name)
    if record is None:
        return None, damage
    record, wrong = checked(record, FILES[name])
    return record, [f"{name}: {problem}" for problem in wrong]


def _read_npz(path: Path) -> dict[str, np.ndarray]:
    try:
        with open_binary(path) as file:
            archive = NpzReader(file)
            return {name: archive.read(name) for name in archive.names}
    except FileNotFoundError:
        raise RunError(f"there is no {path}") from None
    except (OSError, ValueError) as error:
        raise RunError(f"{path} cannot be read: {error}") from error


def _whole(value: Any, default: Any) -> Any:
    return value if isinstance(value, int) and not isinstance(value, bool) else default


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else 0.0
