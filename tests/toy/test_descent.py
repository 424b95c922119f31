"""Gradient descent with the Keras losses against steps worked out in numpy."""

import numpy as np
import pytest

from simplexlab.config import Experiment
from simplexlab.toy import Toy, batch_loss_and_gradient
from simplexlab.toy.configurations import Configuration, balanced_labels, first_configuration
from simplexlab.toy.descent import descend
from simplexlab.training import runtime


@pytest.fixture(scope="module", autouse=True)
def _tensorflow():
    """Start TensorFlow as every run does."""
    runtime.start(Experiment().resolve(), pixels=0)


def take_steps(toy: Toy) -> tuple[np.ndarray, dict[int, Configuration]]:
    toy = toy.resolve()
    labels = balanced_labels(toy.classes, toy.points_per_class)
    visited = {}
    descend(toy, labels, first_configuration(toy), visited.__setitem__)
    return labels, visited


def test_a_step_of_sc_follows_the_gradient_of_the_mean_on_the_unit_sphere_and_returns_to_the_sphere():
    toy = Toy(loss="sc", points_per_class=4, temperature=0.25, learning_rate=0.5, steps=1)
    labels, visited = take_steps(toy)
    before, after = visited[0].points, visited[1].points  # on the sphere of radius 2
    unit = before / 2
    _, gradient = batch_loss_and_gradient(before, labels)
    expected = unit - 0.5 * 2 * gradient / len(labels)
    expected *= 2 / np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(after, expected, rtol=1e-9)


def test_a_step_of_ce_follows_the_gradient_and_keeps_the_points_in_the_ball():
    toy = Toy(loss="ce", points_per_class=4, weight_decay=0.05, learning_rate=3.0, steps=1)
    labels, visited = take_steps(toy)
    points, weights = visited[0]
    scores = np.exp(points @ weights.T)
    errors = (scores / scores.sum(axis=1, keepdims=True) - np.eye(3)[labels]) / len(labels)
    moved = points - 3.0 * errors @ weights
    moved /= np.maximum(np.linalg.norm(moved, axis=1, keepdims=True), 1)
    np.testing.assert_allclose(visited[1].points, moved, rtol=1e-9)
    expected = weights - (errors.T @ points + 0.1 * weights) / (0.1 + 0.5)  # the inverse of the largest curvature
    np.testing.assert_allclose(visited[1].weights, expected, rtol=1e-6)
    assert np.linalg.norm(visited[1].points, axis=1).max() <= 1 + 1e-12


def test_a_batch_moves_only_the_points_that_were_drawn():
    _, visited = take_steps(Toy(loss="sc", points_per_class=50, batch_size=10, steps=1))
    moved = np.any(visited[0].points != visited[1].points, axis=1)
    moved &= np.linalg.norm(visited[0].points - visited[1].points, axis=1) > 1e-9
    assert 2 <= moved.sum() <= 10


def test_the_steps_do_not_depend_on_when_they_are_looked_at():
    options = {"loss": "sc", "points_per_class": 10, "batch_size": 8, "steps": 25}
    _, seldom = take_steps(Toy(**options, evaluate_every=25))
    _, often = take_steps(Toy(**options, evaluate_every=7))
    assert sorted(seldom) == [0, 25]
    assert sorted(often) == [0, 7, 14, 21, 25]
    np.testing.assert_array_equal(seldom[25].points, often[25].points)


@pytest.mark.parametrize("loss", ["ce", "sc"])
def test_the_seed_decides_where_a_toy_starts(loss):
    first, again, other = (first_configuration(Toy(loss=loss, seed=seed).resolve()) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first.points, again.points)
    assert np.abs(first.points - other.points).max() > 0.1
    norms = np.linalg.norm(first.points, axis=1)
    if loss == "ce":
        assert norms.max() <= 1
        assert np.mean(norms**2) == pytest.approx(0.5, abs=0.06)  # uniform in the disc
    else:
        np.testing.assert_allclose(norms, 0.3**-0.5)
