"""Exercises and questions of lesson 5."""

import numpy as np

from simplexlab import geometry
from simplexlab.course.checking import Exercise
from simplexlab.course.questions import Choice, Open, Option


def labelled_points(generator: np.random.Generator) -> list[tuple]:
    """Representations and labels in any order, of classes of unequal size and centres away from 0."""
    cases = []
    for number, dimension, classes in ((23, 3, 4), (17, 5, 3), (29, 4, 6)):
        rest = generator.integers(0, classes, number - 2 * classes)
        labels = generator.permutation(np.concatenate([np.repeat(np.arange(classes), 2), rest]))
        cases.append((generator.standard_normal((number, dimension)) + generator.uniform(1, 2, dimension), labels))
    return cases


def _points_and_means(generator: np.random.Generator) -> list[tuple]:
    return [
        (
            generator.standard_normal((60, h)),
            (generator.standard_normal((k, h)) + 0.8) * generator.permutation(np.linspace(0.4, 3, k))[:, None],
        )
        for k, h in ((4, 3), (7, 5))
    ]


def _classify(points: np.ndarray, means: np.ndarray) -> np.ndarray:
    return np.array([max(range(len(means)), key=lambda k: float(means[k] @ point)) for point in points])


def _vectors(generator: np.random.Generator) -> list[tuple]:
    cases = [(generator.standard_normal(h), generator.standard_normal(h)) for h in (2, 3, 6)]
    while True:  # a vector and a multiple of it whose cosine rounds to above 1
        x = generator.standard_normal(int(generator.integers(3, 7)))
        y = x * generator.uniform(1.1, 3)
        if x @ y / (np.linalg.norm(x) * np.linalg.norm(y)) > 1:
            return [*cases, (x, y), (x, -y)]


def _excess(points: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> float:
    logits = points @ weights.T
    loss = np.mean(np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(len(labels)), labels])
    classes = len(weights)
    exponent = np.sqrt((points**2).sum(axis=1).max() * (weights**2).sum() * classes) / (classes - 1)
    return float(loss - np.log1p((classes - 1) * np.exp(-exponent)))


def _classified_points(generator: np.random.Generator) -> list[tuple]:
    cases = []
    for points, labels in labelled_points(generator):
        weights = 0.3 * generator.standard_normal((labels.max() + 1, points.shape[1]))
        cases.append((points * generator.uniform(0.2, 0.6, (len(points), 1)), labels, weights))
    return cases


EXERCISES = {
    "5a": Exercise(
        "class_means",
        geometry.class_means,
        labelled_points,
        "representations[labels == k].mean(axis=0) for each class k, in one array",
        4,
        "easy",
    ),
    "5b": Exercise(
        "classify",
        _classify,
        _points_and_means,
        "all inner products are representations @ means.T; np.argmax over axis 1 gives the class",
        4,
        "easy",
        tolerance=0,
    ),
    "5c": Exercise(
        "angular_similarity",
        lambda x, y: float(geometry.angular_similarity(x, y)),
        _vectors,
        "rounding can push a cosine past 1, where arccos gives NaN: np.clip(cosine, −1, 1)",
        6,
        "medium",
        kept=True,
    ),
    "5d": Exercise(
        "excess",
        _excess,
        _classified_points,
        "ρ is the largest row norm of the representations; np.linalg.norm(weights) is ‖W‖_F; your own "
        "floor_by_frobenius of lesson 3 does the rest",
        8,
        "medium",
    ),
}
QUESTIONS = {
    "5.1": Choice(
        "Under ce the loss ends at millions of times its bound, under sc at 1.0 times. Which is nearer to the simplex?",
        {
            "a": Option("sc, by far", "most of the loss of sc is a constant that no encoder can avoid"),
            "b": Option("ce: its loss is smaller", "the two losses do not have the same scale or the same zero"),
            "c": Option("factors do not tell: compare γ, NC1, NC2", "ce's floor falls exponentially with the norms"),
        },
        right="c",
    ),
    "5.2": Choice(
        "After iteration 700 of 1,000 hardly anything moves any more. What is the first thing that you check?",
        {
            "a": Option("how much of the learning rate is left", "(1 − 0.7)⁵ = 0.2 % of it"),
            "b": Option("whether it has converged", "little may move because little is allowed to"),
            "c": Option("whether the encoder ends in a ReLU", "that limits where it goes, not whether it moves"),
        },
        right="a",
    ),
    "5.3": Open(
        "Class means of a ReLU encoder end at γ = 0.52 and NC2 at 0.2. Say in two sentences how far this encoder is "
        "from its "
        "optimum, and which number you would distrust.",
        (
            "The optimum of a ReLU encoder is γ = 0.5 for every pair, not 0.4646.",
            "A mean of γ hides pairs that are far off: the largest deviation is wanted.",
            "NC2 centres; 0 is reached by simplex and orthogonal frame alike.",
        ),
    ),
}
