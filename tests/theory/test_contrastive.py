"""Theorem 2: the three laws of batch label counts, the bound, the value of a composition, the paired excess."""

import itertools
import math
from collections import Counter

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simplexlab.geometry import orthogonal_frame, regular_simplex
from simplexlab.theory import (
    AllBatches,
    composition_value,
    inner_product_gap,
    log_label_count_law,
    paired_excess,
    sc_bound,
    sc_loss_batch,
)

SAMPLINGS = ("multiset", "iid", "without-replacement")


def all_batches(num_points, batch_size, sampling):
    """Every equally likely draw of a batch."""
    points = range(num_points)
    if sampling == "multiset":
        return itertools.combinations_with_replacement(points, batch_size)
    if sampling == "iid":
        return itertools.product(points, repeat=batch_size)
    return itertools.combinations(points, batch_size)


def loss_by_definition(points, labels):
    """Definition 2, term by term."""
    total = 0.0
    for i, anchor in enumerate(points):
        positives = [j for j in range(len(points)) if j != i and labels[j] == labels[i]]
        others = [k for k in range(len(points)) if k != i]
        for j in positives:
            normaliser = sum(math.exp(anchor @ points[k]) for k in others)
            total -= math.log(math.exp(anchor @ points[j]) / normaliser) / len(positives)
    return total


@pytest.mark.parametrize("sampling", SAMPLINGS)
@pytest.mark.parametrize(
    ("num_classes", "samples", "batch_size"), [(2, 2, 3), (2, 3, 4), (3, 2, 3), (3, 2, 5), (4, 1, 3)]
)
def test_law_and_bound_equal_the_enumeration_of_all_draws(sampling, num_classes, samples, batch_size):
    labels = np.repeat(np.arange(num_classes), samples)
    batches = list(all_batches(len(labels), batch_size, sampling))
    counts = Counter(sum(labels[i] == 0 for i in batch) for batch in batches)
    law = np.exp(log_label_count_law(num_classes, batch_size, samples, sampling))
    np.testing.assert_allclose(law, [counts[count] / len(batches) for count in range(batch_size + 1)], atol=1e-15)

    radius = 1.3
    for features, vertices in (
        ("free", regular_simplex(num_classes, 4, radius)),
        ("nonnegative", orthogonal_frame(num_classes, 4, radius)),
    ):
        composition = Counter(tuple(labels[list(batch)]) for batch in batches)
        losses = [n * loss_by_definition(vertices[list(key)], key) for key, n in composition.items()]
        found = sc_bound(
            num_classes, batch_size, radius=radius, samples_per_class=samples, sampling=sampling, features=features
        )
        assert found == pytest.approx(sum(losses) / len(batches), rel=1e-12)


def test_multiset_law_counts_the_batches_of_theorem_2():
    num_classes, samples, batch_size = 3, 4, 9
    number = math.comb(num_classes * samples + batch_size - 1, batch_size)
    assert number == 167_960
    own = [
        math.comb(samples + count - 1, count) * math.comb(2 * samples + batch_size - count - 1, batch_size - count)
        for count in range(batch_size + 1)
    ]
    np.testing.assert_allclose(np.exp(log_label_count_law(3, 9, 4)) * number, own, rtol=1e-13)


@pytest.mark.parametrize(
    ("sampling", "features", "expected"),
    [
        ("multiset", "free", 824.48734),
        ("iid", "free", 824.46434),
        ("without-replacement", "free", 824.44133),
        ("iid", "nonnegative", 824.53747),
    ],
)
def test_known_values_at_the_size_of_cifar10(sampling, features, expected):
    options = {"samples_per_class": 5000, "sampling": sampling, "features": features}
    assert sc_bound(10, 256, temperature=0.1, **options) == pytest.approx(expected, abs=5e-6)
    assert sc_bound(10, 256, radius=math.sqrt(10), **options) == pytest.approx(expected, abs=5e-6)


def test_known_value_of_the_toy():
    assert sc_bound(3, 9, radius=1.0, samples_per_class=4) == pytest.approx(12.120150, abs=5e-7)


