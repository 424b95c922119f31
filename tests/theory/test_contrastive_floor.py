"""The exact mean of the contrastive loss over i.i.d. batches, and its certified floor for any class probabilities."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from simplexlab.geometry import orthogonal_frame, regular_simplex
from simplexlab.theory import (
    composition_value,
    sc_bound,
    sc_composition_value,
    sc_expected_loss,
    sc_floor,
    sc_floor_of_batches,
    sc_floor_of_composition,
    sc_loss_batch,
    sc_loss_batches,
)

SKEWED = (0.7, 0.1, 0.1, 0.1)


def geometric(num_classes, ratio):
    weights = np.geomspace(1, ratio, num_classes)
    return weights / weights.sum()


def gram_of(points):
    return points @ points.T


def random_points(generator, num_classes, dimension, radius):
    points = generator.standard_normal((num_classes, dimension))
    return radius * points / np.linalg.norm(points, axis=1, keepdims=True)


@pytest.mark.parametrize("views", [1, 2])
@pytest.mark.parametrize(("probabilities", "batch_size"), [((0.6, 0.3, 0.1), 7), ((0.9, 0.1), 5), (SKEWED, 4)])
def test_mean_equals_the_sum_over_all_label_counts(probabilities, batch_size, views):
    generator = np.random.default_rng(0)
    num_classes = len(probabilities)
    points = generator.standard_normal((num_classes, 3)) * 1.7  # of unequal norms
    expected = 0.0
    for counts in itertools.product(range(batch_size + 1), repeat=num_classes):
        if sum(counts) == batch_size:
            chance = math.factorial(batch_size) * math.prod(
                p**count / math.factorial(count) for p, count in zip(probabilities, counts, strict=True)
            )
            labels = np.repeat(np.arange(num_classes), views * np.array(counts))
            expected += chance * sc_loss_batch(points[labels], labels)
    assert sc_expected_loss(gram_of(points), probabilities, batch_size, views=views) == pytest.approx(
        expected, rel=1e-13
    )


def test_mean_equals_that_of_all_draws_from_a_small_unbalanced_set():
    labels = np.array([0, 0, 0, 1, 1, 2])
    points = random_points(np.random.default_rng(1), 3, 2, 1.3)
    draws = np.array(list(itertools.product(range(6), repeat=5)))
    mean = sc_loss_batches(points[labels], labels, draws).mean()
    assert sc_expected_loss(gram_of(points), np.bincount(labels) / 6, 5) == pytest.approx(mean, rel=1e-12)
    assert mean >= sc_floor(np.bincount(labels) / 6, 5, radius=1.3).certificate - 1e-12


def test_mean_agrees_with_200_000_random_batches():
    generator = np.random.default_rng(2)
    points = random_points(generator, 4, 3, math.sqrt(10))
    losses = sc_composition_value(generator.multinomial(128, SKEWED, 200_000), gram_of(points))
    error = losses.std() / math.sqrt(len(losses))
    assert abs(losses.mean() - sc_expected_loss(gram_of(points), SKEWED, 128)) < 4 * error


@pytest.mark.parametrize(
    ("num_classes", "batch_size", "temperature"), [(2, 3, 2.0), (10, 256, 0.1), (100, 256, 0.1), (10, 65_536, 0.5)]
)
def test_mean_at_the_simplex_is_theorem_2(num_classes, batch_size, temperature):
    radius = temperature**-0.5
    for features, points in (
        ("free", regular_simplex(num_classes, num_classes, radius)),
        ("nonnegative", orthogonal_frame(num_classes, num_classes, radius)),
    ):
        bound = sc_bound(num_classes, batch_size, temperature=temperature, sampling="iid", features=features)
        mean = sc_expected_loss(gram_of(points), np.full(num_classes, 1 / num_classes), batch_size)
        assert mean == pytest.approx(bound, rel=1e-12)
        floor = sc_floor(np.full(num_classes, 1 / num_classes), batch_size, temperature=temperature, features=features)
        assert floor.value == pytest.approx(bound, rel=1e-12)
        assert floor.is_exact


@pytest.mark.parametrize(
    ("probabilities", "batch_size", "temperature", "expected"),
    [
        (SKEWED, 128, 0.1, 498.063265),
        (geometric(10, 10), 256, 1.0, 1192.008344),
        (np.full(10, 0.1), 256, 0.1, 824.464336),
    ],
)
def test_known_floors(probabilities, batch_size, temperature, expected):
    floor = sc_floor(probabilities, batch_size, temperature=temperature)
    assert floor.is_exact
    assert floor.value == pytest.approx(expected, abs=6e-7)
    gram = gram_of(floor.points)
    assert sc_expected_loss(gram, probabilities, batch_size) == pytest.approx(floor.value, rel=1e-12)
    np.testing.assert_allclose(np.diag(gram), 1 / temperature)


def test_the_optimum_leaves_the_simplex():
    p = geometric(10, 10)
    simplex = sc_expected_loss(gram_of(regular_simplex(10, 9)), p, 256)
    assert simplex == pytest.approx(1199.9585, abs=6e-5)
    assert simplex - sc_floor(p, 256, radius=1.0).value > 7


@pytest.mark.parametrize(("batch_size", "expected"), [(256, 2014.133), (128, 829.061)])
def test_two_views_of_each_image(batch_size, expected):
    floor = sc_floor(np.full(10, 0.1), batch_size, temperature=0.1, views=2)
    assert floor.value == pytest.approx(expected, abs=6e-4)
    unequal = sc_floor(geometric(10, 1.001), batch_size, temperature=0.1, views=2)  # by the program
    assert unequal.is_exact
    assert unequal.value == pytest.approx(floor.value, rel=1e-4)


@settings(deadline=None, max_examples=40)
@given(
    weights=st.lists(st.floats(0.02, 1), min_size=2, max_size=5),
    batch_size=st.integers(3, 40),
    radius=st.floats(0.1, 4),
    near=st.sampled_from([0.01, 0.3, 10.0]),
    nonnegative=st.booleans(),
    views=st.integers(1, 2),
    seed=st.integers(0, 2**32 - 1),
)
def test_no_configuration_is_below_the_certificate(weights, batch_size, radius, near, nonnegative, views, seed):
    p = np.array(weights) / sum(weights)
    features = "nonnegative" if nonnegative else "free"
    floor = sc_floor(p, batch_size, radius=radius, features=features, views=views)
    assert floor.is_exact
    generator = np.random.default_rng(seed)
    points = np.pad(floor.points, [(0, 0), (0, 1)]) / radius
    points = points + near * generator.standard_normal(points.shape)
    points = np.abs(points) if nonnegative else points
    points *= radius / np.linalg.norm(points, axis=1, keepdims=True)
    assert sc_expected_loss(gram_of(points), p, batch_size, views=views) >= floor.certificate * (1 - 1e-12)
    merged = floor.points.copy()
    merged[0] = merged[1]
    assert sc_expected_loss(gram_of(merged), p, batch_size, views=views) >= floor.certificate * (1 - 1e-12)
    order = generator.permutation(len(p))
    turned = sc_floor(p[order], batch_size, radius=radius, features=features, views=views)
    assert turned.value == pytest.approx(floor.value, rel=1e-7)


@pytest.mark.parametrize("counts", [(7, 2, 0), (6, 2, 1), (5, 3, 1), (4, 4, 1), (7, 1, 1), (5, 2, 2), (3, 3, 3)])
def test_the_batches_of_figure_5_in_the_plane(counts):
    """Every point of the batch free: scipy's minimiser on the definition of the loss."""
    floor = sc_floor_of_composition(counts, radius=1.0, dimension=2)
    assert floor.is_exact
    labels = np.repeat(np.arange(3), counts)
    assert sc_loss_batch(floor.points[labels], labels) == pytest.approx(floor.value, rel=1e-12)
    assert floor.value <= composition_value(counts, 1.0) + 1e-12

    def loss(angles):
        return sc_loss_batch(np.stack([np.cos(angles), np.sin(angles)], axis=1), labels)

    generator = np.random.default_rng(0)
    found = min(minimize(loss, generator.uniform(0, 7, 9), method="BFGS").fun for _ in range(4))
    assert found >= floor.certificate - 1e-9
    assert found == pytest.approx(floor.value, rel=2e-5)


