"""TFDS image classification sets: what is here, what is missing; prepared with no network where the archives are here.

`tensorflow_datasets` alone takes half a second to import; TensorFlow is imported only to prepare and to read.
"""

import contextlib
import difflib
import functools
import re
import sys
import tempfile
import urllib.parse
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from simplexlab.asides import notice
from simplexlab.data.archives import Archive, archives_of, find_archives, host_answers, manual_source
from simplexlab.data.dataset import Dataset
from simplexlab.dataset_name import tfds_names
from simplexlab.errors import RunError, UsageError, nearest
from simplexlab.files import why_no_folder
from simplexlab.quiet import quiet_logs, quiet_stderr


def data_root(data_dir: str | Path | None = None) -> Path:
    """The folder of prepared TFDS data: `data_dir`, or TFDS's own (`$TFDS_DATA_DIR` or `~/tensorflow_datasets`).

    Raises:
        UsageError: something else than a folder is there, or on the way to it.
    """
    import tensorflow_datasets as tfds

    root = Path(data_dir or tfds.core.constants.DATA_DIR).expanduser()
    if why := why_no_folder(root):
        given = "--data-dir" if data_dir else "the folder of TFDS's data,"
        raise UsageError(f"{given} {root} {why}")
    return root


class TfdsSet:
    """A TFDS image classification set in a data folder.

    Args:
        name: its TFDS name, with a config and a version where wanted: `cifar10`, `emnist/balanced`, `mnist:3.0.1`.
        data_dir: folder of prepared TFDS data; without it, TFDS's own.
        labels: the field that holds the labels; without it, `label`.

    Raises:
        UsageError: TFDS has no such set, or it is not one of images with class labels, or has no such field of them.
        RunError: its prepared data are damaged.
    """

    def __init__(self, name: str, data_dir: str | Path | None = None, labels: str | None = None):
        import tensorflow_datasets as tfds

        base, _, config = name.split(":")[0].partition("/")
        if base not in tfds_names():
            raise UsageError(_unknown(name))
        with quiet_logs():
            configs = tfds.builder_cls(base).builder_configs
        if config and config not in configs:
            known = nearest(config, configs) if configs else "it takes none"
            raise UsageError(f"{base} has no config {config!r}; {known}")
        self.name = name
        with quiet_stderr(), quiet_logs():  # some sets import TensorFlow to be described
            try:
                self.builder = tfds.builder(name, data_dir=data_root(data_dir))
                features = self.builder.info.features
            except Exception as error:  # a set's own code, or the JSON files of prepared data
                folder = data_root(data_dir) / base
                if folder.is_dir():
                    raise _damaged(name, folder, error) from error
                raise UsageError(f"{name} cannot be used: {_first_line(error)}") from error
        self.root = data_root(data_dir)
        self.folder = Path(self.builder.data_dir)
        self.labels = labels or "label"
        fields = dict(features) if isinstance(features, tfds.features.FeaturesDict) else {}
        image = fields.get("image")
        label_fields = [field for field, kind in fields.items() if isinstance(kind, tfds.features.ClassLabel)]
        if not (
            isinstance(image, tfds.features.Image)
            and image.np_dtype == np.uint8
            and (self.labels in label_fields or (labels and label_fields))
        ):
            raise UsageError(f"{name} is a TFDS set, but not one of 8-bit images with class labels")
        if self.labels not in label_fields:
            raise UsageError(f"--labels {labels}: {name} has no such label field; {nearest(labels, label_fields)}")
        self.image_shape: tuple[int | None, ...] = image.shape
        self.num_classes: int = fields[self.labels].num_classes

    @property
    def manual_folder(self) -> Path:
        """Folder in which `load` looks for archives that were fetched by hand."""
        return self.root / "downloads" / "manual"

    @property
    def prepared(self) -> bool:
        """Whether the data are prepared.

        Raises:
            RunError: their folder is there but is not a prepared set.
        """
        with quiet_logs():
            prepared = self.builder.is_prepared()
        if not prepared and self.folder.exists():
            raise _damaged(self.name, self.folder, "no dataset_info.json")
        return prepared

    @property
    def state(self) -> str:
        """`prepared`, `archives here` (prepared at the first use) or `missing`.

        Raises:
            RunError: the prepared data are damaged.
        """
        if self.prepared:
            return "prepared"
        return "archives here" if len(self.find_archives()[0]) == len(self.archives) else "missing"

    @functools.cached_property
    def archives(self) -> tuple[Archive, ...]:
        """The files that it is prepared from.

        Raises:
            UsageError: TFDS does not fetch this set by itself and does not name the files that it wants.
        """
        archives = archives_of(self.builder)
        if archives is None:
            raise UsageError(f"TFDS does not fetch {self.name} by itself; prepare it in {self.root} with TFDS first")
        return archives

    def find_archives(self, files: Iterable[Path] = ()) -> tuple[dict[Archive, Path], list[str]]:
        """Where the archives are, among `files` and in the manual folder; see `archives.find_archives`."""
        return find_archives(self.archives, self.manual_folder, files)

    def prepare(self, archives: dict[Archive, Path], download: bool = False) -> None:
        """Prepare the data from verified archives.

        The archives are read where they are, and extracted to a temporary folder that is removed again: TFDS's own
        folder of extracted archives goes by file name alone and would take one set's `train-images-idx3-ubyte.gz` for
        another's.

        Args:
            archives: where the archives are.
            download: fetch the archives that are not among them.

        Raises:
            RunError: the data cannot be prepared.
        """
        import tensorflow_datasets as tfds
        from tensorflow_datasets.core.download import downloader

        notice(f"preparing {self.name} in {self.folder}")
        tfds.display_progress_bar(sys.stderr.isatty())
        downloader.MAX_RETRIES = 3  # the 10 of TFDS take minutes when the connection breaks
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=self.root, prefix=".preparing-") as temporary, quiet_logs():
                manual = Path(temporary) / "manual"
                manual.mkdir()
                for archive, path in archives.items():
                    (manual / archive.filename).symlink_to(path.resolve())
                self.builder.download_and_prepare(
                    download_dir=self.root / "downloads" if download else Path(temporary) / "downloads",
                    download_config=tfds.download.DownloadConfig(
                        manual_dir=manual, extract_dir=Path(temporary) / "extracted", try_download_gcs=False
                    ),
                )
        except Exception as error:  # of a set's own code, of the archive, of the disk, of the network
            raise RunError(f"{self.name} could not be prepared in {self.root}: {_first_line(error)}") from error
        finally:
            with contextlib.suppress(OSError):
                self.folder.parent.rmdir()  # TFDS leaves it behind, empty, when it fails

    def require(self) -> dict[Archive, Path]:
        """Make sure that the data are prepared or can be: no archive is missing, or its host answers.

        Returns:
            The archives that are here; none where the data are prepared.

        Raises:
            RunError: archives are missing and their host does not answer, or the prepared data are damaged.
        """
        if self.prepared:
            return {}
        found, problems = self.find_archives()
        missing = [archive for archive in self.archives if archive not in found]
        by_hand = [archive for archive in missing if archive.url is None]
        if by_hand or (missing and not host_answers(missing[0].url)):
            raise RunError(self._missing_message(by_hand or missing, problems))
        return found

    def make_ready(self) -> None:
        """Prepare the data if they are not, from archives in the manual folder or from the network.

        Raises:
            RunError: archives are missing and their host does not answer, or preparing fails.
        """
        found = self.require()
        if self.prepared:
            return
        missing = [archive for archive in self.archives if archive not in found]
        if missing:
            size = sum(archive.size or 0 for archive in missing)
            host = urllib.parse.urlsplit(missing[0].url).hostname
            notice(f"downloading {size / 2**20:,.0f} MiB from {host}")
        self.prepare(found, download=bool(missing))

    def _missing_message(self, missing: list[Archive], problems: list[str]) -> str:
        if problems:
            reason = problems[0]
        elif missing[0].url is None:
            reason = f"{self.name} is not in {self.root} and TFDS does not fetch all of it"
        else:
            host = urllib.parse.urlsplit(missing[0].url).hostname
            reason = f"{self.name} is not in {self.root} and {host} cannot be reached"
        if len(missing) == 1:
            what = f"fetch {missing[0].url or f'{missing[0].filename} from {manual_source(self.builder)}'}"
            file = missing[0].filename
        else:
            what = f"fetch the {len(missing)} files that `simplexlab data check {self.name}` lists"
            file = "FILE…"
        return (
            f"{reason}; {what}, then `simplexlab data import {self.name} {file}` (or put it into {self.manual_folder})"
        )

    def read(self) -> Dataset:
        """Read the prepared data; the test set is the split `test`, or `validation` where there is none.

        Classes without a training image (such as the eleven empty ones of `emnist/letters`) are left out. Where the
        chosen field holds other labels of the classes of `label` (as the human ones of `cifar10_n` do), `label` gives
        the clean training labels and the test labels.

        Raises:
            UsageError: the set has no such splits, its images differ in size, or some have no label, or a class is in
                the test set only.
            RunError: the prepared data are damaged.
        """
        splits = self.builder.info.splits
        test = "test" if "test" in splits else "validation"
        if "train" not in splits or test not in splits:
            raise UsageError(f"{self.name} has the splits {', '.join(splits)}; a train and a test split are needed")
        noisy = self._labels_are_noisy()
        true = "label" if noisy else self.labels
        x_train, labels = self._read_split("train", *dict.fromkeys((self.labels, true)))
        y_train = labels[self.labels]
        x_test, tests = self._read_split(test, true)
        names = self.builder.info.features[true].names
        if len(names) != self.num_classes:
            raise _damaged(self.name, self.folder, f"{len(names)} names for {self.num_classes} classes")
        if min(y_train.min(), labels[true].min(), tests[true].min()) < 0:
            raise UsageError(f"{self.name} has images without a label")
        present = np.unique(y_train)
        for where, others in (("labels of " + true, labels[true]), (test + " split", tests[true])):
            foreign = np.setdiff1d(others, present)
            if len(foreign):
                raise UsageError(f"{self.name}: the class {names[foreign[0]]} is in the {where} only")

        def numbered(labels: np.ndarray) -> np.ndarray:
            return np.searchsorted(present, labels).astype(np.int32)

        return Dataset(
            name=self.name,
            x_train=x_train,
            y_train=numbered(y_train),
            x_test=x_test,
            y_test=numbered(tests[true]),
            class_names=tuple(names[label] for label in present),
            y_train_clean=numbered(labels[true]) if noisy else None,
        )

    def _labels_are_noisy(self) -> bool:
        """Whether the chosen field has the classes of `label`, that is as many, of the same names or of none."""
        fields = dict(self.builder.info.features)
        if self.labels == "label" or getattr(fields.get("label"), "num_classes", None) != self.num_classes:
            return False
        unnamed = [str(label) for label in range(self.num_classes)]
        return fields[self.labels].names in (fields["label"].names, unnamed)

    def _read_split(self, split: str, *fields: str) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        import tensorflow as tf
        import tensorflow_datasets as tfds

        count = self.builder.info.splits[split].num_examples
        labels = {field: np.empty(count, np.int32) for field in fields}
        images = None
        position = 0
        try:
            with quiet_logs():
                examples = self.builder.as_dataset(
                    split=split,
                    decoders=tfds.decode.PartialDecoding(dict.fromkeys(("image", *fields), True)),
                    read_config=tfds.ReadConfig(try_autocache=False),
                )
            # TFDS's own batches would pad images of different sizes without a word.
            for batch in examples.batch(1024).as_numpy_iterator():
                if images is None:
                    images = np.empty((count, *batch["image"].shape[1:]), np.uint8)
                end = position + len(batch["image"])
                images[position:end] = batch["image"]
                for field in fields:
                    labels[field][position:end] = batch[field]
                position = end
        except (tf.errors.OpError, ValueError, OSError) as error:
            if "Cannot batch tensors with different shapes" in str(error) or "could not broadcast" in str(error):
                raise UsageError(f"the images of {self.name} differ in size; all images must have one size") from error
            raise _damaged(self.name, self.folder, error) from error
        if position != count:
            raise _damaged(self.name, self.folder, f"{position} of {count} images in {split}")
        return images, labels


