"""The growth exponent of the time to fit, on synthetic runs whose exponent is known."""

import math

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import bdtr, stdtrit
from scipy.stats import norm
from simulated import simulated

from simplexlab.sweep import growth as module
from simplexlab.sweep.growth import fit_growth, fit_line, share_interval


@pytest.mark.parametrize("exponent", [0.5, 1.0, 2.0, 4.0])
def test_recovers_the_exponent(exponent):
    growth = fit_growth(*simulated(exponent))
    assert growth.lower < exponent < growth.upper
    assert growth.exponent == pytest.approx(exponent, rel=0.15)
    assert growth.start == pytest.approx(200, rel=0.1)
    assert growth.rise == pytest.approx(800, rel=0.15)
    assert growth.noise == pytest.approx(0.05, rel=0.5)
    assert (growth.runs, growth.censored) == (33, 0)


def test_linear_growth_gives_one_also_without_noise():
    growth = fit_growth(*simulated(1.0, every=1, noise=0.0))
    assert growth.exponent == pytest.approx(1, abs=0.01)


def test_censored_runs_count():
    """Where half of the runs never fit, they still tell of the growth; leaving them out or believing them would not."""
    levels, lower, upper = simulated(3.0, seed=1, budget=500)
    growth = fit_growth(levels, lower, upper)
    assert growth.censored == np.count_nonzero(np.isinf(upper)) > 5
    assert growth.lower < 3 < growth.upper
    believed = fit_growth(levels, lower, np.where(np.isinf(upper), 510, upper))
    assert believed.upper < 3


def test_a_coarse_grid_gives_a_wider_interval():
    fine, coarse = (fit_growth(*simulated(1.0, every=every)) for every in (1, 200))
    assert coarse.upper - coarse.lower > 1.3 * (fine.upper - fine.lower)


def test_the_interval_covers_as_often_as_it_says():
    """Exponents from 0.5 to 3, a third of the runs censored; tests/benchmarks/growth.py has 1,000 sets of each."""
    sets, covered, censored = 400, 0, []
    for seed in range(sets):
        exponent = 0.5 + 2.5 * seed / (sets - 1)
        runs = simulated(exponent, seed, censored=1 / 3)
        likelihood = module._Likelihood(*runs)
        covered += module._p_value(likelihood, likelihood.maximise(), exponent) >= 0.05
        censored.append(np.isinf(runs[2]).mean())
    assert 0.3 < np.mean(censored) < 0.4
    assert 0.93 <= covered / sets <= 0.97


def test_the_interval_holds_what_the_test_does_not_reject():
    for seed, exponent in enumerate((0.5, 0.8, 1.0, 1.3, 2.0, 3.0)):
        growth = fit_growth(*simulated(exponent, seed, censored=1 / 3))
        assert (growth.linear_p_value >= 0.05) == (growth.lower <= 1 <= growth.upper)
    assert fit_growth(*simulated(3.0, censored=1 / 3)).linear_p_value < 1e-3
    assert fit_growth(*simulated(1.0, 1)).linear_p_value > 0.05


def test_a_bootstrap_over_seeds_agrees_with_the_interval():
    """Runs of ten seeds, drawn anew at each corruption: the middle 95 % of the exponents that these draws give."""
    widths, ends = [], []
    for seed, exponent in enumerate((0.7, 1.0, 2.0)):
        levels, lower, upper = simulated(exponent, seed, seeds=10, step=0.2, censored=1 / 3)
        growth = fit_growth(levels, lower, upper)
        generator = np.random.default_rng(seed)
        exponents = []
        for _ in range(60):
            drawn = np.concatenate([generator.choice(np.flatnonzero(levels == p), 10) for p in np.unique(levels)])
            exponents.append(module._Likelihood(levels[drawn], lower[drawn], upper[drawn]).maximise().exponent)
        low, high = np.quantile(exponents, [0.025, 0.975])
        widths.append((high - low) / (growth.upper - growth.lower))
        ends += [(low - growth.lower) / exponent, (high - growth.upper) / exponent]
    assert 0.7 < np.mean(widths) < 1.3
    assert np.max(np.abs(ends)) < 0.25


def test_the_exponent_from_a_tenth_on_leaves_out_the_step_from_clean_labels():
    """A step to 1,000 iterations at any corruption, linear from there: the step pulls the whole exponent down."""
    levels = np.repeat(np.arange(0, 1.01, 0.1), 3)
    generator = np.random.default_rng(0)
    times = np.where(levels > 0, 1000 + 1000 * levels, 100) * np.exp(0.02 * generator.standard_normal(len(levels)))
    growth = fit_growth(levels, times - 5, times + 5)
    assert growth.upper < 0.6
    assert growth.from_tenth.lower < 1 < growth.from_tenth.upper
    few = levels < 0.3
    assert fit_growth(levels[few], times[few] - 5, times[few] + 5).from_tenth is None
    above = levels > 0.05
    alone = fit_growth(levels[above], times[above] - 5, times[above] + 5)
    assert alone.from_tenth.exponent == alone.exponent == growth.from_tenth.exponent


