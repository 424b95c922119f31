"""What one configuration of a toy says: its exact loss against its bound, its geometry. numpy alone."""

from functools import lru_cache
from typing import Any

import numpy as np

from simplexlab import geometry, objectives, theory
from simplexlab.evaluation import Criterion, Representations, error_rate, measure_loss, optimum_of
from simplexlab.toy.configurations import Configuration, labels_of
from simplexlab.toy.settings import Toy


def evaluate_toy(
    toy: Toy, labels: np.ndarray, configuration: Configuration, iteration: int = 0, loss: float | None = None
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Evaluate one configuration of a resolved toy.

    The loss is the objective itself, for sc summed over the anchors of a batch; the bound is Corollary 2 for ce and
    for sc Theorem 2 under the law by which the toy draws its batches: all points at once are the only batch of N
    without replacement, a batch size draws i.i.d., `all_batches` are the paper's multisets.

    Args:
        toy: resolved options.
        labels: y, shape (N,).
        configuration: points and weights.
        iteration: enters the seed of the batches from which the loss of a toy with a batch size is estimated.
        loss: the value of the objective, where it is known already.

    Returns:
        The keys of a metrics line that come from the configuration, named as those of a training run, and the arrays
        of its geometry file: those of a training run, with every point in the sample.
    """
    points, weights = configuration
    sample = Representations(points, labels)
    measured, floor = _loss_and_floor(toy, sample, weights, iteration, loss)
    judge = "class-means" if weights is None else "head"
    criterion = Criterion(objectives.get(toy.loss), toy.batch_size or toy.num_points, False, judge, radius=toy.radius)
    record, arrays = describe(sample, weights, criterion, measured, floor)
    if weights is None:
        record["conditions"] = theory.conditions_sc(points, labels, toy.radius)
    else:
        record["conditions"] = theory.conditions_ce(points, labels, weights, toy.radius, weight_decay=toy.weight_decay)
        record["weight_norm"] = float(np.linalg.norm(weights, axis=1).mean())
        record["optimal_weight_norm"] = theory.optimal_weight_norm(toy.radius, toy.weight_decay, toy.classes)
    return record, arrays


def describe(
    sample: Representations,
    weights: np.ndarray | None,
    criterion: Criterion,
    measured: dict[str, Any],
    floor: theory.Floor | None,
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The record and the arrays of a configuration whose loss is known, beside the optimum of its floor.

    Args:
        sample: points and labels.
        weights: rows of the classifier (K, h); None without one: then the class means classify.
        criterion: how it is judged.
        measured: loss, bound and excess.
        floor: where the optimum comes from.
    """
    points, labels = sample.values, sample.labels
    classifiers = {"class_means": geometry.class_means(points, labels)}
    if weights is not None:
        classifiers = {"head": weights, **classifiers}
    statistics = geometry.statistics(points, labels, next(iter(classifiers.values())))
    best = optimum_of(floor, np.bincount(labels), criterion, weights)
    errors = {f"train_error_{name}": error_rate(sample, rows) for name, rows in classifiers.items()}
    record = {
        **statistics.to_dict(best),
        "optimum": geometry.optimal_values(best),
        **errors,
        "train_error": errors[f"train_error_{criterion.policy.replace('-', '_')}"],
        "test_error": None,
        "optimum_name": best.name,
        **measured,
    }
    arrays = {
        "class_means": statistics.class_means.astype(np.float32),
        "optimum_means": best.class_means.astype(np.float32),
        "sample": points.astype(np.float32),
        "sample_labels": labels,
        "class_mean_histogram": statistics.class_mean_similarity.histogram,
        "within_class_histogram": statistics.within_class_similarity.histogram,
    }
    if weights is None:
        record["weight_similarity"] = None
    else:
        arrays["weights"] = weights.astype(np.float32)
        arrays["weight_histogram"] = statistics.weight_similarity.histogram
    return record, arrays


def beside(loss: float, floor: theory.Floor | None) -> dict[str, Any]:
    """Loss, bound and excess as a metrics line has them."""
    record = {
        "loss": loss,
        "bound": None if floor is None else floor.value,
        "bound_certificate": None if floor is None else floor.certificate,
        "bound_is_exact": None if floor is None else floor.is_exact,
        "excess": None if floor is None else loss - floor.value,
        "excess_standard_error": None,
    }
    if floor is not None and floor.best_known is not None:
        record["bound_best_known"] = floor.best_known
    if floor is not None and not floor.attained:
        record["bound_attained"] = False
    if floor is not None and not floor.unique:
        record["optimum_is_unique"] = False
    return record


def _loss_and_floor(
    toy: Toy, sample: Representations, weights: np.ndarray | None, iteration: int, loss: float | None
) -> tuple[dict[str, Any], theory.Floor]:
    floor = floor_of(toy)
    if weights is not None:
        loss = theory.ce_loss(sample.values, sample.labels, weights) + toy.weight_decay * float(np.sum(weights**2))
    elif toy.batch_size is None:
        loss = theory.sc_loss_batch(sample.values, sample.labels)
    elif not toy.all_batches:
        objective = objectives.get(toy.loss)
        batches = Criterion(
            objective, toy.batch_size, nonnegative=False, policy=objective.judge, radius=toy.radius, seed=toy.seed
        )
        return measure_loss(sample, batches, None, iteration)[0], floor
    return beside(loss, floor), floor


@lru_cache(maxsize=4)  # the same at every evaluation
def floor_of(toy: Toy) -> theory.Floor:
    """The least value of the objective of a resolved toy, with its certificate and configuration.

    ce: cross-entropy + λ‖W‖²_F in the unit ball. sc: the expectation over the batches that the toy draws; all points at
    once are one batch of their counts, `all_batches` are the paper's multisets.
    """
    counts = np.array(toy.class_counts)
    if toy.loss == "ce":
        return theory.ce_floor_weight_decay(counts, toy.radius, toy.weight_decay, dimension=toy.dimension)
    if toy.all_batches:
        batches = theory.AllBatches(labels_of(toy.class_counts), toy.batch_size).label_counts
        return theory.sc_floor_of_batches(batches, radius=toy.radius, dimension=toy.dimension)
    if toy.batch_size is None:
        return theory.sc_floor_of_composition(counts, radius=toy.radius, dimension=toy.dimension)
    return theory.sc_floor(counts / counts.sum(), toy.batch_size, radius=toy.radius, dimension=toy.dimension)
