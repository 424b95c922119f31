"""Corrupted labels of real images fitted by a linear map on fixed random features, in numpy: no network, no TensorFlow.

What is left of supervised training without an encoder that learns features: the same images, the same corrupted labels
and the same way of drawing batches, cross-entropy against the supervised contrastive loss, and how long each takes.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from simplexlab.config import flag
from simplexlab.data import Dataset, corrupt_labels, load
from simplexlab.errors import UsageError

LOSSES = ("ce", "sc")
RATES = {"ce": 30.0, "sc": 0.3}


@dataclass(frozen=True, kw_only=True)
class LabelToy:
    """The options of `fit_labels`.

    Attributes:
        dataset: digits, or whatever `simplexlab.data.load` takes.
        data_dir: folder of prepared TFDS data.
        train_size: images, the same number of each class.
        features: random Fourier features of an image, √(2/D)·cos(⟨ω, x⟩ + φ) with ω normal of standard deviation
            1/median distance between images and φ uniform.
        dimension: h of the representation of sc, a linear map of the features put on the sphere of radius 1/√τ. The
            map of ce gives the logits themselves.
        batch_size: images a step, drawn with replacement.
        temperature: τ of sc.
        positives: positives of each anchor of sc: the first so many that follow it in the batch; 0 takes all.
        learning_rate: of gradient descent with momentum 0.9, constant, in units of each loss's own: 30 for ce, 0.3·τ
            for sc, whose gradient grows as 1/τ. With these clean digits are fitted soonest.
        iterations: the budget; a run ends earlier once it has fitted.
        evaluate_every: iterations between evaluations.
    """

    dataset: str = "digits"
    data_dir: str | None = None
    train_size: int = 600
    features: int = 2000
    dimension: int = 32
    batch_size: int = 128
    temperature: float = 0.1
    positives: int = 0
    learning_rate: float = 1.0
    iterations: int = 6000
    evaluate_every: int = 10

    def check(self) -> None:
        """Raise a UsageError where an option is out of range."""
        for name, least, most in (
            ("train_size", 10, 20_000),
            ("features", 1, 20_000),
            ("dimension", 2, 4096),
            ("batch_size", 3, 4096),
            ("positives", 0, 4096),
            ("iterations", 1, 10**7),
            ("evaluate_every", 1, 10**7),
        ):
            value = getattr(self, name)
            if not least <= value <= most:
                raise UsageError(f"{flag(name)} {value} must be between {least} and {most}")
        for name in ("temperature", "learning_rate"):
            if not 1e-6 <= getattr(self, name) <= 1e6:
                raise UsageError(f"{flag(name)} {getattr(self, name):g} must be between 1e-06 and 1e+06")


def fit_labels(
    toy: LabelToy,
    losses: tuple[str, ...] = LOSSES,
    corruptions: tuple[float, ...] = tuple(step / 10 for step in range(10)),
    seeds: tuple[int, ...] = (0, 1, 2),
    report: Callable[[dict[str, Any]], None] | None = None,
) -> list[dict[str, Any]]:
    """Fit the labels at each corruption with each loss and seed.

    A run is fitted when every given label is predicted: by the largest logit for ce, by the largest inner product with
    the class means for sc, as in training.

    Args:
        toy: the options.
        losses: ce, sc or both.
        corruptions: fractions of flipped labels.
        seeds: of the labels, the features, the first maps and the batches.
        report: called with each row.

    Returns:
        One row a run: run (a name), loss, corrupt, seed, time_to_fit (iteration, or None), fit_lower (the last
        evaluation before it, or the last one), censored, train_error (the last).

    Raises:
        UsageError: an option is out of range, or the dataset does not have so many images.
        RunError: the dataset is missing.
    """
    toy.check()
    dataset = load(toy.dataset, toy.data_dir, train_size=toy.train_size)
    rows = []
    for seed in seeds:
        features = random_features(dataset, toy.features, seed)
        for corrupt in corruptions:
            labels, _ = corrupt_labels(dataset.y_train, corrupt, seed=seed, num_classes=dataset.num_classes)
            for loss in losses:
                fit = {"ce": _fit_logits, "sc": _fit_representations}[loss]
                generator = np.random.default_rng([seed, LOSSES.index(loss)])
                found = _time(fit(toy, features, labels, dataset.num_classes, generator))
                rows.append(
                    {"run": f"{loss}-{corrupt:g}-s{seed}", "loss": loss, "corrupt": corrupt, "seed": seed, **found}
                )
                if report is not None:
                    report(rows[-1])
    return rows


def _time(errors: Iterator[tuple[int, float]]) -> dict[str, Any]:
    lower = None
    for iteration, error in errors:
        if error == 0:
            return {"time_to_fit": iteration, "fit_lower": lower, "censored": False, "train_error": 0.0}
        lower = iteration
    return {"time_to_fit": None, "fit_lower": lower, "censored": True, "train_error": error}


def random_features(dataset: Dataset, features: int, seed: int) -> np.ndarray:
    """Random Fourier features of the training images, whose inner products approach a Gaussian kernel.

    Its width is the median distance between images, so that neither all images nor none are alike.

    Returns:
        float32 (N, features).

    Reference: Rahimi and Recht, "Random features for large-scale kernel machines", NeurIPS 2007.
    """
    images = dataset.x_train.reshape(len(dataset.x_train), -1).astype(np.float32)
    mean, deviation = images.mean(), images.std()
    images = (images - mean) / (deviation or 1.0)
    generator = np.random.default_rng(seed)
    pairs = generator.integers(0, len(images), (2, 1000))
    width = float(np.median(np.linalg.norm(images[pairs[0]] - images[pairs[1]], axis=1))) or 1.0
    frequencies = generator.standard_normal((images.shape[1], features), np.float32) / width
    phases = generator.uniform(0, 2 * np.pi, features).astype(np.float32)
    return np.float32(np.sqrt(2 / features)) * np.cos(images @ frequencies + phases)


def _fit_logits(
    toy: LabelToy, features: np.ndarray, labels: np.ndarray, num_classes: int, generator: np.random.Generator
) -> Iterator[tuple[int, float]]:
    """Train the linear map to logits with cross-entropy; yields each evaluation's iteration and train error."""

    def gradient(weights: np.ndarray, batch: np.ndarray) -> np.ndarray:
        logits = features[batch] @ weights
        shares = np.exp(logits - logits.max(axis=1, keepdims=True))
        shares /= shares.sum(axis=1, keepdims=True)
        shares[np.arange(len(batch)), labels[batch]] -= 1
        return features[batch].T @ (shares / len(batch))

    def error(weights: np.ndarray) -> float:
        return float(np.mean(np.argmax(features @ weights, axis=1) != labels))

    weights = np.zeros((features.shape[1], num_classes), np.float32)
    return _descend(toy, weights, RATES["ce"] * toy.learning_rate, gradient, error, len(labels), generator)


