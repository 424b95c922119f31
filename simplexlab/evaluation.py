"""What one pass of cached representations says: errors, loss against its bound, geometry. numpy only, no TensorFlow."""

import contextlib
import warnings
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, field, replace
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

import numpy as np

from simplexlab import geometry
from simplexlab.geometry.checks import as_array
from simplexlab.objectives import Known, Objective

if TYPE_CHECKING:
    from simplexlab.theory import Floor

FEATURES = ("free", "nonnegative")
BLOCK = 8192
SAMPLE = 300
MEMORISATION = ("flipped_as_given", "flipped_as_true", "flipped_as_other", "clean_fitted")


@dataclass(frozen=True)
class Criterion:
    """What a run minimises and how it is judged, as far as its evaluation needs to know.

    Attributes:
        objective: entry of the table, or one of one's own.
        batch_size: images of a batch.
        nonnegative: whether the encoder ends in a ReLU, so that the orthogonal frame is its optimum.
        policy: the classifier that judges the fit: head, class-means or probe.
        options: the objective's own options, all of them.
        radius: radius of the sphere of the representations; by default the objective's own.
        seed: seed of the random batches.
        sample_losses: arrays of labels (n,) and outputs (n, ·) → loss of each sample, float (n,); needed by an
            objective that does not say itself how its loss is measured.
        penalty: rows of the head (K, h) → what is added to the mean of `sample_losses`; None for nothing.
        views, per_class: how batches are drawn, see `simplexlab.objectives.Known`.
    """

    objective: Objective
    batch_size: int
    nonnegative: bool
    policy: str
    options: Mapping[str, Any] = field(default_factory=dict)
    radius: float | None = None
    seed: int = 0
    sample_losses: Callable[[np.ndarray, np.ndarray], np.ndarray] | None = None
    penalty: Callable[[np.ndarray], float] | None = None
    views: int = 1
    per_class: int = 0


@dataclass(frozen=True)
class Representations:
    """Cached representations of one split: values (N, h) float and integer labels (N,), arrays of any library.

    `clean` holds the true labels (N,) where some of `labels` are wrong, else None.
    """

    values: np.ndarray
    labels: np.ndarray
    clean: np.ndarray | None = None

    def __post_init__(self) -> None:
        for name in ("values", "labels", "clean"):
            if (given := getattr(self, name)) is not None:
                object.__setattr__(self, name, as_array(given))


@dataclass(frozen=True)
class Evaluation:
    """The record of one evaluation (JSON-able) and the arrays that a geometry file keeps."""

    record: dict[str, Any]
    arrays: dict[str, np.ndarray] = field(repr=False)
    classifier: np.ndarray = field(repr=False)


