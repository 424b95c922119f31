"""The floor of alignment and uniformity with labels, for any class counts, with its certificate.

The loss over all pairs i ≠ j is convex in the Gram matrix of the points, so that averaging it over permutations within
classes does not raise the loss: at best every two points of class y have the inner product c_y, and those of classes y
and k the inner product M_yk of the class means. With M_yy = ‖μ_y‖² = 1/n_y + (1 − 1/n_y)·c_y there remains a convex
function f of the Gram matrix M of the class means, M ⪰ 0 and M_yy ≤ 1. With G = ∇f(M),

    f(M′) ≥ f(M) − ⟨G, M⟩ − Σ_y d_y   for every such M′ and any d ≥ 0 with Diag(d) ⪰ −G.

N − 1 dimensions hold such points, and K − 1 where every M_yy is 1: there the classes have collapsed. In fewer the floor
remains a bound; beside it stands the least value that a search over all N points finds in h dimensions. For
non-negative points M ≥ 0 and c ≥ 0, f rises with every M_yk, and between classes 0 is best.
"""

import math
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from simplexlab.geometry import orthogonal_frame, regular_simplex
from simplexlab.geometry.checks import choice, not_negative, positive, real_numbers, whole
from simplexlab.theory.cross_entropy import FEATURES, Features
from simplexlab.theory.floor import Floor, fits, least_diagonal, refuse_too_many, shares
from simplexlab.theory.program import improve, solve, state_of

COLLAPSED = 1 - 1e-7  # M_yy from which on a class counts as collapsed
STARTS = 40  # of a search in few dimensions, at most
SEARCHED = 64_000  # inner products of all starts together
SEARCH_STEPS, LAST_STEPS = 200, 2000  # from each start, and from where the best of them ended
MOST_POINTS = 120


def alignment_uniformity_floor(
    class_counts: ArrayLike,
    weight: float,
    *,
    scale: float = 2.0,
    dimension: int | None = None,
    features: Features = "free",
    start: Floor | None = None,
) -> Floor:
    """The least a·alignment + uniformity with labels over points on the unit sphere, for any class counts.

    a·mean over positive pairs of ‖z_i − z_j‖² + log mean over all pairs of exp(−t·‖z_i − z_j‖²), pairs i ≠ j.

    Args:
        class_counts: points of each class, whole numbers of at least 1, one of them at least 2, shape (K,).
        weight: a ≥ 0.
        scale: t > 0.
        dimension: h of the points; by default as many as the optimum needs. With less, `best_known` is the least value
            found in h dimensions and `points` are its class means; where that is not searched for, for more than 120
            points, non-negative ones, or h = 1, `attained` is False.
        features: `free`, or `nonnegative` for an encoder that ends in a ReLU.
        start: floor of as many classes for another weight, scale or counts, from which the program starts.

    Returns:
        The floor with class means, of norm 1 where their class has collapsed and shorter where it has not.

    Raises:
        ValueError: an argument out of range, or a program too large for memory.

    Reference: Wang and Isola 2020 for the loss.
    """
    p = shares(class_counts)
    counts = real_numbers(class_counts)
    program = _Pairs(counts, not_negative("weight", weight), positive("scale", scale))
    num_classes = len(p)
    nonnegative = choice("features", features, FEATURES) == "nonnegative"
    needed = num_classes if nonnegative else num_classes - 1
    if nonnegative:
        squares, value, certificate = program.apart()
        frame = orthogonal_frame(num_classes, num_classes) if fits(num_classes**2) else None
        points = None if frame is None else np.sqrt(squares)[:, None] * frame
        floor = Floor(value, certificate, 0.0, points, origin="orthogonal frame")
    elif np.ptp(counts) == 0:
        floor, square = _balanced(program, num_classes)
        squares = np.full(num_classes, square)
    else:
        refuse_too_many(num_classes * needed, num_classes)
        free = state_of(start, num_classes, num_classes)
        if free is None:
            free = np.column_stack([regular_simplex(num_classes, needed), np.full(num_classes, 0.1)])
        end = solve(program, free, 1.0, may_vanish=True)
        points, _ = program.configuration(end.free)
        squares = np.sum(points**2, axis=1)
        state = {(num_classes, num_classes): end.free}
        floor = Floor(end.value, end.certificate, 0.0, points, converged=end.converged, state=state)
    spread = squares < COLLAPSED
    needed += int(np.sum(counts[spread] - 1))
    if dimension is None or whole("dimension", dimension, 1) >= needed:
        return floor
    if nonnegative or dimension == 1 or counts.sum() > MOST_POINTS:
        return replace(floor, attained=False)
    labels = np.repeat(np.arange(num_classes), counts.astype(np.int64))
    return _in_few_dimensions(_Points(program, labels, dimension), floor)


