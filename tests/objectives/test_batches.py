"""The laws by which batches are drawn: what they draw, and that floor and measured loss of sc follow them."""

import math

import numpy as np
import pytest

from simplexlab import objectives, theory
from simplexlab.geometry import regular_simplex
from simplexlab.objectives import Known

UNBALANCED = np.repeat(np.arange(4), [40, 10, 6, 4])[np.random.default_rng(5).permutation(60)]


def known(counts, batch_size, radius=1.0, dimension=200, features="free", **law):
    return Known(np.asarray(counts), dimension, {}, batch_size, features, radius, **law)


def test_plain_batches_are_those_of_earlier_versions():
    drawn = known(np.bincount(UNBALANCED), 24).batches(UNBALANCED, np.random.default_rng([3, 7]))
    np.testing.assert_array_equal(drawn, np.random.default_rng([3, 7]).integers(0, 60, size=(128, 24)))


@pytest.mark.parametrize("views", [1, 2])
def test_a_balanced_batch_has_as_many_of_each_class_drawn_alike_within_it(views):
    law = known(np.bincount(UNBALANCED), 12, views=views, per_class=3)
    drawn = law.batches(UNBALANCED, np.random.default_rng(0), 4000)
    assert drawn.shape == (4000, 12 * views)
    for batch in UNBALANCED[drawn[:50]]:
        np.testing.assert_array_equal(np.bincount(batch), np.full(4, 3 * views))
    times = np.bincount(drawn.ravel(), minlength=60) / views
    wanted = 4000 * 3 / np.bincount(UNBALANCED)[UNBALANCED]
    assert np.abs((times - wanted) / np.sqrt(wanted)).max() < 5


def test_both_views_of_an_image_are_in_the_batch():
    drawn = known([15] * 4, 10, views=2).batches(np.repeat(np.arange(4), 15), np.random.default_rng(0))
    np.testing.assert_array_equal(drawn[:, :10], drawn[:, 10:])


@pytest.mark.parametrize(
    ("classes", "batch_size", "value"), [(10, 256, 2014.133), (10, 128, 829.061), (100, 256, 841.725)]
)
def test_the_floor_of_two_views(classes, batch_size, value):
    floor = objectives.get("sc").floor(known([50] * classes, batch_size, math.sqrt(10), views=2))
    assert floor.value == pytest.approx(value, abs=6e-4)


@pytest.mark.parametrize("features", ["free", "nonnegative"])
def test_the_floor_of_balanced_batches_whatever_the_labels(features):
    classes, m, radius = 4, 5, 1.3
    gap = radius**2 * (classes / (classes - 1) if features == "free" else 1)
    wanted = classes * m * math.log(m - 1 + (classes - 1) * m * math.exp(-gap))
    for counts in ([9] * 4, np.bincount(UNBALANCED)):
        floor = objectives.get("sc").floor(known(counts, 20, radius, features=features, per_class=m))
        assert floor.value == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize("law", [{"views": 2}, {"per_class": 4}, {"views": 2, "per_class": 1}, {}])
def test_the_measured_loss_is_that_of_batches_by_the_same_law(law):
    generator = np.random.default_rng(1)
    batch_size = 4 * law.get("per_class", 4)
    points = generator.normal(size=(60, 6)) + 2 * regular_simplex(4, 6)[UNBALANCED]
    points *= math.sqrt(2) / np.linalg.norm(points, axis=1, keepdims=True)
    there = known(np.bincount(UNBALANCED), batch_size, math.sqrt(2), 6, **law)
    sc = objectives.get("sc")
    floor = sc.floor(there)
    loss, excess, error = sc.measure(points, UNBALANCED, there, floor, generator)
    # Drawn here, one class after another.
    if m := law.get("per_class"):
        places = [np.flatnonzero(label == UNBALANCED) for label in range(4)]
        drawn = np.concatenate([place[generator.integers(0, len(place), (20_000, m))] for place in places], axis=1)
    else:
        drawn = generator.integers(0, 60, (20_000, batch_size))
    losses = theory.sc_loss_batches(points, UNBALANCED, np.concatenate([drawn] * law.get("views", 1), axis=1))
    assert abs(loss - losses.mean()) < 4 * np.hypot(error, losses.std() / math.sqrt(len(losses)))
    assert excess == pytest.approx(loss - floor.value)
    assert excess > 0
    # At the optimum nothing is left, batch by batch.
    best = np.pad(floor.points, ((0, 0), (0, 6 - floor.points.shape[1])))[UNBALANCED]
    loss, excess, error = sc.measure(best, UNBALANCED, there, floor, generator)
    assert (excess, error) == pytest.approx((0, 0), abs=1e-6)