def evaluate(
    train: Representations,
    test: Representations | None,
    criterion: Criterion,
    weights: np.ndarray | None = None,
    *,
    projections: np.ndarray | None = None,
    iteration: int = 0,
    probe: bool = False,
) -> Evaluation:
    """Evaluate one configuration of representations against its labels and its proven optimum.

    With a projection head there are two of them: the encoder's, which is kept and judged, and the head's, which the
    loss sees. Loss and floor are of the latter, whose statistics stand under `projection`; nothing pins the encoder's,
    so that its own stand beside the simplex, or the frame under a ReLU, only for comparison.

    Args:
        train: representations of the training images with the labels given to training (N, h), (N,), and the true
            labels where those are noisy: then what is memorised is recorded too.
        test: representations of the test images with their true labels, or None.
        criterion: objective, batch law and classifier.
        weights: rows of the trained or fixed head, shape (K, h); None without one: then the class means classify.
        projections: what a projection head makes of the training representations, (N, d); None without one.
        iteration: enters the seed of the random batches, so that each evaluation draws its own.
        probe: fit the linear probe as well; always done when it is the policy.

    Returns:
        The keys of a metrics line that come from the representations, and the arrays of its geometry file.
    """
    weights = None if weights is None else as_array(weights)
    seen, judged = train, criterion
    if projections is not None:
        seen, judged = Representations(projections, train.labels), replace(criterion, nonnegative=False)
    with ThreadPoolExecutor(1) as beside:  # numpy lets another thread work while it computes
        loss = beside.submit(copy_context().run, measure_loss, seen, judged, weights, iteration)
        classifier = geometry.class_means(train.values, train.labels) if weights is None else weights
        statistics = geometry.statistics(train.values, train.labels, classifier)
    measured, floor = loss.result()
    means = statistics.class_means
    classifiers = {"class_means": means} if weights is None else {"head": weights, "class_means": means}
    best = optimum_of(floor, statistics.class_counts, judged, weights)
    arrays = {}
    if projections is not None:
        measured["projection"], arrays = _of_projection(seen, best)
        best = geometry.standard_optimum(len(means), FEATURES[criterion.nonnegative])
    record = statistics.to_dict(best)
    record["optimum"] = geometry.optimal_values(best)
    record["optimum_name"] = best.name
    if weights is None:
        record["weight_similarity"] = None
    if probe or criterion.policy == "probe":
        classifiers["probe"], record["probe_converged"] = linear_probe(train.values, train.labels)
    for name, rows in classifiers.items():
        record |= _error_rates(name, train, test, rows)
    policy = criterion.policy.replace("-", "_")
    record["train_error"] = record[f"train_error_{policy}"]
    record["test_error"] = record[f"test_error_{policy}"]
    if train.clean is not None:
        record |= memorisation(predictions(train.values, classifiers[policy]), train.labels, train.clean)
    record |= measured
    if criterion.objective.sphere and measured["bound_is_exact"]:
        norms = record.get("projection", record)["norms"]  # the floor is that of one sphere
        record["bound_is_exact"] = norms["maximum"] <= norms["minimum"] * (1 + 1e-2)
    return Evaluation(record, _geometry_arrays(train, statistics, weights, best) | arrays, classifier)


def _of_projection(seen: Representations, best: geometry.Optimum) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """What the loss sees: the record of the projection head's output beside its optimum, and arrays of it."""
    means = geometry.class_means(seen.values, seen.labels)
    statistics = geometry.statistics(seen.values, seen.labels, means)
    record = statistics.to_dict(best) | {"optimum": geometry.optimal_values(best), "optimum_name": best.name}
    record["weight_similarity"] = None  # there are no weights
    arrays = {
        "class_means": statistics.class_means.astype(np.float32),
        "optimum_means": best.class_means.astype(np.float32),
        "class_mean_histogram": statistics.class_mean_similarity.histogram,
        "within_class_histogram": statistics.within_class_similarity.histogram,
    }
    return record, {f"projection_{name}": array for name, array in arrays.items()}


def optimum_of(
    floor: "Floor | None", class_counts: np.ndarray, criterion: Criterion, weights: np.ndarray | None
) -> geometry.Optimum:
    """The configuration that statistics are set beside: that of the floor, or the simplex or frame where there is none.

    Args:
        floor: of the objective under the labels, norms, head and ReLU of the run.
        class_counts: points of each class, shape (K,).
        criterion: how the run is judged.
        weights: rows of its head, shape (K, h), or None.
    """
    num_classes = len(class_counts)
    features = FEATURES[criterion.nonnegative]
    standard = geometry.standard_optimum(num_classes, features)
    if floor is None or floor.points is None or not floor.points.any():
        return standard
    rows = floor.weights if floor.weights is not None else floor.points
    fixed = weights is not None and criterion.objective.head == "fixed"
    balanced = bool(criterion.per_class or (class_counts == class_counts[0]).all())
    # A fixed head that a ReLU stands before has an optimum of its own.
    is_standard = balanced and floor.best_known is None and not (fixed and criterion.nonnegative)
    is_standard = is_standard and _are_alike(floor.points, standard.class_means)
    spread = False
    if criterion.objective.sphere:
        norms = np.linalg.norm(floor.points, axis=1)  # 0 where a class is in no batch
        spread = bool(((norms > 0) & (norms < (1 - 1e-6) * _sphere(criterion))).any())
    name = standard.name if is_standard and not spread else f"optimum ({floor.origin})"
    irregular = spread and floor.best_known is not None
    return geometry.Optimum(floor.points, rows, class_counts, name=name, spread=spread, irregular=irregular)


