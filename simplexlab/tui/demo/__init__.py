"""Small recorded runs for `simplexlab tui --demo` and the tests; `python -m simplexlab.tui.demo` makes them anew."""

import shutil
import tempfile
from pathlib import Path

RUNS = Path(__file__).parent / "runs"


def copy_runs() -> Path:
    """Copy the recorded runs to a new temporary folder, where they may be deleted and others added."""
    folder = Path(tempfile.mkdtemp(prefix="simplexlab-demo-"))
    shutil.copytree(RUNS, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    return folder
