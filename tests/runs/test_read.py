import contextlib
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simplexlab.cli import main
from simplexlab.errors import RunError, UsageError
from simplexlab.runs import (
    RunWriter,
    find_run,
    list_geometry,
    list_runs,
    read_geometry,
    read_labels,
    read_log,
    read_metrics,
    read_run,
    sound,
)
from simplexlab.runs import read as read_module
from simplexlab.runs.read import DEAD_MESSAGE
from simplexlab.runs.record import NEEDED_RESULT


@pytest.fixture
def finished(tmp_path):
    """A finished run."""
    with RunWriter.create(tmp_path, "done", {"experiment": {"loss": "sc"}}, total=20) as writer:
        writer.log_metrics({"iteration": 10, "excess": 0.5})
        writer.log_metrics({"iteration": 20, "excess": 0.25})
        writer.save_result({"run": "done", "excess": 0.25})
        writer.set_status("finished", 20)
    return tmp_path / "done"


def edit(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


class TestReadRun:
    def test_all_of_a_finished_run(self, finished):
        run = read_run(finished)
        assert (run.path, run.name) == (finished, "done")
        assert run.config["experiment"] == {"loss": "sc"}
        assert (run.status.state, run.status.iteration, run.status.total) == ("finished", 20, 20)
        assert run.metrics == {"iteration": 20, "excess": 0.25}
        assert run.result == {"run": "done", "excess": 0.25}

    def test_in_brief_a_whole_result_spares_the_metrics(self, finished):
        assert read_run(finished, brief=True).metrics == {"iteration": 20, "excess": 0.25}  # the result lacks most
        whole = {name: 1 for name in NEEDED_RESULT}
        texts = {name: "ce" for name in ("run", "state", "loss", "dataset", "fit_policy")}
        edit(finished / "result.json", **{**whole, **texts, "nonnegative": False, "time_to_fit": None})
        assert read_run(finished, brief=True).metrics is None
        assert list_runs(finished.parent, brief=True)[0].result == read_run(finished).result
        assert read_run(finished).metrics == {"iteration": 20, "excess": 0.25}
        edit(finished / "result.json", excess=[])
        assert read_run(finished, brief=True).metrics == {"iteration": 20, "excess": 0.25}

    def test_the_current_folder_has_a_name(self, finished, monkeypatch):
        monkeypatch.chdir(finished)
        assert read_run(".").name == "done"

    @pytest.mark.parametrize("name", ["missing", "empty", "file", "file/below"])
    def test_what_is_no_run_is_missing(self, tmp_path, name):
        (tmp_path / "empty").mkdir()
        (tmp_path / "file").touch()
        run = read_run(tmp_path / name)
        assert run.status.state == "missing"
        assert (run.config, run.metrics, run.result) == ({}, None, None)

    def test_a_newer_format_is_not_guessed_at(self, finished):
        for file in ("config.json", "status.json"):
            edit(finished / file, format=2)
            status = read_run(finished).status
            assert status.state == "unknown version"
            assert "run format 2" in status.message
            edit(finished / file, format=1)

    def test_unknown_keys_are_passed_over(self, finished):
        edit(finished / "status.json", mood="good")
        assert read_run(finished).status.state == "finished"

    @pytest.mark.parametrize("file", ["config.json", "result.json", "metrics.jsonl"])
    @pytest.mark.parametrize("content", [None, b"", b'{"half', b"[1, 2]", b"\xff\xfe", b"[" * 100_000])
    def test_files_that_cannot_be_read_count_as_missing(self, finished, file, content):
        (finished / file).unlink()
        if content is not None:
            (finished / file).write_bytes(content)
        run = read_run(finished)
        assert run.status.state == "finished"
        assert {"config.json": run.config or None, "result.json": run.result, "metrics.jsonl": run.metrics}[
            file
        ] is None

    @pytest.mark.parametrize("content", [None, b"", b'{"half', b"{}", b'{"state": "sleeping"}', b'{"state": []}'])
    def test_a_status_that_cannot_be_read_leaves_the_lock_to_tell(self, tmp_path, content):
        with RunWriter.create(tmp_path, "a", {}, total=1) as writer:
            (writer.path / "status.json").unlink()
            if content is not None:
                (writer.path / "status.json").write_bytes(content)
            assert read_run(writer.path).status.state == "running"
        assert read_run(writer.path).status.state == "failed"

    @settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(data=st.data())
    def test_no_content_makes_a_reader_fail(self, tmp_path, data):
        values = st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
            max_leaves=6,
        )
        keys = st.sampled_from(
            ["format", "state", "iteration", "total", "pid", "host", "heartbeat", "sequence", "message", "experiment"]
        )
        states = st.sampled_from(["running", "finished", "failed"])
        records = st.fixed_dictionaries({"state": states | values}, optional={}) | st.dictionaries(keys, values)
        content = st.binary(max_size=20) | records.map(lambda record: json.dumps(record).encode())
        for file in ("config.json", "status.json", "result.json", "metrics.jsonl", "log.txt"):
            (tmp_path / file).write_bytes(data.draw(content))
        run = read_run(tmp_path)
        assert isinstance(run.status.state, str)
        assert isinstance(run.status.iteration, int)
        assert isinstance(run.status.heartbeat, float)
        read_metrics(tmp_path)
        read_log(tmp_path)


