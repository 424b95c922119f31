"""What a student did in a lesson: predictions, answers, tries, hints; a file `answers.json` in the lesson's folder."""

import json
from pathlib import Path
from typing import Any

from simplexlab.files import read_json, replace_file

ANSWERS_FILE = "answers.json"
SECTIONS = ("predictions", "questions", "exercises")


def read_answers(folder: Path) -> dict[str, Any]:
    """The answers of one lesson; empty sections where there are none, or where the file is damaged."""
    try:
        record = read_json(folder / ANSWERS_FILE)
    except (OSError, ValueError):
        record = {}
    record = record if isinstance(record, dict) else {}
    for section in SECTIONS:
        entries = record.get(section)
        entries = entries if isinstance(entries, dict) else {}
        record[section] = {name: entry for name, entry in entries.items() if isinstance(entry, dict)}
    return record


def write_answers(folder: Path, record: dict[str, Any]) -> None:
    """Write the answers of one lesson; its folder is made if it is missing.

    Raises:
        OSError: the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    replace_file(folder / ANSWERS_FILE, (json.dumps(record, ensure_ascii=False, indent=1) + "\n").encode(), sync=False)
