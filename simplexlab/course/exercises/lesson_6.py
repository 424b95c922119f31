"""Exercises and questions of lesson 6."""

import numpy as np

from simplexlab.course.checking import Exercise
from simplexlab.course.questions import Choice, Open, Option


def _classes(generator: np.random.Generator) -> list[tuple]:
    return [(int(k),) for k in (2, *generator.permutation(np.arange(3, 100))[:3])]


def _right_pair_share(fraction: float, num_classes: int) -> float:
    true = np.full(num_classes, fraction / (num_classes - 1))
    true[0] = 1 - fraction
    return float(true @ true)


def _fractions(generator: np.random.Generator) -> list[tuple]:
    drawn = [(round(float(generator.uniform(0.1, 0.9)), 2), int(generator.integers(3, 30))) for _ in range(3)]
    return [*drawn, (0.0, 10), (0.5, 2)]


def _first_fit(iterations: list, errors: list, tolerance: float) -> int | None:
    fitted = np.flatnonzero(np.asarray(errors) <= tolerance)
    return int(iterations[fitted[0]]) if len(fitted) else None


def _evaluations(generator: np.random.Generator) -> list[tuple]:
    every = int(generator.integers(7, 40))
    errors = [0.9, 0.3, 0.02, 0.1, 0.01, 0.0, 0.05, 0.0]  # it is fitted, unlearns, and fits again
    iterations = [every * (k + 1) for k in range(len(errors))]
    tolerances = (0.0, 0.02, 0.015, 0.95)
    return [*((iterations, errors, tolerance) for tolerance in tolerances), (iterations[:4], errors[:4], 0.0)]


def _full_rate_steps(iteration: int, total: int) -> float:
    return float(np.sum((1 - np.arange(iteration) / total) ** 5))


def _iterations(generator: np.random.Generator) -> list[tuple]:
    totals = [int(total) for total in generator.integers(20, 3000, 3)]
    return [(0, totals[0]), (totals[1], totals[1])] + [(int(generator.integers(2, total)), total) for total in totals]


EXERCISES = {
    "6a": Exercise(
        "pure_noise",
        lambda num_classes: 1 - 1 / num_classes,
        _classes,
        "the true class has probability 1 − p, each other one p/(K−1): when are these equal?",
        4,
        "easy",
    ),
    "6b": Exercise(
        "right_pair_share",
        _right_pair_share,
        _fractions,
        "both truly of class y, or both of the same one of the K − 1 others: a sum of squares",
        6,
        "medium",
    ),
    "6c": Exercise(
        "first_fit",
        _first_fit,
        _evaluations,
        "go through both lists together and return at the first error ≤ tolerance; after the loop, None",
        6,
        "medium",
        tolerance=0,
        kept=True,
    ),
    "6d": Exercise(
        "full_rate_steps",
        _full_rate_steps,
        _iterations,
        "step t, counted from 0, has the share (1 − t/T)⁵ of the rate: add them up over t = 0 … iteration − 1",
        6,
        "medium",
    ),
}

QUESTIONS = {
    "6.1": Choice(
        "Three of five runs at 80 % never fitted within 2,000 iterations. How do you put them into a mean time to fit?",
        {
            "a": Option("leave them out", "then the slowest runs vanish, and the mean looks better than it is"),
            "b": Option(
                'not as numbers: as "more than 2,000", in a model of intervals or beside a median',
                "a censored run is an inequality; a median survives it as long as most runs have fitted",
            ),
            "c": Option("take 2,000", "that is the least that they can be: the mean is still too small"),
        },
        right="b",
    ),
    "6.2": Choice(
        "A run with twice the budget fits at iteration 1,960, one with the smaller budget of 2,000 never. Same seed, "
        "same "
        "labels. What happened?",
        {
            "a": Option("chance", "the seed is the same: the two runs differ in the schedule alone"),
            "b": Option(
                "the larger budget saw more images", "it fitted within 1,960 iterations, before the other ended"
            ),
            "c": Option(
                "the schedule: the smaller budget had hardly any rate left",
                "lr·(1−t/T)⁵: at t = 1,000 the one has 3 % of its rate, the other 24 %",
            ),
        },
        right="c",
    ),
    "6.3": Open(
        "Why may sc take longer to fit wrong labels than ce? Give the hypothesis of the paper, and an experiment that "
        "could prove it wrong.",
        (
            "sc asks pairs to come together; with a share p flipped about (1−p)² of the pairs make sense, of the "
            "points 1 − p.",
            "An experiment changes the pairs and leaves the labels: fewer positives an anchor, or wrong pairs without "
            "wrong points; or it changes the loss and leaves the pairs.",
            "If the time to fit does not follow the share of wrong pairs, the hypothesis is wrong.",
        ),
    ),
}
