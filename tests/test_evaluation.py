"""The evaluation against closed forms: ideal configurations reach their bound, others stay above it."""

import dataclasses
import math
import sys

import numpy as np
import pytest

from simplexlab import geometry, objectives, theory
from simplexlab.data import corrupt_labels
from simplexlab.evaluation import (
    MEMORISATION,
    Criterion,
    Representations,
    TimeToFit,
    error_rate,
    evaluate,
    import_probe,
    linear_probe,
    memorisation,
    numbers,
    sample_rows,
    with_probe,
)

LABELS = np.arange(120) % 4


def objective(loss, **changes):
    settings = {"batch_size": 24, "radius": math.sqrt(10), "nonnegative": False, "policy": "head"} | changes
    return Criterion(objectives.get(loss), **settings)


def collapsed(points):
    return Representations(points[LABELS], LABELS)


def noisy(generator, radius):
    points = generator.normal(size=(len(LABELS), 6)) + 2 * geometry.regular_simplex(4, 6)[LABELS]
    return Representations(radius * points / np.linalg.norm(points, axis=1, keepdims=True), LABELS)


def test_cross_entropy_at_the_simplex_reaches_theorem_1():
    simplex = geometry.regular_simplex(4, 5, 2.0)
    record = evaluate(collapsed(simplex), None, objective("ce"), 1.5 * simplex).record
    assert record["bound"] == pytest.approx(theory.ce_bound_frobenius(4, 2.0, 6.0), rel=1e-12)
    assert record["excess"] == pytest.approx(0, abs=1e-12)
    assert record["bound_is_exact"]
    assert record["train_error"] == 0
    assert max(record["nc1"], record["nc2"], record["nc3"], record["nc4"]) < 1e-7


def test_contrastive_loss_at_the_simplex_has_no_excess_in_any_batch():
    record = evaluate(
        collapsed(geometry.regular_simplex(4, 5, math.sqrt(10))), None, objective("sc", policy="class-means")
    ).record
    assert record["excess"] == pytest.approx(0, abs=1e-9)
    assert record["excess_standard_error"] == pytest.approx(0, abs=1e-9)
    assert record["bound"] == pytest.approx(theory.sc_bound(4, 24, temperature=0.1, sampling="iid"))
    assert record["weight_similarity"] is None


def test_the_bound_of_a_relu_encoder_is_the_frame_and_its_cost_is_told():
    frame = geometry.orthogonal_frame(4, 5, math.sqrt(10))
    record = evaluate(collapsed(frame), None, objective("sc", policy="class-means", nonnegative=True)).record
    assert record["bound"] == pytest.approx(
        theory.sc_bound(4, 24, temperature=0.1, sampling="iid", features="nonnegative"), rel=1e-12
    )
    assert record["gap_architecture"] == pytest.approx(record["bound"] - record["free_bound"])
    assert record["excess"] == record["gap_optimisation"] == pytest.approx(0, abs=1e-9)
    assert record["excess_standard_error"] == pytest.approx(0, abs=1e-9)  # batch by batch the frame takes the bound
    assert record["optimum_name"] == "orthogonal frame"
    centred = frame - frame.mean(axis=0)
    record = evaluate(collapsed(frame), None, objective("ce", nonnegative=True), centred).record
    assert record["excess"] == pytest.approx(0, abs=1e-9)
    assert record["gap_architecture"] > 0
    assert record["bound_is_exact"]


def test_a_fixed_head_has_its_own_floor_under_a_relu():
    rows = 1.5 * geometry.regular_simplex(4, 6)
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(6, 6)))[0]
    aligned = np.zeros((4, 6))
    aligned[:, :4] = 1.5 * math.sqrt(4 / 3) * (np.eye(4) - 1 / 4)
    frame = collapsed(geometry.orthogonal_frame(4, 6, 2.0))
    chosen = objective("ce-fix", nonnegative=True)
    found = {
        name: evaluate(frame, None, chosen, head).record
        for name, head in {"rotated": rows @ rotation, "aligned": aligned}.items()
    }
    as_frame = theory.ce_bound_frobenius(4, 2.0, np.linalg.norm(rows), features="nonnegative")
    assert found["aligned"]["bound"] == pytest.approx(as_frame, rel=1e-9)
    assert found["aligned"]["excess"] == pytest.approx(0, abs=1e-9)
    assert found["rotated"]["bound"] > as_frame + 1e-3
    for record in found.values():
        assert record["free_bound"] == pytest.approx(theory.ce_bound_frobenius(4, 2.0, np.linalg.norm(rows)), rel=1e-9)
        assert record["bound_certificate"] <= record["bound"]
        assert record["bound_is_exact"]


