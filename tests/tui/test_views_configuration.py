"""The configuration view shows a simplex as one."""

import itertools

import numpy as np
import pytest

from simplexlab.geometry import orthogonal_frame, regular_simplex
from simplexlab.tui.views.configuration import configuration_chart, edges, project, reach_of, spokes, turned


def distances(points):
    return np.linalg.norm(points[:, None] - points[None], axis=-1)[np.triu_indices(len(points), 1)]


def simplex_in_space(classes, dimension=40, radius=2.0):
    rotation, _ = np.linalg.qr(np.random.default_rng(3).standard_normal((dimension, dimension)))
    return regular_simplex(classes, dimension, radius) @ rotation


@pytest.mark.parametrize(("classes", "seen"), [(2, 2), (3, 2), (4, 3)])
def test_small_simplices_are_seen_in_full(classes, seen):
    picture = project({"class_means": simplex_in_space(classes)})
    assert picture.means.shape == (classes, seen)
    assert distances(picture.means) == pytest.approx(distances(simplex_in_space(classes)))
    assert picture.ideal == pytest.approx(picture.means, abs=1e-9)


def test_many_classes_look_like_a_regular_polygon_from_the_front():
    picture = project({"class_means": simplex_in_space(10)})
    flat = turned(picture.means, 0, 0)[:, :2]
    radii = np.linalg.norm(flat, axis=1)
    assert radii == pytest.approx(np.full(10, radii.mean()))
    turns = np.diff(np.unwrap(np.arctan2(flat[:, 1], flat[:, 0])))
    assert np.abs(turns) == pytest.approx(np.full(9, 2 * np.pi / 10))


def test_the_ideal_simplex_is_the_closest_one():
    generator = np.random.default_rng(0)
    means = simplex_in_space(3, 8) + 0.1 * generator.standard_normal((3, 8))
    picture = project({"class_means": means})
    best = np.linalg.norm(picture.ideal - picture.means)
    for seed in range(200):
        scale = generator.uniform(0.8, 1.2)
        angle = generator.uniform(0, 2 * np.pi)
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        other = scale * picture.ideal @ turn
        assert np.linalg.norm(other - picture.means) >= best * 0.999, seed


def test_weights_are_scaled_to_the_class_means():
    means = simplex_in_space(3)
    picture = project({"class_means": means, "weights": 7 * means})
    assert picture.weights == pytest.approx(picture.means)


def test_too_many_classes_for_the_dimension_have_no_ideal():
    assert project({"class_means": np.random.default_rng(0).standard_normal((5, 2))}).ideal is None


def test_representations_that_are_not_finite_are_left_out():
    sample = np.ones((4, 40))
    sample[1, 3] = np.nan
    picture = project({"class_means": simplex_in_space(3), "sample": sample, "sample_labels": np.array([0, 1, 2, 0])})
    assert picture.labels.tolist() == [0, 2, 0]
    assert project({"class_means": np.full((3, 4), np.nan)}) is None
    assert project({}) is None


def test_turning_keeps_what_is_seen_inside_the_sphere():
    points = np.random.default_rng(1).standard_normal((50, 3))
    seen = turned(points, 0.7, -1.2)
    assert np.linalg.norm(seen, axis=1) == pytest.approx(np.linalg.norm(points, axis=1))
    assert turned(points, 0, 0) == pytest.approx(points)
    assert turned(points[:, :2], 0.7, -1.2)[:, :2] == pytest.approx(points[:, :2])


@pytest.mark.parametrize("count", range(2, 9))
def test_the_path_runs_along_every_edge_and_no_point_twice(count):
    path = edges(count)
    steps = {tuple(sorted(pair)) for pair in itertools.pairwise(path) if pair[0] != pair[1]}
    assert steps == {(i, j) for i in range(count) for j in range(i + 1, count)}
    assert spokes(np.ones((count, 2))).shape == (2 * count + 1, 2)


def test_a_frame_is_shown_away_from_its_simplex():
    chart = configuration_chart({"class_means": orthogonal_frame(3, 6)})
    ideal = next(series for series in chart.series if series.label == "ideal")
    means = [series for series in chart.series if series.kind == "points" and series.marker in "012"]
    assert len(means) == 3
    assert len(ideal.x) == 3
    assert chart.equal


def test_the_picture_tells_where_it_is_a_shadow():
    assert configuration_chart({"class_means": simplex_in_space(10)}).title == "Configuration: shadow of 9 dimensions"
    for classes in (2, 3, 4):
        assert configuration_chart({"class_means": simplex_in_space(classes)}).title == "Configuration"
    assert configuration_chart({"class_means": np.eye(5, 3)[:, :2] + 0.1}).title == "Configuration"


def test_a_replay_keeps_its_scale():
    small, large = ({"class_means": simplex_in_space(3, radius=radius)} for radius in (1.0, 5.0))
    reach = max(reach_of(small), reach_of(large))
    charts = [configuration_chart(arrays, reach=reach) for arrays in (small, large)]
    assert charts[0].x_limits == charts[1].x_limits
    assert charts[0].x_limits != configuration_chart(small).x_limits


def test_a_trail_ends_at_the_class_means_and_is_fainter():
    now, before = ({"class_means": simplex_in_space(3, radius=radius)} for radius in (2.0, 1.0))
    chart = configuration_chart(now, trail=[before])
    ways = [series for series in chart.series if series.kind == "line" and series.strength < 1]
    means = [series for series in chart.series if series.kind == "points" and series.marker in "012"]
    assert len(ways) == len(means) == 3
    ends = sorted((way.x[-1], way.y[-1]) for way in ways)
    assert np.array(ends) == pytest.approx(np.array(sorted((mean.x[0], mean.y[0]) for mean in means)))
    assert all(np.hypot(way.x[0], way.y[0]) == pytest.approx(np.hypot(way.x[1], way.y[1]) / 2) for way in ways)


def test_what_is_far_is_dimmer():
    chart = configuration_chart({"class_means": simplex_in_space(4)}, yaw=0.3, pitch=0.2)
    strengths = {series.marker: series.strength for series in chart.series if series.marker in "0123"}
    assert len(strengths) == 4
    assert 0 < min(strengths.values()) < max(strengths.values()) == 1
