"""Matrices of cosines as coloured half cells, or as characters where there is no colour."""

import numpy as np
from rich.color import Color
from rich.style import Style
from rich.text import Text
from textual.widgets import Static

from simplexlab.tui.views.charts import HeatMapSpec
from simplexlab.tui.widgets.palette import colour, diverging

SHADES = "≡=- .:+*#@"


class HeatMap(Static, can_focus=True):
    """Draws a `HeatMapSpec`: blue below 0, orange above; without colour a character each tenth of the range."""

    ALLOW_SELECT = False
    DEFAULT_CSS = """
    HeatMap { width: 1fr; height: 1fr; padding: 0 1; text-wrap: nowrap; }
    """

    def __init__(self, spec: HeatMapSpec | None = None, **arguments):
        super().__init__(**arguments)
        self.spec = spec or HeatMapSpec("")

    def show(self, spec: HeatMapSpec) -> None:
        """Draw another description."""
        self.spec = spec
        self.refresh()

    def render(self) -> Text:
        """The matrices side by side, each under its name and the mean off its diagonal."""
        if not self.spec.matrices:
            return Text("nothing was evaluated yet")
        dark, plain = self.app.current_theme.dark, getattr(self.app, "plain", False)
        gap = 2
        width = (self.content_size.width - gap * (len(self.spec.matrices) - 1)) // len(self.spec.matrices)
        rows = self.content_size.height - 2
        blocks = [_matrix(name, matrix, width, rows, dark, plain) for name, matrix in self.spec.matrices]
        text = Text(no_wrap=True, overflow="crop")
        for line in range(max(map(len, blocks))):
            for index, block in enumerate(blocks):
                part = block[line] if line < len(block) else Text()
                part.pad_right(max(width + gap - part.cell_len, 0)) if index + 1 < len(blocks) else None
                text.append_text(part)
            text.append("\n")
        text.append_text(_scale(dark, plain))
        return text


def _matrix(name: str, matrix: np.ndarray, width: int, rows: int, dark: bool, plain: bool) -> list[Text]:
    classes = len(matrix)
    off = (matrix.sum() - np.trace(matrix)) / max(classes * (classes - 1), 1)
    title = Text(f"{name}, mean {off:+.3f}", no_wrap=True)
    title.truncate(width)
    if rows < 1 or width < 1:
        return [title]
    down = 1 if plain else 2  # values above each other in one cell
    cells = min(width // 2, rows * down) if plain else min(width, rows * down)
    columns, lines = (classes, classes) if cells >= classes else (cells, cells)
    shown = _shrink(matrix, lines, columns)
    high = max(1, rows * down // lines)
    wide = max(1, min(width // columns, 2 * high))
    shown = np.repeat(np.repeat(shown, high, axis=0), wide, axis=1)
    return [title, *(_plain_line(row) for row in shown)] if plain else [title, *_coloured(shown, dark)]


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


def _scale(dark: bool, plain: bool) -> Text:
    if plain:
        return Text(f"−1 {SHADES} +1")
    text = Text("−1 ", no_wrap=True)
    for value in np.linspace(-1, 1, 11):
        text.append("█", Style(color=Color.from_rgb(*diverging(value, dark))))
    text.append(" +1", colour("muted", dark))
    return text
