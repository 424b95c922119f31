import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from simplexlab.errors import RunError, UsageError
from simplexlab.runs import RunWriter, default_name, list_geometry, read_geometry, read_labels, read_metrics, read_run
from simplexlab.runs import write as write_module
from simplexlab.runs.folder import Locked, take_lock

CONFIG = {"kind": "train", "experiment": {"loss": "ce"}}


def run_python(code: str, *arguments, **options) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options
    )


ENDLESS_RUN = """
import sys, time
from simplexlab.runs import RunWriter
writer = RunWriter.create(sys.argv[1], sys.argv[2], {"kind": "train"}, total=10)
writer.log_metrics({"iteration": 3})
writer.set_status("running", 4)
print("ready", flush=True)
time.sleep(60)
"""


@pytest.fixture
def endless_run(tmp_path):
    """A run that another process is writing, and that process."""
    process = run_python(ENDLESS_RUN, tmp_path, "endless")
    assert process.stdout.readline() == b"ready\n", process.stderr.read()
    yield tmp_path / "endless", process
    process.kill()
    process.communicate()


@pytest.fixture
def writer(tmp_path):
    with RunWriter.create(tmp_path, "run", CONFIG, total=10) as writer:
        yield writer


def names_in(path):
    return sorted(os.listdir(path))


class TestCreate:
    def test_the_folder_says_what_it_is(self, tmp_path):
        with RunWriter.create(tmp_path / "deep" / "runs", "a", CONFIG, total=7) as writer:
            assert writer.path == tmp_path / "deep" / "runs" / "a"
            assert json.loads((writer.path / "config.json").read_text()) == {"format": 1, **CONFIG}
            status = json.loads((writer.path / "status.json").read_text())
            assert (status["state"], status["iteration"], status["total"]) == ("running", 0, 7)
            assert (status["pid"], status["host"]) == (os.getpid(), socket.gethostname())
            assert abs(status["heartbeat"] - time.time()) < 10
            for path in (writer.checkpoints_path, writer.tensorboard_path, writer.log_path):
                assert path.parent == writer.path

    @pytest.mark.parametrize(
        "name",
        [
            "",
            ".",
            "..",
            "../up",
            "a/b",
            "/abs",
            "a\\b",
            ".hidden",
            "-flag",
            "a\0b",
            "a\nb",
            "n" * 300,
            "é" * 101,
            "\ud800",
        ],
    )
    def test_a_name_that_is_no_folder_name_is_refused(self, tmp_path, name):
        with pytest.raises(UsageError, match="plain folder name"):
            RunWriter.create(tmp_path / "runs", name, CONFIG, total=1)
        assert names_in(tmp_path) == []

    def test_a_name_that_exists_is_refused_and_another_named(self, tmp_path):
        RunWriter.create(tmp_path, "a", CONFIG, total=1).close()
        before = (tmp_path / "a" / "config.json").read_bytes()
        with pytest.raises(UsageError, match=r"exists already in .*; choose another with --name, for example a-2"):
            RunWriter.create(tmp_path, "a", {}, total=1)
        assert (tmp_path / "a" / "config.json").read_bytes() == before

    def test_a_name_can_be_tried_before(self, tmp_path):
        RunWriter.check_free(tmp_path / "runs", "a")
        assert names_in(tmp_path) == []
        RunWriter.create(tmp_path, "a", CONFIG, total=1).close()
        with pytest.raises(UsageError, match="exists already"):
            RunWriter.check_free(tmp_path, "a")
        (tmp_path / "b").mkdir()
        RunWriter.check_free(tmp_path, "b")

    def test_of_two_at_once_one_gets_the_name(self, tmp_path):
        def create(_):
            try:
                return RunWriter.create(tmp_path, "same", CONFIG, total=1)
            except UsageError:
                return None

        with ThreadPoolExecutor(8) as pool:
            writers = [writer for writer in pool.map(create, range(8)) if writer]
        assert len(writers) == 1
        writers[0].close()

    def test_what_a_killed_process_left_of_a_new_folder_does_not_take_the_name(self, tmp_path):
        (tmp_path / "a").mkdir()
        (tmp_path / "a" / ".lock").touch()
        (tmp_path / "a" / ".0123456789abcdef.tmp").touch()
        with RunWriter.create(tmp_path, "a", CONFIG, total=1) as writer:
            assert read_run(writer.path).status.state == "running"
        (tmp_path / "b").mkdir()
        (tmp_path / "b" / "notes.txt").touch()
        with pytest.raises(UsageError, match="exists already"):
            RunWriter.create(tmp_path, "b", CONFIG, total=1)

    def test_numbered_names_are_all_different(self, tmp_path):
        with ThreadPoolExecutor(8) as pool:
            writers = list(pool.map(lambda _: RunWriter.create(tmp_path, "s", {}, total=1, numbered=True), range(8)))
        assert sorted(writer.name for writer in writers) == ["s", *(f"s-{number}" for number in range(2, 9))]
        for writer in writers:
            writer.close()

    def test_default_name_takes_the_first_free_one(self, tmp_path):
        assert default_name(tmp_path / "missing", "ce") == "ce"
        (tmp_path / "ce").mkdir()
        (tmp_path / "ce-2").touch()
        assert default_name(tmp_path, "ce") == "ce-3"

    @pytest.mark.parametrize("stem", ["", "..", "../x/y.npz", "-a b\n", ".x", "a" * 1000, "\ud800", "\0"])
    def test_default_name_is_always_a_name(self, tmp_path, stem):
        RunWriter.create(tmp_path, default_name(tmp_path, stem), {}, total=1).close()

    def test_a_run_dir_that_is_a_file_is_refused(self, tmp_path):
        (tmp_path / "file").touch()
        for run_dir in (tmp_path / "file", tmp_path / "file" / "below"):
            with pytest.raises(UsageError, match="is not a folder"):
                RunWriter.create(run_dir, "a", CONFIG, total=1)

    def test_a_folder_that_cannot_be_made_is_told_in_one_line(self):
        with pytest.raises(RunError, match="cannot make the"):
            RunWriter.create("/proc/no-runs-here", "a", CONFIG, total=1)

    def test_a_config_that_json_cannot_hold_leaves_nothing(self, tmp_path):
        with pytest.raises(TypeError, match=r"experiment\.loss"):
            RunWriter.create(tmp_path / "runs", "a", {"experiment": {"loss": object()}}, total=1)
        assert names_in(tmp_path) == []


