"""The interface over run folders in every state, and over processes that die."""

import contextlib
import dataclasses
import json
import os
import pty
import shutil
import signal
import subprocess
import sys
import time
import types

import pytest
from tui_helpers import drive, open_run, record, text, until, write_run

from simplexlab.cli.tui import import_numpy, needs_plain
from simplexlab.tui.screens.compare import CompareScreen
from simplexlab.tui.screens.run import RunScreen
from simplexlab.tui.screens.toy import ToyScreen
from simplexlab.tui.views import explain
from simplexlab.tui.widgets.panel import Panel


def test_a_folder_that_does_not_exist_says_how_to_begin(tmp_path):
    async def steps(pilot):
        await pilot.pause(0.3)
        assert "Press n to start one" in text(pilot.app)

    drive(tmp_path / "none", steps)


def test_broken_folders_are_listed_and_can_be_opened(tmp_path):
    write_run(tmp_path, "good", [record(0), record(10)])
    (tmp_path / "empty").mkdir()
    (tmp_path / "half").mkdir()
    (tmp_path / "half" / "config.json").write_text('{"kind": "tr')
    (tmp_path / "half" / "metrics.jsonl").write_text('{"iteration": 1, "loss": 2.0}\n{"iterat')
    (tmp_path / "newer").mkdir()
    (tmp_path / "newer" / "config.json").write_text(json.dumps({"format": 99}))
    broken = write_run(tmp_path, "broken-geometry", [record(0)])
    (broken / "geometry" / "00000000.npz").write_bytes(b"PK not a zip")
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / "config.json").write_text('{"experiment": 3, "command": 7, "created": 5}')
    (tmp_path / "odd" / "status.json").write_text('{"state": "finished", "iteration": "many"}')

    async def steps(pilot):
        app = pilot.app
        await until(pilot, lambda: len(app.runs) == 5)
        assert {run.name: run.status.state for run in app.runs}["newer"] == "unknown version"
        for name in ("good", "half", "newer", "broken-geometry", "odd"):
            await open_run(pilot, name)
            assert name in text(app)
            for size in ((80, 24), (200, 60), (20, 5), (140, 45)) if name in ("half", "broken-geometry") else ():
                await pilot.resize_terminal(*size)
                await pilot.pause(0.1)
            await pilot.press("escape")

    drive(tmp_path, steps)


def toys_and_others(app):
    """The recorded runs that are toys, and the others."""
    toys = [run for run in app.runs if run.name.startswith("toy")]
    return toys, [run for run in app.runs if run not in toys]


@pytest.mark.parametrize(
    ("open_screen", "content"),
    [
        (lambda app: ToyScreen(toys_and_others(app)[0]), "toy"),
        (lambda app: RunScreen(toys_and_others(app)[1][0].path), "NC1"),
        (lambda app: CompareScreen(toys_and_others(app)[1]), "NC1"),
    ],
    ids=["toy", "run", "compare"],
)
def test_runs_that_arrive_before_a_screen_is_composed_wait_for_it(demo, open_screen, content):
    async def steps(pilot):
        app = pilot.app
        await until(pilot, lambda: app.runs)
        screen = open_screen(app)
        app.push_screen(screen)
        assert app.screen is screen
        assert not screen.children
        app._take(app.runs)
        await until(pilot, lambda: screen._drawn is not None)
        await until(pilot, lambda: content in text(app))

    drive(demo, steps)


def test_a_run_that_is_deleted_while_it_is_open(tmp_path):
    path = write_run(tmp_path, "gone", [record(0), record(10)])

    async def steps(pilot):
        await open_run(pilot, "gone")
        shutil.rmtree(path)
        await until(pilot, lambda: "missing" in text(pilot.app))
        await pilot.press("comma", "full_stop", "space", "escape")
        await until(pilot, lambda: not pilot.app.runs)
        assert "No runs yet" in text(pilot.app)

    drive(tmp_path, steps)


def test_a_loss_that_is_not_finite_is_shown_as_divergence(tmp_path):
    lines = [
        record(0, 2.0),
        record(10, 3.0, bound=float("inf")),
        {"iteration": 20, "loss": float("nan"), "diverged": True},
    ]
    write_run(tmp_path, "burst", lines, state="diverged")

    async def steps(pilot):
        assert "✗ diverged" in text(pilot.app)
        await open_run(pilot, "burst")
        shown = text(pilot.app)
        assert "loss not finite" in shown
        assert "✗" in shown
        assert "│ div" in shown
        assert "the loss is not finite" in shown

    drive(tmp_path, steps)


