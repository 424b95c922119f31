"""Checkpoints: everything that the next step and the next evaluation depend on, in one .npz without pickle."""

import logging
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from simplexlab.files import make_folder, open_binary, replacing
from simplexlab.npz import NpzReader

FORMAT = 1
KEPT = 2

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Checkpoint:
    """A run between two steps, before the evaluation that may be due there.

    Attributes:
        iteration: steps done.
        seconds: time that the run has taken.
        batch_losses: loss of each step since the last evaluation, float64.
        fit_lower: last evaluation that was not yet fitted, or None.
        fit_iteration: first evaluation that was fitted, or None.
        variables: model variables (weights and moving statistics), then optimizer variables (iterations, velocities).
    """

    iteration: int
    seconds: float
    batch_losses: np.ndarray
    fit_lower: int | None
    fit_iteration: int | None
    variables: list[np.ndarray] = field(repr=False)


def save(folder: Path, checkpoint: Checkpoint) -> None:
    """Write `folder/<iteration>.npz`, whole or not at all, and keep it and the one before.

    Raises:
        OSError: it cannot be written; the checkpoints that were there are untouched.
    """
    make_folder(folder)
    path = folder / f"{checkpoint.iteration:08d}.npz"
    arrays = {f"variable_{index:04d}": array for index, array in enumerate(checkpoint.variables)}
    with replacing(path) as temporary, open(temporary, "wb") as file:
        np.savez(
            file,
            format=FORMAT,
            iteration=checkpoint.iteration,
            seconds=checkpoint.seconds,
            batch_losses=checkpoint.batch_losses,
            fit_lower=_to_array(checkpoint.fit_lower),
            fit_iteration=_to_array(checkpoint.fit_iteration),
            **arrays,
        )
        file.flush()
        os.fsync(file.fileno())
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)  # the new name, before the old file goes
    finally:
        os.close(descriptor)
    keep(folder, KEPT)


def load(folder: Path, like: Sequence[np.ndarray]) -> Checkpoint | None:
    """Read the newest whole checkpoint in `folder`; a damaged one is passed over with a warning.

    Damaged is what does not end, what fails the CRC-32 that an .npz carries for each array, and what does not hold
    variables of the shapes and dtypes of `like`.

    Returns:
        The checkpoint, or None where there is none.
    """
    for path in _newest_first(folder):
        try:
            return _read(path, like)
        except Exception as error:  # damage shows as whatever zipfile, zlib and numpy make of it
            logger.warning("%s is damaged (%s); going back to the one before, or to the start", path, error)
    return None


def keep(folder: Path, count: int) -> None:
    """Remove all checkpoints but the newest `count`."""
    for old in _newest_first(folder)[count:]:
        old.unlink(missing_ok=True)


def remove(folder: Path) -> None:
    """Remove the checkpoints of a finished run: nothing goes on from them, and its weights are in `model.keras`."""
    shutil.rmtree(folder, ignore_errors=True)


def exist(folder: Path) -> bool:
    """Whether there is a checkpoint, whole or damaged."""
    return bool(_newest_first(folder))


def _read(path: Path, like: Sequence[np.ndarray]) -> Checkpoint:
    with open_binary(path) as file:
        archive = NpzReader(file)
        arrays = {name: archive.read(name) for name in archive.names}
        if arrays["format"] != FORMAT:
            raise ValueError(f"format {arrays['format']}, this version reads {FORMAT}")
        variables = [arrays[name] for name in sorted(arrays) if name.startswith("variable_")]
        found, wanted = ([(array.shape, array.dtype) for array in part] for part in (variables, like))
        if found != wanted:
            raise ValueError("its variables are not those of this model")
        return Checkpoint(
            iteration=int(arrays["iteration"]),
            seconds=float(arrays["seconds"]),
            batch_losses=arrays["batch_losses"],
            fit_lower=_from_array(arrays["fit_lower"]),
            fit_iteration=_from_array(arrays["fit_iteration"]),
            variables=variables,
        )


def _newest_first(folder: Path) -> list[Path]:
    paths = (path for path in folder.glob("*.npz") if path.stem.isdecimal())
    return sorted(paths, key=lambda path: int(path.stem), reverse=True)


def _to_array(number: int | None) -> np.ndarray:
    return np.array([] if number is None else [number], np.int64)


def _from_array(array: np.ndarray) -> int | None:
    return int(array[0]) if len(array) else None
