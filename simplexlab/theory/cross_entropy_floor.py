"""The floor of cross-entropy, and of any convex loss of the logits, with a free classifier and any class counts.

Classes collapse at the optimum, by convexity, so that the logits are M = W·Hᵀ with class means ‖h_y‖ ≤ ρ and ‖W‖_F ≤ B.
In enough dimensions these M form a convex set: the ball of a norm whose dual is ‖G‖* = B·max ‖G·H‖_F over ‖h_y‖ ≤ ρ. So

    f(M′) ≥ f(M) − ⟨∇f(M), M⟩ − ‖∇f(M)‖*   for every M′ of the set,

and ‖G‖*² ≤ B²ρ²·Σ_y d_y for any diagonal with Diag(d) ⪰ GᵀG, for non-negative class means Diag(d) ⪰ GᵀG + N with any
N ≥ 0. At the optimum d_y = ⟨(GᵀG·H)_y, h_y⟩/ρ² is such a diagonal and both sides are equal. For non-negative class
means of K > 4 classes they may not meet: fewer matrices are completely positive than are positive semidefinite and
non-negative. The rank of M is at most that of ∇f(M): K−1 where adding a constant to the logits of a point changes
nothing, as for every loss of the softmax, otherwise K.
"""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from simplexlab.geometry import orthogonal_frame, regular_simplex
from simplexlab.geometry.checks import choice, not_negative, positive, whole
from simplexlab.theory.cross_entropy import (
    FEATURES,
    Features,
    ce_bound_frobenius,
    ce_bound_weight_decay,
    optimal_weight_norm,
)
from simplexlab.theory.floor import Floor, conditioned, fits, least_diagonal, refuse_too_many, shares, to_sphere
from simplexlab.theory.logit_losses import CrossEntropy, LogitLoss
from simplexlab.theory.minimiser import minimise
from simplexlab.theory.program import in_few_dimensions, solve, state_of

NOISE = 0.1
SLACK = 0.3  # first share of the norms that is left unused by a loss which may not want all of it

Backward = Callable[[np.ndarray, np.ndarray], np.ndarray]  # gradients in weights and class means → in the free numbers


def ce_floor(
    class_counts: ArrayLike,
    radius: float,
    frobenius_norm: float,
    *,
    dimension: int | None = None,
    features: Features = "free",
    loss: LogitLoss | None = None,
    start: Floor | None = None,
) -> Floor:
    """The least cross-entropy over all points ‖z‖ ≤ ρ and classifiers ‖W‖_F ≤ B, for any numbers of points a class.

    Classes of one size have it in closed form (Theorem 1); otherwise a convex program is solved and certified.

    Args:
        class_counts: points of each class, whole numbers of at least 1, shape (K,), 2 ≤ K ≤ 10⁴.
        radius: ρ ≥ 0, the largest norm of a representation.
        frobenius_norm: B ≥ 0, the largest ‖W‖_F.
        dimension: h of the representations; by default as many as the optimum needs. With less, `best_known` is the
            least value found in h dimensions.
        features: `free`, or `nonnegative` for an encoder that ends in a ReLU.
        loss: another convex loss of the logits instead of cross-entropy, see `LogitLoss`.
        start: floor of the same classes under other norms or counts, from which the program starts.

    Returns:
        The floor with class means and classifier rows.

    Raises:
        ValueError: an argument out of range, or a program too large for memory.

    Reference: the module's docstring.
    """
    distribution = shares(class_counts)
    num_classes = len(distribution)
    radius, norm = not_negative("radius", radius), not_negative("Frobenius norm", frobenius_norm)
    nonnegative = choice("features", features, FEATURES) == "nonnegative"
    objective = CrossEntropy() if loss is None else loss
    closed = type(objective) is CrossEntropy and bool((distribution == distribution[0]).all())
    if not closed:
        refuse_too_many(2 * num_classes**2, num_classes)
    shift_free = closed or _ignores_constants(objective, distribution)
    needed = num_classes - 1 if shift_free and not nonnegative else num_classes
    dimension = needed if dimension is None else whole("dimension", dimension, 1)
    if closed and dimension < needed:
        refuse_too_many(2 * num_classes * dimension, num_classes)
    collapsed = math.log(num_classes) if closed else _at_zero(objective, distribution)
    if radius * norm == 0:
        return Floor(collapsed, collapsed, collapsed, origin="all logits are 0")

    if closed:
        value = ce_bound_frobenius(num_classes, radius, norm, features=features)
        points = weights = None
        if fits(2 * num_classes * needed):
            points = (orthogonal_frame if nonnegative else regular_simplex)(num_classes, needed, radius)
            weights = points - points.mean(axis=0)
            weights *= norm / np.linalg.norm(weights)
        origin = "orthogonal frame" if nonnegative else "regular simplex"
        floor = Floor(value, value, collapsed, points, weights, origin=origin)
    else:
        program = _Program(objective, distribution, radius, norm, nonnegative, slack=loss is not None)
        free = state_of(start, num_classes, needed)
        if free is None:
            simplex = shift_free and not nonnegative
            free = program.start((regular_simplex if simplex else orthogonal_frame)(num_classes, needed))
        end = solve(program, free, collapsed, may_vanish=not shift_free)
        if nonnegative and not end.converged:  # squares that are 0 stay 0: the frame was not the optimum
            noise = NOISE * np.random.default_rng(0).random(end.free.shape)
            end = solve(program, end.free + noise, collapsed, may_vanish=not shift_free)
        points, weights = program.configuration(end.free)
        state = {(num_classes, needed): end.free}
        floor = Floor(end.value, end.certificate, collapsed, points, weights, converged=end.converged, state=state)
    if dimension >= needed:
        return floor
    program = _Program(objective, distribution, radius, norm, nonnegative, slack=True)
    return in_few_dimensions(program, floor, num_classes, dimension, nonnegative, start)