class _Pairs:
    """f over free vectors (K, h + 1): class means are the first h coordinates of their unit vectors.

    The last coordinate is what a class mean lacks to the length 1.
    """

    def __init__(self, counts: np.ndarray, weight: float, scale: float):
        total = counts.sum()
        self.counts, self.scale = counts, scale
        own, others = counts * (counts - 1), np.outer(counts, counts)
        np.fill_diagonal(others, 0.0)
        if not own.any():
            raise ValueError("alignment needs a class with at least 2 points")
        self.alignment = 2 * weight * own / own.sum()  # of 1 − c_y
        with np.errstate(divide="ignore"):
            self.log_own = np.log(own / (total * (total - 1)))
            self.log_others = np.log(others / (total * (total - 1)))
        self.stretch = np.divide(counts, counts - 1, out=np.zeros_like(counts), where=counts > 1)  # dc_y/dM_yy

    def gram_value_and_gradient(self, gram: np.ndarray) -> tuple[float, np.ndarray]:
        """f and its gradient at the Gram matrix of the class means, shape (K, K)."""
        lacks = self.stretch * (1 - np.diag(gram))  # 1 − c_y, 0 for a single point
        terms = self.log_others - 2 * self.scale * (1 - gram)
        np.fill_diagonal(terms, self.log_own - 2 * self.scale * lacks)
        largest = terms.max()
        shares = np.exp(terms - largest)
        total = shares.sum()
        gradient = 2 * self.scale * shares / total
        diagonal = self.stretch * (np.diag(gradient) - self.alignment)
        np.fill_diagonal(gradient, diagonal)
        return float(self.alignment @ lacks + largest + math.log(total)), gradient

    def apart(self) -> tuple[np.ndarray, float, float]:
        """M_yy at best where different classes are orthogonal and c_y ≥ 0, f there, and a lower bound of f there."""
        from scipy.optimize import minimize

        least = np.where(self.counts > 1, 1 / self.counts, 1.0)

        def value_and_gradient(squares: np.ndarray) -> tuple[float, np.ndarray]:
            value, gradient = self.gram_value_and_gradient(np.diag(squares))
            return value, np.diag(gradient)

        ends = [
            minimize(value_and_gradient, begin, jac=True, bounds=list(zip(least, np.ones_like(least), strict=True)),
                     options={"ftol": 1e-15, "gtol": 1e-10, "maxiter": 1000}).x
            for begin in (np.ones_like(least), (1 + least) / 2)
        ]  # fmt: skip
        squares = min(ends, key=lambda end: value_and_gradient(end)[0])
        value, slope = value_and_gradient(squares)
        # f is convex: no diagonal in the box is below what the tangent has at its lowest corner.
        return squares, value, float(value - np.sum(np.maximum(slope * (squares - least), slope * (squares - 1))))

    def value_and_gradient(self, free: np.ndarray) -> tuple[float, np.ndarray]:
        """See `Program`."""
        lengths = np.linalg.norm(free, axis=1, keepdims=True)
        units = free / lengths
        points = units[:, :-1]
        value, gradient = self.gram_value_and_gradient(points @ points.T)
        slope = np.column_stack([2 * gradient @ points, np.zeros(len(free))])
        return value, (slope - units * np.sum(slope * units, axis=1, keepdims=True)) / lengths

    def value_and_certificate(self, free: np.ndarray) -> tuple[float, float]:
        """See `Program`."""
        points, _ = self.configuration(free)
        return self.certified(points @ points.T)

    def certified(self, gram: np.ndarray) -> tuple[float, float]:
        """f, and its lower bound for all Gram matrices, best where this one is the optimum."""
        value, gradient = self.gram_value_and_gradient(gram)
        guess = np.maximum(-np.sum(gradient * gram, axis=1) / np.maximum(np.diag(gram), 1e-300), 0.0)
        diagonal = np.maximum(least_diagonal(-gradient, guess), 0.0)
        return value, float(value - np.vdot(gradient, gram) - diagonal.sum())

    def configuration(self, free: np.ndarray) -> tuple[np.ndarray, None]:
        """See `Program`."""
        return (free / np.linalg.norm(free, axis=1, keepdims=True))[:, :-1], None


