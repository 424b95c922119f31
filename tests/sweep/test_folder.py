"""The sweep folder."""

import dataclasses
import json
import re
import shutil
import subprocess
import sys

import pytest

from simplexlab.errors import RunError, UsageError
from simplexlab.runs import RunWriter
from simplexlab.runs.record import final_result
from simplexlab.sweep import Grid, SweepFolder, rows, runs_of

GRID = Grid(("ce", "sc"), (0.0, 0.5), (0,))


def test_says_what_it_holds(tmp_path):
    written = SweepFolder.write(tmp_path / "sweep", GRID.experiments(), "simplexlab sweep …")
    read = SweepFolder(tmp_path / "sweep")
    assert read.experiments == written.experiments
    assert list(read.experiments) == ["ce-0-s0", "sc-0-s0", "ce-0.5-s0", "sc-0.5-s0"]
    assert read.experiments["sc-0.5-s0"].corrupt == 0.5
    assert read.experiments["sc-0.5-s0"].run_dir == str(tmp_path / "sweep")
    record = json.loads((tmp_path / "sweep/sweep.json").read_text())
    assert record["common"]["batch_size"] == 128
    assert record["runs"]["sc-0-s0"] == {"loss": "sc", "corrupt": 0.0, "temperature": 0.1, "positives": 0}


def test_grows_by_what_is_new_and_refuses_what_differs(tmp_path):
    SweepFolder.write(tmp_path, GRID.experiments(), "first")
    more = Grid(("ce", "sc"), (0.0, 0.5), (0, 1))
    SweepFolder.write(tmp_path, more.experiments(), "second")
    grown = SweepFolder.write(tmp_path, GRID.experiments(), "first")
    assert len(grown.experiments) == 8
    assert grown.commands == ["first", "second"]
    other = Grid(("ce",), (0.0,), (0,), {"width": (4,)})
    with pytest.raises(UsageError, match="holds ce-0-s0 with --width 16, not 4"):
        SweepFolder.write(tmp_path, other.experiments(), "third")
    assert len(SweepFolder(tmp_path).experiments) == 8


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", "[" * 100_000, '{"format": 1, "commands": [], "common": {}, "runs": {"../x": {}}}']
)
def test_a_damaged_sweep_is_refused(tmp_path, text):
    (tmp_path / "sweep.json").write_text(text)
    with pytest.raises(UsageError):
        SweepFolder(tmp_path)


@pytest.mark.parametrize("name", ["../x", "/x", ".claims", "..", "", "a/b", "\x1b[2J"])
def test_a_name_that_leaves_the_folder_is_told_as_the_files(tmp_path, name):
    record = {"format": 1, "commands": [], "common": {}, "runs": {"good": {}, name: {}}}
    (tmp_path / "sweep.json").write_text(json.dumps(record))
    with pytest.raises(UsageError, match=r"sweep\.json: the name .* a run's name is a plain folder name") as error:
        SweepFolder(tmp_path)
    assert "--" not in str(error.value)


@pytest.mark.parametrize("part", [".claims", "sweep.json"])
def test_a_link_in_the_place_of_a_part_is_named_and_not_followed(tmp_path, part):
    folder, elsewhere = tmp_path / "sweep", tmp_path / "elsewhere"
    SweepFolder.write(folder, Grid(("sc",), (0.0,), (0,)).experiments(), "one")
    (folder / part).rename(elsewhere)
    (folder / part).symlink_to(elsewhere)
    before = sorted(elsewhere.iterdir()) if elsewhere.is_dir() else elsewhere.read_bytes()
    with pytest.raises(RunError, match=rf"^cannot \w+ .*sweep/{re.escape(part)}: it is a link, which is not followed$"):
        SweepFolder.write(folder, Grid(("ce",), (0.0,), (0,)).experiments(), "two")
    assert before == (sorted(elsewhere.iterdir()) if elsewhere.is_dir() else elsewhere.read_bytes())


def test_a_newer_format_and_a_folder_without_a_sweep_are_refused(tmp_path):
    with pytest.raises(UsageError, match="is no sweep folder"):
        SweepFolder(tmp_path)
    (tmp_path / "sweep.json").write_text('{"format": 99, "simplexlab": "9.0"}')
    with pytest.raises(UsageError, match="newer simplexlab: format 99"):
        SweepFolder(tmp_path)
    with pytest.raises(UsageError, match="is not a folder"):
        SweepFolder(tmp_path / "sweep.json")