class TestRecords:
    def test_metrics_are_lines_and_non_finite_numbers_null(self, writer):
        writer.log_metrics({"iteration": 1, "loss": np.float32(0.5), "flag": np.True_, "rows": np.arange(2)})
        writer.log_metrics({"iteration": 2, "loss": float("nan"), "q": {"mean": np.inf, "all": [1.0, -np.inf]}})
        lines = (writer.path / "metrics.jsonl").read_text().splitlines()
        assert json.loads(lines[0]) == {"iteration": 1, "loss": 0.5, "flag": True, "rows": [0, 1]}
        assert json.loads(lines[1]) == {
            "iteration": 2,
            "loss": None,
            "q": {"mean": None, "all": [1.0, None]},
            "non_finite": ["loss", "q.mean", "q.all.1"],
        }

    def test_numbers_keep_every_bit(self, writer):
        value = 0.1 + 2**-54
        writer.log_metrics({"iteration": 1, "loss": value, "other": np.float64(1 / 3)})
        assert read_metrics(writer.path) == [{"iteration": 1, "loss": value, "other": 1 / 3}]

    def test_what_json_cannot_hold_is_refused_and_nothing_written(self, writer):
        with pytest.raises(TypeError, match=r"a\.b is of type object"):
            writer.log_metrics({"a": {"b": object()}})
        assert read_metrics(writer.path) == []

    def test_labels_round_trip(self, writer):
        writer.save_labels(np.array([2, 0, 1], np.int32), np.array([1]), np.array([2, 1, 1], np.int32))
        labels, flipped = read_labels(writer.path)
        assert labels.dtype == np.int32
        assert labels.tolist() == [2, 0, 1]
        assert flipped.tolist() == [1]
        with np.load(writer.path / "labels.npz") as arrays:
            assert arrays["clean"].tolist() == [2, 1, 1]

    def test_geometry_round_trips_in_the_order_of_iterations(self, writer):
        for iteration in (100, 9, 123_456_789):
            writer.save_geometry(iteration, class_means=np.full((2, 3), iteration, np.float32))
        assert (writer.path / "geometry" / "00000009.npz").exists()
        assert list_geometry(writer.path) == [9, 100, 123_456_789]
        assert read_geometry(writer.path, 100)["class_means"].tolist() == np.full((2, 3), 100.0).tolist()

    def test_geometry_takes_no_objects(self, writer):
        with pytest.raises(TypeError, match="pickled"):
            writer.save_geometry(1, bad=np.array([{}], object))
        assert list_geometry(writer.path) == []

    def test_result_round_trips(self, writer):
        writer.save_result({"run": "run", "excess": np.float64(0.25), "bound": float("inf")})
        assert read_run(writer.path).result == {"run": "run", "excess": 0.25, "bound": None}

    def test_no_temporary_file_stays(self, writer):
        writer.save_result({})
        writer.save_geometry(1, a=np.zeros(1))
        assert not list(writer.path.rglob("*.tmp*"))


