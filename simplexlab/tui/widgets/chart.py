"""The chart: draws a `ChartSpec` with textual-plot, and what that library does not have."""

import numpy as np
from rich.text import Text
from textual.events import Mount
from textual.reactive import reactive
from textual_hires_canvas import Canvas
from textual_plot import HiResMode, PlotWidget
from textual_plot.axis_formatter import NumericAxisFormatter

from simplexlab.tui.views.charts import ChartSpec, Series, decades, finite_parts, limits, thin, to_axis
from simplexlab.tui.widgets.palette import colour


class LogFormatter(NumericAxisFormatter):
    """Ticks of an axis that counts in log10."""

    def get_ticks(self, min_: float, max_: float, max_ticks: int = 6) -> list[float]:
        """Whole decades, or 1-2-5 steps within less than two of them."""
        return decades(min_, max_, max_ticks)

    def get_labels_for_ticks(self, ticks) -> list[str]:
        """Labels such as 0.01, 5, 1e-08."""
        return [f"{10**tick:.0e}" if not -3 <= tick < 5 else f"{10**tick:.4g}" for tick in ticks]


class PlainFormatter(NumericAxisFormatter):
    """Ticks of a linear axis, with as many digits as they need and no more than fit."""

    def get_labels_for_ticks(self, ticks) -> list[str]:
        """Labels such as 0.2, 515, 2e+05, 1.5e-05."""
        largest = max((abs(tick) for tick in ticks), default=0.0)
        if len(ticks) < 2 or 1e-3 <= largest < 1e6:
            return super().get_labels_for_ticks(ticks)
        return [f"{tick:.3g}" if tick else "0" for tick in ticks]


