"""Histograms as strips of block characters, one above the other over one axis."""

import numpy as np
from rich.segment import Segment

from simplexlab.tui.views.charts import Histogram, bins_for, number
from simplexlab.tui.widgets.palette import colour
from simplexlab.tui.widgets.picture import WAITING, Picture, arrange, style_of

BLOCKS = " ▁▂▃▄▅▆▇█"


class Histograms(Picture):
    """Draws a `HistogramSpec`; each strip grows with the room there is."""

    def paint(self, width: int, height: int) -> list[list[Segment]]:
        """The strips, their marks and the axis."""
        histograms = self.spec.histograms
        if not histograms or width < 12:
            return [[Segment(f" {WAITING}" if not histograms else "")]]
        width -= 2
        each = max((height - 1) // len(histograms), 2)
        lines = []
        for index, histogram in enumerate(histograms):
            lines += self._strip(histogram, index, width, each)
        lines = lines[: height - 1]
        axis = "0" + "γ".center(width - 2) + "1"
        lines.append([Segment(axis, style_of(colour("muted", self.dark)))])
        return [[Segment(" "), *line] for line in lines]

    def _strip(self, histogram: Histogram, index: int, width: int, each: int) -> list[list[Segment]]:
        """The name with its numbers, the blocks, and below them the marks where there is room."""
        dark = self.dark
        mean = "" if histogram.mean is None else number(histogram.mean)
        entries = [("■", colour(index, dark), histogram.label, mean)]
        entries += [("▲", colour(mark.colour, dark), mark.label, mark.now) for mark in histogram.marks]
        marked = each >= 3
        rows = max(each - (2 if marked else 1), 1)
        heights = bins_for(histogram.counts, width)
        heights = heights / (heights.max() or 1.0) * rows
        lines = arrange(entries, width, named=True)
        for row in range(rows - 1, -1, -1):
            cells = np.clip(np.ceil((heights - row) * 8), 0, 8).astype(int)
            lines.append([Segment("".join(BLOCKS[cell] for cell in cells), style_of(colour(index, dark)))])
        if marked:
            places = {min(int(mark.at * width), width - 1): colour(mark.colour, dark) for mark in histogram.marks}
            muted = style_of(colour("muted", dark))
            lines.append(
                [
                    Segment("▲", style_of(places[column])) if column in places else Segment("─", muted)
                    for column in range(width)
                ]
            )
        return lines
