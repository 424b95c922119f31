"""What a chart shows, apart from how it is drawn: the same description is drawn in the terminal and as a PNG."""

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

MARKERS = "o+x*#@%&"


ITERATION = "iteration"  # label of the axis of most charts, whose values are whole


@dataclass(frozen=True)
class Series:
    """Points (x, y) of one label; y may hold numbers that are not finite, which the chart marks.

    Attributes:
        label: What the legend says; "" leaves the series out of it.
        x, y: Coordinates, shape (n,).
        colour: Number in the palette, or the name of a role: "muted", "ideal", "warning".
        kind: "line", or "points" for markers alone.
        marker: Character for points, and for lines where there is no Braille.
        dashed: Whether a line is broken: bounds are, measured curves are not.
        strength: How strongly it stands out from the ground, 0 to 1: what is far away or long ago is dimmer.
        now: A number for the legend, which is never cut.
        aside: Whether the y axis is fitted to the other series, if there are any: one that diverged hides the rest.
    """

    label: str
    x: np.ndarray
    y: np.ndarray
    colour: int | str = 0
    kind: str = "line"
    marker: str = "o"
    dashed: bool = False
    strength: float = 1.0
    now: str = ""
    aside: bool = False


@dataclass(frozen=True)
class Mark:
    """A straight line across the chart at one value: a floor, the time to fit, the frame being replayed.

    Attributes:
        label: What the legend says; "" leaves the mark out of it.
        at: Where it stands.
        colour: Number in the palette or the name of a role.
        now: A number for the legend, which is never cut.
        dashed: Whether the line is broken.
    """

    label: str
    at: float
    colour: int | str = "ideal"
    now: str = ""
    dashed: bool = False


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
    x_label: str = ITERATION
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
class Matrix:
    """A square matrix with values in [−1, 1].

    Attributes:
        name: What it is.
        values: Shape (K, K).
        now: A number that sums it up, which is never cut.
    """

    name: str
    values: np.ndarray
    now: str


@dataclass(frozen=True)
class HeatMapSpec:
    """Square matrices side by side.

    Attributes:
        title: Title of the panel.
        matrices: What is drawn.
        unit: What a value is.
        low: The least value there can be, −1 or 0; the largest is 1.
    """

    title: str
    matrices: tuple[Matrix, ...] = ()
    unit: str = "cosine"
    low: int = -1


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


def limits(spec: ChartSpec, log: bool | None = None) -> tuple[tuple[float, float], tuple[float, float]]:
    """Limits of both axes that hold every series and mark; y in log10 on a log axis.

    Args:
        spec: the chart.
        log: whether the y axis is logarithmic; None for what the chart says.
    """
    log = spec.log if log is None else log
    xs = [series.x[np.isfinite(series.x)] for series in spec.series]
    xs = np.concatenate([*xs, np.array([mark.at for mark in spec.vertical], float)])
    fitted = [series for series in spec.series if not series.aside and len(series.y)] or spec.series
    ys = np.concatenate([*(to_axis(series.y, log) for series in fitted), np.empty(0)])
    ys = np.concatenate([ys, to_axis(np.array([mark.at for mark in spec.horizontal], float), log)])
    ys = ys[np.isfinite(ys)]
    low, high = spec.x_limits or ((xs.min(), xs.max()) if len(xs) else (0.0, 1.0))
    if low == high:
        low, high = low - 0.5, high + 0.5
    if spec.y_limits:
        return (float(low), float(high)), spec.y_limits
    bottom, top = (ys.min(), ys.max()) if len(ys) else (0.0, 1.0)
    if bottom == top:
        room = max(abs(top) * 0.05, 1e-3)
        bottom, top = bottom - room, top + room
    return (float(low), float(high)), (float(bottom), float(top))


def to_axis(y: np.ndarray, log: bool) -> np.ndarray:
    """Values as the axis counts them: log10 on a log axis, where numbers ≤ 0 become −inf."""
    y = np.asarray(y, float)
    if not log:
        return y
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(y > 0, np.log10(np.where(y > 0, y, 1.0)), np.where(np.isnan(y), np.nan, -np.inf))


@dataclass(frozen=True)
class Axis:
    """One axis: its limits and what stands beside it.

    Attributes:
        low, high: values at its ends; in log10 on a log axis.
        ticks: (row or column from the lower end, label).
    """

    low: float
    high: float
    ticks: tuple[tuple[int, str], ...] = ()


