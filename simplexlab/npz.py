"""Read `.npz` archives of anybody: no pickle, and no array before its size is known and fits into memory."""

import lzma
import math
import os
import struct
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np

from simplexlab.errors import UsageError
from simplexlab.files import open_binary, reason
from simplexlab.memory import check_memory

# What zipfile and its decompressors raise for archives that are damaged, or compressed in a way they do not know.
DAMAGE = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, struct.error, NotImplementedError, OverflowError)
ENCRYPTED = 0x1
HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


class NpzReader:
    """The arrays of an open `.npz` file; each is read when it is asked for.

    Args:
        file: the file, open and seekable.

    Raises:
        ValueError: the file is not a zip archive; the message is the reason alone.
    """

    def __init__(self, file: BinaryIO):
        try:
            self._archive = zipfile.ZipFile(file)
        except (*DAMAGE, ValueError) as error:
            raise ValueError("it is not a .npz archive") from error
        self._members = {info.filename.removesuffix(".npy"): info for info in self._archive.infolist()}
        self._taken = 0

    @property
    def names(self) -> list[str]:
        """Names of the arrays."""
        return list(self._members)

    def read(self, name: str) -> np.ndarray:
        """Read one array.

        Raises:
            KeyError: there is none of that name.
            ValueError: it is encrypted, damaged, no array of numbers, or too large; the message begins with its name.
        """
        info = self._members[name]
        if info.flag_bits & ENCRYPTED:
            raise ValueError(f"{name} is encrypted; save it without a password")
        try:
            with self._archive.open(info) as member:
                return self._read(name, member, info.file_size)
        except (*DAMAGE, OSError) as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            raise ValueError(f"{name} is damaged ({reason[:100]})") from error

    def _read(self, name: str, member: BinaryIO, size: int) -> np.ndarray:
        try:
            shape, fortran_order, dtype = HEADERS[np.lib.format.read_magic(member)](member)
        except (*DAMAGE, OSError):
            raise
        except Exception as error:  # NumPy evaluates the header as Python's literals: whatever comes of that
            raise ValueError(f"{name} is damaged or no array of numbers: its header cannot be read") from error
        if dtype.hasobject:
            raise ValueError(f"{name} holds pickled objects; save it as a plain array of numbers")
        needed = math.prod(shape) * dtype.itemsize
        header = member.tell()
        if min(shape, default=0) < 0 or needed != size - header:
            raise ValueError(
                f"{name} is damaged: an array of {dtype} of shape {_shown(shape)} has {needed:,} bytes, and there are"
                f" {size - header:,}"
            )
        self._taken += needed
        check_memory(self._taken, name if self._taken == needed else f"{name} beside the other arrays")
        content = bytearray(needed)
        view = memoryview(content)
        while view:
            count = member.readinto(view)
            if count == 0:
                raise EOFError("it ends early")
            view = view[count:]
        if member.read(1):  # reads on to the checksum
            raise EOFError("it is longer than its header tells")
        try:
            return np.ndarray(shape, dtype, content, order="F" if fortran_order else "C")
        except (ValueError, TypeError) as error:
            raise ValueError(f"{name} is damaged: there is no array of shape {_shown(shape)}") from error


def not_found(path: str | Path) -> UsageError:
    """The error of a file or folder that is not there; of a relative path it names the folder looked in."""
    folder = "" if os.path.isabs(os.path.expanduser(path)) else f" in {os.getcwd()}"
    return UsageError(f"{path} does not exist{folder}")


def read_arrays(
    path: str | Path, required: Sequence[str], optional: Sequence[str] = (), contents: str | None = None
) -> dict[str, np.ndarray]:
    """Read arrays of a user's own `.npz` file.

    Args:
        path: the file; `~` is the home folder, links are followed.
        required: names that it must hold.
        optional: names that it may hold.
        contents: what it must hold, in words.

    Returns:
        The arrays that are there, by name.

    Raises:
        UsageError: the file cannot be read, or lacks an array, or one is damaged; the message begins with the path.
    """
    try:
        with open_binary(os.path.realpath(os.path.expanduser(path))) as file:
            archive = NpzReader(file)
            names = archive.names
            missing = [name for name in required if name not in names]
            if not missing:
                return {name: archive.read(name) for name in (*required, *optional) if name in names}
    except FileNotFoundError:
        raise not_found(path) from None
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {reason(error)}") from error
    except ValueError as error:
        raise UsageError(f"{path}: {error}") from error
    contents = contents or ", ".join(required)
    raise UsageError(f"{path} lacks {', '.join(missing)}; it must hold {contents} (it holds {_listed(names)})")


def _listed(names: list[str]) -> str:
    shown = ", ".join(name[:40] for name in names[:8])
    return f"{shown} and {len(names) - 8} more" if len(names) > 8 else shown or "nothing"


def _shown(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape)) if len(shape) <= 8 else f"{len(shape)} dimensions"
