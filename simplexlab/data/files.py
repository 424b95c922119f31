"""A user's own data: a .npz file, or a folder with one subfolder per class."""

from pathlib import Path

import numpy as np

from simplexlab.data.dataset import Dataset, spread
from simplexlab.data.idx import is_idx_folder, load_idx
from simplexlab.errors import UsageError
from simplexlab.npz import not_found, read_arrays

NPZ_KEYS = ("x_train", "y_train", "x_test", "y_test")
CLEAN_KEY = "y_train_clean"
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif")
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
    elif images.shape[1] in (1, 3) and images.shape[3] > 4:
        raise UsageError(f"{path}: {key} of shape {images.shape} has its channels first; it must be (N, H, W, C)")
    if images.dtype == np.uint8:
        return images
    if not np.issubdtype(images.dtype, np.floating):
        raise UsageError(f"{path}: {key} must be uint8 or floats in [0, 1], not {images.dtype}")
    converted = np.empty(images.shape, np.uint8)
    for start in range(0, len(images), 1024):
        block = images[start : start + 1024]
        if not np.isfinite(block).all():
            raise UsageError(f"{path}: {key} holds NaN or infinite values")
        if block.min(initial=0) < 0 or block.max(initial=0) > 1:
            raise UsageError(
                f"{path}: {key} holds floats from {block.min():g} to {block.max():g}; floats must lie in [0, 1]"
                " (or save uint8)"
            )
        converted[start : start + 1024] = np.rint(block * 255)
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
    """Load a folder with one subfolder of images (png, jpg, jpeg, bmp, gif) per class, or of idx files (`load_idx`).

    The folder either holds `train/` and `test/`, each with class folders, or the class folders themselves; then 80 % of
    each class train and 20 % test, spread evenly over its files in the order of their names. All images have one size.
    Grey images give one channel; if any image is coloured, all become RGB. Transparent pixels are laid over black. Of
    an animation, the first frame counts. Hidden files are passed over.

    Args:
        path: the folder.

    Returns:
        The dataset; its classes are the names of the class folders, sorted.

    Raises:
        UsageError: a class folder is empty, an image cannot be read, or sizes differ.
    """
    root = Path(path).expanduser()
    if is_idx_folder(root):
        return load_idx(path)
    top = _subfolders(root)
    if {"train", "test"} <= set(top):
        classes = _subfolders(root / "train")
        extra = sorted(set(_subfolders(root / "test")) - set(classes))
        if extra:
            raise UsageError(f"{path}: test/{extra[0]} is a class that train/ does not have")
        train = {name: _images(root / "train" / name) for name in classes}
        test = {name: _images(root / "test" / name) for name in _subfolders(root / "test")}
    else:
        classes = top
        train, test = {}, {}
        for name in classes:
            files = _images(root / name)
            if len(files) < 2:
                raise UsageError(f"{root / name} holds one image; a class needs two, one to train and one to test")
            trains = spread(len(files), min(max(round(TRAIN_SHARE * len(files)), 1), len(files) - 1))
            train[name] = [file for file, chosen in zip(files, trains, strict=True) if chosen]
            test[name] = [file for file, chosen in zip(files, trains, strict=True) if not chosen]
    if len(classes) < 2:
        raise UsageError(f"{path} needs at least two class folders, each with its images; it has {len(classes)}")
    x_train, y_train, x_test, y_test = _read_images(classes, train, test)
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


def _subfolders(folder: Path) -> list[str]:
    return [entry.name for entry in _visible(folder) if entry.is_dir()]


def _images(folder: Path) -> list[Path]:
    files = [entry for entry in _visible(folder) if entry.suffix.lower() in IMAGE_SUFFIXES and entry.is_file()]
    if not files:
        raise UsageError(f"{folder} holds no images ({', '.join(IMAGE_SUFFIXES)})")
    return files


def _read_images(classes: list[str], *parts: dict[str, list[Path]]) -> list[np.ndarray]:
    from PIL import Image

    def open_image(file: Path) -> Image.Image:
        try:
            return Image.open(file)
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise UsageError(f"{file} cannot be read as an image") from error

    first = size = None
    grey = True
    for part in parts:
        for file in (file for files in part.values() for file in files):
            with open_image(file) as image:
                first, size = first or file, size or image.size
                if image.size != size:
                    raise UsageError(
                        f"{file} is {image.width}×{image.height} pixels but {first} is {size[0]}×{size[1]};"
                        " all images must have one size"
                    )
                if image.mode not in ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr"):
                    raise UsageError(f"{file} has pixels of mode {image.mode}; images must have 8 bits a channel")
                grey &= image.mode in ("1", "L", "LA")

    arrays = []
    for part in parts:
        count = sum(len(files) for files in part.values())
        images = np.empty((count, size[1], size[0], 1 if grey else 3), np.uint8)
        labels = np.empty(count, np.int32)
        position = 0
        for name, files in part.items():
            for file in files:
                with open_image(file) as image:
                    try:
                        images[position] = _pixels(image, grey)
                    except (OSError, ValueError, SyntaxError) as error:
                        raise UsageError(f"{file} cannot be read as an image: {error}") from error
                labels[position] = classes.index(name)
                position += 1
        arrays += [images, labels]
    return arrays


def _pixels(image, grey: bool) -> np.ndarray:
    from PIL import Image

    if image.has_transparency_data:
        black = Image.new("RGBA", image.size, (0, 0, 0, 255))
        image = Image.alpha_composite(black, image.convert("RGBA"))
    pixels = np.asarray(image.convert("L" if grey else "RGB"))
    return pixels.reshape(*pixels.shape[:2], -1)
