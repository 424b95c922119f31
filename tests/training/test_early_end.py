"""SIGTERM at any moment of the start, and too little memory: a clear end, and no folder of a run that never was."""

import signal
import subprocess
import sys
import time

import pytest

from simplexlab.runs import list_runs

TRAIN = [sys.executable, "-m", "simplexlab", "train", "--evaluate-every", "10", "--width", "2", "--iterations"]


@pytest.mark.parametrize(
    ("number", "seconds"), [(signal.SIGTERM, 0.4), (signal.SIGTERM, 2.0), (signal.SIGINT, 1.2)], ids=str
)
def test_a_signal_in_the_first_seconds_leaves_no_folder(tmp_path, number, seconds):
    words = [*TRAIN, "100000", "--run-dir", str(tmp_path), "--batch-size", "8"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    # Before Python runs its first line, the signal ends the process as it ends any.
    time.sleep(seconds)
    process.send_signal(number)
    out, error = process.communicate(timeout=60)
    assert "Traceback" not in error
    assert process.returncode in (130, -number), error
    assert out == ""
    for run in list_runs(tmp_path):  # it was quick, and had begun
        assert run.status.state == "stopped"
        assert run.metrics is not None


def test_an_interrupt_inside_an_exec_exits_with_130_under_python_m(tmp_path):
    """As where a dataclass is being made at import; CPython would end `python -m` by SIGINT."""
    (tmp_path / "interrupted.py").write_text(
        "import simplexlab.cli as cli\ncli._command = lambda arguments: exec('raise KeyboardInterrupt')\ncli.run()\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "interrupted"], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (130, "simplexlab: interrupted\n")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="ulimit -v")
@pytest.mark.parametrize("megabytes", [600, 2500])
def test_too_little_memory_is_told_in_one_line_and_leaves_no_folder(tmp_path, megabytes):
    words = [*TRAIN, "20", "--run-dir", str(tmp_path / "runs"), "--batch-size", "8"]
    limited = ["sh", "-c", f'ulimit -v {megabytes * 1024}; exec "$@"', "sh", *words]
    done = subprocess.run(limited, capture_output=True, text=True, timeout=200)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("simplexlab: there is not enough memory")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("signals", [0, 1, 2])
def test_signals_while_a_library_is_imported_wait_for_it(signals):
    from simplexlab.training.interrupts import deferred

    reached = []

    def block():
        with deferred():
            for _ in range(signals):
                signal.raise_signal(signal.SIGINT)
                reached.append("inside")
        reached.append("after")

    if signals:
        with pytest.raises(KeyboardInterrupt):
            block()
    else:
        block()
    assert reached == {0: ["after"], 1: ["inside"], 2: ["inside"]}[signals]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
