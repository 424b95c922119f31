"""Exercises and questions of lesson 2."""

from collections.abc import Callable

import numpy as np

from simplexlab import theory
from simplexlab.course.checking import Exercise
from simplexlab.course.questions import Choice, Open, Option


def unit_vectors(generator: np.random.Generator, number: int, dimension: int) -> np.ndarray:
    """Random directions, shape (number, dimension)."""
    points = generator.standard_normal((number, dimension))
    return points / np.linalg.norm(points, axis=1, keepdims=True)


def batch_labels(generator: np.random.Generator, batch_size: int, num_classes: int) -> np.ndarray:
    """Labels in any order: the last class has one point, each other one at least two."""
    first = np.repeat(np.arange(num_classes - 1), 2)
    rest = generator.integers(0, num_classes - 1, batch_size - len(first) - 1)
    return generator.permutation(np.concatenate([first, rest, [num_classes - 1]]))


def slope(function: Callable, point: np.ndarray) -> np.ndarray:
    """Gradient by central differences."""
    steps = 1e-5 * np.eye(len(point))
    return np.array([(function(point + step) - function(point - step)) / 2e-5 for step in steps])


def _sc_loss(points: np.ndarray, labels: np.ndarray, temperature: float) -> float:
    return theory.sc_loss_batch(np.asarray(points, float) / np.sqrt(temperature), labels)


def _batches(generator: np.random.Generator) -> list[tuple]:
    return [
        (unit_vectors(generator, b, h), batch_labels(generator, b, k), round(float(generator.uniform(0.2, 0.8)), 2))
        for b, h, k in ((9, 2, 4), (8, 5, 3), (11, 4, 3))
    ]


def _push_shares(points: np.ndarray, anchor: int, temperature: float) -> np.ndarray:
    weights = [0 if k == anchor else np.exp(points[k] @ points[anchor] / temperature) for k in range(len(points))]
    return np.array(weights) / sum(weights)


def _anchors(generator: np.random.Generator) -> list[tuple]:
    return [
        (unit_vectors(generator, n, h), int(generator.integers(1, n)), round(float(generator.uniform(0.1, 0.8)), 2))
        for n, h in ((7, 2), (6, 3), (9, 4))
    ]


def _force(point: np.ndarray, weights: np.ndarray, label: int) -> np.ndarray:
    return -slope(lambda moved: theory.ce_loss(moved[None], np.array([label]), weights), point)


def _points_and_weights(generator: np.random.Generator) -> list[tuple]:
    return [
        (generator.standard_normal(h), generator.standard_normal((k, h)), int(generator.integers(1, k)))
        for k, h in ((3, 2), (5, 4), (4, 6))
    ]


def _along_the_sphere(force: np.ndarray, point: np.ndarray) -> np.ndarray:
    outward = np.asarray(point, float) / np.linalg.norm(point)
    basis = np.linalg.svd(outward[None])[2][1:]  # all directions at right angles to the point
    return basis.T @ (basis @ force)


def _forces_and_points(generator: np.random.Generator) -> list[tuple]:
    return [(generator.standard_normal(h), 2.5 * unit_vectors(generator, 1, h)[0]) for h in (2, 3, 5)]


EXERCISES = {
    "2a": Exercise(
        "sc_loss",
        _sc_loss,
        _batches,
        "for each anchor i: inner = points @ points[i] / temperature; the positives are the others of its label; their "
        "mean of log Σ_{k≠i} exp(inner_k) − inner_j; an anchor without a positive adds 0; add over anchors, no mean",
        15,
        "hard",
        kept=True,
    ),
    "2b": Exercise(
        "push_shares",
        _push_shares,
        _anchors,
        "the inner products of all points with the anchor, over τ, go through exp; set the anchor's own to 0, then "
        "divide by the sum",
        6,
        "medium",
    ),
    "2c": Exercise(
        "force_of_cross_entropy",
        _force,
        _points_and_weights,
        "p = softmax(weights @ point); the force is the own row minus the mean of all rows under p",
        6,
        "medium",
    ),
    "2d": Exercise(
        "along_the_sphere",
        _along_the_sphere,
        _forces_and_points,
        "subtract the part that points outwards: ⟨force, u⟩·u with u the point divided by its norm",
        5,
        "easy",
    ),
}

QUESTIONS = {
    "2.1": Choice(
        "All points of a class sit at one place, at the simplex. What is the force of the contrastive loss on a point?",
        {
            "a": Option(
                "zero: it is a minimum", "only what lies along the sphere is zero; the minimum is one on the sphere"
            ),
            "b": Option("it points outwards", "pull and push cancel along the sphere; the rest is held by the sphere"),
            "c": Option(
                "it points to the other classes", "then a small step would lower the loss, and it is a minimum"
            ),
        },
        right="b",
    ),
    "2.2": Choice(
        "You halve the temperature τ. What happens to the radius ρ of the sphere on which the paper works?",
        {
            "a": Option("it halves", "ρ = 1/√τ grows as τ falls"),
            "b": Option("it doubles", "ρ² doubles: ρ² = 1/τ"),
            "c": Option("it grows by √2", "ρ = 1/√τ"),
        },
        right="c",
    ),
    "2.3": Open(
        "What is an excess, and why is it told rather than the loss? Give one reason for which two runs with the same "
        "loss can have different excesses.",
        (
            "Loss minus the least value that the loss can have under the run's own conditions.",
            "The loss alone does not say how much could still be gained.",
            "The floor moves with τ, batch size, number of classes, norms or label counts; two runs may differ in one.",
        ),
    ),
}
