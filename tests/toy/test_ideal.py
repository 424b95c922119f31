"""The toy of every objective: free points reach its floor, none goes below; the run folder is one like any other."""

import json
import shlex

import numpy as np
import pytest

from simplexlab import objectives, theory
from simplexlab.errors import UsageError
from simplexlab.runs import list_geometry, read_geometry, read_run
from simplexlab.toy.configurations import labels_of
from simplexlab.toy.ideal import IdealToy, evaluate_ideal, minimise_ideal, run_ideal

LEAVES_A_CLASS_OUT = {"mse"}  # in fewer than K dimensions, without a bias
COLLAPSING = {"align-uniform": {"weight": 3.0}}  # spread classes need more dimensions


def minimise(toy):
    """The resolved toy, the last configuration, and the loss of every one before it."""
    toy = toy.resolve()
    losses = []
    end = minimise_ideal(toy, labels_of(toy.class_counts), lambda iteration, configuration, loss: losses.append(loss))
    return toy, end, losses


@pytest.mark.parametrize(("classes", "dimension"), [(3, 2), (4, 3)])
@pytest.mark.parametrize("loss", objectives.names())
def test_free_points_reach_the_floor_and_none_goes_below(loss, classes, dimension):
    options = COLLAPSING.get(loss, {})
    classes = min(classes, dimension) if loss == "ce-orthonormal" else classes  # as many orthogonal directions
    points = objectives.get(loss).toy.get("points_per_class", 4)
    toy, end, losses = minimise(
        IdealToy(loss=loss, classes=classes, dimension=dimension, points_per_class=points, options=options)
    )
    record, _ = evaluate_ideal(toy, labels_of(toy.class_counts), end, losses[-1])
    assert record["bound_is_exact"]
    assert abs(record["excess"]) < 1e-6
    assert min(losses) > record["bound_certificate"] - 1e-9 * max(1, abs(record["bound"]))
    assert losses[0] > record["bound"] + 1e-3
    assert record["train_error"] == 0 or loss in LEAVES_A_CLASS_OUT


@pytest.mark.parametrize("share", [0.7, 1.3])
def test_alignment_and_uniformity_collapses_from_the_threshold_on(share):
    """Two classes of two points: three dimensions hold the optimum also where it is spread."""
    weight = share * theory.collapse_threshold(2, 2)
    toy, end, losses = minimise(
        IdealToy(loss="align-uniform", classes=2, points_per_class=2, dimension=3, options={"weight": weight})
    )
    bound, within = theory.alignment_uniformity_bound(2, 2, weight)
    assert losses[-1] == pytest.approx(bound, abs=1e-6)
    found = end.points[0] @ end.points[1]
    assert found == pytest.approx(within, abs=1e-3)
    assert (found > 1 - 1e-6) == (share > 1)
    record, _ = evaluate_ideal(toy, labels_of(toy.class_counts), end, losses[-1])
    assert record["bound_is_exact"]


@pytest.mark.parametrize(("classes", "dimension"), [(3, 2), (4, 3)])
def test_below_the_threshold_points_reach_the_least_value_known_in_so_few_dimensions(classes, dimension):
    """The floor needs N − 1 dimensions there."""
    shape = {"classes": classes, "dimension": dimension, "points_per_class": 5}
    toy, end, losses = minimise(IdealToy(loss="align-uniform", **shape, options={"weight": 1.0}))
    record, _ = evaluate_ideal(toy, labels_of(toy.class_counts), end, losses[-1])
    assert losses[-1] == pytest.approx(record["bound_best_known"], abs=1e-9)
    assert losses[-1] > record["bound_certificate"] + 0.5
    assert not record["bound_is_exact"]
    assert record["optimum"]["within_class_similarity"] is None


@pytest.mark.parametrize("loss", ["soft-nn", "n-pairs", "ce-fix"])
def test_classes_of_different_sizes_have_a_floor_of_their_own(loss):
    toy, end, losses = minimise(IdealToy(loss=loss, counts=(6, 4, 2)))
    record, _ = evaluate_ideal(toy, labels_of((6, 4, 2)), end, losses[-1])
    assert record["bound_is_exact"]
    assert abs(record["excess"]) < 1e-6


