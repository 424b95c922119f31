"""What one configuration of a toy says: its exact loss against its bound, its geometry. numpy alone."""

from typing import Any

import numpy as np

from simplexlab import geometry, objectives, theory
from simplexlab.evaluation import Criterion, Representations, error_rate, measure_loss
from simplexlab.toy.configurations import Configuration
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
    classifiers = {"class_means": geometry.class_means(points, labels)}
    if weights is not None:
        classifiers = {"head": weights, **classifiers}
    judge = next(iter(classifiers))
    statistics = geometry.statistics(points, labels, classifiers[judge])
    best = geometry.standard_optimum(toy.classes, dimension=toy.dimension)
    errors = {f"train_error_{name}": error_rate(sample, rows) for name, rows in classifiers.items()}
    record = {
        **statistics.to_dict(best),
        "optimum": geometry.optimal_values(best),
        **errors,
        "train_error": errors[f"train_error_{judge}"],
        "test_error": None,
        "optimum_name": best.name,
        "bound_is_exact": toy.is_tight,
        **_loss_and_bound(toy, sample, weights, iteration, loss),
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
        record["conditions"] = theory.conditions_sc(points, labels, toy.radius)
    else:
        record["conditions"] = theory.conditions_ce(points, labels, weights, toy.radius, weight_decay=toy.weight_decay)
        record["weight_norm"] = float(np.linalg.norm(weights, axis=1).mean())
        record["optimal_weight_norm"] = theory.optimal_weight_norm(toy.radius, toy.weight_decay, toy.classes)
        arrays["weights"] = weights.astype(np.float32)
        arrays["weight_histogram"] = statistics.weight_similarity.histogram
    return record, arrays


def _loss_and_bound(
    toy: Toy, sample: Representations, weights: np.ndarray | None, iteration: int, loss: float | None
) -> dict[str, float | None]:
    if weights is not None:
        bound = theory.ce_bound_weight_decay(toy.classes, toy.radius, toy.weight_decay)
        loss = theory.ce_loss(sample.values, sample.labels, weights) + toy.weight_decay * float(np.sum(weights**2))
    elif toy.all_batches:
        bound = theory.sc_bound(
            toy.classes, toy.batch_size, radius=toy.radius, samples_per_class=toy.points_per_class, sampling="multiset"
        )
    elif toy.batch_size is None:
        bound = theory.sc_bound(
            toy.classes,
            toy.num_points,
            radius=toy.radius,
            samples_per_class=toy.points_per_class,
            sampling="without-replacement",
        )
        loss = theory.sc_loss_batch(sample.values, sample.labels)
    else:
        objective = objectives.get(toy.loss)
        batches = Criterion(
            objective, toy.batch_size, nonnegative=False, policy=objective.judge, radius=toy.radius, seed=toy.seed
        )
        return measure_loss(sample, batches, None, iteration)[0]
    excess = loss - bound
    return {"loss": loss, "bound": bound, "bound_certificate": bound, "excess": excess, "excess_standard_error": None}
