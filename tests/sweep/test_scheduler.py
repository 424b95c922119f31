"""A sweep on dask.distributed: real worker processes, which train with the fake worker."""

import contextlib
import dataclasses
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from fake_worker import DIE, DIVERGE, FAIL, FINISH, LINGER

from simplexlab.config import Experiment
from simplexlab.errors import RunError, UsageError
from simplexlab.runs import RunWriter, read_run
from simplexlab.sweep import Grid, Placement, SweepFolder, runs_of, scheduler
from simplexlab.sweep.scheduler import Wish, execute_on, parse_scheduler

distributed = pytest.importorskip("distributed")
FAKE = "fake_preload"  # a module beside this one, which dask's workers import
OF_FAKES = {
    "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)]),
    "DASK_DISTRIBUTED__WORKER__PRELOAD": f'["{FAKE}"]',
}
ENDED_WELL = {"finished", "diverged"}


@contextlib.contextmanager
def workers(count):
    with distributed.LocalCluster(
        n_workers=count,
        threads_per_worker=1,
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",
        worker_dashboard_address="127.0.0.1:0",
        silence_logs="CRITICAL",
    ) as cluster:
        yield cluster


@pytest.fixture(scope="module", autouse=True)
def _fake_workers(tmp_path_factory):
    import dask

    scratch = str(tmp_path_factory.mktemp("dask"))
    with dask.config.set({"temporary-directory": scratch, "distributed.worker.preload": [FAKE]}):
        yield


@pytest.fixture(scope="module")
def cluster():
    with workers(2) as cluster:
        yield cluster


@pytest.fixture
def address(cluster):
    cluster.wait_for_workers(2, timeout=30)
    return cluster.scheduler_address


def make(path, seeds, corruptions=(0.0, 0.5)):
    return SweepFolder.write(path, Grid(("ce",), corruptions, seeds).experiments(), "simplexlab sweep …")


def do(address, sweep, where=Wish("cpu", 1), **options):  # noqa: B008
    events = execute_on(address, sweep, list(sweep.experiments.values()), where, **options)
    return {event.name: event.state for event in events}


def attempts(sweep, name):
    return (sweep.path / name / "attempts").read_text().splitlines()


def when_started(sweep, act):
    """A function for `poll` that acts once, when each run of the sweep has begun."""

    def poll():
        if not done and all((sweep.path / name / "attempts").exists() for name in sweep.experiments):
            done.append(True)
            act()

    done = []
    return poll


def dask_worker_of(sweep, name):
    """The dask worker that does a run: the parent of the process that trains it."""
    trainer = int(attempts(sweep, name)[0].split()[0])
    return int(Path(f"/proc/{trainer}/stat").read_text().rpartition(")")[2].split()[1])


def test_each_run_is_done_once_and_what_fails_does_not_keep_the_others(address, tmp_path):
    sweep = make(tmp_path, (FAIL, DIE, DIVERGE, FINISH))
    events = []
    states = do(address, sweep, report=events.append)
    wanted = {FAIL: "failed", DIE: "failed", DIVERGE: "diverged", FINISH: "finished"}
    assert states == {name: wanted[run.seed] for name, run in sweep.experiments.items()}
    messages = {event.name: event.message for event in events if event.state != "started"}
    assert (messages["ce-0-s1"], messages["ce-0-s2"]) == ("as asked", "its process ended with signal 9")
    assert [event.state for event in events].count("started") == 8
    assert {len(attempts(sweep, name)) for name in sweep.experiments} == {1}
    # What failed is tried again; the rest stays.
    assert {name for name, state in do(address, sweep).items() if state in ENDED_WELL} == {
        name for name, run in sweep.experiments.items() if run.seed in (FINISH, DIVERGE)
    }
    assert len(attempts(sweep, "ce-0-s0")) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="finds the parent of a process in /proc")