def test_a_sample_of_batches_has_a_floor_of_its_own():
    p = geometric(10, 10)
    counts = np.random.default_rng(0).multinomial(256, p, 128)
    floor = sc_floor_of_batches(counts, temperature=0.1)
    assert floor.is_exact
    assert sc_composition_value(counts, gram_of(floor.points)).mean() == pytest.approx(floor.value, rel=1e-12)
    assert floor.value < composition_value(counts, 10**0.5).mean()
    frame = sc_floor_of_batches(counts, temperature=0.1, features="nonnegative")
    assert frame.value == pytest.approx(composition_value(counts, 10**0.5, features="nonnegative").mean())


def test_pairing_with_the_optimum_has_the_expectation_of_the_excess():
    """Floor plus the mean of loss − value at own counts estimates the expected loss, with far less spread."""
    generator = np.random.default_rng(3)
    p = geometric(5, 8)
    floor = sc_floor(p, 64, radius=2.0)
    points = random_points(generator, 5, 8, 2.0) * 0.1 + np.pad(floor.points, [(0, 0), (0, 4)])
    points *= 2.0 / np.linalg.norm(points, axis=1, keepdims=True)
    counts = generator.multinomial(64, p, 20_000)
    losses = sc_composition_value(counts, gram_of(points))
    paired = losses - sc_composition_value(counts, gram_of(floor.points))
    expected = sc_expected_loss(gram_of(points), p, 64)
    assert abs(floor.value + paired.mean() - expected) < 4 * paired.std() / math.sqrt(20_000)
    assert paired.std() < losses.std() / 5


