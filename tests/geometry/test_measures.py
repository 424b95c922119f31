"""Statistics of a configuration against their definitions, written out point by point."""

import json
import tracemalloc

import numpy as np
import pytest
from scipy.stats import ortho_group

from simplexlab import geometry
from simplexlab.geometry import measures, optimum, orthogonal_frame, regular_simplex, statistics


def configuration(num_classes=4, dimension=6, num_points=60, seed=0):
    """Unbalanced classes with an offset, in no order of labels, and weights."""
    generator = np.random.default_rng(seed)
    labels = generator.permutation(
        np.concatenate([np.arange(num_classes), generator.integers(0, num_classes, num_points - num_classes)])
    )
    means = 2 + generator.standard_normal((num_classes, dimension))
    points = means[labels] + 0.5 * generator.standard_normal((num_points, dimension))
    return points, labels, generator.standard_normal((num_classes, dimension))


def gamma(x, y):
    cosine = x @ y / np.linalg.norm(x) / np.linalg.norm(y)
    return 1 - np.arccos(np.clip(cosine, -1, 1)) / np.pi


@pytest.mark.parametrize(("num_classes", "dimension"), [(2, 1), (2, 5), (4, 6), (7, 3)])
def test_every_statistic_equals_its_definition(num_classes, dimension):
    points, labels, weights = configuration(num_classes, dimension)
    found = statistics(points, labels, weights, block=7)
    means = np.array([points[labels == label].mean(axis=0) for label in range(num_classes)])
    np.testing.assert_allclose(found.class_means, means, rtol=1e-13)

    pairs = [(i, j) for i in range(num_classes) for j in range(i)]
    between = [gamma(means[i], means[j]) for i, j in pairs]
    assert found.class_mean_similarity.mean == pytest.approx(np.mean(between), abs=1e-12)
    assert found.class_mean_similarity.std == pytest.approx(np.std(between), abs=1e-7)
    weight = [gamma(weights[i], weights[j]) for i, j in pairs]
    assert found.weight_similarity.maximum == pytest.approx(max(weight), abs=1e-7)
    within = np.array([gamma(point, means[label]) for point, label in zip(points, labels, strict=True)])
    assert found.within_class_similarity.q05 == pytest.approx(np.quantile(within, 0.05), abs=1e-7)
    assert found.within_class_similarity.minimum == pytest.approx(within.min(), abs=1e-7)
    assert found.within_class_similarity.histogram.sum() == len(points)

    centred = means - means.mean(axis=0)
    residuals = points - means[labels]
    covariance_within = residuals.T @ residuals / len(points)
    covariance_between = centred.T @ centred / num_classes
    nc1 = np.trace(covariance_within @ np.linalg.pinv(covariance_between, rcond=1e-12)) / num_classes
    assert found.nc1 == pytest.approx(nc1, rel=1e-9)
    product = centred @ centred.T
    target = (np.eye(num_classes) - 1 / num_classes) / np.sqrt(num_classes - 1)
    assert found.nc2 == pytest.approx(np.linalg.norm(product / np.linalg.norm(product) - target), abs=1e-12)
    nc3 = np.linalg.norm(weights / np.linalg.norm(weights) - centred / np.linalg.norm(centred))
    assert found.nc3 == pytest.approx(nc3, abs=1e-12)
    nearest = np.argmin(np.linalg.norm(points[:, None] - means, axis=2), axis=1)
    assert found.nc4 == np.mean(np.argmax(points @ weights.T, axis=1) != nearest)

    units = points / np.linalg.norm(points, axis=1, keepdims=True)
    distances = np.sum((units[:, None] - units[None]) ** 2, axis=2)
    positive = (labels[:, None] == labels) & ~np.eye(len(points), dtype=bool)
    assert found.alignment == pytest.approx(distances[positive].mean(), abs=1e-12)
    assert found.uniformity == pytest.approx(np.log(np.exp(-2 * distances).mean()), abs=1e-12)
    assert found.uniformity_points == len(points)

    norms = np.linalg.norm(points, axis=1)
    expected = {"mean": norms.mean(), "rms": np.sqrt(np.mean(norms**2)), "minimum": norms.min(), "maximum": norms.max()}
    assert found.norms == pytest.approx(expected)
    counts = np.bincount(labels)
    np.testing.assert_array_equal(found.class_counts, counts)
    assert found.imbalance == pytest.approx(counts.max() / counts.min() - 1)
    np.testing.assert_allclose(found.gram, _cosines(means), atol=1e-12)
    np.testing.assert_allclose(found.centred_gram, _cosines(centred), atol=1e-12)


