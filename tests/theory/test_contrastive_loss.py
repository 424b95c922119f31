"""The SC loss of batches, and over all batches of a small configuration."""

import itertools
import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simplexlab.geometry import regular_simplex
from simplexlab.theory import AllBatches, contrastive_loss, sc_bound, sc_loss_batch, sc_loss_batches


def loss_by_definition(points, labels):
    """Definition 2, term by term, in a form that does not overflow."""
    total = 0.0
    for i, anchor in enumerate(points):
        inner = np.array([anchor @ point for k, point in enumerate(points) if k != i])
        positive = np.array([labels[k] == labels[i] for k in range(len(points)) if k != i])
        if positive.any():
            total += np.logaddexp.reduce(inner) - inner[positive].mean()
    return total


@given(st.integers(2, 12), st.integers(1, 4), st.integers(1, 5), st.floats(0.1, 10), st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=100)
def test_batch_loss_equals_the_definition(batch_size, num_classes, dimension, radius, seed):
    generator = np.random.default_rng(seed)
    points = radius * generator.standard_normal((8, dimension))
    labels = generator.integers(0, num_classes, 8)
    indices = generator.integers(0, 8, (3, batch_size))  # with duplicates
    expected = [loss_by_definition(points[batch], labels[batch]) for batch in indices]
    np.testing.assert_allclose(sc_loss_batches(points, labels, indices), expected, rtol=1e-11, atol=1e-11)


def test_an_anchor_without_a_positive_contributes_nothing():
    points = np.random.default_rng(0).standard_normal((3, 2))
    assert sc_loss_batch(points, [0, 1, 2]) == 0
    assert sc_loss_batch(np.ones((2, 3)), [1, 1]) == 0


def test_a_duplicate_is_a_positive_of_its_copy():
    points = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    assert sc_loss_batch(points, [0, 0, 1]) == pytest.approx(2 * math.log(1 + math.exp(-1)))


def test_blocks_do_not_change_the_loss(monkeypatch):
    generator = np.random.default_rng(0)
    points, labels = generator.standard_normal((50, 6)), generator.integers(0, 4, 50)
    indices = generator.integers(0, 50, (7, 33))
    whole = sc_loss_batches(points, labels, indices)
    monkeypatch.setattr(contrastive_loss, "GRAM_ENTRIES", 100)
    np.testing.assert_allclose(sc_loss_batches(points, labels, indices), whole, rtol=1e-13)


def test_a_large_batch_is_taken_in_blocks():
    points = np.random.default_rng(0).standard_normal((3000, 4)).astype(np.float32)
    tracemalloc.start()
    loss = sc_loss_batch(points, np.arange(3000) % 3)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert math.isfinite(loss)
    assert peak < 20e6  # the Gram matrix alone has 72 MB


def test_float32_is_computed_in_float64():
    generator = np.random.default_rng(0)
    points = (10 * generator.standard_normal((40, 8))).astype(np.float32)
    labels = generator.integers(0, 5, 40)
    assert sc_loss_batch(points, labels) == sc_loss_batch(points.astype(float), labels)


@pytest.mark.parametrize("radius", [1e-100, 1e2, 1e8, 1e100])
def test_extreme_radii_give_the_value_of_the_simplex(radius):
    labels = np.repeat(np.arange(3), [5, 3, 1])
    loss = sc_loss_batch(regular_simplex(3, 2, radius)[labels], labels)
    expected = 5 * math.log(4) + 3 * math.log(2) if radius > 1 else 8 * math.log(8)
    assert loss == pytest.approx(expected, rel=1e-12)


def test_refuses_indices_and_labels_that_do_not_fit():
    with pytest.raises(ValueError, match="labels must be one number for each of"):
        sc_loss_batches(np.ones((4, 2)), [0, 1], [[0, 1]])
    with pytest.raises(ValueError, match="b ≥ 2"):
        sc_loss_batches(np.ones((4, 2)), [0, 1, 0, 1], [0, 1])


