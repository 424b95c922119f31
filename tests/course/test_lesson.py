"""The frame of a lesson: options, pictures, predictions, questions, own functions, errors told by their line."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from simplexlab import course
from simplexlab.course import EXERCISES, QUESTIONS, Lesson, judge
from simplexlab.course.lesson import explain
from simplexlab.errors import RunError


def run_script(folder: Path, body: str, *words: str) -> subprocess.CompletedProcess:
    """Run a small lesson as a program."""
    script = folder / "9_small.py"
    script.write_text(f"from simplexlab.course import Lesson\nlesson = Lesson(9)\n{body}\n")
    return subprocess.run(
        [sys.executable, str(script), "--output", str(folder / "out"), *words], capture_output=True, text=True
    )


@pytest.fixture
def lesson(monkeypatch, tmp_path):
    """A lesson in this process."""
    monkeypatch.setattr(sys, "argv", ["9_small.py", "--output", str(tmp_path)])
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    lesson = Lesson(9)
    yield lesson
    lesson.end("Done.")


def test_fast_chooses_the_second_value(lesson, monkeypatch, tmp_path):
    assert lesson.pick(10, 1) == 10
    monkeypatch.setenv("SIMPLEXLAB_FAST", "1")
    monkeypatch.setenv("SIMPLEXLAB_OUTPUT", str(tmp_path / "elsewhere"))
    monkeypatch.setattr(sys, "argv", ["9_small.py"])
    other = Lesson(9)
    assert other.pick(10, 1) == 1
    assert other.folder == tmp_path / "elsewhere" / "9"
    other.end("Done.")


def test_an_unknown_option_is_refused(tmp_path):
    ended = run_script(tmp_path, "", "--quick")
    assert ended.returncode == 2
    assert "--quick" in ended.stderr


def test_a_picture_is_saved_and_named(lesson, capsys):
    from simplexlab.figures.style import new_figure

    figure = new_figure(3, 2, "Title")
    figure.subplots().plot([0, 1])
    lesson.show(figure, "line")
    path = lesson.folder / "line.png"
    assert path.exists()
    assert f"Picture: {path}" in capsys.readouterr().out


def test_a_command_is_shown_and_its_failure_told_in_its_words(lesson, capsys):
    lesson.command("bound", "ce", "--classes", "3", "--radius", "1", "--frobenius", "2")
    assert "$ simplexlab bound ce --classes 3" in capsys.readouterr().out
    with pytest.raises(RunError, match=r"simplexlab bound: .*classes.*at least 2"):
        lesson.command("bound", "ce", "--classes", "1", "--radius", "1", "--frobenius", "2")


def test_with_a_display_a_window_opens_and_the_end_waits_for_it(monkeypatch, tmp_path, capsys):
    import matplotlib.pyplot as plt

    from simplexlab.course import lesson as module
    from simplexlab.figures.style import new_figure

    shown = []
    monkeypatch.setattr(module, "_has_display", lambda: True)
    monkeypatch.setattr(plt, "show", lambda block=True: shown.append(block))
    monkeypatch.setattr(plt, "pause", lambda seconds: None)
    monkeypatch.setattr(sys, "argv", ["9_small.py", "--output", str(tmp_path)])
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    lesson = Lesson(9)
    lesson.show(new_figure(3, 2, "Title"), "line")
    lesson.end("Done.")
    plt.close("all")
    assert shown == [False, True]


def test_an_output_folder_that_cannot_be_is_told_before_anything_runs(tmp_path, monkeypatch, capsys):
    (tmp_path / "file").touch()
    monkeypatch.setattr(sys, "argv", ["9_small.py", "--output", str(tmp_path / "file" / "out")])
    with pytest.raises(SystemExit) as ended:
        Lesson(9)
    assert ended.value.code == 2
    assert "file, which is a file and not a folder" in capsys.readouterr().err


def test_an_error_whose_trace_cannot_be_kept_is_told_all_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["9_small.py", "--output", str(tmp_path)])
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    lesson = Lesson(9)
    lesson.folder.mkdir()
    (lesson.folder / "error.txt").mkdir()
    told = explain(ValueError("what is wrong"), lesson)
    assert "ValueError: what is wrong" in told
    assert "The trace could not be kept in " in told


def test_an_error_is_told_by_the_line_of_the_lesson(tmp_path):
    ended = run_script(tmp_path, "from simplexlab import geometry\ngeometry.regular_simplex(5, 2)")
    assert ended.returncode == 1
    assert "Lesson 9 stopped at line 4" in ended.stderr
    assert "geometry.regular_simplex(5, 2)" in ended.stderr
    assert "no regular simplex exists for K = 5" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert "Traceback" in (tmp_path / "out" / "9" / "error.txt").read_text()


def test_a_claim_that_fails_is_told_as_one(tmp_path):
    ended = run_script(tmp_path, "number = 3\nassert number == 2")
    assert ended.returncode == 1
    assert "assert number == 2" in ended.stderr
    assert "claim" in ended.stderr


def test_runs_of_an_earlier_pass_are_forgotten_but_nothing_else(tmp_path):
    runs = tmp_path / "out" / "9" / "runs"
    (runs / "old").mkdir(parents=True)
    (runs / "old" / "config.json").write_text("{}")
    (runs / "old" / "status.json").write_text('{"state": "finished"}')
    (runs / "mine").mkdir()
    assert run_script(tmp_path, "").returncode == 0
    assert not (runs / "old").exists()
    assert (runs / "mine").exists()


def test_an_unknown_exercise_is_named():
    with pytest.raises(ValueError, match="no exercise 9z"):
        judge("9z", lambda: 1)


@pytest.fixture
def typed(monkeypatch):
    """Somebody at a terminal, who types these answers one after another."""
    answers = []
    monkeypatch.setattr(sys, "stdin", type("Terminal", (), {"isatty": lambda self: True})())
    monkeypatch.setattr("builtins.input", lambda prompt: answers.pop(0))
    return answers


def answers_of(lesson) -> dict:
    return json.loads((lesson.folder / "answers.json").read_text())


def test_a_prediction_is_asked_recorded_and_replayed(lesson, typed, capsys):
    typed += ["x", " B "]
    lesson.predict("9a", "Where?", ["left", "right"])
    assert "x is none of a, b." in capsys.readouterr().out
    lesson.replay("9a", "a")
    assert "you said b) right; seen: a) left" in capsys.readouterr().out
    recorded = answers_of(lesson)["predictions"]["9a"]
    assert recorded == {"question": "Where?", "choices": {"a": "left", "b": "right"}, "answer": "b", "seen": "a"}
    lesson.end("Done.")
    assert "Predictions that came true: 0 of 1." in capsys.readouterr().out


def test_where_nobody_can_answer_a_line_says_so_and_an_older_answer_stays(lesson, typed, monkeypatch, capsys):
    typed += ["a"]
    lesson.predict("9a", "Where?", ["left", "right"])
    monkeypatch.setattr(sys, "stdin", None)
    capsys.readouterr()
    lesson.predict("9a", "Where?", ["left", "right"])
    assert capsys.readouterr().out == "Prediction 9a is skipped: nobody can answer here.\n"
    lesson.replay("9a", "a")
    assert "As you said." in capsys.readouterr().out


def test_a_choice_is_graded_with_its_reason_and_an_open_answer_is_kept(lesson, typed, capsys):
    right = QUESTIONS["4.1"].right
    wrong = next(letter for letter in QUESTIONS["4.1"].options if letter != right)
    typed += [wrong, right, "", "because of the counts"]
    lesson.explain("4.1")
    said = capsys.readouterr().out
    assert f"No: {QUESTIONS['4.1'].options[wrong].reason}." in said
    assert f"Better: {right})" in said
    lesson.explain("4.1")
    assert "Right: " in capsys.readouterr().out
    lesson.explain("4.3")
    assert "4.3" not in answers_of(lesson)["questions"] or "answer" not in answers_of(lesson)["questions"]["4.3"]
    lesson.explain("4.3")
    assert answers_of(lesson)["questions"]["4.3"]["answer"] == "because of the counts"
    assert answers_of(lesson)["questions"]["4.1"] == {"answer": right, "right": True}


def test_hints_come_when_asked_for_and_after_a_wrong_try(lesson, capsys):
    lesson.check("1a", lambda num_classes, radius: ...)
    assert "hint:" not in capsys.readouterr().out
    lesson.check("1a", lambda num_classes, radius: 1.0)
    assert "hint:" in capsys.readouterr().out
    lesson.hint("1a")
    assert "Hint for 1a:" in capsys.readouterr().out
    assert answers_of(lesson)["exercises"]["1a"] == {"state": "not right", "tries": 1, "hints": 1}


SCRIPT = """
import numpy as np
from simplexlab import theory
SHIFT = 0.0
def helper(z, temperature):
    return z / np.sqrt(temperature)
