"""Lesson scripts are read by their heads."""

from simplexlab.tui.views.lessons import as_markdown, list_lessons, read_states, record_state, state_words

SCRIPT = '''"""A docstring."""
# %% [markdown]
# # Why labels are fitted
# **Goal:** see memorisation.
# Minutes: 12
#
# Some text.

# %%
print("hello")

# %% [markdown]
# The end.
'''


def test_heads_are_read_tolerantly(tmp_path):
    (tmp_path / "01_fit.py").write_text(SCRIPT)
    (tmp_path / "02_bare.py").write_text("print(1)\n")
    (tmp_path / "03_bytes.py").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "_common.py").write_text("")
    first, bare = list_lessons(tmp_path)
    assert (first.title, first.goal, first.minutes) == ("Why labels are fitted", "see memorisation.", "12")
    assert (bare.title, bare.goal, bare.minutes) == ("02_bare", "", "")
    assert list_lessons(None) == []


def test_the_text_is_markdown_with_code_in_blocks():
    text = as_markdown(SCRIPT)
    assert text.index("Some text.") < text.index('```python\nprint("hello")\n```') < text.index("The end.")


def test_states_are_kept_beside_the_runs(tmp_path):
    (tmp_path / "01_fit.py").write_text(SCRIPT)
    lesson = list_lessons(tmp_path)[0]
    assert state_words(read_states(tmp_path).get("01_fit.py")) == "not run"
    record_state(tmp_path / "runs", lesson, 1)
    assert state_words(read_states(tmp_path / "runs")["01_fit.py"]) == "ended early"
    record_state(tmp_path / "runs", lesson, 0)
    assert state_words(read_states(tmp_path / "runs")["01_fit.py"]) == "done"
    (tmp_path / "runs" / ".lessons.json").write_text("{half")
    assert read_states(tmp_path / "runs") == {}
