"""What libraries say is held back, and shown where they fail or end the process."""

import subprocess
import sys

import pytest

SAY = "import os; from pathlib import Path; from simplexlab.quiet import quiet_stderr\n"


def run(code: str, **options) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-c", SAY + code], capture_output=True, text=True, timeout=60, **options)


@pytest.mark.parametrize("watched", [False, True])
def test_what_is_said_is_held_back_unless_the_block_raises(watched):
    done = run(f"with quiet_stderr(watched={watched}): os.write(2, b'initialising\\n')\nos.write(2, b'later\\n')")
    assert (done.returncode, done.stderr) == (0, "later\n")
    done = run(f"with quiet_stderr(watched={watched}): os.write(2, b'a reason\\n'); 1 / 0")
    assert done.stderr.startswith("a reason\nTraceback")


def test_what_a_library_said_before_it_ended_the_process_is_shown_or_goes_to_the_log(tmp_path):
    say = "os.write(2, b'CUDA_ERROR_OUT_OF_MEMORY\\nno context\\n'); os.abort()"
    done = run(f"with quiet_stderr(watched=True): {say}")
    assert done.stderr == "CUDA_ERROR_OUT_OF_MEMORY\nno context\n"
    log = tmp_path / "log.txt"
    log.write_text("before\n")
    done = run(f"with quiet_stderr(watched=True, log=Path('log.txt')): {say}", cwd=tmp_path)
    assert done.returncode < 0
    assert done.stderr == f"simplexlab: the process ended inside a library: no context; all that it said is in {log}\n"
    assert log.read_text() == "before\nCUDA_ERROR_OUT_OF_MEMORY\nno context\n"
