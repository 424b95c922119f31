"""The lesson scripts: where they are, what their heads say, their cells."""

import contextlib
import re
from dataclasses import dataclass
from pathlib import Path

SHIPPED = Path(__file__).parent / "lessons"
MARKDOWN = re.compile(r"^# %% \[markdown\]")
CELL = re.compile(r"^# %%")


@dataclass(frozen=True)
class Script:
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


def lessons_dir() -> Path:
    """The folder `lessons` here if it holds scripts, such as a copy of a student, else that of the package."""
    own = Path("lessons").absolute()
    return own if list_lessons(own) else SHIPPED


def list_lessons(folder: Path) -> list[Script]:
    """The lessons in a folder, by file name; a script that cannot be read is left out."""
    found = []
    for path in sorted(folder.glob("*.py")):
        if not path.name.startswith("_"):
            with contextlib.suppress(OSError, UnicodeDecodeError):
                found.append(read_lesson(path))
    return found


def read_lesson(path: Path) -> Script:
    """Read the head of a lesson: heading, goal, minutes.

    Raises:
        OSError: the file cannot be read.
        UnicodeDecodeError: it is not text.
    """
    words = "\n".join(text for is_text, text in cells(path.read_text(encoding="utf-8")) if is_text)
    heading = re.search(r"^#+\s*(.+)$", words, re.MULTILINE)
    return Script(
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
