"""Floors of align-uniform, n-pairs, triplet and soft-nn: no configuration is below them, and points reach them."""

import itertools

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from simplexlab import theory
from simplexlab.geometry import regular_simplex

FEATURES = ("free", "nonnegative")


def on_sphere(generator, size, dimension, features, radius=1.0):
    points = generator.standard_normal((size, dimension))
    points = np.abs(points) if features == "nonnegative" else points
    return radius * points / np.linalg.norm(points, axis=1, keepdims=True)


def all_batches(num_points, batch_size):
    return np.array(list(itertools.product(range(num_points), repeat=batch_size)))


def batches_of(composition, labels):
    """Every batch of points with these label counts, in the order of the classes."""
    places = [range(len(labels))] * sum(composition)
    classes = np.repeat(np.arange(len(composition)), composition)
    places = [[i for i in place if labels[i] == y] for place, y in zip(places, classes, strict=True)]
    return np.array(list(itertools.product(*places)))


def mixed(floor, labels, generator, features, near):
    """Points near the optimum, or far from it."""
    best = floor.points[labels]
    points = best + near * generator.standard_normal(best.shape)
    points = np.abs(points) if features == "nonnegative" else points
    return points / np.linalg.norm(points, axis=1, keepdims=True)


COUNTS = st.sampled_from([(2, 2, 2), (3, 2, 1), (4, 1), (1, 1, 3)])
NEAR = st.sampled_from([0.003, 0.1, 10.0])
SEED = st.integers(0, 2**32 - 1)


class TestSoftNearestNeighbours:
    @settings(deadline=None, max_examples=25)
    @given(counts=COUNTS, features=st.sampled_from(FEATURES), near=NEAR, seed=SEED, temperature=st.floats(0.2, 3))
    def test_the_mean_over_all_batches_is_never_below(self, counts, features, near, seed, temperature):
        labels = np.repeat(np.arange(len(counts)), counts)
        floor = theory.soft_nearest_neighbour_floor(np.array(counts) / sum(counts), 4, temperature, features=features)
        indices = all_batches(len(labels), 4)
        points = mixed(floor, labels, np.random.default_rng(seed), features, near)
        mean = 4 * theory.soft_nearest_neighbour_losses(points, labels, indices, temperature).mean()
        assert mean >= floor.certificate - 1e-12
        reached = 4 * theory.soft_nearest_neighbour_losses(floor.points[labels], labels, indices, temperature).mean()
        assert reached == pytest.approx(floor.value, rel=1e-6, abs=1e-9)

    def test_two_views_and_balanced_batches_have_laws_of_their_own(self):
        labels = np.repeat(np.arange(3), 2)
        indices = np.tile(all_batches(6, 3), (1, 2))
        floor = theory.soft_nearest_neighbour_floor(np.ones(3) / 3, 3, 0.5, views=2)
        reached = 6 * theory.soft_nearest_neighbour_losses(regular_simplex(3, 2)[labels], labels, indices, 0.5).mean()
        assert reached == pytest.approx(floor.value, rel=1e-9)
        one = theory.soft_nearest_neighbour_floor_of_composition([2, 2, 2], 0.5)
        reached = theory.soft_nearest_neighbour_losses(regular_simplex(3, 2)[labels], labels, np.arange(6)[None], 0.5)
        assert 6 * reached[0] == pytest.approx(one.value, rel=1e-9)
        values = theory.soft_nearest_neighbour_values([[2, 2, 2]], one.points @ one.points.T, 0.5)
        assert values[0] == pytest.approx(one.value, rel=1e-9)


