"""Exercises and questions of lesson 1."""

import numpy as np

from simplexlab import geometry
from simplexlab.course.checking import Exercise, reject
from simplexlab.course.questions import Choice, Open, Option


def _inner_product(num_classes: int, radius: float) -> float:
    vertices = geometry.regular_simplex(num_classes, num_classes, radius)
    return float(vertices[0] @ vertices[1])


def _classes_and_radii(generator: np.random.Generator) -> list[tuple]:
    classes = generator.permutation(np.arange(2, 13))[:4]
    return [(int(k), round(float(rho), 2)) for k, rho in zip(classes, generator.uniform(1.2, 3, 4), strict=True)]


def _some_classes(generator: np.random.Generator) -> list[tuple]:
    return [(int(k),) for k in (2, *generator.permutation(np.arange(3, 30))[:3])]


def _angle(num_classes: int) -> float:
    return 180 * (1 - geometry.simplex_similarity(num_classes))


def _gram(value: object, arguments: tuple) -> np.ndarray:
    vertices = np.asarray(value, float)
    if vertices.shape != (arguments[0], arguments[0]):
        reject(f"yours has shape {vertices.shape}, (K, K) = {(arguments[0], arguments[0])} is expected")
    return vertices @ vertices.T


def _classes_needed(gap: float) -> int:
    return next(k for k in range(2, 10_000) if 0.5 - geometry.simplex_similarity(k) <= gap)


def _gaps(generator: np.random.Generator) -> list[tuple]:
    return [(float(f"{gap:.3g}"),) for gap in (0.6, 0.3, *np.exp(generator.uniform(np.log(0.002), np.log(0.1), 4)))]


EXERCISES = {
    "1a": Exercise(
        "inner_product",
        _inner_product,
        _classes_and_radii,
        "move the K·ρ² to the other side and divide by K(K−1)",
        3,
        "easy",
    ),
    "1b": Exercise(
        "angle",
        _angle,
        _some_classes,
        "the cosine is the inner product at radius 1; np.arccos gives radians",
        3,
        "easy",
    ),
    "1c": Exercise(
        "simplex_from_frame",
        lambda num_classes: geometry.regular_simplex(num_classes, num_classes),
        _some_classes,
        "np.eye(K) holds the frame, one vector a row; subtract the mean over the rows, then divide each row by its "
        "norm",
        6,
        "medium",
        judged=_gram,
        told="inner products",
        kept=True,
    ),
    "1d": Exercise(
        "classes_needed",
        _classes_needed,
        _gaps,
        "try K = 2, 3, 4, … until 0.5 − γ(K) ≤ gap; geometry.simplex_similarity(K) is γ(K)",
        6,
        "medium",
        tolerance=0,
    ),
}

QUESTIONS = {
    "1.1": Choice(
        "Four unit vectors in the plane have the sum 0. Are they the vertices of a regular simplex?",
        {
            "a": Option("no, never: four vertices need three dimensions", "equal inner products have rank K − 1 = 3"),
            "b": Option(
                "yes: (S1) and (S2) hold, and (S3) follows", "(S3) does not follow: the square is a counterexample"
            ),
            "c": Option("only the square is", "neighbours of the square have inner product 0, opposite corners −1"),
        },
        right="a",
    ),
    "1.2": Choice(
        "Class means have NC2 = 0. What do you know of the cosines between the means as they are, not centred?",
        {
            "a": Option("all are −1/(K−1)", "that holds for the centred means, and NC2 centres"),
            "b": Option("all are 0", "that is one case, the orthogonal frame; the simplex is another"),
            "c": Option(
                "nothing beyond the centred means being a simplex",
                "a shift of all means changes their cosines and leaves NC2 as it is",
            ),
        },
        right="c",
    ),
    "1.3": Open(
        "An encoder ends in a ReLU. Explain to somebody who knows inner products alone why two classes of it can never "
        "be more than 90° apart, and why K classes can all be 90° apart only if K ≤ h.",
        (
            "An inner product of vectors without negative coordinates is a sum of products that are not negative.",
            "It is 0 only if no coordinate is used by both.",
            "So K classes at right angles each need a coordinate of their own.",
        ),
    ),
}