def ce_floor_weight_decay(
    class_counts: ArrayLike,
    radius: float,
    weight_decay: float,
    *,
    dimension: int | None = None,
    features: Features = "free",
) -> Floor:
    """The least cross-entropy + λ‖W‖²_F over all points ‖z‖ ≤ ρ, for any numbers of points a class.

    Classes of one size have it in closed form (Corollary 2). Otherwise it is the least over B of `ce_floor` + λB²: the
    floor is convex in B, for what ‖W‖_F ≤ B allows for the logits grows in proportion to B. The certificate of one B
    is a line, f ≥ c − s·‖W‖_F for every W, so that f + λ‖W‖²_F ≥ c − s²/(4λ).

    Args:
        class_counts: points of each class, whole numbers of at least 1, shape (K,).
        radius: ρ > 0, the largest norm of a representation.
        weight_decay: λ > 0, the factor of ‖W‖²_F itself.
        dimension: see `ce_floor`.
        features: see `ce_floor`.

    Raises:
        ValueError: an argument out of range, or a program too large for memory.
    """
    from scipy.optimize import minimize_scalar

    distribution = shares(class_counts)
    num_classes = len(distribution)
    radius, weight_decay = positive("radius", radius), positive("weight decay λ", weight_decay)
    collapsed = math.log(num_classes)
    norm = optimal_weight_norm(radius, weight_decay, num_classes, features=features) * math.sqrt(num_classes)
    balanced = bool((distribution == distribution[0]).all())
    floor = ce_floor(class_counts, radius, norm, dimension=dimension, features=features)
    if balanced and floor.best_known is None:
        value = ce_bound_weight_decay(num_classes, radius, weight_decay, features=features)
        return Floor(value, value, collapsed, floor.points, floor.weights, origin=floor.origin)

    def penalised(logarithm: float) -> float:
        found = ce_floor(class_counts, radius, math.exp(logarithm), dimension=dimension, features=features)
        reached = found.value if found.best_known is None else found.best_known
        return reached + weight_decay * math.exp(2 * logarithm)

    centre = math.log(norm)
    best = minimize_scalar(penalised, bounds=(centre - 3, centre + 1.5), method="bounded", options={"xatol": 1e-9})
    norm = math.exp(best.x)
    floor = ce_floor(class_counts, radius, norm, dimension=dimension, features=features)
    penalty = weight_decay * norm**2
    if balanced:
        value = certificate = ce_bound_weight_decay(num_classes, radius, weight_decay, features=features)
    else:
        nonnegative = features == "nonnegative"
        program = _Program(CrossEntropy(), distribution, radius, norm, nonnegative, slack=False)
        needed = num_classes if nonnegative else num_classes - 1
        _, constant, slope = program.line(floor.state[num_classes, needed])
        value = floor.value + penalty
        certificate = min(constant - slope**2 / (4 * weight_decay), value)
    best_known = None if floor.best_known is None else floor.best_known + penalty
    return Floor(value, certificate, collapsed, floor.points, floor.weights, best_known, floor.origin, floor.converged)


