"""How the time to fit grows with the label corruption: the growth exponent, tests and intervals."""

import math
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq, minimize
from scipy.special import betaincinv, log_ndtr, stdtr, stdtrit

CONFIDENCE = 0.95
LOW_CORRUPTION = 0.1  # below it the exponent is that of the step from clean labels to a few wrong ones
EXPONENTS = (0.01, 20.0)  # the range that is searched
METHOD = "TNC"  # ten times as fast as L-BFGS-B, which hands four numbers to a BLAS with many threads
PARAMETERS = 3  # of the curve: start, rise, exponent
# of log start, log rise and log noise, times in units of their median
LIMITS = [(math.log(1e-4), math.log(1e4))] * 2 + [(math.log(1e-3), math.log(10))]


@dataclass(frozen=True)
class Exponent:
    """A growth exponent with its 95 % confidence interval, 0 or infinity where the runs set no end."""

    exponent: float
    lower: float
    upper: float


@dataclass(frozen=True)
class Growth:
    """The curve T(p) = start + rise·pᵏ of time to fit against corruption, fitted to the runs of one loss.

    Attributes:
        exponent: k. 1 is linear growth, more is superlinear, less is sublinear.
        lower: lower end of its 95 % confidence interval; 0 where the runs set none.
        upper: upper end; infinity where the runs set none.
        start: T(0), iterations.
        rise: T(1) − T(0), iterations.
        noise: standard deviation of log T between runs.
        runs: number of runs.
        censored: how many of them never fitted.
        linear_p_value: p-value of the likelihood-ratio test of k = 1, below 0.05 just where the interval is without 1.
        from_tenth: the exponent of the runs at p ≥ 0.1 alone, so without the step from clean labels to the first
            corrupted ones; None where these runs do not tell one.
    """

    exponent: float
    lower: float
    upper: float
    start: float
    rise: float
    noise: float
    runs: int
    censored: int
    linear_p_value: float
    from_tenth: Exponent | None

    def at(self, corruption: np.ndarray) -> np.ndarray:
        """T(p) in iterations."""
        return self.start + self.rise * np.asarray(corruption, float) ** self.exponent


