"""Simulated runs whose growth exponent is known, for the tests and benchmarks of `simplexlab.sweep.growth`."""

import math

import numpy as np


def simulated(
    exponent: float,
    seed: int = 0,
    *,
    seeds: int = 3,
    step: float = 0.1,
    every: int = 10,
    noise: float = 0.05,
    budget: float = math.inf,
    censored: float | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Runs with T = 200 + 800·pᵏ times log-normal noise, seen through evaluations.

    Args:
        exponent: k.
        seed: of the noise.
        seeds: runs at each corruption.
        step: between the corruptions, 0 to 1.
        every: iterations between evaluations.
        noise: standard deviation of log T.
        budget: the last evaluation.
        censored: choose the budget so that about this share of the runs never fits.

    Returns:
        corruption, lower and upper, as `fit_growth` takes them.
    """
    generator = np.random.default_rng(seed)
    levels = np.repeat(np.arange(0, 1 + step / 2, step), seeds)
    if censored is not None:
        budget = 200 + 800 * (1 - censored) ** exponent
    times = (200 + 800 * levels**exponent) * np.exp(noise * generator.standard_normal(len(levels)))
    upper = np.ceil(times / every) * every
    lower = np.where(upper > budget, budget, upper - every)
    return levels, lower, np.where(upper > budget, np.inf, upper)
