"""Exercises and questions of lesson 9."""

import numpy as np

from simplexlab import geometry, theory
from simplexlab.course.checking import Exercise
from simplexlab.course.exercises.lesson_3 import classes_radius_norm
from simplexlab.course.questions import Choice, Open, Option


def _fixed_frame_floor(num_classes: int, radius: float, row_norm: float) -> float:
    """CE at the best points under orthonormal rows: every point along its row of the centred frame."""
    rows = row_norm * np.eye(num_classes)
    centred = rows - rows.mean(axis=0)
    points = radius * centred / np.linalg.norm(centred, axis=1, keepdims=True)
    return theory.ce_loss(points, np.arange(num_classes), rows)


def _distinct_classes(generator: np.random.Generator) -> list[tuple]:
    cases = []
    for classes in generator.permutation(np.arange(4, 20))[:3]:
        batch = int(generator.integers(2, classes))
        cases.append((int(classes), batch, round(float(generator.uniform(0.2, 1.5)), 2)))
    return cases


def _pairs_floor(num_classes: int, batch_size: int, temperature: float) -> float:
    scores = geometry.regular_simplex(num_classes, num_classes)[:batch_size]
    return theory.ce_loss(scores / temperature, np.arange(batch_size), scores)


def _threshold(points_per_class: int, num_classes: int) -> float:
    within = (points_per_class - 1) / (points_per_class * num_classes - 1)
    q = np.exp(-4 * num_classes / (num_classes - 1))
    return float(2 * within * (1 - q) / (within + (1 - within) * q))


def _sizes(generator: np.random.Generator) -> list[tuple]:
    return [(int(generator.integers(5, 500)), int(k)) for k in generator.permutation(np.arange(2, 120))[:4]]


def _largest_cosine(num_classes: int, dimension: int) -> float:
    return -1 / (num_classes - 1) if num_classes <= dimension + 1 else 0.0


def _my_floor(num_classes: int, radius: float, frobenius: float, margin: float) -> float:
    """The loss itself at the simplex: logits of the right class lowered by the margin."""
    simplex = geometry.regular_simplex(num_classes, num_classes)
    logits = radius * frobenius / np.sqrt(num_classes) * simplex @ simplex.T - margin * np.eye(num_classes)
    return float(np.mean(np.logaddexp.reduce(logits, axis=1) - np.diag(logits)))


def _with_margins(generator: np.random.Generator) -> list[tuple]:
    cases = [(*case, round(float(generator.uniform(0.3, 2.5)), 2)) for case in classes_radius_norm(generator)]
    return [*cases, (*cases[-1][:3], 0.0)]


def _classes_and_dimensions(generator: np.random.Generator) -> list[tuple]:
    dimension = int(generator.integers(4, 12))
    return [
        (dimension + 1, dimension),
        (dimension + 2, dimension),
        (2 * dimension, dimension),
        (int(generator.integers(2, dimension)), dimension),
    ]


EXERCISES = {
    "9a": Exercise(
        "fixed_frame_floor",
        _fixed_frame_floor,
        classes_radius_norm,
        "centre the rows first: the softmax does not see what all scores share. Centred rows are a simplex; their "
        "norm is r·√((K−1)/K), and Corollary 1 of lesson 3 does the rest",
        8,
        "hard",
        kept=True,
    ),
    "9b": Exercise(
        "largest_cosine",
        _largest_cosine,
        _classes_and_dimensions,
        "up to K = h + 1 there is a simplex; from there to 2h the vectors ±e_i come next",
        5,
        "medium",
    ),
    "9c": Exercise(
        "pairs_floor",
        _pairs_floor,
        _distinct_classes,
        "an anchor sees its positive at inner product 1 and the b − 1 other classes at −1/(K−1), all over τ",
        6,
        "medium",
    ),
    "9d": Exercise(
        "collapse_threshold",
        _threshold,
        _sizes,
        "p_in = (n−1)/(N−1) with N = nK, p_out = 1 − p_in, q = exp(−4K/(K−1))",
        6,
        "medium",
        kept=True,
    ),
    "9e": Exercise(
        "my_floor",
        _my_floor,
        _with_margins,
        "the loss of a point is log(1 + Σ exp(m + s_k − s_y)): every term of the sum in Theorem 1 gets the factor "
        "exp(m)",
        8,
        "medium",
        kept=True,
    ),
}

QUESTIONS = {
    "9.1": Choice(
        "Alignment and uniformity, with their usual weights, on ten equal classes. Do classes collapse at the optimum?",
        {
            "a": Option("yes, like under sc", "pairs of one class are pushed apart by uniformity as well"),
            "b": Option("only in high dimension", "the threshold does not hold h"),
            "c": Option("no: the weight of alignment is below the threshold", "1 is below 1.788"),
        },
        right="c",
    ),
    "9.2": Choice(
        "A head is fixed at orthonormal rows. Where do free points go?",
        {
            "a": Option("to the rows", "what all rows share does not change a softmax: only centred rows matter"),
            "b": Option("to the centred rows: a regular simplex", "points along row minus mean row"),
            "c": Option(
                "it depends on the temperature", "the scale changes the loss at the optimum, not the directions"
            ),
        },
        right="b",
    ),
    "9.3": Open(
        "Somebody shows you a new supervised loss whose minimum is the regular simplex as well. Which questions do "
        "you ask "
        "before you believe that it is better than cross-entropy?",
        (
            "What is its floor under the norms, the batches and the encoder that are used, and the excess over it?",
            "The same optimum says nothing on the way there: rate, schedule, budget, seeds, noise in the labels.",
            "How is the fit judged, and on which images?",
        ),
    ),
}
