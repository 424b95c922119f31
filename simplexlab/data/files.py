"""A user's own data: a .npz file, or a folder with one subfolder per class."""

import contextlib
import functools
import logging
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from simplexlab.data.dataset import Dataset, spread
from simplexlab.data.idx import is_idx_folder, load_idx
from simplexlab.errors import UsageError
from simplexlab.memory import check_memory
from simplexlab.npz import not_found, read_arrays

logger = logging.getLogger(__name__)

NPZ_KEYS = ("x_train", "y_train", "x_test", "y_test")
CLEAN_KEY = "y_train_clean"
# Pillow would start Ghostscript for the first, and only knows the names of the others.
OTHER_FORMATS = ("EPS", "BUFR", "GRIB", "HDF5", "MPEG", "WMF")
ORIENTATION = 0x0112  # EXIF's number of how a camera was held; from 5 on, height and width change places
TEST_FOLDERS = ("test", "val", "validation", "valid")
ROUNDING = 1e-4  # floats beyond [0, 1] by no more come from rounding
TRAIN_SHARE = 0.8  # of a folder that is not split yet


def load_npz(path: str | Path) -> Dataset:
    """Load a `.npz` file in the Keras convention.

    It holds `x_train` and `x_test`, (N, H, W) or (N, H, W, C), of uint8 or of floats in [0, 1], which become
    round(255·x); and `y_train` and `y_test`, whole numbers (N,) or (N, 1) from 0 to K − 1. Where `y_train` is noisy,
    `y_train_clean` may hold the true labels. It is read without pickle.

    Args:
        path: the file.

    Returns:
        The dataset; its classes are named by their numbers.

    Raises:
        UsageError: the file cannot be read or does not hold such arrays.
    """
    arrays = read_arrays(path, NPZ_KEYS, (CLEAN_KEY,))
    images = {key: _to_uint8(path, key, arrays[key]) for key in ("x_train", "x_test")}
    labels = {key: _to_labels(path, key, array) for key, array in arrays.items() if key not in images}
    names = tuple(str(label) for label in range(len(np.unique(labels["y_train"]))))
    return Dataset(name=str(path), **images, **labels, class_names=names)


def _to_uint8(path: str | Path, key: str, images: np.ndarray) -> np.ndarray:
    if images.ndim not in (3, 4):
        raise UsageError(f"{path}: {key} must be (N, H, W) or (N, H, W, C), not {images.shape}")
    if images.ndim == 3:
        images = images[..., np.newaxis]
    elif images.shape[1] <= 4 < images.shape[3]:
        raise UsageError(
            f"{path}: {key} of shape {images.shape} has its channels first; it must be (N, H, W, C):"
            " numpy.moveaxis(x, 1, -1)"
        )
    if images.dtype == np.uint8:
        return images
    if not np.issubdtype(images.dtype, np.floating):
        raise UsageError(f"{path}: {key} must be uint8 or floats in [0, 1], not {images.dtype}")
    converted = np.empty(images.shape, np.uint8)
    for start in range(0, len(images), 1024):
        block = images[start : start + 1024]
        if not np.isfinite(block).all():
            raise UsageError(f"{path}: {key} holds NaN or infinite values")
        lowest, highest = float(block.min(initial=0)), float(block.max(initial=0))
        if lowest < -ROUNDING or highest > 1 + ROUNDING:
            wrong = float(str(block.min() if lowest < -ROUNDING else block.max()))  # in the digits of its own type
            raise UsageError(
                f"{path}: {key} holds the float {wrong:.9g}; floats must lie in [0, 1]; save grey levels 0 to 255 as "
                "uint8"
            )
        converted[start : start + 1024] = np.rint(np.clip(block, 0, 1) * 255)
    return converted


def _to_labels(path: str | Path, key: str, labels: np.ndarray) -> np.ndarray:
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        raise UsageError(
            f"{path}: {key} must be whole numbers of shape (N,) or (N, 1), not {labels.dtype} {labels.shape}"
        )
    if labels.size and (labels.min() < -(2**31) or labels.max() >= 2**31):
        raise UsageError(f"{path}: {key} holds the label {labels.max()}; labels are numbered from 0")
    return labels.astype(np.int32)


def load_folder(path: str | Path) -> Dataset:
    """Load a folder with one subfolder of images per class, or of idx files (`load_idx`).

    The folder either holds `train/` and `test/` (or `val/`), each with class folders, or the class folders themselves;
    then 80 % of each class train and 20 % test, spread evenly over its files in the order of their names. Images are
    the files whose format Pillow reads by itself (png, jpg, webp, tif, …), turned as their EXIF orientation says; all
    have one size. Grey images give one channel; if any image is coloured, all become RGB. Transparent pixels are laid
    over black. Of an animation, the first frame counts. Hidden files are passed over; what else is skipped, such as
    folders within a class, is counted and named in a warning.

    Args:
        path: the folder.

    Returns:
        The dataset; its classes are the names of the class folders, sorted.

    Raises:
        UsageError: a class folder is empty, an image cannot be read, or sizes differ.
    """
    root = Path(os.path.expanduser(path))
    if is_idx_folder(root):
        return load_idx(path)
    skipped = []
    top = _subfolders(root, skipped)
    tests = next((name for name in TEST_FOLDERS if name in top), None)
    if "train" in top and tests is not None:
        skipped += [root / name for name in top if name not in ("train", tests)]
        classes = _subfolders(root / "train", skipped)
        test_classes = _subfolders(root / tests, skipped)
        extra = sorted(set(test_classes) - set(classes))
        if extra:
            raise UsageError(f"{path}: {tests}/{extra[0]} is a class that train/ does not have")
        train = {name: _images(root / "train" / name, skipped) for name in classes}
        test = {name: _images(root / tests / name, skipped) for name in test_classes}
    else:
        classes = top
        train, test = {}, {}
        for name in classes:
            files = _images(root / name, skipped)
            if len(files) < 2:
                raise UsageError(f"{root / name} holds one image; a class needs two, one to train and one to test")
            trains = spread(len(files), min(max(round(TRAIN_SHARE * len(files)), 1), len(files) - 1))
            train[name] = [file for file, chosen in zip(files, trains, strict=True) if chosen]
            test[name] = [file for file, chosen in zip(files, trains, strict=True) if not chosen]
    if len(classes) < 2:
        raise UsageError(f"{path} needs at least two class folders, each with its images; it has {len(classes)}")
    x_train, y_train, x_test, y_test = _read_images(classes, train, test)
    if skipped:
        names = ", ".join(str(entry.relative_to(root)) for entry in skipped[:3]) + (" …" if len(skipped) > 3 else "")
        logger.warning("%s: skipped %d files and folders that are no images: %s", path, len(skipped), names)
    return Dataset(
        name=str(path), x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test, class_names=tuple(classes)
    )