class _Program:
    """f(W·Hᵀ) over free numbers, shape (2, K, h+1), for W and H; the last column takes norm away from the others."""

    def __init__(
        self, loss: LogitLoss, shares: np.ndarray, radius: float, norm: float, nonnegative: bool, *, slack: bool
    ):
        self.loss, self.shares, self.radius, self.norm, self.nonnegative = loss, shares, radius, norm, nonnegative
        self.slack = SLACK if slack else 0.0

    def start(self, units: np.ndarray) -> np.ndarray:
        """See `Program`."""
        means = np.sqrt(np.abs(units)) if self.nonnegative else units
        free = np.concatenate([np.stack([units, means]), np.full((2, len(units), 1), self.slack)], axis=2)
        weights, points, _ = self._factors(free)
        gradient = self.loss.value_and_gradient(weights[:, :-1] @ points[:, :-1].T, self.shares)[1]
        free[1] = conditioned(free[1], np.linalg.norm(gradient, axis=0))
        return free

    def value_and_gradient(self, free: np.ndarray) -> tuple[float, np.ndarray]:
        """See `Program`."""
        weights, means, backward = self._factors(free)
        value, gradient = self.loss.value_and_gradient(weights[:, :-1] @ means[:, :-1].T, self.shares)
        slack = np.zeros((len(means), 1))
        return value, backward(
            np.hstack([gradient @ means[:, :-1], slack]), np.hstack([gradient.T @ weights[:, :-1], slack])
        )

    def value_and_certificate(self, free: np.ndarray) -> tuple[float, float]:
        """See `Program`."""
        value, constant, slope = self.line(free)
        return value, max(constant - slope * self.norm, getattr(self.loss, "least", -math.inf))

    def line(self, free: np.ndarray) -> tuple[float, float, float]:
        """Value v, and c and s with f ≥ c − s·‖W‖_F for every W and all points in the ball."""
        means, weights = self.configuration(free)
        logits = weights @ means.T
        value, gradient = self.loss.value_and_gradient(logits, self.shares)
        scale = np.abs(gradient).max()
        if scale == 0:
            return value, value, 0.0
        gradient = gradient / scale  # squares of tiny losses would vanish
        product = gradient.T @ gradient
        diagonal = np.sum((product @ means) * means, axis=1) / self.radius**2
        if self.nonnegative:
            product = product + _multiplier(product, diagonal, means)
        diagonal = least_diagonal(product, diagonal)
        slope = scale * self.radius * math.sqrt(diagonal.sum())
        return value, float(value - scale * np.vdot(gradient, logits)), float(slope)

    def configuration(self, free: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See `Program`."""
        weights, means, _ = self._factors(free)
        return means[:, :-1], weights[:, :-1]

    def _factors(
        self, free: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, Callable[[np.ndarray, np.ndarray], np.ndarray]]:
        length = np.linalg.norm(free[0])
        weights = free[0] * (self.norm / length)
        means, means_back = to_sphere(free[1], self.radius, self.nonnegative)

        def backward(weights_gradient: np.ndarray, means_gradient: np.ndarray) -> np.ndarray:
            along = np.vdot(weights_gradient, free[0]) / length**2
            return np.stack([(weights_gradient - along * free[0]) * (self.norm / length), means_back(means_gradient)])

        return weights, means, backward


def _at_zero(loss: LogitLoss, shares: np.ndarray) -> float:
    """The loss where all logits are 0."""
    return loss.value_and_gradient(np.zeros((len(shares), len(shares))), shares)[0]


def _ignores_constants(loss: LogitLoss, shares: np.ndarray) -> bool:
    """Whether adding a constant to the logits of a point changes nothing: the columns of the gradient have sum 0."""
    logits = np.sin(np.arange(len(shares) ** 2.0)).reshape(len(shares), -1)
    gradient = loss.value_and_gradient(logits, shares)[1]
    return bool(np.abs(gradient.sum(axis=0)).max() < 1e-12 * np.abs(gradient).max())


def _multiplier(product: np.ndarray, diagonal: np.ndarray, means: np.ndarray) -> np.ndarray:
    """N ≥ 0, symmetric, with N·H ≈ (Diag(d) − GᵀG)·H: the multiplier of Y ≥ 0, 0 where inner products are not."""
    rest = np.maximum(diagonal[:, None] * means - product @ means, 0.0)
    scale = np.linalg.norm(rest)
    if scale == 0:
        return np.zeros_like(product)
    gram = means @ means.T
    unit = np.linalg.norm(means) / math.sqrt(len(means))
    target, factor = rest / scale, means / unit

    def residual(root: np.ndarray) -> tuple[float, np.ndarray]:
        error = (root**2) @ factor - target
        slope = 2 * error @ factor.T
        return float(np.sum(error**2)), (slope + slope.T) * root

    first = np.sqrt(np.maximum(-product, 0.0) / scale * unit)
    np.fill_diagonal(first, 0.0)
    first[gram > 1e-6 * unit**2] *= 1e-3
    root, _ = minimise(residual, first, lambda root: residual(root)[0] < 1e-24, steps=300)
    return root**2 * (scale / unit)