@contextlib.contextmanager
def without_rights():
    """Within the block this process has no rights but its own: root, who may read everything, is nobody."""
    if os.geteuid():
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


class TestUnreadable:
    @pytest.fixture
    def place(self, tmp_path, monkeypatch):
        """A folder that others may pass, as the current one: the way to it need not be open."""
        tmp_path.chmod(0o755)
        monkeypatch.chdir(tmp_path)
        for name in ("a", "b"):
            with RunWriter.create("runs", name, {}, total=1) as writer:
                writer.set_status("finished", 1)
        yield tmp_path
        for folder in ("runs", "runs/a"):
            os.chmod(folder, 0o755)

    def test_a_folder_is_not_empty(self, place, capsys):
        main(["runs"])  # imports what it needs, which nobody may not
        main(["runs", "show", "a"])
        os.chmod("runs", 0)
        capsys.readouterr()
        with without_rights():
            assert main(["runs"]) == 1
            assert main(["runs", "show", "a"]) == 1
        out, error = capsys.readouterr()
        assert (out, error) == ("", "simplexlab: runs: Permission denied\nsimplexlab: runs/a: Permission denied\n")

    def test_a_run_is_not_missing_nor_damaged(self, place):
        os.chmod("runs/a", 0)
        with without_rights():
            first, second = list_runs("runs")
            with pytest.raises(PermissionError):
                find_run("a")
        assert (first.name, first.status.state) == ("a", "failed")
        assert first.status.message == "status.json cannot be read: Permission denied"
        assert first.damage[0] == "config.json cannot be read: Permission denied"
        assert second.status.state == "finished"
        assert sound([first])[1] == [("a", first.damage[0])]


class TestLiveness:
    def test_a_killed_process_is_a_failed_run(self, tmp_path):
        code = (
            "import sys, time; from simplexlab.runs import RunWriter;"
            "writer = RunWriter.create(sys.argv[1], 'a', {}, total=9); writer.set_status('running', 4);"
            "writer.log_path.write_text('step 4\\nOut of memory\\n\\n');"
            "print('ready', flush=True); time.sleep(60)"
        )
        process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE)
        try:
            process.stdout.readline()
            assert read_run(tmp_path / "a").status.state == "running"
            process.send_signal(signal.SIGSTOP)
            assert read_run(tmp_path / "a").status.state == "running"
        finally:
            # A zombie until it is waited for: dead already, though its number is still taken.
            process.kill()
        deadline = time.monotonic() + 10
        while (status := read_run(tmp_path / "a").status).state == "running" and time.monotonic() < deadline:
            time.sleep(0.01)
        process.communicate()
        assert (status.state, status.iteration) == ("failed", 4)
        assert status.message == f"{DEAD_MESSAGE}; its last words: Out of memory"
        assert read_log(tmp_path / "a") == ["step 4", "Out of memory"]

    def test_a_process_number_that_is_taken_again_changes_nothing(self, finished):
        edit(finished / "status.json", state="running", pid=os.getpid(), heartbeat=time.time())
        status = read_run(finished).status
        assert (status.state, status.message) == ("failed", DEAD_MESSAGE)

    @pytest.mark.parametrize(("age", "state"), [(0, "running"), (50, "running"), (70, "failed"), (-1000, "running")])
    def test_on_another_machine_the_heartbeat_tells(self, finished, age, state):
        edit(finished / "status.json", state="running", host="elsewhere", heartbeat=time.time() - age)
        assert read_run(finished).status.state == state

    def test_on_this_machine_a_jump_of_the_clock_changes_nothing(self, tmp_path, monkeypatch):
        with RunWriter.create(tmp_path, "a", {}, total=1) as writer:
            now = time.time()
            for jump in (-1e6, 1e6):
                monkeypatch.setattr(read_module.time, "time", lambda jump=jump: now + jump)
                assert read_run(writer.path).status.state == "running"

    def test_a_run_that_ends_while_it_is_read_is_not_failed(self, finished, monkeypatch):
        status = json.loads((finished / "status.json").read_text())
        edit(finished / "status.json", state="running")

        def end_first(*_):
            (finished / "status.json").write_text(json.dumps(status))
            return False

        monkeypatch.setattr(read_module, "_has_writer", end_first)
        run = read_run(finished)
        assert (run.status.state, run.status.message) == ("finished", None)

    @pytest.mark.parametrize("state", ["queued", "stopped", "diverged", "failed", "finished"])
    def test_other_states_are_believed(self, finished, state):
        edit(finished / "status.json", state=state, pid=2**22)
        assert read_run(finished).status.state == state

    def test_a_run_folder_that_cannot_be_written_can_be_read(self, finished):
        os.chmod(finished / ".lock", 0o444)
        edit(finished / "status.json", state="running")
        assert read_run(finished).status.state == "failed"


