"""Lesson scripts are read by their heads; a folder `lessons` here comes before the one that ships."""

from simplexlab.course import scripts
from simplexlab.course.scripts import as_markdown, lessons_dir, list_lessons

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
    assert list_lessons(tmp_path / "missing") == []


def test_the_text_is_markdown_with_code_in_blocks():
    text = as_markdown(SCRIPT)
    assert text.index("Some text.") < text.index('```python\nprint("hello")\n```') < text.index("The end.")


def test_the_scripts_here_come_before_those_that_ship(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert lessons_dir() == scripts.SHIPPED
    (tmp_path / "lessons").mkdir()
    assert lessons_dir() == scripts.SHIPPED
    (tmp_path / "lessons" / "01_fit.py").write_text(SCRIPT)
    assert lessons_dir() == tmp_path / "lessons"
