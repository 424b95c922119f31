"""A certificate holds wherever it is computed: at any point of a program it is at most the floor."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simplexlab.theory import (
    CrossEntropy,
    SmoothedCrossEntropy,
    SquaredError,
    ce_floor,
    contrastive_floor,
    contrastive_mean,
    cross_entropy_floor,
    fixed_head,
    fixed_head_floor,
    penalised,
    sc_floor,
    ufm_ce_floor,
)
from simplexlab.theory.floor import least_diagonal

COUNTS = st.lists(st.integers(1, 50), min_size=2, max_size=6)
SEEDS = st.integers(0, 2**32 - 1)
NEAR = st.sampled_from([1e-4, 0.03, 0.3, 5.0])


def around(free, near, seed):
    """Points at a distance from the optimum, where the certificate is neither trivial nor tight."""
    return free + near * np.abs(free).max() * np.random.default_rng(seed).standard_normal(free.shape)


@settings(deadline=None, max_examples=25)
@given(
    counts=COUNTS,
    radius=st.floats(0.1, 4),
    norm=st.floats(0.1, 8),
    loss=st.sampled_from([CrossEntropy(), SmoothedCrossEntropy(0.2), SquaredError()]),
    nonnegative=st.booleans(),
    near=NEAR,
    seed=SEEDS,
)
def test_cross_entropy(counts, radius, norm, loss, nonnegative, near, seed):
    counts = [*counts, counts[0] + 1]
    floor = ce_floor(counts, radius, norm, features="nonnegative" if nonnegative else "free", loss=loss)
    shares = np.array(counts) / sum(counts)
    program = cross_entropy_floor._Program(loss, shares, radius, norm, nonnegative, slack=True)
    (free,) = floor.state.values()
    value, certificate = program.value_and_certificate(around(free, near, seed))
    assert certificate <= floor.value * (1 + 1e-9) + 1e-13
    assert value >= floor.certificate * (1 - 1e-12) - 1e-13


@settings(deadline=None, max_examples=50)
@given(counts=COUNTS, radius=st.floats(0.1, 4), views=st.integers(1, 2), near=NEAR, seed=SEEDS)
def test_contrastive(counts, radius, views, near, seed):
    counts = np.array([*counts, counts[0] + 1])
    floor = sc_floor(counts / counts.sum(), 12, radius=radius, views=views)
    batches = contrastive_mean.IndependentBatches(counts / counts.sum(), 12, views)
    (free,) = floor.state.values()
    value, certificate = contrastive_floor._Program(batches, radius, False).value_and_certificate(
        around(free, near, seed)
    )
    assert certificate <= floor.value * (1 + 1e-9)
    assert value >= floor.certificate * (1 - 1e-12)


@settings(deadline=None, max_examples=40)
@given(counts=COUNTS, decay=st.floats(1e-5, 0.05), smoothing=st.sampled_from([0.0, 0.2]), near=NEAR, seed=SEEDS)
def test_penalised(counts, decay, smoothing, near, seed):
    counts = [*counts, counts[0] + 1]
    floor = ufm_ce_floor(counts, decay, decay / 2, smoothing=smoothing)
    program = penalised._Program(counts, decay, decay / 2, smoothing)
    free = program.start(np.eye(len(counts))) if not floor.state else next(iter(floor.state.values()))
    value, certificate = program.value_and_certificate(around(free, near, seed))
    assert certificate <= floor.value * (1 + 1e-9)
    assert value >= floor.certificate * (1 - 1e-12)


@settings(deadline=None, max_examples=40)
@given(num_classes=st.integers(2, 6), dimension=st.integers(1, 6), nonnegative=st.booleans(), near=NEAR, seed=SEEDS)
def test_fixed_head(num_classes, dimension, nonnegative, near, seed):
    generator = np.random.default_rng(seed)
    rows = generator.standard_normal((num_classes, dimension))
    for targets in (np.eye(num_classes), generator.dirichlet(np.ones(num_classes), num_classes)):
        floor = fixed_head_floor(rows, 2.0, targets, features="nonnegative" if nonnegative else "free")
        dual = fixed_head._Dual(rows, targets, 2.0, nonnegative)
        (logarithms,) = floor.state.values()
        noise = near * generator.standard_normal(logarithms.shape)
        moved = dual.normalised(np.where(np.isfinite(logarithms), logarithms, 0.0) + noise)
        values, bounds, _ = dual.answer(moved, 0.1, np.arange(num_classes))
        assert bounds.mean() <= floor.value * (1 + 1e-9)
        assert values.mean() >= floor.certificate - 1e-13


@pytest.mark.parametrize("seed", range(5))
def test_a_diagonal_above_a_matrix_is_above_it(seed):
    generator = np.random.default_rng(seed)
    symmetric = generator.standard_normal((6, 6))
    symmetric = symmetric + symmetric.T
    symmetric[2] = symmetric[:, 2] = 0.0
    for guess in (np.diag(symmetric), np.abs(symmetric).sum(axis=1), np.ones(6)):
        found = least_diagonal(symmetric, guess)
        assert np.linalg.eigvalsh(np.diag(found) - symmetric)[0] >= -1e-12
        assert found[2] == 0
