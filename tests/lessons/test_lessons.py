"""Every lesson runs whole, its stubs fail their checks, its solutions pass them, and it opens as a notebook."""

import ast
import re
import runpy
import subprocess
import sys
from pathlib import Path

import jupytext
import matplotlib
import pytest

from simplexlab.course import EXERCISES, judge
from simplexlab.tui.views.lessons import list_lessons

FOLDER = Path(__file__).parents[2] / "lessons"
LESSONS = sorted(FOLDER.glob("[1-9]_*.py"))
each_lesson = pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)


def checks(path: Path) -> dict[str, str]:
    """The exercises of a lesson and the functions that its checks name."""
    return dict(re.findall(r'^lesson\.check\("(\w+)", (\w+)\)$', path.read_text(), re.MULTILINE))


def test_there_are_eight_lessons_and_the_interface_lists_them():
    assert [path.name[0] for path in LESSONS] == list("12345678")
    listed = list_lessons(FOLDER)
    assert [lesson.path for lesson in listed] == LESSONS
    for lesson in listed:
        assert lesson.title.startswith(f"{lesson.path.name[0]} · ")
        assert lesson.goal
        assert re.match(r"\d", lesson.minutes)


def test_every_exercise_is_in_its_lesson():
    for path in LESSONS:
        own = [name for name in EXERCISES if name[0] == path.name[0]]
        assert list(checks(path)) == own
        assert 3 <= len(own) <= 5


@each_lesson
@pytest.mark.timeout(900)  # each takes less than a minute on a machine that does nothing else
def test_it_runs_whole_and_every_stub_fails_its_check(path, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [str(path), "--fast", "--output", str(tmp_path)])
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    before = dict(matplotlib.rcParams)
    lesson = runpy.run_path(str(path), run_name="__main__")["lesson"]
    assert dict(matplotlib.rcParams) == before
    assert {name: verdict.state for name, verdict in lesson.verdicts.items()} == dict.fromkeys(
        checks(path), "not solved yet"
    )
    shown = re.findall(r"^Picture: (.+)$", capsys.readouterr().out, re.MULTILINE)
    assert len(shown) >= 2
    assert all(Path(picture).stat().st_size > 10_000 for picture in shown)


@each_lesson
def test_its_solutions_pass(path):
    solutions = runpy.run_path(str(FOLDER / "solutions" / path.name))
    for exercise, function in checks(path).items():
        verdict = judge(exercise, solutions[function])
        assert verdict.right, verdict
        assert "expected" in str(verdict)
        assert "tolerance" in str(verdict)


@each_lesson
def test_its_solutions_have_at_most_ten_lines_each(path):
    solutions = ast.parse((FOLDER / "solutions" / path.name).read_text())
    functions = {node.name: node for node in solutions.body if isinstance(node, ast.FunctionDef)}
    assert set(functions) == set(checks(path).values())
    for node in functions.values():
        assert node.end_lineno - node.body[0].lineno < 10, node.name


@each_lesson
def test_wrong_answers_fail(path):
    for exercise in checks(path):
        for wrong in (lambda *arguments: 12345.678, lambda *arguments: "no", lambda *arguments: [1 / 0]):
            assert not judge(exercise, wrong).right
        words = str(judge(exercise, lambda *arguments: 12345.678))
        assert "hint:" in words


@each_lesson
def test_it_opens_as_a_notebook(path):
    notebook = jupytext.reads(path.read_text(), fmt="py:percent")
    kinds = [cell.cell_type for cell in notebook.cells]
    assert kinds[0] == "markdown"
    assert notebook.cells[0].source.startswith(f"# {path.name[0]} · ")
    assert kinds.count("code") >= 5
    for cell in notebook.cells:
        if cell.cell_type == "code":
            ast.parse(cell.source)


def test_it_is_a_program(tmp_path):
    ended = subprocess.run(
        [sys.executable, str(LESSONS[0]), "--fast", "--output", str(tmp_path)], capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stderr
    assert "Exercises solved: 0 of 4" in ended.stdout
    assert (tmp_path / "1" / "similarity.png").exists()
