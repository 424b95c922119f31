"""What the runs of a sweep say of the time to fit: curves, clocks, budgets, ratios, shares, tables."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from simplexlab.config import Experiment
from simplexlab.runs import Run, Status
from simplexlab.schedule import learning_rate_time
from simplexlab.sweep.curves import intervals, tables, time_to_fit
from simplexlab.sweep.growth import share_interval


def finished(time, every=10, **options) -> Run:
    """A finished run that was fitted at `time`, or never within its budget (None)."""
    experiment = Experiment(**{"iterations": 1000, "evaluate_every": every, **options}).resolve()
    lower = experiment.iterations if time is None else max(time - every, 0)
    result = {"time_to_fit": time, "fit_lower": lower, "loss": experiment.loss}
    name = "-".join(map(str, options.values()))
    config = {"kind": "train", "experiment": experiment.to_dict()}
    return Run(path=Path(name), name=name, config=config, status=Status(state="finished"), result=result)


def series(times, loss="ce", seeds=3, **options) -> list[Run]:
    """Runs of a curve: the times by corruption, each for some seeds; a list of times gives one for each seed."""
    runs = []
    for corrupt, time in times.items():
        for seed in range(seeds):
            own = time[seed] if isinstance(time, list) else time
            runs.append(finished(own, loss=loss, corrupt=corrupt, seed=seed, **options))
    return runs


def curves(runs, clock="iterations"):
    return [curve for panel in time_to_fit(runs, clock=clock)["panels"] for curve in panel["curves"]]


def test_no_linear_trend_goes_through_runs_that_never_fitted():
    (curve,) = curves(series({0.0: 200, 0.2: [300, None, None], 0.4: None, 0.8: None}))
    assert curve["linear_trend"] is None
    assert not any("ratio_to_linear_trend" in run for run in curve["runs"])
    (curve,) = curves(series({0.0: 200, 0.2: [300, 320, None], 0.4: None, 0.8: None}))
    assert curve["linear_trend"]["up_to"] == 0.4


def test_medians_ratios_and_shares_take_no_power_law():
    (curve,) = curves(
        series({0.0: 100, 0.2: [200, 210, 400], 0.4: [600, 630, None], 0.6: [900, None, None], 0.8: None})
    )
    levels = {level["corrupt"]: level for level in curve["levels"]}
    assert [levels[p]["median"] for p in (0.0, 0.2, 0.4, 0.6, 0.8)] == [100, 210, 630, None, None]
    assert [levels[p]["ratio_to_reference"] for p in (0.0, 0.2, 0.4)] == [100 / 210, 1, 3]
    assert levels[0.6]["ratio_to_reference"] is None
    assert [levels[p]["fitted"] for p in (0.0, 0.2, 0.4, 0.6, 0.8)] == [3, 3, 2, 1, 0]
    assert (levels[0.4]["share_lower"], levels[0.4]["share_upper"]) == share_interval(2, 3)


def test_the_reference_is_the_next_corruption_where_0_2_was_not_run():
    (curve,) = curves(series({0.1: 100, 0.3: 150, 0.5: 300}))
    assert {level["reference"] for level in curve["levels"]} == {0.3}
    assert [level["ratio_to_reference"] for level in curve["levels"]] == [100 / 150, 1, 2]
    (curve,) = curves(series({0.0: 100, 0.1: 150}))
    assert {level["ratio_to_reference"] for level in curve["levels"]} == {None}


def test_the_clocks_differ_by_the_schedule():
    runs = series({0.0: 100, 0.4: 300, 0.8: [400, 500, None]}, schedule="polynomial")
    (curve,) = curves(runs, "learning-rate")
    for run in curve["runs"]:
        if not run["censored"]:
            assert run["time_to_fit_lr"] == learning_rate_time("polynomial", 1000, run["time_to_fit"])
        assert run["fit_lower_lr"] == learning_rate_time("polynomial", 1000, run["fit_lower"])
    _, lower, upper = intervals(curve["runs"], "learning-rate")
    assert np.all(lower < upper)
    assert np.isinf(upper).sum() == 1
    assert curve["levels"][-1]["median"] == learning_rate_time("polynomial", 1000, 500)
    constant = series({0.0: 100, 0.4: 300, 0.8: 400}, schedule="constant")
    assert curves(constant, "learning-rate")[0]["growth"] == curves(constant)[0]["growth"]


def test_a_learning_rate_that_has_died_leaves_an_interval():
    (curve,) = curves(series({0.0: 990, 0.4: 1000, 0.8: 1000}), "learning-rate")
    _, lower, upper = intervals(curve["runs"], "learning-rate")
    assert np.all(lower < upper)
    assert curve["growth"] is not None


def test_a_fit_at_iteration_0_counts_as_within_the_first():
    (curve,) = curves(series({0.0: 0, 0.4: 10, 0.8: 20}))
    _, lower, upper = intervals(curve["runs"])
    assert (lower[0], upper[0]) == (0, 1)


def test_budgets_stand_side_by_side():
    runs = [
        *series({0.0: 100, 0.4: 300, 0.8: None}, iterations=500),
        *series({0.0: 100, 0.4: 300, 0.8: 700}, iterations=1000),
        *series({0.0: 100, 0.4: 300, 0.8: 700}, iterations=1000, schedule="constant"),
    ]
    numbers = time_to_fit(runs)
    assert [panel["title"] for panel in numbers["panels"]] == [
        "digits, 500 iterations, polynomial",
        "digits, 1000 iterations, polynomial",
        "digits, 1000 iterations, constant",
    ]
    assert [panel["budget"] for panel in numbers["panels"]] == [500, 1000, 1000]
    other = [panel["budget"] for panel in time_to_fit(runs, clock="learning-rate")["panels"]]
    assert other == [pytest.approx(500 / 6, rel=0.01), pytest.approx(1000 / 6, rel=0.01), 1000]


def test_settings_of_a_curve_are_in_their_order():
    runs = [
        run
        for t in (10.0, 2.0, 0.5)
        for run in series({0.0: 100, 0.4: 200, 0.8: 300}, "sc", 1, options={"temperature": t})
    ]
    assert [curve["label"] for curve in curves(runs)] == [
        "SC, temperature 0.5",
        "SC, temperature 2",
        "SC, temperature 10",
    ]


def test_the_tables_say_what_the_curves_do():
    runs = [*series({0.0: 100, 0.2: 200, 0.4: 300, 0.6: 420}), *series({0.0: 110, 0.2: 400, 0.4: None}, "sc")]
    (panel,) = time_to_fit(runs)["panels"]
    made = {table.title: table for table in tables(panel)}
    assert list(made) == [
        "digits: median time to fit, iterations, by corruption",
        "Ratio to the time at corruption 0.2, by corruption",
        "Seeds that fitted within the budget (95 % interval of their share), by corruption",
        "Growth T(p) = T(0) + a·pᵏ",
    ]
    medians, ratios, shares, growth = made.values()
    assert medians.headings == ["", "0", "0.2", "0.4", "0.6"]
    assert medians.rows == [["CE", "100", "200", "300", "420"], ["SC", "110", "400", "never", ""]]
    assert ratios.rows == [["CE", "0.50", "1.00", "1.50", "2.10"], ["SC", "0.28", "1.00", "–", ""]]
    assert shares.rows[1][3] == "0/3 (0%–71%)"
    assert growth.rows[1] == ["SC", "unknown", "", "", "", "", "", "9", "3"]
    assert len(growth.rows[0]) == len(growth.headings)
    assert len(tables(time_to_fit(runs[:12])["panels"][0])) == 3  # every seed fitted


def test_a_table_takes_no_matplotlib():
    code = "import sys, simplexlab.sweep.curves, simplexlab.cli.sweep; print('matplotlib' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "False\n"
