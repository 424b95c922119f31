"""Load a dataset by name: digits, a .npz file, a folder of class folders, or a TFDS set."""

import gzip
import logging
import os
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from simplexlab.data.dataset import Dataset, spread
from simplexlab.dataset_name import DatasetKind, dataset_kind, is_folder_here
from simplexlab.errors import RunError, UsageError

if TYPE_CHECKING:
    from simplexlab.data.tfds_source import TfdsSet

logger = logging.getLogger(__name__)

DIGITS_PER_CLASS = 140  # training images of each class; the smallest class has 174


# Where the packages of a distribution put sets that TFDS fetches: Debian's dataset-fashion-mnist.
INSTALLED = {"fashion_mnist": Path("/usr/share/datasets/fashion-mnist")}


def load(
    name: str,
    data_dir: str | Path | None = None,
    *,
    labels: str | None = None,
    train_size: int | None = None,
    image_size: int | None = None,
) -> Dataset:
    """Load a dataset.

    Args:
        name: `digits`, the path of a `.npz` file, the path of a folder with one subfolder per class, or the name of a
            TFDS image classification set such as `cifar10` or `emnist/balanced`, as `dataset_kind` tells them apart: a
            folder whose name is also that of a TFDS set is written as a path, `./cifar10`.
        data_dir: folder of prepared TFDS data; without it, TFDS's own (`~/tensorflow_datasets` or `$TFDS_DATA_DIR`).
        labels: label field of a TFDS set that becomes `y_train`; without it, `label`.
        train_size: training images to keep, see `Dataset.subset`; without it, all.
        image_size: pixels of the shorter side, see `Dataset.resized`; without it, as they are.

    Returns:
        The dataset, its images as uint8.

    Raises:
        UsageError: there is no such dataset, or it is not one of images with class labels, or it has no such labels,
            fewer images or smaller ones.
        RunError: its data are missing and cannot be downloaded, or are damaged.
    """
    kind = dataset_kind(name)
    if kind in ("digits", "tfds") and is_folder_here(name):
        what = "the embedded set" if kind == "digits" else "the TFDS set"
        logger.warning("%s is %s here; the folder of that name is written ./%s", name, what, name)
    _check_labels(name, kind, labels)
    dataset = _load(name, kind, data_dir, labels)
    if train_size is not None:
        dataset = dataset.subset(train_size)
    return dataset if image_size is None else dataset.resized(image_size)


def _load(name: str, kind: DatasetKind, data_dir: str | Path | None, labels: str | None) -> Dataset:
    if kind == "digits":
        return load_digits()
    if kind == "npz":
        from simplexlab.data.files import load_npz

        return load_npz(name)
    if kind == "folder":
        from simplexlab.data.files import load_folder

        return load_folder(name)
    from simplexlab.data.tfds_source import TfdsSet

    source = TfdsSet(name, data_dir, labels)
    if folder := installed(source):
        from simplexlab.data.idx import load_idx

        return load_idx(folder, name)
    source.make_ready()
    return source.read()


def _check_labels(name: str, kind: DatasetKind, labels: str | None) -> None:
    if labels is not None and kind != "tfds":
        hint = "; a .npz file holds true labels beside noisy ones as y_train_clean" if kind == "npz" else ""
        raise UsageError(f"--labels {labels} chooses a label field of a TFDS set; {name} is none{hint}")


def installed(source: "TfdsSet") -> Path | None:
    """The folder of an installed package with this set, where TFDS has no copy of it."""
    folder = INSTALLED.get(source.builder.name)
    return folder if folder is not None and folder.is_dir() and source.state == "missing" else None


def require(name: str, data_dir: str | Path | None = None, labels: str | None = None) -> None:
    """Fail as `load` would where data are missing, but at once and without TensorFlow.

    TensorFlow fixes threads and devices at its first operation, which may be that of reading a TFDS set: call `require`
    first, then start TensorFlow as it should run, then `load`.

    Args:
        name: what `load` takes.
        data_dir: what `load` takes.
        labels: what `load` takes.

    Raises:
        UsageError: there is no such file or TFDS set, or it is not one of images with class labels, or has no such
            labels.
        RunError: the data of a TFDS set are missing and cannot be downloaded, or are damaged.
    """
    kind = dataset_kind(name)
    _check_labels(name, kind, labels)
    if kind == "tfds":
        from simplexlab.data.tfds_source import TfdsSet

        source = TfdsSet(name, data_dir, labels)
        if not installed(source):
            source.require()
    elif kind != "digits" and not os.path.exists(os.path.expanduser(name)):
        from simplexlab.npz import not_found

        raise not_found(name)


def availability(name: str, data_dir: str | Path | None = None) -> str:
    """What `load` would find of digits or of a TFDS set, without a network.

    Args:
        name: `digits` or the name of a TFDS image classification set.
        data_dir: folder of prepared TFDS data; without it, TFDS's own.

    Returns:
        `embedded` (in the package), `prepared`, `archives here` (prepared at the first use), `installed` (in a package
        of the distribution), `missing`, or `damaged`.

    Raises:
        UsageError: there is no such dataset, or it is not one of images with class labels.
    """
    if name == "digits":
        return "embedded"
    from simplexlab.data.tfds_source import TfdsSet

    try:
        source = TfdsSet(name, data_dir)
        return "installed" if installed(source) else source.state
    except RunError:
        return "damaged"


def _digits_table() -> np.ndarray:
    """A row an image: its 64 grey levels and its label.

    Read from scikit-learn's file, since the import of scikit-learn takes longer than all else before TensorFlow's.
    """
    package = find_spec("sklearn").submodule_search_locations[0]
    try:
        with gzip.open(Path(package, "datasets", "data", "digits.csv.gz")) as file:
            return np.loadtxt(file, delimiter=",")
    except FileNotFoundError:  # another version may keep it elsewhere
        from sklearn.datasets import load_digits

        bunch = load_digits()
        return np.column_stack([bunch.data, bunch.target])


def load_digits() -> Dataset:
    """scikit-learn's 1,797 handwritten digits of 8×8 pixels, split once and for all.

    The grey levels 0 to 16 become round(level·255/16). Of each class, 140 images spread evenly over its images in their
    given order train, the others test, so that the training labels are exactly balanced.

    Returns:
        1,400 training and 397 test images of 8×8×1.
    """
    table = _digits_table()
    images = np.rint(table[:, :-1].reshape(-1, 8, 8) * 255 / 16).astype(np.uint8)[..., np.newaxis]
    labels = table[:, -1].astype(np.int32)
    trains = np.empty(len(labels), bool)
    for label in range(10):
        members = labels == label
        trains[members] = spread(np.count_nonzero(members), DIGITS_PER_CLASS)
    return Dataset(
        name="digits",
        x_train=images[trains],
        y_train=labels[trains],
        x_test=images[~trains],
        y_test=labels[~trains],
        class_names=tuple(str(label) for label in range(10)),
    )
