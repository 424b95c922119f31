"""What one pass of cached representations says: errors, loss against its bound, geometry. numpy only, no TensorFlow."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from numbers import Integral, Real
from typing import Any

import numpy as np

from simplexlab import geometry, theory

BATCHES = 128
SAMPLE = 300


@dataclass(frozen=True)
class Criterion:
    """What a run minimises, as far as its evaluation needs to know.

    Attributes:
        loss: ce, ce-fix or sc.
        batch_size: samples of an SC batch, drawn with replacement.
        radius: radius of the sphere of SC's representations, 1/√τ.
        nonnegative: whether the encoder ends in a ReLU, so that the orthogonal frame is its optimum.
        policy: the classifier that judges the fit: head, class-means or probe.
        seed: seed of the SC batches.
    """

    loss: str
    batch_size: int
    radius: float
    nonnegative: bool
    policy: str
    seed: int = 0


@dataclass(frozen=True)
class Representations:
    """Cached representations of one split: values (N, h) float and integer labels (N,)."""

    values: np.ndarray
    labels: np.ndarray


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
    iteration: int = 0,
    probe: bool = False,
) -> Evaluation:
    """Evaluate one configuration of representations against its labels and its proven optimum.

    Args:
        train: representations of the training images with the labels given to training (N, h), (N,).
        test: representations of the test images with their true labels, or None.
        criterion: loss, batch law and classifier.
        weights: rows of the trained or fixed head, shape (K, h); None for SC, whose classifier are its class means.
        iteration: enters the seed of the SC batches, so that each evaluation draws its own.
        probe: fit the linear probe as well; always done when it is the policy.

    Returns:
        The keys of a metrics line that come from the representations, and the arrays of its geometry file.
    """
    classifier = geometry.class_means(train.values, train.labels) if weights is None else weights
    statistics = geometry.statistics(train.values, train.labels, classifier)
    means = statistics.class_means
    classifiers = {"class_means": means} if weights is None else {"head": weights, "class_means": means}
    record = statistics.to_dict()
    if weights is None:
        record["weight_similarity"] = None
    for name, rows in classifiers.items():
        record |= _error_rates(name, train, test, rows)
    if probe or criterion.policy == "probe":
        record |= _probe_record(train, test)
    policy = criterion.policy.replace("-", "_")
    record["train_error"] = record[f"train_error_{policy}"]
    record["test_error"] = record[f"test_error_{policy}"]
    record |= loss_and_bound(train, criterion, weights, iteration)
    record["bound_is_exact"] = _bound_is_exact(record, criterion)
    return Evaluation(record, _geometry_arrays(train, statistics, weights), classifier)


def with_probe(evaluation: Evaluation, train: Representations, test: Representations | None) -> Evaluation:
    """The same evaluation and what the linear probe on its representations adds to it."""
    return replace(evaluation, record=evaluation.record | _probe_record(train, test))


def numbers(record: Mapping[str, Any]) -> dict[str, int | float]:
    """Every number of a record as a Python number, those of a distribution under `key_mean`, `key_q05`, …

    Truth values are no numbers; what is None is left out.
    """
    found: dict[str, int | float] = {}
    for key, value in record.items():
        if isinstance(value, Mapping):
            found |= {f"{key}_{name}": number for name, number in numbers(value).items()}
        elif isinstance(value, Real) and not isinstance(value, bool):
            found[key] = int(value) if isinstance(value, Integral) else float(value)
    return found


def _probe_record(train: Representations, test: Representations | None) -> dict[str, Any]:
    rows, converged = linear_probe(train.values, train.labels)
    return {"probe_converged": converged} | _error_rates("probe", train, test, rows)


def _error_rates(
    name: str, train: Representations, test: Representations | None, rows: np.ndarray
) -> dict[str, float | None]:
    return {
        f"train_error_{name}": error_rate(train, rows),
        f"test_error_{name}": None if test is None else error_rate(test, rows),
    }


def _bound_is_exact(record: dict[str, Any], criterion: Criterion) -> bool:
    """Whether the theorem's assumptions hold: balanced labels, K ≤ h + 1, and for SC points on one sphere."""
    norms = record["norms"]
    on_sphere = criterion.loss != "sc" or norms["maximum"] <= norms["minimum"] * (1 + 1e-2)
    return record["imbalance"] == 0 and record["num_classes"] <= record["dimension"] + 1 and on_sphere


def loss_and_bound(
    train: Representations, criterion: Criterion, weights: np.ndarray | None, iteration: int = 0
) -> dict[str, float | None]:
    """The loss on all training data, its bound at the simplex and the excess; for a ReLU encoder the gap in two parts.

    CE and CE-fix: the mean over the points, against Theorem 1 with the largest norm of a representation and ‖W‖_F as
    they are. SC: the expected sum over the anchors of a batch drawn with replacement, against Theorem 2 for that law;
    the excess is the paired one (each batch less the value of the simplex at the batch's own label counts), and the
    loss is the bound plus this excess, which has the expectation of the batch loss and a far smaller variance.
    """
    num_classes = int(train.labels.max()) + 1
    if criterion.loss == "sc":
        bound, frame = (
            theory.sc_bound(
                num_classes, criterion.batch_size, radius=criterion.radius, sampling="iid", features=features
            )
            for features in ("free", "nonnegative")
        )
        excess, error = _paired_excess(train, criterion, num_classes, iteration)
        loss = bound + excess
    else:
        radius = float(np.sqrt(np.einsum("ij,ij->i", train.values, train.values, dtype=np.float64).max()))
        norm = float(np.linalg.norm(np.asarray(weights, np.float64)))
        bound, frame = (
            theory.ce_bound_frobenius(num_classes, radius, norm, features=features)
            for features in ("free", "nonnegative")
        )
        loss, error = theory.ce_loss(train.values, train.labels, weights), None
        excess = loss - bound
    record = {"loss": loss, "bound": bound, "excess": excess, "excess_standard_error": error}
    if criterion.nonnegative:
        record["frame_bound"] = frame
        record["gap_architecture"] = frame - bound
        record["gap_optimisation"] = loss - frame
    return record


def error_rate(points: Representations, classifier: np.ndarray) -> float:
    """Share of points whose largest inner product with the classifier's rows is not at their label."""
    return float(np.mean(np.argmax(points.values @ classifier.T.astype(points.values.dtype), axis=1) != points.labels))


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


def _paired_excess(
    train: Representations, criterion: Criterion, num_classes: int, iteration: int
) -> tuple[float, float]:
    generator = np.random.default_rng([criterion.seed, iteration])
    indices = generator.integers(0, len(train.labels), size=(BATCHES, criterion.batch_size))
    losses = theory.sc_loss_batches(train.values, train.labels, indices)
    offsets = num_classes * np.arange(BATCHES)[:, None]
    counts = np.bincount((train.labels[indices] + offsets).ravel(), minlength=BATCHES * num_classes)
    return theory.paired_excess(losses, counts.reshape(BATCHES, num_classes), criterion.radius)


def _geometry_arrays(
    train: Representations, statistics: geometry.Statistics, weights: np.ndarray | None
) -> dict[str, np.ndarray]:
    rows = sample_rows(train.labels, SAMPLE)
    arrays = {
        "class_means": statistics.class_means.astype(np.float32),
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
