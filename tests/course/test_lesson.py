"""The frame of a lesson: options, pictures, errors told by the line of the lesson, and the judging of answers."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from simplexlab.course import Lesson, judge
from simplexlab.course.checking import Case, Exercise, calls, examine
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
    path = lesson.show(figure, "line")
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


def test_verdicts_show_yours_the_expected_value_the_tolerance_and_a_hint():
    exercise = Exercise(lambda: calls("half", ((4,), 2.0), ((5,), 2.5)), "divide by 2", tolerance=1e-3)
    assert examine("9a", exercise, lambda x: x / 2 + 1e-4).right
    wrong = examine("9a", exercise, lambda x: x // 2)
    assert not wrong.right
    for words in ("half(5)", "yours     2", "expected  2.5", "tolerance 0.001", "divide by 2"):
        assert words in str(wrong)
    assert examine("9a", exercise, lambda x: ...).state == "not solved yet"
    assert examine("9a", exercise, lambda x: None).state == "not right"
    broken = examine("9a", exercise, lambda x: x.half)
    assert broken.state == "error"
    assert "AttributeError" in str(broken)


@pytest.mark.parametrize(
    ("value", "expected", "right"),
    [
        (np.nan, 1.0, False),
        ([1.0, 2.0], np.array([1.0, 2.0]), True),
        ([1.0], np.array([1.0, 2.0]), False),
        (None, None, True),
        (0, None, False),
        ("a", "a", True),
        (True, 1.0, False),
        (1, True, False),
        (1e9 + 1, 1e9, True),
    ],
)
def test_values_are_compared_in_shape_and_kind(value, expected, right):
    exercise = Exercise(lambda: [Case("it", lambda function: function(), expected)], "none")
    assert examine("9a", exercise, lambda: value).right is right


def test_an_unknown_exercise_is_named():
    with pytest.raises(ValueError, match="no exercise 9z"):
        judge("9z", lambda: 1)