def test_shares_have_exact_intervals():
    """The ends are where the binomial tails weigh 2.5 %."""
    for successes, trials in ((1, 3), (2, 3), (7, 10), (0, 3), (3, 3)):
        low, high = share_interval(successes, trials)
        assert low <= successes / trials <= high
        if successes:
            assert 1 - bdtr(successes - 1, trials, low) == pytest.approx(0.025)
        if successes < trials:
            assert bdtr(successes, trials, high) == pytest.approx(0.025)
    assert share_interval(0, 3)[0] == 0
    assert share_interval(3, 3) == (pytest.approx(0.025 ** (1 / 3)), 1)
    for successes, trials in ((4, 3), (-1, 3), (0, 0)):
        with pytest.raises(ValueError, match="no share"):
            share_interval(successes, trials)


def test_constant_times_leave_the_exponent_open():
    levels, _, _ = simulated(1.0)
    growth = fit_growth(levels, np.full(len(levels), 490.0), np.full(len(levels), 500.0))
    assert growth.lower == 0
    assert growth.upper == math.inf


def test_does_not_depend_on_the_unit_of_time():
    levels, lower, upper = simulated(2.0)
    small, large = fit_growth(levels, lower, upper), fit_growth(levels, lower * 1000, upper * 1000)
    assert large.exponent == pytest.approx(small.exponent, rel=1e-3)
    assert large.start == pytest.approx(1000 * small.start, rel=1e-3)


def test_fits_a_line():
    levels, lower, upper = simulated(1.0, budget=700)
    start, rise = fit_line(levels, lower, upper)
    assert start == pytest.approx(200, rel=0.05)
    assert rise == pytest.approx(800, rel=0.1)
    with pytest.raises(ValueError, match="two corruptions"):
        fit_line([0.2, 0.2], [10, 20], [20, 30])


def test_refuses_what_has_no_curvature():
    levels, lower, upper = simulated(1.0, step=1.0)
    with pytest.raises(ValueError, match="fitted at 2"):
        fit_growth(levels, lower, upper)
    with pytest.raises(ValueError, match="lower < upper"):
        fit_growth(np.linspace(0, 1, 33), np.full(33, 10.0), np.full(33, 10.0))


def _by_scipy(likelihood, start, exponent=None):
    """The largest log-likelihood that scipy finds from there, over all four or with the exponent held."""
    held = 0 if exponent is None else 1

    def negative(free):
        value, gradient, _ = likelihood.terms(np.array([[*np.log([exponent] * held), *free]]))
        return -value[0], -gradient[0, held:]

    limits = module.LIMITS if held else module.LIMITS_WITH_EXPONENT
    return -minimize(negative, start[held:], jac=True, bounds=limits, method="L-BFGS-B", options={"ftol": 1e-14}).fun


@pytest.mark.parametrize(("exponent", "noise", "censored"), [(0.3, 0.1, 1 / 3), (0.5, 0.02, 0.0), (2.0, 0.4, 0.5)])
def test_no_search_of_scipy_finds_more(exponent, noise, censored):
    """Also from a tenth on with small exponents, where the start is hardly known and the likelihood nearly flat."""
    levels, lower, upper = simulated(exponent, 1, noise=noise, censored=censored)
    kept = levels > 0.05
    for runs in ((levels, lower, upper), (levels[kept], lower[kept], upper[kept])):
        likelihood = module._Likelihood(*runs)
        best = likelihood.maximise()
        for start in (0.2, 0.5, 1.0, 3.0):
            assert _by_scipy(likelihood, [math.log(start), *likelihood.guess]) <= best.value + 1e-6
        drop = len(runs[0]) * math.log1p(stdtrit(len(runs[0]) - 3, 0.975) ** 2 / (len(runs[0]) - 3)) / 2
        found = module._interval(likelihood, best)
        for end in (found.lower, found.upper):
            if 0 < end < math.inf:
                profile = _by_scipy(likelihood, [0, *likelihood.profile(end, best.parameters).parameters], end)
                assert best.value - profile == pytest.approx(drop, rel=1e-5)


def test_derivatives_of_the_likelihood():
    levels, lower, upper = simulated(1.5, 1, noise=0.1, censored=0.3)
    lower[3] = 0  # fitted at its first evaluation
    likelihood = module._Likelihood(levels, lower, upper)
    points = np.array([[0.2, *likelihood.guess], [-1.0, -3.0, 0.2, -1.5]])
    _, gradient, second = likelihood.terms(points)
    for axis, step in enumerate(1e-5 * np.eye(4)):
        above, below = likelihood.terms(points + step), likelihood.terms(points - step)
        assert gradient[:, axis] == pytest.approx((above[0] - below[0]) / 2e-5, rel=1e-6)
        np.testing.assert_allclose(second[:, axis], (above[1] - below[1]) / 2e-5, rtol=1e-6, atol=1e-5)


def test_the_likelihood_is_that_of_the_intervals():
    """Against the distribution function of the normal distribution, run by run."""
    levels, lower, upper = simulated(1.5, 1, noise=0.1, censored=0.3)
    likelihood = module._Likelihood(levels, lower, upper)
    start, rise, noise = np.exp(likelihood.guess)
    mean = np.log((start + rise * levels**1.5) * likelihood.scale)
    found = sum(
        math.log(norm.cdf((math.log(high) - at) / noise) - norm.cdf((math.log(low) - at) / noise))
        for low, high, at in zip(lower, np.minimum(upper, 1e300), mean, strict=True)
    )
    assert likelihood.terms(np.array([[math.log(1.5), *likelihood.guess]]))[0][0] == pytest.approx(found, rel=1e-9)