def _are_alike(points: np.ndarray, others: np.ndarray) -> bool:
    """Whether points, one a row, make the same angles with each other as others do; a point at 0 makes none."""
    rows = (points, others)
    first, second = (row / np.maximum(np.linalg.norm(row, axis=1, keepdims=True), 1e-300) for row in rows)
    return bool(np.abs(first @ first.T - second @ second.T).max() < 1e-3)


def _sphere(criterion: Criterion) -> float:
    """Radius of the sphere of the representations."""
    return criterion.objective.radius(criterion.options) if criterion.radius is None else criterion.radius


def with_probe(evaluation: Evaluation, train: Representations, test: Representations | None) -> Evaluation:
    """The same evaluation and what the linear probe on its representations adds to it."""
    rows, converged = linear_probe(train.values, train.labels)
    errors = _error_rates("probe", train, test, rows)
    return replace(evaluation, record=evaluation.record | {"probe_converged": converged} | errors)


def numbers(record: Mapping[str, Any]) -> dict[str, int | float]:
    """Every number of a record as a Python number, those of a distribution under `key_mean`, `key_q05`, …

    Truth values are no numbers; what is None is left out, and so are the values at the optimum.
    """
    found: dict[str, int | float] = {}
    for key, value in record.items():
        if key == "optimum":
            continue
        if isinstance(value, Mapping):
            found |= {f"{key}_{name}": number for name, number in numbers(value).items()}
        elif isinstance(value, Real) and not isinstance(value, bool):
            found[key] = int(value) if isinstance(value, Integral) else float(value)
    return found


def _error_rates(
    name: str, train: Representations, test: Representations | None, rows: np.ndarray
) -> dict[str, float | None]:
    return {
        f"train_error_{name}": error_rate(train, rows),
        f"test_error_{name}": None if test is None else error_rate(test, rows),
    }


def measure_loss(
    train: Representations, criterion: Criterion, weights: np.ndarray | None, iteration: int = 0
) -> tuple[dict[str, Any], "Floor | None"]:
    """The loss on all training data beside its floor for the labels, norms, head and ReLU that the run has.

    Returns:
        The keys `loss`, `bound` (the floor), `bound_certificate` (a rigorous lower bound of it), `bound_is_exact`,
        `bound_best_known` (where h is too small to attain the floor), `bound_attained` (False where no configuration
        is known to take the floor), `optimum_is_unique` (False where class means at other angles take it, too),
        `excess` (loss − bound) and its standard error;
        for an encoder that ends in a ReLU also `free_bound` (the floor without the ReLU), `gap_architecture` (what the
        ReLU costs: bound − free bound) and `gap_optimisation` (what training leaves: the excess). Where the objective
        has no floor, those are None. And the floor.
    """
    objective = criterion.objective
    if objective.sphere:
        radius = _sphere(criterion)
    else:
        radius = float(np.sqrt(np.einsum("ij,ij->i", train.values, train.values, dtype=np.float64).max()))
    counts = np.bincount(train.labels)
    known = Known(
        class_counts=np.full_like(counts, counts.max()) if criterion.per_class and weights is not None else counts,
        dimension=train.values.shape[1],
        options=criterion.options,
        batch_size=criterion.batch_size,
        features=FEATURES[criterion.nonnegative],
        radius=radius,
        weights=weights,
        views=criterion.views,
        per_class=criterion.per_class,
    )
    floor = None if objective.floor is None else objective.floor(known)
    generator = np.random.default_rng([criterion.seed, iteration])
    if known.per_class and weights is not None:
        # Each class counts alike in training, whatever its count.
        parts = [_of_class(train, label) for label in range(known.num_classes)]
        measured = [_measured(part, criterion, known, floor, generator) for part in parts]
        loss = float(np.mean([loss for loss, _, _ in measured]))
        excess, error = None if floor is None else loss - floor.value, None
    else:
        loss, excess, error = _measured(train, criterion, known, floor, generator)
    record = {
        "loss": loss,
        "bound": None if floor is None else floor.value,
        "bound_certificate": None if floor is None else floor.certificate,
        "bound_is_exact": None if floor is None else floor.is_exact,
        "excess": excess,
        "excess_standard_error": error,
    }
    if floor is not None and floor.best_known is not None:
        record["bound_best_known"] = floor.best_known
    if floor is not None and not floor.attained:
        record["bound_attained"] = False
    if floor is not None and not floor.unique:
        record["optimum_is_unique"] = False
    if criterion.nonnegative and floor is not None:
        free = objective.floor(replace(known, features="free")).value
        record |= {"free_bound": free, "gap_architecture": floor.value - free, "gap_optimisation": excess}
    return record, floor


