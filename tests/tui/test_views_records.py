"""What the screens tell of a run."""

from dataclasses import replace

from simplexlab.runs import read_run
from simplexlab.tui.views.records import reached
from simplexlab.tui.views.table import progress


def test_progress_is_not_behind_the_last_evaluation(tmp_path):
    run = read_run(tmp_path / "absent")
    run = replace(run, status=replace(run.status, iteration=115, total=800), metrics={"iteration": 200})
    assert progress(run, 4).endswith(" 200")
    assert reached(run, [{"iteration": 300}]) == 300
    assert reached(replace(run, metrics=None)) == 115
    assert reached(replace(run, status=replace(run.status, iteration=250))) == 250