def test_mean_over_anchors_is_the_sum_over_the_batch_size():
    options = {"radius": 2.0, "samples_per_class": 7}
    assert sc_bound(5, 9, **options, reduction="mean") == pytest.approx(sc_bound(5, 9, **options) / 9, rel=1e-15)


def exact_law(num_classes, batch_size, samples, sampling):
    """P(l) by exact ratios from a binomial coefficient at the first possible l, up to where it stays below 1e-40."""
    own, others = mpmath.mpf(samples), mpmath.mpf(samples) * (num_classes - 1)
    first, last = 0, batch_size
    choose = mpmath.binomial
    if sampling == "multiset":
        value = choose(others + batch_size - 1, batch_size) / choose(own + others + batch_size - 1, batch_size)
    elif sampling == "iid":
        value = (1 - mpmath.mpf(1) / num_classes) ** batch_size
    else:
        first, last = max(0, batch_size - int(others)), min(samples, batch_size)
        value = choose(own, first) * choose(others, batch_size - first) / choose(own + others, batch_size)
    law = {}
    for count in range(first, last + 1):
        law[count] = value
        left = mpmath.mpf(batch_size - count)
        if count == last:
            break
        if sampling == "multiset":
            ratio = (own + count) * left / ((count + 1) * (others + left - 1))
        elif sampling == "iid":
            ratio = left / ((count + 1) * (num_classes - 1))
        else:
            ratio = (own - count) * left / ((count + 1) * (others - left + 1))
        value *= ratio
        if ratio < 1 and value < mpmath.mpf(10) ** -40:
            break
    return law


