"""Objectives side by side: medians, verdicts and sentences of runs whose numbers are known."""

import dataclasses

import numpy as np
import pytest

from simplexlab import geometry, objectives
from simplexlab.errors import UsageError
from simplexlab.figures import objectives as figure
from simplexlab.figures.style import styled
from simplexlab.report import report
from simplexlab.runs import RunWriter
from simplexlab.sweep import Grid, SweepFolder, collect
from simplexlab.sweep.side_by_side import is_collapsed, side_by_side, table

SIMPLEX = geometry.optimum(10)["class_mean_similarity"]
# γ between class means (least, mean, largest), within, first and last excess, optimum within, time to fit
KNOWN = {
    ("ce", 0.0): ((SIMPLEX - 0.004, SIMPLEX, SIMPLEX + 0.01), 0.97, (2.0, 0.002), 1.0, 300),
    ("sc", 0.0): ((SIMPLEX - 0.001, SIMPLEX, SIMPLEX + 0.002), 0.99, (9.0, 0.9), 1.0, 200),
    ("triplet", 0.0): ((0.3, SIMPLEX, 0.6), 0.93, (0.4, 0.0004), 1.0, 100),
    ("align-uniform", 0.0): ((SIMPLEX - 0.01, SIMPLEX, SIMPLEX + 0.01), 0.7, (1.0, 0.05), 0.71, None),
    ("ce", 0.4): ((0.4, 0.46, 0.5), 0.8, (2.0, 0.5), 1.0, None),
    ("sc", 0.4): ((0.4, 0.46, 0.5), 0.7, (9.0, 4.5), 1.0, None),
    ("triplet", 0.4): ((0.4, 0.46, 0.5), 0.6, (0.4, -0.01), 1.0, None),
    ("align-uniform", 0.4): ((0.4, 0.46, 0.5), 0.6, (1.0, 0.9), 0.71, None),
}


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    path = tmp_path_factory.mktemp("sweeps") / "known"
    names = tuple(dict.fromkeys(name for name, _ in KNOWN))
    grid = Grid(losses=names, corruptions=(0.0, 0.4), seeds=(0, 1, 2), options={"iterations": (1000,)})
    folder = SweepFolder.write(path, grid.experiments(), "simplexlab sweep")
    for name, experiment in folder.experiments.items():
        (least, mean, largest), within, excesses, optimum, time = KNOWN[experiment.loss, experiment.corrupt]
        shift = 0.001 * (experiment.seed - 1)  # the median is that of seed 1
        spread = {key: mean + shift for key in ("q05", "q25", "q50", "q75", "q95")} | {"mean": mean + shift}
        errors = {
            f"test_error_{judge}": 0.01 * (names.index(experiment.loss) + 1) + shift
            for judge in ("class_means", "probe")
        }
        shared = {
            "train_error": 0.0 if time else 0.3,
            "test_error": 0.05 + 0.01 * experiment.seed,
            **errors,
            "class_mean_similarity": {**spread, "minimum": least, "maximum": largest, "std": 0.0},
            "within_class_similarity": {**spread, "q50": within + shift, "minimum": 0.0, "maximum": 1.0, "std": 0.0},
            "optimum": {"class_mean_similarity": SIMPLEX, "within_class_similarity": optimum},
            "norms": {},
            "bound": 1.0,
            "time_to_fit": None if time is None else time + 10 * experiment.seed,
            "fit_lower": 90,
        }
        config = {"kind": "train", "experiment": experiment.to_dict()}
        with RunWriter.create(path, name, config, total=1000) as writer:
            for iteration, excess in zip((0, 1000), excesses, strict=True):
                writer.log_metrics({"iteration": iteration, "seconds": 1.0, "excess": excess, "loss": 1.0 + excess})
            writer.save_result(
                {
                    **{"run": name, "state": "finished", "iterations": 1000, "tolerance": 0.0, "dataset": "digits"},
                    **{"loss": experiment.loss, "corrupt": experiment.corrupt, "seed": experiment.seed, "seconds": 9.0},
                    "fit_policy": "class-means" if objectives.get(experiment.loss).head == "none" else "head",
                    **{"num_classes": 10, "dimension": 32, "nonnegative": False, "evaluated_at": 1000},
                    **{"final_loss": 1.0 + excesses[1], "excess": excesses[1], **shared},
                }
            )
            writer.set_status("finished", 1000)
    return folder


@pytest.fixture(scope="module")
def panel(sweep):
    (found,) = side_by_side(collect([sweep.path]))["panels"]
    return found


def row_of(panel, loss, corrupt=0.0):
    (row,) = [row for row in panel["rows"] if (row["loss"], row["corrupt"]) == (loss, corrupt)]
    return row


