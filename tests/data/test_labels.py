import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simplexlab.data import corrupt_labels
from simplexlab.errors import UsageError

BALANCED = np.repeat(np.arange(10), 1000)


@pytest.mark.parametrize(("fraction", "count"), [(0, 0), (0.29, 29), (0.57, 57), (0.58, 58), (0.999, 99), (1, 100)])
def test_flip_changes_exactly_the_floor_of_the_fraction(fraction, count):
    labels = np.arange(100) % 10
    corrupted, flipped = corrupt_labels(labels, fraction)
    assert len(flipped) == count
    np.testing.assert_array_equal(flipped, np.flatnonzero(corrupted != labels))


@settings(deadline=None)
@given(
    num_classes=st.integers(2, 12),
    size=st.integers(2, 300),
    fraction=st.floats(0, 1),
    seed=st.integers(0, 2**31 - 1),
    mode=st.sampled_from(["flip", "uniform"]),
)
def test_corruption_of_any_labels(num_classes, size, fraction, seed, mode):
    labels = np.random.default_rng(seed).integers(0, num_classes, size)
    before = labels.copy()
    corrupted, flipped = corrupt_labels(labels, fraction, mode, seed, num_classes=num_classes)
    count = math.floor(fraction * size + 1e-6)
    assert len(flipped) == count if mode == "flip" else len(flipped) <= count
    assert corrupted.dtype == labels.dtype
    assert corrupted.min() >= 0
    assert corrupted.max() < num_classes
    np.testing.assert_array_equal(labels, before)
    np.testing.assert_array_equal(flipped, np.flatnonzero(corrupted != labels))
    np.testing.assert_array_equal(corrupt_labels(labels, fraction, mode, seed, num_classes=num_classes)[0], corrupted)


def test_flips_go_uniformly_to_the_other_classes():
    corrupted, flipped = corrupt_labels(BALANCED, 0.9, seed=3)
    moves = np.zeros((10, 10))
    np.add.at(moves, (BALANCED[flipped], corrupted[flipped]), 1)
    others = moves[~np.eye(10, dtype=bool)]
    # 9000 flips over 90 moves: 100 each, standard deviation 10.
    assert (((others - 100) / 10) ** 2).mean() == pytest.approx(1, abs=0.5)
    assert np.abs(others - 100).max() < 50


def test_flipped_labels_are_drawn_from_all_labels_alike():
    _, flipped = corrupt_labels(BALANCED, 0.3, seed=4)
    # 300 of each block of 1000, standard deviation 14.
    counts = np.histogram(flipped, bins=10, range=(0, len(BALANCED)))[0]
    assert np.abs(counts - 300).max() < 70


def test_uniform_resamples_over_all_classes():
    corrupted, flipped = corrupt_labels(BALANCED, 0.5, "uniform", seed=5)
    # One in ten of the 5000 keeps its label: 4500 flips, standard deviation 21.
    assert abs(len(flipped) - 4500) < 100
    moved = np.bincount(corrupted[flipped], minlength=10)
    assert np.abs(moved - 450).max() < 110


def test_seed_decides():
    first, second = (corrupt_labels(BALANCED, 0.2, seed=seed)[1] for seed in (0, 1))
    assert len(np.intersect1d(first, second)) < 600


def test_known_draw():
    # Recorded runs name their corrupted labels by these arguments: the draw must not change between versions.
    corrupted, flipped = corrupt_labels(np.arange(20) % 4, 0.3, seed=1)
    assert flipped.tolist() == [0, 1, 2, 6, 17, 19]
    assert corrupted[flipped].tolist() == [3, 3, 3, 0, 2, 1]


@settings(deadline=None, max_examples=200)
@given(
    num_classes=st.integers(2, 8),
    per_class=st.integers(1, 30),
    fraction=st.floats(0, 1),
    seed=st.integers(0, 2**31 - 1),
)
def test_balanced_flips_keep_every_count(num_classes, per_class, fraction, seed):
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(num_classes), per_class))
    corrupted, flipped = corrupt_labels(labels, fraction, seed=seed, balanced=True)
    count = math.floor(fraction * len(labels) + 1e-6)
    cannot = count == 1 or (num_classes == 2 and count % 2)
    assert len(flipped) == count - cannot
    np.testing.assert_array_equal(np.bincount(corrupted), np.bincount(labels))
    drawn = np.bincount(labels[flipped], minlength=num_classes)
    assert drawn.max() - drawn.min() <= 1


def test_balanced_flips_go_uniformly_to_the_other_classes():
    corrupted, flipped = corrupt_labels(BALANCED, 0.9, seed=3, balanced=True)
    moves = np.zeros((10, 10))
    np.add.at(moves, (BALANCED[flipped], corrupted[flipped]), 1)
    others = moves[~np.eye(10, dtype=bool)]
    assert moves.trace() == 0
    assert np.abs(others - 100).max() < 50


def test_every_balanced_exchange_of_few_labels_is_equally_likely():
    # Of three labels of different classes there are two exchanges, of four there are nine.
    for size, exchanges in ((3, 2), (4, 9)):
        draws = [tuple(corrupt_labels(np.arange(size), 1, seed=seed, balanced=True)[0]) for seed in range(720)]
        _, counts = np.unique(draws, axis=0, return_counts=True)
        assert len(counts) == exchanges
        assert np.abs(counts - 720 / exchanges).max() < 5 * math.sqrt(720 / exchanges)


def test_balanced_flips_of_unbalanced_labels():
    labels = np.repeat([0, 1, 2], [90, 30, 20])
    corrupted, flipped = corrupt_labels(labels, 100 / 140, balanced=True)
    assert len(flipped) == 100
    assert np.bincount(corrupted).tolist() == [90, 30, 20]
    with pytest.raises(UsageError, match=r"balanced flip of 101 of 140 labels; at most a fraction of 0\.714286"):
        corrupt_labels(labels, 101 / 140, balanced=True)


@pytest.mark.parametrize("fraction", [1.5, -0.1, math.nan, math.inf])
def test_fraction_out_of_range(fraction):
    with pytest.raises(UsageError, match="must lie between 0 and 1"):
        corrupt_labels(BALANCED, fraction)


def test_wrong_arguments():
    with pytest.raises(UsageError, match="flip or uniform"):
        corrupt_labels(BALANCED, 0.1, "shuffle")
    with pytest.raises(UsageError, match="does not keep class counts"):
        corrupt_labels(BALANCED, 0.1, "uniform", balanced=True)
    with pytest.raises(UsageError, match="single class"):
        corrupt_labels(np.zeros(5, int), 0.1)