def test_absent_classes_and_batches_without_a_positive():
    floor = sc_floor_of_composition([5, 0, 3], radius=1.0)
    assert floor.value == pytest.approx(sc_floor_of_composition([5, 3], radius=1.0).value)
    np.testing.assert_array_equal(floor.points[1], 0)
    assert sc_floor_of_composition([1, 1, 1], radius=1.0).value == 0
    alone = sc_floor_of_composition([9, 0], radius=2.0)
    assert alone.value == alone.certificate == pytest.approx(9 * math.log(8))
    np.testing.assert_array_equal(alone.points, [[2], [0]])


def test_few_dimensions_have_a_floor_and_a_best_known_value():
    floor = sc_floor(np.full(8, 1 / 8), 128, radius=1.0, dimension=4)
    assert floor.origin == "cross-polytope"
    assert floor.value == pytest.approx(sc_bound(8, 128, radius=1.0, sampling="iid"))
    cross = np.concatenate([np.eye(4), -np.eye(4)])
    assert floor.best_known == pytest.approx(sc_expected_loss(gram_of(cross), np.full(8, 1 / 8), 128))
    skewed = sc_floor(geometric(6, 5), 32, radius=1.0, dimension=2)
    assert skewed.certificate <= skewed.value < skewed.best_known
    assert not skewed.is_exact
    assert sc_floor(geometric(4, 5), 32, radius=1.0, dimension=3, features="nonnegative").best_known is not None


def test_a_later_solve_starts_from_an_earlier_one():
    p = geometric(20, 10)
    first = sc_floor(p, 64, temperature=0.5)
    again = sc_floor(p, 64, temperature=0.45, start=first)
    assert again.is_exact
    assert again.value == pytest.approx(sc_floor(p, 64, temperature=0.45).value, rel=1e-8)


@pytest.mark.parametrize("radius", [1e-12, 1e3, 1e90])
def test_extreme_radii(radius):
    floor = sc_floor((0.6, 0.3, 0.1), 16, radius=radius)
    assert floor.is_exact
    assert floor.value == pytest.approx(sc_floor((0.6, 0.3, 0.1), 16, radius=radius, features="nonnegative").value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (((0.5, 0.5, 0.0), 16), "greater than 0 with sum 1"),
        (((0.5, 0.6), 16), "greater than 0 with sum 1, got sum 1.1"),
        (((1.0,), 16), "number of classes must be at least 2, got 1"),
        (((0.5, math.nan), 16), "greater than 0 with sum 1"),
        (((0.5, 0.5), 2), "batch size must be at least 3, got 2"),
        (((0.5, 0.5), 10**8), "batch size must be at most"),
        ((np.full(10_001, 1 / 10_001), 16), "at most 10000"),
        ((geometric(4000, 2), 16), "4000 classes make a program of 1.6e.07 unknowns"),
    ],
)
def test_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        sc_floor(*arguments, radius=1.0)


def test_refuses_other_arguments():
    with pytest.raises(ValueError, match="one of the two"):
        sc_floor(SKEWED, 8)
    with pytest.raises(ValueError, match="squared radius"):
        sc_floor(SKEWED, 8, radius=1e150)
    with pytest.raises(ValueError, match="whole numbers of at least 0"):
        sc_floor_of_composition([2, -1, 3], radius=1.0)
    with pytest.raises(ValueError, match="R batches and K classes"):
        sc_floor_of_batches([2, 1, 3], radius=1.0)
    with pytest.raises(ValueError, match="shape"):
        sc_expected_loss(np.eye(3), SKEWED, 8)
    with pytest.raises(ValueError, match="batch size must be at least 3"):
        sc_floor_of_composition([1, 1], radius=1.0)


def test_classes_of_very_unequal_size_are_certified_too():
    generator = np.random.default_rng(7)
    for num_classes in (3, 8, 12):
        p = 10 ** generator.uniform(0, 4, num_classes)
        assert sc_floor(p / p.sum(), 92, radius=0.42).is_exact


def test_far_apart_norms_are_refused():
    with pytest.raises(ValueError, match="exceeds one within a class by 700"):
        sc_expected_loss([[0.0, 700.0], [700.0, 1000.0]], (0.5, 0.5), 8)
