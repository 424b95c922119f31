"""Every lesson runs whole as a notebook, its stubs fail their checks, its solutions pass them, and it ships."""

import ast
import json
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from simplexlab.course import EXERCISES, QUESTIONS, judge
from simplexlab.course.copies import SOLUTIONS
from simplexlab.course.keeping import keep, load
from simplexlab.course.notebooks import as_notebook
from simplexlab.course.scripts import SHIPPED, cells, list_lessons

LESSONS = sorted(SHIPPED.glob("[1-9]_*.py"))
WHOLE = {"1", "4"}  # whole in seconds; all others with --fast
each_lesson = pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)


def checks(path: Path) -> dict[str, str]:
    """The exercises of a lesson and the functions that its checks name."""
    return dict(re.findall(r'^lesson\.check\("(\w+)", (\w+)\)$', path.read_text(), re.MULTILINE))


def named(path: Path, method: str) -> list[str]:
    """What a lesson names in its calls of a method, in order."""
    return re.findall(rf'^lesson\.{method}\(\s*"([\w.]+)"', path.read_text(), re.MULTILINE)


def test_the_lessons_are_listed_with_goal_and_minutes():
    assert [path.name[0] for path in LESSONS] == [str(number + 1) for number in range(len(LESSONS))]
    listed = list_lessons(SHIPPED)
    assert [script.path for script in listed] == LESSONS
    for script in listed:
        assert script.title.startswith(f"{script.path.name[0]} · ")
        assert script.goal
        assert re.match(r"\d", script.minutes)


def test_every_exercise_and_every_question_is_in_its_lesson():
    for path in LESSONS:
        number = path.name[0]
        assert sorted(checks(path)) == [name for name in EXERCISES if name[0] == number]
        assert {name: EXERCISES[name].function for name in checks(path)} == checks(path)
        assert named(path, "explain") == [name for name in QUESTIONS if name[0] == number]


@each_lesson
def test_its_text_states_difficulty_and_minutes_as_they_are(path):
    told = re.findall(r"\*\*Exercise (\w+)\*\* \((\w+), (\d+) minutes\)", path.read_text())
    own = {name: (it.difficulty, str(it.minutes)) for name, it in EXERCISES.items() if name[0] == path.name[0]}
    assert {name: (difficulty, minutes) for name, difficulty, minutes in told} == own


@each_lesson
def test_predictions_come_before_their_picture_and_are_replayed_after_it(path):
    predicted, replayed = named(path, "predict"), named(path, "replay")
    assert len(predicted) >= 3
    assert (
        sorted(predicted)
        == sorted(replayed)
        == [f"{path.name[0]}{letter}" for letter in "abcdefghijkl"][: len(predicted)]
    )
    text = path.read_text()
    for name in predicted:
        asked, told = text.index(f'lesson.predict(\n    "{name}"'), text.index(f'lesson.replay("{name}"')
        assert asked < told
        assert "lesson.show(" in text[asked:told] or "print(" in text[asked:told]
        cell = next(code for is_text, code in cells(text) if not is_text and f'lesson.predict(\n    "{name}"' in code)
        assert "lesson.show(" not in cell  # the answer is a cell of its own


@each_lesson
def test_answers_have_a_cell_of_their_own(path):
    for is_text, words in cells(path.read_text()):
        if is_text and "**Answer:**" in words:
            assert words.startswith("**Answer:**")
            assert "## " not in words
            assert "**Exercise" not in words


@each_lesson
def test_its_solutions_pass_and_those_that_are_kept_stand_alone(path, tmp_path):
    solutions = runpy.run_path(str(SOLUTIONS / path.name))
    for exercise, function in checks(path).items():
        verdict = judge(exercise, solutions[function])
        assert verdict.right, verdict
        if EXERCISES[exercise].kept:
            keep(solutions[function], tmp_path / "own.py")
            assert judge(exercise, load(function, tmp_path / "own.py")).right


@each_lesson
def test_its_solutions_have_at_most_ten_lines_each(path):
    solutions = ast.parse((SOLUTIONS / path.name).read_text())
    functions = {node.name: node for node in solutions.body if isinstance(node, ast.FunctionDef)}
    assert set(functions) == set(checks(path).values())
    for node in functions.values():
        assert node.end_lineno - node.body[0].lineno < 10, node.name