class Chart(PlotWidget):
    """Draws one `ChartSpec`: lines, points, marks across the chart, log axes, and what is not finite.

    A line stops where a number is not finite, and a ✗ at the upper edge stands in its place. On a log axis numbers
    that are 0 or less stand at the lower edge. Zooming (+, −, wheel) and panning (arrows, drag) last until `r`.
    """

    DEFAULT_CSS = """
    Chart { height: 1fr; width: 1fr; }
    Chart > .plot--axis { color: $foreground 30%; }
    Chart:focus > .plot--axis { color: $accent; }
    Chart > .plot--tick { color: $foreground 80%; text-style: none; }
    Chart > .plot--label { color: $foreground 80%; text-style: none; }
    """

    margin_top = reactive(0)

    def __init__(self, spec: ChartSpec | None = None, **arguments):
        super().__init__(**arguments)
        self.spec = spec or ChartSpec("")
        self._shown_limits = None
        self._lost: list[float] = []

    def on_mount(self, event: Mount) -> None:
        """Draw what was given before there was a terminal."""
        event.prevent_default()  # else the library's handler runs after this one and forgets the limits
        super().on_mount()
        self._draw()

    def show(self, spec: ChartSpec) -> None:
        """Draw another description."""
        self.spec = spec
        if self.is_mounted:
            self._draw()

    def notify_style_update(self) -> None:
        """Draw again in the colours of the theme."""
        super().notify_style_update()
        if self.is_mounted:
            self._draw()

    def on_resize(self) -> None:
        """Draw again for the new size."""
        self._needs_canvas_resize = True
        self._draw()

    def legend(self) -> Text:
        """The legend in one line."""
        text = Text(no_wrap=True, overflow="ellipsis")
        plain, dark = self._plain, self.app.current_theme.dark
        for series in self.spec.series:
            if series.label:
                sign = series.marker if plain or series.kind == "points" else "━"
                text.append(f"{sign} ", colour(series.colour, dark))
                text.append(f"{series.label}  ")
        for marks, sign in ((self.spec.horizontal, "─"), (self.spec.vertical, "│")):
            for mark in marks:
                if mark.label:
                    text.append(f"{sign} ", colour(mark.colour, dark))
                    text.append(f"{mark.label}  ")
        if any((np.isnan(series.y) | np.isposinf(series.y)).any() for series in self.spec.series):
            text.append("✗ not finite", colour("warning", dark))
        return text

    @property
    def _plain(self) -> bool:
        return getattr(self.app, "plain", False)

    @property
    def _columns(self) -> int:
        return max(self.size.width - self.margin_left - 2, 1)

    def _draw(self) -> None:
        spec = self.spec
        self.clear()
        self._lost = []
        has_axes = bool(spec.x_label or spec.y_label)
        roomy = self.size.height >= 12
        self.margin_left = 9 if has_axes else 0
        self.margin_bottom = (3 if roomy else 1) if has_axes else 0
        self.set_xlabel(spec.x_label if roomy else "")
        self.set_x_formatter(PlainFormatter())
        self.set_y_formatter(LogFormatter() if spec.log else PlainFormatter())
        self.set_xticks(None if has_axes else [])
        self.set_yticks(None if has_axes else [])
        (x_low, x_high), (y_low, y_high) = self._limits()
        if (x_low, x_high, y_low, y_high) != self._shown_limits and self._at_home:
            self._shown_limits = (x_low, x_high, y_low, y_high)
            self._set_home(x_low, x_high, y_low, y_high)
        for mark in spec.horizontal:
            at = float(to_axis(np.array([mark.at]), spec.log)[0])
            if np.isfinite(at):
                self._line(np.array([x_low, x_high]), np.array([at, at]), mark.colour, "-")
        for series in spec.series:
            self._series(series, y_low, y_high)
        for mark in spec.vertical:
            self.add_v_line(mark.at, self._style(mark.colour))

    def _render_plot(self) -> None:
        """Draw as the library does, then a ✗ over everything where a number is not finite."""
        super()._render_plot()
        canvas = self.query_one("#plot", Canvas)
        for x in self._lost:
            if self._x_min <= x <= self._x_max and canvas.size.height > 2:
                column, _ = self.get_pixel_from_coordinate(x, self._y_min)
                canvas.set_pixel(column, 1, "✗", self._style("warning"))

    @property
    def _at_home(self) -> bool:
        """Whether the reader has not zoomed or panned away from the limits that were set."""
        if self._shown_limits is None:
            return True
        return (self._x_min, self._x_max, self._y_min, self._y_max) == self._shown_limits

    def _set_home(self, x_low: float, x_high: float, y_low: float, y_high: float) -> None:
        self.set_xlimits(x_low, x_high)
        self.set_ylimits(y_low, y_high)

    def action_reset_scales(self) -> None:
        """Show everything again."""
        self._shown_limits = None
        self._draw()
        self.post_message(self.ScaleChanged(self, self._x_min, self._x_max, self._y_min, self._y_max))

    def share_x(self, low: float, high: float) -> None:
        """Show the given stretch of the x axis, as another chart does."""
        if (low, high) != (self._x_min, self._x_max):
            self._auto_x_min = self._auto_x_max = False
            self._x_min, self._x_max = low, high
            self._rerender()

    def _limits(self) -> tuple[tuple[float, float], tuple[float, float]]:
        (x_low, x_high), (y_low, y_high) = limits(self.spec)
        width, height = self._columns, max(self.size.height - self.margin_bottom - 2, 1)
        if self.spec.equal and width and height:
            # A cell of a terminal is about twice as high as it is wide.
            scale = max((x_high - x_low) / width, (y_high - y_low) / (2 * height))
            x_centre, y_centre = (x_low + x_high) / 2, (y_low + y_high) / 2
            x_half, y_half = scale * width / 2, scale * height
            return (x_centre - x_half, x_centre + x_half), (y_centre - y_half, y_centre + y_half)
        return (x_low, x_high), (y_low, y_high)

    def _style(self, name: int | str) -> str:
        return colour(name, self.app.current_theme.dark)

    def _series(self, series: Series, y_low: float, y_high: float) -> None:
        x, y = np.asarray(series.x, float), to_axis(series.y, self.spec.log)
        lost = np.isnan(y) | np.isposinf(y)
        if lost.any():
            self._lost += x[lost].tolist()
        y = np.where(np.isneginf(y), y_low + 0.01 * (y_high - y_low), y)  # just inside the frame
        for x_part, y_part in finite_parts(x, y):
            if series.kind == "points":
                self._points(x_part, y_part, series)
            else:
                self._line(x_part, y_part, series.colour, series.marker)

    def _points(self, x: np.ndarray, y: np.ndarray, series: Series) -> None:
        fine = series.marker == "·" and not self._plain
        self.scatter(x, y, series.marker, self._style(series.colour), HiResMode.BRAILLE if fine else None)

    def _line(self, x: np.ndarray, y: np.ndarray, colour_name: int | str, marker: str) -> None:
        style = self._style(colour_name)
        if not self.spec.equal:
            x, y = thin(x, y, self._columns)
        if len(x) == 1:
            self.scatter(x, y, marker if self._plain else "•", style)
        elif not self._plain:
            self.plot(x, y, style, HiResMode.BRAILLE)
        else:
            self.scatter(*_along(x, y, self._columns), marker, style)


def _along(x: np.ndarray, y: np.ndarray, columns: int) -> tuple[np.ndarray, np.ndarray]:
    """Points along a polyline, close enough to be drawn as characters."""
    steps = max(2, 2 * columns // max(len(x) - 1, 1))
    part = np.linspace(0, 1, steps, endpoint=False)
    xs = (x[:-1, None] + (x[1:] - x[:-1])[:, None] * part).ravel()
    ys = (y[:-1, None] + (y[1:] - y[:-1])[:, None] * part).ravel()
    return np.append(xs, x[-1]), np.append(ys, y[-1])
