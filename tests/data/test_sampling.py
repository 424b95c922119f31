import numpy as np
import pytest
import tensorflow as tf

from simplexlab.data.sampling import AUGMENTATION, INDICES, BalancedBatches, batch_indices, stateless_seed


@tf.function
def graph(seed, step, batch_size, num_samples):
    return batch_indices(seed, step, batch_size, num_samples)


def draw(step, seed=3, batch_size=256, num_samples=50_000):
    return graph(tf.constant(seed, tf.int64), tf.constant(step, tf.int64), batch_size, num_samples).numpy()


def test_the_same_batch_eagerly_in_a_graph_and_with_xla():
    compiled = tf.function(lambda step: batch_indices(3, step, 256, 50_000), jit_compile=True)
    for step in (0, 1, 99_999):
        eager = batch_indices(3, step, 256, 50_000).numpy()
        np.testing.assert_array_equal(draw(step), eager)
        np.testing.assert_array_equal(compiled(tf.constant(step, tf.int64)).numpy(), eager)


def test_known_batch():
    # A resumed run, another machine and the next version draw the batches of this one.
    assert draw(5, batch_size=6).tolist() == [12489, 294, 16281, 818, 17324, 12769]


def test_seed_and_step_decide():
    assert not np.array_equal(draw(0), draw(1))
    assert not np.array_equal(draw(0, seed=0), draw(0, seed=1))
    # A seed one higher is not a step one later.
    assert not np.array_equal(draw(1, seed=0), draw(0, seed=1))
    assert draw(2**40, seed=2**31 - 1).max() < 50_000


def test_draws_are_uniform_with_replacement():
    draws = np.concatenate([draw(step, num_samples=100) for step in range(200)])
    counts = np.bincount(draws, minlength=100)
    assert len(counts) == 100
    # 51,200 draws, 512 each: χ² of 99 degrees of freedom is 99 ± 14.
    assert 50 < ((counts - 512) ** 2 / 512).sum() < 160
    # 256 draws of 100 are never all different; a given batch of 10 of 100 repeats one in about a third of the cases.
    repeats = [len(np.unique(draw(step, batch_size=10, num_samples=100))) < 10 for step in range(500)]
    assert np.mean(repeats) == pytest.approx(1 - np.prod(1 - np.arange(10) / 100), abs=0.1)


def test_consecutive_batches_are_uncorrelated():
    first, second = (np.concatenate([draw(step) for step in range(start, start + 100)]) for start in (0, 1))
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.03


def test_indices_and_augmentation_have_their_own_draws():
    seeds = {
        tuple(stateless_seed(seed, step, purpose).numpy())
        for seed in range(4)
        for step in range(4)
        for purpose in (INDICES, AUGMENTATION)
    }
    assert len(seeds) == 32


LABELS = np.repeat([2, 0, 1], [50, 5, 20])[np.random.default_rng(0).permutation(75)]


def test_a_balanced_batch_has_as_many_of_each_class_drawn_alike_within_it():
    balanced = BalancedBatches(LABELS, 12)
    compiled = tf.function(lambda step: balanced.places(3, step), jit_compile=True)
    drawn = []
    for step in range(400):
        places = balanced.places(3, step).numpy()
        if step < 3:
            np.testing.assert_array_equal(compiled(tf.constant(step, tf.int64)).numpy(), places)
        drawn.append(balanced.order[places])
        assert LABELS[drawn[-1]].tolist() == [0, 1, 2] * 4  # so every share of three has each class
    times = np.bincount(np.concatenate(drawn), minlength=75)
    wanted = 1600 / np.bincount(LABELS)[LABELS]
    assert np.abs((times - wanted) / np.sqrt(wanted)).max() < 5


def test_known_balanced_batch():
    # A resumed run, another machine and the next version draw the batches of this one.
    balanced = BalancedBatches(LABELS, 6)
    assert balanced.order[balanced.places(3, 5).numpy()].tolist() == [25, 29, 53, 33, 50, 54]
    assert not np.array_equal(balanced.places(3, 5), balanced.places(3, 6))
    assert not np.array_equal(balanced.places(3, 5), balanced.places(4, 5))