class TestTriplets:
    @settings(deadline=None, max_examples=25)
    @given(
        counts=COUNTS,
        features=st.sampled_from(FEATURES),
        near=NEAR,
        seed=SEED,
        margin=st.floats(0, 5),
        views=st.sampled_from([1, 2]),
    )
    def test_the_mean_over_all_batches_is_never_below(self, counts, features, near, seed, margin, views):
        labels = np.repeat(np.arange(len(counts)), counts)
        p = np.array(counts) / sum(counts)
        floor = theory.triplet_floor(p, 3, margin, features=features, views=views)
        indices = np.tile(all_batches(len(labels), 3), (1, views))
        points = mixed(floor, labels, np.random.default_rng(seed), features, near)
        assert theory.triplet_losses(points, labels, indices, margin).mean() >= floor.certificate - 1e-12
        reached = theory.triplet_losses(floor.points[labels], labels, indices, margin).mean()
        if floor.attained:
            assert reached == pytest.approx(floor.value, rel=1e-6, abs=1e-9)
        assert reached >= floor.value - 1e-9

    def test_balanced_classes_have_the_bound_where_every_anchor_counts(self):
        for margin in (0.2, 3.0, 3.5):
            floor = theory.triplet_floor_of_composition([3, 3, 3], margin)
            assert floor.value == pytest.approx(theory.triplet_bound(3, margin), abs=1e-12)
            assert floor.is_exact

    def test_unequal_classes_beyond_the_largest_margin_are_exact(self):
        floor = theory.triplet_floor([0.5, 0.3, 0.2], 8, 4.5)
        assert floor.is_exact
        assert floor.value < theory.triplet_floor([1 / 3] * 3, 8, 4.5).value
        assert not theory.triplet_floor([0.9, 0.05, 0.05], 8, 3.2).is_exact

    def test_in_few_dimensions_a_small_margin_is_reached_and_a_large_one_not(self):
        assert theory.triplet_floor([0.25] * 4, 16, 1.9, dimension=2).is_exact  # a square has 2
        assert not theory.triplet_floor([0.25] * 4, 16, 2.1, dimension=2).is_exact


class TestNPairs:
    @example([[4, 2, 0], [2, 2, 2]], "free", 0.003, 0, 2.575)  # a floor of 6e-5
    @settings(deadline=None, max_examples=25)
    @given(
        compositions=st.sampled_from([[[2, 2, 0], [2, 0, 2]], [[3, 2, 1]], [[2, 2, 2]], [[4, 2, 0], [2, 2, 2]]]),
        features=st.sampled_from(FEATURES),
        near=NEAR,
        seed=SEED,
        radius=st.floats(0.3, 3),
    )
    def test_the_mean_over_the_batches_of_these_counts_is_never_below(self, compositions, features, near, seed, radius):
        labels = np.repeat(np.arange(3), 2)
        floor = theory.n_pairs_floor(compositions, radius, features=features)
        assert floor.is_exact
        generator = np.random.default_rng(seed)
        points = radius * mixed(
            theory.n_pairs_floor([[2, 2, 2]], 1.0, features=features), labels, generator, features, near
        )
        optimal = floor.points[labels]
        optimal[~optimal.any(axis=1)] = points[0, : optimal.shape[1]]  # of no pair: anywhere

        def mean(found):
            return np.mean(
                [theory.n_pairs_losses(found, labels, batches_of(one, labels)).mean() for one in compositions]
            )

        assert mean(points) >= floor.certificate - 1e-12
        assert mean(optimal) == pytest.approx(floor.value, rel=1e-6, abs=1e-12)

    def test_two_of_each_class_have_the_bound(self):
        floor = theory.n_pairs_floor([[2] * 5], 1.7)
        assert floor.value == pytest.approx(theory.n_pairs_bound(5, 5, 1.7), rel=1e-12)

    def test_exchangeable_classes_have_the_simplex(self):
        compositions = [[4, 2, 0], [3, 2, 1]]
        permuted = [list(one) for row in compositions for one in set(itertools.permutations(row))]
        exchangeable = theory.n_pairs_floor(compositions, 1.3, exchangeable=True)
        assert exchangeable.value == pytest.approx(theory.n_pairs_floor(permuted, 1.3).value, rel=1e-7)
        assert theory.n_pairs_floor(compositions, 1.3).value < exchangeable.value

    def test_fixed_points_have_a_simplex_a_tuplet(self):
        floor = theory.n_pairs_floor_of_batch([4, 4, 2], 1.2)
        own = [theory.n_pairs_bound(size, size, 1.2) for size in (3, 2)]
        assert floor.value == pytest.approx((6 * own[0] + 4 * own[1]) / 10)
        assert floor.value < theory.n_pairs_floor([[4, 4, 2]], 1.2).value
        assert theory.n_pairs_floor_of_batch([4, 4, 4], 1.2).value == pytest.approx(theory.n_pairs_bound(3, 3, 1.2))
        assert not theory.n_pairs_floor_of_batch([4, 4, 2], 1.2, dimension=1).attained

    def test_batches_without_two_pairs_have_nothing_to_lose(self):
        assert theory.n_pairs_floor([[3, 1, 1]], 1.0).value == 0
        with pytest.raises(ValueError, match="batches of one size"):
            theory.n_pairs_floor([[2, 2], [2, 3]], 1.0)


