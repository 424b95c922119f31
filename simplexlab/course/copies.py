"""Copies of the lessons for a class: scripts or notebooks for students, plan and solutions for the teacher."""

from pathlib import Path

from simplexlab.course.exercises import EXERCISES, QUESTIONS
from simplexlab.course.notebooks import PACKAGE, as_notebook
from simplexlab.course.questions import Choice
from simplexlab.course.scripts import SHIPPED, list_lessons
from simplexlab.errors import UsageError
from simplexlab.files import reason

SOLUTIONS = SHIPPED.parent / "solutions"
PLAN = SHIPPED.parent / "teacher.md"


def copy(folder: Path, *, notebooks: bool = False, teacher: bool = False, package: str = PACKAGE) -> list[Path]:
    """Write the lessons to a folder, which is made if it is missing.

    Args:
        folder: where they go.
        notebooks: as notebooks rather than scripts.
        teacher: with `teacher.md` – the plan, the exercises, what a good answer says – and the solutions.
        package: what the install cell of a notebook gives to pip.

    Returns:
        The files.

    Raises:
        UsageError: one of the files is there already, perhaps with the work of a student in it; jupytext is missing;
            the folder cannot be written.
    """
    texts: dict[Path, str] = {}
    for script in list_lessons(SHIPPED):
        source = script.path.read_text(encoding="utf-8")
        if notebooks:
            import nbformat

            text = nbformat.writes(as_notebook(source, package)) + "\n"
            texts[folder / f"{script.path.stem}.ipynb"] = text
        else:
            texts[folder / script.path.name] = source
    if teacher:
        texts[folder / "teacher.md"] = plan()
        for path in sorted(SOLUTIONS.glob("*.py")):
            texts[folder / "solutions" / path.name] = path.read_text(encoding="utf-8")
    there = next((path for path in texts if path.exists()), None)
    if there is not None:
        raise UsageError(f"{there} is there already; copy to another folder, or take it away")
    try:
        for path, text in texts.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot write {error.filename or folder}: {reason(error)}") from None
    return list(texts)


def plan() -> str:
    """The teacher's plan, with the exercises and the questions of every lesson, in Markdown."""
    lines = [PLAN.read_text(encoding="utf-8").rstrip(), "", "## The exercises", ""]
    lines += ["| exercise | function | difficulty | minutes |", "|---|---|---|---|"]
    for name, it in EXERCISES.items():
        lines.append(f"| {name} | `{it.function}` | {it.difficulty} | {it.minutes} |")
    lines += ["", "## What a good answer says", ""]
    for name, question in QUESTIONS.items():
        lines += [f"**{name}** {question.text}", ""]
        if isinstance(question, Choice):
            for letter, option in question.options.items():
                lines.append(f"- {letter}) {option.text}: {'**right**, ' * (letter == question.right)}{option.reason}.")
        else:
            lines += [f"- {point}" for point in question.rubric]
        lines.append("")
    return "\n".join(lines)
