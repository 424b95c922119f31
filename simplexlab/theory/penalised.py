"""Floors under penalties on both sides: mean loss + λ_W/2·‖W‖²_F + λ_H/2·Σ_n ‖z_n‖², the unconstrained-features model.

It is what weight decay comes to where it reaches the representations. Classes collapse at the optimum; with class sizes
n_y, D = Diag(n) and X = M·D^½ for the logits M = W·Hᵀ of the class means, the penalty of the best factors is c·‖X‖_*,
c = √(λ_W·λ_H) times the nuclear norm. So in enough dimensions (K ≤ h + 1) the problem is convex in M.

- Cross-entropy: by duality the least value is the largest Σ_y π_y·entropy(p_y) over distributions p_y with
  ‖(P − T)·Diag(π)·D^(−½)‖_op ≤ c, T the targets; any P becomes one when P − T is made shorter. Balanced (n points a
  class): the entropy of (1 − (K−1)q, q, …, q) with q = √n·c + ε/K, ε the label smoothing, if q < 1/K, else log K.
- Squared error ½‖M_y − e_y‖²: the singular values of the label matrix are √n_y, and each is shrunk by N·c on its own.
  Exact for any class sizes, and any h: the h largest are fitted.

Reference: Zhu et al. 2021 and Dang et al. 2023 for balanced labels and squared error; the dual certificate is ours.
"""

import math

import numpy as np
from numpy.typing import ArrayLike

from simplexlab.geometry import regular_simplex
from simplexlab.geometry.checks import as_array, positive, whole
from simplexlab.theory.floor import Floor, refuse_too_many, shares
from simplexlab.theory.logit_losses import SmoothedCrossEntropy
from simplexlab.theory.program import in_few_dimensions, solve, state_of

FIRST_MARGIN = 0.5  # least difference of the first logits


def ufm_ce_floor(
    class_counts: ArrayLike,
    weight_decay: float,
    feature_decay: float,
    *,
    smoothing: float = 0.0,
    dimension: int | None = None,
    start: Floor | None = None,
) -> Floor:
    """The least mean cross-entropy + λ_W/2·‖W‖²_F + λ_H/2·Σ_n ‖z_n‖² over all points and classifiers.

    Args:
        class_counts: points of each class, whole numbers of at least 1, shape (K,), 2 ≤ K ≤ 10⁴.
        weight_decay: λ_W > 0.
        feature_decay: λ_H > 0, of the sum over all points.
        smoothing: ε of the label smoothing, from 0 up to but not including 1.
        dimension: h of the representations; by default as many as the optimum needs. With less, `best_known` is the
            least value found in h dimensions.
        start: floor of as many classes under other penalties or counts, from which the program starts.

    Returns:
        The floor with class means and classifier rows.

    Raises:
        ValueError: an argument out of range, or a program too large for memory.

    Reference: the module's docstring.
    """
    program = _Program(class_counts, weight_decay, feature_decay, smoothing)
    num_classes, needed = program.num_classes, program.num_classes - 1
    dimension = needed if dimension is None else whole("dimension", dimension, 1)
    collapsed = math.log(num_classes)
    if not program.balanced or dimension < needed:
        refuse_too_many(2 * num_classes * (dimension if program.balanced else needed), num_classes)
    if program.balanced:
        value = _entropy_of_equal_misses(num_classes, program.miss)
        points, weights = program.configuration(program.scaled(regular_simplex(num_classes, needed), program.margin))
        floor = Floor(value, value, collapsed, points, weights, origin="regular simplex")
    elif program.best_is_zero():
        zero = np.zeros((num_classes, needed))
        return Floor(collapsed, collapsed, collapsed, zero, zero, origin="all logits are 0")
    else:
        free = state_of(start, num_classes, needed)
        end = solve(program, program.start(regular_simplex(num_classes, needed)) if free is None else free, collapsed)
        points, weights = program.configuration(end.free)
        state = {(num_classes, needed): end.free}
        floor = Floor(end.value, end.certificate, collapsed, points, weights, converged=end.converged, state=state)
    if dimension >= needed:
        return floor
    return in_few_dimensions(program, floor, num_classes, dimension, False, start)


