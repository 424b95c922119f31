"""Exercises and questions of lesson 8."""

import math
from fractions import Fraction

import numpy as np

from simplexlab import theory
from simplexlab.course.checking import Exercise
from simplexlab.course.exercises.lesson_2 import unit_vectors
from simplexlab.course.questions import Choice, Open, Option


def _per_replica_loss(points: np.ndarray, labels: np.ndarray, temperature: float, replicas: int) -> float:
    share = len(points) // replicas
    rows = [slice(first, first + share) for first in range(0, len(points), share)]
    return sum(theory.sc_loss_batch(points[part] / np.sqrt(temperature), labels[part]) for part in rows)


def _batches(generator: np.random.Generator) -> list[tuple]:
    cases = []
    for batch, dimension, replicas in ((12, 3, 2), (15, 2, 3), (10, 4, 1)):
        labels = generator.permutation(np.arange(batch) % 3)
        cases.append(
            (unit_vectors(generator, batch, dimension), labels, round(float(generator.uniform(0.2, 0.8)), 2), replicas)
        )
    return cases


def _shares(generator: np.random.Generator) -> list[tuple]:
    return [(int(generator.integers(4, 130)), int(k)) for k in generator.permutation(np.arange(2, 60))[:4]]


def _deviations(generator: np.random.Generator) -> list[tuple]:
    while True:  # numbers of batches of which one is to be rounded down at school, and one up
        cases = [
            (round(float(generator.uniform(1, 3)), 2), 0.07),
            (round(float(generator.uniform(0.2, 0.9)), 2), 0.013),
        ]
        parts = sorted((deviation / error) ** 2 % 1 for deviation, error in cases)
        if 0.1 < parts[0] < 0.4 and 0.6 < parts[1] < 0.9:
            return [(2.0, 0.5), *cases]


EXERCISES = {
    "8a": Exercise(
        "per_replica_loss",
        _per_replica_loss,
        _batches,
        "np.split(points, replicas) and np.split(labels, replicas) give the shares; zip takes them in pairs",
        6,
        "medium",
    ),
    "8b": Exercise(
        "expected_positives",
        lambda share, num_classes: (share - 1) / num_classes,
        _shares,
        "each of the other s − 1 points is of the anchor's class with probability 1/K",
        3,
        "easy",
    ),
    "8c": Exercise(
        "lonely_share",
        lambda share, num_classes: (1 - 1 / num_classes) ** (share - 1),
        _shares,
        "none of the other s − 1 points may be of the anchor's class",
        4,
        "medium",
    ),
    "8d": Exercise(
        "batches_needed",
        lambda deviation, error: math.ceil((Fraction(str(deviation)) / Fraction(str(error))) ** 2),
        _deviations,
        "solve deviation / √n = error for n, and round up",
        4,
        "easy",
        tolerance=0,
    ),
}

QUESTIONS = {
    "8.1": Choice(
        "On eight GPUs the contrastive loss a anchor is much smaller than on one, with the same global batch. Why?",
        {
            "a": Option("eight GPUs train faster", "at the same step and seed the numbers must agree"),
            "b": Option(
                "each GPU compares within its own share",
                "fewer negatives and lonely anchors make the loss smaller; it is another loss",
            ),
            "c": Option("rounding", "rounding changes the sixth digit, not the first"),
        },
        right="b",
    ),
    "8.2": Choice(
        "The paper reports 824.523 after 500,000 iterations from 1,000 batches. The orthogonal frame's floor is "
        "824.537. "
        "Has a ReLU encoder beaten its floor?",
        {
            "a": Option(
                "it cannot be told from 1,000 batches", "2.1/√1000 = 0.067, about the whole price of the ReLU, 0.073"
            ),
            "b": Option("yes", "the difference, 0.014, is a fifth of the standard error of 0.067"),
            "c": Option("no: a floor cannot be beaten by an estimate", "an estimate can: it has an error"),
        },
        right="a",
    ),
    "8.3": Open(
        "Which parts of a training step see the whole batch, and what goes wrong, silently, where each is computed "
        "for each "
        "replica on its own?",
        (
            "The contrastive loss: negatives and positives on other replicas are missed; loss and gradient are others.",
            "Batch normalisation: its statistics are of a share; more noise, other numbers.",
            "The mean of cross-entropy does not: a mean of means of equal shares is the mean.",
        ),
    ),
}
