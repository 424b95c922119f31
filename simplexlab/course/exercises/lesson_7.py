"""Exercises and questions of lesson 7."""

import numpy as np

from simplexlab import geometry, theory
from simplexlab.course.checking import Exercise
from simplexlab.course.exercises.lesson_3 import classes_radius_norm
from simplexlab.course.questions import Choice, Open, Option


def _largest_deviation(means: np.ndarray) -> float:
    means = np.asarray(means, float)
    first, second = np.triu_indices(len(means), 1)
    similarities = geometry.angular_similarity(means[first], means[second])
    return float(np.abs(similarities - geometry.simplex_similarity(len(means))).max())


def _means(generator: np.random.Generator) -> list[tuple]:
    near = geometry.regular_simplex(4, 5) + 0.2 * generator.standard_normal((4, 5))
    pairs = np.concatenate([np.eye(3), -np.eye(3)])
    return [(generator.standard_normal((5, 3)) + 0.5,), (near,), (3.0 * pairs,), (geometry.regular_simplex(6, 7),)]


def _classes(generator: np.random.Generator) -> list[tuple]:
    return [(int(k),) for k in (3, *generator.permutation(np.arange(4, 15))[:3])]


def _floor_of_one_class(num_classes: int, radius: float, frobenius: float) -> float:
    a = frobenius * np.sqrt((num_classes - 1) / num_classes)
    weights = np.array([[a]] + [[-a / (num_classes - 1)]] * (num_classes - 1))
    return theory.ce_loss(np.array([[radius]]), np.array([0]), weights)


EXERCISES = {
    "7a": Exercise(
        "floor_under_relu",
        lambda k, radius, frobenius: theory.ce_bound_frobenius(k, radius, frobenius, features="nonnegative"),
        classes_radius_norm,
        "at the frame a point scores ρ·a with its own row and −ρ·b with the others: a row of the centred frame, "
        "scaled to "
        "‖W‖_F/√K, has inner products a = ‖W‖_F/√K·√((K−1)/K) and b = a/(K−1) with the unit vectors",
        8,
        "hard",
    ),
    "7b": Exercise(
        "largest_deviation",
        _largest_deviation,
        _means,
        "γ of every pair i < j, minus geometry.simplex_similarity(K), without its sign; the largest of all",
        6,
        "medium",
    ),
    "7c": Exercise(
        "cosine_of_neighbours",
        lambda num_classes: float(np.cos(2 * np.pi / num_classes)),
        _classes,
        "the full circle, 2π, is shared by K neighbours",
        3,
        "easy",
    ),
    "7d": Exercise(
        "floor_of_one_class",
        _floor_of_one_class,
        classes_radius_norm,
        "all K − 1 wrong scores lie ρ·(a + b) below the right one; what is −log softmax then?",
        6,
        "medium",
    ),
}

QUESTIONS = {
    "7.1": Choice(
        "Class means of ten classes are centred and of equal norm. Their mean cosine is −0.111. What follows?",
        {
            "a": Option("they are a regular simplex", "five pairs of opposite vectors have the same mean cosine"),
            "b": Option("they are close to one", "the mean is forced; closeness is in the largest deviation or in NC2"),
            "c": Option("nothing: centring and equal norms force the mean", "0 = ‖Σμ‖² = K + K(K−1)·mean"),
        },
        right="c",
    ),
    "7.2": Choice(
        "Labels are unbalanced and a run's CE is below Theorem 1. Which step of the proof fails?",
        {
            "a": Option(
                "the norm that is put into Cauchy–Schwarz",
                "class means enter with the factor K·π_y, and the sum of their squared norms may exceed K·ρ²",
            ),
            "b": Option("Jensen", "the exponential is convex whatever the labels are"),
            "c": Option("none: the loss was measured wrongly", "the theorem asks for balanced labels"),
        },
        right="a",
    ),
    "7.3": Open(
        "An encoder without a ReLU has a mean γ nearer to the simplex than one with it, yet a larger NC2 and a "
        "larger excess. "
        "Which of the two is the better one, and what did the mean show?",
        (
            "By excess and NC2 the one with the ReLU is nearer to its optimum.",
            "Without the ReLU the means are nearly centred, which forces the mean γ; it says little on the pairs.",
            "Under the ReLU the mean γ cannot go below 0.5, so that it is not forced to the same value.",
        ),
    ),
}