class TestLastMetrics:
    def test_a_half_written_line_is_not_the_last(self, finished):
        with open(finished / "metrics.jsonl", "ab") as file:
            file.write(b'{"iteration": 30, "exc')
        assert read_run(finished).metrics == {"iteration": 20, "excess": 0.25}

    @pytest.mark.parametrize("length", [10, 8191, 8192, 100_000])
    def test_long_lines_are_found(self, finished, length):
        with open(finished / "metrics.jsonl", "ab") as file:
            for iteration in (30, 40):
                file.write(json.dumps({"iteration": iteration, "padding": "x" * length}).encode() + b"\n")
            file.write(b"x" * length)
        assert read_run(finished).metrics["iteration"] == 40

    def test_lines_that_are_no_objects_are_passed_over(self, finished):
        with open(finished / "metrics.jsonl", "ab") as file:
            file.write(b"\n[1]\nnonsense\n")
        assert read_run(finished).metrics["iteration"] == 20


class TestListRuns:
    def test_runs_only_by_name(self, tmp_path):
        for name in ("b", "a", "c"):
            RunWriter.create(tmp_path, name, {}, total=1).close()
        (tmp_path / "notes").mkdir()
        (tmp_path / ".hidden").mkdir()
        (tmp_path / ".hidden" / "config.json").write_text("{}")
        (tmp_path / "file").touch()
        (tmp_path / "broken-link").symlink_to(tmp_path / "nowhere")
        (tmp_path / "circle").symlink_to(tmp_path / "circle")
        assert [run.name for run in list_runs(tmp_path)] == ["a", "b", "c"]

    def test_a_folder_that_does_not_exist_holds_none(self, tmp_path):
        assert list_runs(tmp_path / "missing") == []


class TestFindRun:
    def test_by_name_and_by_path(self, finished, monkeypatch):
        assert find_run("done", finished.parent) == finished
        assert find_run(finished, "elsewhere") == finished
        monkeypatch.chdir(finished)
        assert read_run(find_run(".", "elsewhere")).name == "done"

    @pytest.mark.parametrize("name", ["dome", "../done/../dome", "", "a\0b", "x" * 5000])
    def test_an_unknown_run_is_refused(self, finished, name):
        with pytest.raises(UsageError, match="there is no run"):
            find_run(name, finished.parent)

    def test_the_nearest_name_is_told(self, finished):
        with pytest.raises(UsageError, match="did you mean done"):
            find_run("dome", finished.parent)

    def test_of_many_only_the_nearest_is_told(self, tmp_path):
        for number in range(30):
            (tmp_path / f"run-{number}").mkdir()
            (tmp_path / f"run-{number}" / "config.json").write_text("{}")
        with pytest.raises(UsageError) as error:
            find_run("run-29x", tmp_path)
        assert "did you mean run-29?" in str(error.value)
        assert len(str(error.value)) < 200

    def test_an_empty_folder_says_so(self, tmp_path):
        with pytest.raises(UsageError, match="holds no runs"):
            find_run("a", tmp_path)


class TestArrays:
    def test_what_is_missing_is_told(self, finished):
        assert list_geometry(finished) == []
        with pytest.raises(RunError, match="there is no"):
            read_geometry(finished, 3)
        with pytest.raises(RunError, match="there is no"):
            read_labels(finished)

    @pytest.mark.parametrize("content", [b"", b"PK\x03\x04half", b"nonsense", b"\x93NUMPY"])
    def test_what_cannot_be_read_is_told(self, finished, content):
        (finished / "labels.npz").write_bytes(content)
        with pytest.raises(RunError, match="cannot be read"):
            read_labels(finished)

    def test_half_a_file_is_told(self, finished):
        np.savez(finished / "labels.npz", labels=np.arange(1000), flipped=np.arange(3))
        content = (finished / "labels.npz").read_bytes()
        (finished / "labels.npz").write_bytes(content[: len(content) // 2])
        with pytest.raises(RunError, match="cannot be read"):
            read_labels(finished)

    def test_a_single_array_is_told(self, finished):
        with open(finished / "labels.npz", "wb") as file:
            np.save(file, np.arange(3))
        with pytest.raises(RunError, match="cannot be read"):
            read_labels(finished)

    def test_other_arrays_are_told(self, finished):
        np.savez(finished / "labels.npz", other=np.arange(3))
        with pytest.raises(RunError, match="has no 'labels'"):
            read_labels(finished)

    def test_pickled_objects_are_not_loaded(self, finished):
        np.savez(finished / "labels.npz", labels=np.array([{}], object), flipped=np.arange(1))
        with pytest.raises(RunError, match="cannot be read"):
            read_labels(finished)

    def test_other_files_are_no_geometry(self, finished):
        (finished / "geometry").mkdir()
        for name in ("00000005.npz", ".00000006.npz.1.tmp", "notes.txt", "x.npz"):
            (finished / "geometry" / name).touch()
        assert list_geometry(finished) == [5]


def test_nothing_here_imports_tensorflow():
    code = "import sys, simplexlab.runs; sys.exit(any(name in sys.modules for name in ('tensorflow', 'keras')))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