def fit_growth(corruption: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> Growth:
    """Fit the growth exponent of the time to fit by maximum likelihood.

    The time to fit of a run at corruption p is T(p) = T₀ + a·pᵏ with T₀, a ≥ 0, times log-normal noise of one standard
    deviation. A run is known by its evaluations only: its time lies in (lower, upper], and of a run that never fitted
    above its last evaluation. So with m(p) = log T(p) the log-likelihood is

        Σ log[Φ((log upper − m)/σ) − Φ((log lower − m)/σ)],

    with upper = ∞ for a run that never fitted (it counts in full; to leave it out would hide the growth). The interval
    is that of the profile likelihood at 95 %, 2(ℓ(k̂) − ℓ(k)) ≤ N·log(1 + t²/(N − 3)) with t the 0.975 quantile of
    Student's distribution at N − 3 degrees of freedom: exact for a linear model, and wider than χ² for few runs. The
    test of k = 1 is the same at k = 1: p = P(|t| > √((N − 3)·(exp(2(ℓ(k̂) − ℓ(1))/N) − 1))).

    Args:
        corruption: fraction of corrupted labels of each run, shape (N,).
        lower: last evaluation before each run was fitted, shape (N,), 0 where there was none.
        upper: evaluation at which it was fitted, shape (N,), infinity where it never was.

    Returns:
        The fitted curve.

    Raises:
        ValueError: fewer than four runs, or fitted runs at fewer than three corruptions, so that no curvature is known.
    """
    corruption, lower, upper = _checked(corruption, lower, upper)
    fitted = np.isfinite(upper)
    if not _is_enough(corruption, upper):
        raise ValueError(
            f"a growth exponent takes at least four runs, fitted at three corruptions or more; here they are "
            f"{len(corruption)}, fitted at {len(np.unique(corruption[fitted]))}"
        )
    likelihood = _Likelihood(corruption, lower, upper)
    best = likelihood.maximise()
    start, rise, noise = np.exp(best.parameters).tolist()
    return Growth(
        **vars(_interval(likelihood, best)),
        start=start * likelihood.scale,
        rise=rise * likelihood.scale,
        noise=noise,
        runs=len(corruption),
        censored=int(np.count_nonzero(~fitted)),
        linear_p_value=_p_value(likelihood, best, 1.0),
        from_tenth=_from_tenth(corruption, lower, upper),
    )


def _interval(likelihood: "_Likelihood", best: "_Maximum") -> Exponent:
    runs = len(likelihood.corruption)
    freedom = runs - PARAMETERS
    drop = runs * math.log1p(stdtrit(freedom, (1 + CONFIDENCE) / 2) ** 2 / freedom) / 2
    low = likelihood.crossing(best, EXPONENTS[0], drop)
    high = likelihood.crossing(best, EXPONENTS[1], drop)
    return Exponent(best.exponent, 0.0 if low is None else low, math.inf if high is None else high)


def _p_value(likelihood: "_Likelihood", best: "_Maximum", exponent: float) -> float:
    """p-value of the likelihood-ratio test of this exponent."""
    runs = len(likelihood.corruption)
    freedom = runs - PARAMETERS
    fall = max(best.value - likelihood.profile(exponent, best.parameters).value, 0.0)
    return float(2 * stdtr(freedom, -math.sqrt(freedom * math.expm1(min(2 * fall / runs, 700.0)))))


def _from_tenth(corruption: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> Exponent | None:
    kept = corruption > LOW_CORRUPTION - 1e-9
    if not _is_enough(corruption[kept], upper[kept]):
        return None
    likelihood = _Likelihood(corruption[kept], lower[kept], upper[kept])
    return _interval(likelihood, likelihood.maximise())


def _is_enough(corruption: np.ndarray, upper: np.ndarray) -> bool:
    return len(corruption) > PARAMETERS and len(np.unique(corruption[np.isfinite(upper)])) >= PARAMETERS


def share_interval(successes: int, trials: int) -> tuple[float, float]:
    """The 95 % confidence interval of a share, `successes` of `trials`: exact (Clopper and Pearson).

    Reference: Clopper and Pearson, "The use of confidence or fiducial limits", Biometrika 1934.

    Raises:
        ValueError: there are no trials, or more successes than trials.
    """
    if not 0 <= successes <= trials or trials < 1:
        raise ValueError(f"{successes} of {trials} is no share")
    tail = (1 - CONFIDENCE) / 2
    low = betaincinv(successes, trials - successes + 1, tail) if successes else 0.0
    high = betaincinv(successes + 1, trials - successes, 1 - tail) if successes < trials else 1.0
    return float(low), float(high)


def fit_line(corruption: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> tuple[float, float]:
    """The straight line T(p) = start + rise·p of largest likelihood, see `fit_growth` for the arguments.

    Returns:
        start and rise, in iterations.

    Raises:
        ValueError: runs at fewer than two corruptions.
    """
    corruption, lower, upper = _checked(corruption, lower, upper)
    if len(np.unique(corruption)) < 2:
        raise ValueError("a line takes runs at two corruptions")
    likelihood = _Likelihood(corruption, lower, upper)
    start, rise, _ = np.exp(likelihood.profile(1.0, likelihood.guess).parameters).tolist()
    return start * likelihood.scale, rise * likelihood.scale


def _checked(*arrays: np.ndarray) -> tuple[np.ndarray, ...]:
    corruption, lower, upper = (np.asarray(values, float) for values in arrays)
    if not (corruption.shape == lower.shape == upper.shape and corruption.ndim == 1):
        raise ValueError("corruption, lower and upper must be one-dimensional and of one length")
    if np.any(lower < 0) or np.any(upper <= lower):
        raise ValueError("each interval must have 0 ≤ lower < upper")
    return corruption, lower, upper


@dataclass(frozen=True)
class _Maximum:
    exponent: float
    parameters: np.ndarray  # log start, log rise, log noise, in units of the scale
    value: float


class _Likelihood:
    def __init__(self, corruption: np.ndarray, lower: np.ndarray, upper: np.ndarray):
        middle = np.where(np.isfinite(upper), (lower + upper) / 2, lower)
        self.scale = float(np.median(middle)) or 1.0
        self.corruption = corruption
        with np.errstate(divide="ignore"):
            self.low = np.log(lower / self.scale)
            self.high = np.log(upper / self.scale)
        times = middle / self.scale
        first = times[corruption == corruption.min()].mean()
        last = times[corruption == corruption.max()].mean()
        self.guess = np.log([max(first, 1e-3), max(last - first, 0.1), 0.1])

    def negative(self, exponent: float, parameters: np.ndarray) -> tuple[float, np.ndarray]:
        """−ℓ, and its gradient in log exponent, log start, log rise and log noise."""
        start, rise, noise = np.exp(parameters)
        risen = rise * self.corruption**exponent
        time = start + risen
        low, high = ((ends - np.log(time)) / noise for ends in (self.low, self.high))
        value = _log_probability(low, high)
        low_density, high_density = (_density(ends, value) for ends in (low, high))
        by_mean = (low_density - high_density) / noise
        by_noise = (
            np.where(np.isfinite(low), low, 0) * low_density - np.where(np.isfinite(high), high, 0) * high_density
        )
        log_corruption = np.log(np.where(self.corruption > 0, self.corruption, 1))
        by_rise = by_mean * risen / time
        gradient = [exponent * by_rise * log_corruption, by_mean * start / time, by_rise, by_noise]
        return -float(value.sum()), -np.sum(gradient, axis=1)

    def maximise(self) -> _Maximum:
        best = max((self.profile(exponent, self.guess) for exponent in (0.3, 1.0, 2.0, 5.0)), key=_value)
        found = minimize(
            lambda x: self.negative(math.exp(x[0]), x[1:]),
            [math.log(best.exponent), *best.parameters],
            jac=True,
            bounds=[tuple(np.log(EXPONENTS)), *LIMITS],
            method=METHOD,
        )
        return max(best, _Maximum(math.exp(found.x[0]), found.x[1:], -found.fun), key=_value)

    def profile(self, exponent: float, guess: np.ndarray) -> _Maximum:
        """The maximum over the other parameters."""

        def negative(parameters):
            value, gradient = self.negative(exponent, parameters)
            return value, gradient[1:]

        found = minimize(negative, guess, jac=True, bounds=LIMITS, method=METHOD)
        return _Maximum(exponent, found.x, -found.fun)

    def crossing(self, best: _Maximum, end: float, drop: float) -> float | None:
        """The exponent between the best and `end` at which the profile has fallen by `drop`; None if it never does."""
        step = 1.25 if end > best.exponent else 1 / 1.25
        inside, parameters = best.exponent, best.parameters
        while inside != end:
            outside = min(inside * step, end) if step > 1 else max(inside * step, end)
            point = self.profile(outside, parameters)
            if best.value - point.value > drop:

                def fallen(exponent, guess=parameters):
                    return best.value - self.profile(exponent, guess).value - drop

                return brentq(fallen, inside, outside, xtol=1e-3)
            inside, parameters = outside, point.parameters
        return None


def _value(maximum: _Maximum) -> float:
    return maximum.value


def _log_probability(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """log(Φ(high) − Φ(low)) without cancellation, also far out in either tail."""
    flipped = low > 0
    low, high = np.where(flipped, -high, low), np.where(flipped, -low, high)
    below = log_ndtr(low)
    above = log_ndtr(high)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(np.isneginf(low), 0.0, np.exp(below - above))
    return above + np.log1p(-np.minimum(share, 1 - 1e-15))


def _density(ends: np.ndarray, log_probability: np.ndarray) -> np.ndarray:
    """φ(ends) / probability; 0 at infinity."""
    finite = np.where(np.isfinite(ends), ends, 0)
    log_density = -(finite**2 + math.log(2 * math.pi)) / 2 - log_probability
    return np.where(np.isfinite(ends), np.exp(np.minimum(log_density, 700)), 0.0)
