"""The minimisers against the theory, finite differences and search without gradients."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simplexlab import theory
from simplexlab.toy import batch_loss_and_gradient, minimise_all_batches, minimise_batch, minimise_cross_entropy
from simplexlab.toy.configurations import balanced_labels, uniform_on_sphere

FIGURE_5 = [(7, 2, 0), (6, 2, 1), (5, 3, 1), (4, 4, 1), (7, 1, 1), (5, 2, 2), (3, 3, 3)]


@settings(deadline=None, max_examples=30)
@given(
    counts=st.lists(st.integers(0, 4), min_size=2, max_size=4).filter(lambda counts: sum(counts) >= 3),
    seed=st.integers(0, 1000),
)
def test_the_loss_of_a_batch_is_that_of_the_theory_and_its_gradient_the_finite_difference(counts, seed):
    labels = np.repeat(np.arange(len(counts)), counts)
    generator = np.random.default_rng(seed)
    points, direction = generator.standard_normal((2, len(labels), 3))
    loss, gradient = batch_loss_and_gradient(points, labels)
    assert loss == pytest.approx(theory.sc_loss_batch(points, labels), rel=1e-12, abs=1e-12)
    step = 1e-5
    ahead, behind = (theory.sc_loss_batch(points + sign * step * direction, labels) for sign in (1, -1))
    assert np.vdot(gradient, direction) == pytest.approx((ahead - behind) / (2 * step), rel=1e-6, abs=1e-7)


def test_several_configurations_of_a_batch_are_computed_at_once():
    labels = np.array([0, 0, 1, 1, 2])
    points = np.random.default_rng(0).standard_normal((4, 5, 2))
    losses, gradients = batch_loss_and_gradient(points, labels)
    for index in range(4):
        loss, gradient = batch_loss_and_gradient(points[index], labels)
        assert losses[index] == pytest.approx(loss, rel=1e-14)
        np.testing.assert_allclose(gradients[index], gradient, rtol=1e-12)


@pytest.mark.parametrize("counts", FIGURE_5)
def test_no_batch_of_figure_5_ends_above_the_simplex(counts):
    points, labels, loss = minimise_batch(counts, starts=4)
    assert np.bincount(labels, minlength=3).tolist() == list(counts)
    np.testing.assert_allclose(np.linalg.norm(points, axis=1), 1.0, rtol=1e-12)
    assert loss == pytest.approx(theory.sc_loss_batch(points, labels), rel=1e-12)
    simplex = theory.composition_value(counts, 1.0)
    if counts == (3, 3, 3):
        assert loss == pytest.approx(simplex, abs=1e-8)
    else:
        assert loss < simplex - 1e-3


def test_the_minimisers_are_where_gradient_free_search_finds_none_better():
    counts = (4, 4, 1)
    points, labels, loss = minimise_batch(counts)
    generator = np.random.default_rng(1)
    for size in (1e-3, 1e-2, 1e-1):
        moved = points + size * generator.standard_normal((200, *points.shape))
        moved /= np.linalg.norm(moved, axis=-1, keepdims=True)
        assert batch_loss_and_gradient(moved, labels)[0].min() >= loss - 1e-9


def test_of_several_starts_the_best_end_counts():
    _, _, first_start = minimise_batch((3, 3, 2, 1), starts=1, steps=800)
    _, _, best = minimise_batch((3, 3, 2, 1), starts=6, steps=800)  # its first start is the same
    assert best < first_start - 1e-3


def test_a_batch_of_two_points_is_refused():
    with pytest.raises(ValueError, match="batch size must be at least 3"):
        minimise_batch((1, 1))


@pytest.mark.parametrize(("num_classes", "dimension", "radius"), [(2, 2, 1.0), (3, 2, 1.5), (4, 3, 1.0)])
def test_the_minimum_over_all_batches_is_theorem_2(num_classes, dimension, radius):
    objective = theory.AllBatches(balanced_labels(num_classes, 2), 4)
    start = uniform_on_sphere(np.random.default_rng(3), 2 * num_classes, dimension)
    points, loss = minimise_all_batches(objective, start, radius=radius)
    np.testing.assert_allclose(np.linalg.norm(points, axis=1), radius, rtol=1e-12)
    assert loss == pytest.approx(theory.sc_bound(num_classes, 4, radius=radius, samples_per_class=2), abs=1e-9)


def test_without_a_simplex_the_minimum_over_all_batches_stays_above_theorem_2():
    objective = theory.AllBatches(balanced_labels(4, 2), 4)
    start = uniform_on_sphere(np.random.default_rng(3), 8, 2)
    _, loss = minimise_all_batches(objective, start)
    assert loss > theory.sc_bound(4, 4, radius=1.0, samples_per_class=2) + 1e-2


def test_every_iterate_over_all_batches_is_seen():
    objective = theory.AllBatches(balanced_labels(3, 2), 4)
    start = uniform_on_sphere(np.random.default_rng(0), 6, 2)
    seen = []
    points, loss = minimise_all_batches(objective, start, visit=lambda *seen_now: seen.append(seen_now))
    assert [iteration for iteration, _, _ in seen] == list(range(len(seen)))
    np.testing.assert_allclose(seen[0][1], start, rtol=1e-15)
    np.testing.assert_array_equal(seen[-1][1], points)
    assert seen[-1][2] == loss
    assert all(value == pytest.approx(objective.mean_loss(frame), rel=1e-12) for _, frame, value in seen)
    assert all(before[2] >= after[2] for before, after in itertools.pairwise(seen))


@pytest.mark.parametrize("weight_decay", [1e-3, 1e-2, 1e-1])
def test_the_minimum_of_cross_entropy_is_corollary_2(weight_decay):
    points, weights, loss = minimise_cross_entropy(3, 3, 2, weight_decay)
    assert np.linalg.norm(points, axis=1).max() <= 1 + 1e-12
    assert loss == pytest.approx(theory.ce_bound_weight_decay(3, 1.0, weight_decay), abs=1e-6)
    norms = np.linalg.norm(weights, axis=1)
    np.testing.assert_allclose(norms, theory.optimal_weight_norm(1.0, weight_decay, 3), rtol=1e-2)
