"""The exercises of the lessons: what is asked, what is expected, how close, and a hint.

Expected values come from the package or are constants of the theory, never from the solutions: each tests the other.
"""

from collections.abc import Callable
from fractions import Fraction

import numpy as np

from simplexlab import geometry, theory
from simplexlab.course.checking import Case, Exercise, Verdict, ask, calls, examine


def judge(name: str, answer: Callable) -> Verdict:
    """Check the answer to an exercise.

    Args:
        name: of the exercise, such as "1a".
        answer: the function that the student wrote.

    Raises:
        ValueError: there is no such exercise.
    """
    if name not in EXERCISES:
        raise ValueError(f"there is no exercise {name}; there are {', '.join(EXERCISES)}")
    return examine(name, EXERCISES[name], answer)


def _simplex_inner_product() -> list[Case]:
    def between(num_classes: int, radius: float) -> float:
        vertices = geometry.regular_simplex(num_classes, num_classes, radius)
        return float(vertices[0] @ vertices[1])

    return calls(
        "inner_product", *(((k, rho), between(k, rho)) for k, rho in ((3, 1.0), (10, 1.0), (4, 2.5), (2, 3.0)))
    )


def _simplex_angle() -> list[Case]:
    similarity = geometry.simplex_similarity
    return calls("angle", *(((k,), 180 * (1 - similarity(k))) for k in (2, 3, 10, 100)))


def _simplex_from_frame() -> list[Case]:
    def deviation(function: Callable, num_classes: int) -> list[float]:
        vertices = np.asarray(ask(function, num_classes), float)
        norms = np.linalg.norm(vertices, axis=1)
        return [len(vertices), geometry.simplex_deviation(vertices).largest, np.abs(norms - 1).max()]

    return [
        Case(
            f"vertices, deviation from a simplex and from norm 1 of simplex_from_frame({k})",
            lambda function, k=k: deviation(function, k),
            np.array([k, 0.0, 0.0]),
        )
        for k in (2, 3, 7)
    ]


def _classes_needed() -> list[Case]:
    def smallest(gap: float) -> int:
        return next(k for k in range(2, 10_000) if 0.5 - geometry.simplex_similarity(k) <= gap)

    return calls("classes_needed", *(((gap,), smallest(gap)) for gap in (0.1, 0.01, 0.001)))


