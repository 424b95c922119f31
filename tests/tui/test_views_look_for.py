"""Three sentences on each panel, with the numbers of the run."""

import re

import pytest

from simplexlab.geometry.catalogue import CATALOGUE
from simplexlab.runs import read_metrics
from simplexlab.tui.demo import RUNS
from simplexlab.tui.views import run as views
from simplexlab.tui.views.look_for import look_for
from simplexlab.tui.views.records import key_of, value

PANELS = ("loss", "excess", "configuration", "errors", "memorisation", "similarities", "gram", "confusion", "facts")


@pytest.mark.parametrize("name", sorted(path.name for path in RUNS.iterdir() if path.is_dir()))
def test_every_panel_of_every_recorded_run_has_its_sentences(name):
    records = read_metrics(RUNS / name)
    for record in (records[0], records[-1]):
        for panel in PANELS:
            words = look_for(panel, record, None, "mean over points")
            assert len(re.findall(r"[.?](?: |$)", words)) >= 3, words
            assert "None" not in words
            assert "nan" not in words
    for group in views.GROUP_TITLES:
        rows = [row for row in CATALOGUE.values() if row.group == group]
        words = look_for(group, records[-1], None, "", rows)
        shown = [row for row in rows if value(records[-1], key_of(records, row.key)) is not None]
        assert words.count(", now ") == min(len(shown), 3) or records[-1].get("diverged"), words
        assert "None" not in words


def test_the_numbers_are_the_runs():
    record = read_metrics(RUNS / "toy-ce")[-1]
    words = look_for("configuration", record, 20, "mean over points")
    assert "the largest |γ − 0.333|" in words
    assert "as a share of 0.667, now 0%" in words
    assert "fitted since iteration 20" in look_for("errors", record, 20, "")
    assert look_for("loss", None, None, "").startswith("Nothing was evaluated yet")


def test_the_facts_say_which_classifier_misses_how_many():
    record = read_metrics(RUNS / "ce-40-flipped")[-1]
    words = look_for("facts", record, None, "")
    assert f"{record['train_error_head']:.2%} by the head that was trained" in words
    assert f"{record['train_error_class_means']:.2%} by the nearest class mean" in words
    assert look_for("log", None, None, "").startswith("These are the last lines")


def test_sentences_on_errors_are_those_of_the_replayed_evaluation():
    early, late = read_metrics(RUNS / "ce-40-flipped")[5], read_metrics(RUNS / "ce-clean")[-1]
    fitted = int(early["iteration"]) + 10
    assert f"Now {early['train_error']:.1%} are not fitted." in look_for("errors", early, fitted, "")
    assert "flipped labels are seen through" in look_for("errors", early, fitted, "")
    assert "flipped labels" not in look_for("errors", late, 100, "")
    assert "No label was flipped" in look_for("memorisation", late, 100, "")


def test_confusion_counts_the_sampled_points():
    import numpy as np

    arrays = {
        "class_means": np.array([[1.0, 0.0], [0.0, 1.0]]),
        "sample": np.array([[0.9, 0.1], [0.1, 0.9], [0.2, 0.8], [0.0, 1.0]]),
        "sample_labels": np.array([0, 0, 1, 1]),
    }
    spec, words = views.confusion(arrays)
    assert spec.matrices[0].values.tolist() == [[0.5, 0.5], [0.0, 1.0]]
    assert words == (
        "25.0% of the 4 sampled points are nearest to the mean of another class; most often 0 is taken for 1 (50%)"
    )
    assert views.confusion(None)[0].matrices == ()