class TestAlignmentAndUniformity:
    @settings(deadline=None, max_examples=60)
    @given(
        counts=st.lists(st.integers(1, 4), min_size=2, max_size=4).filter(lambda counts: max(counts) > 1),
        features=st.sampled_from(FEATURES),
        weight=st.floats(0, 4),
        scale=st.floats(0.3, 4),
        near=NEAR,
        seed=SEED,
    )
    def test_no_configuration_is_below(self, counts, features, weight, scale, near, seed):
        labels = np.repeat(np.arange(len(counts)), counts)
        floor = theory.alignment_uniformity_floor(counts, weight, scale=scale, features=features)
        assert floor.value - floor.certificate <= 1e-6
        generator = np.random.default_rng(seed)
        points = mixed(floor, labels, generator, features, near)
        for tried in (points, on_sphere(generator, len(labels), 9, features)):
            loss, error = theory.alignment_uniformity_loss(tried, labels, weight, scale=scale)
            assert error is None
            assert loss >= floor.certificate - 1e-9

    @pytest.mark.parametrize("features", FEATURES)
    @pytest.mark.parametrize(
        ("counts", "weight"), [((3, 2, 1), 0.3), ((3, 2, 1), 1.0), ((3, 1, 1), 3.0), ((2, 2), 0.2)]
    )
    def test_free_points_reach_it(self, counts, weight, features):
        labels, dimension = np.repeat(np.arange(len(counts)), counts), sum(counts) + 2
        floor = theory.alignment_uniformity_floor(counts, weight, dimension=dimension, features=features)

        def loss(free):
            points = free.reshape(-1, dimension)
            points = points**2 if features == "nonnegative" else points
            points = points / np.linalg.norm(points, axis=1, keepdims=True)
            return theory.alignment_uniformity_loss(points, labels, weight)[0]

        starts = np.random.default_rng(0).standard_normal((2, len(labels) * dimension))
        best = min(minimize(loss, start, method="L-BFGS-B", options={"maxfun": 10**5}).fun for start in starts)
        assert best >= floor.certificate - 1e-9
        assert best == pytest.approx(floor.value, abs=1e-5)
        assert floor.is_exact

    def test_classes_of_one_size_have_the_closed_bound(self):
        for weight in (0.3, 1.0, 3.0):
            for scale in (0.5, 2.0):
                bound, within = theory.alignment_uniformity_bound(4, 5, weight, scale=scale)
                floor = theory.alignment_uniformity_floor([5] * 4, weight, scale=scale)
                assert floor.value == pytest.approx(bound, rel=1e-12)
                square = 1 / 5 + (1 - 1 / 5) * within
                np.testing.assert_allclose(np.sum(floor.points**2, axis=1), square, atol=1e-7)

    def test_spread_classes_need_more_dimensions_than_collapsed_ones(self):
        assert theory.alignment_uniformity_floor([5, 5, 5], 3.0, dimension=2).is_exact
        assert not theory.alignment_uniformity_floor([5, 5, 5], 1.0, dimension=2).is_exact
        assert theory.alignment_uniformity_floor([5, 5, 5], 1.0, dimension=14).is_exact

    @pytest.mark.parametrize("counts", [(3, 3), (4, 2, 1)])
    def test_in_few_dimensions_no_start_ends_below_the_best_known(self, counts):
        labels = np.repeat(np.arange(len(counts)), counts)
        floor = theory.alignment_uniformity_floor(counts, 0.7, dimension=2)

        def loss(angles):
            points = np.stack([np.cos(angles), np.sin(angles)], axis=1)
            return theory.alignment_uniformity_loss(points, labels, 0.7)[0]

        starts = np.random.default_rng(1).uniform(0, 2 * np.pi, (12, len(labels)))
        ends = [minimize(loss, start, options={"gtol": 1e-7}) for start in starts]
        assert min(end.fun for end in ends) == pytest.approx(floor.best_known, abs=1e-8)
        assert floor.best_known > floor.value + 1e-2
        assert not floor.is_exact
        best = min(ends, key=lambda end: end.fun).x
        means = [np.mean(np.exp(1j * best[labels == label])) for label in range(len(counts))]
        np.testing.assert_allclose(np.linalg.norm(floor.points, axis=1), np.abs(means), atol=1e-3)

    def test_in_few_dimensions_many_points_are_not_searched_for(self):
        assert not theory.alignment_uniformity_floor([61, 60], 0.7, dimension=2).attained
        assert not theory.alignment_uniformity_floor([3, 3], 0.7, dimension=1).attained

    def test_drawn_pairs_stand_for_all(self, monkeypatch):
        generator = np.random.default_rng(0)
        labels = np.arange(400) % 4
        points = on_sphere(generator, 400, 6, "free")
        exact, none = theory.alignment_uniformity_loss(points, labels, 1.0)
        monkeypatch.setattr("simplexlab.theory.relative_losses.ALL_PAIRS", 400 * 100)
        drawn, error = theory.alignment_uniformity_loss(points, labels, 1.0, generator=generator)
        assert none is None
        assert 0 < error < 0.05
        assert drawn == pytest.approx(exact, abs=4 * error)

    def test_what_is_refused(self):
        with pytest.raises(ValueError, match="a class with at least 2 points"):
            theory.alignment_uniformity_floor([1, 1, 1], 1.0)
        with pytest.raises(ValueError, match="weight must be at least 0"):
            theory.alignment_uniformity_floor([2, 2], -1.0)


def test_where_other_angles_take_the_floor_of_the_triplet_loss():
    counts, angle = (2, 2, 2, 2), 0.3
    upper = np.array([[np.cos(angle), 0, np.sin(angle)], [-np.cos(angle), 0, np.sin(angle)]])
    points = np.vstack([upper, upper[:, [1, 0, 2]] * [1, 1, -1]])  # their sum is 0, and they are no simplex
    for margin, unique in ((0.2, False), (8 / 3, True), (3.4, False)):
        floor = theory.triplet_floor_of_composition(counts, margin)
        assert floor.unique is unique
        value = theory.triplet_values(np.array([counts]), points @ points.T, margin)[0]
        assert (value == pytest.approx(floor.value, abs=1e-12)) is not unique, margin
    assert [theory.triplet_floor_of_composition((2, 2, 2), margin).unique for margin in (1.0, 3.0, 4.0)] == [
        False,
        True,
        True,
    ]
    frame = [theory.triplet_floor_of_composition(counts, margin, features="nonnegative") for margin in (1.0, 2.0, 3.0)]
    assert [floor.unique for floor in frame] == [False, True, True]
