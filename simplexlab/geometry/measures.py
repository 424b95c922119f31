"""Statistics of a configuration: angular similarities, neural collapse, alignment, uniformity, norms."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from simplexlab.geometry.catalogue import Optimum, measured_values, optimal_values, standard_optimum
from simplexlab.geometry.checks import LARGEST, as_array, class_labels, matrix, whole
from simplexlab.geometry.configurations import SimplexDeviation, simplex_deviation
from simplexlab.geometry.similarity import pairwise_similarity, unit_vectors

HISTOGRAM_EDGES = np.linspace(0.0, 1.0, 51)
"""Edges of the histograms of angular similarities, shape (51,)."""
UNIFORMITY_ROWS = 64  # of points whose pairs are held at once: they stay in the cache
UNIFORMITY_POINTS = 2048
QUANTILES = {"q05": 0.05, "q25": 0.25, "q50": 0.5, "q75": 0.75, "q95": 0.95}


@dataclass(frozen=True)
class Distribution:
    """A distribution of angular similarities: moments, quantiles, and a histogram over [0, 1].

    Attributes:
        mean, std, minimum, q05, q25, q50, q75, q95, maximum: of the values; the standard deviation is the population's.
        histogram: number of values in each of 50 equal bins of [0, 1] (`HISTOGRAM_EDGES`), shape (50,).
    """

    mean: float
    std: float
    minimum: float
    q05: float
    q25: float
    q50: float
    q75: float
    q95: float
    maximum: float
    histogram: np.ndarray

    @classmethod
    def of(cls, values: np.ndarray) -> "Distribution":
        """Describe similarities of shape (n,), n ≥ 1."""
        quantiles = np.quantile(values, list(QUANTILES.values()))
        return cls(
            mean=float(values.mean()),
            std=float(values.std()),
            minimum=float(values.min()),
            maximum=float(values.max()),
            histogram=np.histogram(values, HISTOGRAM_EDGES)[0],
            **dict(zip(QUANTILES, map(float, quantiles), strict=True)),
        )

    def to_dict(self) -> dict[str, float]:
        """The numbers without the histogram."""
        names = ("mean", "std", "minimum", *QUANTILES, "maximum")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True)
class Statistics:
    """What `statistics` measures. Every number beside its optimum: `optimum`.

    Attributes:
        num_points, num_classes, dimension: N, K, h.
        class_counts: points of each class, shape (K,).
        nonnegative: whether no coordinate is negative, as after a ReLU; the orthogonal frame is then the optimum.
        imbalance: largest over smallest class count, minus 1; 0 exactly for balanced labels.
        class_mean_similarity: γ(μ_i, μ_j) over i < j.
        weight_similarity: γ(w_i, w_j) over i < j; None without weights.
        within_class_similarity: γ(z_n, μ_{y_n}) over n.
        nc1: tr(Σ_W Σ_B⁺)/K, Σ_W the mean over points of the scatter about their class mean, Σ_B the mean over classes
            of the scatter of the class means about their centre; None when all class means coincide.
        nc2: ‖MMᵀ/‖MMᵀ‖_F − (I − 11ᵀ/K)/√(K−1)‖_F, M the centred class means.
        nc3: ‖W/‖W‖_F − M/‖M‖_F‖_F; None without weights.
        nc4: share of points whose class by Wz differs from the class of the nearest class mean; None without weights.
        cdnv: mean over pairs of classes of (V_i + V_j)/(2‖μ_i − μ_j‖²), V_i the mean of ‖z_n − μ_i‖² over class i; None
            when two class means coincide.
        effective_rank: exp of the entropy of the centred representations' singular values, each divided by their sum;
            None when all representations coincide.
        alignment: E‖z_i − z_j‖² over pairs of one class, z normalised; None when no class has two points.
        uniformity: log E exp(−2‖z_i − z_j‖²) over independent i, j, z normalised.
        uniformity_points: number of points from which the uniformity was taken; N where it is exact.
        norms: mean, rms, minimum and maximum of ‖z_n‖.
        simplex_deviation: of the class means; None when they are all 0.
        class_means: μ, shape (K, h).
        gram: cosines ⟨μ_i, μ_j⟩/(‖μ_i‖‖μ_j‖), shape (K, K).
        centred_gram: the same of the centred class means; centring turns an orthogonal frame into a simplex.
        representations, labels, weights: what was measured, as it was given, for statistics of one's own.
    """

    num_points: int
    num_classes: int
    dimension: int
    class_counts: np.ndarray
    nonnegative: bool
    imbalance: float
    class_mean_similarity: Distribution
    weight_similarity: Distribution | None
    within_class_similarity: Distribution
    nc1: float | None
    nc2: float
    nc3: float | None
    nc4: float | None
    cdnv: float | None
    effective_rank: float | None
    alignment: float | None
    uniformity: float
    uniformity_points: int
    norms: dict[str, float]
    simplex_deviation: SimplexDeviation | None
    class_means: np.ndarray
    gram: np.ndarray
    centred_gram: np.ndarray
    representations: np.ndarray = field(repr=False)
    labels: np.ndarray = field(repr=False)
    weights: np.ndarray | None = field(repr=False)

    def to_dict(self, best: Optimum | None = None) -> dict[str, Any]:
        """The numbers, ready for JSON, without the arrays and histograms: facts, and every row of the catalogue.

        Args:
            best: the optimum that statistics are measured against; by default the simplex, or for non-negative
                representations the orthogonal frame.
        """
        deviation = self.simplex_deviation
        if best is None:
            best = standard_optimum(self.num_classes, "nonnegative" if self.nonnegative else "free", self.dimension)
        return {
            "num_points": self.num_points,
            "num_classes": self.num_classes,
            "dimension": self.dimension,
            "nonnegative": self.nonnegative,
            "imbalance": self.imbalance,
            **measured_values(self, best),
            "uniformity_points": self.uniformity_points,
            "norms": dict(self.norms),
            "simplex_deviation": None
            if deviation is None
            else {"centre": deviation.centre, "norm": deviation.norm, "inner_product": deviation.inner_product},
        }


def optimum(num_classes: int, features: str = "free") -> dict[str, float | None]:
    """Value of every statistic at the optimum of CE and SC for balanced labels.

    Args:
        num_classes: K ≥ 2.
        features: `free` for the regular simplex, `nonnegative` for the orthogonal frame (an encoder that ends in a
            ReLU; the optimal classifier there is its centred copy, a simplex).

    Returns:
        Optimal values under the keys of the catalogue; for a distribution, the value that all of it takes.
    """
    return optimal_values(standard_optimum(num_classes, features))


def statistics(
    representations: ArrayLike,
    labels: ArrayLike,
    weights: ArrayLike | None = None,
    *,
    num_classes: int | None = None,
    block: int = 1024,
) -> Statistics:
    """Measure a configuration of labelled representations, and of classifier weights where there are some.

    Works in float64 on blocks of points, so that float32 representations are never copied as a whole.

    Args:
        representations: z, float32 or float64, shape (N, h).
        labels: y in 0 … K−1, each class with a point, shape (N,).
        weights: rows of the classifier, shape (K, h). For SC, pass the class means if they serve as the classifier.
        num_classes: K; by default one more than the largest label.
        block: points a block.

    Returns:
        The statistics. Uniformity is over all pairs up to 2048 points and beyond that over the pairs of 2048 points,
        neighbours taken at equal steps from the points sorted by class; the pairs within and between classes
        enter with the shares that they have among all pairs.

    Raises:
        ValueError: shapes that do not fit, numbers that are not finite, labels that are not 0 … K−1, an absent class.

    Reference: Eq. 7 of the paper; Papyan et al. 2020 (NC1–4); Wang & Isola 2020 (alignment, uniformity).
    """
    representations = matrix("representations", representations, dtype=None)
    num_points, dimension = representations.shape
    labels, counts = class_labels(labels, num_points, num_classes)
    num_classes = len(counts)
    block = whole("block", block, 1)
    scale = _scale("representations", representations)
    given_weights: np.ndarray | None = None
    if weights is not None:
        given_weights = matrix("weights", weights)
        if given_weights.shape != (num_classes, dimension):
            raise ValueError(f"the weights must have shape ({num_classes}, {dimension}), got {given_weights.shape}")
        weights = given_weights / _scale("weights", given_weights)

    points = _SortedPoints(representations, labels, scale, block)
    norms, sums, unit_sums = _class_sums(points, (num_classes, dimension))
    class_means = sums / counts[:, None]
    directions = unit_vectors(class_means)
    centred_means = class_means - class_means.mean(axis=0)
    within, nc1, nc4, squares, scatter = _about_class_means(points, norms, class_means, weights)
    # The scatter between classes apart, so that the class means keep their digits where the classes have collapsed.
    between = class_means - (counts / num_points) @ class_means
    scatter += (between * counts[:, None]).T @ between
    uniformity, uniformity_points = _uniformity(points, counts)
    means_product = centred_means @ centred_means.T
    simplex_product = (np.eye(num_classes) - 1 / num_classes) / np.sqrt(num_classes - 1)
    return Statistics(
        num_points=num_points,
        num_classes=num_classes,
        dimension=dimension,
        class_counts=counts,
        nonnegative=bool(representations.min() >= 0),
        imbalance=imbalance(counts),
        class_mean_similarity=Distribution.of(pairwise_similarity(class_means)),
        weight_similarity=None if weights is None else Distribution.of(pairwise_similarity(weights)),
        within_class_similarity=Distribution.of(within),
        nc1=nc1,
        nc2=float(np.linalg.norm(_unit_norm(means_product) - simplex_product)),
        nc3=None if weights is None else float(np.linalg.norm(_unit_norm(weights) - _unit_norm(centred_means))),
        nc4=nc4,
        cdnv=_class_distance_normalised_variance(squares / counts, class_means),
        effective_rank=effective_rank(scatter),
        alignment=_alignment(counts, np.bincount(points.labels, norms > 0, num_classes), unit_sums),
        uniformity=uniformity,
        uniformity_points=uniformity_points,
        norms={
            "mean": float(norms.mean() * scale),
            "rms": float(np.sqrt(np.mean(norms**2)) * scale),
            "minimum": float(norms.min() * scale),
            "maximum": float(norms.max() * scale),
        },
        simplex_deviation=simplex_deviation(class_means) if class_means.any() else None,
        class_means=class_means * scale,
        gram=directions @ directions.T,
        centred_gram=_cosines(centred_means),
        representations=representations,
        labels=labels,
        weights=given_weights,
    )


def class_means(representations: ArrayLike, labels: ArrayLike) -> np.ndarray:
    """Mean of each class in float64.

    Args:
        representations: z, float32 or float64, shape (N, h).
        labels: y in 0 … K−1, each class with a point, shape (N,).

    Returns:
        μ, shape (K, h).

    Raises:
        ValueError: shapes that do not fit, numbers that are not finite, labels that are not 0 … K−1, an absent class.
    """
    representations = matrix("representations", representations, dtype=None)
    labels, counts = class_labels(labels, len(representations))
    scale = _scale("representations", representations)
    _, sums, _ = _class_sums(_SortedPoints(representations, labels, scale), (len(counts), representations.shape[1]))
    return sums / counts[:, None] * scale


def imbalance(class_counts: ArrayLike) -> float:
    """Largest over smallest class count, minus 1: 0 exactly for balanced labels."""
    class_counts = as_array(class_counts)
    return float(class_counts.max() / class_counts.min() - 1)


def _scale(name: str, array: np.ndarray) -> float:
    """The power of two next to the largest number, by which squares neither overflow nor vanish nor round."""
    largest = max(abs(float(array.max())), abs(float(array.min())))
    if not np.isfinite(largest):
        raise ValueError(f"the {name} must be finite; they hold NaN or infinity")
    if largest > LARGEST / array.shape[1] ** 0.5:
        raise ValueError(f"the {name} must have norms of at most {LARGEST:g}; they hold {largest:g}")
    return float(np.ldexp(1.0, int(np.frexp(largest)[1]) - 1)) if largest else 1.0


class _SortedPoints:
    """Labelled points, sorted by class so that a block holds few classes, and read in float64 one block at a time.

    Attributes:
        labels: the sorted labels, shape (N,).
    """

    def __init__(self, representations: np.ndarray, labels: np.ndarray, scale: float, block: int = 1024) -> None:
        self._representations, self._scale, self._block = representations, scale, block
        self._order = np.argsort(labels, kind="stable")
        self.labels = labels[self._order]

    def take(self, positions: np.ndarray | slice) -> np.ndarray:
        """The points at these positions of the sorted order, divided by the scale."""
        return np.divide(self._representations[self._order[positions]], self._scale, dtype=np.float64)

    def blocks(self) -> Iterator[tuple[slice, np.ndarray]]:
        """Each block's positions and its points."""
        for start in range(0, len(self.labels), self._block):
            part = slice(start, min(start + self._block, len(self.labels)))
            yield part, self.take(part)


