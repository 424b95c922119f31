"""A run folder that somebody else made: what it links to is neither written, nor deleted, nor waited for."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from simplexlab.errors import RunError, UsageError
from simplexlab.runs import (
    MetricsFollower,
    RunsFollower,
    RunWriter,
    find_run,
    list_geometry,
    list_runs,
    read_geometry,
    read_labels,
    read_log,
    read_run,
)
from simplexlab.runs.folder import take_lock
from simplexlab.training import checkpoints

PARTS = (
    ".lock",
    "config.json",
    "metrics.jsonl",
    "status.json",
    "result.json",
    "labels.npz",
    "log.txt",
    "model.keras",
    "geometry",
    "geometry/00000010.npz",
    "checkpoints",
    "checkpoints/00000010.npz",
    "tb",
    "tb/train",
    "tb/train/events.out.tfevents.1.host",
)
CONFIG = {"kind": "train", "experiment": {"loss": "ce"}}


@pytest.fixture
def run(tmp_path) -> Path:
    """A run folder with every part."""
    with RunWriter.create(tmp_path / "runs", "a", CONFIG, total=20) as writer:
        for iteration in (0, 10):
            writer.log_metrics({"iteration": iteration})
            writer.save_geometry(iteration, class_means=np.zeros((2, 2)))
        writer.save_labels(np.zeros(3, int), np.zeros(0, int), np.zeros(3, int))
        writer.save_result({"run": "a"})
        writer.log_path.write_text("words\n")
        writer.save_model(lambda path: path.write_bytes(b"model"))
        checkpoints.save(writer.checkpoints_path, checkpoints.Checkpoint(10, 1.0, np.zeros(1), None, None, []))
        (writer.tensorboard_path / "train").mkdir(parents=True)
        (writer.tensorboard_path / "train" / "events.out.tfevents.1.host").touch()
        writer.set_status("stopped", 10)
    return tmp_path / "runs" / "a"


def contents(folder: Path) -> dict[str, bytes | None]:
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def write_everything(path: Path) -> None:
    """All that a process may write in a run that goes on."""
    with RunWriter.reopen(path, total=20) as writer:
        writer.rewind(-1)
        writer.log_metrics({"iteration": 0})
        writer.save_geometry(0, class_means=np.zeros((2, 2)))
        writer.save_labels(np.zeros(3, int), np.zeros(0, int), np.zeros(3, int))
        writer.save_result({"run": "a"})
        writer.save_model(lambda path: path.write_bytes(b"other model"))
        checkpoints.save(writer.checkpoints_path, checkpoints.Checkpoint(20, 1.0, np.zeros(1), None, None, []))
        writer.set_status("finished", 20)
        checkpoints.remove(writer.checkpoints_path)


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("kind", ["link", "dangling link"])
def test_what_a_part_links_to_stays_as_it_is(run, tmp_path, part, kind):
    outside = tmp_path / "outside"
    outside.mkdir()
    shutil.move(run / part, outside / "moved")
    if kind == "link":
        (outside / "more").mkdir()
        (outside / "more" / "00000099.npz").touch()
    target = outside / "moved" if kind == "link" else outside / "not there"
    (run / part).symlink_to(target)
    before = contents(outside)
    if read_run(run).config:
        with pytest.raises(UsageError, match="is a link"):
            write_everything(run)
    else:  # a config.json that is a link says nothing of a run
        with pytest.raises(UsageError, match="is not a run folder"):
            write_everything(run)
    assert contents(outside) == before
    assert (run / part).is_symlink()


def test_a_linked_run_folder_can_be_read_but_not_written(run, tmp_path):
    (tmp_path / "runs" / "b").symlink_to(run)
    before = contents(run)
    assert read_run(tmp_path / "runs" / "b").status.state == "stopped"
    with pytest.raises(UsageError, match="name the run folder that it leads to"):
        write_everything(tmp_path / "runs" / "b")
    assert contents(run) == before


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.timeout(30)
def test_pipes_hang_nobody(run, part):
    path = run / part
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    os.mkfifo(path)
    assert [found.name for found in list_runs(run.parent)] == ["a"]
    RunsFollower(run.parent).poll()
    MetricsFollower(run).poll()
    read_log(run)
    list_geometry(run)
    find_run("a", run.parent)
    for read in (lambda: read_geometry(run, 10), lambda: read_labels(run)):
        try:
            read()
        except RunError as error:
            assert str(run) in str(error)  # noqa: PT017
    try:
        write_everything(run)
    except (RunError, UsageError, OSError) as error:
        assert "\n" not in str(error)  # noqa: PT017
    assert path.is_fifo() or not path.exists() or path.is_file()


@pytest.mark.parametrize("made", ["a link to a folder", "a folder with a link", "a folder with a folder", "a pipe"])
def test_only_a_folder_of_ones_own_is_left_over(tmp_path, made):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / ".lock").touch()
    path = tmp_path / "a"
    if made == "a link to a folder":
        path.symlink_to(outside)
    elif made == "a pipe":
        os.mkfifo(path)
    else:
        path.mkdir()
        if made == "a folder with a link":
            (path / ".lock").symlink_to(outside / ".lock")
        else:
            (path / ".0123456789abcdef.tmp").mkdir()
    with pytest.raises(UsageError, match="exists already"):
        RunWriter.create(tmp_path, "a", CONFIG, total=1)
    assert contents(outside) == {".lock": b""}


def test_the_folder_of_somebody_else_is_not_left_over(tmp_path, monkeypatch):
    (tmp_path / "a").mkdir()
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(UsageError, match="exists already"):
        RunWriter.create(tmp_path, "a", CONFIG, total=1)


def test_the_lock_is_not_taken_through_a_link(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / ".lock").symlink_to(tmp_path / "file")
    with pytest.raises(OSError, match="is a link"):
        take_lock(tmp_path)