class _Points:
    """The loss over N free points (N, h) themselves, each standing for its direction."""

    def __init__(self, program: _Pairs, labels: np.ndarray, dimension: int):
        self.labels, self.dimension, self.scale = labels, dimension, program.scale
        counts = program.counts
        same = labels[:, None] == labels
        self.members = same[np.searchsorted(labels, np.arange(len(counts)))].astype(np.float64)  # (K, N)
        self.itself = np.eye(len(labels), dtype=bool)
        self.pull = program.alignment.sum() / np.sum(counts * (counts - 1)) * (same & ~self.itself)

    def value_and_gradient(self, free: np.ndarray) -> tuple[float, np.ndarray]:
        """See `Program`."""
        lengths = np.linalg.norm(free, axis=1, keepdims=True)
        units = free / lengths
        inner = units @ units.T
        terms = np.exp(2 * self.scale * (inner - 1))
        terms[self.itself] = 0.0
        total = terms.sum()
        value = np.vdot(self.pull, 1 - inner) + math.log(total / (len(free) * (len(free) - 1)))
        slope = 2 * (2 * self.scale / total * terms - self.pull) @ units
        return float(value), (slope - units * np.sum(slope * units, axis=1, keepdims=True)) / lengths

    def value_and_certificate(self, free: np.ndarray) -> tuple[float, float]:
        """See `Program`; nothing is certified here."""
        return self.value_and_gradient(free)[0], -math.inf

    def configuration(self, free: np.ndarray) -> tuple[np.ndarray, None]:
        """See `Program`."""
        units = free / np.linalg.norm(free, axis=1, keepdims=True)
        return self.members @ units / self.members.sum(axis=1, keepdims=True), None


def _in_few_dimensions(points: _Points, floor: Floor) -> Floor:
    """The floor, which nothing is known to take in so few dimensions, with the best end of several starts there."""
    generator = np.random.default_rng(0)
    size, num_classes = len(points.labels), len(points.members)
    starts = max(3, min(STARTS, SEARCHED // size**2))
    best = improve(points, generator.standard_normal((size, points.dimension)), SEARCH_STEPS)
    for index in range(1, starts):
        noise = generator.standard_normal((size, points.dimension))
        if 3 * index < starts:
            start = noise
        elif index % 2:
            start = best.free / np.linalg.norm(best.free, axis=1, keepdims=True) + 0.2 * noise
        else:  # ends differ by how the points of one class are turned against the others
            turn, _ = np.linalg.qr(generator.standard_normal((points.dimension, points.dimension)))
            turned = points.labels == generator.integers(num_classes)
            start = np.where(turned[:, None], best.free @ turn, best.free)
        best = min(best, improve(points, start, SEARCH_STEPS), key=lambda end: end.value)
    best = improve(points, best.free, LAST_STEPS)
    means, _ = points.configuration(best.free)
    return replace(floor, points=means, best_known=best.value, origin=f"best of {starts} starts")


def _balanced(program: _Pairs, num_classes: int) -> tuple[Floor, float]:
    """Classes of one size: a regular simplex, whose squared norm is where a function of one number is least."""
    simplex_gram = (num_classes * np.eye(num_classes) - 1) / (num_classes - 1)
    low, high = 0.0, 1.0

    def slope(square: float) -> float:
        return float(np.vdot(program.gram_value_and_gradient(square * simplex_gram)[1], simplex_gram))

    if slope(1.0) > 0:
        while high - low > 1e-15 and (middle := (low + high) / 2) not in (low, high):
            low, high = (low, middle) if slope(middle) > 0 else (middle, high)
    square = high
    value, certificate = program.certified(square * simplex_gram)
    points = None
    if fits(num_classes * (num_classes - 1)):
        points = math.sqrt(square) * regular_simplex(num_classes, num_classes - 1)
    return Floor(value, min(certificate, value), 0.0, points, origin="regular simplex"), square
