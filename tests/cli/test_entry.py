"""What surrounds every command: streams, descriptors, signals, and the errors of the operating system."""

import errno
import os
import shlex
import subprocess
import sys

import pytest

from simplexlab.cli import application, tell

COMMAND = [sys.executable, "-m", "simplexlab"]
WRITE_BESIDE_NOISE = """
import os, sys
from simplexlab.text import open_standard_streams
open_standard_streams()
with open(sys.argv[1], "w") as file:
    os.write(1, b"noise")
    os.write(2, b"noise")
    print("noise", file=sys.stdout, flush=True)
    print("noise", file=sys.stderr, flush=True)
    assert sys.stdin.read() == ""
    file.write("alone")
"""
EVIL = "a\x1b[2Jb\x9bc\u202ed"


def call(*words, shell=None, **options):
    """The command in a process of its own; `shell` is appended to it, for redirections."""
    if shell is None:
        return subprocess.run([*COMMAND, *map(str, words)], capture_output=True, timeout=120, **options)
    line = shlex.join([*COMMAND, *map(str, words)]) + " " + shell
    return subprocess.run(["sh", "-c", line], capture_output=True, timeout=120, **options)


class TestErrorsOfTheSystem:
    def raising(self, monkeypatch, error):
        def app(*_, **__):
            raise error

        monkeypatch.setattr(application, "app", app)

    @pytest.mark.parametrize("number", sorted(errno.errorcode))
    def test_any_of_them_is_one_line_and_exit_code_1(self, monkeypatch, simplexlab, number):
        error = OSError(number, os.strerror(number), "some/file")
        if isinstance(error, BrokenPipeError):
            return  # a reader that went away is told nothing
        self.raising(monkeypatch, error)
        code, out, err = simplexlab("runs")
        assert (code, out, err.count("\n")) == (1, "", 1)
        assert err.startswith("simplexlab: some/file: ")

    def test_too_little_memory_is_one_line(self, monkeypatch, simplexlab):
        self.raising(monkeypatch, MemoryError())
        code, _, err = simplexlab("runs")
        assert code == 1
        assert err.count("\n") == 1
        assert "not enough memory" in err

    def test_an_interrupt_is_one_line(self, monkeypatch, simplexlab):
        self.raising(monkeypatch, KeyboardInterrupt())
        assert simplexlab("runs") == (130, "", "simplexlab: interrupted\n")

    def test_errors_without_a_file_or_a_reason(self):
        assert tell(OSError()) == "OSError"
        assert tell(OSError("odd")) == "odd"
        assert (
            tell(OSError(errno.ENOSPC, "full", b"a\xff")) == "a\ufffd: full; free some space, or choose another folder"
        )


class TestEmptyWords:
    @pytest.mark.parametrize(
        ("words", "named"),
        [
            (("sweep", "--shard", ""), "--shard"),
            (("sweep", "--shard="), "--shard"),
            (("train", "--name", " "), "--name"),
            (("train", "--loss", "ce", "--data-dir", ""), "--data-dir"),
            (("report", ""), "an argument"),
            (("figure", "2", "sweeps/class", "", "--output", "x/"), "an argument"),
            (("report", "sweeps/class", "--output=\t"), "--output"),
            (("launch", "--", "train", "--run-dir", ""), "--run-dir"),
        ],
    )
    def test_an_unset_variable_is_no_wish(self, simplexlab, tmp_path, monkeypatch, words, named):
        monkeypatch.chdir(tmp_path)
        code, out, err = simplexlab(*words)
        assert (code, out) == (2, "")
        assert err == f"simplexlab: {named} is empty; give it a value or leave it out\n"
        assert not list(tmp_path.iterdir())


class TestLongInput:
    def test_an_error_does_not_echo_what_is_long(self, simplexlab):
        for words in (["runs", "show", "x" * 5000], ["train", *["word"] * 2000], ["train", "--" + "y" * 5000]):
            code, _, err = simplexlab(*words)
            assert code == 2
            assert len(err) < 1000
            assert err.count("\n") == 1


class TestOutput:
    @pytest.fixture
    def evil_runs(self, tmp_path):
        """A run whose name, settings, status and log hold escape sequences."""
        from simplexlab.runs import RunWriter

        config = {"kind": "train", "experiment": {"loss": EVIL, "dataset": EVIL}, "command": EVIL}
        with RunWriter.create(tmp_path, "a", config, total=3) as writer:
            writer.log_metrics({"iteration": 1, "note": EVIL})
            writer.save_result({"run": EVIL, "loss": EVIL, "state": EVIL})
            writer.log_path.write_text(EVIL)
            writer.set_status("finished", 3, EVIL)
        (tmp_path / "a").rename(tmp_path / EVIL)
        return tmp_path

    @pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1"])
    @pytest.mark.parametrize(
        "words", [("runs",), ("runs", "show", EVIL), ("runs", "show", EVIL, "--json"), ("runs", "show", EVIL + "\n")]
    )
    def test_nothing_of_a_folder_reaches_the_terminal_raw(self, evil_runs, words, encoding):
        environment = {**os.environ, "PYTHONIOENCODING": encoding, "COLUMNS": "160"}
        done = call(*words, "--run-dir", evil_runs, env=environment)
        assert done.returncode == (2 if words[-1].endswith("\n") else 0), done.stderr
        assert b"Traceback" not in done.stderr
        for written in (done.stdout, done.stderr):
            text = written.decode(encoding)
            assert not set(text) & set("\x1b\x9b\u202e")

    def test_json_loses_nothing_by_it(self, evil_runs, simplexlab):
        import json

        code, out, _ = simplexlab("runs", "show", EVIL, "--run-dir", evil_runs, "--json")
        assert code == 0
        assert not set(out) & set("\x1b\x9b\u202e")
        assert json.loads(out)["run"] == EVIL


class TestDescriptors:
    @pytest.mark.parametrize("closed", ["2>&-", "1>&-", "0<&-", "0<&- 1>&- 2>&-", "1>&- 2>&-"])
    def test_a_closed_one_takes_no_file(self, tmp_path, closed):
        file = tmp_path / "file"
        line = f"{sys.executable} -c '{WRITE_BESIDE_NOISE}' {file} {closed}"
        subprocess.run(["sh", "-c", line], timeout=60, check=True)
        assert file.read_text() == "alone"
        done = call("bound", "ce", "--classes", "1", "--radius", "1", "--frobenius", "1", shell=closed)
        assert done.returncode == 2
        assert b"Traceback" not in done.stderr

    def test_the_terminal_interface_without_an_input(self):
        done = call("tui", shell="0<&-")
        assert done.returncode == 2
        assert b"needs a terminal" in done.stderr
