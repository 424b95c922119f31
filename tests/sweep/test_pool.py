"""How a sweep is run: each run once, whatever happens to workers, runs and the sweep itself."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from simplexlab.cli import main
from simplexlab.errors import UsageError
from simplexlab.runs import read_run
from simplexlab.sweep import Grid, Placement, SweepFolder, execute, place, rows, runs_of

FAKE = Path(__file__).with_name("fake_worker.py")
FINISH, FAIL, DIE, LINGER, DIVERGE = range(5)
TINY = {"encoder": ("mlp",), "width": (2,), "iterations": (12,), "evaluate_every": (6,), "batch_size": (16,)}


@pytest.fixture(autouse=True)
def _fake_worker(request, monkeypatch):
    if "real" not in request.fixturenames:
        monkeypatch.setattr("simplexlab.sweep.pool.WORKER", (str(FAKE),))


@pytest.fixture
def real():
    """The test runs the real worker."""


def make(path, seeds, corruptions=(0.0, 0.5)):
    return SweepFolder.write(path, Grid(("ce",), corruptions, seeds).experiments(), "simplexlab sweep …")


def do(sweep, jobs=2, **options):
    events = execute(sweep, list(sweep.experiments.values()), Placement(jobs, 1, "cpu"), **options)
    return {event.name: event.state for event in events}


def attempts(sweep, name):
    return (sweep.path / name / "attempts").read_text().splitlines()


def test_runs_each_run_once_and_again_only_what_is_missing(tmp_path):
    sweep = make(tmp_path, (FINISH,))
    assert do(sweep) == {"ce-0-s0": "finished", "ce-0.5-s0": "finished"}
    grown = make(tmp_path, (FINISH,), (0.0, 0.5, 0.75))
    assert do(grown) == dict.fromkeys(grown.experiments, "finished")
    assert [len(attempts(grown, name)) for name in grown.experiments] == [1, 1, 1]


def test_a_failed_run_and_a_dead_worker_do_not_keep_the_others(tmp_path):
    sweep = make(tmp_path, (FAIL, DIE, DIVERGE, FINISH))
    events = []
    states = do(sweep, jobs=2, report=events.append)
    assert [states[f"ce-0-s{seed}"] for seed in (FAIL, DIE, DIVERGE, FINISH)] == [
        "failed",
        "failed",
        "diverged",
        "finished",
    ]
    messages = {event.name: event.message for event in events}
    assert messages["ce-0-s1"] == "as asked"
    assert messages["ce-0-s2"] == "its process ended with signal 9"
    assert all(len(attempts(sweep, name)) == 1 for name in sweep.experiments)
    table = {row["run"]: row for row in rows(runs_of(sweep))}
    assert table["ce-0-s2"]["state"] == "failed"
    assert table["ce-0-s0"]["censored"] is False
    assert table["ce-0-s0"]["excess"] is None
    # What failed is tried again, what diverged is not.
    do(sweep)
    assert [len(attempts(sweep, f"ce-0-s{seed}")) for seed in (FAIL, DIE, DIVERGE, FINISH)] == [2, 2, 1, 1]


def test_workers_are_used_again(tmp_path):
    sweep = make(tmp_path, (FINISH,), (0.0, 0.1, 0.2, 0.3))
    do(sweep, jobs=1)
    assert len({attempts(sweep, name)[0] for name in sweep.experiments}) == 1


def test_each_job_sees_its_gpu_only(tmp_path):
    sweep = make(tmp_path, (FINISH,), (0.0, 0.1, 0.2, 0.3, 0.4, 0.5))
    execute(sweep, list(sweep.experiments.values()), Placement(3, 1, "gpu:0", gpus=("4", "7")))
    seen = {attempts(sweep, name)[0].split()[1] for name in sweep.experiments}
    assert seen <= {"4", "7"}
    assert Placement(3, 1, "gpu:0", gpus=("4", "7")).environment(2)["CUDA_VISIBLE_DEVICES"] == "4"


def test_two_sweeps_at_once_run_each_run_once(tmp_path):
    sweep = make(tmp_path, (FINISH,), tuple(i / 20 for i in range(20)))
    code = (
        "import sys; from simplexlab.sweep import execute as e, SweepFolder, Placement; "
        "import simplexlab.sweep.pool as module; "
        f"module.WORKER = ({str(FAKE)!r},); sweep = SweepFolder(sys.argv[1]); "
        "e(sweep, list(sweep.experiments.values()), Placement(2, 1, 'cpu'))"
    )
    both = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path)]) for _ in range(2)]
    assert [process.wait(120) for process in both] == [0, 0]
    assert [len(attempts(sweep, name)) for name in sweep.experiments] == [1] * 20
    assert {run.status.state for run in runs_of(sweep)} == {"finished"}


def test_what_another_sweep_tried_meanwhile_is_left_alone(tmp_path):
    """A run that failed in another sweep since this one began is not tried again by this one."""
    sweep = make(tmp_path, (FINISH, FAIL), (0.0,))

    def other(event):
        if (event.name, event.state) == ("ce-0-s0", "started"):
            do(sweep, jobs=1)

    states = do(sweep, jobs=1, report=other)
    assert states["ce-0-s1"] == "busy"
    assert len(attempts(sweep, "ce-0-s1")) == 1


def test_an_interrupt_stops_the_runs_cleanly_and_they_go_on_later(tmp_path):
    sweep = make(tmp_path, (LINGER,))

    def interrupt():
        if all((sweep.path / name / "attempts").exists() for name in sweep.experiments):
            raise KeyboardInterrupt

    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        do(sweep, poll=interrupt)
    assert time.monotonic() - began < 60
    assert {run.status.state for run in runs_of(sweep)} == {"stopped"}
    assert set(do(sweep).values()) == {"finished"}


def test_placement_on_the_cpu(monkeypatch):
    monkeypatch.setattr("simplexlab.sweep.pool.visible_gpus", tuple)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    assert place() == Placement(8, 1, "cpu")
    assert place(jobs=3) == Placement(3, 2, "cpu")
    assert place(jobs=1) == Placement(1, 8, "cpu")
    assert place("cpu:2") == Placement(4, 2, "cpu:2")
    assert place("all", threads=1) == Placement(8, 1, "cpu")
    with pytest.raises(UsageError, match="TensorFlow sees 0 GPUs"):
        place("gpu:0")


def test_placement_on_gpus(monkeypatch):
    monkeypatch.setattr("simplexlab.sweep.pool.visible_gpus", lambda: ("2", "5", "6"))
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(12)), raising=False)
    assert place() == Placement(3, 4, "gpu:0", ("2", "5", "6"))
    assert place("gpu:0,gpu:2", jobs=4) == Placement(4, 3, "gpu:0", ("2", "6"))
    assert place("cpu") == Placement(12, 1, "cpu")


def test_the_command_writes_the_table(tmp_path, capsys):
    words = ["sweep", "--losses", "ce", "--corruptions", "0,0.5", "--seeds", "1", "--devices", "cpu"]
    assert main([*words, "--run-dir", str(tmp_path / "s"), "--shard", "1/2", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert (record["runs"], record["finished"]) == (2, 1)
    assert [row["state"] for row in record["rows"]] == ["finished", "missing"]
    assert main(["sweep", "--run-dir", str(tmp_path / "s"), "--devices", "cpu"]) == 0
    with open(tmp_path / "s/table.csv") as file:
        table = list(csv.DictReader(file))
    assert [row["state"] for row in table] == ["finished"] * 2
    assert table[1]["corrupt"] == "0.5"
    assert table[1]["time_to_fit"] == "400"
    assert json.loads((tmp_path / "s/table.json").read_text())[1]["censored"] is False


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--losses", "ce,cs"], "Known: ce, ce-fix, sc"),
        (["--jobs", "0"], "--jobs 0"),
        (["--shard", "3/2"], "--shard 3/2"),
        (["--set", "temprature=1"], "did you mean temperature"),
        (["--corruptions", "0,1.5"], "--corruptions 1.5"),
    ],
)
def test_wrong_usage_leaves_nothing_behind(tmp_path, capsys, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    assert main(["sweep", "--devices", "cpu", *words]) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_failed_run_is_told_and_gives_exit_code_1(tmp_path, capsys):
    path = tmp_path / "s"
    assert main(["sweep", "--losses", "ce", "--seeds", "0,1", "--devices", "cpu", "--run-dir", str(path)]) == 1
    assert "ce-0-s1 failed" in capsys.readouterr().err


def test_runs_of_one_worker_have_the_numbers_of_processes_of_their_own(tmp_path, real, forked):
    grid = Grid(("ce", "sc"), (0.5,), (0,), TINY)
    sweep = SweepFolder.write(tmp_path / "sweep", grid.experiments(), "")
    assert set(do(sweep, jobs=1).values()) == {"finished"}
    name = "sc-0.5-s0"  # the second run of the worker
    command = sweep.experiments[name].command_line().split()
    command[command.index(str(sweep.path))] = str(tmp_path / "alone")
    forked("from simplexlab.cli import run; run()", *command[1:], "--threads", "1", "--devices", "cpu")
    lines = [
        [{**json.loads(line), "seconds": 0} for line in (folder / name / "metrics.jsonl").read_text().splitlines()]
        for folder in (sweep.path, tmp_path / "alone")
    ]
    assert lines[0] == lines[1]
    assert [line["iteration"] for line in lines[0]] == [0, 1, 2, 5, 6, 10, 12]


def test_ctrl_c_stops_the_command_and_its_runs(tmp_path, shared_npz, real):
    options = {**TINY, "iterations": (10_000_000,), "evaluate_every": (1_000_000,), "dataset": (str(shared_npz),)}
    sweep = SweepFolder.write(tmp_path, Grid(("ce",), (0.0,), (0,), options).experiments(), "")
    command = [sys.executable, "-m", "simplexlab", "sweep", "--run-dir", str(tmp_path), "--devices", "cpu"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    run = sweep.path / "ce-0-s0"
    deadline = time.monotonic() + 120
    while read_run(run).status.iteration < 1 and time.monotonic() < deadline:
        time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    assert process.wait(120) == 130
    assert read_run(run).status.state == "stopped"
    assert (tmp_path / "table.csv").exists()
