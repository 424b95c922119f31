"""Exercises and questions of lesson 4."""

import numpy as np

from simplexlab import theory
from simplexlab.course.checking import Exercise
from simplexlab.course.questions import Choice, Open, Option


def _number_of_batches(num_points: int, batch_size: int) -> int:
    """Counted by a recursion: the last point is taken once more, or not at all from here on."""
    row = [1] * (batch_size + 1)
    for _ in range(num_points - 1):
        for size in range(1, batch_size + 1):
            row[size] += row[size - 1]
    return row[batch_size]


def _points_and_sizes(generator: np.random.Generator) -> list[tuple]:
    sizes = [(int(generator.integers(3, 9)), int(generator.integers(10, 14))) for _ in range(2)]
    return [(3, 2), (12, 9), *sizes, (int(generator.integers(15, 30)), 4)]


def _label_counts(generator: np.random.Generator) -> list[tuple]:
    drawn = [tuple(int(n) for n in generator.integers(2, 9, k)) for k in (4, 6)]
    cases = [(7, 2, 0), (4, 1, 4, 1), (*drawn[0], 1), (*drawn[1], 0)]
    return [(counts, round(float(generator.uniform(0.6, 1.7)), 2)) for counts in cases]


def _batches_with_count(num_classes: int, samples_per_class: int, batch_size: int, count: int) -> int:
    others = (num_classes - 1) * samples_per_class
    return num_classes * _number_of_batches(samples_per_class, count) * _number_of_batches(others, batch_size - count)


def _classes_samples_sizes(generator: np.random.Generator) -> list[tuple]:
    cases = []
    for classes, samples, size in ((3, 2, 5), (4, 3, 7), (5, 4, 6)):
        cases.append((classes, samples, size, int(generator.integers(2, size))))
    return [*cases, (3, 2, 4, 0), (3, 5, 4, 4)]


def classes_batch_temperature(generator: np.random.Generator) -> list[tuple]:
    """Calls with K, b and τ, all different."""
    return [
        (int(k), int(generator.integers(12, 60)), round(float(generator.uniform(0.2, 0.9)), 2))
        for k in generator.permutation(np.arange(2, 11))[:3]
    ]


EXERCISES = {
    "4a": Exercise(
        "number_of_batches",
        _number_of_batches,
        _points_and_sizes,
        "write a multiset as b stars in a row with N − 1 bars between the points: choose the places of the stars",
        6,
        "medium",
        tolerance=0,
    ),
    "4b": Exercise(
        "simplex_value",
        lambda counts, radius: float(theory.composition_value(np.array(counts), radius)),
        _label_counts,
        "b is the sum of all counts, also of those that are 0 or 1; only counts above 1 contribute; K = len(counts)",
        8,
        "medium",
    ),
    "4c": Exercise(
        "batches_with_count",
        _batches_with_count,
        _classes_samples_sizes,
        "number_of_batches(n, l) · number_of_batches(N − n, b − l), for K classes",
        6,
        "medium",
        tolerance=0,
    ),
    "4d": Exercise(
        "sc_floor",
        lambda k, b, temperature: theory.sc_bound(k, b, temperature=temperature, sampling="iid"),
        classes_batch_temperature,
        "with replacement a label count is binomial: P(l) = C(b, l)·(1/K)^l·(1 − 1/K)^(b−l), math.comb helps; add "
        "K·P(l)·l·log(l − 1 + (b − l)·exp(−K/((K−1)·τ))) over l = 2 … b",
        12,
        "hard",
        kept=True,
    ),
}

QUESTIONS = {
    "4.1": Choice(
        "A batch has a loss 0.7 below the bound of Theorem 2. Error, or allowed?",
        {
            "a": Option("an error: nothing can be below a lower bound", "the bound is for the mean over batches"),
            "b": Option(
                "allowed: the bound is for the mean over all batches", "lopsided label counts have lower losses"
            ),
            "c": Option(
                "allowed, but only for a batch without a positive pair",
                "any batch with lopsided label counts can be below",
            ),
        },
        right="b",
    ),
    "4.2": Choice(
        "What did the paper find infeasible for CIFAR10?",
        {
            "a": Option(
                "the mean of a trained encoder's loss over all batches", "there are too many; it took 1,000 random ones"
            ),
            "b": Option("the bound of Theorem 2", "the paper prints it: 824.487; it needs one label count's law alone"),
            "c": Option("a single batch of 256", "that is 256² inner products"),
        },
        right="a",
    ),
    "4.3": Open(
        "Why does a mean over 1,000 batches know the loss on CIFAR10 to about 0.07 only, and what makes the paired "
        "excess "
        "so much surer?",
        (
            "Label counts alone give a batch loss a standard deviation of about 2.1; divided by √1000 that is 0.07.",
            "The paired excess subtracts from each batch the value of the simplex on its own counts.",
            "That takes the counts out of the spread and leaves the mean difference as it was.",
        ),
    ),
}
