"""Sentences in a room of fixed size, which end with a whole clause."""

import re

from rich.cells import cell_len, chop_cells
from rich.text import Text
from textual.widget import Widget

CLAUSE_ENDS = re.compile(r"[;,](?= )|(?<=[.?!])(?= )| (?=\()")


class Meaning(Widget):
    """What something means now: as many whole clauses as its size has room for."""

    DEFAULT_CSS = """
    Meaning { height: 3; padding: 0 1; }
    """

    def __init__(self, **arguments):
        super().__init__(**arguments)
        self.said = ""

    def say(self, text: str) -> None:
        """Say something else; the layout stays."""
        if text != self.said:
            self.said = text
            self.refresh()

    def render(self) -> Text:
        """The lines that there is room for."""
        return Text("\n".join(whole_clauses(self.said, *self.content_size)))


def whole_clauses(text: str, width: int, most: int) -> list[str]:
    """The beginning of a text, in lines, up to the last end of a clause from which on nothing has to be cut.

    A clause that has no room by itself is cut after a word, which is told by an ellipsis.

    Args:
        text: any.
        width: cells of a line, at least 1.
        most: lines.
    """
    width = max(width, 1)
    lines = _wrapped(text, width)
    if len(lines) <= most:
        return lines
    ends = [match.start() for match in CLAUSE_ENDS.finditer(text)]
    for end in reversed([end for end in ends if text[:end].count("(") == text[:end].count(")")]):
        lines = _wrapped(text[:end], width)
        if len(lines) <= most:
            return lines
    words = text.split()
    for count in range(len(words) - 1, 0, -1):
        lines = _wrapped(" ".join(words[:count]) + " …", width)
        if len(lines) <= most:
            return lines
    return lines[:most]


def _wrapped(text: str, width: int) -> list[str]:
    lines: list[str] = []
    for part in [part for word in text.split() for part in chop_cells(word, width)]:
        if lines and cell_len(lines[-1]) + 1 + cell_len(part) <= width:
            lines[-1] += f" {part}"
        else:
            lines.append(part)
    return lines