def _of_class(points: Representations, label: int) -> Representations:
    return Representations(points.values[points.labels == label], points.labels[points.labels == label])


def _measured(
    train: Representations,
    criterion: Criterion,
    known: Known,
    floor: "Floor | None",
    generator: np.random.Generator,
) -> tuple[float, float | None, float | None]:
    """Loss, excess over the floor and the standard error of an objective on some points."""
    if criterion.objective.measure is not None:
        return criterion.objective.measure(train.values, train.labels, known, floor, generator)
    loss, error = _mean_loss(train, criterion, known, generator)
    return loss, None if floor is None else loss - floor.value, error


def _mean_loss(
    train: Representations, criterion: Criterion, known: Known, generator: np.random.Generator
) -> tuple[float, float | None]:
    """Mean loss of an objective that does not say how it is measured, and its standard error.

    With a head, the mean over all points, without error. Without one, where the samples of a batch may be coupled, the
    mean over the anchors of random batches as training draws them.
    """
    if criterion.sample_losses is None:
        raise ValueError(f"the loss of {criterion.objective.name} cannot be computed without its Keras parts")
    if known.weights is not None:
        total = 0.0
        for start in range(0, len(train.labels), BLOCK):
            part = slice(start, start + BLOCK)
            logits = train.values[part] @ known.weights.T.astype(train.values.dtype)
            total += float(np.sum(criterion.sample_losses(train.labels[part], logits), dtype=np.float64))
        added = 0.0 if criterion.penalty is None else criterion.penalty(known.weights)
        return total / len(train.labels) + added, None
    indices = known.batches(train.labels, generator)
    means = np.array(
        [np.mean(criterion.sample_losses(train.labels[rows], train.values[rows]), dtype=np.float64) for rows in indices]
    )
    return float(means.mean()), float(means.std(ddof=1) / np.sqrt(len(means)))


def error_rate(points: Representations, classifier: np.ndarray) -> float:
    """Share of points whose largest inner product with the classifier's rows is not at their label."""
    return float(np.mean(predictions(points.values, classifier) != points.labels))


def predictions(values: np.ndarray, classifier: np.ndarray) -> np.ndarray:
    """The class whose row of the classifier (K, h) has the largest inner product with each of the values (N, h)."""
    return np.argmax(values @ classifier.T.astype(values.dtype), axis=1)


