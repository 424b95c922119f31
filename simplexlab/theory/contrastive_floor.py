"""The floor of the supervised contrastive loss for any label counts: in expectation, on a sample, on one batch.

On the sphere of radius ρ classes collapse at the optimum. The loss of a batch is convex in the Gram matrix of its
points, so that averaging it over permutations within classes does not raise the loss; then the inner products within
classes can be raised to ρ², which lowers it and leaves the Gram matrix positive semidefinite. What remains is a convex
function f of the K×K Gram matrix C of the class means (see `contrastive_mean`), C ⪰ 0 and C_yy = ρ². With G = ∇f(C),

    f(C′) ≥ f(C) − ⟨G, C⟩ − ρ²·Σ_y e_y   for every such C′ and any diagonal with Diag(e) ⪰ −G,

and at the optimum e_y = −(G·C)_yy/ρ² is such a diagonal and both sides are equal. The rank of C is K−1 at most there.
For non-negative points C ≥ 0, and the orthogonal frame, C = ρ²·I, is best for every batch.
"""

from dataclasses import replace
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike

from simplexlab.geometry import orthogonal_frame, regular_simplex
from simplexlab.geometry.checks import choice, whole
from simplexlab.theory.contrastive import composition_value, squared_radius
from simplexlab.theory.contrastive_mean import GivenBatches, IndependentBatches, symmetric_mean, whole_counts
from simplexlab.theory.cross_entropy import FEATURES, Features
from simplexlab.theory.floor import Floor, conditioned, fits, least_diagonal, refuse_too_many, to_sphere
from simplexlab.theory.program import in_few_dimensions, solve, state_of

LARGEST_SQUARE = 1e200  # of the radius; beyond, inner products overflow


def sc_floor(
    class_probabilities: ArrayLike,
    batch_size: int,
    *,
    radius: float | None = None,
    temperature: float | None = None,
    dimension: int | None = None,
    features: Features = "free",
    views: int = 1,
    start: Floor | None = None,
) -> Floor:
    """The least mean SC loss of a batch (sum over anchors) over all points on the sphere, for any class probabilities.

    Exact in expectation over batches whose images are drawn independently: nothing is sampled. Equal probabilities have
    it in closed form (Theorem 2 for iid batches), and so have non-negative points; otherwise a convex program is solved
    and certified.

    Args:
        class_probabilities: p > 0 with sum 1, shape (K,), 2 ≤ K ≤ 10⁴.
        batch_size: images b of a batch, at least 3, at least 2 with two views.
        radius: ρ > 0, the norm of the representations; or
        temperature: τ > 0, the same as ρ = 1/√τ.
        dimension: h of the representations; by default as many as the optimum needs. With less, `best_known` is the
            least value found in h dimensions.
        features: `free`, or `nonnegative` for an encoder that ends in a ReLU.
        views: points that each image gives to the batch, such as two augmentations.
        start: floor of as many classes under another radius or other probabilities, from which the program starts.

    Returns:
        The floor with class means.

    Raises:
        ValueError: an argument out of range, or a program too large for memory.

    Reference: the module's docstring.
    """
    batches = IndependentBatches(class_probabilities, batch_size, views)
    p, square = batches.probabilities, _square(radius, temperature)
    num_classes = len(p)

    def symmetric(gap: float) -> float:
        return symmetric_mean(p, batches.batch_size, batches.views, gap)

    collapsed = symmetric(0.0)
    closed = None
    if choice("features", features, FEATURES) == "nonnegative":
        closed = symmetric(square)
    elif np.ptp(p) <= 1e-12 / num_classes:
        closed = symmetric(square * num_classes / (num_classes - 1))
    return gram_floor(batches, num_classes, square, dimension, features, closed, collapsed, start)


def sc_floor_of_batches(
    label_counts: ArrayLike,
    *,
    radius: float | None = None,
    temperature: float | None = None,
    dimension: int | None = None,
    features: Features = "free",
    start: Floor | None = None,
) -> Floor:
    """The least mean SC loss (sum over anchors) of a sample of batches over all points on the sphere.

    Args:
        label_counts: l of each batch, whole numbers, shape (R, K), 2 ≤ K ≤ 10⁴; a class may be absent from all.
        radius: ρ > 0, the norm of the representations; or
        temperature: τ > 0, the same as ρ = 1/√τ.
        dimension: see `sc_floor`.
        features: see `sc_floor`.
        start: see `sc_floor`.

    Returns:
        The floor with class means, which are 0 for a class that is absent.

    Raises:
        ValueError: an argument out of range, or a program too large for memory.

    Reference: the module's docstring.
    """
    counts = whole_counts(label_counts)
    if counts.ndim != 2 or not counts.size:
        raise ValueError(f"the label counts must be of R batches and K classes, got shape {counts.shape}")
    square = _square(radius, temperature)
    choice("features", features, FEATURES)
    present = counts.any(axis=0)
    used = counts[:, present]
    num_classes = used.shape[1]
    size = used.sum(axis=1)
    collapsed = float(np.mean(np.sum(np.where(used > 1, used, 0), axis=1) * np.log(np.maximum(size - 1, 1))))
    if num_classes < 2:  # every configuration is alike
        points = np.zeros((counts.shape[1], 1))
        points[present] = square**0.5
        return Floor(collapsed, collapsed, collapsed, points, origin="a single class")
    closed: float | None = float(np.mean(composition_value(used, square**0.5, features=features)))
    if features == "free" and np.ptp(used, axis=1).any():
        closed = None
    floor = gram_floor(GivenBatches(used), num_classes, square, dimension, features, closed, collapsed, start)
    if floor.points is None or present.all():
        return floor
    points = np.zeros((counts.shape[1], floor.points.shape[1]))
    points[present] = floor.points
    return replace(floor, points=points)