@pytest.mark.parametrize("labels", [[0, 1, 0, 1], [0, 0, 1, 2, 2], [1, 0, 0, 0]])
@pytest.mark.parametrize("batch_size", [3, 4, 5])
def test_all_batches_equal_their_enumeration(labels, batch_size):
    points = np.random.default_rng(1).standard_normal((len(labels), 3))
    labels = np.array(labels)
    objective = AllBatches(labels, batch_size)
    batches = list(itertools.combinations_with_replacement(range(len(labels)), batch_size))
    expected = {}
    for batch in batches:
        counts = tuple(np.bincount(batch, minlength=len(labels)))
        expected[counts] = loss_by_definition(points[list(batch)], labels[list(batch)])
    losses = objective.losses(points)
    assert len(losses) == len(batches)
    assert len(np.unique(objective.batches, axis=0)) == len(batches)
    for counts, label_counts, loss in zip(objective.batches, objective.label_counts, losses, strict=True):
        assert loss == pytest.approx(expected[tuple(counts.astype(int))], abs=1e-12)
        np.testing.assert_array_equal(label_counts, [counts[labels == y].sum() for y in range(labels.max() + 1)])
    assert objective.mean_loss(points) == pytest.approx(losses.mean(), rel=1e-13)


@pytest.mark.parametrize("radius", [0.5, 5.0, 40.0])  # the last one leaves the range of plain exponentials
def test_gradient_equals_finite_differences(radius):
    generator = np.random.default_rng(2)
    points = generator.standard_normal((6, 2))
    points *= radius / np.linalg.norm(points, axis=1, keepdims=True)
    objective = AllBatches([0, 0, 1, 1, 2, 2], 4)
    loss, gradient = objective.mean_loss_and_gradient(points)
    assert loss == objective.mean_loss(points)
    step = 1e-5 / radius
    for index in np.ndindex(points.shape):
        moved = np.zeros_like(points)
        moved[index] = step
        difference = (objective.mean_loss(points + moved) - objective.mean_loss(points - moved)) / (2 * step)
        assert gradient[index] == pytest.approx(difference, rel=1e-5, abs=1e-6)


def test_far_from_zero_exponents_change_nothing(monkeypatch):
    points = np.random.default_rng(3).standard_normal((6, 2))
    objective = AllBatches([0, 0, 1, 1, 2, 2], 4)
    loss, gradient = objective.mean_loss_and_gradient(points)
    monkeypatch.setattr(contrastive_loss, "SMALLEST_EXPONENT", 0.0)
    other_loss, other_gradient = objective.mean_loss_and_gradient(points)
    assert other_loss == pytest.approx(loss, rel=1e-13)
    np.testing.assert_allclose(other_gradient, gradient, atol=1e-13)


@pytest.mark.parametrize("radius", [1e-3, 1.0, 30.0, 1e5, 1e100])
def test_all_batches_at_the_simplex_equal_theorem_2(radius):
    labels = np.repeat(np.arange(3), 2)
    points = regular_simplex(3, 2, radius)[labels]
    objective = AllBatches(labels, 5)
    loss, gradient = objective.mean_loss_and_gradient(points)
    assert objective.losses(points).mean() == pytest.approx(loss, rel=1e-12)
    assert loss == pytest.approx(sc_bound(3, 5, radius=radius, samples_per_class=2), rel=1e-12)
    tangential = gradient - np.sum(gradient * points, axis=1, keepdims=True) * points / radius**2
    np.testing.assert_allclose(tangential, 0, atol=1e-12 * radius)


def test_the_toy_of_figure_6():
    labels = np.repeat(np.arange(3), 4)
    objective = AllBatches(labels, 9)
    assert len(objective.batches) == 167_960
    points = regular_simplex(3, 2)[labels]
    assert objective.mean_loss(points) == pytest.approx(12.120150, abs=5e-7)
    assert objective.losses(points).mean() == pytest.approx(objective.mean_loss(points), rel=1e-13)


def test_refuses_what_cannot_be_enumerated():
    for num_points, batch_size in ((300, 9), (300, 3)):
        with pytest.raises(ValueError, match=rf"300 points have \d+ multisets of size {batch_size}, too many"):
            AllBatches(np.arange(num_points) % 3, batch_size)
    with pytest.raises(ValueError, match="batch size must be at least 3"):
        AllBatches([0, 1, 0, 1], 2)
    with pytest.raises(ValueError, match="4 labels need as many points, got 3"):
        AllBatches([0, 1, 0, 1], 3).mean_loss(np.ones((3, 2)))
    with pytest.raises(ValueError, match="finite"):
        AllBatches([0, 1, 0, 1], 3).mean_loss(np.full((4, 2), np.nan))