@pytest.mark.parametrize("sampling", SAMPLINGS)
@pytest.mark.parametrize(
    ("num_classes", "samples", "batch_size"), [(100, 500, 256), (1000, 1300, 65_536), (2, 40_000, 65_536), (3, 5, 14)]
)
def test_large_cases_against_high_precision(sampling, num_classes, samples, batch_size):
    with mpmath.workdps(40):
        law = exact_law(num_classes, batch_size, samples, sampling)
        assert abs(sum(law.values()) - 1) < mpmath.mpf(10) ** -30
        factor = mpmath.exp(-mpmath.mpf(num_classes) / (num_classes - 1) * 10)
        likely = [count for count in law if law[count] > mpmath.mpf(10) ** -30]
        exact = num_classes * mpmath.fsum(
            law[count] * count * mpmath.log(count - 1 + (batch_size - count) * factor) for count in likely if count > 1
        )
    found_law = log_label_count_law(num_classes, batch_size, samples, sampling)
    for count in likely[:: max(1, len(likely) // 50)]:
        assert math.exp(found_law[count]) == pytest.approx(float(law[count]), rel=2e-12)
    found = sc_bound(num_classes, batch_size, temperature=0.1, samples_per_class=samples, sampling=sampling)
    assert found == pytest.approx(float(exact), rel=1e-13)


def test_law_is_a_law_with_the_right_mean():
    for sampling in SAMPLINGS:
        for num_classes, samples, batch_size in [(2, 2, 3), (7, 11, 40), (1000, 3, 50)]:
            if sampling == "without-replacement" and batch_size > num_classes * samples:
                continue
            law = np.exp(log_label_count_law(num_classes, batch_size, samples, sampling))
            assert law.sum() == pytest.approx(1, abs=1e-13)
            assert law @ np.arange(batch_size + 1) == pytest.approx(batch_size / num_classes, rel=1e-12)


def test_whole_epoch_without_replacement_has_one_composition():
    law = np.exp(log_label_count_law(3, 15, 5, "without-replacement"))
    np.testing.assert_array_equal(law, np.eye(16)[5])
    expected = composition_value([5, 5, 5], radius=2.0)
    bound = sc_bound(3, 15, radius=2.0, samples_per_class=5, sampling="without-replacement")
    assert bound == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize(
    "counts", [(7, 2, 0), (6, 2, 1), (5, 3, 1), (4, 4, 1), (7, 1, 1), (9, 0, 0), (1, 1, 1), (3, 3, 3)]
)
@pytest.mark.parametrize("radius", [0.1, 1.0, 3.0])
def test_value_of_a_composition_is_the_loss_there(counts, radius):
    labels = np.repeat(np.arange(3), counts)
    for features, vertices in (
        ("free", regular_simplex(3, 3, radius)),
        ("nonnegative", orthogonal_frame(3, 3, radius)),
    ):
        value = composition_value(counts, radius, features=features)
        assert value == pytest.approx(loss_by_definition(vertices[labels], labels), rel=1e-12, abs=1e-12)


def test_composition_values_of_many_batches():
    counts = np.array([[[4, 4, 1], [3, 3, 3]], [[9, 0, 0], [2, 2, 2]]])
    values = composition_value(counts, 1.5)
    assert values.shape == (2, 2)
    assert values[0, 1] == composition_value([3, 3, 3], 1.5)
    assert values[1, 1] == composition_value([2, 2, 2], 1.5)


@pytest.mark.parametrize("radius", [1e-300, 1e-9, 30.0, 1e9, 1e300])
def test_composition_values_at_extreme_radii(radius):
    counts = [5, 2, 1, 0]
    value = composition_value(counts, radius)
    limit = 5 * math.log(4 if radius > 1 else 7) + 2 * math.log(1 if radius > 1 else 7)
    assert value == pytest.approx(limit, abs=1e-12)


@given(
    st.integers(2, 5),
    st.integers(0, 3),
    st.integers(1, 2),
    st.integers(3, 5),
    st.floats(0.05, 4),
    st.sampled_from([0.01, 0.3, 10.0]),
    st.integers(0, 2**32 - 1),
)
@settings(deadline=None, max_examples=150)
def test_no_configuration_on_the_sphere_undercuts_theorem_2(num_classes, more, samples, batch_size, radius, near, seed):
    generator = np.random.default_rng(seed)
    labels = np.tile(np.arange(num_classes), samples)
    dimension = num_classes - 1 + more
    points = regular_simplex(num_classes, dimension)[labels] + near * generator.standard_normal(
        (len(labels), dimension)
    )
    points *= radius / np.linalg.norm(points, axis=1, keepdims=True)
    objective = AllBatches(labels, batch_size)
    bound = sc_bound(num_classes, batch_size, radius=radius, samples_per_class=samples)
    assert objective.mean_loss(points) >= bound - 1e-12

    nonnegative = np.abs(points)
    losses = objective.losses(nonnegative)
    values = composition_value(objective.label_counts, radius, features="nonnegative")
    assert (losses >= values - 1e-11).all()  # batch by batch


def test_more_classes_than_a_simplex_allows_leaves_a_gap():
    labels = np.arange(5)
    angle = 2 * np.pi * labels / 5
    points = np.column_stack([np.cos(angle), np.sin(angle)])
    loss = AllBatches(labels, 4).mean_loss(points)
    assert loss > sc_bound(5, 4, radius=1.0, samples_per_class=1) + 1e-3


def test_paired_excess_has_the_expectation_of_loss_minus_bound():
    labels = np.repeat(np.arange(3), 2)
    points = np.random.default_rng(0).standard_normal((6, 2))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    objective = AllBatches(labels, 5)
    for features in ("free", "nonnegative"):
        mean, _ = paired_excess(objective.losses(points), objective.label_counts, 1.0, features=features)
        bound = sc_bound(3, 5, radius=1.0, samples_per_class=2, features=features)
        assert mean == pytest.approx(objective.mean_loss(points) - bound, rel=1e-10)


def test_paired_excess_and_its_standard_error():
    counts = [[3, 3], [4, 2], [6, 0]]
    optimum = composition_value(counts, 1.0)
    mean, error = paired_excess(optimum + np.array([0.1, 0.2, 0.6]), counts, 1.0)
    assert mean == pytest.approx(0.3)
    assert error == pytest.approx(np.std([0.1, 0.2, 0.6], ddof=1) / math.sqrt(3))
    assert paired_excess(optimum[:1] + 0.25, counts[:1], 1.0) == pytest.approx((0.25, 0.0))


def test_pairing_removes_the_variance_of_the_label_counts():
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 10, (200, 256))
    counts = (labels[:, :, None] == np.arange(10)).sum(axis=1)
    losses = composition_value(counts, math.sqrt(10))
    assert losses.std() > 1.5
    mean, error = paired_excess(losses, counts, math.sqrt(10))
    assert (mean, error) == (0, 0)


def test_gap_of_extreme_temperatures_has_the_right_limit():
    assert inner_product_gap(10, temperature=1e-300) == pytest.approx(10 / 9 * 1e300)
    for temperature, limit in ((1e-300, 0.0), (1e300, 1.0)):
        found = sc_bound(10, 256, temperature=temperature, sampling="iid")
        counts = np.arange(2, 257)
        law = np.exp(log_label_count_law(10, 256, sampling="iid"))[2:]
        assert found == pytest.approx(10 * np.sum(law * counts * np.log(counts - 1 + (256 - counts) * limit)))
    assert sc_bound(10, 256, radius=1e300, sampling="iid") == sc_bound(10, 256, temperature=1e-300, sampling="iid")


@pytest.mark.parametrize("num_classes", [2, 10**6, 2**53])
@pytest.mark.parametrize("samples", [1, 10**9, 2**53])
@pytest.mark.parametrize("radius", [1e-300, 1.0, 1e300])
def test_extreme_sizes_are_finite(num_classes, samples, radius):
    for sampling in SAMPLINGS:
        if sampling == "without-replacement" and num_classes * samples < 50:
            continue
        found = sc_bound(num_classes, 50, radius=radius, samples_per_class=samples, sampling=sampling)
        assert 0 <= found <= 50 * math.log(49) * (1 + 1e-12)


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((10, 2), {"radius": 1.0, "sampling": "iid"}, "at least 3, got 2; .* needs three points"),
        ((10, 1), {"radius": 1.0, "sampling": "iid"}, "needs three points"),
        ((1, 8), {"radius": 1.0, "sampling": "iid"}, "number of classes must be at least 2"),
        ((10, 8), {"sampling": "iid"}, "radius or the temperature"),
        ((10, 8), {"radius": 1.0, "temperature": 1.0, "sampling": "iid"}, "radius or the temperature"),
        ((10, 8), {"temperature": 0.0, "sampling": "iid"}, "temperature must be greater than 0"),
        ((10, 8), {"radius": -1.0, "sampling": "iid"}, "radius must be greater than 0"),
        ((10, 8), {"radius": 1.0}, "needs the number of samples per class"),
        ((10, 8), {"radius": 1.0, "samples_per_class": 0}, "samples per class must be at least 1"),
        ((2, 9), {"radius": 1.0, "samples_per_class": 4, "sampling": "without-replacement"}, "at most N = 8"),
        ((2, 9), {"radius": 1.0, "samples_per_class": 4, "sampling": "bootstrap"}, "sampling must be one of"),
        ((2, 9), {"radius": 1.0, "samples_per_class": 4, "reduction": "max"}, "reduction must be one of"),
        ((2, 10**9), {"radius": 1.0, "sampling": "iid"}, "batch size must be at most 10000000"),
    ],
)
def test_refuses(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        sc_bound(*arguments, **options)


def test_refuses_label_counts_that_are_none():
    for counts in ([-1, 3], [1.5, 2.0], 3, [4]):
        with pytest.raises(ValueError, match="number"):
            composition_value(counts, 1.0)
    with pytest.raises(ValueError, match="R batches"):
        paired_excess([1.0, 2.0], [[3, 3]], 1.0)


def test_definition_agrees_with_the_batch_loss():
    generator = np.random.default_rng(3)
    points, labels = generator.standard_normal((9, 3)), generator.integers(0, 4, 9)
    assert sc_loss_batch(points, labels) == pytest.approx(loss_by_definition(points, labels), rel=1e-13)