def _configuration(seed: int = 0, num_points: int = 7) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors in the plane and labels of three classes."""
    generator = np.random.default_rng(seed)
    points = generator.standard_normal((num_points, 2))
    return points / np.linalg.norm(points, axis=1, keepdims=True), np.arange(num_points) % 3


def _slope(function: Callable, point: np.ndarray) -> np.ndarray:
    """Gradient by central differences."""
    steps = 1e-5 * np.eye(len(point))
    return np.array([(function(point + step) - function(point - step)) / 2e-5 for step in steps])


def _pull_of_positives() -> list[Case]:
    points, labels = _configuration()
    expected = {0: (points[3] + points[6]) / 2, 1: points[4], 5: points[2]}
    return calls("pull_of_positives", *(((points, labels, anchor), mean) for anchor, mean in expected.items()))


def _push_shares() -> list[Case]:
    points, _ = _configuration()

    def shares(anchor: int, temperature: float) -> np.ndarray:
        weights = [0 if k == anchor else np.exp(points[k] @ points[anchor] / temperature) for k in range(len(points))]
        return np.array(weights) / sum(weights)

    asked = ((0, 1.0), (0, 0.1), (4, 0.5))
    return calls("push_shares", *(((points, *arguments), shares(*arguments)) for arguments in asked))


def _force_of_cross_entropy() -> list[Case]:
    points, _ = _configuration(1)
    weights = np.random.default_rng(2).standard_normal((3, 2))

    def force(point: np.ndarray, label: int) -> np.ndarray:
        return -_slope(lambda moved: theory.ce_loss(moved[None], np.array([label]), weights), point)

    return calls(
        "force_of_cross_entropy",
        *(((points[k], weights, label), force(points[k], label)) for k, label in ((0, 0), (1, 2))),
    )


def _back_to_ball() -> list[Case]:
    points = np.array([[3.0, 4.0], [0.1, 0.2], [0.0, -2.0]])
    return calls(
        "back_to_ball",
        ((points, 1.0), np.array([[0.6, 0.8], [0.1, 0.2], [0.0, -1.0]])),
        ((points, 2.0), np.array([[1.2, 1.6], [0.1, 0.2], [0.0, -2.0]])),
    )


def _floor_by_frobenius() -> list[Case]:
    asked = ((3, 1.0, 2.0), (10, 2.0, 3.0), (100, 1.0, 0.0))
    return calls("floor_by_frobenius", *((it, theory.ce_bound_frobenius(*it)) for it in asked))


def _floor_by_max_norm() -> list[Case]:
    asked = ((3, 1.0, 2.0), (10, 2.0, 3.0), (100, 1.0, 0.5))
    return calls("floor_by_max_norm", *((it, theory.ce_bound_max_norm(*it)) for it in asked))


def _best_weight_norm() -> list[Case]:
    asked = ((1.0, 0.01, 3), (2.0, 0.001, 10), (1.0, 0.5, 2))
    return calls("best_weight_norm", *((it, theory.optimal_weight_norm(*it)) for it in asked))


def _my_configuration() -> list[Case]:
    floor = theory.ce_bound_frobenius(3, 1.0, 3.0)

    def score(function: Callable) -> float:
        points, labels, weights = ask(function)
        points, labels, weights = np.asarray(points, float), np.asarray(labels), np.asarray(weights, float)
        if points.shape != (12, 2) or weights.shape != (3, 2):
            raise ValueError(f"points {points.shape} and weights {weights.shape} must be (12, 2) and (3, 2)")
        if sorted(labels.tolist()) != [0] * 4 + [1] * 4 + [2] * 4:
            raise ValueError("the labels must be four times each of 0, 1 and 2")
        if np.linalg.norm(points, axis=1).max() > 1 + 1e-9 or np.linalg.norm(weights) > 3 + 1e-9:
            raise ValueError("a point is outside of the unit disc, or ‖W‖_F is above 3")
        return theory.ce_loss(points, labels, weights) - floor

    return [Case("your loss minus the floor", score, 0.0)]


def _number_of_batches() -> list[Case]:
    return calls("number_of_batches", ((3, 2), 6), ((12, 9), 167_960), ((5, 3), 35))


def _simplex_value() -> list[Case]:
    asked = (((3, 3, 3), 1.0), ((7, 2, 0), 1.0), ((4, 4, 1), 2.0), ((5, 1), 0.5))
    return calls("simplex_value", *((it, float(theory.composition_value(np.array(it[0]), it[1]))) for it in asked))


def _batches_with_count() -> list[Case]:
    batches = theory.AllBatches(np.repeat(np.arange(3), 2), 4)
    counted = {count: int(np.sum(batches.label_counts == count)) for count in (0, 2, 4)}
    return calls("batches_with_count", *(((3, 2, 4, count), number) for count, number in counted.items()))


def _floor_per_anchor_on_cifar100() -> list[Case]:
    law = np.exp(theory.log_label_count_law(100, 256, sampling="iid"))
    counts = np.arange(2, 257)
    values = counts * np.log(counts - 1 + (256 - counts) * np.exp(-100 / 99 / 0.1))
    return calls("floor_per_anchor_on_cifar100", ((), float(100 * law[2:] @ values / 256)))


def _class_means() -> list[Case]:
    points, labels = _configuration(3, 8)
    return calls("class_means", ((points, labels), geometry.statistics(points, labels).class_means))


def _classify() -> list[Case]:
    points = np.array([[1.0, 0.2], [-3.0, 1.0], [0.1, 2.0], [0.4, 0.4]])
    means = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 2.0]])
    return calls("classify", ((points, means), [0, 1, 2, 2]))


def _angular_similarity() -> list[Case]:
    x, y = np.array([3.0, 4.0]), np.array([1.0, -2.0])
    asked = ((x, y), (x, 2 * x), (x, -x), (x, np.array([-4.0, 3.0])))
    return calls("angular_similarity", *((it, float(geometry.angular_similarity(*it))) for it in asked))


def _excess() -> list[Case]:
    points, labels = _configuration(4, 9)
    points = points * np.linspace(0.5, 2, 9)[:, None]
    weights = np.random.default_rng(5).standard_normal((3, 2))
    logits = points @ weights.T
    loss = np.mean(np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(9), labels])
    bound = np.log(1 + 2 * np.exp(-2 * np.sqrt(3) / 2 * np.sqrt(np.sum(weights**2))))
    return calls("excess", ((points, labels, weights), float(loss - bound)))


def _price_of_relu() -> list[Case]:
    def price(num_classes: int, batch_size: int, temperature: float) -> float:
        law = np.exp(theory.log_label_count_law(num_classes, batch_size, sampling="iid"))[2:]
        counts = np.arange(2, batch_size + 1)
        gaps = 1 / temperature, num_classes / (num_classes - 1) / temperature
        frame, simplex = (np.log(counts - 1 + (batch_size - counts) * np.exp(-gap)) for gap in gaps)
        return float(num_classes * law @ (counts * (frame - simplex)))

    asked = ((10, 256, 0.1), (3, 9, 1.0))
    return calls("price_of_relu", *((it, price(*it)) for it in asked))


def _split_gap() -> list[Case]:
    return calls("split_gap", ((13.0, 10.0, 10.5), [0.5, 2.5]), ((824.731, 824.464, 824.537), [0.073, 0.194]))


def _cosine_of_neighbours() -> list[Case]:
    return calls("cosine_of_neighbours", ((3,), -0.5), ((4,), 0.0), ((6,), 0.5), ((5,), (5**0.5 - 1) / 4))


def _floor_of_one_class() -> list[Case]:
    def smallest(num_classes: int, radius: float, frobenius: float) -> float:
        a = frobenius * np.sqrt((num_classes - 1) / num_classes)
        weights = np.array([[a]] + [[-a / (num_classes - 1)]] * (num_classes - 1))
        return theory.ce_loss(np.array([[radius]]), np.array([0]), weights)

    asked = ((3, 1.0, 3.0), (10, 2.0, 1.5))
    return calls("floor_of_one_class", *((it, smallest(*it)) for it in asked))


def _moved_labels() -> list[Case]:
    def moved(num_labels: int, fraction: float) -> int:
        return int(num_labels * Fraction(str(fraction)))

    asked = ((1400, 0.2), (100, 0.29), (7, 0.5), (1400, 0.0))
    return calls("moved_labels", *((it, moved(*it)) for it in asked))


def _pure_noise() -> list[Case]:
    return calls("pure_noise", ((10,), 0.9), ((2,), 0.5), ((100,), 0.99))


def _right_pair_share() -> list[Case]:
    def share(fraction: float, num_classes: int) -> float:
        true = np.full(num_classes, fraction / (num_classes - 1))
        true[0] = 1 - fraction
        return float(true @ true)

    asked = ((0.5, 10), (0.2, 3), (0.0, 10), (0.9, 10))
    return calls("right_pair_share", *((it, share(*it)) for it in asked))


def _first_fit() -> list[Case]:
    iterations, errors = [0, 20, 40, 60], [0.9, 0.01, 0.02, 0.0]
    answers = ((0.0, 60), (0.01, 20), (1.0, 0))
    known = (((iterations, errors, tolerance), answer) for tolerance, answer in answers)
    return calls("first_fit", *known, ((iterations[:3], errors[:3], 0.0), None))


def _share_of_replica() -> list[Case]:
    def ends(batch_size: int, replicas: int, replica: int) -> list[int]:
        share = np.split(np.arange(batch_size), replicas)[replica]
        return [int(share[0]), int(share[-1]) + 1]

    asked = ((64, 2, 1), (256, 8, 0), (256, 8, 7), (9, 3, 1))
    return calls("share_of_replica", *((it, ends(*it)) for it in asked))


def _per_replica_loss() -> list[Case]:
    points, labels = _configuration(6, 12)

    def wrong(replicas: int) -> float:
        rows = np.arange(12).reshape(replicas, -1)
        return float(theory.sc_loss_batches(points, labels, rows).sum())

    return calls("per_replica_loss", *(((points, labels, replicas), wrong(replicas)) for replicas in (1, 2, 3)))


def _expected_positives() -> list[Case]:
    return calls("expected_positives", ((256, 10), 25.5), ((11, 10), 1.0), ((1, 3), 0.0))


def _batches_needed() -> list[Case]:
    return calls("batches_needed", ((2.1, 0.05), 1764), ((1.0, 0.3), 12), ((3.0, 1.0), 9))


EXERCISES: dict[str, Exercise] = {
    "1a": Exercise(
        _simplex_inner_product,
        "expand 0 = ‖ζ_1 + … + ζ_K‖²: K squared norms, and K(K−1) times the one inner product you look for",
    ),
    "1b": Exercise(
        _simplex_angle,
        "the cosine is the inner product of unit vectors, from 1a with ρ = 1; np.degrees turns radians into degrees",
    ),
    "1c": Exercise(
        _simplex_from_frame,
        "np.eye(K) is the frame; subtract the mean of its rows, then divide every row by its norm",
        tolerance=1e-9,
    ),
    "1d": Exercise(
        _classes_needed,
        "try K = 2, 3, 4, … until 0.5 − γ(K) ≤ gap; geometry.simplex_similarity(K) is γ",
    ),
    "2a": Exercise(
        _pull_of_positives,
        "labels == labels[anchor] names the class; the anchor itself is not one of its positives",
    ),
    "2b": Exercise(
        _push_shares,
        "inner products with the anchor over τ, −∞ (np.inf) at the anchor itself, then exp, then divide by the sum",
    ),
    "2c": Exercise(
        _force_of_cross_entropy,
        "scores are weights @ point; their softmax p gives the push p @ weights",
        tolerance=1e-5,
    ),
    "2d": Exercise(
        _back_to_ball,
        "multiply each point by the smaller of 1 and radius / its norm; keepdims=True keeps the shapes in step",
    ),
    "3a": Exercise(
        _floor_by_frobenius,
        "the factor is √K/(K−1), the root over K alone",
    ),
    "3b": Exercise(
        _floor_by_max_norm,
        "put √K·r for ‖W‖_F: √K·√K/(K−1) = K/(K−1)",
    ),
    "3c": Exercise(
        _best_weight_norm,
        "start with low = 0 and high = ρ/λ; halve 100 times; keep the half in which left − right changes its sign; "
        "np.exp overflows above 700",
    ),
    "3d": Exercise(
        _my_configuration,
        "conditions (C1) to (C3) say where the points go; W = s times the same simplex, with ‖W‖_F = s·√3 = 3",
        tolerance=1e-3,
    ),
    "4a": Exercise(
        _number_of_batches,
        "write a multiset as b stars in a row with N − 1 bars between the points: choose the places of the stars",
        tolerance=0,
    ),
    "4b": Exercise(
        _simplex_value,
        "b is the sum of all counts, also of those that are 0 or 1; only counts above 1 contribute; K = len(counts)",
    ),
    "4c": Exercise(
        _batches_with_count,
        "number_of_batches(n, l) · number_of_batches(N − n, b − l), for K classes",
        tolerance=0,
    ),
    "4d": Exercise(
        _floor_per_anchor_on_cifar100,
        'theory.sc_bound(100, 256, temperature=0.1, sampling="iid"), and reduction="mean" or / 256',
    ),
    "5a": Exercise(
        _class_means,
        "representations[labels == k].mean(axis=0) for each class k, in one array",
    ),
    "5b": Exercise(
        _classify,
        "all inner products are representations @ means.T; np.argmax over axis 1 gives the class",
        tolerance=0,
    ),
    "5c": Exercise(
        _angular_similarity,
        "rounding can push a cosine past 1, where arccos gives NaN: np.clip(cosine, −1, 1)",
        tolerance=1e-6,
    ),
    "5d": Exercise(
        _excess,
        "ρ is the largest row norm of the representations; np.linalg.norm(weights) is ‖W‖_F",
    ),
    "6a": Exercise(
        _moved_labels,
        "0.29 * 100 is 28.999999999999996 in floating point: add a little, such as 1e-6, before math.floor",
        tolerance=0,
    ),
    "6b": Exercise(
        _pure_noise,
        "the true class has probability 1 − p, each other one p/(K−1): when are these equal?",
    ),
    "6c": Exercise(
        _right_pair_share,
        "both truly of class y, or both of the same one of the K − 1 others: a sum of squares",
    ),
    "6d": Exercise(
        _first_fit,
        "go through both lists together and return at the first error ≤ tolerance; after the loop, None",
        tolerance=0,
    ),
    "7a": Exercise(
        _price_of_relu,
        'both calls take temperature=… and sampling="iid"; they differ in features alone',
    ),
    "7b": Exercise(
        _split_gap,
        "architecture: from the simplex to the frame; optimisation: from the frame to the loss",
    ),
    "7c": Exercise(
        _cosine_of_neighbours,
        "the full circle, 2π, is shared by K neighbours",
    ),
    "7d": Exercise(
        _floor_of_one_class,
        "all K − 1 wrong scores lie ρ·(a + b) below the right one; what is −log softmax then?",
    ),
    "8a": Exercise(
        _share_of_replica,
        "a share holds batch_size // replicas positions; replica 0 starts at 0",
        tolerance=0,
    ),
    "8b": Exercise(
        _per_replica_loss,
        "np.split(points, replicas) and np.split(labels, replicas) give the shares; zip takes them in pairs",
    ),
    "8c": Exercise(
        _expected_positives,
        "each of the other s − 1 points is of the anchor's class with probability 1/K",
    ),
    "8d": Exercise(
        _batches_needed,
        "solve deviation / √n = error for n, and round up",
        tolerance=0,
    ),
}