def _fit_representations(
    toy: LabelToy, features: np.ndarray, labels: np.ndarray, num_classes: int, generator: np.random.Generator
) -> Iterator[tuple[int, float]]:
    """Train the linear map to representations with the supervised contrastive loss; yields as `_fit_logits`."""
    radius = toy.temperature**-0.5

    def gradient(weights: np.ndarray, batch: np.ndarray) -> np.ndarray:
        points = features[batch] @ weights
        norms = np.linalg.norm(points, axis=1, keepdims=True)
        directions = points / norms
        _, by_points = contrastive_loss(radius * directions, labels[batch], toy.positives or None)
        by_points = radius * (by_points - directions * np.sum(directions * by_points, axis=1, keepdims=True)) / norms
        return features[batch].T @ by_points

    def error(weights: np.ndarray) -> float:
        points = features @ weights
        points /= np.linalg.norm(points, axis=1, keepdims=True)
        means = np.zeros((num_classes, points.shape[1]), np.float32)
        np.add.at(means, labels, points)
        means /= np.maximum(np.bincount(labels, minlength=num_classes), 1)[:, None]
        return float(np.mean(np.argmax(points @ means.T, axis=1) != labels))

    first = generator.standard_normal((features.shape[1], toy.dimension), np.float32)
    first *= np.float32(features.shape[1] ** -0.5)
    rate = RATES["sc"] * toy.temperature * toy.learning_rate
    return _descend(toy, first, rate, gradient, error, len(labels), generator)


def contrastive_loss(points: np.ndarray, labels: np.ndarray, positives: int | None = None) -> tuple[float, np.ndarray]:
    """The supervised contrastive loss of a batch, the mean over its anchors, and its gradient.

    Args:
        points: representations as they come, shape (b, h).
        labels: whole numbers, shape (b,).
        positives: M; each anchor keeps the first M of its positives that follow it in the batch, cyclically. In a batch
            of independent draws that is a uniform choice. None keeps all.

    Returns:
        The loss, and its gradient with respect to the points, shape (b, h).
    """
    size = len(labels)
    others = (np.arange(size)[:, None] + np.arange(1, size)) % size  # of each anchor, in the order of the batch
    is_positive = labels[others] == labels[:, None]
    if positives is not None:
        is_positive &= np.cumsum(is_positive, axis=1) <= positives
    count = is_positive.sum(axis=1, keepdims=True)
    similar = np.take_along_axis(points @ points.T, others, axis=1)
    similar -= similar.max(axis=1, keepdims=True)
    shares = np.exp(similar)
    total = shares.sum(axis=1, keepdims=True)
    targets = is_positive / np.maximum(count, 1).astype(points.dtype)
    counted = count > 0
    losses = np.where(counted, np.log(total) - np.sum(targets * similar, axis=1, keepdims=True), 0)
    by_similar = np.where(counted, shares / total - targets, 0).astype(points.dtype) / size
    square = np.zeros((size, size), points.dtype)
    np.put_along_axis(square, others, by_similar, axis=1)
    return float(losses.mean()), (square + square.T) @ points


def _descend(
    toy: LabelToy,
    weights: np.ndarray,
    learning_rate: float,
    gradient: Callable[[np.ndarray, np.ndarray], np.ndarray],
    error: Callable[[np.ndarray], float],
    size: int,
    generator: np.random.Generator,
) -> Iterator[tuple[int, float]]:
    """Stochastic gradient descent with momentum 0.9; yields iteration and train error at each evaluation."""
    velocity = np.zeros_like(weights)
    for iteration in range(toy.iterations + 1):
        if iteration % toy.evaluate_every == 0 or iteration == toy.iterations:
            yield iteration, error(weights)
        velocity = np.float32(0.9) * velocity + gradient(weights, generator.integers(0, size, toy.batch_size))
        weights -= np.float32(learning_rate) * velocity
