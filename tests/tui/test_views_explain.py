"""One line a panel says what the numbers mean."""

import math

import pytest

from simplexlab.objectives import named
from simplexlab.runs import Run, read_metrics
from simplexlab.runs.read import Status
from simplexlab.tui.views import explain
from simplexlab.tui.views import run as views
from simplexlab.tui.views.charts import limits
from simplexlab.tui.views.look_for import look_for
from simplexlab.tui.views.records import column, duration, projections, time_to_fit, value


def record(least=0.4646, most=0.4646, within=0.9999, **more):
    return {
        "iteration": 100,
        "num_classes": 10,
        "dimension": 32,
        "class_mean_similarity": {"mean": 0.4646, "minimum": least, "maximum": most},
        "within_class_similarity": {"mean": within},
        **more,
    }


def test_no_bar_says_how_far_one_of_many_optima_is():
    line = record(
        least=0.1, most=0.9, within=0.9, loss=0.0, bound=0.0, excess=0.0, train_error=0.1, optimum_is_unique=False
    )
    assert explain.how_far(line) is None
    assert explain.configuration(line) == (
        "classes are spread (γ within 0.9); many angles are optimal; the simplex drawn is 81% away"
    )
    assert explain.excess(line) == "excess 0 is left to train: 0 at the simplex, and at others"
    words = look_for("configuration", line, None, "")
    assert "Many angles are optimal; the simplex in the picture, from which they are 81% away" in words
    assert "0 at the simplex, and at others." in look_for("excess", line, None, "").lower()


def test_a_bound_that_nothing_is_known_to_take_has_no_distance():
    said = {"bound_attained": False, "optimum_name": "optimum (regular simplex)", "train_error": 0.1}
    line = record(loss=1.0, bound=0.0, excess=1.0, **said)
    assert explain.how_far(line) is None
    assert explain.configuration(line).endswith(
        "the optimal angles are not known; the regular simplex drawn is 0% away"
    )
    assert explain.excess(line) == "excess 1 is left to train: no configuration is known where it is 0"
    assert "No configuration is known where it is 0." in look_for("excess", line, None, "")
    best = record(loss=1.0, bound=0.0, excess=1.0, bound_best_known=0.25)
    assert explain.excess(best) == "excess 1 is left to train: 0.25 at the best that is known in so few dimensions"


def test_configuration_at_the_simplex():
    assert explain.configuration(record()) == "classes have collapsed; ▱▱▱▱▱ 0% from the simplex (at it)"


def test_of_a_projection_head_what_is_kept_and_what_the_loss_sees():
    seen = record() | {"optimum_name": "simplex"}
    told = record(0.6, 0.9, 0.8, projection=seen, excess=0.5, optimum_name="orthogonal frame", nonnegative=True)
    words = explain.configuration(told)
    assert words.startswith("kept: classes are spread (γ within 0.8)")
    assert "from the orthogonal frame" in words
    assert words.endswith("; the loss sees: ▱▱▱▱▱ 0% from the simplex (at it)")
    assert explain.excess(told) == "excess 0.5 is left to train: 0 at the simplex of the head's output"
    assert explain.similarities(told) == (
        "γ kept: 0.6 to 0.9 between class means, 0.8 within; "
        "γ that the loss sees: 0.465 to 0.465 between class means, 1 within"
    )
    records = [told, told | {"iteration": 200, "projection": seen | {"nc1": 0.25}}]
    assert [one["iteration"] for one in projections(records)] == [100, 200]
    assert column(projections(records), "nc1")[1].tolist() == [0.25]
    assert projections([record()]) == []


def test_a_mean_that_centring_forces_is_not_the_simplex():
    words = explain.configuration(record(0.0, 0.52))  # antipodal pairs: the mean of γ is that of the simplex
    assert words == "classes have collapsed; ▰▰▰▰▱ 87% from the simplex"


def test_configuration_under_a_relu():
    words = explain.configuration(record(0.5, 0.5, free_bound=1.0))
    assert words.endswith("▱▱▱▱▱ 0% from the orthogonal frame (at it), which a ReLU keeps 7% from the simplex")
    words = explain.configuration(record(0.5, 0.614, within=0.83, free_bound=1.0))
    assert words.startswith("classes are spread (γ within 0.83); ▰▱▱▱▱ 23% from the orthogonal frame")


def test_more_classes_than_a_simplex_has_room_for():
    words = explain.configuration(record(dimension=4))
    assert words == "classes have collapsed; 10 classes have no simplex in 4 dimensions"


@pytest.mark.parametrize("name", ["toy-ce", "toy-sc", "three-classes"])
def test_no_recorded_run_is_called_at_its_optimum_where_a_pair_of_angles_is_wrong(name, demo):
    for line in read_metrics(demo / name):
        spread = line["class_mean_similarity"]
        wrong = max(abs(spread["minimum"] - 1 / 3), abs(spread["maximum"] - 1 / 3)) if name != "three-classes" else None
        said = "at it" in explain.configuration(line)
        assert said == (explain.how_far(line) <= explain.AT_OPTIMUM)
        if wrong is not None:
            assert said == (wrong <= 0.005 * 2 / 3)
        if name != "three-classes" and line["iteration"] == 10:
            assert not said


