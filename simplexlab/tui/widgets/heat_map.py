"""Matrices of cosines as coloured half cells, or as characters where there is no colour."""

import numpy as np
from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from rich.text import Text

from simplexlab.tui.views.charts import Matrix
from simplexlab.tui.views.configuration import class_marker
from simplexlab.tui.widgets.palette import colour, diverging
from simplexlab.tui.widgets.picture import WAITING, Picture

SHADES = "≡=- .:+*#@"
GAP = 2
BESIDE = 2  # columns of the names of rows


class HeatMap(Picture):
    """Draws a `HeatMapSpec`: blue below 0, orange above; without colour a character each tenth of the range.

    Columns have the names of their classes above them where there is a line for it, rows where each has one.
    """

    def paint(self, width: int, height: int) -> list[list[Segment]]:
        """The matrices side by side, each under its name and the number that sums it up."""
        matrices = self.spec.matrices
        if not matrices:
            return [[Segment(f" {WAITING}")]]
        each = (width - 2 - GAP * (len(matrices) - 1)) // len(matrices)
        blocks = [_matrix(matrix, each, height - 2, self.dark, self.plain) for matrix in matrices]
        lines = []
        for line in range(max(map(len, blocks))):
            text = Text(" ", no_wrap=True)
            for block in blocks:
                part = block[line].copy() if line < len(block) else Text()
                part.pad_right(max(each + GAP - part.cell_len, 0))
                text.append_text(part)
            lines.append(text)
        lines.append(Text(" ").append_text(_scale(self.spec.low, self.spec.unit, self.dark, self.plain)))
        return [self.segments(line) for line in lines]


def _matrix(shown: Matrix, width: int, rows: int, dark: bool, plain: bool) -> list[Text]:
    matrix, classes = shown.values, len(shown.values)
    title = Text(_title(shown.name, shown.now, width), no_wrap=True)
    if rows < 1 or width < 1:
        return [title]
    down = 1 if plain else 2  # values above each other in one cell
    named = (rows - 1) * down >= classes and (width - BESIDE) // (2 if plain else 1) >= classes
    rows -= named
    beside = BESIDE if named and rows * down // classes >= down else 0  # each class has a line
    width -= beside
    cells = min(width // 2, rows * down) if plain else min(width, rows * down)
    columns, lines = (classes, classes) if cells >= classes else (cells, cells)
    shown = _shrink(matrix, lines, columns)
    high = max(1, rows * down // lines)
    wide = max(1, min(width // columns, 2 * high))
    shown = np.repeat(np.repeat(shown, high, axis=0), wide, axis=1)
    made = [_plain_line(row) for row in shown] if plain else _coloured(shown, dark)
    if not named:
        return [title, *made]
    names = [class_marker(label) for label in range(classes)]
    muted = colour("muted", dark)
    places = {(label * high + (high - 1) // 2) // down: name for label, name in enumerate(names)} if beside else {}
    above = "".join(" " * ((wide - 1) // 2) + name + " " * (wide - 1 - (wide - 1) // 2) for name in names)
    labelled = [Text(places.get(row, "").ljust(beside), muted).append_text(line) for row, line in enumerate(made)]
    return [title, Text(" " * beside + above, muted, no_wrap=True), *labelled]


def _title(name: str, now: str, width: int) -> str:
    """The name with the number; where there is no room the words go, the number stays."""
    number = next((part for part in now.split() if any(map(str.isdigit, part))), now)
    words = (f"{name}, {now}", f"{name} {number}", f"{name[:4]}… {number}", number)
    return next((one for one in words if len(one) <= width), "")


def _coloured(shown: np.ndarray, dark: bool) -> list[Text]:
    lines = []
    for top in range(0, len(shown), 2):
        line = Text(no_wrap=True)
        bottom = shown[top + 1] if top + 1 < len(shown) else [None] * shown.shape[1]
        for upper, lower in zip(shown[top], bottom, strict=True):
            ground = None if lower is None else Color.from_rgb(*diverging(lower, dark))
            line.append("▀", Style(color=Color.from_rgb(*diverging(upper, dark)), bgcolor=ground))
        lines.append(line)
    return lines


def _plain_line(row: np.ndarray) -> Text:
    return Text("".join(SHADES[min(int((value + 1) / 2 * len(SHADES)), len(SHADES) - 1)] for value in row))


def _shrink(matrix: np.ndarray, lines: int, columns: int) -> np.ndarray:
    """Mean over blocks of a matrix that has more rows than there is room."""
    if (lines, columns) == matrix.shape:
        return matrix
    row, column = (
        np.arange(matrix.shape[0]) * lines // matrix.shape[0],
        np.arange(matrix.shape[1]) * columns // matrix.shape[1],
    )
    sums = np.zeros((lines, columns))
    counts = np.zeros((lines, columns))
    np.add.at(sums, (row[:, None], column), matrix)
    np.add.at(counts, (row[:, None], column), 1)
    return sums / counts


def _scale(low: int, unit: str, dark: bool, plain: bool) -> Text:
    ends = ("−1" if low else "0", "+1" if low else "1")
    if plain:
        return Text(f"{ends[0]} {SHADES if low else SHADES[len(SHADES) // 2 :]} {ends[1]} {unit}")
    text = Text(f"{ends[0]} ", no_wrap=True)
    for value in np.linspace(low, 1, 11):
        text.append("█", Style(color=Color.from_rgb(*diverging(value, dark))))
    return text.append(f" {ends[1]} {unit}", colour("muted", dark))
