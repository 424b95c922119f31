"""Toy runs: the bound is reached, and the run folder is one like any other."""

import json

import numpy as np
import pytest

from simplexlab import objectives, theory
from simplexlab.errors import UsageError
from simplexlab.evaluation import Criterion, Representations, evaluate
from simplexlab.runs import find_run, list_geometry, read_geometry, read_labels, read_metrics, read_run
from simplexlab.toy import Toy, run_toy
from simplexlab.toy.evaluation import evaluate_toy
from simplexlab.toy.ideal import IdealToy, run_ideal
from simplexlab.training import runtime


@pytest.mark.parametrize("loss", ["sc", "ce"])
def test_the_settings_of_figure_1_end_within_a_thousandth_of_the_bound(tmp_path, loss):
    result = run_toy(Toy(loss=loss, run_dir=str(tmp_path), evaluate_every=100))
    assert result["state"] == "finished"
    assert -1e-9 <= result["excess"] < 1e-3
    assert result["final_loss"] - result["bound"] == result["excess"]
    assert result["simplex_deviation"]["inner_product"] < 0.01
    assert max(result["conditions"].values()) < 0.01
    assert result["bound_is_exact"]
    if loss == "ce":
        assert result["bound"] == pytest.approx(theory.ce_bound_weight_decay(3, 1.0, 0.01), rel=1e-12)
        assert result["weight_norm"] == pytest.approx(theory.optimal_weight_norm(1.0, 0.01, 3), rel=1e-4)
    else:
        assert result["bound"] == pytest.approx(float(theory.composition_value([100] * 3, 0.3**-0.5)), rel=1e-12)


def test_the_exact_objective_of_figure_6_reaches_theorem_2(tmp_path):
    result = run_toy(Toy(loss="sc", all_batches=True, run_dir=str(tmp_path)))
    assert result["bound"] == pytest.approx(12.120150, abs=5e-7)
    assert abs(result["excess"]) <= 1e-5
    frames = list_geometry(tmp_path / result["run"])
    assert frames == list(range(result["iterations"] + 1))


@pytest.fixture
def finished(tmp_path):
    """A short run of ce, its folder and what was reported while it ran."""
    reported = []
    toy = Toy(loss="ce", points_per_class=5, steps=12, evaluate_every=5, run_dir=str(tmp_path), name="toy", seed=3)
    return run_toy(toy, reported.append), tmp_path / "toy", reported


def test_the_run_folder_is_one_like_any_other(finished):
    result, folder, reported = finished
    run = read_run(find_run(folder))
    assert run.status.state == "finished"
    assert (run.status.iteration, run.status.total) == (12, 12)
    assert run.config["kind"] == "toy"
    assert run.config["command"].startswith("simplexlab toy ce --points-per-class 5")
    assert run.config["experiment"]["loss"] == "ce"
    assert run.result == json.loads(json.dumps(result))
    lines = read_metrics(folder)
    assert [line["iteration"] for line in lines] == [0, 5, 10, 12] == list_geometry(folder)
    assert lines == json.loads(json.dumps(reported))
    for line in lines:
        assert line["excess"] == pytest.approx(line["loss"] - line["bound"])
        assert line["excess"] > 0


def test_frames_and_metrics_carry_the_names_of_a_training_run(finished):
    _, folder, _ = finished
    frame, line = read_geometry(folder, 12), read_metrics(folder)[-1]
    assert frame["sample"].shape == (15, 2)  # every point
    trained = evaluate(
        Representations(frame["sample"], frame["sample_labels"]),
        None,
        Criterion(objectives.get("ce"), 3, nonnegative=False, policy="head"),
        frame["weights"],
    )
    assert set(frame) == set(trained.arrays)
    assert set(line) >= set(trained.record) - {"test_error_head", "test_error_class_means"}
    for name in ("class_mean_similarity", "nc1", "nc3", "train_error", "uniformity"):
        assert line[name] == pytest.approx(trained.record[name], rel=1e-4, abs=1e-6)


