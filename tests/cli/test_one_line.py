"""An error is one line on stderr: nothing is said of progress, or of what is left out, before it."""

import pytest

from simplexlab.config import Experiment
from simplexlab.runs import RunWriter
from simplexlab.sweep import SweepFolder


@pytest.fixture
def sweep(tmp_path):
    """A sweep of two runs: one has not begun, the other's config.json is empty."""
    experiments = [Experiment(seed=seed, name=f"s{seed}").resolve() for seed in (0, 1)]
    SweepFolder.write(tmp_path / "sweep", experiments, "simplexlab sweep")
    RunWriter.create(tmp_path / "sweep", "s0", {"kind": "train"}, total=1).close()
    (tmp_path / "sweep/s0/config.json").write_bytes(b"")
    return tmp_path / "sweep"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("report", "{}", "--output", "nowhere/report.html"), "cannot write nowhere/report.html"),
        (("report", "{}", "--output", "/dev/null"), "cannot write /dev/null"),
        (("report", "{}", "--output", "/"), "it is not a file"),
        (("figure", "7", "{}/s0"), "there is no training run but s0: config.json is empty"),
    ],
)
def test_what_is_left_out_is_not_told_before_an_error(simplexlab, sweep, tmp_path, monkeypatch, words, told):
    monkeypatch.chdir(tmp_path)
    code, out, error = simplexlab(*(word.format(sweep) for word in words))
    assert (code, out) == (2, "")
    assert told in error
    assert error.count("\n") == 1


def test_a_damaged_run_is_not_called_finished(simplexlab, sweep):
    with RunWriter.create(sweep, "done", {"kind": "train"}, total=1) as writer:
        writer.save_result({"run": "done"})
        writer.set_status("finished", 1)
    (sweep / "done" / "config.json").write_bytes(b"")
    code, out, error = simplexlab("resume", sweep / "done")
    assert (code, out) == (2, "")
    assert error == f"simplexlab: {sweep / 'done'} is damaged: config.json is empty\n"
