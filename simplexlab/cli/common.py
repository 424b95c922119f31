"""What several commands share: strict whole numbers, the `--json` switch, usage errors."""

import contextlib
import errno
import json
import re
import sys
from collections.abc import Callable, Iterator
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from simplexlab.errors import RunError, UsageError
from simplexlab.files import is_working_folder_gone, reason
from simplexlab.text import UNPRINTABLE


def whole_number(_, tokens) -> int:
    """Read a whole number; 3.5 is an error here, where the library would round it."""
    text = tokens[0].value
    try:
        value = int(text)
    except ValueError:
        raise ValueError(f'"{text}" is not a whole number') from None
    if abs(value) >= 2**63:  # beyond it nothing counts, and floats overflow
        raise ValueError(f'"{text}" is too large')
    return value


WholeNumber = Annotated[int, Parameter(converter=whole_number)]
Json = Annotated[bool, Parameter(negative="", help="Print one JSON object on stdout and nothing else.")]

Trust = Annotated[
    bool,
    Parameter(
        negative="",
        help="Execute the copy of a loss of your own that the run folder keeps, where its file is gone, has changed or "
        "was never run here. Only for folders whose origin you trust.",
    ),
]


def print_json(record: dict[str, Any]) -> None:
    """Print `record` as one line of JSON on stdout; numbers that are not finite become null.

    A character that a terminal would obey, or that the encoding of stdout lacks, is written as JSON's escape of it.
    """
    from simplexlab.runs.folder import encode

    is_unicode = (sys.stdout.encoding or "").lower().startswith("utf")
    escaped = UNPRINTABLE if is_unicode else re.compile(r"[^\x00-\x7f]")
    print(escaped.sub(lambda found: json.dumps(found[0])[1:-1], encode(record)[0]), flush=True)


@contextlib.contextmanager
def output_errors(path: str | Path, takes: str) -> Iterator[None]:
    """Within the block, tell that `--output` cannot be written.

    Args:
        path: what was given.
        takes: what would be right.

    Raises:
        UsageError: there is no such folder, or something that is no file has the name.
        RunError: the disk is full, the folder may not be written, …; what was there is untouched.
    """
    try:
        yield
    except OSError as error:
        told = f"cannot write {path}: {reason(error)}"
        ill_named = error.errno in (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.EINVAL)
        if ill_named and not is_working_folder_gone(error):
            raise UsageError(f"{told}; --output takes {takes}") from None
        raise RunError(told) from error


def usage_errors(function: Callable) -> Callable:
    """Turn the ValueError of a numeric function into a usage error, told in one line."""

    @wraps(function)
    def wrapped(*args, **kwargs):
        try:
            return function(*args, **kwargs)
        except ValueError as error:
            raise UsageError(str(error)) from error

    return wrapped