def test_batches_that_are_drawn_are_held_against_the_bound_of_their_law(tmp_path):
    toy = Toy(loss="sc", points_per_class=10, batch_size=12, steps=10, run_dir=str(tmp_path))
    result = run_toy(toy)
    assert result["bound"] == pytest.approx(theory.sc_bound(3, 12, temperature=0.3, sampling="iid"), rel=1e-12)
    assert result["excess"] > 2 * result["excess_standard_error"] > 0


@pytest.mark.parametrize(("loss", "dimension"), [("ce", 3), ("sc", 2)])
def test_five_classes_stay_above_a_bound_that_no_configuration_reaches(tmp_path, loss, dimension):
    toy = Toy(loss=loss, classes=5, dimension=dimension, points_per_class=10, run_dir=str(tmp_path), evaluate_every=500)
    result = run_toy(toy)
    assert not result["bound_is_exact"]
    assert result["excess"] > 1e-2
    assert result["conditions"]["C1"] < 1e-3  # collapsed nevertheless
    assert result["conditions"]["C2"] > 0.1


def test_an_interrupt_stops_the_run_and_keeps_what_was_recorded(tmp_path):
    def interrupt(record):
        if record["iteration"] == 10:
            raise KeyboardInterrupt

    result = run_toy(Toy(loss="sc", points_per_class=5, run_dir=str(tmp_path), name="toy"), interrupt)
    assert result["state"] == "stopped"
    run = read_run(tmp_path / "toy")
    assert (run.status.state, run.status.iteration) == ("stopped", 10)
    assert run.result["evaluated_at"] == 10


def test_too_many_batches_leave_no_folder(tmp_path):
    with pytest.raises(UsageError, match="multisets"):
        run_toy(Toy(loss="sc", all_batches=True, points_per_class=100, run_dir=str(tmp_path / "runs")))
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("run", [run_toy, run_ideal])
def test_a_name_that_cannot_be_is_told_before_tensorflow_starts(tmp_path, monkeypatch, run):
    monkeypatch.setattr(runtime, "start", lambda *_, **__: pytest.fail("TensorFlow starts"))
    make = Toy if run is run_toy else IdealToy
    loss = "ce" if run is run_toy else "triplet"
    (tmp_path / "taken" / "geometry").mkdir(parents=True)
    (tmp_path / "taken" / "config.json").touch()
    for name, told in (("a/b", "path separator"), ("taken", "taken")):
        with pytest.raises(UsageError, match=told):
            run(make(loss=loss, name=name, run_dir=str(tmp_path)))


def test_the_simplex_itself_has_no_excess():
    toy = Toy(loss="sc", classes=4, dimension=3, points_per_class=2, temperature=0.5).resolve()
    from simplexlab.geometry import regular_simplex
    from simplexlab.toy.configurations import Configuration, balanced_labels

    labels = balanced_labels(4, 2)
    points = regular_simplex(4, 3, toy.radius)[labels]
    record, arrays = evaluate_toy(toy, labels, Configuration(points))
    assert record["excess"] == pytest.approx(0, abs=1e-12)
    assert record["train_error"] == 0
    np.testing.assert_allclose(arrays["class_means"], points[::2], rtol=1e-6)


@pytest.mark.parametrize(("loss", "limit"), [("ce", 1e-9), ("sc", 1e-3)])
def test_unbalanced_points_find_the_optimum_of_the_program(tmp_path, loss, limit):
    result = run_toy(Toy(loss=loss, counts=(60, 30, 10), run_dir=str(tmp_path), evaluate_every=500))
    assert -1e-9 <= result["excess"] < limit
    assert result["bound_is_exact"]
    assert result["bound_certificate"] <= result["bound"]
    assert result["similarity_deviation"] < 0.03
    folder = find_run(result["run"], tmp_path)
    assert read_labels(folder)[0].tolist() == [0] * 60 + [1] * 30 + [2] * 10
    assert read_geometry(folder, 500)["optimum_means"].shape[0] == 3


def test_more_classes_than_dimensions_have_a_floor_and_a_best_known_value(tmp_path):
    result = run_toy(Toy(loss="ce", classes=4, run_dir=str(tmp_path), evaluate_every=500))
    assert not result["bound_is_exact"]
    assert result["bound"] < result["bound_best_known"]
    assert result["final_loss"] == pytest.approx(result["bound_best_known"], rel=1e-6)
