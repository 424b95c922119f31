"""Least energies and largest cosines of K unit vectors in h dimensions: what spreads class directions apart at best."""

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import ArrayLike

from simplexlab.geometry.checks import finite, matrix, whole
from simplexlab.theory.program import named_configurations

POWERS = (0, 1, 2)
DEGREES = 20  # of the polynomials in the linear program
STARTS = 8  # descents of directions that no name is known for
GRID = 2001  # angles at which it is posed

# Cosines of the largest least angles of 7, 8, 9 and 12 points on the sphere.
TAMMES = {
    7: 1 / (math.tan(math.radians(40)) * math.tan(math.radians(80))),
    8: (2 * math.sqrt(2) - 1) / 7,
    9: 1 / 3,
    12: 1 / math.sqrt(5),
}


@dataclass(frozen=True)
class Extreme:
    """A proven bound of a quantity of K unit vectors in h dimensions.

    Attributes:
        bound: proven for every configuration.
        attained: the value of a known configuration that reaches it; None where none is known.
        origin: that configuration, or the argument behind the bound.
    """

    bound: float
    attained: float | None
    origin: str


def least_energy(num_classes: int, dimension: int, power: int = 2) -> Extreme:
    """The least mean over pairs of ‖x_i − x_j‖^(−s), for s = 0 of −log‖x_i − x_j‖, over K unit vectors.

    (2K/(K−1))^(−s/2) at the regular simplex, K ≤ h + 1; the regular polygon for h = 2; the cross-polytope for K = 2h;
    for other K and h the linear program of Delsarte and Yudin: for any polynomial f = Σ_k f_k·P_k in the Gegenbauer
    polynomials of dimension h, scaled to P_k(1) = 1, with f_k ≥ 0 for k ≥ 1 and f ≤ energy on [−1, 1), the mean over
    pairs is at least (K·f_0 − f(1))/(K−1).

    Args:
        num_classes: K ≥ 2.
        dimension: h ≥ 1, at least 2 for K > 2.
        power: s, 0, 1 or 2.

    Raises:
        ValueError: an argument out of range.

    Reference: Yudin 1992; Cohn and Kumar 2007 for the named configurations; Liu et al. 2018 for the use.
    """
    num_classes, dimension = whole("number of classes", num_classes, 2), whole("dimension", dimension, 1)
    if power not in POWERS:
        raise ValueError(f"the power must be 0, 1 or 2, got {power}")
    if dimension == 1 and num_classes > 2:
        raise ValueError(f"{num_classes} different unit vectors need a dimension of at least 2, got 1")
    named = named_configurations(num_classes, dimension)
    sharp = num_classes <= dimension + 1 or dimension == 2 or num_classes == 2 * dimension
    if sharp:
        ((origin, units),) = named.items()
        value = mean_energy(units, power)
        return Extreme(value, value, origin)
    value = _linear_program(num_classes, dimension, power)
    return Extreme(value, None, "linear program of Delsarte and Yudin")


def least_largest_cosine(num_classes: int, dimension: int) -> Extreme:
    """The least value that the largest cosine between K unit vectors can have.

    −1/(K−1) for K ≤ h + 1 and 0 for h + 2 ≤ K ≤ 2h (Rankin); cos(2π/K) for h = 2. Beyond, 0 is a bound that no
    configuration reaches, except where Tammes' problem is solved in three dimensions.

    Args:
        num_classes: K ≥ 2.
        dimension: h ≥ 1.

    Raises:
        ValueError: an argument out of range.

    Reference: Rankin 1955; Schütte and van der Waerden 1951 for K = 7, 8, 9 and Fejes Tóth 1943 for K = 12 in three
    dimensions.
    """
    num_classes, dimension = whole("number of classes", num_classes, 2), whole("dimension", dimension, 1)
    if num_classes <= dimension + 1:
        return Extreme(-1 / (num_classes - 1), -1 / (num_classes - 1), "regular simplex")
    if dimension == 1:
        return Extreme(1.0, 1.0, "two points for all")
    if dimension == 2:
        value = math.cos(2 * math.pi / num_classes)
        return Extreme(value, value, "regular polygon")
    if num_classes <= 2 * dimension:
        return Extreme(0.0, 0.0, next(iter(named_configurations(num_classes, dimension))))
    if dimension == 3 and num_classes in TAMMES:
        return Extreme(TAMMES[num_classes], TAMMES[num_classes], "Tammes' problem")
    return Extreme(0.0, None, "Rankin's bound")


@cache  # a search of seconds where there are many classes
def spread_directions(num_classes: int, dimension: int) -> tuple[np.ndarray, str]:
    """K unit vectors in h dimensions whose largest cosine is least, or nearly so.

    The regular simplex for K ≤ h + 1, the regular polygon for h = 2, simplices in orthogonal spaces (the cross-polytope
    at K = 2h) up to K = 2h; beyond, the best of several descents on a soft maximum, which nothing proves to be least.

    Args:
        num_classes: K ≥ 2.
        dimension: h ≥ 1, at least 2 for K > 2.

    Returns:
        The vectors, shape (K, h), not to be changed, and where they come from.

    Raises:
        ValueError: an argument out of range.
    """
    num_classes, dimension = whole("number of classes", num_classes, 2), whole("dimension", dimension, 1)
    if dimension == 1 and num_classes > 2:
        raise ValueError(f"{num_classes} different unit vectors need a dimension of at least 2, got 1")
    named = named_configurations(num_classes, dimension)
    if named:
        ((origin, units),) = named.items()
    else:
        starts = STARTS if num_classes <= 50 else 1
        found = [_descend(num_classes, dimension, seed) for seed in range(starts)]
        units, origin = min(found, key=_largest_cosine), f"best of {starts} descents"
    units.setflags(write=False)
    return units, origin