def test_a_run_is_not_held_twice_under_two_names(tmp_path):
    SweepFolder.write(tmp_path, Grid(("sc",), (0.0,), (0,)).experiments(), "one")
    with pytest.raises(UsageError, match=r"holds the run sc-0-s0-temperature=0\.1 as sc-0-s0"):
        SweepFolder.write(tmp_path, Grid(("sc",), (0.0,), (0,), {"temperature": (0.1, 0.2)}).experiments(), "two")
    assert list(SweepFolder(tmp_path).experiments) == ["sc-0-s0"]
    SweepFolder.write(tmp_path, Grid(("sc",), (0.0, 0.5), (0,)).experiments(), "three")
    assert list(SweepFolder(tmp_path).experiments) == ["sc-0-s0", "sc-0.5-s0"]


def test_an_option_that_a_loss_does_not_have_makes_no_other_run(tmp_path):
    """A folder of version 0.1, in which CE holds a temperature, goes on with CE as it is."""
    first = Grid(("ce", "sc"), (0.0, 0.5), (0,)).experiments()
    warm = [dataclasses.replace(one, options={"temperature": 0.3} if one.options else {}) for one in first]
    SweepFolder.write(tmp_path, warm, "one")
    file = tmp_path / "sweep.json"
    record = json.loads(file.read_text())
    for options in record["runs"].values():
        options["temperature"] = 0.3
    file.write_text(json.dumps(record))
    SweepFolder.write(tmp_path, Grid(("ce",), (0.0, 0.5), (0,)).experiments(), "two")
    with pytest.raises(UsageError, match=r"holds sc-0-s0 with --temperature 0\.3, not 0\.1"):
        SweepFolder.write(tmp_path, Grid(("sc",), (0.0,), (0,)).experiments(), "three")


HOLD = """
import sys, time
from simplexlab.sweep import SweepFolder
with SweepFolder(sys.argv[1]).claim(sys.argv[2], "a" * 32) as claim:
    print(claim.granted, flush=True)
    time.sleep(60)
"""


def test_a_claim_excludes_other_processes_until_its_process_dies(tmp_path):
    sweep = SweepFolder.write(tmp_path, GRID.experiments(), "")
    command = [sys.executable, "-c", HOLD, str(tmp_path), "ce-0-s0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "True\n"
        with sweep.claim("ce-0-s0", "b" * 32) as claim, sweep.claim("sc-0-s0") as other:
            assert claim == (False, "a" * 32)
            assert other == (True, "")
        process.kill()
    with sweep.claim("ce-0-s0", "b" * 32) as claim:
        assert claim == (True, "a" * 32)
    with sweep.claim("ce-0-s0") as claim:
        assert claim == (True, "b" * 32)


def test_a_thousand_runs_are_listed(tmp_path):
    """Their time is measured by tests/benchmarks/run_folders.py."""
    grid = Grid(("ce", "sc"), tuple(i / 100 for i in range(50)), tuple(range(10)))
    sweep = SweepFolder.write(tmp_path, grid.experiments(), "")
    first, *others = sweep.experiments.values()
    config = {"kind": "train", "experiment": first.to_dict()}
    with RunWriter.create(tmp_path, first.name, config, total=10) as writer:
        writer.log_metrics({"iteration": 10, "loss": 1.0, "train_error": 0.5})
        evaluation = {"loss": 1.0, "train_error": 0.5, "num_classes": 10, "dimension": 8, "nonnegative": True}
        facts = {"run": "a", "state": "finished", "loss": "ce", "dataset": "digits", "corrupt": 0.0, "seed": 0}
        fit = {"time_to_fit": None, "fit_lower": 10, "fit_policy": "head", "tolerance": 0.0}
        writer.save_result(final_result(evaluation, iterations=10, seconds=1.0, **facts, **fit))
        writer.set_status("finished", 10)
    for experiment in others:
        shutil.copytree(tmp_path / first.name, tmp_path / experiment.name)
    table = rows(runs_of(SweepFolder(tmp_path)))
    assert len(table) == 1000
    assert all(row["censored"] is True and row["state"] == "finished" for row in table)
