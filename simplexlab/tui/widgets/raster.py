"""A picture of characters: curves of several colours in Braille dots, none of which hides another."""

from dataclasses import dataclass

import numpy as np

BITS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]], np.uint8)
DASH, GAP = 2, 1  # cells
LONGEST = 20_000  # dots of one piece of a curve, when a small part of it is enlarged


@dataclass
class _Layer:
    colour: str
    marker: str
    dots: np.ndarray


class Canvas:
    """Cells of 2 × 4 dots.

    Where several curves run through one cell, the one that was not shown for longest is: curves that coincide come out
    as cells of alternating colours.

    Args:
        width, height: in cells.
        plain: Draw markers instead of Braille dots.
        thick: Draw lines of two dots, for a projector.
    """

    def __init__(self, width: int, height: int, plain: bool = False, thick: bool = False):
        self.width, self.height, self.plain, self.thick = width, height, plain, thick
        self._layers: list[_Layer] = []
        self._ground: dict[tuple[int, int], tuple[str, str]] = {}
        self._over: dict[tuple[int, int], tuple[str, str]] = {}

    def line(self, x: np.ndarray, y: np.ndarray, colour: str, marker: str, dashed: bool = False) -> None:
        """A polyline through places in dots, shape (n,), y downwards; above the curves that were drawn before."""
        if len(x) > 1:
            steps = np.ceil(np.maximum(np.abs(np.diff(x)), np.abs(np.diff(y)))).clip(1, LONGEST).astype(int)
            piece = np.repeat(np.arange(len(steps)), steps)
            part = (np.arange(steps.sum()) - np.repeat(np.cumsum(steps) - steps, steps)) / steps[piece]
            x = np.append(x[piece] + np.diff(x)[piece] * part, x[-1])
            y = np.append(y[piece] + np.diff(y)[piece] * part, y[-1])
        self.dots(x, y, colour, marker, dashed)

    def dots(self, x: np.ndarray, y: np.ndarray, colour: str, marker: str, dashed: bool = False) -> None:
        """Single dots."""
        dots = np.zeros((4 * self.height, 2 * self.width), bool)
        x, y = np.rint(x), np.rint(y)
        inside = (x >= 0) & (x < dots.shape[1]) & (y >= 0) & (y < dots.shape[0])
        x, y = x[inside].astype(int), y[inside].astype(int)
        if dashed:
            kept = x // 2 % (DASH + GAP) < DASH
            x, y = x[kept], y[kept]
        dots[y, x] = True
        if self.thick:
            dots[1:] |= dots[:-1].copy()
            dots[:, 1:] |= dots[:, :-1].copy()
        self._layers.append(_Layer(colour, marker, dots))

    def under(self, column: int, row: int, character: str, colour: str) -> None:
        """A character where no curve is."""
        if 0 <= column < self.width and 0 <= row < self.height:
            self._ground[row, column] = character, colour

    def over(self, column: int, row: int, character: str, colour: str, nudge: int = 0) -> None:
        """A character above the curves; where another stands, up to `nudge` cells beside it."""
        if not (0 <= column < self.width and 0 <= row < self.height):
            return
        places = [column + side * by for by in range(nudge + 1) for side in (1, -1)]
        free = [place for place in places if 0 <= place < self.width and (row, place) not in self._over]
        self._over[row, free[0] if free else column] = character, colour

    def cells(self) -> list[list[tuple[str, str]]]:
        """Character and colour of every cell, row by row; no colour where nothing is."""
        rows = [[(" ", "")] * self.width for _ in range(self.height)]
        for (row, column), cell in self._ground.items():
            rows[row][column] = cell
        if self._layers:
            shape = (len(self._layers), self.height, 4, self.width, 2)
            dots = np.stack([layer.dots for layer in self._layers]).reshape(shape)
            patterns = (dots * BITS[:, None, :]).sum(axis=(2, 4), dtype=np.uint8)
            for row, column, index in self._choose(patterns > 0):
                layer = self._layers[index]
                character = layer.marker if self.plain else chr(0x2800 + int(patterns[index, row, column]))
                rows[row][column] = character, layer.colour
        for (row, column), cell in self._over.items():
            rows[row][column] = cell
        return rows

    def _choose(self, present: np.ndarray) -> list[tuple[int, int, int]]:
        """Row, column and layer of every cell that shows one."""
        chosen = []
        shown = np.full(len(present), -np.inf)  # the column in which each layer was seen last
        by_column = present.transpose(2, 1, 0)
        for column in np.flatnonzero(by_column.any(axis=(1, 2))):
            cells = by_column[column]
            counts = cells.sum(axis=1)
            alone = np.flatnonzero(counts == 1)
            singles = cells[alone].argmax(axis=1)
            chosen += [(int(row), int(column), int(layer)) for row, layer in zip(alone, singles, strict=True)]
            shown[singles] = column
            for row in np.flatnonzero(counts > 1):
                layers = np.flatnonzero(cells[row])
                oldest = layers[shown[layers] == shown[layers].min()][-1]  # the upper one among equals
                shown[oldest] = column
                chosen.append((int(row), int(column), int(oldest)))
        return chosen
