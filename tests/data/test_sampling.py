import numpy as np
import pytest
import tensorflow as tf

from simplexlab.data.sampling import AUGMENTATION, INDICES, batch_indices, stateless_seed


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
