"""Solving the programs behind the floors: with a certificate where the dimension allows it, by a search where not."""

from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np

from simplexlab.geometry import regular_simplex
from simplexlab.theory.floor import AIM, Floor, is_certified
from simplexlab.theory.minimiser import minimise

CONTENT = AIM / 10  # the same at which a minimiser stops: the last digits cost it few steps
RANDOM_STARTS = 8  # at most; fewer where each takes long
SEARCHED = 20_000  # entries of the K×K matrices of all random starts together
SEARCH_STEPS = 4 * 10**6  # entries of the K×K matrices of all iterations from one start
SAME_VALUE = 1e-9  # relative difference up to which two ends of a search count as equal
SAME_SHAPE = 1e-3  # the same for the inner products of their unit vectors


class Certified(Protocol):
    """A smooth objective of free numbers that stand for a configuration of K classes in h dimensions."""

    def value_and_gradient(self, free: np.ndarray) -> tuple[float, np.ndarray]:
        """The objective and its gradient in the free numbers."""

    def value_and_certificate(self, free: np.ndarray) -> tuple[float, float]:
        """The objective, and a lower bound for all configurations in any dimension, best near the optimum."""

    def configuration(self, free: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Class means (K, h) and classifier rows (K, h) or None."""


class Program(Certified, Protocol):
    """One that can start anywhere."""

    def start(self, units: np.ndarray) -> np.ndarray:
        """The free numbers that stand for class means in the directions of `units`, shape (K, h)."""


class Solution(NamedTuple):
    """Where a minimiser ended, and a lower bound for all configurations where one was asked for."""

    free: np.ndarray
    value: float
    converged: bool
    certificate: float = -np.inf


def solve(program: Certified, free: np.ndarray, collapsed: float, *, may_vanish: bool = False) -> Solution:
    """Minimise until the certificate meets the value.

    Args:
        program: the program.
        free: where to start.
        collapsed: the scale of the objective's rounding.
        may_vanish: whether the least value may be 0, which no relative distance ever reaches.
    """
    value, certificate = np.inf, -np.inf

    def finished(free: np.ndarray) -> bool:  # the last point that it is asked of is where the minimiser ends
        nonlocal value, certificate
        value, certificate = program.value_and_certificate(free)
        return is_certified(value, certificate, collapsed if may_vanish else 0.0, CONTENT)

    end = _minimise(program, free, finished)
    converged = end.converged or is_certified(value, certificate, collapsed, AIM)
    return Solution(end.free, value, converged, min(certificate, value))


def search(program: Program, num_classes: int, dimension: int, nonnegative: bool) -> tuple[Solution, str]:
    """The best end of several starts: named configurations, and random ones from a fixed seed.

    Returns:
        The best solution, and its name or how many starts it is the best of.
    """
    generator = np.random.default_rng(0)
    named = {} if nonnegative else named_configurations(num_classes, dimension)
    number = max(1, min(RANDOM_STARTS, SEARCHED // num_classes**2))
    starts = [*named.values(), *generator.standard_normal((number, num_classes, dimension))]
    ends = [improve(program, program.start(units), steps_of(num_classes)) for units in starts]
    least = min(end.value for end in ends)
    index = next(i for i, end in enumerate(ends) if end.value <= least + SAME_VALUE * abs(least))
    if index < len(named):
        units = list(named.values())[index]
        points = program.configuration(ends[index].free)[0]
        points = points / np.maximum(np.linalg.norm(points, axis=1, keepdims=True), 1e-300)
        if np.abs(points @ points.T - units @ units.T).max() < SAME_SHAPE:
            return ends[index], list(named)[index]
    return ends[index], f"best of {len(starts)} starts" if len(starts) > 1 else "one start"


def steps_of(num_classes: int) -> int:
    """The most steps from one start, fewer for many classes."""
    return max(50, SEARCH_STEPS // num_classes**2)


def improve(program: Certified, free: np.ndarray, steps: int) -> Solution:
    """Minimise until the value no longer falls, or for so many steps."""
    last = np.inf

    def stalled(free: np.ndarray) -> bool:
        nonlocal last
        now = program.value_and_gradient(free)[0]
        fell, last = last - now, now
        return fell <= 1e-13 * abs(now)

    return _minimise(program, free, stalled, steps)


def in_few_dimensions(
    program: Program, floor: Floor, num_classes: int, dimension: int, nonnegative: bool, start: Floor | None
) -> Floor:
    """The floor, which no configuration in h dimensions attains, with the best one known there.

    Args:
        program: of h dimensions.
        floor: value and certificate in enough dimensions.
        num_classes: K.
        dimension: h.
        nonnegative: whether the points are non-negative.
        start: an earlier floor, from whose configuration alone the search then starts.
    """
    before = state_of(start, num_classes, dimension)
    if before is not None:
        end, origin = improve(program, before, steps_of(num_classes)), "the best known before, improved"
    else:
        end, origin = search(program, num_classes, dimension, nonnegative)
    points, weights = program.configuration(end.free)
    state = floor.state | {(num_classes, dimension): end.free}
    return Floor(
        floor.value,
        floor.certificate,
        floor.collapsed,
        points,
        weights,
        end.value,
        origin,
        floor.converged,
        state,
    )


def state_of(start: Floor | None, num_classes: int, dimension: int) -> np.ndarray | None:
    """Free numbers that an earlier floor of the same size ended with."""
    return None if start is None else start.state.get((num_classes, dimension))


def named_configurations(num_classes: int, dimension: int) -> dict[str, np.ndarray]:
    """Unit vectors known as best for K > h + 1 classes of one size, by their names.

    The regular polygon for h = 2; for h + 2 ≤ K ≤ 2h regular simplices in orthogonal spaces, the cross-polytope for
    K = 2h.

    Args:
        num_classes: K.
        dimension: h.
    """
    found = {}
    if num_classes <= dimension + 1:
        found["regular simplex"] = regular_simplex(num_classes, dimension)
    elif dimension == 2:
        angles = 2 * np.pi * np.arange(num_classes) / num_classes
        found["regular polygon"] = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    elif num_classes <= 2 * dimension:
        number = num_classes - dimension
        units = np.zeros((num_classes, dimension))
        row = column = 0
        for size in np.full(number, num_classes // number) + (np.arange(number) < num_classes % number):
            units[row : row + size, column : column + size - 1] = regular_simplex(int(size), int(size) - 1)
            row, column = row + size, column + size - 1
        name = "cross-polytope" if num_classes == 2 * dimension else f"{number} simplices in orthogonal spaces"
        found[name] = units
    return found


def _minimise(
    program: Certified, free: np.ndarray, finished: Callable[[np.ndarray], bool], steps: int | None = None
) -> Solution:
    scale = abs(program.value_and_gradient(free)[0]) or 1.0

    def scaled(free: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = program.value_and_gradient(free)
        return value / scale, gradient / scale

    free, converged = minimise(scaled, free, finished, steps=steps)
    return Solution(free, program.value_and_gradient(free)[0], converged)