def _cosines(points):
    norms = np.linalg.norm(points, axis=1)
    return points @ points.T / np.outer(norms, norms)


@pytest.mark.parametrize("num_classes", [2, 3, 10, 100])
def test_the_simplex_takes_every_optimal_value(num_classes):
    vertices = regular_simplex(num_classes, 128, 3.0) @ ortho_group.rvs(128, random_state=0)
    labels = np.repeat(np.arange(num_classes), 5)
    found = statistics(vertices[labels], labels, 0.1 * vertices)
    _assert_at_optimum(found, optimum(num_classes))
    assert found.simplex_deviation.largest < 1e-13
    assert found.imbalance == 0


@pytest.mark.parametrize("num_classes", [2, 3, 10, 100])
def test_the_orthogonal_frame_takes_every_optimal_value(num_classes):
    frame = orthogonal_frame(num_classes, 128, 3.0)
    labels = np.repeat(np.arange(num_classes), 5)
    found = statistics(frame[labels], labels, frame - frame.mean(axis=0))
    _assert_at_optimum(found, optimum(num_classes, "nonnegative"))
    assert found.gram[0, 1] == pytest.approx(0, abs=1e-15)
    assert found.centred_gram[0, 1] == pytest.approx(-1 / (num_classes - 1))


def _assert_at_optimum(found, optimal):
    record = found.to_dict()
    for name, value in optimal.items():
        numbers = record[name]
        if isinstance(numbers, dict):
            assert numbers.pop("std") < 1e-8
            for number in numbers.values():
                assert number == pytest.approx(value, abs=1e-8)  # arccos near −1 keeps half of the digits
        else:
            assert numbers == pytest.approx(value, abs=1e-12)


def test_optimal_values_are_those_of_the_formulas():
    assert optimum(10)["uniformity"] == pytest.approx(np.log(0.1 + 0.9 * np.exp(-40 / 9)))
    assert optimum(10, "nonnegative")["uniformity"] == pytest.approx(np.log(0.1 + 0.9 * np.exp(-4)))
    assert optimum(10, "nonnegative")["class_mean_similarity"] == 0.5


def test_scale_rotation_order_and_blocks_do_not_matter():
    points, labels, weights = configuration()
    reference = statistics(points, labels, weights).to_dict()
    rotation = ortho_group.rvs(points.shape[1], random_state=3)
    order = np.random.default_rng(1).permutation(len(points))
    moved = statistics(1e120 * (points @ rotation)[order], labels[order], weights @ rotation, block=11).to_dict()
    for name in ("nc1", "nc2", "nc3", "nc4", "alignment", "uniformity", "within_class_similarity", "simplex_deviation"):
        assert moved[name] == pytest.approx(reference[name], rel=1e-9), name
    assert moved["norms"]["rms"] == pytest.approx(1e120 * reference["norms"]["rms"])


def test_float32_is_measured_in_float64():
    points, labels, weights = configuration()
    single = points.astype(np.float32)
    assert statistics(single, labels, weights).to_dict() == statistics(single.astype(float), labels, weights).to_dict()


