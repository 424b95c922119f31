"""The floor of cross-entropy with a fixed classifier: any rows, any targets, free or non-negative representations.

The points decouple. For targets t, the least value over the ball is by duality

    min_{‖z‖≤ρ} log Σ_j exp⟨w_j, z⟩ − ⟨Wᵀt, z⟩ = max_p entropy(p) − ρ·‖Wᵀ(t − p)‖,   p in the simplex,

with the positive part (Wᵀ(t − p))₊ in the norm for z ≥ 0; at the optimum p = softmax(W·z) and z = ρ·(Wᵀ(t − p))₊/‖…‖.
Any z gives a value and any p a certificate. For one-hot targets the loss is log(1 + e^s) of the log-odds
s = log Σ_{j≠y} exp⟨w_j − w_y, z⟩, whose floor is the same program over the other classes alone: it stays well scaled
however small the loss is. Newton's method solves the dual, with √(‖v‖² + δ²) for the norm and δ → 0, because points
whose optimum lies inside the ball (soft targets) end at v = 0.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from simplexlab.geometry.checks import choice, finite, matrix, not_negative
from simplexlab.theory.cross_entropy import FEATURES, Features
from simplexlab.theory.floor import AIM, Floor, is_certified, probabilities

SMOOTHING = 10.0 ** -np.arange(10)  # δ over the largest norm of a row
WARM = 5  # how many of them are left out where an earlier solution is the start
NEWTON_STEPS = 40  # for each of them
LEAST_LOGARITHM = -600.0  # of a probability that is kept apart from 0
BLOCK_ENTRIES = 2**22  # entries of the K×K systems that are solved at once


def fixed_head_floor(
    weights: ArrayLike,
    radius: float,
    targets: ArrayLike | None = None,
    class_probabilities: ArrayLike | None = None,
    *,
    features: Features = "free",
    start: Floor | None = None,
) -> Floor:
    """The least mean cross-entropy over all points ‖z‖ ≤ ρ under a fixed classifier.

    Args:
        weights: rows of the classifier, any number in any dimension, shape (K, h).
        radius: ρ ≥ 0.
        targets: distributions over the classes, one a row, shape (T, K); by default one-hot, one a class.
        class_probabilities: how often each target occurs, greater than 0 with sum 1, shape (T,); by default alike.
        features: `free`, or `nonnegative` for an encoder that ends in a ReLU.
        start: floor of as many targets under another radius or other rows, from which Newton's method starts.

    Returns:
        The floor; `points` holds the optimal representation of each target, shape (T, h), `weights` the given rows.

    Raises:
        ValueError: shapes that do not fit, an argument out of range.

    Reference: the module's docstring.
    """
    given = finite("weights", matrix("weights", weights))
    num_classes = len(given)
    if num_classes < 2:
        raise ValueError("the number of classes must be at least 2, got a classifier of one row")
    radius = not_negative("radius", radius)
    nonnegative = choice("features", features, FEATURES) == "nonnegative"
    wanted = np.eye(num_classes) if targets is None else finite("targets", matrix("targets", targets))
    if wanted.shape[1] != num_classes:
        raise ValueError(f"the targets must have shape (T, {num_classes}), got {wanted.shape}")
    if wanted.min() < 0 or np.abs(wanted.sum(axis=1) - 1).max() > 1e-6:
        raise ValueError("each row of the targets must be a distribution: at least 0 with sum 1")
    wanted = wanted / wanted.sum(axis=1, keepdims=True)
    if class_probabilities is None:
        frequencies = np.full(len(wanted), 1 / len(wanted))
    else:
        frequencies = probabilities(class_probabilities)
        if len(frequencies) != len(wanted):
            raise ValueError(f"{len(wanted)} targets need as many probabilities, got {len(frequencies)}")
    basis = None
    rows = given
    if not nonnegative and given.shape[1] > 1:  # only the span of the rows matters
        left, sizes, basis = np.linalg.svd(given, full_matrices=False)
        rows = left * sizes

    known = None if start is None else start.state.get((num_classes, len(wanted)))
    parts = []
    size = max(1, BLOCK_ENTRIES // num_classes**2)
    for first in range(0, len(wanted), size):
        part = slice(first, first + size)
        dual = _Dual(rows, wanted[part], radius, nonnegative)
        found = None if known is None else dual.solve(known[part], SMOOTHING[WARM:])
        if found is None or not is_certified(found.values.sum(), found.bounds.sum(), 0.0, AIM):
            found = dual.solve(np.zeros_like(wanted[part]), SMOOTHING)
        parts.append(found)
    values, bounds, points, logarithms = (np.concatenate(column) for column in zip(*parts, strict=True))
    value = float(frequencies @ values)
    certificate = float(min(value, frequencies @ bounds))
    collapsed = float(np.log(num_classes))
    return Floor(
        value,
        certificate,
        collapsed,
        points if basis is None else points @ basis,
        given,
        converged=is_certified(value, certificate, collapsed, 100 * AIM),
        state={(num_classes, len(wanted)): logarithms},
    )


class _Solved(NamedTuple):
    """Values (T,), certificates (T,), points (T, h) and log p (T, K)."""

    values: np.ndarray
    bounds: np.ndarray
    points: np.ndarray
    logarithms: np.ndarray


class _Dual:
    """entropy(p) − ρ·√(‖v₊‖² + δ²) with v = Wᵀ(t − p), for many targets at once."""

    def __init__(self, rows: np.ndarray, targets: np.ndarray, radius: float, nonnegative: bool):
        self.rows, self.targets, self.radius, self.nonnegative = rows, targets, radius, nonnegative
        self.one_hot = targets.max(axis=1) == 1
        self.allowed = ~(self.one_hot[:, None] & (targets == 1))  # the classes over which p spreads

    def solve(self, logarithms: np.ndarray, smoothings: np.ndarray) -> "_Solved":
        """Maximise from a first log p, for one δ after another."""
        logarithms = self.normalised(logarithms)
        scale = np.linalg.norm(self.rows, axis=1).max() or 1.0
        values, bounds = np.full(len(logarithms), np.inf), np.full(len(logarithms), -np.inf)
        points = np.zeros((len(logarithms), self.rows.shape[1]))
        open_targets = np.arange(len(logarithms))
        for smoothing in scale * smoothings:
            part = logarithms[open_targets]
            for _ in range(NEWTON_STEPS):
                decrement, direction = self.newton(part, smoothing, open_targets)
                part = self.line_search(part, direction, decrement, smoothing, open_targets)
                if decrement.max() < 1e-13:
                    break
            logarithms[open_targets] = part
            value, bound, point = self.answer(part, smoothing, open_targets)
            # The best of all δ: where the smallest ones drown in rounding, those before stand.
            better = value < values[open_targets]
            points[open_targets[better]] = point[better]
            values[open_targets] = np.minimum(values[open_targets], value)
            bounds[open_targets] = np.maximum(bounds[open_targets], bound)
            open_targets = np.flatnonzero(values - bounds > AIM / 100 * values)
            if not len(open_targets):
                break
        return _Solved(values, bounds, points, logarithms)

    def normalised(self, logarithms: np.ndarray, chosen: np.ndarray | slice = slice(None)) -> np.ndarray:
        """log p with sum 1 over the allowed classes, −∞ elsewhere."""
        allowed = self.allowed[chosen]
        logarithms = np.where(allowed, logarithms, -np.inf)
        logarithms = logarithms - np.logaddexp.reduce(logarithms, axis=1, keepdims=True)
        return np.where(allowed, np.maximum(logarithms, LEAST_LOGARITHM), -np.inf)

    def pull(self, logarithms: np.ndarray, chosen: np.ndarray | slice = slice(None)) -> np.ndarray:
        """v or its positive part, shape (T, h)."""
        pull = (self.targets[chosen] - np.exp(logarithms)) @ self.rows
        return np.maximum(pull, 0.0) if self.nonnegative else pull

    def value(self, logarithms: np.ndarray, smoothing: float, chosen: np.ndarray | slice = slice(None)) -> np.ndarray:
        """The dual, shape (T,)."""
        length = np.hypot(np.linalg.norm(self.pull(logarithms, chosen), axis=1), smoothing)
        return _entropy(logarithms) - self.radius * length

    def newton(self, logarithms: np.ndarray, smoothing: float, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Newton's decrement (T,) and direction in log p (T, K)."""
        pull = self.pull(logarithms, chosen)
        length = np.hypot(np.linalg.norm(pull, axis=1), smoothing)[:, None]
        scores = pull @ self.rows.T / length
        finite = np.where(self.allowed[chosen], logarithms, 0.0)
        gradient = np.where(self.allowed[chosen], self.radius * scores - finite, 0.0)
        root = np.exp(logarithms / 2)
        if self.nonnegative:
            gram = np.stack([self.rows[:, part] @ self.rows[:, part].T for part in pull > 0])
        else:
            gram = self.rows @ self.rows.T
        curvature = (self.radius / length)[:, :, None] * (gram - scores[:, :, None] * scores[:, None, :])
        system = np.eye(len(self.rows)) + root[:, :, None] * curvature * root[:, None, :]
        gradient = gradient - np.sum(root**2 * gradient, axis=1, keepdims=True)
        solved = np.linalg.solve(system, np.stack([root * gradient, root], axis=2))
        along, level = solved[:, :, 0], solved[:, :, 1]
        shift = np.sum(root * along, axis=1) / np.sum(root * level, axis=1)
        step = along - shift[:, None] * level
        decrement = np.sum(step * root * gradient, axis=1)
        return decrement, np.divide(step, root, out=np.zeros_like(step), where=root > 0)

    def line_search(
        self, logarithms: np.ndarray, direction: np.ndarray, decrement: np.ndarray, smoothing: float, chosen: np.ndarray
    ) -> np.ndarray:
        """log p after a step that raises the dual, halved where it would not."""
        now = self.value(logarithms, smoothing, chosen)
        length = np.ones(len(chosen))
        for _ in range(30):
            moved = self.normalised(
                np.where(np.isfinite(logarithms), logarithms, 0.0) + length[:, None] * direction, chosen
            )
            failed = self.value(moved, smoothing, chosen) < now + 1e-4 * length * decrement - 1e-13 * (1 + np.abs(now))
            if not failed.any():
                return moved
            length = np.where(failed, length / 2, length)
        return np.where(failed[:, None], logarithms, moved)

    def answer(
        self, logarithms: np.ndarray, smoothing: float, chosen: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Values of the points that belong to p, certificates, and the points."""
        pull = self.pull(logarithms, chosen)
        size = np.linalg.norm(pull, axis=1, keepdims=True)
        points = self.radius * pull / np.hypot(size, smoothing)
        scores = points @ self.rows.T
        relative = scores - np.sum(self.targets[chosen] * scores, axis=1, keepdims=True)
        relative = np.where(self.allowed[chosen], relative, -np.inf)
        values: np.ndarray = np.logaddexp.reduce(relative, axis=1)
        bounds: np.ndarray = _entropy(logarithms) - self.radius * size[:, 0]
        alone = self.one_hot[chosen]
        values = np.where(alone, np.logaddexp(0.0, values), values)
        bounds = np.where(alone, np.logaddexp(0.0, bounds), bounds)
        return values, bounds, points


def _entropy(logarithms: np.ndarray) -> np.ndarray:
    """−Σ p·log p of each row, from log p."""
    return -np.sum(np.exp(logarithms) * np.where(np.isfinite(logarithms), logarithms, 0.0), axis=1)