class TestStatus:
    def test_set_status_is_seen_at_once(self, writer):
        writer.set_status("running", 5, "two\nlines")
        status = read_run(writer.path).status
        assert (status.state, status.iteration, status.message) == ("running", 5, "two lines")
        writer.set_status("finished", 10)
        assert read_run(writer.path).status.message is None

    def test_an_unknown_state_is_refused(self, writer):
        with pytest.raises(ValueError, match="queued, running"):
            writer.set_status("done")

    def test_progress_reaches_readers_with_the_heartbeat(self, tmp_path, monkeypatch):
        monkeypatch.setattr(write_module, "HEARTBEAT_SECONDS", 0.02)
        with RunWriter.create(tmp_path, "a", CONFIG, total=10) as writer:
            before = read_run(writer.path).status
            writer.progress(6)
            time.sleep(0.3)
            after = read_run(writer.path).status
        assert after.iteration == 6
        assert after.sequence > before.sequence + 2
        assert after.heartbeat > before.heartbeat

    def test_nothing_is_written_after_close(self, tmp_path, monkeypatch):
        monkeypatch.setattr(write_module, "HEARTBEAT_SECONDS", 0.01)
        writer = RunWriter.create(tmp_path, "a", CONFIG, total=10)
        writer.close()
        before = (writer.path / "status.json").read_bytes()
        time.sleep(0.1)
        assert (writer.path / "status.json").read_bytes() == before
        writer.close()

    def test_readers_never_see_half_a_status(self, writer):
        stop = threading.Event()
        bad = []

        def read():
            while not stop.is_set():
                try:
                    json.loads((writer.path / "status.json").read_bytes())
                except (OSError, ValueError) as error:
                    bad.append(error)

        thread = threading.Thread(target=read)
        thread.start()
        for iteration in range(300):
            writer.set_status("running", iteration, "x" * (iteration * 7 % 400))
        stop.set()
        thread.join()
        assert not bad

    @pytest.mark.parametrize(
        ("error", "state", "message"),
        [
            (KeyboardInterrupt(), "stopped", "interrupted"),
            (RunError("no space"), "failed", "no space"),
            (ZeroDivisionError(), "failed", "ZeroDivisionError"),
        ],
    )
    def test_an_exception_ends_the_run(self, tmp_path, error, state, message):
        writer = RunWriter.create(tmp_path, "a", CONFIG, total=10)
        writer.set_status("running", 4)
        with pytest.raises(type(error)), writer:
            raise error
        status = read_run(writer.path).status
        assert (status.state, status.iteration, status.message) == (state, 4, message)

    @pytest.mark.parametrize("error", [KeyboardInterrupt(), MemoryError(), ImportError("no memory")])
    @pytest.mark.parametrize("recorded", ["nothing", "a line", "an iteration"])
    def test_of_a_new_run_without_a_record_nothing_is_left(self, tmp_path, error, recorded):
        writer = RunWriter.create(tmp_path / "runs", "a", CONFIG, total=10)
        if recorded == "a line":
            writer.log_metrics({"iteration": 0})
        elif recorded == "an iteration":
            writer.progress(1)
        with pytest.raises(type(error)), writer:
            raise error
        assert names_in(tmp_path) == ([] if recorded == "nothing" else ["runs"])
        if recorded != "nothing":
            with pytest.raises(type(error)), RunWriter.reopen(tmp_path / "runs" / "a"):
                raise error
            assert read_run(tmp_path / "runs" / "a").status.state in ("stopped", "failed")

    def test_an_exception_after_the_end_changes_nothing(self, tmp_path):
        writer = RunWriter.create(tmp_path, "a", CONFIG, total=10)
        writer.set_status("diverged", 4, "the loss is not finite")
        with pytest.raises(RunError), writer:
            raise RunError("diverged")
        assert read_run(writer.path).status.message == "the loss is not finite"

    def test_the_heartbeat_keeps_no_process_alive(self, tmp_path):
        code = ENDLESS_RUN.replace("time.sleep(60)", "")
        began = time.monotonic()
        process = run_python(code, tmp_path, "short")
        process.communicate(timeout=20)
        assert process.returncode == 0
        assert time.monotonic() - began < 15