def test_memory_stays_below_that_of_the_representations():
    generator = np.random.default_rng(0)
    points = generator.standard_normal((60_000, 128), dtype=np.float32)
    labels = np.arange(60_000) % 10
    tracemalloc.start()
    statistics(points, labels, generator.standard_normal((10, 128)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < points.nbytes


def test_uniformity_of_a_sample_is_exact_at_collapse(monkeypatch):
    monkeypatch.setattr(measures, "UNIFORMITY_POINTS", 200)
    labels = np.arange(3000) % 6
    found = statistics(regular_simplex(6, 5)[labels], labels)
    assert found.uniformity_points <= 200
    assert found.uniformity == pytest.approx(optimum(6)["uniformity"], abs=1e-12)


def test_uniformity_of_a_sample_is_near_that_of_all_points(monkeypatch):
    points, labels, _ = configuration(num_classes=300, dimension=16, num_points=3000)
    monkeypatch.setattr(measures, "UNIFORMITY_POINTS", 3000)
    exact = statistics(points, labels)
    monkeypatch.setattr(measures, "UNIFORMITY_POINTS", 1000)
    sampled = statistics(points, labels)
    assert exact.uniformity_points == 3000
    assert sampled.uniformity_points < 1001
    assert sampled.uniformity == pytest.approx(exact.uniformity, abs=0.02)
    assert sampled.uniformity == statistics(points, labels).uniformity


def test_dead_representations_give_finite_numbers():
    points = np.array([[0.0, 0.0], [0.0, 0.0], [1.0, 0.0], [0.0, 2.0]])
    found = statistics(points, [0, 0, 1, 1])
    assert found.within_class_similarity.minimum == 0.5
    everything_dead = statistics(np.zeros((4, 2)), [0, 0, 1, 1], np.zeros((2, 2)))
    assert everything_dead.nc1 is None
    assert everything_dead.simplex_deviation is None
    assert everything_dead.nc2 == pytest.approx(1)
    assert everything_dead.uniformity == 0
    json.dumps([found.to_dict(), everything_dead.to_dict()], allow_nan=False)


def test_single_points_have_no_alignment():
    found = statistics(np.eye(3), [0, 1, 2])
    assert found.alignment is None
    assert found.nc1 == pytest.approx(0, abs=1e-30)
    assert found.weight_similarity is None
    assert found.nc3 is None
    assert found.nc4 is None


def test_record_is_plain_json_with_quantiles():
    points, labels, weights = configuration()
    record = json.loads(json.dumps(statistics(points, labels, weights).to_dict(), allow_nan=False))
    quantiles = ["q05", "q25", "q50", "q75", "q95"]
    assert list(record["within_class_similarity"]) == ["mean", "std", "minimum", *quantiles, "maximum"]


@pytest.mark.parametrize(
    ("points", "labels", "weights", "message"),
    [
        (np.ones(4), [0, 0, 1, 1], None, "must be a matrix"),
        (np.ones((4, 2)), [0, 1], None, "one number for each of 4 points"),
        (np.ones((4, 2)), [1, 1, 2, 2], None, "no point has label 0"),
        (np.ones((4, 2)), [0, 0, 2, 2], None, "no point has label 1"),
        (np.ones((4, 2)), [-1, 0, 0, 1], None, "got -1"),
        (np.ones((4, 2)), [0, 0, 0, 0], None, "single class"),
        (np.ones((4, 2)), [0, 0, 1, 10**9], None, "without a gap"),
        (np.ones((4, 2)), [0.5, 0, 1, 1], None, "whole numbers"),
        (np.ones((4, 2)), ["a", "b", "a", "b"], None, "whole numbers"),
        ([[np.nan], [1.0], [2.0], [3.0]], [0, 0, 1, 1], None, "NaN"),
        ([[np.inf], [1.0], [2.0], [3.0]], [0, 0, 1, 1], None, "finite"),
        (np.ones((4, 2)), [0, 0, 1, 1], np.ones((3, 2)), r"shape \(2, 2\)"),
        (np.ones((4, 2)), [0, 0, 1, 1], [[1, np.nan], [0, 0]], "weights must be finite"),
        (np.ones((4, 2), dtype=complex), [0, 0, 1, 1], None, "real numbers"),
        (np.ones((0, 2)), [], None, "must be a matrix"),
        (np.full((4, 2), 1e308), [0, 0, 1, 1], None, r"norms of at most 1e\+300; they hold 1e\+308"),
    ],
)
def test_refuses(points, labels, weights, message):
    with pytest.raises(ValueError, match=message):
        statistics(points, labels, weights)


def test_a_class_that_should_be_there_and_is_absent():
    with pytest.raises(ValueError, match="no point has label 2"):
        statistics(np.eye(4), [0, 0, 1, 1], num_classes=3)
    with pytest.raises(ValueError, match=r"0 … 1, got 0 … 2"):
        statistics(np.eye(4), [0, 2, 1, 1], num_classes=2)


def test_class_means():
    points, labels, _ = configuration()
    means = geometry.class_means(points.astype(np.float32), labels)
    assert means.dtype == np.float64
    np.testing.assert_allclose(means, [points[labels == label].mean(axis=0) for label in range(4)], rtol=1e-6)
    np.testing.assert_allclose(geometry.class_means(1e200 * points, labels), 1e200 * means, rtol=1e-6)


def test_imbalance():
    assert geometry.imbalance([5, 5, 5]) == 0
    assert geometry.imbalance([4, 5, 6]) == 0.5
