"""How the time to fit grows with the label corruption: the growth exponent, tests and intervals."""

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import betaincinv, log_ndtr, stdtr, stdtrit

CONFIDENCE = 0.95
LOW_CORRUPTION = 0.1  # below it the exponent is that of the step from clean labels to a few wrong ones
EXPONENTS = (0.01, 20.0)  # the range that is searched
PARAMETERS = 3  # of the curve: start, rise, exponent
# of log start, log rise and log noise, times in units of their median
LIMITS = np.log([(1e-4, 1e4), (1e-4, 1e4), (1e-3, 10.0)])
LIMITS_WITH_EXPONENT = np.vstack([np.log(EXPONENTS), LIMITS])
FIRST_EXPONENTS = (0.3, 1.0, 2.0, 5.0)
STEP = math.log(1.25)  # of the log exponent on the way to an end of the interval
SMALLEST_GAIN = 1e-10  # of the log-likelihood: what climbs by less has arrived
FAR = 1e90  # in place of infinity, of which no product is unknown
LONGEST_STEP = 1.0  # of any of the four logarithms
MOST_ROUNDS = 200


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
    low, high = (likelihood.crossing(best, end, drop) for end in EXPONENTS)
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
    slope: float  # of the maximum over the parameters, in the log exponent
    drift: np.ndarray  # of the parameters, in the log exponent

    def parameters_at(self, exponent: float) -> np.ndarray:
        """Where the maximum at another exponent lies, to first order."""
        return self.parameters + self.drift * math.log(exponent / self.exponent)


