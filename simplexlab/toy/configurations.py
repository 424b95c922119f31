"""Configurations of free points, and of the classifier's weights where there are any."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from simplexlab.toy.settings import Toy


class Configuration(NamedTuple):
    """Points z, float64 (N, h), on the sphere or in the ball of the toy's radius; weights W (K, h) or None."""

    points: np.ndarray
    weights: np.ndarray | None = None


def labels_of(class_counts: Sequence[int]) -> np.ndarray:
    """The labels 0 … 0, 1 … 1, … of classes of these sizes, int64, shape (N,)."""
    return np.repeat(np.arange(len(class_counts)), class_counts)


def balanced_labels(num_classes: int, points_per_class: int) -> np.ndarray:
    """The labels 0 … 0, 1 … 1, … of n points in each of K classes, int64, shape (nK,)."""
    return np.repeat(np.arange(num_classes), points_per_class)


def uniform_on_sphere(generator: np.random.Generator, num_points: int, dimension: int) -> np.ndarray:
    """Draw points uniformly on the unit sphere, float64, shape (N, h)."""
    points = generator.standard_normal((num_points, dimension))
    return points / np.linalg.norm(points, axis=1, keepdims=True)


def uniform_in_ball(generator: np.random.Generator, num_points: int, dimension: int) -> np.ndarray:
    """Draw points uniformly in the unit ball, float64, shape (N, h)."""
    directions = uniform_on_sphere(generator, num_points, dimension)
    return directions * generator.uniform(size=(num_points, 1)) ** (1 / dimension)


def first_configuration(toy: Toy) -> Configuration:
    """Where a resolved toy starts, drawn from its seed.

    Points of sc are uniform on the sphere, points of ce uniform in the ball and its weights standard normal.
    """
    generator = np.random.default_rng(toy.seed)
    if toy.loss == "sc":
        return Configuration(toy.radius * uniform_on_sphere(generator, toy.num_points, toy.dimension))
    points = uniform_in_ball(generator, toy.num_points, toy.dimension)
    return Configuration(points, generator.standard_normal((toy.classes, toy.dimension)))
