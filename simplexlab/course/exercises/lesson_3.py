"""Exercises and questions of lesson 3."""

import numpy as np

from simplexlab import geometry, theory
from simplexlab.course.checking import Exercise, reject
from simplexlab.course.questions import Choice, Open, Option


def classes_radius_norm(generator: np.random.Generator) -> list[tuple]:
    """Calls with K, ρ and a norm of the weights, all different."""
    classes = (2, *generator.permutation(np.arange(4, 20))[:3])
    return [
        (int(k), round(float(generator.uniform(1.3, 2)), 2), round(float(generator.uniform(0.5, 1.2)), 2))
        for k in classes
    ]


def _decays(generator: np.random.Generator) -> list[tuple]:
    classes = generator.permutation(np.arange(2, 12))[:4]
    return [
        (round(float(generator.uniform(1.2, 3)), 2), float(f"{10 ** generator.uniform(-4, -0.3):.2g}"), int(k))
        for k in classes
    ]


def _shapes(generator: np.random.Generator) -> list[tuple]:
    return [
        (int(k), int(n), round(float(generator.uniform(0.6, 1.6)), 2), round(float(generator.uniform(2, 4)), 2))
        for k, n in ((3, 4), (5, 2), (4, int(generator.integers(5, 8))))
    ]


def _best_configuration(num_classes: int, points_per_class: int, radius: float, frobenius: float) -> tuple:
    simplex = geometry.regular_simplex(num_classes, num_classes)
    labels = np.repeat(np.arange(num_classes), points_per_class)
    return radius * simplex[labels], labels, frobenius / np.sqrt(num_classes) * simplex


def _score(value: object, arguments: tuple) -> float:
    num_classes, points_per_class, radius, frobenius = arguments
    try:
        points, labels, weights = value
        points, labels, weights = np.asarray(points, float), np.asarray(labels, float), np.asarray(weights, float)
    except (TypeError, ValueError):
        reject("three arrays are expected: points, labels, weights")
    number = num_classes * points_per_class
    if points.ndim != 2 or len(points) != number or weights.shape != (num_classes, points.shape[1]):
        reject(
            f"points {points.shape} and weights {weights.shape} must be ({number}, h) and ({num_classes}, h), any h ≥ 1"
        )
    if sorted(labels.ravel().tolist()) != sorted(list(range(num_classes)) * points_per_class):
        reject(f"the labels must be {points_per_class} times each of 0 … {num_classes - 1}")
    if np.linalg.norm(points, axis=1).max() > radius + 1e-6:
        reject(f"a point has norm {np.linalg.norm(points, axis=1).max():.4g}, at most {radius:g} is allowed")
    if np.linalg.norm(weights) > frobenius + 1e-6:
        reject(f"‖W‖_F is {np.linalg.norm(weights):.4g}, at most {frobenius:g} is allowed")
    loss = theory.ce_loss(points, labels.astype(int), weights)
    return round(loss - theory.ce_bound_frobenius(num_classes, radius, frobenius), 9) + 0.0


EXERCISES = {
    "3a": Exercise(
        "floor_by_frobenius",
        theory.ce_bound_frobenius,
        classes_radius_norm,
        "the factor is √K/(K−1), the root over K alone",
        4,
        "easy",
        kept=True,
    ),
    "3b": Exercise(
        "floor_by_max_norm",
        theory.ce_bound_max_norm,
        classes_radius_norm,
        "put √K·r for ‖W‖_F: √K·√K = K",
        4,
        "easy",
    ),
    "3c": Exercise(
        "best_weight_norm",
        theory.optimal_weight_norm,
        _decays,
        "start with low = 0 and high = ρ/λ; halve 100 times; keep the half in which left − right changes its sign; "
        "np.exp overflows above 700",
        12,
        "hard",
    ),
    "3d": Exercise(
        "my_configuration",
        _best_configuration,
        _shapes,
        "conditions (C1) to (C3) say where the points go; your own simplex of exercise 1c helps; W = s times the same "
        "simplex, with ‖W‖_F = s·√K",
        8,
        "medium",
        tolerance=1e-3,
        judged=_score,
        told="loss minus the floor",
    ),
}

QUESTIONS = {
    "3.1": Choice(
        "Four classes sit at the corners of a square in the plane, the weights parallel to them. Which step of the "
        "proof "
        "is not tight?",
        {
            "a": Option("Jensen: the scores of a point are unequal", "neighbours score 0, the opposite corner −1"),
            "b": Option(
                "Cauchy–Schwarz: a square is no simplex",
                "it is tight: centred class means of equal norm, with parallel weights, are all that it asks for",
            ),
            "c": Option("both", "Cauchy–Schwarz is tight for every centred configuration with parallel weights"),
        },
        right="a",
    ),
    "3.2": Open(
        "Somebody reports a CE that is 0.01 below Theorem 1. Which three things do you check?",
        (
            "Are the labels balanced? The theorem is for equal class sizes.",
            "Is ρ the largest norm of a representation, not the mean, and ‖W‖_F of the same evaluation?",
            "Is the loss the mean over all points of the same model and mode (batch statistics, dropout, "
            "augmentation), "
            "without label smoothing, with no bias in the classifier?",
        ),
    ),
    "3.3": Choice(
        "Weight decay λ is made ten times smaller and the run goes on until it converges. Its CE falls. Is it nearer "
        "to "
        "its optimum?",
        {
            "a": Option("yes: the loss is smaller", "the floor fell as well, because the weights grew"),
            "b": Option("it cannot be told from the loss", "only the excess over the floor of its own norms tells"),
            "c": Option(
                "no: weight decay moves the optimum away from the simplex", "the simplex is optimal at every λ > 0"
            ),
        },
        right="b",
    ),
}