def test_a_killed_worker_s_run_goes_on_elsewhere(address, tmp_path):
    sweep = make(tmp_path, (LINGER,), (0.0,))
    events = []

    def kill():
        os.kill(dask_worker_of(sweep, "ce-0-s3"), signal.SIGKILL)

    assert do(address, sweep, report=events.append, poll=when_started(sweep, kill)) == {"ce-0-s3": "finished"}
    assert len(attempts(sweep, "ce-0-s3")) == 2
    assert [event.state for event in events] == ["started", "started", "finished"]
    assert events[1].message.startswith("its worker was lost; it goes on at tcp://127.0.0.1:")


def test_workers_that_close_hand_their_runs_on(cluster, address, tmp_path):
    sweep = make(tmp_path, (LINGER,), (0.0,))

    def replace_workers():
        old = set(cluster.scheduler_info["workers"])
        cluster.scale(0)
        deadline = time.monotonic() + 30
        while old & set(cluster.scheduler_info["workers"]) and time.monotonic() < deadline:
            time.sleep(0.1)
        cluster.scale(2)

    assert do(address, sweep, poll=when_started(sweep, replace_workers)) == {"ce-0-s3": "finished"}
    assert len(attempts(sweep, "ce-0-s3")) == 2


def test_two_schedulers_over_one_folder_do_each_run_once(address, tmp_path):
    sweep = make(tmp_path, (FINISH,), tuple(i / 20 for i in range(20)))
    other = {}
    thread = threading.Thread(target=lambda: other.update(do(address, sweep)))
    thread.start()
    own = do("local", SweepFolder(tmp_path), Placement(1, 1, "cpu"))
    thread.join()
    assert [len(attempts(sweep, name)) for name in sweep.experiments] == [1] * 20
    assert set(own.values()) | set(other.values()) <= {"finished", "busy"}
    assert {run.status.state for run in runs_of(sweep)} == {"finished"}


def test_the_command_writes_the_table_of_its_shard(address, simplexlab, tmp_path):
    words = ["--losses", "ce", "--corruptions", "0,0.5,0.75", "--seeds", "1", "--devices", "cpu", "--shard", "1/2"]
    code, out, err = simplexlab("sweep", *words, "--run-dir", tmp_path / "s", "--scheduler", address, "--json")
    record = json.loads(out)
    assert (code, record["runs"], record["finished"]) == (0, 3, 2)
    assert [row["state"] for row in record["rows"]] == ["finished", "missing", "finished"]
    assert sorted(line.split(" in ")[0].split(" ", 1)[1] for line in err.splitlines()) == [
        "ce-0-s0 finished",
        "ce-0.75-s0 finished",
    ]


def test_an_interrupt_stops_the_runs_cleanly_and_they_go_on_later(address, tmp_path):
    sweep = make(tmp_path, (LINGER,), (0.0, 0.5))
    waiting = make(tmp_path, (LINGER,), (0.0, 0.5, 0.75))

    def interrupt():
        raise KeyboardInterrupt

    events = []
    with pytest.raises(KeyboardInterrupt):
        do(address, waiting, report=events.append, poll=when_started(sweep, interrupt))
    assert sorted((event.name, event.state) for event in events) == [
        (name, state) for name in sweep.experiments for state in ("started", "stopped")
    ]
    assert [run.status.state for run in runs_of(waiting)] == ["stopped", "stopped", "missing"]
    assert set(do(address, sweep).values()) == {"finished"}


def test_ctrl_c_in_the_terminal_stops_local_workers(tmp_path):
    """Ctrl-C reaches dask's processes too."""
    sweep = make(tmp_path, (LINGER,), (0.0,))
    command = [sys.executable, "-m", "simplexlab", "sweep", "--run-dir", str(tmp_path), "--scheduler", "local:1"]
    environment = os.environ | OF_FAKES
    process = subprocess.Popen(
        [*command, "--devices", "cpu"], stderr=subprocess.PIPE, text=True, start_new_session=True, env=environment
    )
    deadline = time.monotonic() + 60
    while not (sweep.path / "ce-0-s3" / "attempts").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130, told
    assert told.splitlines()[-1].startswith("simplexlab: interrupted; 0 of the 1 runs of ")
    assert "Traceback" not in told
    assert read_run(sweep.path / "ce-0-s3").status.state == "stopped"


