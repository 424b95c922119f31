"""The chart: draws a `ChartSpec` as text, with axes, a legend, zoom, and a crosshair."""

import re
from typing import ClassVar

import numpy as np
from rich.segment import Segment
from textual.binding import Binding
from textual.events import Leave, MouseDown, MouseMove, MouseScrollDown, MouseScrollUp, MouseUp
from textual.message import Message

from simplexlab.tui.views.charts import (
    ITERATION,
    Axis,
    ChartSpec,
    Series,
    column_axis,
    finite_parts,
    limits,
    number,
    row_axis,
    thin,
    to_axis,
    value_at,
)
from simplexlab.tui.widgets.palette import colour, faded
from simplexlab.tui.widgets.picture import Picture, arrange, style_of
from simplexlab.tui.widgets.raster import Canvas

ZOOM, PAN = 0.8, 0.15
HIGH_LEGENDS = 5, 8  # rows from which a legend may take two lines, and three
NUDGE = 3


class Chart(Picture):
    """Lines, points, marks across the chart, log axes, and what is not finite.

    A line stops where a number is not finite, and a ✗ at the upper edge stands in its place. On a log axis numbers
    that are 0 or less stand at the lower edge. Zooming (+, −, wheel) and panning (arrows, drag) last until `r`.

    Args:
        spec: What is drawn.
        legend: Whether the legend is always shown, or only with the values at the crosshair.
    """

    DEFAULT_CSS = """
    Chart { padding: 0; }
    """
    BINDINGS: ClassVar = [
        Binding("plus,equals_sign", "zoom(1)", "Zoom", key_display="+ −"),
        Binding("minus", "zoom(-1)", "Zoom out", show=False),
        Binding("left", "pan(-1,0)", show=False),
        Binding("right", "pan(1,0)", show=False),
        Binding("up", "pan(0,1)", show=False),
        Binding("down", "pan(0,-1)", show=False),
        Binding("r", "reset_scales", "Whole", show=False),
        Binding("g", "log", "Log axis", show=False),
    ]

    class Scaled(Message):
        """Another stretch of the x axis is shown, None for the whole."""

        def __init__(self, chart: "Chart", stretch: tuple[float, float] | None):
            super().__init__()
            self.chart, self.stretch = chart, stretch

    class Hovered(Message):
        """The mouse is over an x, None where it left."""

        def __init__(self, chart: "Chart", x: float | None):
            super().__init__()
            self.chart, self.x = chart, x

    class Clicked(Message):
        """An x was clicked."""

        def __init__(self, chart: "Chart", x: float):
            super().__init__()
            self.chart, self.x = chart, x

    def __init__(self, spec: ChartSpec | None = None, legend: bool = True, **arguments):
        super().__init__(spec, **arguments)
        self.has_legend = legend
        self.crosshair: float | None = None
        self.log_axis: bool | None = None  # as the reader chose, None for what the chart says
        self._x_view: tuple[float, float] | None = None
        self._y_view: tuple[float, float] | None = None
        self._grip: tuple[int, int] | None = None
        self._dragged = False
        self._place = (0, 0, 1, 1)  # of the picture: column, row, width, height
        self._x, self._y = Axis(0, 1), Axis(0, 1)

    @property
    def is_log(self) -> bool:
        """Whether the y axis is logarithmic now."""
        return self.spec.log if self.log_axis is None else self.log_axis

    @property
    def has_axes(self) -> bool:
        """Whether the chart has axes; a configuration has none."""
        return bool(self.spec.x_label or self.spec.y_label)

    @property
    def shown_x(self) -> tuple[float, float]:
        """The stretch of the x axis that is shown."""
        return self._x.low, self._x.high

    def paint(self, width: int, height: int) -> list[list[Segment]]:
        """Legend, picture, axes."""
        legend = self._legend(width, height)
        below = 2 if self.has_axes and height - len(legend) >= 5 else 0
        rows = max(height - len(legend) - below, 1)
        (x_low, x_high), (y_low, y_high) = self._limits(width, rows)
        if self.has_axes:
            y = row_axis(y_low, y_high, rows, self.is_log) if self._y_view is None else self._fixed_rows(rows)
            gutter = max((len(label) for _, label in y.ticks), default=0) + 1
            columns = max(width - gutter - 1, 1)
            x = column_axis(x_low, x_high, columns, self.spec.x_label == ITERATION)
        else:
            gutter, columns = -1, width
            x, y = Axis(x_low, x_high), Axis(y_low, y_high)
        self._x, self._y, self._place = x, y, (gutter + 1, len(legend), columns, rows)
        lines = self._draw(columns, rows)
        if not self.has_axes:
            return [*legend, *lines]
        muted = style_of(colour("muted", self.dark))
        labels = {rows - 1 - place: label for place, label in y.ticks}
        for row, line in enumerate(lines):
            line.insert(0, Segment(labels.get(row, "").rjust(gutter - 1) + (" ┤" if row in labels else " │"), muted))
        return [*legend, *lines, *([self._x_line(gutter, columns), self._x_labels(gutter, columns)] if below else [])]

    def _limits(self, width: int, rows: int) -> tuple[tuple[float, float], tuple[float, float]]:
        (x_low, x_high), (y_low, y_high) = limits(self.spec, self.is_log)
        if self.spec.equal:
            # A cell of a terminal is about twice as high as it is wide.
            scale = max((x_high - x_low) / width, (y_high - y_low) / (2 * rows))
            x_centre, y_centre = (x_low + x_high) / 2, (y_low + y_high) / 2
            x_half, y_half = scale * width / 2, scale * rows
            whole = (x_centre - x_half, x_centre + x_half), (y_centre - y_half, y_centre + y_half)
        else:
            whole = (x_low, x_high), (y_low, y_high)
        return self._x_view or whole[0], self._y_view or whole[1]

    def _fixed_rows(self, rows: int) -> Axis:
        """The vertical axis where the reader chose its limits: round values, on whatever rows they fall."""
        low, high = self._y_view
        if self.is_log:
            ticks = [(round((value - low) / (high - low) * (rows - 1)), f"{10**value:.2g}") for value in (low, high)]
            return Axis(low, high, tuple(ticks))
        fine = column_axis(low, high, 8 * rows)
        ticks = {round(place / (8 * rows - 1) * (rows - 1)): label for place, label in fine.ticks}
        return Axis(low, high, tuple(ticks.items()))

    def _x_line(self, gutter: int, columns: int) -> list[Segment]:
        marks = {place for place, _ in self._x.ticks}
        line = "".join("┴" if column in marks else "─" for column in range(columns))
        return [Segment(" " * gutter + "└" + line, style_of(colour("muted", self.dark)))]

    def _x_labels(self, gutter: int, columns: int) -> list[Segment]:
        width = gutter + 1 + columns
        line = [" "] * width
        end = 0
        for place, label in self._x.ticks:
            start = min(max(gutter + 1 + place - len(label) // 2, end), width - len(label))
            if start >= end:
                line[start : start + len(label)] = label
                end = start + len(label) + 1
        return [Segment(_named("".join(line), self.spec.x_label), style_of(colour("muted", self.dark)))]

    def _to_dots(self, x: np.ndarray, y: np.ndarray, columns: int, rows: int) -> tuple[np.ndarray, np.ndarray]:
        """Places in dots: x from the left, y from above; a value on a tick is in the middle of its row."""
        x_axis, y_axis = self._x, self._y
        across = (x - x_axis.low) / (x_axis.high - x_axis.low) * (2 * columns - 1)
        if self.spec.equal:
            return across, (y_axis.high - y) / (y_axis.high - y_axis.low) * (4 * rows - 1)
        return across, (y_axis.high - y) / (y_axis.high - y_axis.low) * 4 * max(rows - 1, 1) + (2 if rows > 1 else 0)

    def _draw(self, columns: int, rows: int) -> list[list[Segment]]:
        canvas = Canvas(columns, rows, self.plain, self.thick)
        spec, dark = self.spec, self.dark
        for mark in spec.horizontal:
            at = to_axis(np.array([mark.at]), self.is_log)
            _, y = self._to_dots(np.zeros(1), at, columns, rows)
            if np.isfinite(y[0]):
                for column in range(columns):
                    canvas.under(column, int(y[0] // 4), "╌", colour(mark.colour, dark))
        marks = [(mark.at, "┊" if mark.dashed else "│", colour(mark.colour, dark)) for mark in spec.vertical]
        if self.crosshair is not None:
            marks.append((self.crosshair, "┆", colour("crosshair", dark)))
        for at, sign, ink in marks:
            x, _ = self._to_dots(np.array([at], float), np.zeros(1), columns, rows)
            if np.isfinite(x[0]):
                for row in range(rows):
                    canvas.under(int(x[0] // 2), row, sign, ink)
        for series in spec.series:
            self._series(canvas, series, columns, rows)
        lines = []
        for row in canvas.cells():
            line, start = [], 0
            for index in range(1, columns + 1):
                if index == columns or row[index][1] != row[start][1]:
                    text = "".join(character for character, _ in row[start:index])
                    line.append(Segment(text, style_of(row[start][1]) if row[start][1] else None))
                    start = index
            lines.append(line)
        return lines

    def _series(self, canvas: Canvas, series: Series, columns: int, rows: int) -> None:
        ink = colour(series.colour, self.dark)
        if series.strength < 1:
            ink = faded(ink, series.strength, self.dark)
        x, y = np.asarray(series.x, float), to_axis(series.y, self.is_log)
        lost = np.isfinite(x) & (np.isnan(y) | np.isposinf(y))
        for place in self._to_dots(x[lost], np.zeros(lost.sum()), columns, rows)[0]:
            canvas.over(int(place // 2), 0, "✗", colour("warning", self.dark))
        y = np.where(np.isneginf(y), self._y.low, y)
        for x_part, y_part in finite_parts(x, y):
            if series.kind == "line" and not self.spec.equal and self._x_view is None:
                x_part, y_part = thin(x_part, y_part, 2 * columns)
            across, down = self._to_dots(x_part, y_part, columns, rows)
            if series.kind == "line":
                canvas.line(across, down, ink, series.marker, series.dashed)
                if len(x_part) == 1 and not self.plain:
                    canvas.over(int(across[0] // 2), int(down[0] // 4), "•", ink, NUDGE)
            elif len(series.marker) == 2:  # brackets, between which something else may stand
                for column, row in zip(across // 2, down // 4, strict=True):
                    canvas.over(int(column) - 1, int(row), series.marker[0], ink)
                    canvas.over(int(column) + 1, int(row), series.marker[1], ink)
            elif series.marker == "·" and not self.plain:
                canvas.dots(across, down, ink, series.marker)
            else:
                nudge = 0 if self.spec.equal else NUDGE
                for column, row in zip(across // 2, down // 4, strict=True):
                    if self.thick and self.spec.equal and series.marker.isalnum():  # a plate that is seen from afar
                        for side in (-1, 1):
                            canvas.over(int(column) + side, int(row), " ", f"!{ink}")
                        canvas.over(int(column), int(row), series.marker, f"!{ink}")
                    else:
                        canvas.over(int(column), int(row), series.marker, ink, nudge)

    def _legend(self, width: int, height: int) -> list[list[Segment]]:
        """What the colours mean: words are cut where there is no room, numbers are not."""
        most = 1 + sum(height >= rows for rows in HIGH_LEGENDS)
        legible = 7 if self.has_axes else 5  # the words of a configuration are always the same ones
        lines = arrange(self._entries(), width - 2, most, self.crosshair is None, legible)
        return [[Segment(" "), *line] for line in lines]

    def _entries(self) -> list[tuple[str, str, str, str]]:
        """Sign, colour, words and number of everything that the legend names; values where there is a crosshair."""
        spec, dark = self.spec, self.dark
        entries = []
        at = self.crosshair
        if not self.has_legend and at is None:
            return []
        if at is not None and self.has_axes:
            where = f"{at:.0f}" if spec.x_label == ITERATION else number(at, 6)
            entries.append(("┆", colour("crosshair", dark), "", where))
        for series in sorted(spec.series, key=lambda one: one.dashed):  # what was measured before its bounds
            if not series.label or (not self.has_legend and not len(series.x)):
                continue
            points = self.plain or series.kind == "points"
            sign = series.marker if points else "╌" if series.dashed else "━"
            now = series.now
            if at is not None and series.kind == "line":
                found = value_at(series, at)
                now = number(found)
            entries.append((sign, colour(series.colour, dark), series.label if self.has_legend else "", now))
        signed = [("╌", mark) for mark in spec.horizontal]
        signed += [("┊" if mark.dashed else "│", mark) for mark in spec.vertical]
        entries += [(sign, colour(mark.colour, dark), mark.label, mark.now) for sign, mark in signed if mark.label]
        if any((np.isnan(series.y) | np.isposinf(series.y)).any() for series in spec.series):
            entries.append(("✗", colour("warning", dark), "not finite", ""))
        return entries

    def _x_at(self, column: int) -> float | None:
        left, _, columns, _ = self._place
        place = column - left
        if not self.has_axes or not 0 <= place < columns:
            return None
        return self._x.low + (2 * place + 0.5) / (2 * columns - 1) * (self._x.high - self._x.low)

    def look_at(self, x: float | None) -> None:
        """Show the values at an x, which may be another chart's; None takes the crosshair away."""
        if x != self.crosshair:
            self.crosshair = x
            self.repaint()

    def share_x(self, stretch: tuple[float, float] | None) -> None:
        """Show the given stretch of the x axis, as another chart does; None shows the whole."""
        if stretch != self._x_view:
            self._x_view = stretch
            self.repaint()

    def action_zoom(self, direction: int) -> None:
        """Zoom in or out, about the middle."""
        self._zoom(ZOOM if direction > 0 else 1 / ZOOM, 0.5, 0.5)

    def action_pan(self, right: int, up: int) -> None:
        """Go sideways, up or down."""
        self._pan(right * PAN, up * PAN)

    def action_reset_scales(self) -> None:
        """Show everything again."""
        self._x_view = self._y_view = None
        self.repaint()
        self.post_message(self.Scaled(self, None))

    def action_log(self) -> None:
        """Change between a linear and a logarithmic y axis."""
        if self.has_axes:
            self.log_axis = not self.is_log
            self._y_view = None
            self.repaint()

    def _zoom(self, by: float, right: float, up: float) -> None:
        if self.spec is None:
            return
        x, y = (self._x.low, self._x.high), (self._y.low, self._y.high)
        self._view(_zoomed(x, by, right), _zoomed(y, by, up))

    def _pan(self, right: float, up: float) -> None:
        if self.spec is None:
            return
        x, y = self._x.high - self._x.low, self._y.high - self._y.low
        self._view((self._x.low + right * x, self._x.high + right * x), (self._y.low + up * y, self._y.high + up * y))

    def _view(self, x: tuple[float, float], y: tuple[float, float]) -> None:
        self._x_view, self._y_view = x, y
        self.repaint()
        if self.has_axes:
            self.post_message(self.Scaled(self, x))

    def on_mouse_scroll_up(self, event: MouseScrollUp) -> None:
        """Zoom in about the mouse."""
        self._zoom_at(event, ZOOM)

    def on_mouse_scroll_down(self, event: MouseScrollDown) -> None:
        """Zoom out about the mouse."""
        self._zoom_at(event, 1 / ZOOM)

    def _zoom_at(self, event: MouseScrollUp | MouseScrollDown, by: float) -> None:
        left, top, columns, rows = self._place
        event.stop()
        self._zoom(by, (event.x - left + 0.5) / columns, 1 - (event.y - top + 0.5) / rows)

    def on_mouse_down(self, event: MouseDown) -> None:
        """Take hold of the picture; shift is left to those who turn it."""
        if event.button == 1 and not event.shift:
            self._grip, self._dragged = (event.x, event.y), False
            self.capture_mouse()

    def on_mouse_move(self, event: MouseMove) -> None:
        """Pan while held, else move the crosshair."""
        if self.spec is None:
            return
        if self._grip is None:
            if self.has_axes:
                self.post_message(self.Hovered(self, self._x_at(event.x)))
            return
        _, _, columns, rows = self._place
        right, down = event.x - self._grip[0], event.y - self._grip[1]
        if right or down:
            self._grip, self._dragged = (event.x, event.y), True
            self._pan(-right / columns, down / rows)

    def on_mouse_up(self, event: MouseUp) -> None:
        """Let go; where nothing was moved it was a click."""
        held, self._grip = self._grip, None
        self.release_mouse()
        if held is not None and not self._dragged and (x := self._x_at(event.x)) is not None:
            self.post_message(self.Clicked(self, x))

    def on_leave(self, event: Leave) -> None:
        """Take the crosshair away."""
        self.post_message(self.Hovered(self, None))


def _zoomed(limits: tuple[float, float], by: float, part: float) -> tuple[float, float]:
    low, high = limits
    middle = low + part * (high - low)
    return middle - by * (middle - low), middle + by * (high - middle)


def _named(numbers: str, name: str) -> str:
    """The numbers under an axis with its name in the widest gap between them, where one is wide enough."""
    gaps = [match.span() for match in re.finditer(" +", numbers)]
    start, end = max(gaps, key=lambda gap: gap[1] - gap[0], default=(0, 0))
    if end - start < len(name) + 4:
        return numbers
    at = start + (end - start - len(name)) // 2
    return numbers[:at] + name + numbers[at + len(name) :]
