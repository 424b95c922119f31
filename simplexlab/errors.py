"""The two ways in which a command ends badly, each told in one line."""

import difflib
from collections.abc import Iterable


class UsageError(ValueError):
    """What was asked for cannot be done (exit code 2). The message says what is wrong and what would be right."""


class RunError(RuntimeError):
    """What was asked for was right but failed (exit code 1): a full disk, a diverged loss, a missing download."""


def nearest(word: str, known: Iterable[str]) -> str:
    """The end of an error line: the nearest known name, then all of them."""
    known = list(known)
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]}? " if close else ""
    return f"{hint}Known: {', '.join(known)}"
