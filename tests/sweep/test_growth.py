"""The growth exponent of the time to fit, on synthetic runs whose exponent is known."""

import math

import numpy as np
import pytest

from simplexlab.sweep.growth import fit_growth, fit_line

LEVELS = np.repeat(np.arange(0, 1.01, 0.1), 3)


def synthetic(exponent, seed=0, *, grid=10, budget=math.inf, noise=0.05, levels=LEVELS):
    """Runs with T = 200 + 800·pᵏ and log-normal noise, seen through evaluations every `grid` up to `budget`."""
    generator = np.random.default_rng(seed)
    times = (200 + 800 * levels**exponent) * np.exp(noise * generator.standard_normal(len(levels)))
    upper = np.ceil(times / grid) * grid
    lower = np.where(upper > budget, budget, upper - grid)
    return levels, lower, np.where(upper > budget, np.inf, upper)


@pytest.mark.parametrize("exponent", [0.5, 1.0, 2.0, 4.0])
def test_recovers_the_exponent(exponent):
    growth = fit_growth(*synthetic(exponent))
    assert growth.lower < exponent < growth.upper
    assert growth.exponent == pytest.approx(exponent, rel=0.15)
    assert growth.start == pytest.approx(200, rel=0.1)
    assert growth.rise == pytest.approx(800, rel=0.15)
    assert growth.noise == pytest.approx(0.05, rel=0.5)
    assert (growth.runs, growth.censored) == (33, 0)


def test_linear_growth_gives_one_also_without_noise():
    growth = fit_growth(*synthetic(1.0, grid=1, noise=0.0))
    assert growth.exponent == pytest.approx(1, abs=0.01)


def test_censored_runs_count():
    """Where half of the runs never fit, they still tell of the growth; leaving them out or believing them would not."""
    levels, lower, upper = synthetic(3.0, seed=1, budget=500)
    growth = fit_growth(levels, lower, upper)
    assert growth.censored == np.count_nonzero(np.isinf(upper)) > 5
    assert growth.lower < 3 < growth.upper
    believed = fit_growth(levels, lower, np.where(np.isinf(upper), 510, upper))
    assert believed.upper < 3


def test_a_coarse_grid_gives_a_wider_interval():
    fine, coarse = (fit_growth(*synthetic(1.0, grid=grid)) for grid in (1, 200))
    assert coarse.upper - coarse.lower > 1.3 * (fine.upper - fine.lower)


def test_interval_covers_as_often_as_it_says():
    levels = np.repeat([0, 0.2, 0.4, 0.6, 0.8, 1.0], 2)
    covered = sum(
        growth.lower <= 1.5 <= growth.upper
        for growth in (fit_growth(*synthetic(1.5, seed=seed, budget=900, levels=levels)) for seed in range(20))
    )
    assert covered >= 16  # 19 expected; fewer than 16 has probability 0.003


def test_constant_times_leave_the_exponent_open():
    levels, _, _ = synthetic(1.0)
    growth = fit_growth(levels, np.full(len(levels), 490.0), np.full(len(levels), 500.0))
    assert growth.lower == 0
    assert growth.upper == math.inf


def test_does_not_depend_on_the_unit_of_time():
    levels, lower, upper = synthetic(2.0)
    small, large = fit_growth(levels, lower, upper), fit_growth(levels, lower * 1000, upper * 1000)
    assert large.exponent == pytest.approx(small.exponent, rel=1e-3)
    assert large.start == pytest.approx(1000 * small.start, rel=1e-3)


def test_fits_a_line():
    levels, lower, upper = synthetic(1.0, budget=700)
    start, rise = fit_line(levels, lower, upper)
    assert start == pytest.approx(200, rel=0.05)
    assert rise == pytest.approx(800, rel=0.1)
    with pytest.raises(ValueError, match="two corruptions"):
        fit_line([0.2, 0.2], [10, 20], [20, 30])


def test_refuses_what_has_no_curvature():
    levels, lower, upper = synthetic(1.0, levels=np.repeat([0.0, 0.5], 5))
    with pytest.raises(ValueError, match="fitted at 2"):
        fit_growth(levels, lower, upper)
    with pytest.raises(ValueError, match="lower < upper"):
        fit_growth(LEVELS, np.full(33, 10.0), np.full(33, 10.0))
