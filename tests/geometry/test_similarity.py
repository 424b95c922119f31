"""Angular similarity, Eq. 7."""

import numpy as np
import pytest

from simplexlab.geometry import ORTHOGONAL_SIMILARITY, angular_similarity, regular_simplex, simplex_similarity


def test_values_at_known_angles():
    x = [1.0, 0.0]
    others = [[2.0, 0.0], [1.0, 1.0], [0.0, 3.0], [-1.0, np.sqrt(3)], [-5.0, 0.0]]
    np.testing.assert_allclose(angular_similarity(x, others), [1, 0.75, 0.5, 1 / 3, 0], atol=1e-15)


def test_equals_the_formula_of_the_paper():
    x, y = np.random.default_rng(0).standard_normal((2, 50, 8))
    cosine = np.sum(x * y, axis=1) / np.linalg.norm(x, axis=1) / np.linalg.norm(y, axis=1)
    np.testing.assert_allclose(angular_similarity(x, y), 1 - np.arccos(cosine) / np.pi, atol=1e-14)


def test_small_angles_keep_their_digits():
    angle = 1e-10  # here cos(angle) is 1 in float64
    similarity = angular_similarity([1.0, 0.0], [np.cos(angle), np.sin(angle)])
    assert 1 - similarity == pytest.approx(angle / np.pi, rel=1e-5)


def test_zero_vectors_count_as_orthogonal():
    similarities = angular_similarity([[0.0, 0.0], [0.0, 0.0], [1.0, 2.0]], [[1.0, 0.0], [0.0, 0.0], [0.0, 0.0]])
    np.testing.assert_array_equal(similarities, ORTHOGONAL_SIMILARITY)


@pytest.mark.parametrize("scale", [1e-300, 1e-160, 1e160, 1e300])
def test_scale_does_not_matter(scale):
    assert angular_similarity([scale, 0.0], [scale, scale]) == pytest.approx(0.75)


def test_simplex_similarity():
    assert simplex_similarity(10) == pytest.approx(0.4646, abs=5e-5)
    assert simplex_similarity(100) == pytest.approx(0.4968, abs=5e-5)
    assert simplex_similarity(2) == 0
    vertices = regular_simplex(7, 6)
    assert angular_similarity(vertices[1], vertices[5]) == pytest.approx(simplex_similarity(7), abs=1e-15)
    with pytest.raises(ValueError, match="at least 2"):
        simplex_similarity(1)