def ufm_mse_floor(
    class_counts: ArrayLike, weight_decay: float, feature_decay: float, *, dimension: int | None = None
) -> Floor:
    """The least mean of ½‖W·z_n − e_{y_n}‖² + λ_W/2·‖W‖²_F + λ_H/2·Σ_n ‖z_n‖² over all points and classifiers, no bias.

    (1/2N)·[Σ_{k≤h} φ(√n_k) + Σ_{k>h} n_k] with the n_k in falling order, c = N·√(λ_W·λ_H) and φ(s) = c·(2s − c) if
    s > c, else s².

    Args:
        class_counts: points of each class, whole numbers of at least 1, shape (K,).
        weight_decay: λ_W > 0.
        feature_decay: λ_H > 0, of the sum over all points.
        dimension: h of the representations; by default K.

    Returns:
        The floor, exact in any dimension, with class means and classifier rows.

    Raises:
        ValueError: an argument out of range.

    Reference: the module's docstring.
    """
    counts = np.rint(shares(class_counts) * as_array(class_counts).sum())
    weight_decay, feature_decay = positive("weight decay", weight_decay), positive("feature decay", feature_decay)
    num_classes, number = len(counts), counts.sum()
    dimension = num_classes if dimension is None else whole("dimension", dimension, 1)
    singular = np.sqrt(counts)
    threshold = number * math.sqrt(weight_decay) * math.sqrt(feature_decay)
    order = np.argsort(-counts, kind="stable")
    fitted = np.zeros(num_classes)
    fitted[order[:dimension]] = np.maximum(singular - threshold, 0.0)[order[:dimension]]
    value = float(np.sum((singular - fitted) ** 2 + 2 * threshold * fitted) / (2 * number))
    ratio = (feature_decay / weight_decay) ** 0.25
    width = min(num_classes, dimension)
    columns = np.zeros((num_classes, width))
    columns[order[:width], np.arange(width)] = np.sqrt(fitted[order[:width]])
    points = columns / ratio / singular[:, None]
    return Floor(value, value, 0.5, points, columns * ratio, origin="shrunk singular values")


class _Program:
    """f(W·Hᵀ) + c/2·(‖Ŵ‖² + ‖Ĥ‖²) over free numbers (2, K, h) for the balanced factors Ŵ and Ĥ of M·D^½."""

    def __init__(self, class_counts: ArrayLike, weight_decay: float, feature_decay: float, smoothing: float):
        self.shares = shares(class_counts)
        self.loss = SmoothedCrossEntropy(smoothing)
        weight_decay, feature_decay = positive("weight decay", weight_decay), positive("feature decay", feature_decay)
        self.num_classes = len(self.shares)
        total = float(as_array(class_counts).sum())
        self.root = np.sqrt(self.shares * total)  # of the class sizes
        self.penalty = math.sqrt(weight_decay) * math.sqrt(feature_decay)
        self.ratio = (feature_decay / weight_decay) ** 0.25
        self.balanced = bool((self.shares == self.shares[0]).all())
        self.miss = math.sqrt(total / self.num_classes) * self.penalty + smoothing / self.num_classes
        own = 1 - (self.num_classes - 1) * self.miss
        self.margin = math.log(own / self.miss) if own > self.miss else 0.0  # the best for classes of one size

    def start(self, units: np.ndarray) -> np.ndarray:
        """See `Program`; not at 0, which is a stationary point."""
        return self.scaled(units, max(self.margin, FIRST_MARGIN))

    def scaled(self, units: np.ndarray, margin: float) -> np.ndarray:
        """Factors along unit vectors whose logits differ by `margin` at the regular simplex of classes of one size."""
        size = math.sqrt(margin * (1 - 1 / self.num_classes) * math.sqrt(np.mean(self.root**2)))
        return np.stack([size * units, size * units])

    def value_and_gradient(self, free: np.ndarray) -> tuple[float, np.ndarray]:
        """See `Program`."""
        value, gradient = self.loss.value_and_gradient(free[0] @ free[1].T / self.root, self.shares)
        gradient = gradient / self.root
        value += self.penalty / 2 * float(np.sum(free**2))
        return value, np.stack([gradient @ free[1], gradient.T @ free[0]]) + self.penalty * free

    def value_and_certificate(self, free: np.ndarray) -> tuple[float, float]:
        """See `Program`."""
        value, gradient = self.loss.value_and_gradient(free[0] @ free[1].T / self.root, self.shares)
        value += self.penalty / 2 * float(np.sum(free**2))
        size = np.linalg.norm(gradient / self.root, 2)
        misses = gradient / self.shares * min(1.0, self.penalty / size if size > 0 else 1.0)  # P − T
        smoothing = self.loss.smoothing
        own = np.diag_indices(self.num_classes)
        others = misses + smoothing / self.num_classes
        others[own] = 0.0
        others = np.maximum(others, 0.0)
        missed = others.sum(axis=0)
        entropy = -np.sum(others * np.log(np.where(others > 0, others, 1.0)), axis=0)
        entropy -= (1 - missed) * np.log1p(-np.minimum(missed, 1 - 1e-16))
        return value, float(self.shares @ entropy)

    def configuration(self, free: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See `Program`."""
        return free[1] / self.ratio / self.root[:, None], free[0] * self.ratio

    def best_is_zero(self) -> bool:
        """Whether the penalty outweighs any logits."""
        _, gradient = self.loss.value_and_gradient(np.zeros((self.num_classes, self.num_classes)), self.shares)
        return bool(np.linalg.norm(gradient / self.root, 2) <= self.penalty)


def _entropy_of_equal_misses(num_classes: int, miss: float) -> float:
    """Entropy of (1 − (K−1)q, q, …, q), and log K from q = 1/K on."""
    if miss >= 1 / num_classes:
        return math.log(num_classes)
    missed = (num_classes - 1) * miss
    return -(1 - missed) * math.log1p(-missed) - missed * math.log(miss)
