"""A student's own functions, kept so that later lessons run them: each with what it stands on, in a file of its own."""

import inspect
import textwrap
import types
from collections.abc import Callable
from pathlib import Path

from simplexlab.files import read_file, replace_file


def source_of(function: Callable) -> str:
    """A function as a script that stands alone: imports, constants and other functions that it uses, then itself.

    Raises:
        ValueError: it uses something that cannot be written down, which the message names, or its source is not known.
    """
    parts: dict[str, str] = {}
    _collect(function, parts)
    return "\n\n".join([*(text for text in parts.values())]) + "\n"


def _collect(function: Callable, parts: dict[str, str]) -> None:
    if function.__closure__:
        raise ValueError(f"{function.__name__} uses variables of a function around it")
    try:
        text = textwrap.dedent(inspect.getsource(function))
    except (OSError, TypeError):
        raise ValueError(f"the source of {function.__name__} is not known") from None
    parts[function.__name__] = ""  # a function that calls itself is not collected twice
    for name in _names(function.__code__):
        if name in parts or name not in function.__globals__:
            continue
        value = function.__globals__[name]
        if isinstance(value, types.ModuleType):
            parts[name] = f"import {value.__name__} as {name}"
        elif isinstance(value, types.FunctionType) and value.__module__ == function.__module__:
            _collect(value, parts)
        elif callable(value) and getattr(value, "__module__", None) and hasattr(value, "__qualname__"):
            parts[name] = f"from {value.__module__} import {value.__qualname__} as {name}"
        elif isinstance(value, int | float | str | tuple | list):
            parts[name] = f"{name} = {value!r}"
        else:
            raise ValueError(
                f"{function.__name__} uses {name}, which is made in the lesson; make it inside the function"
            )
    del parts[function.__name__]
    parts[function.__name__] = text.strip()


def _names(code: types.CodeType) -> list[str]:
    inner = [name for constant in code.co_consts if isinstance(constant, types.CodeType) for name in _names(constant)]
    return [*code.co_names, *inner]


def keep(function: Callable, path: Path) -> None:
    """Write a function to a file.

    Raises:
        ValueError: see `source_of`.
        OSError: the file cannot be written.
    """
    source = source_of(function)
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, source.encode(), sync=False)


def load(name: str, path: Path) -> Callable | None:
    """The function of that name in a file; None where there is no such file or it does not run."""
    try:
        source = read_file(path).decode()
    except (OSError, UnicodeDecodeError):
        return None
    scope: dict = {"__name__": f"own_{name}"}
    try:
        exec(compile(source, str(path), "exec"), scope)
    except Exception:
        return None
    found = scope.get(name)
    return found if callable(found) else None