def memorisation(predicted: np.ndarray, given: np.ndarray, clean: np.ndarray) -> dict[str, float | None]:
    """What became of the wrong labels: memorised, seen through, or neither; and how many of the right ones are fitted.

    Args:
        predicted: classes that the classifier gives the training images, (N,).
        given: labels that it was trained on, (N,).
        clean: their true labels, (N,).

    Returns:
        Shares of the images whose given label is wrong: `flipped_as_given` (predicted as the wrong label, memorised),
        `flipped_as_true` (as the true one, seen through), `flipped_as_other`; they add up to 1. And of the others:
        `clean_fitted` (predicted as their label). None where there are no such images.
    """
    predicted, given, clean = np.asarray(predicted), np.asarray(given), np.asarray(clean)
    flipped = given != clean
    as_given, as_true = predicted == given, predicted == clean
    chosen = (as_given[flipped], as_true[flipped], ~(as_given | as_true)[flipped], as_given[~flipped])
    return dict(zip(MEMORISATION, map(_share, chosen), strict=True))


def _share(chosen: np.ndarray) -> float | None:
    return float(chosen.mean()) if len(chosen) else None


def import_probe() -> None:
    """Import what `linear_probe` needs, so that it need not wait half a second for it; a failure is told there."""
    with contextlib.suppress(Exception):
        import sklearn.linear_model  # noqa: F401


def linear_probe(values: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, bool]:
    """Rows of a multinomial logistic regression without bias on frozen representations, and whether it converged.

    Minimises mean cross-entropy + ‖W‖²/(2N) on representations scaled to unit mean square norm (scikit-learn's L-BFGS,
    at most 2000 iterations); a weak penalty, without which separable representations have no minimiser.

    Returns:
        Weights of shape (K, h) for the representations as they came, and True where the tolerance was reached.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    scale = float(np.sqrt(np.mean(np.square(values, dtype=np.float64)) * values.shape[1])) or 1.0
    model = LogisticRegression(C=1.0, fit_intercept=False, tol=1e-4, max_iter=2000)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        model.fit(values.astype(np.float64) / scale, labels)
    rows = model.coef_ if len(model.coef_) > 1 else np.concatenate([-model.coef_, model.coef_]) / 2
    return rows / scale, not any(issubclass(warning.category, ConvergenceWarning) for warning in caught)


class TimeToFit:
    """First evaluation whose train error is at most the tolerance, and the last evaluation before it.

    The true value lies in (`lower`, `iteration`]; `iteration` is None as long as no evaluation was fitted.
    """

    def __init__(self, tolerance: float):
        self.tolerance = tolerance
        self.lower: int | None = None
        self.iteration: int | None = None

    def update(self, iteration: int, train_error: float) -> bool:
        """Take in one evaluation; return True once the labels are fitted."""
        if self.iteration is None:
            if train_error <= self.tolerance:
                self.iteration = iteration
            else:
                self.lower = iteration
        return self.iteration is not None


def _geometry_arrays(
    train: Representations, statistics: geometry.Statistics, weights: np.ndarray | None, best: geometry.Optimum
) -> dict[str, np.ndarray]:
    rows = sample_rows(train.labels, SAMPLE)
    arrays = {
        "class_means": statistics.class_means.astype(np.float32),
        "optimum_means": best.class_means.astype(np.float32),
        "sample": train.values[rows].astype(np.float32),
        "sample_labels": train.labels[rows],
        "class_mean_histogram": statistics.class_mean_similarity.histogram,
        "within_class_histogram": statistics.within_class_similarity.histogram,
    }
    if weights is not None:
        arrays["weights"] = np.asarray(weights, np.float32)
        arrays["weight_histogram"] = statistics.weight_similarity.histogram
    return arrays


def sample_rows(labels: np.ndarray, size: int) -> np.ndarray:
    """Rows of a fixed sample, as even over the classes as can be: the first of every class, then the second, …"""
    order = np.argsort(labels, kind="stable")
    starts = np.searchsorted(labels[order], labels[order])
    return order[np.argsort(np.arange(len(labels)) - starts, kind="stable")][:size]