UNBALANCED = np.repeat(np.arange(4), [70, 10, 10, 10])


def test_the_loss_of_unbalanced_labels_is_that_of_their_batches():
    generator = np.random.default_rng(3)
    points = generator.normal(size=(100, 6)) + 2 * geometry.regular_simplex(4, 6)[UNBALANCED]
    points *= math.sqrt(2) / np.linalg.norm(points, axis=1, keepdims=True)
    chosen = objective("sc", radius=math.sqrt(2), policy="class-means", batch_size=16)
    record = evaluate(Representations(points, UNBALANCED), None, chosen).record
    losses = theory.sc_loss_batches(points, UNBALANCED, generator.integers(0, 100, size=(20_000, 16)))
    error = np.hypot(record["excess_standard_error"], losses.std() / math.sqrt(len(losses)))
    assert abs(record["loss"] - losses.mean()) < 4 * error
    assert record["bound_is_exact"]
    assert record["excess"] > 0


@pytest.mark.parametrize("nonnegative", [False, True])
@pytest.mark.parametrize("loss", ["ce", "ce-fix", "sc"])
def test_the_optimum_of_unbalanced_labels_has_no_excess_and_is_shown(loss, nonnegative):
    counts, features = np.array([70, 10, 10, 10]), ("free", "nonnegative")[nonnegative]
    head = None
    if loss == "sc":
        floor = theory.sc_floor(counts / 100, 24, radius=1.0, dimension=6, features=features)
    elif loss == "ce":
        floor = theory.ce_floor(counts, 1.0, 3.0, dimension=6, features=features)
        head = floor.weights
    else:
        head = 1.5 * geometry.regular_simplex(4, 6)
        floor = theory.fixed_head_floor(head, 1.0, class_probabilities=counts / 100, features=features)
    width = floor.points.shape[1]
    points = np.pad(floor.points, ((0, 0), (0, 6 - width)))[UNBALANCED]
    head = None if head is None else np.pad(head, ((0, 0), (0, 6 - head.shape[1])))
    chosen = objective(loss, radius=1.0, policy="class-means", nonnegative=nonnegative)
    evaluation = evaluate(Representations(points, UNBALANCED), None, chosen, head)
    record = evaluation.record
    assert record["bound"] == pytest.approx(floor.value, rel=1e-7)
    assert record["bound_certificate"] <= record["bound"]
    assert record["bound_is_exact"]
    assert record["excess"] == pytest.approx(0, abs=1e-6)
    # The angles are those of this optimum, not of the simplex.
    assert record["similarity_deviation"] == pytest.approx(0, abs=1e-6)
    assert record["optimum"]["class_mean_similarity"] == pytest.approx(
        record["class_mean_similarity"]["mean"], abs=1e-6
    )
    shown = evaluation.arrays["optimum_means"]
    np.testing.assert_allclose(shown @ shown.T, floor.points @ floor.points.T, atol=1e-5)


def test_balanced_batches_weigh_the_classes_alike_where_a_head_is_trained():
    generator = np.random.default_rng(3)
    points = generator.normal(size=(100, 6)) + 2 * geometry.regular_simplex(4, 6)[UNBALANCED]
    weights = generator.normal(size=(4, 6))
    chosen = objective("ce", batch_size=12, per_class=3)
    record = evaluate(Representations(points, UNBALANCED), None, chosen, weights).record
    by_class = [
        theory.ce_loss(points[label == UNBALANCED], np.full(np.sum(label == UNBALANCED), label), weights)
        for label in range(4)
    ]
    assert record["loss"] == pytest.approx(np.mean(by_class), rel=1e-12)
    norm = np.linalg.norm(points, axis=1).max()
    assert record["bound"] == pytest.approx(theory.ce_bound_frobenius(4, norm, np.linalg.norm(weights)), rel=1e-9)
    assert record["excess"] == pytest.approx(record["loss"] - record["bound"])
    assert record["optimum_name"] == "simplex"


def test_paired_excess_estimates_the_loss_over_all_batches():
    generator = np.random.default_rng(0)
    points = noisy(generator, math.sqrt(2))
    record = evaluate(points, None, objective("sc", radius=math.sqrt(2), policy="class-means")).record
    indices = generator.integers(0, len(LABELS), size=(20_000, 24))
    losses = theory.sc_loss_batches(points.values, LABELS, indices)
    error = np.hypot(record["excess_standard_error"], losses.std() / math.sqrt(len(losses)))
    assert abs(record["loss"] - losses.mean()) < 4 * error
    raw_error = losses.std() / math.sqrt(128)
    assert record["excess_standard_error"] < raw_error


