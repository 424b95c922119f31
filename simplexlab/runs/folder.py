"""What writers and readers of a run folder agree on: file names, states, names of runs, the lock, JSON."""

import fcntl
import json
import math
import os
import re
from pathlib import Path
from typing import Any

from simplexlab.errors import UsageError
from simplexlab.files import open_file

FORMAT = 1
"""The format of run folders that is written; a reader refuses a larger one."""
CONFIG_FILE = "config.json"
METRICS_FILE = "metrics.jsonl"
STATUS_FILE = "status.json"
RESULT_FILE = "result.json"
LABELS_FILE = "labels.npz"
LOSS_FILE = "loss.py"
LOG_FILE = "log.txt"
LOCK_FILE = ".lock"
MODEL_FILE = "model.keras"
PROJECTION_FILE = "projection.keras"
GEOMETRY_FOLDER = "geometry"
CHECKPOINTS_FOLDER = "checkpoints"
TENSORBOARD_FOLDER = "tb"

# What status.json holds; a reader may also find that a run is missing, or of an unknown version.
STATES = ("queued", "running", "stopped", "finished", "diverged", "failed")
"""The states of a run."""

LONGEST_NAME = 200


def check_name(name: str, given: str = "--name") -> str:
    """Return `name` if it can name a run folder, that is one folder directly inside the folder of runs.

    Args:
        name: the name.
        given: where it comes from, for the error's line.

    Raises:
        UsageError: the name is empty, too long, leaves the folder, starts with "." or "-", or cannot be printed.
    """
    if not name:
        problem = "is empty"
    elif "/" in name or "\\" in name:
        problem = "contains a path separator" + ("; --run-dir chooses the folder" if given == "--name" else "")
    elif name[0] in ".-":
        problem = f'starts with "{name[0]}"'
    elif not name.isprintable():
        problem = "contains a character that cannot be printed"
    elif len(name.encode()) > LONGEST_NAME:
        problem = f"is longer than {LONGEST_NAME} bytes"
        name = name[:20] + "…"
    else:
        return name
    raise UsageError(f"{given} {name!r} {problem}; a run's name is a plain folder name such as ce-corrupt-0.2")


def check_parts(path: Path) -> None:
    """Raise a UsageError if a run folder, or anything in it, is a link: what is written stays in the folder."""
    if path.is_symlink():
        raise UsageError(f"{path} is a link; name the run folder that it leads to")
    for folder, folders, files in os.walk(path):
        for name in (*folders, *files):
            if os.path.islink(part := Path(folder, name)):
                raise UsageError(f"{part} is a link; a run folder holds its own files, so remove the link first")


def default_name(run_dir: str | Path, stem: str) -> str:
    """Return the first name of `stem`, `stem-2`, `stem-3`… that is free in `run_dir`.

    Characters of the stem that do not belong in a folder name become "-".
    """
    stem = re.sub(r"[^\w.+=-]+", "-", stem).strip(".-")[: LONGEST_NAME // 4] or "run"
    name, number = stem, 1
    while os.path.lexists(Path(run_dir, name)):
        number += 1
        name = f"{stem}-{number}"
    return name


def encode(record: Any) -> tuple[str, list[str]]:
    """One line of JSON for `record`, and the dotted keys of the numbers in it that are not finite.

    Such numbers become null; numpy scalars and arrays become numbers and lists.

    Raises:
        TypeError: the record holds something that JSON cannot express.
    """
    non_finite: list[str] = []

    def plain(value: Any, key: str) -> Any:
        if isinstance(value, dict):
            return {str(name): plain(item, f"{key}.{name}" if key else str(name)) for name, item in value.items()}
        if isinstance(value, list | tuple):
            return [plain(item, f"{key}.{index}") for index, item in enumerate(value)]
        if isinstance(value, float):
            if math.isfinite(value):
                return float(value)
            non_finite.append(key)
            return None
        if value is None or isinstance(value, str | bool | int):
            return value
        if hasattr(value, "tolist"):
            return plain(value.tolist(), key)
        raise TypeError(f"{key or 'the record'} is of type {type(value).__name__}, which JSON cannot hold")

    return json.dumps(plain(record, ""), allow_nan=False, ensure_ascii=False), non_finite


def parse_line(line: bytes) -> dict[str, Any] | None:
    """One line of `metrics.jsonl`, or None if it is not an object; NaN, which JSON does not have, is null."""
    try:
        record = json.loads(line.decode(), parse_constant=lambda _: None)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


class Locked(Exception):
    """Another open file holds the lock."""


class LocksUnsupported(Exception):
    """The file system has no locks (some Lustre and FUSE mounts)."""


def take_lock(path: Path, *, shared: bool = False) -> int:
    """Take the lock of the run folder `path` without waiting; returns the file descriptor whose closing frees it.

    The kernel frees the lock when its process ends, however it ends. A writer holds it exclusively for as long as it
    lives; a reader that gets it, shared and for an instant, knows that there is no writer.

    Raises:
        Locked: another process holds it.
        LocksUnsupported: the file system has no locks.
        OSError: there is no lock file, or it cannot be opened.
    """
    descriptor = open_file(path / LOCK_FILE, os.O_RDONLY if shared else os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise Locked from None
    except OSError as error:
        os.close(descriptor)
        raise LocksUnsupported from error
    return descriptor
