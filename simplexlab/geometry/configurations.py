"""The optimal configurations, regular simplex and orthogonal frame, and how far a configuration is from a simplex."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from simplexlab.geometry.checks import choice, finite, matrix, positive, whole

HEAD_ALIGNMENTS = ("rotated", "aligned")


def regular_simplex(num_classes: int, dimension: int, radius: float = 1.0, dtype: DTypeLike = np.float64) -> np.ndarray:
    """Vertices of a regular simplex with centre 0 on the sphere of a given radius.

    ⟨ζ_i, ζ_j⟩ = −ρ²/(K−1) for i ≠ j and ‖ζ_i‖ = ρ. The first vertex is (ρ, 0, …); vertex i uses the first i+1
    coordinates, the last one the first K−1.

    Args:
        num_classes: number of vertices K ≥ 2.
        dimension: dimension h of the space, at least K − 1.
        radius: radius ρ > 0 of the sphere.
        dtype: floating point type of the result.

    Returns:
        The vertices, one a row, shape (K, h).

    Raises:
        ValueError: K > h + 1 (no regular simplex exists), or an argument out of range.

    Reference: Definition 3 and Remark 1 of the paper.
    """
    num_classes = whole("number of classes", num_classes, 2)
    dimension = whole("dimension", dimension, 1)
    radius = positive("radius", radius)
    if num_classes > dimension + 1:
        raise ValueError(
            f"no regular simplex exists for K = {num_classes} > h + 1 = {dimension + 1}; "
            f"the dimension must be at least {num_classes - 1}"
        )
    below = num_classes - 1 - np.arange(num_classes - 1)  # how many vertices come after vertex i
    scale = radius * np.sqrt(num_classes / (num_classes - 1))
    vertices = np.zeros((num_classes, dimension))
    vertices[:, : num_classes - 1] = np.tril(
        np.broadcast_to(-scale / np.sqrt(below * (below + 1.0)), (num_classes, num_classes - 1)), -1
    )
    vertices[np.arange(num_classes - 1), np.arange(num_classes - 1)] = scale * np.sqrt(below / (below + 1.0))
    return vertices.astype(dtype)


def head_simplex(
    num_classes: int, dimension: int, radius: float = 1.0, *, alignment: str = "rotated", seed: int = 0
) -> np.ndarray:
    """Rows of a fixed classifier at a regular simplex, rotated at random or aligned with the orthant.

    Under a ReLU the rotation matters: a random one keeps most directions of the rows out of reach, the aligned simplex
    r·√(K/(K−1))·(e_y − 1/K), in the first K coordinates, lets the orthogonal frame be the optimum.

    Args:
        num_classes: number of rows K ≥ 2.
        dimension: dimension h, at least K − 1, for the aligned one K.
        radius: norm r > 0 of each row.
        alignment: `rotated` or `aligned`.
        seed: of the rotation, drawn from Haar measure on O(h).

    Returns:
        The rows, shape (K, h).

    Raises:
        ValueError: too few dimensions, or an argument out of range.
    """
    if choice("head alignment", alignment, HEAD_ALIGNMENTS) == "aligned":
        frame = orthogonal_frame(num_classes, dimension)
        rows = frame - frame.mean(axis=0)
        return rows * (positive("radius", radius) / np.linalg.norm(rows, axis=1, keepdims=True))
    rows = regular_simplex(num_classes, dimension, radius)
    if dimension == 1:
        return rows
    return rows @ random_rotation(dimension, seed)


def random_rotation(dimension: int, seed: int = 0) -> np.ndarray:
    """An orthogonal matrix drawn from Haar measure on O(h) by a seed, shape (h, h)."""
    generator = np.random.RandomState(seed)
    rotation, triangle = np.linalg.qr(generator.normal(size=(dimension, dimension)))
    return rotation * np.sign(np.diag(triangle))


def orthogonal_frame(num_classes: int, dimension: int, radius: float = 1.0) -> np.ndarray:
    """Orthogonal, non-negative vectors of equal norm: the optimum of an encoder that ends in a ReLU.

    Args:
        num_classes: number of vectors K ≥ 2.
        dimension: dimension h of the space, at least K.
        radius: their norm ρ > 0.

    Returns:
        ρ times the first K unit vectors, one a row, shape (K, h).

    Raises:
        ValueError: K > h (no orthogonal frame exists), or an argument out of range.

    Reference: arXiv 2306.07960.
    """
    num_classes = whole("number of classes", num_classes, 2)
    dimension = whole("dimension", dimension, 1)
    if num_classes > dimension:
        raise ValueError(
            f"no orthogonal frame exists for K = {num_classes} > h = {dimension}; "
            f"the dimension must be at least {num_classes}"
        )
    return positive("radius", radius) * np.eye(num_classes, dimension)


@dataclass(frozen=True)
class SimplexDeviation:
    """How far points are from a regular simplex: three numbers ≥ 0, all 0 exactly at one.

    Attributes:
        centre: (S1), ‖Σ_i ζ_i‖ / K over the mean norm.
        norm: (S2), the largest |‖ζ_i‖ − mean norm| over the mean norm.
        inner_product: (S3), the largest |⟨ζ_i, ζ_j⟩ − mean over i < j| over the squared mean norm.
    """

    centre: float
    norm: float
    inner_product: float

    @property
    def largest(self) -> float:
        """The largest of the three."""
        return max(self.centre, self.norm, self.inner_product)


def simplex_deviation(points: ArrayLike) -> SimplexDeviation:
    """Measure how far points are from (S1) centre 0, (S2) equal norms, (S3) equal inner products.

    Args:
        points: K ≥ 2 points, one a row, shape (K, h).

    Returns:
        The three deviations, relative to the mean norm of the points, so that they do not depend on the radius.

    Raises:
        ValueError: fewer than two points, all points 0, or numbers that are not finite.

    Reference: Definition 3 of the paper.
    """
    points = finite("points", matrix("points", points))
    whole("number of points", len(points), 2)
    points = points / (np.abs(points).max() or 1.0)  # squares neither overflow nor vanish
    norms = np.linalg.norm(points, axis=1)
    scale = norms.mean()
    if scale == 0:
        raise ValueError("the points are all 0; a regular simplex has a radius greater than 0")
    inner = (points @ points.T)[np.triu_indices(len(points), 1)] / scale**2
    return SimplexDeviation(
        centre=float(np.linalg.norm(points.mean(axis=0)) / scale),
        norm=float(np.abs(norms / scale - 1).max()),
        inner_product=float(np.abs(inner - inner.mean()).max()),
    )


def align_procrustes(points: ArrayLike, reference: ArrayLike) -> np.ndarray:
    """Rotate, reflect and scale points about the origin so that they come closest to a reference.

    Minimises ‖s·X·Q − R‖_F over s ≥ 0 and orthogonal Q.

    Args:
        points: X, shape (K, h).
        reference: R, shape (K, h).

    Returns:
        s·X·Q, shape (K, h).

    Raises:
        ValueError: the shapes differ.
    """
    points, reference = matrix("points", points), matrix("reference points", reference)
    if points.shape != reference.shape:
        raise ValueError(f"points and reference must have one shape, got {points.shape} and {reference.shape}")
    left, singular_values, right = np.linalg.svd(points.T @ reference)
    size = np.sum(points**2)
    return (singular_values.sum() / size if size else 0.0) * (points @ (left @ right))


def simplex_projection(class_means: ArrayLike, dimension: int = 2) -> np.ndarray:
    """Find the orthogonal projection in which class means at a regular simplex appear as a regular polygon.

    In two dimensions a regular simplex of K vertices appears as a regular K-gon (K = 3: itself), in three dimensions
    K = 4 as the tetrahedron; departures from the simplex show as departures from that figure.

    Args:
        class_means: shape (K, h).
        dimension: dimension d ≤ h of the picture.

    Returns:
        P with orthonormal columns, shape (h, d); `points @ P` are the coordinates in the picture.

    Raises:
        ValueError: d > h.
    """
    class_means = finite("class means", matrix("class means", class_means))
    num_classes, space = class_means.shape
    dimension = whole("dimension of the picture", dimension, 1)
    if dimension > space:
        raise ValueError(f"the picture's dimension {dimension} exceeds the dimension {space} of the class means")
    # The harmonics of the classes' places on a circle: orthogonal columns of mean 0, so that the regular simplex
    # projects onto them exactly.
    angle = 2 * np.pi * np.arange(num_classes) / num_classes
    figure = np.zeros((num_classes, dimension))
    for column in range(min(dimension, num_classes - 1)):
        frequency = column // 2 + 1
        wave = np.cos(frequency * angle) if column % 2 == 0 else np.sin(frequency * angle)
        figure[:, column] = wave / np.linalg.norm(wave)
    left, _, right = np.linalg.svd((class_means - class_means.mean(axis=0)).T @ figure, full_matrices=False)
    return left @ right