def test_a_live_run_is_followed_and_its_death_is_told_within_ten_seconds(live):
    run_dir, process = live

    async def steps(pilot):
        app = pilot.app
        await open_run(pilot, "live")
        seen = len(app.screen.feed.records)
        await until(pilot, lambda: len(app.screen.feed.records) > seen + 3)
        assert app.screen.slider.position is None
        os.kill(process.pid, signal.SIGKILL)
        killed = time.monotonic()
        await until(pilot, lambda: "✗ failed" in text(app))
        await until(pilot, lambda: "last words of the process" in text(app))
        assert time.monotonic() - killed < 10

    drive(run_dir, steps)


def test_a_live_run_is_stopped_by_a_key(live):
    run_dir, process = live

    async def steps(pilot):
        await until(pilot, lambda: any(run.status.state == "running" for run in pilot.app.runs))
        await pilot.press("x")
        await until(pilot, lambda: "Stop live?" in text(pilot.app))
        await pilot.press("y")
        await until(pilot, lambda: "■ stopped" in text(pilot.app))
        await pilot.press("x")
        await until(pilot, lambda: "is not running" in text(pilot.app))

    drive(run_dir, steps)
    process.wait(10)


def test_leaving_lets_runs_go_on(live):
    run_dir, process = live

    async def steps(pilot):
        await until(pilot, lambda: pilot.app.runs)
        await pilot.press("q")

    began = time.monotonic()
    drive(run_dir, steps)
    assert process.poll() is None
    assert time.monotonic() - began < 20


def test_a_running_run_is_not_deleted(live):
    run_dir, _ = live

    async def steps(pilot):
        await until(pilot, lambda: pilot.app.runs)
        await pilot.press("delete", "y")
        await until(pilot, lambda: "stop it first" in text(pilot.app))
        assert (run_dir / "live").exists()

    drive(run_dir, steps)


def test_deleting_asks_first(tmp_path):
    path = write_run(tmp_path, "old", [record(0)])

    async def steps(pilot):
        await until(pilot, lambda: pilot.app.runs)
        await pilot.press("delete")
        await until(pilot, lambda: "This cannot be taken back" in text(pilot.app))
        await pilot.press("enter")  # the harmless button has the focus
        await pilot.pause(0.2)
        assert path.exists()
        await pilot.press("delete", "y")
        await until(pilot, lambda: not path.exists())

    drive(tmp_path, steps)


def test_five_hundred_runs(tmp_path):
    first = write_run(tmp_path, "run-000", [record(0), record(10)], geometry=False)
    for index in range(1, 500):
        shutil.copytree(first, tmp_path / f"run-{index:03}")

    async def steps(pilot):
        app = pilot.app
        await until(pilot, lambda: len(app.runs) == 500)
        await pilot.press("slash", *"run-49")
        await until(pilot, lambda: "10 match" in text(app))
        await pilot.press("escape")
        await until(pilot, lambda: "match" not in text(app))
        await pilot.press("end", "enter")
        await until(pilot, lambda: isinstance(app.screen, RunScreen))

    drive(tmp_path, steps)


def test_a_hundred_thousand_lines_open_and_show_the_last(tmp_path):
    path = write_run(tmp_path, "long", [record(0)], total=100_000)
    line = json.dumps(record(0, 0.5))
    with open(path / "metrics.jsonl", "w") as file:
        for index in range(100_000):
            file.write(line.replace('"iteration": 0', f'"iteration": {index}') + "\n")

    async def steps(pilot):
        await open_run(pilot, "long")
        screen = pilot.app.screen
        assert screen.feed.records[-1]["iteration"] == 99_999
        assert len(screen.feed.records) <= 2001

    drive(tmp_path, steps)


@pytest.mark.parametrize("shift", [-1e6, 1e6])
def test_a_clock_that_jumps_does_not_kill_a_live_run(live, monkeypatch, shift):
    run_dir, _ = live
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + shift)

    async def steps(pilot):
        await until(pilot, lambda: pilot.app.runs)
        await pilot.pause(2)
        assert pilot.app.runs[0].status.state == "running"

    drive(run_dir, steps)