def import_archives(name: str, files: Iterable[str | Path], data_dir: str | Path | None = None) -> TfdsSet:
    """Prepare a TFDS set from archives that the user already has, with no network.

    Args:
        name: its TFDS name.
        files: its archives, under any file name; they are recognised by size and checksum.
        data_dir: folder of prepared TFDS data; without it, TFDS's own.

    Returns:
        The prepared set.

    Raises:
        UsageError: there is no such set, or a file does not exist, is none of its archives, or one is missing.
        RunError: preparing fails, e.g. on a full disk.
    """
    source = TfdsSet(name, data_dir)
    files = [Path(file).expanduser() for file in files]
    for file in files:
        if not file.is_file():
            raise UsageError(f"{file} is not a file" if file.exists() else f"{file} does not exist")
        problems = {archive.filename: archive.problem(file) for archive in source.archives}
        if None not in problems.values():
            by_name = problems.get(file.name) or (problems.popitem()[1] if len(problems) == 1 else None)
            raise UsageError(by_name or f"{file} is none of the archives of {name}: {', '.join(problems)}")
        notice(f"checked {file}")
    found, problems = source.find_archives(files)
    missing = [archive.filename for archive in source.archives if archive not in found]
    if missing:
        raise UsageError(f"{name} also needs {', '.join(missing)}")
    if not source.prepared:
        source.prepare(found)
    return source


def _unknown(name: str) -> str:
    close = difflib.get_close_matches(name, ("digits", *tfds_names()), n=1, cutoff=0.7)
    hint = f"did you mean {close[0]}? " if close else ""
    return (
        f"dataset {name!r} is unknown: {hint}it is digits, a .npz file, a folder of class folders"
        " or a TFDS image classification set (`simplexlab data list` shows some)"
    )


def _damaged(name: str, folder: Path, error: Any) -> RunError:
    return RunError(
        f"the prepared data of {name} are damaged ({_first_line(error)}); delete {folder} and prepare it again"
    )


def _first_line(error: Any) -> str:
    """The first line of an error, without the node names of TensorFlow and the argument list of TFDS."""
    text = re.sub(
        r'\{\{.*?\}\}|\[Op:[^]]*\].*|Failed to construct dataset ".*?", builder_kwargs ".*?": ', "", str(error)
    )
    return next((line.strip() for line in text.splitlines() if line.strip()), type(error).__name__)[:200]
