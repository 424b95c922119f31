"""Every command and every Python block of README.md and docs/ runs, or says why it does not.

A page's blocks run in their order, in one folder and one Python namespace, as its reader runs them. What is not run
says so in its own line, or in the first line of a Python block: `# needs a GPU`, `# needs a network`, …, or
`# run by FILE` and `# slow: …; run by FILE`, where FILE is the test, benchmark or step of CI that does run it.
"""

import importlib.util
import re
import shlex
from pathlib import Path

import pytest

from simplexlab.objectives import own

ROOT = Path(__file__).parents[1]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
BLOCK = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
# Pages whose blocks belong together in another way than one after another: a test that reads the page runs them.
ELSEWHERE = {"docs/objectives.md": "tests/objectives/test_guests.py", "docs/scale.md": "tests/sweep/test_scheduler.py"}
EXCUSE = re.compile(r"#.*\b(needs (a|an|several|PyTorch)\b|run by hand|run by (?P<file>\S+))")
LONGEST = {"README.md": 120} | {f"docs/recipes/{path.name}": 30 for path in (ROOT / "docs/recipes").glob("*.md")}


def name_of(page):
    return str(page.relative_to(ROOT))


def blocks_of(page):
    return BLOCK.findall(page.read_text(encoding="utf-8"))


def excused(line):
    """Whether a line says why it is not run here, and by what; what it names must be there."""
    found = EXCUSE.search(line)
    if found and found["file"]:
        assert (ROOT / found["file"].rstrip(":;,.")).is_file(), line
    return found is not None


def commands_in(block):
    """The lines of a shell block, those joined that a backslash continues."""
    return [line for line in re.sub(r"\\\n\s*", " ", block).splitlines() if line.strip() and not line.startswith("#")]


def is_torch_missing(code):
    return "import torch" in code and importlib.util.find_spec("torch") is None


@pytest.mark.timeout(600)
@pytest.mark.parametrize("page", [page for page in PAGES if name_of(page) not in ELSEWHERE], ids=name_of)
def test_the_blocks_of_a_page_run(page, tmp_path, monkeypatch, capsys):
    from simplexlab.cli import main

    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": "page"}
    for language, block in blocks_of(page):
        first = block.split("\n", 1)[0]
        if language == "python":
            if (named := re.match(r"# ([\w.]+\.py)$", first)) is not None:
                (tmp_path / named[1]).write_text(block, encoding="utf-8")
            if excused(first) and ("import torch" not in block or is_torch_missing(block)):
                continue
            exec(compile(block, f"{page.name}: {first}", "exec"), namespace)
        elif language == "sh":
            if first.startswith("#") and excused(first):
                continue
            for line in commands_in(block):
                if excused(line):
                    continue
                program, *words = shlex.split(line, comments=True)
                assert program == "simplexlab", f"{line}: say who runs it, or what it needs"
                code = main(words)
                assert code == 0, f"{line}: {capsys.readouterr().err}"
        else:
            assert language in ("", "text"), f"{page.name} has a block of {language}"
    own.forget()


@pytest.mark.parametrize(("page", "test"), ELSEWHERE.items())
def test_pages_with_a_test_of_their_own_have_it(page, test):
    assert Path(page).name in (ROOT / test).read_text(encoding="utf-8")


@pytest.mark.parametrize(("page", "most"), LONGEST.items())
def test_what_is_to_be_short_is(page, most):
    assert len((ROOT / page).read_text(encoding="utf-8").splitlines()) <= most


def test_excuses_name_what_is_there():
    assert excused("simplexlab train  # needs a GPU")
    assert not excused("simplexlab train  # a remark")
    with pytest.raises(AssertionError):
        excused("simplexlab train  # slow: run by tests/nothing.py")


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CHANGELOG.md"], ids=name_of)
def test_files_that_a_page_names_are_there(page):
    named = set(re.findall(r"(?<![\w/.])(?:tests|docs|\.ci)/[\w/.-]*\w", page.read_text(encoding="utf-8")))
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


def test_every_page_is_in_the_navigation_and_every_picture_is_there():
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert [it for it in PAGES if it.name != "README.md" and str(it.relative_to(ROOT / "docs")) not in text] == []
    for page in PAGES:
        for target in re.findall(r"!\[[^\]]*\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).is_file(), f"{page.name}: {target}"


def test_the_reference_has_every_public_part():
    text = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    for part in (
        "geometry",
        "theory",
        "losses",
        "callbacks",
        "objectives",
        "evaluation",
        "config",
        "runs",
        "toy",
        "sweep",
    ):
        assert f"::: simplexlab.{part}\n" in text


def test_the_readme_and_ci_test_with_the_same_command():
    command = r"pip install '\.\[test\]' && \S+/pytest -n 3"
    assert re.search(command, (ROOT / "README.md").read_text())
    in_ci = command.replace("pip install", 'pip" install --quiet').replace(r"\S+/pytest", r'\S+/pytest"')
    assert re.search(in_ci, (ROOT / ".ci" / "run").read_text())