class TestDeletedFolder:
    def test_the_heartbeat_is_quiet_and_writes_fail_clearly(self, tmp_path, monkeypatch, recwarn):
        monkeypatch.setattr(write_module, "HEARTBEAT_SECONDS", 0.01)
        writer = RunWriter.create(tmp_path, "a", CONFIG, total=10)
        while writer.path.exists():  # the heartbeat may write while it goes
            write_module.shutil.rmtree(writer.path, ignore_errors=True)
        time.sleep(0.1)
        assert writer._heartbeat.is_alive()
        for write in (
            lambda: writer.log_metrics({"iteration": 1}),
            lambda: writer.save_geometry(1, a=np.zeros(1)),
            lambda: writer.set_status("running", 1),
            lambda: writer.save_result({}),
        ):
            with pytest.raises(RunError, match="the run folder was removed"):
                write()
        writer.close()
        assert not recwarn.list
        assert names_in(tmp_path) == []

    def test_discard_leaves_nothing(self, tmp_path):
        with RunWriter.create(tmp_path / "runs", "a", CONFIG, total=10) as writer:
            writer.save_geometry(0, a=np.zeros(1))
            writer.discard()
        assert names_in(tmp_path) == []

    def test_discard_leaves_other_runs(self, tmp_path):
        RunWriter.create(tmp_path, "a", CONFIG, total=1).close()
        RunWriter.create(tmp_path, "b", CONFIG, total=1).discard()
        assert names_in(tmp_path) == ["a"]


class TestLock:
    def test_a_run_that_is_written_cannot_be_reopened(self, endless_run):
        path, process = endless_run
        with pytest.raises(UsageError, match=f"is being written by process {process.pid}"):
            RunWriter.reopen(path)

    def test_nor_by_the_process_that_writes_it(self, writer):
        with pytest.raises(UsageError, match="is being written"):
            RunWriter.reopen(writer.path)

    def test_a_killed_run_can_be_reopened(self, endless_run):
        path, process = endless_run
        process.send_signal(signal.SIGKILL)
        process.wait()
        with RunWriter.reopen(path) as writer:
            status = read_run(path).status
            assert (status.state, status.iteration, status.total, status.pid) == ("running", 4, 10, os.getpid())
            writer.set_status("finished", 10)
        assert read_run(path).status.state == "finished"

    def test_of_two_that_reopen_at_once_one_gets_the_run(self, tmp_path):
        RunWriter.create(tmp_path, "a", CONFIG, total=1).close()

        def reopen(_):
            try:
                return RunWriter.reopen(tmp_path / "a")
            except UsageError:
                return None

        with ThreadPoolExecutor(4) as pool:
            writers = [writer for writer in pool.map(reopen, range(4)) if writer]
        assert len(writers) == 1
        writers[0].close()

    def test_reopening_waits_out_a_reader(self, tmp_path):
        RunWriter.create(tmp_path, "a", CONFIG, total=1).close()
        reader = take_lock(tmp_path / "a", shared=True)
        threading.Timer(0.1, os.close, [reader]).start()
        RunWriter.reopen(tmp_path / "a").close()

    def test_a_process_that_the_run_started_does_not_hold_the_lock(self, tmp_path):
        writer = RunWriter.create(tmp_path, "a", CONFIG, total=1)
        child = subprocess.Popen(["sleep", "30"], close_fds=False)
        try:
            writer.close()
            os.close(take_lock(writer.path))
        finally:
            child.kill()
            child.wait()

    def test_the_lock_is_exclusive(self, writer):
        for shared in (True, False):
            with pytest.raises(Locked):
                take_lock(writer.path, shared=shared)

    def test_a_run_alive_on_another_machine_cannot_be_reopened(self, tmp_path):
        RunWriter.create(tmp_path, "a", CONFIG, total=1).close()
        path = tmp_path / "a" / "status.json"
        status = json.loads(path.read_text()) | {"host": "elsewhere", "heartbeat": time.time() - 10}
        path.write_text(json.dumps(status))
        with pytest.raises(UsageError, match="on elsewhere"):
            RunWriter.reopen(tmp_path / "a")
        path.write_text(json.dumps(status | {"heartbeat": time.time() - 100}))
        RunWriter.reopen(tmp_path / "a").close()

    def test_where_there_are_no_locks_the_heartbeat_decides(self, tmp_path, monkeypatch):
        def unsupported(*_):
            raise OSError(38, "Function not implemented")

        monkeypatch.setattr("fcntl.flock", unsupported)
        writer = RunWriter.create(tmp_path, "a", CONFIG, total=1)
        assert read_run(writer.path).status.state == "running"
        with pytest.raises(UsageError, match="is being written"):
            RunWriter.reopen(writer.path)
        writer.set_status("stopped")
        writer.close()
        RunWriter.reopen(writer.path).close()


