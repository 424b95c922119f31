"""supcon: its floor, its measured loss, and what an evaluation says of the head's output and of the encoder's."""

import math

import numpy as np
import pytest
from scipy.optimize import minimize

from simplexlab import geometry, objectives, theory
from simplexlab.evaluation import Criterion, Representations, evaluate, numbers
from simplexlab.objectives import Known
from simplexlab.runs.record import METRICS, PROJECTION, checked

SUPCON = objectives.get("supcon")
LABELS = np.arange(60) % 4


def known(options=None, classes=4, batch_size=16, **more):
    options = SUPCON.resolve(options or {})
    counts = np.full(classes, 15)
    return Known(counts, 200, options, batch_size, "free", SUPCON.radius(options), **{"views": 2} | more)


def test_its_defaults_are_those_of_its_authors():
    assert SUPCON.resolve({}) == {
        "temperature": 0.07,
        "base_temperature": 0.07,
        "head_width": 128,
        "supcon_form": "out",
    }
    assert SUPCON.views == 2


@pytest.mark.parametrize("form", ["out", "in"])
def test_the_floor_of_two_views_times_the_scale(form):
    options = {"temperature": 0.1, "base_temperature": 0.1, "supcon_form": form}
    assert SUPCON.floor(known(options, 10, 256)).value == pytest.approx(2014.133, abs=6e-4)
    scaled = SUPCON.floor(known(options | {"base_temperature": 0.05}, 10, 256))
    assert scaled.value == pytest.approx(2 * 2014.1332, abs=2e-3)
    assert scaled.certificate == pytest.approx(scaled.value)


@pytest.mark.parametrize("form", ["out", "in"])
def test_the_measured_loss_is_that_of_its_batches(form):
    there = known({"temperature": 0.5, "base_temperature": 0.2, "supcon_form": form})
    generator = np.random.default_rng(0)
    points = generator.normal(size=(60, 6)) + 2 * geometry.regular_simplex(4, 6)[LABELS]
    points *= math.sqrt(2) / np.linalg.norm(points, axis=1, keepdims=True)
    floor = SUPCON.floor(there)
    loss, excess, error = SUPCON.measure(points, LABELS, there, floor, generator)
    drawn = np.tile(generator.integers(0, 60, (20_000, 16)), 2)
    losses = 2.5 * theory.sc_loss_batches(points, LABELS, drawn, form=form)
    assert abs(loss - losses.mean()) < 4 * np.hypot(error, losses.std() / math.sqrt(len(losses)))
    assert excess == pytest.approx(loss - floor.value)
    assert excess > 0


@pytest.mark.parametrize("counts", [(3, 3, 3), (5, 2, 1)])
def test_free_points_reach_the_floor_of_the_form_in_and_none_goes_below(counts):
    """A batch of distinct points on the sphere, optimised by finite differences from several starts."""
    labels, radius = np.repeat(np.arange(3), counts), 1.2
    floor = theory.sc_floor_of_composition(counts, radius=radius)

    def loss(flat):
        points = flat.reshape(-1, 3)
        points = radius * points / np.linalg.norm(points, axis=1, keepdims=True)
        return theory.sc_loss_batches(points, labels, np.arange(len(labels))[None], form="in")[0]

    starts = np.random.default_rng(0).normal(size=(3, 3 * len(labels)))
    reached = [minimize(loss, start, method="L-BFGS-B", options={"maxfun": 20_000}).fun for start in starts]
    assert min(reached) == pytest.approx(floor.value, rel=1e-6)
    assert min(reached) >= floor.certificate - 1e-8


def evaluated(kept, seen, nonnegative=True, labels=LABELS):
    criterion = Criterion(SUPCON, 16, nonnegative, "class-means", SUPCON.resolve({}), views=2)
    return evaluate(Representations(kept, labels), Representations(kept, labels), criterion, projections=seen)


def test_what_the_loss_sees_stands_beside_what_is_kept():
    generator = np.random.default_rng(0)
    kept = np.abs(generator.normal(size=(60, 7)))
    seen = geometry.regular_simplex(4, 5, SUPCON.radius(SUPCON.resolve({})))[LABELS]
    evaluation = evaluated(kept, seen)
    record, projection = evaluation.record, evaluation.record["projection"]
    # The loss is at its floor: that of the head's output, which no ReLU ends.
    assert record["excess"] == pytest.approx(0, abs=1e-7)
    assert record["bound_is_exact"]
    assert "free_bound" not in record
    assert (projection["dimension"], projection["optimum_name"]) == (5, "simplex")
    assert projection["similarity_deviation"] == pytest.approx(0, abs=1e-7)
    # The encoder's points are anywhere, and it is they who are judged.
    plain = geometry.statistics(kept, LABELS).to_dict()
    for key in ("class_mean_similarity", "nc1", "effective_rank", "norms", "dimension"):
        assert record[key] == plain[key]
    assert record["optimum_name"] == "orthogonal frame"
    means = geometry.class_means(kept, LABELS)
    assert record["train_error"] == np.mean(np.argmax(kept @ means.T, axis=1) != LABELS) > 0
    np.testing.assert_array_equal(evaluation.classifier, means)
    np.testing.assert_allclose(evaluation.arrays["projection_class_means"], seen[:4], rtol=1e-6)
    assert numbers(record)["projection_class_mean_similarity_mean"] == projection["class_mean_similarity"]["mean"]


def test_unbalanced_labels_have_the_optimum_of_the_head():
    labels = np.repeat(np.arange(4), [45, 5, 5, 5])
    seen = geometry.regular_simplex(4, 5, SUPCON.radius(SUPCON.resolve({})))[labels]
    record = evaluated(seen, seen, nonnegative=False, labels=labels).record
    assert record["optimum_name"] == "simplex"
    assert record["projection"]["optimum_name"].startswith("optimum")


def test_the_record_owns_the_keys_of_a_projection():
    generator = np.random.default_rng(0)
    record = evaluated(*np.abs(generator.normal(size=(2, 60, 7)))).record
    line = record | {"iteration": 0, "seconds": 0.0}
    assert set(record["projection"]) - {"uniformity_points"} <= set(PROJECTION)
    assert checked(line, METRICS) == (line, [])
    broken = line | {"projection": record["projection"] | {"nc1": "small", "dimension": 0}}
    kept, wrong = checked(broken, METRICS)
    assert wrong == ["projection.dimension is 0, which must be at least 1", "projection.nc1 is text, not a number"]
    assert not {"nc1", "dimension"} & set(kept["projection"])
    assert checked(line | {"projection": 3}, METRICS)[1] == ["projection is 3, not an object"]