def test_nothing_in_a_folder_commands_the_terminal(tmp_path):
    evil = "a\x1b[2Jb\x9bc\u202ed"
    path = write_run(tmp_path, "a", [record(0), record(10)], experiment={"dataset": evil, "loss": evil})
    (path / "log.txt").write_text(f"last words {evil}\n")
    status = json.loads((path / "status.json").read_text())
    (path / "status.json").write_text(json.dumps(status | {"state": "failed", "message": evil}))
    config = json.loads((path / "config.json").read_text())
    (path / "config.json").write_text(json.dumps(config | {"command": evil, "dataset": {"class_names": [evil] * 3}}))
    path.rename(tmp_path / evil)

    async def steps(pilot):
        app = pilot.app
        await until(pilot, lambda: len(app.runs) == 1)
        await until(pilot, lambda: "a�[2Jb�c�d" in text(app))
        seen = text(app)
        await open_run(pilot, evil)
        app.notify(evil, markup=False)
        await pilot.pause(0.3)
        seen += text(app)
        assert "failed" in seen
        assert not set(seen) & set("\x1b\x9b\u202e")

    drive(tmp_path, steps, size=(200, 60))


def test_a_launch_does_not_push_the_numbers_aside(demo):
    async def steps(pilot):
        app = pilot.app
        await until(pilot, lambda: len(app.runs) > 5)
        assert text(app).splitlines()[1].rstrip().endswith("age")  # no column is beside the screen
        before = [column.get_render_width(app.screen.table) for column in app.screen.table.columns.values()]
        app.launcher.jobs = 0
        app.launch([["train", "--loss", "ce", "--dataset", "a-very-long-name-of-a-data-set.npz", "--corrupt", "0.25"]])
        await until(pilot, lambda: "… queued" in text(app))
        assert "19.5%" in text(app)
        await pilot.press("ctrl+home", "x")
        await until(pilot, lambda: "… queued" not in text(app))
        after = [column.get_render_width(app.screen.table) for column in app.screen.table.columns.values()]
        assert after == before

    (demo / "ce-clean").rename(demo / "ce-clean-of-a-name-that-is-too-long-for-this-table")
    drive(demo, steps, size=(120, 30))


def test_stopping_asks_and_a_second_key_stops_nothing_else(live):
    run_dir, process = live

    async def steps(pilot):
        app = pilot.app
        app.launcher.jobs = 0
        await until(pilot, lambda: any(run.status.state == "running" for run in app.runs))
        app.launch([["toy", "sc"]])
        await until(pilot, lambda: "… queued" in text(app))
        await pilot.press("ctrl+home", "x")
        await until(pilot, lambda: "… queued" not in text(app))
        await pilot.press("x")
        await until(pilot, lambda: "Stop live?" in text(app))
        await pilot.press("escape")
        await pilot.pause(0.5)
        assert process.poll() is None

    drive(run_dir, steps)


def test_a_launch_that_is_starting_is_stopped_after_a_question(tmp_path):
    async def steps(pilot):
        app = pilot.app
        launch = app.launcher.submit(["toy", "sc"])
        launch.state = "starting"
        launch.process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
        app.screen.show(app.runs, app.launcher.launches)
        await until(pilot, lambda: "… starting" in text(app))
        await pilot.press("x")
        await until(pilot, lambda: "It is starting" in text(app))
        assert launch.process.poll() is None
        await pilot.press("y")
        await until(pilot, lambda: launch.process.poll() is not None)

    drive(tmp_path, steps)


def test_metrics_lines_that_cannot_be_read_are_counted(tmp_path):
    path = write_run(tmp_path, "torn", [record(0), record(10)])
    with open(path / "metrics.jsonl", "a") as file:
        file.write('not json\n[1, 2]\n{"iteration": 20, "loss": 1}\n')

    async def steps(pilot):
        await open_run(pilot, "torn")
        assert "2 metrics lines are damaged" in text(pilot.app)

    drive(tmp_path, steps)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_an_end_that_is_asked_for_leaves_nothing_behind(number, tmp_path):
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ |= {"TERM": "xterm-256color", "TMPDIR": str(tmp_path)}
        os.execv(sys.executable, [sys.executable, "-m", "simplexlab", "tui", "--demo"])
    seen = b""
    while b"sorted" not in seen:
        seen += os.read(terminal, 65536)
    assert list(tmp_path.glob("simplexlab-demo-*"))
    os.kill(pid, number)
    with contextlib.suppress(OSError):
        while part := os.read(terminal, 65536):
            seen += part
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == 128 + number
    assert b"\x1b[?1049l" in seen  # the screen is as it was
    assert not list(tmp_path.glob("simplexlab-demo-*"))


@pytest.mark.parametrize(
    ("terminal", "encoding", "plain"),
    [
        ("xterm-256color", "utf-8", False),
        ("linux", "utf-8", True),
        ("dumb", "UTF-8", True),
        ("xterm", "iso8859-1", True),
        ("xterm", None, True),
    ],
)
def test_poor_terminals_are_plain_by_themselves(terminal, encoding, plain, monkeypatch):
    monkeypatch.setenv("TERM", terminal)
    monkeypatch.delenv("LC_ALL", raising=False)
    monkeypatch.setattr(sys, "__stdout__", types.SimpleNamespace(encoding=encoding))
    assert needs_plain() == plain
    monkeypatch.setenv("LC_ALL", "C")
    assert needs_plain()


