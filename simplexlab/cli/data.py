"""`simplexlab data`: which datasets are here, what is missing, and the import of archives that the user has."""

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from cyclopts import App, Parameter

from simplexlab.cli.common import Json, print_json
from simplexlab.errors import RunError, UsageError
from simplexlab.text import one_line

# Training images, test images, classes and image shape of well-known sets, for `list` to show before they are here.
WELL_KNOWN = {
    "digits": (1_400, 397, 10, (8, 8, 1)),
    "cifar10": (50_000, 10_000, 10, (32, 32, 3)),
    "cifar100": (50_000, 10_000, 100, (32, 32, 3)),
    "mnist": (60_000, 10_000, 10, (28, 28, 1)),
    "fashion_mnist": (60_000, 10_000, 10, (28, 28, 1)),
    "kmnist": (60_000, 10_000, 10, (28, 28, 1)),
    "emnist/balanced": (112_800, 18_800, 47, (28, 28, 1)),
    "svhn_cropped": (73_257, 26_032, 10, (32, 32, 3)),
    "stl10": (5_000, 8_000, 10, (96, 96, 3)),
}

data = App(
    name="data",
    help_epilogue="Example: simplexlab data check cifar10\n",
)

Name = Annotated[str, Parameter(help="digits, the name of a TFDS set, a .npz file or a folder.")]
DataDir = Annotated[
    str | None, Parameter(help="Folder of prepared TFDS data; without it, TFDS's own (~/tensorflow_datasets).")
]


@data.command(name="list", help_epilogue="Example: simplexlab data list\n")
def list_(*, data_dir: DataDir = None, json: Json = False) -> None:
    """List well-known datasets and whether they are here; any other TFDS image classification set works too."""
    from simplexlab.data import availability
    from simplexlab.data.tfds_source import data_root

    root = data_root(data_dir)
    records = [
        {
            "name": name,
            "state": availability(name, data_dir),
            "train_size": train_size,
            "test_size": test_size,
            "num_classes": num_classes,
            "image_shape": image_shape,
        }
        for name, (train_size, test_size, num_classes, image_shape) in WELL_KNOWN.items()
    ]
    if json:
        print_json({"data_dir": str(root), "datasets": records})
        return
    from rich.table import Table

    from simplexlab.cli.tables import console

    table = Table(box=None, pad_edge=False)
    table.add_column("dataset")
    table.add_column("state")
    for heading in ("train", "test", "classes", "images"):
        table.add_column(heading, justify="right")
    for record in records:
        sizes = [f"{record[key]:,}" for key in ("train_size", "test_size", "num_classes")]
        table.add_row(
            record["name"], record["state"], *sizes, "×".join(str(length) for length in record["image_shape"])
        )
    out = console()
    out.print(table)
    out.print(f"\nTFDS data: {root}", soft_wrap=True)
    out.print("What is missing, and where to put it: simplexlab data check NAME")


@data.command(help_epilogue="Example: simplexlab data check cifar10\n")
def check(name: Name, /, *, data_dir: DataDir = None, json: Json = False) -> int:
    """Say what is here of a dataset, what is missing and where to put it; exit code 0 if it can be used, 1 if not."""
    from simplexlab.dataset_name import dataset_kind
    from simplexlab.npz import not_found

    kind = dataset_kind(name)
    record: dict[str, Any] = {"name": name, "kind": kind, "usable": False, "problems": []}
    if kind != "tfds":
        if kind != "digits" and not os.path.exists(os.path.expanduser(name)):
            raise not_found(name)
        record |= _contents(name, data_dir)
    else:
        try:
            record |= _tfds_record(name, data_dir)
        except RunError as error:
            record |= {"state": "damaged", "problems": [str(error)]}
    if json:
        print_json(record)
        return 0 if record["usable"] else 1
    for problem in record["problems"]:
        print(f"simplexlab: {one_line(problem)}", file=sys.stderr)
    if record["usable"] or "archives" in record:
        _print_check(record)
    return 0 if record["usable"] else 1


