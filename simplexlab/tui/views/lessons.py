"""Lesson scripts: what their heads say, and what became of them in this folder of runs."""

import contextlib
import json
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import simplexlab
from simplexlab.files import read_file, replace_file

STATE_FILE = ".lessons.json"
MARKDOWN = re.compile(r"^# %% \[markdown\]")
CELL = re.compile(r"^# %%")


@dataclass(frozen=True)
class Lesson:
    """One lesson script.

    Attributes:
        path: The script.
        title: First heading of its text, else the file's name.
        goal: The line "Goal: …" of its head, "" without one.
        minutes: The line "Minutes: …", "" without one.
    """

    path: Path
    title: str
    goal: str
    minutes: str


def lessons_dir() -> Path | None:
    """The folder `lessons` here, or beside the package; None if there is none."""
    for base in (Path.cwd(), Path(simplexlab.__file__).parents[1]):
        if (base / "lessons").is_dir():
            return base / "lessons"
    return None


def list_lessons(folder: Path | None) -> list[Lesson]:
    """The lessons in a folder, by file name; a script that cannot be read is left out."""
    if folder is None:
        return []
    found = []
    for path in sorted(folder.glob("*.py")):
        if path.name.startswith("_"):
            continue
        with contextlib.suppress(OSError, UnicodeDecodeError):
            found.append(read_lesson(path))
    return found


def read_lesson(path: Path) -> Lesson:
    """Read the head of a lesson: heading, goal, minutes."""
    words = "\n".join(text for is_text, text in cells(path.read_text(encoding="utf-8")) if is_text)
    heading = re.search(r"^#+\s*(.+)$", words, re.MULTILINE)
    return Lesson(
        path=path,
        title=heading.group(1).strip() if heading else path.stem,
        goal=_after("goal", words),
        minutes=_after("minutes", words),
    )


def _after(name: str, words: str) -> str:
    found = re.search(rf"^\W*{name}\W*:\W*(.+)$", words, re.MULTILINE | re.IGNORECASE)
    return found.group(1).strip().strip("*_ ") if found else ""


def cells(source: str) -> list[tuple[bool, str]]:
    """The cells of a script: (is text, text without comment signs or code)."""
    parts: list[tuple[bool, list[str]]] = []
    for line in source.splitlines():
        if CELL.match(line):
            parts.append((bool(MARKDOWN.match(line)), []))
        elif parts:
            parts[-1][1].append(line)
    return [(is_text, _plain(lines) if is_text else "\n".join(lines).strip("\n")) for is_text, lines in parts]


def _plain(lines: list[str]) -> str:
    return "\n".join(line.removeprefix("#").removeprefix(" ") for line in lines if line.startswith("#")).strip()


def as_markdown(source: str) -> str:
    """A script as Markdown: its text, with its code in blocks."""
    return "\n\n".join(text if is_text else f"```python\n{text}\n```" for is_text, text in cells(source) if text)


def read_states(run_dir: Path) -> dict[str, dict[str, Any]]:
    """What became of each lesson in a folder of runs, by file name: `code`, `ended`."""
    try:
        states = json.loads(read_file(run_dir / STATE_FILE))
    except (OSError, ValueError):
        return {}
    return (
        {name: state for name, state in states.items() if isinstance(state, dict)} if isinstance(states, dict) else {}
    )


def record_state(run_dir: Path, lesson: Lesson, code: int) -> None:
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
