"""Equality conditions: zero where the bounds hold with equality, and each answers for its own departure."""

import numpy as np
import pytest

from simplexlab.geometry import regular_simplex
from simplexlab.theory import conditions_ce, conditions_sc, optimal_weight_norm

LABELS = np.repeat(np.arange(4), 3)
RADIUS = 2.5
VERTICES = regular_simplex(4, 6, RADIUS)


def test_all_conditions_hold_at_the_optimum_of_corollary_2():
    norm = optimal_weight_norm(RADIUS, 1e-3, 4)
    weights = VERTICES * norm / RADIUS
    found = conditions_ce(VERTICES[LABELS], LABELS, weights, RADIUS, max_norm=norm, weight_decay=1e-3)
    assert list(found) == ["C1", "C2", "C3", "C3r", "C3wd"]
    assert max(found.values()) < 1e-14


def test_only_the_asked_for_conditions_are_told():
    assert list(conditions_ce(VERTICES[LABELS], LABELS, VERTICES, RADIUS)) == ["C1", "C2", "C3"]
    assert list(conditions_sc(VERTICES[LABELS], LABELS, RADIUS)) == ["C1", "C2"]


def test_a_spread_class_breaks_c1_alone():
    points = VERTICES[LABELS].copy()
    points[0, 5] += 0.1
    points[1, 5] -= 0.1
    found = conditions_sc(points, LABELS, RADIUS)
    assert found["C1"] == pytest.approx(0.1 / RADIUS)
    assert found["C2"] < 1e-14


def test_another_radius_breaks_c2_alone():
    found = conditions_sc(0.9 * VERTICES[LABELS], LABELS, RADIUS)
    assert found["C1"] < 1e-14
    assert found["C2"] == pytest.approx(0.1)


def test_class_means_off_the_simplex_break_c2():
    means = VERTICES.copy()
    means[0] *= -1
    assert conditions_sc(means[LABELS], LABELS, RADIUS)["C2"] > 0.3


def test_weights_of_another_norm_break_c3r_and_c3wd_and_not_c3():
    weights = VERTICES * 0.8 / RADIUS
    found = conditions_ce(VERTICES[LABELS], LABELS, weights, RADIUS, max_norm=1.0, weight_decay=1e-3)
    assert found["C3"] < 1e-14
    assert found["C3r"] == pytest.approx(0.2)
    assert found["C3wd"] == pytest.approx(1 - 0.8 / optimal_weight_norm(RADIUS, 1e-3, 4))


def test_opposite_weights_are_as_far_as_can_be_from_c3():
    assert conditions_ce(VERTICES[LABELS], LABELS, -VERTICES, RADIUS)["C3"] == 1
    assert conditions_ce(VERTICES[LABELS], LABELS, 0 * VERTICES, RADIUS)["C3"] == 1


def test_unequal_weight_norms_break_c3():
    weights = VERTICES * np.array([1.0, 1.0, 1.0, 2.0])[:, None]
    product, size = np.vdot(weights, VERTICES), np.vdot(VERTICES, VERTICES)
    expected = np.linalg.norm(weights - product / size * VERTICES) / np.linalg.norm(weights)
    assert conditions_ce(VERTICES[LABELS], LABELS, weights, RADIUS)["C3"] == pytest.approx(expected)


@pytest.mark.parametrize("radius", [1e-299, 1e299])
def test_extreme_radii(radius):
    vertices = regular_simplex(4, 6, radius)
    found = conditions_ce(vertices[LABELS], LABELS, vertices, radius, max_norm=radius)
    assert max(found.values()) < 1e-14


def test_collapsed_representations_are_far_and_finite():
    found = conditions_ce(np.zeros((12, 6)), LABELS, VERTICES, RADIUS)
    assert found == {"C1": 0.0, "C2": 1.0, "C3": 1.0}


def test_refuses():
    with pytest.raises(ValueError, match="weights must have shape"):
        conditions_ce(VERTICES[LABELS], LABELS, VERTICES[:3], RADIUS)
    with pytest.raises(ValueError, match="radius must be greater than 0"):
        conditions_sc(VERTICES[LABELS], LABELS, 0.0)
    with pytest.raises(ValueError, match="largest norm of a row of W must be greater than 0"):
        conditions_ce(VERTICES[LABELS], LABELS, VERTICES, RADIUS, max_norm=-1.0)
