"""What became of the lessons in a folder of runs."""

import json
import time
from pathlib import Path
from typing import Any

from simplexlab.course.scripts import Script
from simplexlab.files import read_json, replace_file

STATE_FILE = ".lessons.json"


def read_states(run_dir: Path) -> dict[str, dict[str, Any]]:
    """What became of each lesson in a folder of runs, by file name: `code`, `ended`."""
    try:
        states = read_json(run_dir / STATE_FILE)
    except (OSError, ValueError):
        return {}
    return (
        {name: state for name, state in states.items() if isinstance(state, dict)} if isinstance(states, dict) else {}
    )


def record_state(run_dir: Path, lesson: Script, code: int) -> None:
    """Note that a lesson ended with an exit code.

    Raises:
        OSError: the folder cannot be written.
    """
    states = read_states(run_dir)
    states[lesson.path.name] = {"code": code, "ended": time.time()}
    run_dir.mkdir(parents=True, exist_ok=True)
    replace_file(run_dir / STATE_FILE, json.dumps(states, indent=1).encode())


def state_words(state: dict[str, Any] | None) -> str:
    """State of a lesson in a word."""
    if state is None:
        return "not run"
    return "done" if state.get("code") == 0 else "ended early"