def test_loss_tells_what_a_bound_is_that_is_not_exact():
    found = {"loss": 2.5, "bound": 1.0, "bound_is_exact": False}
    assert explain.loss(record(**found, bound_best_known=1.2)) == (
        "loss 2.5, 1.5 above its bound 1 (not attained in so few dimensions, the best known there is 1.2)"
    )
    assert explain.loss(record(**found, bound_certificate=0.9)).endswith("(proven from 0.9 on)")
    assert explain.loss(record(**found, bound_certificate=1.0)).endswith(
        "(approximate: representations of unequal norm)"
    )
    assert explain.loss(record(loss=2.5, bound=1.0, imbalance=0.26)) == "loss 2.5, 1.5 above its bound 1"
    for rounded in (0.3689826449, 0.3689826451, 0.368982645):
        assert explain.loss(record(loss=rounded, bound=0.368982645)) == "loss 0.36898, at its bound"
    assert explain.loss(record(loss=0.0, bound=0.0)) == "loss 0, at its bound"
    assert explain.loss(record(loss=2e-11, bound=0.0)) == "loss 2.000e-11, 2.0e-11 above its bound 0"


def test_divergence_is_told_and_not_passed_over():
    lost = {"iteration": 30, "loss": None, "non_finite": ["loss"], "diverged": True}
    assert "diverged" in explain.loss(lost)
    assert math.isnan(value(lost, "loss"))
    x, y = column([{"iteration": 20, "loss": 1.0}, lost], "loss")
    assert x.tolist() == [20, 30]
    assert math.isnan(y[1])
    assert [mark.at for mark in views.loss_chart([lost]).vertical] == [30]


def test_excess_is_what_training_leaves_and_the_relu_is_in_the_bound():
    words = explain.excess(record(excess=0.4, excess_standard_error=0.01, gap_architecture=0.1, free_bound=1.0))
    assert words == (
        "excess 0.4 ± 0.01 is left to train: 0 at the orthogonal frame; the ReLU costs 0.1, which is in the bound"
    )
    free = record(excess=0.4, gap_architecture=0.0, free_bound=1.0)
    assert explain.excess(free).endswith("; the ReLU costs nothing")
    assert explain.excess(record(excess=0.4)) == "excess 0.4 is left to train: 0 at the simplex"
    best = record(excess=0.4, optimum_name="optimum (convex program)")
    assert explain.excess(best) == "excess 0.4 is left to train: 0 at the optimum"


def test_errors_know_when_the_labels_were_fitted():
    fitted = record(train_error=0.0, test_error=0.1)
    assert explain.errors(fitted, 80) == "the given labels are fitted since iteration 80; test error 10.00%"
    assert explain.errors(fitted | {"iteration": 60, "train_error": 0.2}, 80).startswith("20.00% of the given labels")


@pytest.mark.parametrize("name", ["loss", "excess", "similarities", "gram", "collapse", "configuration"])
def test_nothing_yet(name):
    assert getattr(explain, name)(None) == explain.WAITING
    assert getattr(explain, name)({}) == explain.WAITING


def test_time_to_fit_marks_censored_runs():
    chart = views.fit_against_corruption([("ce", 0.2, 300, 800), ("sc", 0.2, 500, 800), ("sc", 0.8, None, 800)])
    censored = next(series for series in chart.series if series.marker in views.CENSORED)
    assert (censored.x.tolist(), censored.y.tolist()) == ([0.8], [800])
    assert censored.label == "SC not fitted"


def test_of_many_losses_each_is_named_once():
    rows = [(loss, corrupt, 300 if corrupt else None, 800) for loss in ("ce", "sc", "mse") for corrupt in (0.0, 0.2)]
    rows += [("triplet", 0.2, None, 800), ("n-pairs", 0.2, 400, 800)]
    labels = [series.label for series in views.fit_against_corruption(rows).series if series.label]
    assert sorted(labels) == sorted(named(loss).title for loss in ("ce", "sc", "mse", "triplet", "n-pairs"))


def test_overlay_takes_a_log_axis_for_losses_of_different_size():
    ce, sc = [{"iteration": 0, "loss": 0.5}], [{"iteration": 0, "loss": 500.0}]
    assert views.overlay("", "", [("ce", ce), ("sc", sc)], "loss", None).log
    assert not views.overlay("", "", [("ce", ce), ("ce2", ce)], "loss", None).log


def test_a_run_that_diverged_does_not_flatten_the_others():
    ce = [{"iteration": at, "loss": 2.0 - at} for at in range(2)]
    lost = [{"iteration": 0, "loss": 1.0}, {"iteration": 1, "loss": 1e23}, {"iteration": 2, "diverged": True}]
    for key in (None, False):
        spec = views.overlay("", "", [("ce", ce), ("lost", lost)], "loss", key)
        assert not spec.log
        assert limits(spec)[1] == (1.0, 2.0)
    assert limits(views.overlay("", "", [("lost", lost)], "loss"))[1] == (1.0, 1e23)


@pytest.mark.parametrize(("seconds", "shown"), [(None, "–"), (3, "3 s"), (200, "3 min"), (7300, "2 h"), (2e5, "2 d")])
def test_durations(seconds, shown):
    assert duration(seconds) == shown


def test_the_time_to_fit_of_a_long_run_is_what_its_lines_say(tmp_path):
    """A long run is read with lines left out: the first that is left may come after the fit."""
    thinned = [
        record(train_error=0.9, time_to_fit=None) | {"iteration": 0},
        record(train_error=0.0, time_to_fit=12350) | {"iteration": 12360},
    ]
    run = Run(path=tmp_path, name="long", config={}, status=Status(state="running"), metrics=thinned[-1])
    assert time_to_fit(run, thinned) == time_to_fit(run) == 12350
    older = [{key: found for key, found in line.items() if key != "time_to_fit"} for line in thinned]
    assert time_to_fit(Run(path=tmp_path, name="old", config={}, status=Status(state="running")), older) == 12360