@pytest.fixture(scope="module")
def kernel():
    """One kernel for all notebooks: TensorFlow is imported once."""
    pytest.importorskip("ipykernel", reason="the extra `test` brings it")
    from jupyter_client.manager import start_new_kernel

    manager, client = start_new_kernel(kernel_name="python3")
    yield manager
    client.stop_channels()
    manager.shutdown_kernel(now=True)


@each_lesson
@pytest.mark.timeout(900)  # each takes less than a minute on a machine that does nothing else
def test_it_runs_as_a_notebook_without_anybody(path, tmp_path, kernel):
    import nbformat
    from nbclient import NotebookClient

    notebook = as_notebook(path.read_text())
    nbformat.validate(notebook)
    assert notebook.cells[0].source.startswith(f"# {path.name[0]} · ")
    fast = "0" if path.name[0] in WHOLE else "1"
    lines = (
        "%reset -f",
        f"import os; os.chdir({str(tmp_path)!r})",
        f"os.environ['XDG_STATE_HOME'] = {str(tmp_path / 'state')!r}",
        f"os.environ['SIMPLEXLAB_FAST'] = {fast!r}; os.environ['SIMPLEXLAB_OUTPUT'] = {str(tmp_path / 'out')!r}",
    )
    notebook.cells.insert(0, nbformat.v4.new_code_cell("\n".join(lines)))
    NotebookClient(notebook, km=kernel, timeout=600).execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert not any(output.output_type == "execute_result" for output in outputs)  # no True below a check
    said = "".join(output.text for output in outputs if output.output_type == "stream")
    pictures = re.findall(r"^Picture: (.+)$", said, re.MULTILINE)
    assert len(pictures) >= 2
    assert all((tmp_path / picture).stat().st_size > 10_000 for picture in pictures)
    record = json.loads((tmp_path / "out" / path.name[0] / "answers.json").read_text())
    assert {name: it["state"] for name, it in record["exercises"].items()} == dict.fromkeys(
        checks(path), "not solved yet"
    )
    assert {name for name, it in record["predictions"].items() if it["seen"] in it["choices"]} == set(
        named(path, "predict")
    )
    assert not any("answer" in it for it in record["predictions"].values())
    assert "no excess of yours is drawn" not in said  # lesson 9: free points reach the floor of the loss in the file


def test_answers_are_folded_in_notebooks_and_the_install_cell_comes_second():
    notebook = as_notebook(LESSONS[0].read_text(), "dist/simplexlab.whl")
    assert "'dist/simplexlab.whl'" in notebook.cells[1].source
    folded = [cell.source for cell in notebook.cells if cell.source.startswith("<details><summary>Answer</summary>")]
    assert len(folded) == LESSONS[0].read_text().count("# **Answer:**")
    assert not any("**Answer:**" in cell.source for cell in notebook.cells)
    assert notebook == as_notebook(LESSONS[0].read_text(), "dist/simplexlab.whl")


def test_it_is_a_program_and_runs_what_the_student_wrote(tmp_path):
    script = tmp_path / "1_mine.py"
    solution = (SOLUTIONS / LESSONS[0].name).read_text()
    body = re.search(r"def simplex_from_frame.*?\n\n\n", solution, re.DOTALL)[0]
    text = re.sub(r"def simplex_from_frame.*?return \.\.\.\n", lambda _: body, LESSONS[0].read_text(), flags=re.DOTALL)
    script.write_text(text)
    ended = subprocess.run([sys.executable, str(script), "--fast"], capture_output=True, text=True, cwd="/")
    assert ended.returncode == 0, ended.stderr
    assert "Exercises solved: 1 of 4; open: 1a, 1b, 1d." in ended.stdout
    assert "Later lessons run your function." in ended.stdout
    assert "Prediction 1a is skipped: nobody can answer here." in ended.stdout
    assert (tmp_path / "output" / "1" / "similarity.png").exists()
    assert "def simplex_from_frame" in (tmp_path / "output" / "own" / "simplex_from_frame.py").read_text()
