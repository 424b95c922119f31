"""What a class answered: the `answers.json` of all its students, in one page and in one record."""

import os
from collections import Counter
from html import escape
from pathlib import Path
from typing import Any

from simplexlab.course.exercises import EXERCISES, QUESTIONS
from simplexlab.course.questions import Choice
from simplexlab.course.record import ANSWERS_FILE, read_answers
from simplexlab.errors import UsageError


def collect(folder: Path) -> list[dict[str, Any]]:
    """The answers of every lesson of every student below a folder. Nothing in it is executed.

    Args:
        folder: holds the folders of the students, in any depth.

    Returns:
        A record for each `answers.json`: `student` – the name that it states, else that of the first folder below
        `folder` – `lesson`, `predictions`, `questions` and `exercises`.

    Raises:
        UsageError: there is no such folder, or no answers in it.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder")
    found = []
    for place, folders, files in os.walk(folder):
        folders.sort()
        if ANSWERS_FILE in files:
            record = read_answers(Path(place))
            parts = Path(place).relative_to(folder).parts
            student = record.get("student")
            record["student"] = student if isinstance(student, str) and student else (parts or (folder.name,))[0]
            if isinstance(record.get("lesson"), int):
                found.append(record)
    if not found:
        raise UsageError(f"{folder} holds no {ANSWERS_FILE}; a lesson writes one to its output folder")
    return sorted(found, key=lambda record: (record["lesson"], record["student"]))


def summarise(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """How often each prediction, question and exercise was answered, lesson by lesson.

    Returns:
        For each lesson: `lesson`, `students`, and for each prediction, question and exercise its counts.
    """
    summaries = []
    for lesson in sorted({record["lesson"] for record in records}):
        own = [record for record in records if record["lesson"] == lesson]
        summaries.append(
            {
                "lesson": lesson,
                "students": [record["student"] for record in own],
                "predictions": _predictions(own),
                "questions": _questions(own),
                "exercises": _exercises(own),
            }
        )
    return summaries


def _entries(records: list[dict[str, Any]], section: str) -> dict[str, list[tuple[str, dict[str, Any]]]]:
    names = sorted({name for record in records for name in record[section]})
    return {
        name: [(record["student"], record[section][name]) for record in records if name in record[section]]
        for name in names
    }


def _predictions(records: list[dict[str, Any]]) -> dict[str, Any]:
    told = {}
    for name, entries in _entries(records, "predictions").items():
        given = Counter(str(entry["answer"]) for _, entry in entries if "answer" in entry)
        seen = Counter(str(entry["seen"]) for _, entry in entries if "seen" in entry)
        choices = next((it["choices"] for _, it in entries if isinstance(it.get("choices"), dict)), {})
        told[name] = {
            "question": next((str(entry["question"]) for _, entry in entries if "question" in entry), ""),
            "choices": {str(letter): str(text) for letter, text in choices.items()},
            "answers": dict(sorted(given.items())),
            "seen": dict(sorted(seen.items())),
        }
    return told


def _questions(records: list[dict[str, Any]]) -> dict[str, Any]:
    told = {}
    for name, entries in _entries(records, "questions").items():
        answers = [(student, str(entry["answer"])) for student, entry in entries if "answer" in entry]
        question = QUESTIONS.get(name)
        if question is None or not answers:
            continue
        told[name] = {"question": question.text}
        if isinstance(question, Choice):
            told[name] |= {"answers": dict(sorted(Counter(it for _, it in answers).items())), "right": question.right}
        else:
            told[name] |= {"texts": dict(answers), "rubric": list(question.rubric)}
    return told


def _exercises(records: list[dict[str, Any]]) -> dict[str, Any]:
    told = {}
    for name, entries in _entries(records, "exercises").items():
        if name in EXERCISES:
            states = Counter(str(entry.get("state", "not tried")) for _, entry in entries)
            tries = [entry["tries"] for _, entry in entries if isinstance(entry.get("tries"), int)]
            told[name] = {
                "function": EXERCISES[name].function,
                "solved": states["right"],
                "tried": len(tries),
                "tries": sum(tries),
                "hints": sum(entry["hints"] for _, entry in entries if isinstance(entry.get("hints"), int)),
            }
    return told


def page(records: list[dict[str, Any]], title: str) -> str:
    """One HTML page of a class; it needs no other file and no network."""
    from simplexlab.report import STYLE

    students = sorted({record["student"] for record in records})
    parts = [
        f"<h1>{escape(title)}</h1>",
        f'<p class="muted">{len(students)} students: {escape(", ".join(students))}.</p>',
    ]
    for summary in summarise(records):
        parts.append(f"<h2>Lesson {summary['lesson']}</h2>")
        parts.append(f'<p class="muted">{len(summary["students"])} students.</p>')
        for name, it in summary["predictions"].items():
            parts.append(f"<h3>Prediction {escape(name)}</h3><p>{escape(it['question'])}</p>")
            parts.append(_bars(it["choices"], it["answers"], set(it["seen"]), "seen"))
        for name, it in summary["questions"].items():
            parts.append(f"<h3>Question {escape(name)}</h3><p>{escape(it['question'])}</p>")
            if "right" in it:
                options = {letter: option.text for letter, option in QUESTIONS[name].options.items()}
                parts.append(_bars(options, it["answers"], {it["right"]}, "right"))
            else:
                points = "".join(f"<li>{escape(point)}</li>" for point in it["rubric"])
                parts.append(f'<p class="muted">A good answer says:</p><ul>{points}</ul>')
                said = "".join(f"<p><b>{escape(who)}</b>: {escape(what)}</p>" for who, what in it["texts"].items())
                parts.append(said)
        rows = "".join(
            f'<tr><td>{escape(name)}</td><td>{escape(it["function"])}</td><td class="number">{it["solved"]}</td>'
            f'<td class="number">{it["tried"]}</td><td class="number">{it["tries"]}</td>'
            f'<td class="number">{it["hints"]}</td></tr>'
            for name, it in summary["exercises"].items()
        )
        if rows:
            heads = "".join(
                f'<th class="number">{head}</th>' for head in ("solved by", "tried by", "tries in all", "hints in all")
            )
            parts.append(f"<table><tr><th>exercise</th><th>function</th>{heads}</tr>{rows}</table>")
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}\nh3 {{ font-size: 1rem; margin: 1.5rem 0 .25rem; }}</style>\n"
        "</head>\n<body>\n" + "\n".join(parts) + "\n</body>\n</html>\n"
    )


def _bars(choices: dict[str, str], answers: dict[str, int], marked: set[str], mark: str) -> str:
    rows = []
    for letter, text in choices.items():
        number = answers.get(letter, 0)
        note = f" <b>({mark})</b>" if letter in marked else ""
        rows.append(f'<tr><td>{escape(letter)}) {escape(text)}{note}</td><td class="number">{number}</td></tr>')
    return f"<table>{''.join(rows)}</table>"