def _visible(folder: Path) -> list[Path]:
    try:
        return sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    except FileNotFoundError:
        raise not_found(folder) from None
    except OSError as error:
        raise UsageError(f"{folder} cannot be read: {error.strerror}") from error


def _subfolders(folder: Path, skipped: list[Path]) -> list[str]:
    entries = _visible(folder)
    skipped += [entry for entry in entries if not entry.is_dir()]
    return [entry.name for entry in entries if entry.is_dir()]


def _images(folder: Path, skipped: list[Path]) -> list[Path]:
    suffixes = image_suffixes()
    entries = _visible(folder)
    files = [entry for entry in entries if entry.suffix.lower() in suffixes and entry.is_file()]
    skipped += sorted(set(entries) - set(files))
    if not files:
        held = f"; it holds {', '.join(entry.name for entry in entries[:3])}" if entries else ""
        raise UsageError(f"{folder} holds no images (png, jpg, webp and what else Pillow reads){held}")
    return files


@functools.cache
def image_formats() -> tuple[str, ...]:
    """The formats that Pillow reads by itself."""
    from PIL import Image

    Image.init()
    return tuple(sorted(set(Image.OPEN) - set(OTHER_FORMATS)))


@functools.cache
def image_suffixes() -> frozenset[str]:
    """What the names of files in these formats end in, in small letters."""
    from PIL import Image

    formats = image_formats()
    return frozenset(suffix for suffix, name in Image.registered_extensions().items() if name in formats)


def _read_images(classes: list[str], *parts: dict[str, list[Path]]) -> list[np.ndarray]:
    first = size = None
    grey = True
    for part in parts:
        for file in (file for files in part.values() for file in files):
            with _opened(file) as image:
                found = image.size[::-1] if _orientation(image) >= 5 else image.size
                first, size = first or file, size or found
                if found != size:
                    raise UsageError(
                        f"{file} is {found[0]}×{found[1]} pixels but {first} is {size[0]}×{size[1]};"
                        " all images must have one size"
                    )
                if image.mode not in ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr"):
                    raise UsageError(f"{file} has pixels of mode {image.mode}; images must have 8 bits a channel")
                grey &= image.mode in ("1", "L", "LA")

    channels = 1 if grey else 3
    number = sum(len(files) for part in parts for files in part.values())
    check_memory(number * size[0] * size[1] * channels, f"{number:,} images of {size[0]}×{size[1]} pixels")
    arrays = []
    for part in parts:
        count = sum(len(files) for files in part.values())
        images = np.empty((count, size[1], size[0], channels), np.uint8)
        labels = np.empty(count, np.int32)
        position = 0
        for name, files in part.items():
            for file in files:
                with _opened(file) as image:
                    images[position] = _pixels(image, grey)
                labels[position] = classes.index(name)
                position += 1
        arrays += [images, labels]
    return arrays


@contextlib.contextmanager
def _opened(file: Path) -> Iterator[Any]:
    """An image of Pillow's; whatever its reader raises within the block is told in one line."""
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd metadata
            with Image.open(file, formats=image_formats()) as image:
                yield image
    except UsageError:
        raise
    except Image.UnidentifiedImageError as error:
        raise UsageError(f"{file} cannot be read as an image") from error
    except Exception as error:  # each format has a reader of its own, and what it raises for damage is its own too
        raise UsageError(f"{file} cannot be read as an image: {error}") from error


def _orientation(image: Any) -> int:
    """How the camera was held by EXIF, 1 to 8; a PNG that has it behind its pixels would have to be read for it."""
    if image.format == "PNG" and "exif" not in image.info:
        return 1
    orientation = image.getexif().get(ORIENTATION, 1)
    return orientation if orientation in range(1, 9) else 1


def _pixels(image: Any, grey: bool) -> np.ndarray:
    from PIL import Image, ImageOps

    if _orientation(image) != 1:
        image = ImageOps.exif_transpose(image)
    if image.has_transparency_data:
        black = Image.new("RGBA", image.size, (0, 0, 0, 255))
        image = Image.alpha_composite(black, image.convert("RGBA"))
    pixels = np.asarray(image.convert("L" if grey else "RGB"))
    return pixels.reshape(*pixels.shape[:2], -1)
