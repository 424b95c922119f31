"""`simplexlab lessons`: list, copy, run, and the report of a class."""

import json
import os

from simplexlab.course.record import write_answers


def test_it_lists_the_lessons(simplexlab):
    code, out, _ = simplexlab("lessons")
    assert code == 0
    assert "1 · The regular simplex" in out
    code, out, _ = simplexlab("lessons", "list", "--json")
    numbers = [lesson["number"] for lesson in json.loads(out)["lessons"]]
    assert numbers == list(range(1, len(numbers) + 1))


def test_copies_are_made_once_and_never_over_a_students_work(simplexlab, tmp_path):
    code, out, _ = simplexlab("lessons", "copy", tmp_path / "mine", "--json")
    assert code == 0
    assert str(tmp_path / "mine" / "1_the_regular_simplex.py") in json.loads(out)["files"]
    assert not (tmp_path / "mine" / "solutions").exists()
    (tmp_path / "mine" / "1_the_regular_simplex.py").write_text("my work")
    code, _, err = simplexlab("lessons", "copy", tmp_path / "mine")
    assert code == 2
    assert "1_the_regular_simplex.py is there already" in err
    assert (tmp_path / "mine" / "1_the_regular_simplex.py").read_text() == "my work"


def test_a_teacher_gets_plan_rubrics_and_solutions_and_notebooks_an_install_cell(simplexlab, tmp_path):
    code, _, _ = simplexlab("lessons", "copy", tmp_path, "--notebooks", "--teacher", "--package", "a.whl")
    assert code == 0
    plan = (tmp_path / "teacher.md").read_text()
    assert "| 2a | `sc_loss` | hard | 15 |" in plan
    assert "Are the labels balanced?" in plan
    assert (tmp_path / "solutions" / "2_points_that_find_it.py").exists()
    notebook = json.loads((tmp_path / "2_points_that_find_it.ipynb").read_text())
    assert "'a.whl'" in "".join(notebook["cells"][1]["source"])
    code, _, err = simplexlab("lessons", "copy", tmp_path / "other", "--package", "a.whl")
    assert code == 2
    assert "--notebooks" in err


def test_wrong_numbers_and_folders_are_told_in_one_line(simplexlab, tmp_path):
    code, _, err = simplexlab("lessons", "run", 12)
    assert code == 2
    assert "there is no lesson 12" in err
    code, _, err = simplexlab("lessons", "report", tmp_path)
    assert code == 2
    assert "holds no answers.json" in err
    code, _, err = simplexlab("lessons", "report", tmp_path / "missing")
    assert code == 2
    assert "is not a folder" in err
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "pipe")
    for words in (
        ("run", 1, "--output", tmp_path / "file"),
        ("copy", tmp_path / "pipe"),
        ("copy", tmp_path / "file/x"),
    ):
        code, out, err = simplexlab("lessons", *words)
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert "and not a folder" in err


def test_a_lesson_is_run(simplexlab, tmp_path):
    code, _, _ = simplexlab("lessons", "run", 1, "--fast", "--output", tmp_path / "out", "--student", "Ada")
    assert code == 0
    assert json.loads((tmp_path / "out" / "1" / "answers.json").read_text())["student"] == "Ada"


def test_the_report_of_a_class_counts_and_escapes(simplexlab, tmp_path):
    choices = {"a": "below", "b": "above <b>0.5</b>"}
    for student, answer in (("ada", "a"), ("bo", "b"), ("cy", "b")):
        write_answers(
            tmp_path / student / "output" / "5",
            {
                "lesson": 5,
                "predictions": {"5d": {"question": "Where?", "choices": choices, "answer": answer, "seen": "b"}},
                "questions": {"5.1": {"answer": "b", "right": True}, "5.3": {"answer": f"<i>{student}</i> says"}},
                "exercises": {"5a": {"state": "right", "tries": 2, "hints": 1}},
            },
        )
    (tmp_path / "dee").mkdir()
    (tmp_path / "dee" / "answers.json").write_text("{half")
    for name, content in (("eve", "[" * 100_000), ("finn", "[]"), ("gus", '{"lesson": {}, "predictions": [1]}')):
        (tmp_path / name).mkdir()
        (tmp_path / name / "answers.json").write_text(content)
    (tmp_path / "hal").mkdir()
    os.mkfifo(tmp_path / "hal" / "answers.json")
    (tmp_path / "ida").mkdir()
    (tmp_path / "ida" / "answers.json").symlink_to("/dev/zero")
    code, out, _ = simplexlab("lessons", "report", tmp_path, "--json")
    assert code == 0
    lesson = json.loads(out)["lessons"][0]
    assert lesson["students"] == ["ada", "bo", "cy"]
    assert lesson["predictions"]["5d"]["answers"] == {"a": 1, "b": 2}
    assert lesson["questions"]["5.1"]["answers"] == {"b": 3}
    assert lesson["exercises"]["5a"] == {"function": "class_means", "solved": 3, "tried": 3, "tries": 6, "hints": 3}
    page = (tmp_path / "report.html").read_text()
    assert "&lt;i&gt;ada&lt;/i&gt; says" in page
    assert "above &lt;b&gt;0.5&lt;/b&gt;" in page
    assert "<i>" not in page
