"""A bounded number of bad commands, damaged folders and files; `tests/benchmarks/fuzz.py` does as many as asked.

Commands run in this process: each takes milliseconds, but for the few that draw.
"""

import warnings

import commands
import pytest
from hypothesis import HealthCheck, given, settings

bounded = settings(deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
DRAWING = tuple(words for words in commands.READERS if words[0] in ("figure", "report"))
LISTING = tuple(words for words in commands.READERS if words not in DRAWING)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Runs, a sweep, arrays and images, and copies of them as they were."""
    return commands.make_world(tmp_path_factory.mktemp("fuzz"))


def judged(case, world) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        outcome = commands.perform(case, world)
    assert not outcome.faults, (outcome.faults, case, outcome.err[-500:])


@settings(bounded, max_examples=80)
@given(case=commands.command_lines().filter(lambda words: words[0] != "figure").map(commands.Case))
def test_bad_command_lines_end_in_one_line(world, case):
    judged(case, world)


@settings(bounded, max_examples=80)
@given(case=commands.folder_cases(LISTING))
def test_damaged_folders_stop_nobody_who_reads(world, case):
    judged(case, world)


@settings(bounded, max_examples=2)
@given(case=commands.folder_cases(DRAWING))
def test_damaged_folders_stop_no_figure_or_report(world, case):
    judged(case, world)


@settings(bounded, max_examples=120)
@given(case=commands.array_cases())
def test_damaged_arrays_are_told(world, case):
    judged(case, world)


@settings(bounded, max_examples=60)
@given(case=commands.image_cases())
def test_damaged_images_are_told(world, case):
    judged(case, world)


@settings(bounded, max_examples=60)
@given(case=commands.unlucky_cases().filter(lambda case: case.words[0] not in ("figure", "report")))
def test_what_the_operating_system_refuses_is_told(world, case):
    judged(case, world)


def test_the_judge_sees_faults(world, monkeypatch):
    """Every fault that the tests above would find is found where it is there."""

    def app(*_, **__):
        (world.parent / "outside" / "new").write_text("x")
        raise ZeroDivisionError

    monkeypatch.setattr("simplexlab.cli.application.app", app)
    faults = " ".join(commands.run(["runs"], world).faults)
    (world.parent / "outside" / "new").unlink()
    assert "ZeroDivisionError" in faults
    assert "wrote outside" in faults
    monkeypatch.setattr("simplexlab.cli.application.app", lambda *_, **__: 0)
    damaged = commands.Case(("geometry", "points.npz"), ("cut", 0, 100), "points.npz")
    assert commands.perform(damaged, world).faults == ("wrong exit code 0",)


def test_the_judge_sees_a_hang(world, monkeypatch):
    def app(*_, **__):
        while True:
            pass

    monkeypatch.setattr("simplexlab.cli.application.app", app)
    monkeypatch.setattr(commands, "LONGEST_SECONDS", 0.05)
    assert commands.run(["runs"], world).faults == ("hang",)