@data.command(name="import", help_epilogue="Example: simplexlab data import cifar10 cifar-10-binary.tar.gz\n")
def import_(
    name: Annotated[str, Parameter(help="Name of a TFDS set.")],
    files: Annotated[list[Path], Parameter(help="Its archives, under any file name.")],
    /,
    *,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Verify archives that you already have and prepare the dataset from them, with no network.

    The archives are recognised by size and SHA-256; they stay where they are and may be deleted afterwards.
    """
    from simplexlab.dataset_name import dataset_kind

    if dataset_kind(name) != "tfds":
        raise UsageError(f"{name} needs no import; use it as it is: simplexlab train --dataset {name}")
    from simplexlab.data.tfds_source import import_archives

    _import_tensorflow()
    source = import_archives(name, files, data_dir)
    sizes = {split: info.num_examples for split, info in source.builder.info.splits.items()}
    if json:
        print_json({"name": name, "folder": str(source.folder), "splits": sizes})
    else:
        from simplexlab.cli.tables import console

        counts = ", ".join(f"{split} {size:,}" for split, size in sizes.items())
        console().print(f"{name} is prepared in {source.folder} ({counts} images)", soft_wrap=True)


def _tfds_record(name: str, data_dir: str | None) -> dict[str, Any]:
    from simplexlab.data.archives import manual_source
    from simplexlab.data.loading import installed
    from simplexlab.data.tfds_source import TfdsSet

    source = TfdsSet(name, data_dir)
    if folder := installed(source):
        return {"folder": str(folder), "state": "installed"} | _contents(name, data_dir)
    record: dict[str, Any] = {"folder": str(source.folder), "manual_folder": str(source.manual_folder)}
    if source.prepared:
        _import_tensorflow()
        return record | {"state": "prepared"} | _contents(name, data_dir)
    found, problems = source.find_archives()
    record |= {
        "num_classes": source.num_classes,
        "image_shape": list(source.image_shape),
        "usable": len(found) == len(source.archives),
        "problems": problems,
        "manual_source": manual_source(source.builder),
        "archives": [
            {
                "filename": archive.filename,
                "url": archive.url,
                "size": archive.size,
                "sha256": archive.sha256,
                "path": str(found[archive]) if archive in found else None,
            }
            for archive in source.archives
        ],
    }
    return record | {"state": "archives here" if record["usable"] else "missing"}


def _contents(name: str, data_dir: str | None) -> dict[str, Any]:
    """Sizes and class counts of a dataset that is here, or what is wrong with it."""
    from simplexlab.data import load

    try:
        dataset = load(name, data_dir)
    except (UsageError, RunError) as error:
        return {"problems": [str(error)]}
    return {
        "usable": True,
        "num_classes": dataset.num_classes,
        "image_shape": list(dataset.image_shape),
        "train_size": len(dataset.y_train),
        "test_size": len(dataset.y_test),
        "class_names": list(dataset.class_names),
        "train_counts": np.bincount(dataset.y_train, minlength=dataset.num_classes).tolist(),
        "test_counts": np.bincount(dataset.y_test, minlength=dataset.num_classes).tolist(),
    }


def _import_tensorflow() -> None:
    from simplexlab.memory import check_address_space
    from simplexlab.quiet import quiet_stderr

    check_address_space()
    with quiet_stderr():
        import tensorflow as tf

        tf.config.list_logical_devices()  # looks for GPUs, and says so


def _print_check(record: dict[str, Any]) -> None:
    from rich.table import Table

    from simplexlab.cli.tables import console

    out = console()
    verdict = "can be used" if record["usable"] else "cannot be used"
    out.print(f"{record['name']} {verdict}" + (f" ({record['state']})" if "state" in record else ""), soft_wrap=True)
    if "train_counts" in record:
        shape = "×".join(str(length) for length in record["image_shape"])
        out.print(f"{record['train_size']:,} training and {record['test_size']:,} test images of {shape}\n")
        table = Table(box=None, pad_edge=False)
        table.add_column("class")
        table.add_column("train", justify="right")
        table.add_column("test", justify="right")
        for row in zip(record["class_names"], record["train_counts"], record["test_counts"], strict=True):
            table.add_row(row[0], f"{row[1]:,}", f"{row[2]:,}")
        out.print(table)
    for archive in record.get("archives", []):
        out.print(f"\n{archive['filename']}  {archive['path'] or 'missing'}", soft_wrap=True)
        if archive["url"] is None:
            out.print(f"  TFDS does not fetch it; from {record['manual_source']}", soft_wrap=True)
            continue
        size = "unknown size" if archive["size"] is None else f"{archive['size']:,} bytes"
        out.print(f"  {archive['url']}\n  {size}, sha256 {archive['sha256'] or 'not registered'}", soft_wrap=True)
    if not record["usable"] and "archives" in record:
        missing = [archive["filename"] for archive in record["archives"] if archive["path"] is None]
        out.print(
            f"\nPut {'it' if len(missing) == 1 else 'them'} into {record['manual_folder']}, or run", soft_wrap=True
        )
        out.print(f"  simplexlab data import {record['name']} {' '.join(missing)}", soft_wrap=True)