class TestReopen:
    @pytest.mark.parametrize("name", ["missing", "empty"])
    def test_what_is_no_run_is_refused(self, tmp_path, name):
        (tmp_path / "empty").mkdir()
        with pytest.raises(UsageError, match="is not a run folder"):
            RunWriter.reopen(tmp_path / name)
        assert names_in(tmp_path / "empty") == []

    def test_a_newer_format_is_refused(self, tmp_path):
        RunWriter.create(tmp_path, "a", {"format": 99}, total=1).close()
        with pytest.raises(UsageError, match="update simplexlab"):
            RunWriter.reopen(tmp_path / "a")

    def test_rewind_forgets_what_came_later(self, tmp_path):
        with RunWriter.create(tmp_path, "a", CONFIG, total=100) as writer:
            for iteration in (0, 10, 20, 30):
                writer.log_metrics({"iteration": iteration, "seconds": iteration / 7})
                writer.save_geometry(iteration, a=np.zeros(1))
            writer.save_result({"run": "a"})
            writer.set_status("stopped", 30)
        path = tmp_path / "a"
        kept = b"".join((path / "metrics.jsonl").read_bytes().splitlines(keepends=True)[:3])
        with open(path / "metrics.jsonl", "ab") as file:
            file.write(b'{"iteration": 15, "seco')
        (path / ".0123456789abcdef.tmp").touch()
        (path / "geometry" / ".0123456789abcdef.tmp.npz").touch()
        with RunWriter.reopen(path, total=200) as writer:
            writer.rewind(20)
            assert (path / "metrics.jsonl").read_bytes() == kept
            assert list_geometry(path) == [0, 10, 20]
            run = read_run(path)
            assert (run.status.iteration, run.status.total, run.result) == (20, 200, None)
            assert not list(path.rglob("*.tmp*"))
            writer.log_metrics({"iteration": 30})
        assert [record["iteration"] for record in read_metrics(path)] == [0, 10, 20, 30]

    def test_a_run_that_has_yet_to_start_is_at_iteration_0(self, tmp_path):
        with RunWriter.create(tmp_path, "a", CONFIG, total=100) as writer:
            writer.rewind(-1)
            assert read_run(tmp_path / "a").status.iteration == 0

    def test_a_model_is_there_whole_or_not_at_all(self, tmp_path):
        def breaks(path):
            path.write_bytes(b"half")
            raise OSError(28, "No space left on device")

        with RunWriter.create(tmp_path, "a", CONFIG, total=100) as writer:
            before = names_in(writer.path)
            with pytest.raises(RunError, match=r"cannot write .*model.keras: No space left"):
                writer.save_model(breaks)
            assert names_in(writer.path) == before
            writer.save_model(lambda path: path.write_bytes(b"whole"))
            assert (writer.path / "model.keras").read_bytes() == b"whole"
            (writer.path / ".0123456789abcdef.tmp.keras").touch()
        with RunWriter.reopen(tmp_path / "a"):
            assert ".0123456789abcdef.tmp.keras" not in names_in(tmp_path / "a")

    @pytest.mark.parametrize(
        ("refused", "told", "message"),
        [
            (OSError(28, "No space left on device"), RunError, r"cannot write .*model.keras: No space left"),
            (MemoryError(), MemoryError, None),
            (KeyError("x"), ValueError, "closed file"),
        ],
    )
    def test_what_was_refused_is_told_and_not_what_broke_after_it(self, tmp_path, refused, told, message):
        def breaks(path):
            path.write_bytes(b"half")
            try:
                raise refused
            finally:  # as h5py and zipfile do where a file is closed
                raise ValueError("I/O operation on closed file") from None

        with RunWriter.create(tmp_path, "a", CONFIG, total=100) as writer:
            before = names_in(writer.path)
            with pytest.raises(told, match=message):
                writer.save_model(breaks)
            assert names_in(writer.path) == before

    def test_the_sequence_goes_on(self, tmp_path):
        with RunWriter.create(tmp_path, "a", CONFIG, total=1) as writer:
            writer.set_status("stopped")
        before = read_run(tmp_path / "a").status.sequence
        with RunWriter.reopen(tmp_path / "a"):
            assert read_run(tmp_path / "a").status.sequence > before