def _class_sums(points: _SortedPoints, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Norms of the points (N,), and the sums over each class of the points and of their directions, (K, h) each."""
    norms = np.empty(len(points.labels))
    sums, unit_sums = np.zeros(shape), np.zeros(shape)
    for part, values in points.blocks():
        norms[part] = np.sqrt(np.einsum("nh,nh->n", values, values))
        present, position = np.unique(points.labels[part], return_inverse=True)
        members = np.eye(len(present))[:, position]
        sums[present] += members @ values
        unit_sums[present] += (members / np.where(norms[part] > 0, norms[part], 1.0)) @ values
    return norms, sums, unit_sums


def _about_class_means(
    points: _SortedPoints, norms: np.ndarray, class_means: np.ndarray, weights: np.ndarray | None
) -> tuple[np.ndarray, float | None, float | None, np.ndarray, np.ndarray]:
    """Similarity of every point to its class mean (N,), NC1, NC4, Σ‖z_n − μ_y‖² of each class (K,), scatter (h, h)."""
    labels = points.labels
    directions = unit_vectors(class_means)
    centre = class_means.mean(axis=0)
    # M = USVᵀ gives Σ_B = VS²Vᵀ/K, so that NC1 is the mean of ‖(z_n − μ_{y_n})VS⁻¹‖².
    span, spreads = _span(class_means - centre)
    rank = len(spreads)
    mean_coordinates = (class_means - centre) @ span
    half_squares = 0.5 * np.sum(mean_coordinates**2, axis=1)
    # One product gives the coordinates in the span of M and the scores of the classifier.
    projection = span if weights is None else np.hstack([span, weights.T])
    square_chords = np.full(len(labels), 2.0)  # a zero vector counts as orthogonal
    directed = (norms > 0) & np.any(directions, axis=1)[labels]
    scatter, disagreements = 0.0, 0
    squares, within = np.zeros(len(class_means)), np.zeros((class_means.shape[1],) * 2)
    for part, values in points.blocks():
        offsets = values - class_means[labels[part]]
        squares += np.bincount(labels[part], np.einsum("nh,nh->n", offsets, offsets), len(class_means))
        within += offsets.T @ offsets
        products = values @ projection
        coordinates = products[:, :rank] - centre @ span
        if weights is not None:
            nearest = np.argmax(coordinates @ mean_coordinates.T - half_squares, axis=1)
            disagreements += int(np.count_nonzero(np.argmax(products[:, rank:], axis=1) != nearest))
        coordinates -= mean_coordinates[labels[part]]
        coordinates /= spreads
        scatter += np.vdot(coordinates, coordinates)
        # The chord of the angle keeps the digits of small angles, which a cosine loses.
        values -= norms[part, None] * directions[labels[part]]
        chords = np.einsum("nh,nh->n", values, values)
        np.divide(chords, norms[part] ** 2, out=square_chords[part], where=directed[part])
    square_chords = np.minimum(square_chords, 4.0)
    similarities = 1 - 2 * np.arctan2(np.sqrt(square_chords), np.sqrt(4 - square_chords)) / np.pi
    nc1 = float(scatter / len(labels)) if rank else None
    return similarities, nc1, None if weights is None else disagreements / len(labels), squares, within


def _span(centred_means: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Orthonormal columns that span the centred class means, shape (h, rank), and their singular values (rank,)."""
    _, singular_values, right = np.linalg.svd(centred_means, full_matrices=False)
    tolerance = singular_values[0] * max(centred_means.shape) * np.finfo(np.float64).eps
    rank = min(np.count_nonzero(singular_values > tolerance), len(centred_means) - 1)
    return right[:rank].T, singular_values[:rank]


def effective_rank(scatter: np.ndarray) -> float | None:
    """exp of the entropy of the singular values σ of centred representations, each divided by their sum.

    Args:
        scatter: Σ(z_n − z̄)(z_n − z̄)ᵀ, shape (h, h), whose eigenvalues are σ².

    Returns:
        A number from 1 to the rank; None where all representations coincide.

    Reference: Roy & Vetterli 2007.
    """
    eigenvalues = np.linalg.eigvalsh(scatter)
    tolerance = len(scatter) * np.finfo(np.float64).eps * max(eigenvalues[-1], 0.0)
    singular_values = np.sqrt(eigenvalues[eigenvalues > tolerance])
    if not len(singular_values):
        return None
    shares = singular_values / singular_values.sum()
    return float(np.exp(-np.sum(shares * np.log(shares))))


def _class_distance_normalised_variance(variances: np.ndarray, class_means: np.ndarray) -> float | None:
    """Mean over i ≠ j of (V_i + V_j) / (2‖μ_i − μ_j‖²); None where two class means coincide."""
    first, second = np.triu_indices(len(variances), 1)
    differences = class_means[first] - class_means[second]
    squares = np.einsum("ph,ph->p", differences, differences)
    if squares.min() <= 0:
        return None
    return float(np.mean((variances[first] + variances[second]) / (2 * squares)))


def _alignment(counts: np.ndarray, unit_squares: np.ndarray, unit_sums: np.ndarray) -> float | None:
    """E‖u_i − u_j‖² over i ≠ j of one class, from Σ_{i,j}‖u_i − u_j‖² = 2n·Σ‖u_i‖² − 2‖Σu_i‖²."""
    pairs = np.sum(counts * (counts - 1.0))
    spread = 2 * np.sum(counts * unit_squares) - 2 * np.sum(unit_sums**2)
    return float(max(spread / pairs, 0.0)) if pairs else None


def _uniformity(points: _SortedPoints, counts: np.ndarray) -> tuple[float, int]:
    num_points = len(points.labels)
    sample = np.arange(num_points)
    if num_points > UNIFORMITY_POINTS:
        # Neighbours in the sorted order, so that classes of few points still give pairs within a class.
        first = np.linspace(0, num_points - 2, UNIFORMITY_POINTS // 2).astype(np.int64)
        sample = np.unique(np.concatenate([first, first + 1]))
    units = unit_vectors(points.take(sample))
    sizes = np.bincount(points.labels[sample], minlength=len(counts))
    # −2‖u − v‖² is the inner product of a row of `left` and one of `right`: no pass over all pairs to subtract squares.
    squares, ones = 2 * np.sum(units**2, axis=1, keepdims=True), np.ones((len(units), 1))
    left, right = np.hstack([4 * units, -squares, ones]), np.hstack([units, ones, -squares])
    total = _sum_of_exponentials(left, right)
    ends = np.cumsum(sizes)
    classes = [slice(end - size, end) for end, size in zip(ends, sizes, strict=True)]
    same = sum(_sum_of_exponentials(left[members], right[members]) for members in classes)
    same_pairs, other_pairs = np.sum(sizes * (sizes - 1.0)), len(units) ** 2 - np.sum(sizes**2.0)
    # Every point is at distance 0 from itself; pairs within and between classes enter by their shares in the data.
    same_mean = (same - len(units)) / same_pairs if same_pairs else 1.0
    same_share, other_share = np.sum(counts * (counts - 1.0)), num_points**2 - np.sum(counts**2.0)
    expectation = (num_points + same_share * same_mean + other_share * (total - same) / other_pairs) / num_points**2
    return float(np.log(expectation)), len(units)


def _sum_of_exponentials(left: np.ndarray, right: np.ndarray) -> float:
    """Σ exp⟨left_i, right_j⟩ over all pairs of rows, where ⟨left_i, right_j⟩ = ⟨left_j, right_i⟩."""
    total, space = 0.0, np.empty(UNIFORMITY_ROWS * len(left))
    for start in range(0, len(left), UNIFORMITY_ROWS):
        rows, later = left[start : start + UNIFORMITY_ROWS], right[start:]
        exponentials = space[: len(rows) * len(later)].reshape(len(rows), len(later))
        np.matmul(rows, later.T, out=exponentials)
        np.exp(exponentials, out=exponentials)
        total += 2 * exponentials.sum() - exponentials[:, : len(rows)].sum()
    return float(total)


def _unit_norm(array: np.ndarray) -> np.ndarray:
    """Divide by the Frobenius norm; 0 stays 0."""
    norm = np.linalg.norm(array)
    return array / norm if norm > 0 else array


def _cosines(points: np.ndarray) -> np.ndarray:
    points = unit_vectors(points)
    return points @ points.T
