"""Histograms as strips of block characters, one above the other over one axis."""

import numpy as np
from rich.text import Text
from textual.widgets import Static

from simplexlab.tui.views.charts import Histogram, HistogramSpec, bins_for
from simplexlab.tui.widgets.palette import colour

BLOCKS = " ▁▂▃▄▅▆▇█"


class Histograms(Static, can_focus=True):
    """Draws a `HistogramSpec`; each strip grows with the room there is."""

    ALLOW_SELECT = False
    DEFAULT_CSS = """
    Histograms { width: 1fr; height: 1fr; padding: 0 1; text-wrap: nowrap; }
    """

    def __init__(self, spec: HistogramSpec | None = None, **arguments):
        super().__init__(**arguments)
        self.spec = spec or HistogramSpec("", "")

    def show(self, spec: HistogramSpec) -> None:
        """Draw another description."""
        self.spec = spec
        self.refresh()

    def render(self) -> Text:
        """The strips, their marks and the axis."""
        width, height = self.content_size.width, self.content_size.height
        histograms = self.spec.histograms
        if not histograms or width < 10:
            return Text("nothing was evaluated yet" if not histograms else "")
        dark = self.app.current_theme.dark
        each = max((height - 1) // len(histograms), 2)
        labelled = each >= 3
        text = Text(no_wrap=True, overflow="crop")
        for index, histogram in enumerate(histograms):
            _strip(text, histogram, index, width, max(each - (2 if labelled else 1), 1), dark, labelled)
        axis = "0" + "γ".center(width - 2) + "1"
        text.append(axis, colour("muted", dark))
        return text


def _strip(text: Text, histogram: Histogram, index: int, width: int, rows: int, dark: bool, labelled: bool) -> None:
    head = Text(histogram.label, f"bold {colour(index, dark)}")
    if histogram.mean is not None:
        head.append(f" {histogram.mean:.3f}", "not bold")
    for mark in histogram.marks:
        head.append(f"  ▲{mark.label}", f"not bold {colour(mark.colour, dark)}")
    head.truncate(width)
    text.append_text(head).append("\n")
    heights = bins_for(histogram.counts, width)
    heights = heights / (heights.max() or 1.0) * rows
    for row in range(rows - 1, -1, -1):
        cells = np.clip(np.ceil((heights - row) * 8), 0, 8).astype(int)
        text.append("".join(BLOCKS[cell] for cell in cells) + "\n", colour(index, dark))
    if labelled:
        line = Text("─" * width + "\n", colour("muted", dark))
        for mark in histogram.marks:
            place = min(int(mark.at * width), width - 1)
            line = line[:place] + Text("▲", colour(mark.colour, dark)) + line[place + 1 :]
        text.append_text(line)