def test_runs_that_are_started_keep_the_threads_that_their_user_wants(monkeypatch):
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    import_numpy()
    assert "OPENBLAS_NUM_THREADS" not in os.environ
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "3")
    import_numpy()
    assert os.environ["OPENBLAS_NUM_THREADS"] == "3"


def test_a_run_that_comes_to_fit_is_told(tmp_path):
    write_run(tmp_path, "slow", [record(0, 1.0, 0.5)], state="running")

    async def steps(pilot):
        app = pilot.app
        await until(pilot, lambda: app.runs)
        running = dataclasses.replace(app.runs[0], status=dataclasses.replace(app.runs[0].status, state="running"))
        app._tell_fits([running])
        app._tell_fits([dataclasses.replace(running, metrics=record(30, 0.1, 0.0))])
        await until(pilot, lambda: "slow fits its labels at iteration 30" in text(app))

    drive(tmp_path, steps)


def test_a_loss_without_a_bound_is_shown(tmp_path):
    lines = [record(at, 1 / (at + 1), bound=None, excess=None, bound_is_exact=None) for at in (0, 10, 20)]
    write_run(tmp_path, "free", lines, experiment={"loss": "my_loss.py"})
    write_run(tmp_path, "other", lines, experiment={"loss": "sc"})

    async def steps(pilot):
        app = pilot.app
        await until(pilot, lambda: len(app.runs) == 2)
        row = next(line for line in text(app).splitlines() if "✓ finished free " in line)
        cells = [word for word in row.split("20", 1)[1].split() if not set(word) <= set("▁▂▃▄▅▆▇█")]  # no curves
        assert cells[:2] == ["50.0%", "–"]
        await open_run(pilot, "free")
        assert "no bound is known for this loss" in " ".join(text(app).replace("│", " ").split())
        for key in "12345678":
            await pilot.press(key, "i", "escape")
        await pilot.press("escape")
        app.compare(app.runs)
        await until(pilot, lambda: getattr(app.screen, "_drawn", None) is not None)
        await pilot.press("escape")
        app.duel(app.runs)
        await until(pilot, lambda: "neither has fitted" in text(app))

    drive(tmp_path, steps)


def test_a_run_is_resumed_once(tmp_path):
    write_run(tmp_path, "one", [record(0)], state="stopped")

    async def steps(pilot):
        app = pilot.app
        await until(pilot, lambda: app.runs)
        app.resume_runs(app.runs)
        app.resume_runs(app.runs)
        await until(pilot, lambda: "about to go on already" in text(app))
        assert [launch.arguments[:2] for launch in app.launcher.launches] == [["resume", "one"]]

    drive(tmp_path, steps, jobs=0)


def test_a_frame_whose_metrics_line_is_lost_says_so(tmp_path):
    path = write_run(tmp_path, "one", [record(0), record(10), record(20)])
    lines = (path / "metrics.jsonl").read_text().splitlines(keepends=True)
    (path / "metrics.jsonl").write_text(lines[0] + "garbage\n" + lines[2])

    async def steps(pilot):
        await open_run(pilot, "one")
        screen = pilot.app.screen
        assert screen.feed.frames == [0, 10, 20]
        screen.slider.go_to(10)
        await until(pilot, lambda: screen.at == 10 and screen.query_one("#loss", Panel).meaning == explain.LOST)
        screen.slider.go_to(20)
        await until(pilot, lambda: "above its bound" in screen.query_one("#loss", Panel).meaning)

    drive(tmp_path, steps)


def test_a_run_that_is_about_to_go_on_is_not_deleted_under_it(tmp_path):
    for name in ("one", "two"):
        write_run(tmp_path, name, [record(0)], state="stopped")

    async def steps(pilot):
        app = pilot.app
        await until(pilot, lambda: len(app.runs) == 2)
        runs = sorted(app.runs, key=lambda run: run.name)
        app.resume_runs(runs)
        waiting, starting = app.launcher.launches
        starting.state = "starting"
        starting.process = types.SimpleNamespace(pid=-1, poll=lambda: None)
        assert app.delete_runs(runs) == runs[:1]
        await until(pilot, lambda: "two is about to go on; stop it first" in text(app))
        assert waiting not in app.launcher.launches
        assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == ["two"]

    drive(tmp_path, steps, jobs=0)
