"""Fixtures of the tests of the interface."""

import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # tui_helpers

from tui_helpers import WRITE_FOREVER

from simplexlab.tui.demo import RUNS


@pytest.fixture
def demo(tmp_path):
    """A copy of the recorded runs."""
    folder = tmp_path / "demo"
    shutil.copytree(RUNS, folder)
    return folder


@pytest.fixture
def live(tmp_path):
    """A process that writes the run `live` until it is ended, and the folder of runs."""
    run_dir = tmp_path / "runs"
    process = subprocess.Popen([sys.executable, "-c", WRITE_FOREVER, str(run_dir), str(Path(__file__).parent)])
    try:
        end = time.monotonic() + 30
        while not (run_dir / "live" / "status.json").exists():
            assert time.monotonic() < end
            time.sleep(0.05)
        yield run_dir, process
    finally:
        process.kill()
        process.wait()