FILL = """
import sys
import numpy as np
from simplexlab.errors import RunError
from simplexlab.runs import RunWriter

kind, run_dir = sys.argv[1:]
if kind == "limit":
    import resource
    resource.setrlimit(resource.RLIMIT_FSIZE, (6000, 6000))
with RunWriter.create(run_dir, "full", {"kind": "train"}, total=100_000) as writer:
    for iteration in range(100_000):
        if kind == "geometry":
            writer.save_geometry(iteration, a=np.random.default_rng(0).random(3000))
        writer.log_metrics({"iteration": iteration, "padding": "x" * 500})
        writer.set_status("running", iteration)
"""


def on_a_disk_of_its_own(options: str, folder, code: str, *arguments, then: str = "") -> subprocess.CompletedProcess:
    """Run Python with a tmpfs mounted on `folder`, which only it can see, and then a shell command."""
    script = f"""
mount -t tmpfs -o {options} none {folder} || exit 77
{shlex.join([sys.executable, "-c", code, *map(str, arguments)])}
code=$?
{then}
exit $code
"""
    namespace = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script]
    try:
        done = subprocess.run(namespace, capture_output=True, text=True, timeout=60)
    except FileNotFoundError:
        pytest.skip("there is no unshare here")
    if done.returncode == 77 or "unshare:" in done.stderr:
        pytest.skip("no disk can be mounted here")
    return done


def check_full(path, code, error):
    assert code == 1, error
    last = error.strip().splitlines()[-1]
    assert last.startswith("simplexlab.errors.RunError: cannot write "), last
    run = read_run(path)
    assert run.status.state == "failed"
    assert run.status.message.startswith("cannot write ")
    records = read_metrics(path)
    assert len(records) >= 5
    assert [record["iteration"] for record in records] == list(range(len(records)))
    assert (path / "metrics.jsonl").read_bytes().endswith(b"\n")
    assert not list(path.rglob("*.tmp*"))
    return run


class TestFullDisk:
    def test_a_file_that_may_not_grow(self, tmp_path):
        process = run_python(FILL, "limit", tmp_path)
        _, error = process.communicate(timeout=60)
        check_full(tmp_path / "full", process.returncode, error.decode())

    @pytest.mark.parametrize("kind", ["metrics", "geometry"])
    def test_a_small_disk(self, tmp_path, kind):
        disk = tmp_path / "disk"
        disk.mkdir()
        copy = f"cp -r {disk}/full {tmp_path}/full"
        done = on_a_disk_of_its_own("size=256k", disk, FILL, kind, disk, then=copy)
        run = check_full(tmp_path / "full", done.returncode, done.stderr)
        assert "No space left" in run.status.message
        for iteration in list_geometry(tmp_path / "full"):
            assert read_geometry(tmp_path / "full", iteration)["a"].shape == (3000,)

    def test_a_disk_without_any_room(self, tmp_path):
        code = (
            "import sys; from simplexlab.runs import RunWriter;"
            "open(sys.argv[1] + '/filler', 'wb').write(bytes(1 << 16));"
            "RunWriter.create(sys.argv[1], 'a', {}, total=1)"
        )
        done = on_a_disk_of_its_own("size=64k", tmp_path, code, tmp_path, then=f"ls {tmp_path}")
        assert "RunError: cannot write" in done.stderr
        assert "No space left" in done.stderr
        assert done.stdout.split() == ["filler"]

    def test_a_read_only_disk(self, tmp_path):
        code = "import sys; from simplexlab.runs import RunWriter; RunWriter.create(sys.argv[1], 'a', {}, total=1)"
        done = on_a_disk_of_its_own("ro", tmp_path, code, tmp_path)
        assert "RunError: cannot make the run folder" in done.stderr
        assert "Read-only file system" in done.stderr