def _largest_cosine(units: np.ndarray) -> float:
    return float((units @ units.T)[np.triu_indices(len(units), 1)].max())


def _descend(num_classes: int, dimension: int, seed: int) -> np.ndarray:
    """Unit vectors at a local minimum of log Σ exp(β·cosine)/β over the pairs, for larger and larger β."""
    from scipy.optimize import minimize  # takes longer to import than all else here

    points = np.random.default_rng(seed).standard_normal((num_classes, dimension))
    others = ~np.eye(num_classes, dtype=bool)

    def soft_maximum(flat: np.ndarray, sharpness: float) -> tuple[float, np.ndarray]:
        given = flat.reshape(num_classes, dimension)
        norms = np.linalg.norm(given, axis=1, keepdims=True)
        units = given / norms
        scores = np.where(others, sharpness * (units @ units.T), -np.inf)
        highest = scores.max()
        shares = np.exp(scores - highest)
        total = shares.sum()
        pull = 2 * (shares / total) @ units
        gradient = (pull - np.sum(pull * units, axis=1, keepdims=True) * units) / norms
        return (highest + math.log(total)) / sharpness, gradient.ravel()

    for sharpness in (10.0, 100.0, 1e3, 1e4, 1e5):
        found = minimize(
            soft_maximum, points.ravel(), (sharpness,), jac=True, method="L-BFGS-B", options={"maxiter": 300}
        )
        points = found.x.reshape(num_classes, dimension)
        points = points / np.linalg.norm(points, axis=1, keepdims=True)
    return points


def mean_energy(vectors: ArrayLike, power: int = 2) -> float:
    """The mean over pairs of ‖x_i − x_j‖^(−s), for s = 0 of −log‖x_i − x_j‖, over the directions x of some vectors.

    Args:
        vectors: none of them 0, shape (K, h), K ≥ 2.
        power: s, 0, 1 or 2.

    Returns:
        The energy; infinite where two directions coincide.

    Raises:
        ValueError: an argument out of range.
    """
    rows = finite("vectors", matrix("vectors", vectors))
    whole("number of vectors", len(rows), 2)
    if power not in POWERS:
        raise ValueError(f"the power must be 0, 1 or 2, got {power}")
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    if not norms.all():
        raise ValueError("a vector that is 0 has no direction")
    units = rows / norms
    angles = np.arccos(np.clip((units @ units.T)[np.triu_indices(len(units), 1)], -1.0, 1.0))
    with np.errstate(divide="ignore"):
        return float(np.mean(_energy(angles, power)))


def _energy(angles: np.ndarray, power: int) -> np.ndarray:
    """‖x − y‖^(−s) at an angle between x and y, −log‖x − y‖ for s = 0: convex and falling in the angle."""
    distances = 2 * np.sin(angles / 2)
    return -np.log(distances) if power == 0 else distances**-power


def _linear_program(num_classes: int, dimension: int, power: int) -> float:
    """The bound of Delsarte and Yudin, lowered by all that the polynomial may exceed the energy by off the grid."""
    from scipy.optimize import linprog

    angles = np.linspace(0, np.pi, GRID)[1:]
    polynomials = _gegenbauer(np.cos(angles), dimension)
    degrees = np.arange(len(polynomials))
    gain = np.where(degrees == 0, num_classes - 1, -1) / (num_classes - 1)
    limits = [(None, None)] + [(0, None)] * (len(degrees) - 1)
    found = linprog(-gain, A_ub=polynomials.T, b_ub=_energy(angles, power), bounds=limits, method="highs")
    factors = np.where(degrees > 0, np.maximum(found.x, 0.0), found.x)

    fine = np.linspace(0, np.pi, 50 * GRID)
    values = factors @ _gegenbauer(np.cos(fine), dimension)
    step, right = fine[1], fine[1:]
    energy = _energy(right, power)
    slope = -np.cos(right / 2) * (
        1 / (2 * np.sin(right / 2)) if power == 0 else power * energy / (2 * np.sin(right / 2))
    )
    # Within a cell the energy is above its tangent at the right end, the polynomial below its chord plus the curvature.
    above = np.maximum(values[1:] - energy, values[:-1] - (energy - step * slope)).max()
    above += step**2 / 8 * np.sum(factors[1:] * degrees[1:] ** 2)
    return float(gain @ factors - max(above, 0.0))


def _gegenbauer(cosines: np.ndarray, dimension: int) -> np.ndarray:
    """P_0 … P_D of dimension h with P_k(1) = 1 at some cosines, shape (D+1, …)."""
    rows = [np.ones_like(cosines), cosines]
    for degree in range(1, DEGREES):
        ahead = (2 * degree + dimension - 2) * cosines * rows[-1] - degree * rows[-2]
        rows.append(ahead / (degree + dimension - 2))
    return np.stack(rows)