def test_a_killed_scheduler_is_told_and_its_runs_stop(tmp_path):
    sweep = make(tmp_path / "sweep", (LINGER,), (0.0,))
    file = tmp_path / "scheduler.json"
    common = ["--scheduler-file", str(file), "--host", "127.0.0.1", "--dashboard-address", "127.0.0.1:0"]
    environment = os.environ | OF_FAKES
    with contextlib.ExitStack() as stack:

        def start(*words):
            process = stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-m", *words, *common],
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    cwd=tmp_path,
                    env=environment,
                )
            )
            stack.callback(process.kill)
            return process

        of_dask = start("distributed.cli.dask_scheduler", "--port", "0")
        start("distributed.cli.dask_worker", "--no-nanny", "--nthreads", "1")
        deadline = time.monotonic() + 30
        while not file.exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        address = json.loads(file.read_text())["address"]
        with pytest.raises(RunError, match="lost the scheduler"):
            do(address, sweep, poll=when_started(sweep, of_dask.kill))
        while (state := read_run(sweep.path / "ce-0-s3").status.state) == "running" and time.monotonic() < deadline:
            time.sleep(0.1)
    assert state == "stopped"


class TestUnfitWorkers:
    def test_one_of_another_version(self, address, tmp_path, monkeypatch):
        monkeypatch.setattr(scheduler, "__version__", "9.9")
        with pytest.raises(RunError, match=r"the worker tcp://\S+ has simplexlab [\d.]+\w*, this is 9\.9; install the"):
            do(address, make(tmp_path, (FINISH,)))

    def test_one_without_simplexlab(self, address, tmp_path, monkeypatch):
        monkeypatch.setattr(distributed.Client, "run", lambda *_, **__: {"tcp://far:1": None})
        with pytest.raises(RunError, match=r"the worker tcp://far:1 has no simplexlab, this is .*; install the same"):
            do(address, make(tmp_path, (FINISH,)))

    def test_one_that_does_not_see_the_sweep_folder(self, address, tmp_path):
        sweep = make(tmp_path, (FINISH,))
        sweep.created = "another one was made then"
        with pytest.raises(RunError, match=f"does not see the sweep folder {tmp_path}; it must be on a disk that all"):
            do(address, sweep)

    def test_one_that_does_not_see_the_data(self, address, tmp_path, monkeypatch):
        sweep = make(tmp_path / "sweep", (FINISH,))
        sweep.experiments = {
            name: dataclasses.replace(run, dataset="images.npz") for name, run in sweep.experiments.items()
        }
        monkeypatch.setattr(os, "getcwd", lambda: "/nowhere/at/all")
        with pytest.raises(RunError, match="does not see /nowhere/at/all, to which the path of the data is relative"):
            do(address, sweep)

    def test_one_that_comes_late_tells_it_in_its_task(self, address, tmp_path, monkeypatch):
        monkeypatch.setattr(scheduler, "_check_workers", lambda *_: None)
        sweep = make(tmp_path, (FINISH,))
        sweep.created = "another one was made then"
        with pytest.raises(RunError, match=r"the worker tcp://\S+ does not see the sweep folder"):
            do(address, sweep)

    def test_one_that_lacks_the_device(self, address, tmp_path):
        sweep = make(tmp_path, (FINISH,))
        with pytest.raises(RunError, match=r"the worker tcp://\S+: --devices gpu:7: TensorFlow sees \d+ GPU"):
            do(address, sweep, Wish("gpu:7", 1))


