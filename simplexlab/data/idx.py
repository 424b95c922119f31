"""The original format of MNIST: a folder of four idx files, plain or compressed with gzip."""

import gzip
import math
import os
import zlib
from pathlib import Path

import numpy as np

from simplexlab.data.dataset import Dataset
from simplexlab.errors import UsageError
from simplexlab.memory import check_memory

# The last byte of the magic number is the number of dimensions; the third says that the values are unsigned bytes.
IMAGES, LABELS = 0x00000803, 0x00000801
FILES = {
    "x_train": ("train-images", IMAGES),
    "y_train": ("train-labels", LABELS),
    "x_test": ("t10k-images", IMAGES),
    "y_test": ("t10k-labels", LABELS),
}
BLOCK = 2**20


def is_idx_folder(folder: Path) -> bool:
    """Whether one of the four files is in the folder."""
    return any(_find(folder, stem, magic) for stem, magic in FILES.values())


def load_idx(folder: str | Path, name: str | None = None) -> Dataset:
    """Load a folder of the four files of MNIST, Fashion-MNIST, KMNIST and their like.

    They are `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`, `t10k-images-idx3-ubyte` and
    `t10k-labels-idx1-ubyte` (or with `.idx3-ubyte` and `.idx1-ubyte`), each plain or as `.gz`.

    Args:
        folder: the folder.
        name: what the dataset was asked for by; by default the folder.

    Returns:
        The dataset, images of one channel; its classes are named by their numbers.

    Raises:
        UsageError: a file is missing, truncated, longer than it says or of another magic number, or the counts differ.
    """
    root = Path(os.path.expanduser(folder))
    arrays = {}
    for key, (stem, magic) in FILES.items():
        path = _find(root, stem, magic)
        if path is None:
            raise UsageError(f"{folder} lacks {_names(stem, magic)[0]} (or that name with .gz)")
        arrays[key] = _read(path, magic)
    for part in ("train", "test"):
        arrays[f"x_{part}"] = arrays[f"x_{part}"][..., np.newaxis]
        arrays[f"y_{part}"] = arrays[f"y_{part}"].astype(np.int32)
    names = tuple(str(label) for label in np.unique(arrays["y_train"]))
    return Dataset(name=name or str(folder), **arrays, class_names=names)


def _names(stem: str, magic: int) -> list[str]:
    return [f"{stem}{separator}idx{magic & 0xFF}-ubyte" for separator in "-."]


def _find(folder: Path, stem: str, magic: int) -> Path | None:
    names = [f"{name}{suffix}" for name in _names(stem, magic) for suffix in ("", ".gz")]
    return next((folder / name for name in names if (folder / name).is_file()), None)


def _read(path: Path, magic: int) -> np.ndarray:
    """The array in an idx file: a magic number, the lengths of the dimensions as big-endian int32, then the bytes."""
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            header = file.read(4 + 4 * (magic & 0xFF))
            found = int.from_bytes(header[:4])
            if len(header) >= 4 and found != magic:
                raise UsageError(f"{path} begins with {found:#010x} where idx files of its kind have {magic:#010x}")
            shape = tuple(np.frombuffer(header[4:], ">i4").astype(int)) if len(header) % 4 == 0 else ()
            if len(shape) != magic & 0xFF:
                raise UsageError(f"{path} is truncated: it ends within its header")
            if min(shape) < 0:
                raise UsageError(f"{path} says that its shape is {shape}; no length is negative")
            size = math.prod(map(int, shape))
            check_memory(size, str(path))
            contents = bytearray()
            while block := file.read(BLOCK):
                contents += block
                if len(contents) > size:
                    raise UsageError(f"{path} is longer than the {size:,} bytes that its header tells of")
    except OSError as error:
        reason = error.strerror or "it is no whole gzip file"
        raise UsageError(f"{path} cannot be read: {reason}") from error
    except (EOFError, zlib.error) as error:
        raise UsageError(f"{path} is truncated or damaged: it is no whole gzip file") from error
    if len(contents) < size:
        raise UsageError(f"{path} is truncated: it has {len(contents):,} of {size:,} bytes")
    return np.frombuffer(contents, np.uint8).reshape(shape)