def sc_floor_of_composition(
    label_counts: ArrayLike,
    *,
    radius: float | None = None,
    temperature: float | None = None,
    dimension: int | None = None,
    features: Features = "free",
) -> Floor:
    """The least SC loss (sum over anchors) of one batch over all points on the sphere.

    Args:
        label_counts: l, whole numbers, shape (K,); a class may be absent.
        radius: ρ > 0, the norm of the representations; or
        temperature: τ > 0, the same as ρ = 1/√τ.
        dimension: see `sc_floor`.
        features: see `sc_floor`.

    Returns:
        The floor with class means, which are 0 for a class that is absent.

    Raises:
        ValueError: an argument out of range.

    Reference: the module's docstring; Fig. 5 of the paper.
    """
    counts = whole_counts(label_counts)
    if counts.ndim != 1:
        raise ValueError(f"the label counts must be one number for each class, got shape {counts.shape}")
    whole("batch size", int(counts.sum()), 3)
    return sc_floor_of_batches(
        counts[None], radius=radius, temperature=temperature, dimension=dimension, features=features
    )


class GramLoss(Protocol):
    """A convex function of the Gram matrix of the class means, such as the mean loss over a law of batches."""

    def value_and_gradient(self, gram: np.ndarray) -> tuple[float, np.ndarray]:
        """The value and its gradient at a Gram matrix (K, K)."""


def gram_floor(
    batches: GramLoss,
    num_classes: int,
    square: float,
    dimension: int | None,
    features: Features,
    closed: float | None,
    collapsed: float,
    start: Floor | None,
) -> Floor:
    """The floor from its closed form if there is one, otherwise from the program."""
    nonnegative = features == "nonnegative"
    needed = num_classes if nonnegative else num_classes - 1
    dimension = needed if dimension is None else whole("dimension", dimension, 1)
    radius = float(np.sqrt(square))
    program = _Program(batches, radius, nonnegative)
    if closed is None or dimension < needed:
        refuse_too_many(num_classes * (needed if closed is None else dimension), num_classes)
    if closed is not None:
        points = None
        if fits(num_classes * needed):
            points = radius * (orthogonal_frame if nonnegative else regular_simplex)(num_classes, needed)
        origin = "orthogonal frame" if nonnegative else "regular simplex"
        floor = Floor(closed, closed, collapsed, points, origin=origin)
    else:
        free = state_of(start, num_classes, needed)
        end = solve(program, program.start(regular_simplex(num_classes, needed)) if free is None else free, collapsed)
        points, _ = program.configuration(end.free)
        state = {(num_classes, needed): end.free}
        floor = Floor(end.value, end.certificate, collapsed, points, converged=end.converged, state=state)
    if dimension >= needed:
        return floor
    return in_few_dimensions(program, floor, num_classes, dimension, nonnegative, start)


class _Program:
    """f(Z·Zᵀ) over free vectors whose directions are those of the class means Z, shape (K, h)."""

    def __init__(self, batches: GramLoss, radius: float, nonnegative: bool):
        self.batches, self.radius, self.nonnegative = batches, radius, nonnegative

    def start(self, units: np.ndarray) -> np.ndarray:
        """See `Program`."""
        free = np.sqrt(np.abs(units)) if self.nonnegative else units
        points, _ = to_sphere(free, self.radius, self.nonnegative)
        return conditioned(free, self.batches.value_and_gradient(self._gram(points))[1].sum(axis=1))

    def value_and_gradient(self, free: np.ndarray) -> tuple[float, np.ndarray]:
        """See `Program`."""
        points, backward = to_sphere(free, self.radius, self.nonnegative)
        value, gradient = self.batches.value_and_gradient(self._gram(points))
        return value, backward(2 * gradient @ points)

    def value_and_certificate(self, free: np.ndarray) -> tuple[float, float]:
        """See `Program`."""
        points, _ = to_sphere(free, self.radius, self.nonnegative)
        gram = self._gram(points)
        value, gradient = self.batches.value_and_gradient(gram)
        square = self.radius**2
        diagonal = least_diagonal(-gradient, -np.sum(gradient * gram, axis=1) / (square or 1.0))
        return value, float(value - np.vdot(gradient, gram) - square * diagonal.sum())

    def configuration(self, free: np.ndarray) -> tuple[np.ndarray, None]:
        """See `Program`."""
        return to_sphere(free, self.radius, self.nonnegative)[0], None

    def _gram(self, points: np.ndarray) -> np.ndarray:
        gram = points @ points.T
        np.fill_diagonal(gram, self.radius**2)
        return gram


def _square(radius: float | None, temperature: float | None) -> float:
    square = float(squared_radius(radius, temperature))
    if square > LARGEST_SQUARE:
        raise ValueError(f"the squared radius (1/temperature) must be at most {LARGEST_SQUARE:g}, got {square:g}")
    return square
