"""Angular similarity, Eq. 7."""

import numpy as np
import pytest

from simplexlab.geometry import (
    ORTHOGONAL_SIMILARITY,
    angular_similarity,
    distance_from_optimum,
    largest_deviation,
    regular_simplex,
    simplex_similarity,
)
from simplexlab.geometry.similarity import pairwise_similarity


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


def test_the_largest_deviation_sees_what_the_mean_hides():
    pairs = np.kron(np.eye(5), np.array([[1.0], [-1.0]]))  # five antipodal pairs
    cosines = (pairs @ pairs.T)[np.triu_indices(10, 1)]
    assert cosines.mean() == pytest.approx(-1 / 9)  # that of ten vertices of a simplex
    similarities = pairwise_similarity(pairs)
    assert largest_deviation(similarities, simplex_similarity(10)) == pytest.approx(simplex_similarity(10))
    assert largest_deviation([similarities.min(), similarities.max()], simplex_similarity(10)) == largest_deviation(
        similarities, simplex_similarity(10)
    )


def test_distance_from_the_optimum_is_a_share():
    for classes in (2, 3, 10, 100):
        optimum = simplex_similarity(classes)
        assert distance_from_optimum(pairwise_similarity(regular_simplex(classes, classes)), optimum) == pytest.approx(
            0, abs=1e-7
        )
        assert distance_from_optimum(np.ones(classes), optimum) == 1
        assert distance_from_optimum([0.0, optimum], optimum) == pytest.approx(min(optimum / (1 - optimum), 1))
    assert distance_from_optimum([0.5, 0.5], simplex_similarity(10)) == pytest.approx(0.0662, abs=1e-4)
