"""Losses of one's own: a Python file that holds one `Objective`, and when it may be executed.

A file is executed only where its user has asked for it: it was named on the command line or in code (`allow`), now or
before. `allow` notes its checksum in the user's own state folder, outside every run folder, so that `resume` and
`evaluate` find it trusted. What a run folder that came from somewhere else points to is not in that note and is never
executed, unless the user says so (`--trust`).
"""

import dataclasses
import hashlib
import json
import os
import sys
import traceback
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from simplexlab.errors import UsageError
from simplexlab.objectives.objective import Objective
from simplexlab.quiet import quiet_stderr

LARGEST_FILE = 2**20

_allowed: dict[str, str] = {}  # absolute path → checksum, of this process
_loaded: dict[str, Objective] = {}  # what --loss says → objective


def is_path(loss: str) -> bool:
    """Whether `--loss` names a file: `path.py` or `path.py:name`."""
    return split(loss)[0].endswith(".py")


def split(loss: str) -> tuple[str, str | None]:
    """Path and name of `path.py:name`; the name is None where the file holds one objective."""
    path, colon, name = loss.rpartition(":")
    return (path, name) if colon and path.endswith(".py") else (loss, None)


def name_of(loss: str) -> str:
    """What a loss is called before its file is read: the name in `path.py:name`, or the file's own name."""
    path, name = split(loss)
    return name or (Path(path).stem if is_path(loss) else loss)


def absolute(loss: str) -> str:
    """`path.py:name` with an absolute path; the name of an entry of the table as it is."""
    if not is_path(loss):
        return loss
    path, name = split(loss)
    return str(Path(path).expanduser().resolve()) + (f":{name}" if name else "")


def allow(loss: str) -> None:
    """Trust the file that `--loss` names, because its user has just named it; nothing for an entry of the table.

    Raises:
        UsageError: the file cannot be read.
    """
    if not is_path(loss):
        return
    path, checksum = _identity(loss)
    _allowed[path] = checksum
    note = _note()
    known = _read_note(note)
    if known.get(path) == checksum:
        return
    try:
        note.parent.mkdir(parents=True, exist_ok=True)
        temporary = note.with_name(f".{note.name}.{os.getpid()}.tmp")
        temporary.write_text(json.dumps({**known, path: checksum}, indent=1), encoding="utf-8")
        os.replace(temporary, note)
    except OSError:  # a home that cannot be written: `resume` and `evaluate` will ask for --trust
        return


def is_allowed(loss: str) -> bool:
    """Whether the file, as it is now, is one that its user has run."""
    try:
        path, checksum = _identity(loss)
    except UsageError:
        return False
    return _allowed.get(path) == checksum or _read_note(_note()).get(path) == checksum


def source_facts(loss: str) -> dict[str, str]:
    """Path and checksum of the file that `--loss` names, for config.json; {} for an entry of the table."""
    return dict(zip(("file", "checksum"), _identity(loss), strict=True)) if is_path(loss) else {}


def load(loss: str, taken: Iterable[str] = ()) -> Objective:
    """The objective in a file, which is executed once a process.

    Args:
        loss: `path.py` or `path.py:name`.
        taken: names that it may not have.

    Raises:
        UsageError: the file is not one that its user has run; it cannot be read, does not run, or holds no objective.
    """
    loss = absolute(loss)
    if loss in _loaded:
        return _loaded[loss]
    if not is_allowed(loss):
        path = split(loss)[0]
        _identity(loss)  # tells a file that is not there
        raise UsageError(f"{path} is not executed: it was not named on this command line; --trust allows it")
    return _execute(loss, split(loss)[0], taken)


def load_copy(loss: str, copy: Path, taken: Iterable[str] = ()) -> Objective:
    """The objective in the copy that a run folder keeps, in the place of its original. Only with `--trust`."""
    return _execute(absolute(loss), str(copy), taken)


def _execute(loss: str, path: str, taken: Iterable[str]) -> Objective:
    name = split(loss)[1]
    source = _read(path)
    module = ModuleType(f"simplexlab.own:{path}")
    module.__file__ = path
    sys.modules[module.__name__] = module  # dataclasses look their module up
    try:
        with quiet_stderr():  # most files import Keras
            exec(compile(source, path, "exec"), module.__dict__)
    except SyntaxError as error:
        raise UsageError(f"{path}, line {error.lineno}: {error.msg}") from error
    except Exception as error:
        raise UsageError(told(error, path)) from error
    objective = _found(module, path, name)
    if objective.name in taken:
        raise UsageError(f"{path}: the name {objective.name} is taken by a loss of the package; choose another name")
    from simplexlab.geometry.catalogue import Statistic, register  # needs numpy, which most commands do without

    for row in (value for value in vars(module).values() if isinstance(value, Statistic)):
        try:
            register(row)
        except ValueError as error:
            raise UsageError(f"{path}: {error}") from error
    _loaded[loss] = dataclasses.replace(objective, source=path)
    return _loaded[loss]


def _found(module: ModuleType, path: str, name: str | None) -> Objective:
    objectives = {key: value for key, value in vars(module).items() if isinstance(value, Objective)}
    if name is not None:
        if name not in objectives:
            there = ", ".join(objectives) or "none"
            raise UsageError(f"{path} holds no Objective named {name}; there is {there}")
        return objectives[name]
    if len(objectives) != 1:
        found = f"{len(objectives)} ({', '.join(objectives)}); name one, {path}:NAME" if objectives else "none"
        raise UsageError(f"{path} must hold one Objective, and holds {found}")
    return next(iter(objectives.values()))


def told(error: BaseException, path: str) -> str:
    """One line for an exception inside a file of one's own: file, line, what it was."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == path]
    where = f"{path}, line {lines[-1]}" if lines else path
    words = " ".join(str(error).split())
    return f"{where}: {type(error).__name__}" + (f": {words[:300]}" if words else "")


def line_of(function: Any) -> str:
    """File and line of a function, as an error line tells them."""
    code = getattr(function, "__code__", None)
    return f"{code.co_filename}, line {code.co_firstlineno}" if code else repr(function)


def _identity(loss: str) -> tuple[str, str]:
    path = split(absolute(loss))[0]
    return path, hashlib.sha256(_read(path)).hexdigest()


def _read(path: str) -> bytes:
    file = Path(path)
    try:
        if not file.is_file():
            raise UsageError(f"--loss {path}: " + ("it is not a file" if file.exists() else "there is no such file"))
        if file.stat().st_size > LARGEST_FILE:
            raise UsageError(f"--loss {path}: the file is larger than 1 MB; a loss is some lines of Python")
        return file.read_bytes()
    except OSError as error:
        raise UsageError(f"--loss {path}: {error.strerror or error}") from error


def _note() -> Path:
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state, "simplexlab", "losses.json")


def _read_note(note: Path) -> Mapping[str, str]:
    try:
        known = json.loads(note.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}
