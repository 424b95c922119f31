"""A bounded number of bad command lines and damaged folders; `tests/benchmarks/fuzz.py` does as many as one likes."""

import importlib.util
import os
import shutil
import warnings
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

_spec = importlib.util.spec_from_file_location("fuzz_commands", Path(__file__).with_name("commands.py"))
commands = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(commands)

bounded = settings(deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A folder of runs, a sweep and data, and a copy of it as it was."""
    work = commands.make_world(tmp_path_factory.mktemp("fuzz"))
    shutil.copytree(work, work.parent / "pristine")
    (work / "file").write_text("x")
    (work / "loop").symlink_to(work / "loop")
    os.mkfifo(work / "pipe")
    return work


def judged(outcome) -> None:
    assert not outcome.faults, (outcome.faults, outcome.words, outcome.err[-500:])


@settings(bounded, max_examples=150)
@given(words=commands.command_lines())
def test_bad_command_lines_end_in_one_line(world, words):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        judged(commands.run(words, world))


@settings(bounded, max_examples=60)
@given(data=st.data())
def test_damaged_folders_stop_nobody_who_reads(world, data):
    mutation = data.draw(commands.mutations())
    command = data.draw(st.sampled_from([words for words in commands.READERS if words[0] != "figure"]))
    judged(commands.damaged(world, mutation, command, data.draw(st.sampled_from(["ce-0", "sc-0.2"]))))


@settings(bounded, max_examples=8)
@given(data=st.data())
def test_damaged_folders_stop_no_figure(world, data):
    mutation = data.draw(commands.mutations())
    command = data.draw(st.sampled_from([words for words in commands.READERS if words[0] == "figure"]))
    judged(commands.damaged(world, mutation, command, data.draw(st.sampled_from(["ce-0", "sc-0.2"]))))


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
