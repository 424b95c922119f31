"""Optimal configurations: they are what they say, and departures from them are measured."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ortho_group

from simplexlab.geometry import (
    align_procrustes,
    head_simplex,
    orthogonal_frame,
    regular_simplex,
    simplex_deviation,
    simplex_projection,
)


@pytest.mark.parametrize(("num_classes", "dimension"), [(2, 1), (3, 2), (4, 3), (10, 9), (10, 64), (100, 512)])
@pytest.mark.parametrize("radius", [1e-3, 1.0, 7.5])
def test_regular_simplex_has_the_defining_inner_products(num_classes, dimension, radius):
    vertices = regular_simplex(num_classes, dimension, radius)
    expected = np.full((num_classes, num_classes), -(radius**2) / (num_classes - 1))
    np.fill_diagonal(expected, radius**2)
    np.testing.assert_allclose(vertices @ vertices.T, expected, atol=1e-13 * radius**2)
    np.testing.assert_allclose(vertices.sum(axis=0), 0, atol=1e-13 * radius)


def test_regular_simplex_of_three_in_the_plane():
    half = np.sqrt(3) / 2
    np.testing.assert_allclose(regular_simplex(3, 2), [[1, 0], [-0.5, half], [-0.5, -half]], atol=1e-15)


def test_regular_simplex_keeps_its_dtype():
    assert regular_simplex(4, 8, dtype=np.float32).dtype == np.float32


def test_regular_simplex_fits_exactly_up_to_one_class_more_than_dimensions():
    assert regular_simplex(11, 10).shape == (11, 10)
    with pytest.raises(ValueError, match=r"no regular simplex exists for K = 12 > h \+ 1 = 11"):
        regular_simplex(12, 10)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((1, 5), "number of classes must be at least 2, got 1"),
        ((0, 5), "number of classes must be at least 2, got 0"),
        ((3.5, 5), "whole number"),
        ((3, 5, 0.0), "radius must be greater than 0"),
        ((3, 5, -1.0), "radius must be greater than 0"),
        ((3, 5, float("nan")), "radius must be greater than 0"),
        ((3, 5, float("inf")), "radius must be from"),
    ],
)
def test_regular_simplex_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        regular_simplex(*arguments)


def test_orthogonal_frame_is_orthogonal_and_not_negative():
    frame = orthogonal_frame(5, 7, 2.0)
    assert frame.min() >= 0
    np.testing.assert_array_equal(frame @ frame.T, 4 * np.eye(5))
    with pytest.raises(ValueError, match="no orthogonal frame exists for K = 8 > h = 7"):
        orthogonal_frame(8, 7)


@given(st.integers(2, 12), st.integers(0, 5), st.floats(1e-6, 1e6), st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=60)
def test_deviation_is_zero_at_rotated_simplices_of_any_radius(num_classes, more, radius, seed):
    dimension = num_classes - 1 + more
    rotation = ortho_group.rvs(dimension, random_state=seed) if dimension > 1 else np.eye(1)
    deviation = simplex_deviation(regular_simplex(num_classes, dimension, radius) @ rotation)
    assert deviation.largest < 1e-13


def test_deviation_tells_the_three_conditions_apart():
    vertices = regular_simplex(4, 6, 3.0)
    shifted = simplex_deviation(vertices + 0.3 * np.eye(6)[5])  # orthogonal to the simplex: norms stay equal
    assert shifted.centre == pytest.approx(0.3 / np.sqrt(9.09))
    assert shifted.norm < 1e-14
    assert shifted.inner_product < 1e-14

    square = simplex_deviation([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]])  # K > h + 1
    assert square.centre == 0
    assert square.norm == 0
    assert square.inner_product == pytest.approx(2 / 3)

    stretched = simplex_deviation([[1.0], [-3.0]])
    assert stretched.centre == pytest.approx(0.5)
    assert stretched.norm == pytest.approx(0.5)
    assert stretched.inner_product == 0


@pytest.mark.parametrize("radius", [1e-250, 1e250])
def test_deviation_at_extreme_radii(radius):
    assert simplex_deviation(regular_simplex(5, 4, radius)).largest < 1e-13


def test_deviation_refuses_what_has_no_radius():
    with pytest.raises(ValueError, match="all 0"):
        simplex_deviation(np.zeros((3, 2)))
    with pytest.raises(ValueError, match="at least 2"):
        simplex_deviation([[1.0, 2.0]])
    with pytest.raises(ValueError, match="finite"):
        simplex_deviation([[1.0, np.nan], [0.0, 1.0]])


def test_procrustes_undoes_rotation_and_scale():
    reference = np.random.default_rng(0).standard_normal((6, 4))
    moved = 0.2 * reference @ ortho_group.rvs(4, random_state=1)
    np.testing.assert_allclose(align_procrustes(moved, reference), reference, atol=1e-12)
    with pytest.raises(ValueError, match="one shape"):
        align_procrustes(moved, reference[:, :3])


@pytest.mark.parametrize("num_classes", [3, 4, 5, 10])
def test_projection_shows_a_simplex_as_a_regular_polygon(num_classes):
    rotation = ortho_group.rvs(12, random_state=num_classes)
    vertices = regular_simplex(num_classes, 12, 2.0) @ rotation
    projection = simplex_projection(vertices, 2)
    np.testing.assert_allclose(projection.T @ projection, np.eye(2), atol=1e-12)
    picture = vertices @ projection
    # A regular K-gon inscribed in a circle: equal norms, and equal steps of the angle.
    norms = np.linalg.norm(picture, axis=1)
    np.testing.assert_allclose(norms, norms[0], rtol=1e-12)
    sides = np.linalg.norm(picture - np.roll(picture, 1, axis=0), axis=1)
    np.testing.assert_allclose(sides, 2 * norms[0] * np.sin(np.pi / num_classes), rtol=1e-12)


def test_projection_shows_four_classes_as_the_tetrahedron():
    vertices = regular_simplex(4, 9) @ ortho_group.rvs(9, random_state=0)
    assert simplex_deviation(vertices @ simplex_projection(vertices, 3)).largest < 1e-13


def test_projection_of_two_classes_keeps_their_distance():
    vertices = regular_simplex(2, 5)
    picture = vertices @ simplex_projection(vertices, 2)
    assert np.linalg.norm(picture[0] - picture[1]) == pytest.approx(2.0)
    with pytest.raises(ValueError, match="exceeds"):
        simplex_projection(vertices, 6)


@pytest.mark.parametrize(("num_classes", "dimension"), [(2, 1), (3, 2), (10, 64)])
def test_rotated_head_is_a_simplex_by_the_rotation_of_scipy(num_classes, dimension):
    rows = head_simplex(num_classes, dimension, 1.5, seed=3)
    assert simplex_deviation(rows).largest < 1e-12
    if dimension > 1:
        rotation = ortho_group.rvs(dimension, random_state=3)
        np.testing.assert_allclose(rows, regular_simplex(num_classes, dimension, 1.5) @ rotation, atol=1e-12)


def test_aligned_head_is_a_simplex_over_the_orthogonal_frame():
    rows = head_simplex(10, 12, 2.0, alignment="aligned")
    assert simplex_deviation(rows).largest < 1e-12
    np.testing.assert_allclose(rows[:, :10], 2.0 * np.sqrt(10 / 9) * (np.eye(10) - 0.1), atol=1e-12)
    assert not rows[:, 10:].any()
    with pytest.raises(ValueError, match="no orthogonal frame exists"):
        head_simplex(10, 9, alignment="aligned")
    with pytest.raises(ValueError, match="head alignment must be one of rotated, aligned"):
        head_simplex(10, 9, alignment="turned")
