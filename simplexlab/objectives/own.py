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
from simplexlab.files import read_file, read_json, reason, replace_file
from simplexlab.objectives.objective import Objective
from simplexlab.quiet import quiet_stderr

LARGEST_FILE = 2**20

_allowed: dict[str, str] = {}  # absolute path → checksum, of this process
_loaded: dict[str, tuple[Objective, bytes]] = {}  # what --loss says → objective, and the file that was executed
_rows: set[str] = set()  # keys of the statistics in these files


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
    """`path.py:name` with an absolute path, links followed; the name of an entry of the table as it is.

    Raises:
        UsageError: it is no path.
    """
    if not is_path(loss):
        return loss
    path, name = split(loss)
    if "\0" in path:
        raise UsageError(f"--loss {path!r} is no path")
    return os.path.realpath(os.path.expanduser(path)) + (f":{name}" if name else "")


def allow(loss: str) -> None:
    """Trust the file that `--loss` names, because its user has just named it; nothing for an entry of the table.

    Raises:
        UsageError: the file cannot be read.
    """
    if not is_path(loss):
        return
    path, checksum = _identity(loss)
    _allowed[path] = checksum
    loaded = _loaded.get(absolute(loss))
    if loaded is not None and (loaded[0].source, _checksum(loaded[1])) != (path, checksum):
        del _loaded[absolute(loss)]  # it was edited since, or stood for by a copy
    note = _note()
    known = _read_note(note)
    if known.get(path) == checksum:
        return
    try:
        note.parent.mkdir(parents=True, exist_ok=True)
        replace_file(note, json.dumps({**known, path: checksum}, indent=1).encode())
    except OSError:  # a home that cannot be written: `resume` and `evaluate` will ask for --trust
        return


def allow_in_this_process(file: str, checksum: str) -> None:
    """Trust a file with this content, for a process that another one of the user's, which has looked, started."""
    _allowed[file] = checksum


def is_allowed(loss: str) -> bool:
    """Whether the file, as it is now, is one that its user has run; True for an entry of the table."""
    if not is_path(loss):
        return True
    try:
        return _is_allowed(*_identity(loss))
    except UsageError:
        return False


def source_facts(loss: str) -> dict[str, str]:
    """Path and checksum of the file that `--loss` names, for config.json; {} for an entry of the table."""
    return dict(zip(("file", "checksum"), _identity(loss), strict=True)) if is_path(loss) else {}


def executed(loss: str) -> bytes | None:
    """The content of the file that was executed for `--loss`; None for an entry of the table."""
    return _loaded[absolute(loss)][1] if is_path(loss) else None


def executed_facts(loss: str) -> dict[str, str]:
    """As `source_facts`, of the file as it was executed."""
    source = executed(loss)
    return {} if source is None else {"file": split(absolute(loss))[0], "checksum": _checksum(source)}


def forget() -> None:
    """Forget every file that was executed, and its statistics, so that the next run is as in a process of its own."""
    if _loaded:
        from simplexlab.geometry.catalogue import unregister

        for key in _rows:
            unregister(key)
        _rows.clear()
        _loaded.clear()


def load(loss: str, taken: Iterable[str] = ()) -> Objective:
    """The objective in a file, which is executed once a process, and again when its user names it after a change.

    Args:
        loss: `path.py` or `path.py:name`.
        taken: names that it may not have.

    Raises:
        UsageError: the file is not one that its user has run; it cannot be read, does not run, or holds no objective.
    """
    loss = absolute(loss)
    if loss in _loaded:
        return _loaded[loss][0]
    path = split(loss)[0]
    source = _read(path)  # once: what is executed is what was looked at
    if not _is_allowed(path, _checksum(source)):
        raise UsageError(
            f"{path} is not executed: as it is now, it was never run here by its user; name it by --loss or --losses "
            "to run it"
        )
    return _execute(loss, path, source, taken)


def load_copy(loss: str, copy: Path, checksum: str | None, taken: Iterable[str] = ()) -> Objective:
    """The objective in the copy that a run folder keeps, in the place of its original. Only with `--trust`.

    Args:
        loss: what the run was started with.
        copy: the copy.
        checksum: that of the file that the run was started with.
        taken: names that it may not have.

    Raises:
        UsageError: as of `load`, or the copy is another file.
    """
    source = _read(str(copy))
    if _checksum(source) != checksum:
        raise UsageError(f"{copy} is not the file that the run was started with; its loss is lost")
    return _execute(absolute(loss), str(copy), source, taken)


def _execute(loss: str, path: str, source: bytes, taken: Iterable[str]) -> Objective:
    name = split(loss)[1]
    module = ModuleType(f"simplexlab.own:{path}")
    module.__file__ = path
    sys.modules[module.__name__] = module  # dataclasses look their module up
    try:
        with quiet_stderr():  # most files import Keras
            exec(compile(source, path, "exec"), module.__dict__)
    except SyntaxError as error:
        raise UsageError(f"{path}, line {error.lineno}: {error.msg}") from error
    except (Exception, SystemExit) as error:
        raise UsageError(told(error, path)) from error
    objective = _found(module, path, name)
    if objective.name in taken:
        raise UsageError(f"{path}: the name {objective.name} is taken by a loss of the package; choose another name")
    from simplexlab.geometry.catalogue import Statistic, register  # needs numpy, which most commands do without

    for row in (value for value in vars(module).values() if isinstance(value, Statistic)):
        try:
            register(row)
            _rows.add(row.key)
        except ValueError as error:
            raise UsageError(f"{path}: {error}") from error
    objective = dataclasses.replace(objective, source=path)
    _loaded[loss] = objective, source
    return objective


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
    return path, _checksum(_read(path))


def _checksum(source: bytes) -> str:
    return hashlib.sha256(source).hexdigest()


def _is_allowed(path: str, checksum: str) -> bool:
    return _allowed.get(path) == checksum or _read_note(_note()).get(path) == checksum


def _read(path: str) -> bytes:
    try:
        return read_file(path, LARGEST_FILE)
    except FileNotFoundError:
        raise UsageError(f"--loss {path}: there is no such file") from None
    except OSError as error:
        raise UsageError(f"--loss {path}: {reason(error)}") from error


def _note() -> Path:
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state, "simplexlab", "losses.json")


def _read_note(note: Path) -> Mapping[str, str]:
    try:
        known = read_json(note)
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}