@pytest.mark.parametrize("loss", ["ce", "sc"])
def test_no_configuration_beats_its_bound(loss):
    generator = np.random.default_rng(1)
    for _ in range(20):
        radius = generator.uniform(0.5, 3)
        chosen = objective(loss, radius=radius, policy="class-means")
        weights = None if loss == "sc" else generator.normal(size=(4, 6))
        record = evaluate(noisy(generator, radius), None, chosen, weights).record
        assert record["excess"] > 0


def test_errors_by_hand():
    points = Representations(np.array([[1.0, 0], [0.9, 0.1], [0, 1.0], [1.0, 0.2]]), np.array([0, 0, 1, 1]))
    assert error_rate(points, np.eye(2)) == 0.25
    np.testing.assert_allclose(geometry.class_means(points.values, points.labels), [[0.95, 0.05], [0.5, 0.6]])


def test_representations_of_unequal_norm_mark_the_contrastive_bound_as_approximate():
    points = geometry.regular_simplex(4, 5, 1.0)[LABELS] * np.linspace(0.5, 1.5, len(LABELS))[:, None]
    record = evaluate(Representations(points, LABELS), None, objective("sc", policy="class-means")).record
    assert not record["bound_is_exact"]


def test_an_import_ahead_that_fails_is_told_by_the_probe_alone(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.linear_model", None)
    import_probe()
    with pytest.raises(ImportError):
        linear_probe(np.eye(2), np.arange(2))


def test_linear_probe_is_at_its_minimum():
    generator = np.random.default_rng(2)
    points = noisy(generator, 2.0)
    rows, converged = linear_probe(points.values, LABELS)
    assert converged
    scale = 2.0  # every representation has this norm

    def objective_value(weights):
        return len(LABELS) * theory.ce_loss(points.values, LABELS, weights) + np.sum((weights * scale) ** 2) / 2

    least = objective_value(rows)
    for _ in range(20):
        assert objective_value(rows + 1e-3 * generator.normal(size=rows.shape)) > least
    two = LABELS < 2
    rows, _ = linear_probe(points.values[two], LABELS[two])
    assert rows.shape == (2, 6)
    assert error_rate(Representations(points.values[two], LABELS[two]), rows) < 0.2


def test_time_to_fit_lies_between_two_evaluations():
    fit = TimeToFit(tolerance=0.01)
    assert not fit.update(0, 0.9)
    assert not fit.update(10, 0.011)
    assert fit.update(20, 0.01)
    assert fit.update(30, 0.5)
    assert (fit.lower, fit.iteration) == (10, 20)
    never = TimeToFit(tolerance=0.0)
    never.update(10, 0.1)
    assert (never.lower, never.iteration) == (10, None)


def test_the_sample_is_even_over_classes_and_fixed():
    labels = np.array([2, 2, 2, 2, 0, 1, 1, 1])
    assert sorted(labels[sample_rows(labels, 5)]) == [0, 1, 1, 2, 2]
    assert len(sample_rows(labels, 100)) == 8


@pytest.mark.parametrize("loss", ["ce", "ce-fix", "sc"])
def test_a_record_is_made_of_python_s_own_types(loss):
    points = noisy(np.random.default_rng(0), math.sqrt(10))
    weights = None if loss == "sc" else np.random.default_rng(1).normal(size=(4, 6)).astype(np.float32)
    policy = "class-means" if loss == "sc" else "head"
    record = evaluate(points, points, objective(loss, policy=policy, nonnegative=True), weights, probe=True).record

    def leaves(value):
        return [leaf for part in value.values() for leaf in leaves(part)] if isinstance(value, dict) else [value]

    assert type(record.pop("optimum_name")) is str
    assert {type(leaf) for leaf in leaves(record)} <= {int, float, bool, type(None)}
    assert all(type(value) in (int, float) for value in numbers(record).values())


def test_numbers_of_a_record_are_flat_and_no_truth_values():
    record = {
        "nc4": np.float64(0.5),
        "count": np.int64(3),
        "exact": True,
        "none": None,
        "gamma": {"mean": 0.5, "no": None},
    }
    found = numbers(record)
    assert found == {"nc4": 0.5, "count": 3, "gamma_mean": 0.5}
    assert [type(value) for value in found.values()] == [float, int, float]


def test_a_probe_that_is_added_is_the_probe_that_is_asked_for():
    points = noisy(np.random.default_rng(3), math.sqrt(10))
    for test in (points, None):
        evaluation = evaluate(points, test, objective("sc", policy="class-means"))
        asked = evaluate(points, test, objective("sc", policy="class-means"), probe=True)
        assert with_probe(evaluation, points, test).record == asked.record
        assert "train_error_probe" not in evaluation.record


def test_memorisation_by_hand():
    given = np.array([1, 1, 1, 2, 0, 1, 2, 2])
    clean = np.array([0, 0, 0, 0, 0, 1, 2, 2])
    predicted = np.array([1, 1, 0, 1, 0, 1, 2, 0])
    assert memorisation(predicted, given, clean) == {
        "flipped_as_given": 0.5,
        "flipped_as_true": 0.25,
        "flipped_as_other": 0.25,
        "clean_fitted": 0.75,
    }


def test_memorisation_without_wrong_or_without_right_labels():
    labels = np.array([0, 1])
    assert memorisation(labels, labels, labels) == dict.fromkeys(MEMORISATION[:3]) | {"clean_fitted": 1.0}
    assert memorisation(labels, labels, 1 - labels)["clean_fitted"] is None
    assert memorisation(labels, labels, 1 - labels)["flipped_as_given"] == 1.0


@pytest.mark.parametrize("policy", ["head", "class-means", "probe"])
def test_what_is_memorised_is_judged_as_the_fit_is(policy):
    generator = np.random.default_rng(0)
    clean = np.repeat(np.arange(3), 40)
    given, flipped = corrupt_labels(clean, 0.3, seed=1)
    values = geometry.regular_simplex(3, 4)[clean] + generator.normal(0, 0.1, (120, 4))
    weights = geometry.regular_simplex(3, 4) + generator.normal(0, 0.4, (3, 4))
    criterion = objective("ce", policy=policy)
    record = evaluate(Representations(values, given, clean), None, criterion, weights).record
    assert set(MEMORISATION) <= set(record)
    wrong = len(flipped)
    assert record["flipped_as_given"] + record["flipped_as_true"] + record["flipped_as_other"] == pytest.approx(1)
    missed = wrong * (1 - record["flipped_as_given"]) + (120 - wrong) * (1 - record["clean_fitted"])
    assert missed == pytest.approx(120 * record["train_error"])
    assert not set(MEMORISATION) & set(evaluate(Representations(values, given), None, criterion, weights).record)


@pytest.mark.parametrize("weight", [0.4, 4.0])
def test_alignment_and_uniformity_at_its_optimum_spread_and_collapsed(weight):
    """Points with the inner products of the optimum; below the threshold classes do not collapse."""
    labels = np.repeat(np.arange(3), 4)
    bound, within = theory.alignment_uniformity_bound(3, 4, weight)
    between = -(1 + 3 * within) / 8
    gram = np.where(labels[:, None] == labels, within, between) + (1 - within) * np.eye(12)
    values, vectors = np.linalg.eigh(gram)
    points = vectors * np.sqrt(np.maximum(values, 0))
    criterion = objective("align-uniform", policy="class-means", radius=None)
    criterion = dataclasses.replace(criterion, options={"weight": weight, "uniformity_scale": 2.0})
    record = evaluate(Representations(points, labels), None, criterion).record
    assert record["excess"] == pytest.approx(0, abs=1e-9)
    assert record["bound"] == pytest.approx(bound, rel=1e-12)
    assert record["bound_is_exact"]
    optimum = record["optimum"]
    assert record["within_class_similarity"]["mean"] == pytest.approx(optimum["within_class_similarity"], abs=1e-6)
    assert record["class_mean_similarity"]["mean"] == pytest.approx(optimum["class_mean_similarity"], abs=1e-6)
    spread = weight < theory.collapse_threshold(3, 4)
    assert (optimum["within_class_similarity"] < 0.9) == spread
    for key in ("nc1", "cdnv", "alignment", "uniformity", "effective_rank"):  # which presume that classes collapse
        assert (optimum[key] is None) == spread

    flat = np.random.default_rng(0).standard_normal((12, 3))
    flat /= np.linalg.norm(flat, axis=1, keepdims=True)
    record = evaluate(Representations(flat, labels), None, criterion).record
    assert record["excess"] > 0
    assert record["bound_is_exact"] != spread
    assert ("bound_best_known" in record) == spread
