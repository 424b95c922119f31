"""Corrupted labels fitted by a linear map on random features."""

import numpy as np
import pytest

from simplexlab import theory
from simplexlab.data import load
from simplexlab.errors import UsageError
from simplexlab.geometry import regular_simplex
from simplexlab.toy.labels import LabelToy, contrastive_loss, fit_labels, random_features


def batch(seed, size=17, classes=4, dimension=5):
    generator = np.random.default_rng(seed)
    return generator.standard_normal((size, dimension)), generator.integers(0, classes, size)


@pytest.mark.parametrize("seed", range(4))
def test_the_loss_is_that_of_the_theory(seed):
    points, labels = batch(seed, classes=4 + 6 * seed)  # with many classes some anchors are alone
    loss, _ = contrastive_loss(points, labels)
    assert loss == pytest.approx(theory.sc_loss_batch(points, labels) / len(labels), rel=1e-12)


@pytest.mark.parametrize("positives", [None, 1, 2, 100])
def test_the_gradient_is_that_of_the_loss(positives):
    points, labels = batch(3)
    _, gradient = contrastive_loss(points, labels, positives)
    generator = np.random.default_rng(0)
    for _ in range(5):
        direction = generator.standard_normal(points.shape)
        ahead, behind = (contrastive_loss(points + step * direction, labels, positives)[0] for step in (1e-6, -1e-6))
        assert (ahead - behind) / 2e-6 == pytest.approx(np.sum(gradient * direction), rel=1e-6, abs=1e-9)


def test_each_anchor_keeps_the_first_positives_after_it():
    points, _ = batch(1, size=6)
    labels = np.array([0, 1, 0, 0, 1, 0])
    similar = points @ points.T
    kept = {0: [2, 3], 1: [4], 2: [3, 5], 3: [5, 0], 4: [1], 5: [0, 2]}
    expected = [
        np.log(sum(np.exp(similar[i, k]) for k in range(6) if k != i)) - np.mean([similar[i, j] for j in kept[i]])
        for i in range(6)
    ]
    assert contrastive_loss(points, labels, 2)[0] == pytest.approx(np.mean(expected), rel=1e-12)
    assert contrastive_loss(points, labels, 5)[0] == pytest.approx(contrastive_loss(points, labels)[0], rel=1e-12)


def test_at_the_simplex_fewer_positives_have_the_same_loss():
    labels = np.random.default_rng(0).integers(0, 4, 40)
    points = regular_simplex(4, 5, 2.0)[labels]
    values = [contrastive_loss(points, labels, positives)[0] for positives in (None, 1, 3)]
    np.testing.assert_allclose(values, theory.sc_loss_batch(points, labels) / 40, rtol=1e-12)


def test_random_features_approach_a_gaussian_kernel():
    dataset = load("digits", train_size=40)
    images = dataset.x_train.reshape(40, -1).astype(float)
    squares = np.square(images[:, None] - images[None]).sum(axis=2) / images.std() ** 2
    pairs = np.sqrt(squares[np.triu_indices(40, 1)])
    features = random_features(dataset, 20_000, 0)
    kernel = features @ features.T
    near = [np.max(np.abs(kernel - np.exp(-squares / 2 / width**2))) for width in np.quantile(pairs, [0.3, 0.5, 0.7])]
    assert min(near) < 0.05  # the width is a median over pairs that are drawn
    assert np.array_equal(features, random_features(dataset, 20_000, 0))


def test_sc_grows_faster_than_ce():
    toy = LabelToy(train_size=100, features=400, iterations=3000)
    rows = fit_labels(toy, corruptions=(0.2, 0.8), seeds=(0,))
    assert [(row["loss"], row["corrupt"]) for row in rows] == [("ce", 0.2), ("sc", 0.2), ("ce", 0.8), ("sc", 0.8)]
    times = {row["run"]: row["time_to_fit"] for row in rows}
    assert times["sc-0.8-s0"] / times["sc-0.2-s0"] > 1.3 * times["ce-0.8-s0"] / times["ce-0.2-s0"]
    for row in rows:
        assert row["fit_lower"] == row["time_to_fit"] - 10
        assert row["train_error"] == 0


def test_a_run_that_does_not_fit_is_censored_at_its_last_evaluation():
    (row,) = fit_labels(LabelToy(train_size=50, iterations=25), ("sc",), (0.5,), (1,))
    assert (row["time_to_fit"], row["fit_lower"], row["censored"]) == (None, 25, True)
    assert row["train_error"] > 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"features": 0}, "--features"),
        ({"features": 10**9}, "--features 1000000000 must be between 1 and 20000"),
        ({"batch_size": 2}, "--batch-size 2 must be"),
        ({"temperature": 0.0}, "--temperature 0 must be"),
        ({"learning_rate": float("nan")}, "--learning-rate nan must be"),
        ({"positives": -1}, "--positives -1 must be"),
        ({"train_size": 5000}, "5000"),
    ],
)
def test_wrong_options_are_told(options, message):
    with pytest.raises(UsageError, match=message):
        fit_labels(LabelToy(**options), ("ce",), (0.0,), (0,))
