"""The learning-rate schedules as numbers, how much learning has been done by an iteration; and when to evaluate."""

import math

EARLY = (1, 2, 5, 10, 20, 50, 100)  # where most of the simplex forms


def learning_rate_time(schedule: str, total: int, iteration: int) -> float:
    """Learning-rate time: the steps before `iteration`, each counted by its rate in units of the first one's.

    Σ_{t<n} lr(t)/lr(0): n at a constant rate; for the paper's annealing (1 − t/T)⁵ at most about T/6, of which half of
    the T iterations spend 98.4 %. Computed in closed form, so that its cost does not grow with n.

    Args:
        schedule: `polynomial`, `cosine` or `constant`.
        total: T, the iterations of the whole run, at least 1.
        iteration: n, 0 to T.

    Returns:
        The sum, in steps at the full rate.

    Raises:
        ValueError: the iteration is not within the run, or the schedule unknown.
    """
    if not 0 <= iteration <= total or total < 1:
        raise ValueError(f"iteration {iteration} is not one of a run of {total}")
    if schedule == "constant":
        return float(iteration)
    if schedule == "polynomial":
        return (_fifth_powers(total) - _fifth_powers(total - iteration)) / total**5
    if schedule == "cosine":  # ½·Σ (1 + cos(πt/T)), by the sum of a geometric series
        step = math.pi / (2 * total)
        return (iteration + math.sin(iteration * step) * math.cos((iteration - 1) * step) / math.sin(step)) / 2
    raise ValueError(f"unknown schedule {schedule}")


def _fifth_powers(number: int) -> int:
    """1⁵ + 2⁵ + … + number⁵."""
    return number**2 * (number + 1) ** 2 * (2 * number**2 + 2 * number - 1) // 12


def next_evaluation(iteration: int, every: int, dense: bool) -> int:
    """The first iteration after `iteration` at which a run is evaluated, its last one aside."""
    following = iteration - iteration % every + every
    return min([following, *(early for early in EARLY if early > iteration)]) if dense else following


def is_evaluation(iteration: int, every: int, dense: bool) -> bool:
    """Whether a run is evaluated at `iteration`: at 0, at every interval and, if dense, at each of `EARLY`."""
    return iteration % every == 0 or (dense and iteration in EARLY)


def evaluations_before(iteration: int, every: int, dense: bool) -> int:
    """How many evaluations lie before `iteration`, that at 0 aside."""
    early = sum(point < iteration and point % every > 0 for point in EARLY) if dense else 0
    return max(iteration - 1, 0) // every + early