class _Likelihood:
    def __init__(self, corruption: np.ndarray, lower: np.ndarray, upper: np.ndarray):
        middle = np.where(np.isfinite(upper), (lower + upper) / 2, lower)
        self.scale = float(np.median(middle)) or 1.0
        self.corruption = corruption
        with np.errstate(divide="ignore"):
            self.ends = np.clip(np.log(np.stack([lower, upper]) / self.scale), -FAR, FAR)  # (2, N)
        self.log_corruption = np.log(np.where(corruption > 0, corruption, 1))
        self.is_corrupted = corruption > 0
        times = middle / self.scale
        first = times[corruption == corruption.min()].mean()
        last = times[corruption == corruption.max()].mean()
        self.guess = np.log([max(first, 1e-3), max(last - first, 0.1), 0.1])

    def terms(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """ℓ with its gradient and its second derivatives in log exponent, log start, log rise and log noise.

        Args:
            points: these four, shape (E, 4).

        Returns:
            Shapes (E,), (E, 4) and (E, 4, 4).
        """
        exponent, start, rise, noise = np.exp(points.T)[:, :, None]
        grown = exponent * self.log_corruption
        risen = rise * self.is_corrupted * np.exp(grown)
        time = start + risen
        low, high = ends = (self.ends[:, None] - np.log(time)) / noise
        value = _log_probability(low, high)
        below, above = np.exp(np.minimum(-(ends**2 + math.log(2 * math.pi)) / 2 - value, 700))  # of ends at ±FAR: 0
        # Derivatives of ℓ in the mean m of log T, in units of the noise, and in the log noise.
        low_once, high_once = low * below, high * above
        by_mean, by_noise = below - above, low_once - high_once
        mean_mean = by_noise - by_mean**2
        mean_noise = low * low_once - high * high_once - by_mean * (by_noise + 1)
        noise_noise = low**2 * low_once - high**2 * high_once - by_noise * (by_noise + 1)
        # Those of m in the log exponent, log start and log rise.
        share = risen / time
        slopes = np.stack([share * grown, 1 - share, share])
        by_mean /= noise
        gradient = np.empty((len(points), 4))
        gradient[:, :3] = np.einsum("ien,en->ei", slopes, by_mean)
        gradient[:, 3] = by_noise.sum(axis=1)
        second = np.empty((len(points), 4, 4))
        second[:, :3, :3] = np.einsum("ien,jen->eij", (mean_mean / noise**2 - by_mean) * slopes, slopes)
        second[:, 0, 0] += np.einsum("en,en->e", by_mean * slopes[0], grown)
        for row, column, of in ((0, 0, 0), (0, 2, 0), (2, 0, 0), (1, 1, 1), (2, 2, 2)):
            second[:, row, column] += gradient[:, of]
        second[:, 3, :3] = second[:, :3, 3] = np.einsum("ien,en->ei", slopes, mean_noise / noise)
        second[:, 3, 3] = noise_noise.sum(axis=1)
        return value.sum(axis=1), gradient, second

    def climb(self, points: np.ndarray, first: int, limits: np.ndarray) -> tuple[np.ndarray, ...]:
        """Newton's method within limits, from several points at once, in their coordinates from `first` on.

        A step goes along the eigenvectors of the second derivatives, as far as its curvature tells, uphill also where
        that has the wrong sign; it is shortened until it climbs.

        Args:
            points: where to begin, shape (E, 4).
            first: 0, or 1 to leave the exponent as it is.
            limits: of the coordinates from `first` on, shape (4 − first, 2).

        Returns:
            The points, with the log-likelihood and its derivatives there as of `terms`.
        """
        least, most = limits.T
        points = points.copy()
        points[:, first:] = np.clip(points[:, first:], least, most)
        value, gradient, second = self.terms(points)
        longest = np.full(len(points), LONGEST_STEP)
        for _ in range(MOST_ROUNDS):
            uphill, curvature = gradient[:, first:].copy(), second[:, first:, first:].copy()
            at = points[:, first:]
            fixed = ((at <= least) & (uphill <= 0)) | ((at >= most) & (uphill >= 0))
            uphill[fixed] = 0
            curvature[fixed[:, :, None] | fixed[:, None, :]] = 0
            curvature[np.broadcast_to(np.eye(len(least), dtype=bool), curvature.shape) & fixed[:, :, None]] = -1
            bends, axes = np.linalg.eigh(curvature)
            bends = np.maximum(np.abs(bends), 1e-9)
            along = np.einsum("eij,ei->ej", axes, uphill)
            step = np.einsum("eij,ej->ei", axes, along / bends)
            going = (longest > 1e-9) & (np.sum(along**2 / bends, axis=1) > SMALLEST_GAIN)
            if not going.any():
                break
            size = np.abs(step).max(axis=1)
            step *= np.minimum(longest / np.maximum(size, 1e-300), 1)[:, None]
            size = np.minimum(size, longest)
            tried = points[going]
            tried[:, first:] = np.clip(at[going] + step[going], least, most)
            found = self.terms(tried)
            better = found[0] > value[going]
            chosen = np.flatnonzero(going)[better]
            points[chosen] = tried[better]
            for kept, new in zip((value, gradient, second), found, strict=True):
                kept[chosen] = new[better]
            longest[going] = np.where(better, np.minimum(4 * longest[going], LONGEST_STEP), size[going] / 4)
        return points, value, gradient, second

    def maximise(self) -> _Maximum:
        starts = np.array([[math.log(exponent), *self.guess] for exponent in FIRST_EXPONENTS])
        points, values, *_ = self.climb(starts, 1, LIMITS)
        return _maximum(*self.climb(points[[np.argmax(values)]], 0, LIMITS_WITH_EXPONENT))

    def profile(self, exponent: float, guess: np.ndarray) -> _Maximum:
        """The maximum over the other parameters."""
        return _maximum(*self.climb(np.array([[math.log(exponent), *guess]]), 1, LIMITS))

    def crossing(self, best: _Maximum, end: float, drop: float) -> float | None:
        """The exponent between the best and `end` at which the profile has fallen by `drop`; None if it never does."""
        inside = best
        while abs(math.log(end / inside.exponent)) > 1e-9:
            step = min(max(math.log(end / inside.exponent), -STEP), STEP)
            exponent = inside.exponent * math.exp(step)
            outside = self.profile(exponent, inside.parameters_at(exponent))
            if best.value - outside.value > drop:
                return self._between(best, inside, outside, drop)
            inside = outside
        return None

    def _between(self, best: _Maximum, inside: _Maximum, outside: _Maximum, drop: float) -> float:
        """Where the profile has fallen by `drop`: Newton's method for the root of the fall, which is nearly a line."""
        at = outside
        for _ in range(MOST_ROUNDS):
            fall = max(best.value - at.value, 0.0)
            if abs(fall - drop) < 1e-7 * drop:
                break
            change = 2 * math.sqrt(fall) * (math.sqrt(fall) - math.sqrt(drop)) / (at.slope or math.inf)
            exponent = at.exponent * math.exp(min(max(change, -1.0), 1.0))
            low, high = sorted((inside.exponent, outside.exponent))
            if high - low < 1e-9 * high:
                break
            if not low < exponent < high:
                exponent = math.sqrt(low * high)
            at = self.profile(exponent, at.parameters_at(exponent))
            inside, outside = (inside, at) if best.value - at.value > drop else (at, outside)
        return at.exponent


def _maximum(points: np.ndarray, values: np.ndarray, gradients: np.ndarray, seconds: np.ndarray) -> _Maximum:
    """The first of the points to which `_Likelihood.climb` has climbed."""
    second = seconds[0]
    least, most = LIMITS.T
    free = 1 + np.flatnonzero((points[0, 1:] > least) & (points[0, 1:] < most))
    drift = np.zeros(3)
    drift[free - 1] = -np.linalg.pinv(second[np.ix_(free, free)], hermitian=True) @ second[free, 0]
    return _Maximum(math.exp(points[0, 0]), points[0, 1:], float(values[0]), float(gradients[0, 0]), drift)


def _log_probability(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """log(Φ(high) − Φ(low)) without cancellation, also far out in either tail."""
    flipped = low > 0
    below, above = log_ndtr(np.stack([np.where(flipped, -high, low), np.where(flipped, -low, high)]))
    return above + np.log1p(-np.minimum(np.exp(below - above), 1 - 1e-15))