def sc_loss(z, y, temperature):
    return theory.sc_loss_batch(helper(z, temperature), y) + SHIFT
lesson.check("2a", sc_loss)
"""


def test_a_solved_function_is_what_later_lessons_run(tmp_path):
    assert "Later lessons run your function." in run_script(tmp_path, SCRIPT).stdout
    kept = tmp_path / "out" / "own" / "sc_loss.py"
    kept.write_text(kept.read_text() + "\nprint('mine')\n")
    later = run_script(tmp_path, 'loss = lesson.own("2a")\nprint(loss.__module__)')
    assert "sc_loss is yours, of exercise 2a" in later.stdout
    assert "mine" in later.stdout
    assert "own_sc_loss" in later.stdout


@pytest.mark.parametrize("source", ["def sc_loss(z, y, temperature):\n    return 1.0\n", "raise OSError", "(", ""])
def test_a_kept_function_that_is_wrong_or_broken_is_not_run(lesson, source, capsys):
    path = lesson.folder.parent / "own" / "sc_loss.py"
    path.parent.mkdir(parents=True)
    path.write_text(source)
    assert lesson.own("2a") is EXERCISES["2a"].reference
    assert "sc_loss is the package's" in capsys.readouterr().out


def test_a_function_that_does_not_stand_alone_is_told(tmp_path):
    body = SCRIPT.replace("SHIFT = 0.0", "SHIFT = {0: 0.0}").replace("+ SHIFT", "+ SHIFT[0]")
    ended = run_script(tmp_path, body)
    assert "Later lessons will not run it: sc_loss uses SHIFT, which is made in the lesson" in ended.stdout
    assert ended.returncode == 0


def test_output_is_beside_the_script_and_not_within_the_package(tmp_path):
    script = tmp_path / "9_small.py"
    script.write_text("from simplexlab.course import Lesson\nprint(Lesson(9).folder)\n")
    ended = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, cwd="/")
    assert ended.stdout.strip() == str(tmp_path / "output" / "9")


def test_course_stands_below_the_command_line_and_the_interface():
    for path in Path(course.__file__).parent.rglob("*.py"):
        assert not re.search(r"^\s*(from|import) simplexlab\.(cli|tui)", path.read_text(), re.MULTILINE), path
