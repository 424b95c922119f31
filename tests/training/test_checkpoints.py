"""Checkpoints: whole or not there, the newest whole one is read."""

import logging
import resource

import numpy as np
import pytest

from simplexlab.training import checkpoints
from simplexlab.training.checkpoints import Checkpoint


def make(iteration: int, **changes) -> Checkpoint:
    generator = np.random.default_rng(iteration)
    variables = [generator.normal(size=(3, 4)).astype(np.float32), np.array(iteration), generator.normal(size=5000)]
    values = {"seconds": 1.25, "batch_losses": np.array([0.1, 0.7]), "fit_lower": 20, "fit_iteration": None}
    return Checkpoint(iteration=iteration, variables=variables, **{**values, **changes})


def assert_equal(found: Checkpoint, wanted: Checkpoint) -> None:
    for name in ("iteration", "seconds", "fit_lower", "fit_iteration"):
        assert getattr(found, name) == getattr(wanted, name)
    for one, other in zip(
        [found.batch_losses, *found.variables], [wanted.batch_losses, *wanted.variables], strict=True
    ):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)


def test_what_is_saved_is_loaded_and_two_are_kept(tmp_path):
    folder = tmp_path / "checkpoints"
    assert checkpoints.load(folder, make(0).variables) is None
    for iteration in (99_999_999, 100_000_000, 100_000_005):
        checkpoints.save(folder, make(iteration, fit_iteration=iteration))
    assert_equal(checkpoints.load(folder, make(0).variables), make(100_000_005, fit_iteration=100_000_005))
    assert {path.name for path in folder.iterdir()} == {"100000000.npz", "100000005.npz"}


@pytest.mark.parametrize(
    "damage", ["truncated", "a flipped bit", "an unknown flag", "encrypted", "empty", "no archive"]
)
def test_a_damaged_checkpoint_is_told_and_the_one_before_is_read(tmp_path, caplog, damage):
    for iteration in (20, 40):
        checkpoints.save(tmp_path, make(iteration))
    newest = tmp_path / "00000040.npz"
    content = bytearray(newest.read_bytes())
    if damage == "a flipped bit":
        content[len(content) // 2] ^= 1
    if damage in ("an unknown flag", "encrypted"):  # in the archive's directory
        content[content.index(b"PK\x01\x02") + 8] ^= {"an unknown flag": 0x20, "encrypted": 0x01}[damage]
    newest.write_bytes({"truncated": content[:-100], "empty": b"", "no archive": b"PK no"}.get(damage, content))
    with caplog.at_level(logging.WARNING):
        assert_equal(checkpoints.load(tmp_path, make(0).variables), make(20))
    assert "00000040.npz is damaged" in caplog.text
    (tmp_path / "00000020.npz").write_bytes(b"")
    assert checkpoints.load(tmp_path, make(0).variables) is None


def test_the_checkpoint_of_another_model_or_with_pickled_objects_is_not_read(tmp_path):
    checkpoints.save(tmp_path, make(20))
    assert checkpoints.load(tmp_path, make(0).variables[:2]) is None
    with np.load(tmp_path / "00000020.npz") as arrays:
        pickled = {**arrays, "variable_0001": np.array({"object": 1}, object)}
    np.savez(tmp_path / "00000020.npz", **pickled)
    assert checkpoints.load(tmp_path, make(0).variables) is None


def test_a_full_disk_leaves_the_checkpoint_before_whole(tmp_path):
    checkpoints.save(tmp_path, make(20))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            checkpoints.save(tmp_path, make(40))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [path.name for path in tmp_path.iterdir()] == ["00000020.npz"]
    assert_equal(checkpoints.load(tmp_path, make(0).variables), make(20))