def test_the_run_folder_is_one_like_any_other(tmp_path):
    reported = []
    toy = IdealToy(loss="triplet", points_per_class=3, run_dir=str(tmp_path), options={"margin": 0.5})
    result = run_ideal(toy, reported.append)
    run = read_run(tmp_path / "toy-triplet-s0")
    assert run.status.state == "finished"
    assert run.config["kind"] == "toy"
    assert run.config["experiment"]["margin"] == 0.5
    assert run.config["command"] == shlex.join(shlex.split(toy.command_line()))
    assert run.result == json.loads(json.dumps(result))
    frames = list_geometry(tmp_path / "toy-triplet-s0")
    assert frames == list(range(result["iterations"] + 1)) == [line["iteration"] for line in reported]
    assert read_geometry(tmp_path / "toy-triplet-s0", 0)["sample"].shape == (9, 2)
    assert result["final_loss"] == 0.0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"classes": 1}, "number of classes must be at least 2"),
        ({"classes": 6}, "number of classes must be at most 5"),
        ({"dimension": 4}, "dimension must be 2 or 3"),
        ({"points_per_class": 1}, "no positives"),
        ({"points_per_class": 500}, "too many for this toy"),
        ({"steps": 0}, "number of steps must be at least 1"),
        ({"seed": -1}, "seed must be at least 0"),
        ({"head_norm": 1.0}, "--head-norm does not go with the toy of triplet"),
        ({"counts": (3, 2), "classes": 2}, "leave --classes and --points-per-class out"),
        ({"options": {"temperature": 1.0}}, "--temperature does not belong to triplet, whose own options are --margin"),
        ({"loss": "supcon", "options": {"head_width": 8}}, "--head-width does not go with the toy of supcon"),
        ({"loss": "ce", "head_norm": -1.0}, "--head-norm -1 must be"),
        ({"loss": "tripled"}, "did you mean triplet"),
    ],
)
def test_wrong_options_are_refused_in_words(options, message):
    with pytest.raises(UsageError, match=message):
        IdealToy(**{"loss": "triplet", **options}).resolve()


@pytest.mark.parametrize(("loss", "classes"), [("ce-orthonormal", 3), ("ce-fix", 4)])
def test_a_head_that_does_not_exist_leaves_no_run_folder(tmp_path, loss, classes):
    with pytest.raises(UsageError, match="needs a dimension of at least 3"):
        run_ideal(IdealToy(loss=loss, classes=classes, dimension=2, run_dir=str(tmp_path / "runs")))
    assert not (tmp_path / "runs").exists()
    assert objectives.get(loss).least_dimension(classes) == 3


@pytest.mark.parametrize("loss", objectives.names())
def test_without_a_dimension_it_is_the_plane_or_space_where_the_classifier_needs_it(loss):
    for classes in (2, 3, 4):
        least = objectives.get(loss).least_dimension(classes)
        if least <= 3:
            assert IdealToy(loss=loss, classes=classes).resolve().dimension == max(2, least)


def test_the_command_line_holds_what_was_chosen():
    assert IdealToy(loss="n-pairs").command_line() == "simplexlab toy n-pairs"
    toy = IdealToy(loss="align-uniform", counts=(3, 2), seed=4, options={"weight": 2.0})
    assert toy.command_line() == "simplexlab toy align-uniform --counts 3,2 --seed 4 --weight 2"


def test_no_gradient_is_lost_between_the_loss_and_the_free_numbers():
    from simplexlab.toy.keras_objective import KerasObjective

    toy = IdealToy(loss="ce", points_per_class=2).resolve()
    objective = KerasObjective(toy, labels_of(toy.class_counts))
    generator = np.random.default_rng(0)
    free = generator.standard_normal(6 * 3 + 7)
    _, gradient = objective.value_and_gradient(free)
    direction = generator.standard_normal(len(free))
    ends = [objective.value_and_gradient(free + step * direction)[0] for step in (1e-6, -1e-6)]
    assert gradient @ direction == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-6)