def test_each_objective_has_a_row_at_each_corruption_with_medians(panel):
    assert len(panel["rows"]) == len(KNOWN)
    row = row_of(panel, "ce")
    assert len(row["runs"]) == 3
    assert row["within"] == pytest.approx(0.97)
    assert row["from_simplex"] == pytest.approx(0.01)
    assert row["excess_left"] == pytest.approx(0.001)
    assert row["test_error"] == pytest.approx(0.06)
    assert (row["time_to_fit"], row["fitted"]) == (310, 3)
    assert row_of(panel, "triplet", 0.4)["excess_left"] == 0  # below the floor by the noise of an estimate
    assert row_of(panel, "sc", 0.4)["time_to_fit"] is None


def test_verdicts_follow_from_the_numbers(panel):
    verdicts = {
        name: (row_of(panel, name)["collapsed"], row_of(panel, name)["at_simplex"]) for name, p in KNOWN if not p
    }
    assert verdicts == {
        "ce": (True, True),
        "sc": (True, True),
        "triplet": (True, False),
        "align-uniform": (False, True),
    }
    assert row_of(panel, "ce")["reason"] is None
    assert row_of(panel, "triplet")["reason"] == "all the same"
    assert row_of(panel, "align-uniform")["reason"] == "spread"
    assert row_of(panel, "sc", 0.4)["reason"] == "excess"


def test_the_sentences_are_made_of_them(panel):
    assert panel["words"] == [
        "Clean labels: classes collapse (to 20 % of the angle between class means) under CE, SC, Triplet; every γ "
        "between class means is within 0.015 of the simplex's 0.465 under CE, SC, Align-uniform.",
        "Not at a collapsed simplex: the optimum itself does not collapse (γ within there; γ within reached) under "
        "Align-uniform (0.71; 0.70); at most 1 % of the first excess is left all the same (γ within; largest distance "
        "of a γ between class means) under Triplet (0.93; 0.16).",
        "Test error by class means from 1 % (CE) to 4 % (Align-uniform) and by linear probe from 1 % (CE) to 4 % "
        "(Align-uniform).",
        "Fitted first by Triplet, after 110 iterations, last by CE, after 310; not within 1000 by Align-uniform.",
        "40 % of the labels flipped: classes collapse (to 20 % of the angle between class means) under none; every γ "
        "between class means is within 0.015 of the simplex's 0.465 under none.",
        "Not at a collapsed simplex: the optimum itself does not collapse (γ within there; γ within reached) under "
        "Align-uniform (0.71; 0.60); at most 1 % of the first excess is left all the same (γ within; largest distance "
        "of a γ between class means) under Triplet (0.60; 0.06); training has left a share of the first excess under "
        "CE 25 %, SC 50 %.",
        panel["words"][2],
        "None fitted its labels within 1000 iterations.",
    ]


def test_points_that_are_all_close_together_are_no_collapse_of_classes():
    """γ within is 0.91 there, and so is γ between class means."""
    assert is_collapsed(0.91, SIMPLEX)
    assert not is_collapsed(0.91, 0.9)


def test_one_number_that_changes_changes_what_is_said(sweep, panel):
    low = dict.fromkeys(("mean", "q50", "minimum", "maximum"), 0.5)
    runs = collect([sweep.path])
    moved = [
        dataclasses.replace(run, result={**run.result, "within_class_similarity": low})
        if run.name.startswith("ce-0-")
        else run
        for run in runs
    ]
    changed = side_by_side(moved)["panels"][0]
    assert not row_of(changed, "ce")["collapsed"]
    assert "under SC, Triplet; every" in changed["words"][0]


def test_the_table_the_picture_and_the_page_say_the_same(sweep, panel):
    found = table(panel)
    assert len(found.rows) == len(KNOWN)
    assert all(len(line) == len(found.headings) for line in found.rows)
    line = dict(zip(found.headings, found.rows[0], strict=True))
    assert (line["objective"], line["γ within"], line["excess left"]) == ("CE", "0.970", "0.1 %")
    numbers = figure.objectives(collect([sweep.path]))
    with styled("projector"):
        picture, caption = figure.draw(numbers)
        width, height = picture.get_size_inches()
    assert height < width  # of a projector
    assert panel["words"][0] in caption
    assert panel["words"][4] in caption
    means = picture.axes[0]
    drawn = {tuple(np.ravel(part.get_xdata())) for part in means.get_lines()}
    assert all((row["class_means"],) in drawn for row in panel["rows"])
    page = report(sweep)
    assert "Objectives side by side" in page
    assert "all the same (γ within" in page


def test_without_a_finished_run_it_is_refused():
    with pytest.raises(UsageError, match="takes finished runs"):
        side_by_side([])