def row_axis(low: float, high: float, rows: int, log: bool = False) -> Axis:
    """A vertical axis whose ticks stand on equal rows at round values; its limits grow until they do.

    Args:
        low, high: what it has to hold, low < high; in log10 where `log`.
        rows: rows of the picture, the first and last of which are the limits.
        log: whether values are powers: ticks are then at whole decades, or at powers of two.
    """
    ends = Axis(low, high, ((0, end_label(low, log)), (rows - 1, end_label(high, log))) if rows > 1 else ())
    best = None
    for spacing in range(2, rows):
        count = (rows - 1) // spacing + 1
        found = _step(low, high, (rows - 1) / spacing, log)
        if found is None:
            continue
        step, start = found
        waste = step * (rows - 1) / spacing / (high - low)
        cost = waste * (1 + 0.12 * abs(count - 4) + (0.4 if count < 3 else 0))
        if best is None or cost < best[0]:
            best = cost, spacing, count, step, start
    if best is None:  # too few rows for round values
        return ends
    _, spacing, count, step, start = best
    values = [start + index * step for index in range(count)]
    labels = [power(value) for value in values] if log else tick_labels(values, step)
    ticks = tuple((index * spacing, label) for index, label in enumerate(labels))
    return Axis(start, start + step * (rows - 1) / spacing, ticks)


def column_axis(low: float, high: float, columns: int, whole: bool = False) -> Axis:
    """A horizontal axis with these limits, and as many round ticks as have room for their labels.

    Args:
        low, high: values at its ends.
        columns: its length.
        whole: whether it counts something, iterations, of which there are no halves.
    """
    if columns < 8:
        return Axis(low, high)
    for step in _steps((high - low) / columns):
        if whole and step % 1:
            continue
        first = math.ceil(low / step - 1e-9)
        values = [index * step for index in range(first, math.floor(high / step + 1e-9) + 1)]
        labels = tick_labels(values, step)
        width = max(map(len, labels), default=1)
        if step / (high - low) * (columns - 1) >= width + 2:
            break
    places = [round((value - low) / (high - low) * (columns - 1)) for value in values]
    return Axis(low, high, tuple(zip(places, labels, strict=True)))


def _step(low: float, high: float, intervals: float, log: bool) -> tuple[float, float] | None:
    """The smallest round step, and the round start, with which so many intervals hold both limits, if there is one."""
    slack = 1e-9 * (high - low)
    for step in _log_steps() if log else _steps((high - low) / intervals / 2):
        if log and step < 1:
            whole = math.floor(low + slack)
            start = whole + math.floor((low - whole + slack) / step) * step
        else:
            start = math.floor((low + slack) / step) * step
        if start + step * intervals >= high - slack:
            return step, start
        if step > 20 * max(high - low, 1.0 if log else 0.0):
            return None  # about 0 a step on either side is too much for so few intervals


def _steps(least: float) -> Iterator[float]:
    """1, 2, 2.5 and 5 times powers of ten from about `least` on."""
    exponent = math.floor(math.log10(least))
    while True:
        yield from (part * 10.0**exponent for part in (1, 2, 2.5, 5))
        exponent += 1


def _log_steps() -> Iterator[float]:
    """A factor of two, then whole decades."""
    yield math.log10(2)
    yield from itertools.chain(range(1, 10), range(10, 400, 5))


def end_label(value: float, log: bool) -> str:
    """The value at an end of an axis that has no room for round ones, in two digits."""
    return short_exponent(f"{10.0**value:.1e}") if log else number(value, 3)


def tick_labels(values: list[float], step: float) -> list[str]:
    """Values as text, all with as many decimals as the step needs: 0.25, 150, 2e+6."""
    largest = max((abs(value) for value in values), default=0.0)
    decimals = next((digits for digits in range(12) if abs(step - round(step, digits)) < 1e-9 * step), 12)
    if largest >= 10**6 or (largest and largest < 1e-3) or decimals > 6:
        digits = max(1, math.ceil(math.log10(max(largest, step) / step) - 1e-9) + (1 if _mantissa(step) == 2.5 else 0))
        return [short_exponent(f"{value:.{digits}e}") if value else "0" for value in values]
    return [f"{value + 0.0:.{decimals}f}" for value in values]


def _mantissa(step: float) -> float:
    return round(step / 10.0 ** math.floor(math.log10(step) + 1e-9), 3)


def power(exponent: float) -> str:
    """10 to an exponent as a label: 0.01, 5, 1600, 2e-8."""
    value = 10.0**exponent
    if 3 <= exponent < 5:
        return f"{value:.0f}"
    return f"{value:.3g}" if -3 <= exponent < 3 else short_exponent(f"{value:.2e}")


def short_exponent(text: str) -> str:
    """A number without what it does not need: 2.00e-08 becomes 2e-8."""
    number, _, exponent = text.partition("e")
    number = number.rstrip("0").rstrip(".") if "." in number else number
    return f"{number}e{int(exponent)}"


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


def value_at(series: Series, x: float) -> float | None:
    """The value of a series at the last point at or before x; None before its first."""
    before = np.flatnonzero(series.x <= x)
    return float(series.y[before[-1]]) if len(before) else None
