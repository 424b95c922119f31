"""Descriptions of charts: thinning, limits, ticks, histograms."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simplexlab.tui.views.charts import (
    ChartSpec,
    Mark,
    Series,
    bins_for,
    column_axis,
    finite_parts,
    limits,
    number,
    row_axis,
    thin,
    to_axis,
)


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 3000), st.integers(1, 60))
def test_thin_keeps_the_extremes_and_ends_of_every_column(seed, length, columns):
    generator = np.random.default_rng(seed)
    x = np.sort(generator.uniform(0, 100, length))
    y = generator.standard_normal(length)
    kept_x, kept_y = thin(x, y, columns)
    assert len(kept_x) <= max(4 * columns, 1) or len(kept_x) == length
    assert kept_x[0] == x[0]
    assert kept_x[-1] == x[-1]
    span = x[-1] - x[0] or 1.0

    def column_of(values):
        return np.minimum(((values - x[0]) / span * columns).astype(int), columns - 1)

    for column in np.unique(column_of(x)):
        before, after = y[column_of(x) == column], kept_y[column_of(kept_x) == column]
        assert after.min() == before.min()
        assert after.max() == before.max()


def test_finite_parts_stop_at_what_is_not_finite():
    x = np.arange(7.0)
    y = np.array([1, 2, np.nan, 4, np.inf, 6, 7])
    assert [part[0].tolist() for part in finite_parts(x, y)] == [[0, 1], [3], [5, 6]]


def test_limits_hold_series_and_marks():
    spec = ChartSpec(
        "", series=(Series("", np.array([0.0, 10.0]), np.array([1.0, 3.0])),), horizontal=(Mark("", -1.0),)
    )
    (x_low, x_high), (y_low, y_high) = limits(spec)
    assert (x_low, x_high) == (0, 10)
    assert y_low <= -1
    assert y_high >= 3


def test_limits_of_a_log_axis_ignore_zero_and_nan():
    spec = ChartSpec("", series=(Series("", np.arange(4.0), np.array([0.0, np.nan, 1e-4, 10.0])),), log=True)
    _, (low, high) = limits(spec)
    assert (low, high) == (-4, 1)


def test_limits_of_nothing_and_of_one_point_have_room():
    for spec in (ChartSpec(""), ChartSpec("", series=(Series("", np.array([5.0]), np.array([0.0])),))):
        (x_low, x_high), (y_low, y_high) = limits(spec)
        assert x_low < x_high
        assert y_low < y_high


def test_log_axis_keeps_apart_zero_and_nan():
    axis = to_axis(np.array([100.0, 0.0, -3.0, np.nan]), log=True)
    assert axis[0] == 2
    assert np.isneginf(axis[1:3]).all()
    assert np.isnan(axis[3])


@settings(deadline=None, max_examples=300)
@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6), st.integers(3, 40), st.booleans())
def test_ticks_stand_on_equal_rows_and_say_where_they_are(low, span, rows, log):
    if log:
        low, span = low / 1e5, min(span, 50.0)
    high = low + span
    if high == low:
        return
    axis = row_axis(low, high, rows, log)
    assert axis.low <= low + 1e-6 * span
    assert axis.high >= high - 1e-6 * span
    places = [place for place, _ in axis.ticks]
    assert all(0 <= place < rows for place in places)
    assert len({after - before for before, after in itertools.pairwise(places)}) <= 1
    if rows >= 6:
        assert len(places) >= 2
    for place, label in axis.ticks:
        there = axis.low + place / (rows - 1) * (axis.high - axis.low)
        wanted = math.log10(float(label)) if log else float(label)
        resolution = (axis.high - axis.low) / (rows - 1) / 2
        if rows < 6:  # where only the ends are told, in few digits
            resolution = max(resolution, 0.06 * max(abs(there), 1.0))
        assert abs(wanted - there) <= max(resolution, 1e-9 * abs(there)), (axis, label)


def test_a_linear_axis_has_equal_steps_of_round_numbers():
    assert [label for _, label in row_axis(0, 0.93, 11).ticks] == ["0.0", "0.5", "1.0"]
    assert row_axis(824.44, 824.9, 10).ticks[0] == (0, "824.4")
    assert [label for _, label in row_axis(-7.2, 1.3, 12, log=True).ticks] == ["1e-9", "1e-6", "0.001", "1"]


@given(st.floats(-1e5, 1e5), st.floats(1e-5, 1e5), st.integers(8, 200))
def test_labels_below_do_not_touch(low, span, columns):
    if low + span == low:
        return
    ticks = column_axis(low, low + span, columns).ticks
    for (place, label), (after, _) in itertools.pairwise(ticks):
        assert after - place > len(label)


@pytest.mark.parametrize(
    ("low", "high"), [(-0.5, 0.5), (0, 1), (0, 2), (0, 3), (0, 11), (0.2, 0.7), (0, 1234), (0, 1e6)]
)
@pytest.mark.parametrize("columns", [8, 20, 60, 200])
def test_iterations_are_whole(low, high, columns):
    ticks = column_axis(low, high, columns, whole=True).ticks
    assert all(float(label) % 1 == 0 for _, label in ticks)
    assert len(ticks) >= (2 if high - low > 1 and columns >= 20 else 0)


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=80), st.integers(1, 200))
def test_bins_keep_their_sum(counts, width):
    assert bins_for(np.array(counts), width).sum() == pytest.approx(sum(counts))


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.834269, "0.834"),
        (1.2419e-4, "1.2e-04"),
        (514.889, "515"),
        (824.48734, "824"),
        (0.0, "0"),
        (12_345.0, "12345"),
        (2e9, "2.0e+09"),
        (None, "–"),
        (float("nan"), "not finite"),
    ],
)
def test_numbers_are_short(value, shown):
    assert number(value) == shown
