"""What several commands share: strict whole numbers, the `--json` switch, the consoles."""

import json
import math
from collections.abc import Callable
from typing import Annotated, Any

from cyclopts import Parameter


def whole_number(_, tokens) -> int:
    """Read a whole number; 3.5 is an error here, where the library would round it."""
    text = tokens[0].value
    try:
        return int(text)
    except ValueError:
        raise ValueError(f'"{text}" is not a whole number') from None


WholeNumber = Annotated[int, Parameter(converter=whole_number)]
Json = Annotated[bool, Parameter(negative="", help="Print one JSON object on stdout and nothing else.")]


def print_json(record: dict[str, Any]) -> None:
    """Print `record` as one line of JSON on stdout; non-finite numbers become null."""
    print(json.dumps(_finite(record), allow_nan=False), flush=True)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value


def usage_errors(function: Callable) -> Callable:
    """Turn the ValueError of a numeric function into a usage error, told in one line."""
    from functools import wraps

    from simplexlab.errors import UsageError

    @wraps(function)
    def wrapped(*args, **kwargs):
        try:
            return function(*args, **kwargs)
        except ValueError as error:
            raise UsageError(str(error)) from error

    return wrapped
