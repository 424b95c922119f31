"""What became of the lessons is kept beside the runs."""

from simplexlab.course.scripts import list_lessons
from simplexlab.tui.views.lessons import read_states, record_state, state_words


def test_states_are_kept_beside_the_runs(tmp_path):
    (tmp_path / "01_fit.py").write_text("print(1)\n")
    lesson = list_lessons(tmp_path)[0]
    assert state_words(read_states(tmp_path).get("01_fit.py")) == "not run"
    record_state(tmp_path / "runs", lesson, 1)
    assert state_words(read_states(tmp_path / "runs")["01_fit.py"]) == "ended early"
    record_state(tmp_path / "runs", lesson, 0)
    assert state_words(read_states(tmp_path / "runs")["01_fit.py"]) == "done"
    (tmp_path / "runs" / ".lessons.json").write_text("{half")
    assert read_states(tmp_path / "runs") == {}
