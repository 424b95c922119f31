"""What a chart shows, apart from how it is drawn: the same description is drawn in the terminal and as a PNG."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

MARKERS = "o+x*#@%&"


@dataclass(frozen=True)
class Series:
    """Points (x, y) of one label; y may hold numbers that are not finite, which the chart marks.

    Attributes:
        label: What the legend says; "" leaves the series out of it.
        x, y: Coordinates, shape (n,).
        colour: Number in the palette, or the name of a role: "muted", "ideal", "warning".
        kind: "line", or "points" for markers alone.
        marker: Character for points, and for lines where there is no Braille.
    """

    label: str
    x: np.ndarray
    y: np.ndarray
    colour: int | str = 0
    kind: str = "line"
    marker: str = "o"


@dataclass(frozen=True)
class Mark:
    """A straight line across the chart at one value: a bound, a floor, the time to fit, the frame being replayed."""

    label: str
    at: float
    colour: int | str = "ideal"


@dataclass(frozen=True)
class ChartSpec:
    """A chart: series, horizontal and vertical marks, axes.

    Attributes:
        title: Title of the panel.
        x_label, y_label: What the axes count, with units.
        series, horizontal, vertical: What is drawn.
        log: Whether the y axis is logarithmic; numbers ≤ 0 are then drawn at its lower end.
        x_limits, y_limits: Fixed limits, or None to fit the data.
        equal: Whether a unit is equally long on both axes.
    """

    title: str
    x_label: str = "iteration"
    y_label: str = ""
    series: tuple[Series, ...] = ()
    horizontal: tuple[Mark, ...] = ()
    vertical: tuple[Mark, ...] = ()
    log: bool = False
    x_limits: tuple[float, float] | None = None
    y_limits: tuple[float, float] | None = None
    equal: bool = False


@dataclass(frozen=True)
class Histogram:
    """One distribution over [0, 1] in equal bins, with marked values.

    Attributes:
        label: What it is a distribution of.
        counts: Number of values in each bin, shape (bins,).
        marks: Values to mark, e.g. that of the simplex.
        mean: Mean of the distribution, or None.
    """

    label: str
    counts: np.ndarray
    marks: tuple[Mark, ...] = ()
    mean: float | None = None


@dataclass(frozen=True)
class HistogramSpec:
    """Several histograms, one above the other, over one axis."""

    title: str
    x_label: str
    histograms: tuple[Histogram, ...] = ()


@dataclass(frozen=True)
class HeatMapSpec:
    """Square matrices with values in [−1, 1], side by side."""

    title: str
    matrices: tuple[tuple[str, np.ndarray], ...] = field(default=())


Spec = ChartSpec | HistogramSpec | HeatMapSpec


def finite_parts(x: np.ndarray, y: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The longest stretches of (x, y) without a number that is not finite, in order."""
    good = np.isfinite(x) & np.isfinite(y)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], good, [False]]).astype(np.int8)))
    for start, stop in zip(edges[::2], edges[1::2], strict=True):
        yield x[start:stop], y[start:stop]


def thin(x: np.ndarray, y: np.ndarray, columns: int) -> tuple[np.ndarray, np.ndarray]:
    """Reduce a line to the first, lowest, highest and last point of each column, which draws the same picture.

    Args:
        x: ascending, shape (n,).
        y: finite, shape (n,).
        columns: width of the picture in columns.

    Returns:
        x and y of the points that are kept, at most 4 a column.
    """
    if len(x) <= 4 * columns or columns < 1:
        return x, y
    span = x[-1] - x[0] or 1.0
    column = np.minimum(((x - x[0]) / span * columns).astype(int), columns - 1)
    starts = np.flatnonzero(np.diff(column, prepend=-1))
    ends = np.append(starts[1:], len(x))
    # A stable sort by column, then by height, puts the extremes of a column at its ends.
    order = np.lexsort((y, column))
    kept = np.unique(np.concatenate([starts, ends - 1, order[starts], order[ends - 1]]))
    return x[kept], y[kept]


def limits(spec: ChartSpec) -> tuple[tuple[float, float], tuple[float, float]]:
    """Limits of both axes that hold every series and horizontal mark with a little room; y in log10 on a log axis."""
    xs = [series.x[np.isfinite(series.x)] for series in spec.series]
    xs = np.concatenate([*xs, np.array([mark.at for mark in spec.vertical], float)])
    ys = np.concatenate([*(to_axis(series.y, spec.log) for series in spec.series), np.empty(0)])
    ys = np.concatenate([ys, to_axis(np.array([mark.at for mark in spec.horizontal], float), spec.log)])
    ys = ys[np.isfinite(ys)]
    low, high = spec.x_limits or ((xs.min(), xs.max()) if len(xs) else (0.0, 1.0))
    if low == high:
        low, high = low - 0.5, high + 0.5
    elif not spec.x_limits and _stands_at(spec, high):
        high += 0.03 * (high - low)
    if spec.y_limits:
        return (float(low), float(high)), spec.y_limits
    bottom, top = (ys.min(), ys.max()) if len(ys) else (0.0, 1.0)
    room = 0.06 * (top - bottom) or max(abs(top) * 0.05, 1e-3)
    return (float(low), float(high)), (float(bottom - room), float(top + room))


def _stands_at(spec: ChartSpec, x: float) -> bool:
    """Whether a mark, or a number that is not finite, stands at x, where the frame would hide it."""
    return any(mark.at == x for mark in spec.vertical) or any(
        (np.isnan(one.y) | np.isposinf(one.y))[one.x == x].any() for one in spec.series
    )


def to_axis(y: np.ndarray, log: bool) -> np.ndarray:
    """Values as the axis counts them: log10 on a log axis, where numbers ≤ 0 become −inf."""
    y = np.asarray(y, float)
    if not log:
        return y
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(y > 0, np.log10(np.where(y > 0, y, 1.0)), np.where(np.isnan(y), np.nan, -np.inf))


def decades(low: float, high: float, most: int = 6) -> list[float]:
    """Tick positions in log10 between two limits: whole decades, or 1-2-5 steps within less than two of them."""
    step = max(1, math.ceil((high - low) / most))
    ticks = [float(power) for power in range(math.ceil(low), math.floor(high) + 1) if power % step == 0]
    if len(ticks) >= 2:
        return ticks
    fine = [power + part for power in range(math.floor(low), math.ceil(high) + 1) for part in (0, 0.30103, 0.69897)]
    return [tick for tick in fine if low <= tick <= high]


def bins_for(counts: np.ndarray, width: int) -> np.ndarray:
    """Re-bin a histogram over [0, 1] to `width` columns; the sum is kept."""
    counts = np.asarray(counts, float)
    edges = np.linspace(0, len(counts), width + 1)
    cumulative = np.concatenate([[0.0], np.cumsum(counts)])
    return np.diff(np.interp(edges, np.arange(len(counts) + 1), cumulative))


def number(value: float | None, digits: int = 3) -> str:
    """A number in a few characters: 0.834, 1.24e-04, 515; "–" where there is none, "not finite" where it diverged."""
    if value is None:
        return "–"
    if not math.isfinite(value):
        return "not finite"
    if value != 0 and not 1e-3 <= abs(value) < 10**6:
        return f"{value:.{max(digits - 2, 1)}e}"
    return f"{value:.{digits}g}" if abs(value) < 10**digits else f"{value:.0f}"