def test_the_run_of_a_lost_machine_is_taken_when_its_heartbeat_is_old(tmp_path):
    """A run that another machine wrote says `running` for ever; one that is alive is waited for."""
    with RunWriter.create(tmp_path, "a", {"kind": "train"}, total=10) as writer:
        writer._status["host"] = "elsewhere"
        writer.set_status("running", 3)
        slot = scheduler.Slot(Placement(1, 1, "cpu"), 0)
        seen = []
        waiting = threading.Thread(target=lambda: seen.append(scheduler._when_ended(tmp_path / "a", slot)))
        waiting.start()
        time.sleep(0.5)
        assert not seen
        writer._closed.set()  # no further heartbeat
        writer._heartbeat.join()
        status = tmp_path / "a" / "status.json"
        text = status.read_text()
        begin = text.index('"heartbeat": ') + len('"heartbeat": ')
        status.write_text(text[:begin] + "1.0" + text[text.index(",", begin) :])
        waiting.join(10)
        assert [run.status.state for run in seen] == ["failed"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("local", ("local", None)),
        ("local:4", ("local", 4)),
        ("tcp://gpu-7.lab:8786", ("tcp://gpu-7.lab:8786", None)),
        ("tls://[::1]:8786", ("tls://[::1]:8786", None)),
    ],
)
def test_what_scheduler_takes(text, found):
    assert parse_scheduler(text) == found


@pytest.mark.parametrize(
    "text", ["", "local:", "local:0", "local:x", "localhost:8786", "tcp://host", "tcp://:1", "a b"]
)
def test_what_scheduler_does_not_take(text):
    with pytest.raises(UsageError, match="tcp://HOST:8786, or local:4"):
        parse_scheduler(text)


def test_without_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(UsageError, match=r"pip install 'simplexlab\[cluster\]'"):
        parse_scheduler("local")


def test_no_scheduler_answers(simplexlab, tmp_path, monkeypatch):
    monkeypatch.setattr(scheduler, "CONNECT_SECONDS", 0.5)
    words = ["--losses", "ce", "--devices", "cpu", "--run-dir", tmp_path / "s", "--scheduler", "tcp://127.0.0.1:1"]
    code, out, err = simplexlab("sweep", *words)
    assert (code, out) == (1, "")
    assert err == "simplexlab: no dask scheduler answers at tcp://127.0.0.1:1; `dask scheduler` starts one\n"


PAGE = Path(__file__).parents[2] / "docs" / "scale.md"
NEEDS = re.compile(r"# needs (a|several|an) ")


def commands_of_the_page():
    blocks = re.findall(r"```(?:sh|python)\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert blocks
    return [block for block in blocks if not NEEDS.search(block)]


@pytest.mark.skipif(shutil.which("bash") is None, reason="the page's commands are for a shell")
@pytest.mark.parametrize("block", commands_of_the_page())
def test_the_commands_of_the_page_run(tmp_path, block):
    """All that are not marked as needing what a test has not; with the fake worker."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, module in (("simplexlab", "simplexlab"), ("dask", "dask")):
        program = programs / name
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m {module} "$@"\n')
        program.chmod(0o755)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
    environment = os.environ | OF_FAKES
    environment |= {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}", "DASK_TEMPORARY_DIRECTORY": str(tmp_path)}
    done = subprocess.run(
        ["bash", "-ec", block.replace("8786", port)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    (sweep,) = map(SweepFolder, tmp_path.glob("sweeps/*"))
    assert {run.status.state for run in runs_of(sweep)} == {"finished"}


def test_the_scheduler_needs_no_simplexlab():
    """It reads the graph of tasks."""
    cloudpickle = pytest.importorskip("cloudpickle")
    code = "import pickle, sys; sys.modules['simplexlab'] = None; print(pickle.load(sys.stdin.buffer).__name__)"
    sent = cloudpickle.dumps(scheduler._task())
    done = subprocess.run([sys.executable, "-c", code], input=sent, capture_output=True, check=True)
    assert done.stdout == b"task\n"
    with pytest.raises(subprocess.CalledProcessError):
        subprocess.run(
            [sys.executable, "-c", code], input=cloudpickle.dumps(scheduler.do_run), capture_output=True, check=True
        )


def test_paths_that_are_relative():
    runs = [Experiment(dataset="digits"), Experiment(dataset="/data/a.npz"), Experiment(data_dir="~/tfds")]
    assert not scheduler._relative(runs)
    assert scheduler._relative([*runs, Experiment(dataset="a.npz")])
    assert scheduler._relative([*runs, Experiment(dataset="./a")])
    assert scheduler._relative([*runs, Experiment(data_dir="tfds")])
