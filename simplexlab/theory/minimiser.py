"""A minimiser of smooth functions of many numbers in numpy alone.

`scipy.optimize` would do as well, but its import takes longer than a whole answer of `simplexlab bound` may.
"""

from collections.abc import Callable

import numpy as np

STEPS = 5000
MEMORY = 24  # pairs of steps and changes of the gradient that stand for the curvature
CHECK_EVERY = 15  # iterations between two looks at whether the answer is good enough
SMALL = 10**4  # numbers up to which a look costs little more than an iteration,
CHECK_SMALL_EVERY = 4  # so that it is taken more often
SUFFICIENT, CURVATURE = 1e-4, 0.9  # constants of the Wolfe conditions
ROUNDING = 1e-13  # relative rise of the function that rounding alone explains

Function = Callable[[np.ndarray], tuple[float, np.ndarray]]


def minimise(
    function: Function, start: np.ndarray, finished: Callable[[np.ndarray], bool], *, steps: int | None = None
) -> tuple[np.ndarray, bool]:
    """Minimise a smooth function by L-BFGS with a line search for the Wolfe conditions.

    Args:
        function: gives value and gradient at a point of the shape of `start`.
        start: the first point.
        finished: says whether a point is good enough; asked now and then, where no step leads further down, and last of
            all of the point that is returned.
        steps: the most iterations, by default 5,000.

    Returns:
        The last point, and whether it is finished.

    Reference: Nocedal and Wright, Numerical Optimization, algorithms 7.4 and 3.5; where values differ by rounding alone
    the slopes decide (Hager and Zhang 2005).
    """
    point = np.asarray(start, dtype=np.float64)
    check_every = CHECK_SMALL_EVERY if point.size <= SMALL else CHECK_EVERY
    value, gradient = function(point)
    moves: list[tuple[np.ndarray, np.ndarray, float]] = []
    for step in range(1, (steps or STEPS) + 1):
        direction = _direction(gradient, moves)
        found = _line_search(function, point, value, gradient, direction, first=not moves)
        if found is None:
            good = finished(point)
            if good or not moves:
                return point, good
            moves.clear()  # once more along the gradient itself
            continue
        new_point, value, new_gradient = found
        move, change = new_point - point, new_gradient - gradient
        product = np.vdot(move, change)
        if product > 0:
            moves.append((move, change, float(product)))
            del moves[:-MEMORY]
        point, gradient = new_point, new_gradient
        if step % check_every == 0 and finished(point):
            return point, True
    return point, finished(point)


def _direction(gradient: np.ndarray, moves: list[tuple[np.ndarray, np.ndarray, float]]) -> np.ndarray:
    """−B·gradient, with the inverse curvature B that the last moves tell."""
    direction = -gradient
    shares = []
    for move, change, product in reversed(moves):
        share = np.vdot(move, direction) / product
        direction -= share * change
        shares.append(share)
    if moves:
        _, change, product = moves[-1]
        direction *= product / np.vdot(change, change)
    for (move, change, product), share in zip(moves, reversed(shares), strict=True):
        direction += (share - np.vdot(change, direction) / product) * move
    return direction


def _line_search(
    function: Function, point: np.ndarray, value: float, gradient: np.ndarray, direction: np.ndarray, first: bool
) -> tuple[np.ndarray, float, np.ndarray] | None:
    """A point along the direction within the weak Wolfe conditions, its value and gradient; None if there is none."""
    slope = np.vdot(gradient, direction)
    if not slope < 0:
        return None
    shortest, longest = 0.0, np.inf
    length = min(1.0, 1 / np.sqrt(-slope)) if first else 1.0
    for _ in range(40):
        candidate = point + length * direction
        new_value, new_gradient = function(candidate)
        new_slope = np.vdot(new_gradient, direction)
        descends = new_value <= value + SUFFICIENT * length * slope
        level = new_value <= value + ROUNDING * abs(value) and new_slope <= (2 * SUFFICIENT - 1) * slope
        if not (descends or level):
            longest = length
        elif new_slope < CURVATURE * slope:
            shortest = length
        else:
            return candidate, new_value, new_gradient
        length = 2 * shortest if longest == np.inf else (shortest + longest) / 2
    return None
