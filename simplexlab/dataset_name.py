"""What `--dataset` names: one rule for the recipe, the loader, the run's name and the titles of pictures and tables."""

import functools
from pathlib import Path
from typing import Literal

DatasetKind = Literal["digits", "npz", "folder", "tfds"]


def dataset_kind(name: str) -> DatasetKind:
    """Which kind of dataset a name means.

    `digits` is the embedded set and `….npz` a file. What starts with `.`, `/` or `~`, ends with `/`, or has more than
    one `/` is a folder. Anything else (`cifar10`, `emnist/balanced`, `mnist:3.0.1`) is a TFDS set, also beside a folder
    of that name; only where TFDS has no such set and the folder is there it is the folder.
    """
    if name == "digits":
        return "digits"
    if name.endswith(".npz"):
        return "npz"
    if _is_written_as_path(name):
        return "folder"
    if is_folder_here(name) and tfds_base(name) not in tfds_names():
        return "folder"
    return "tfds"


def as_path(name: str) -> str:
    """The name with `./` before a folder that is not written as a path, so that it means one in every place."""
    return f"./{name}" if dataset_kind(name) == "folder" and not _is_written_as_path(name) else name


def dataset_title(name: str) -> str:
    """What pictures and tables call a dataset: a file or folder by the last part of its path, others by their name."""
    if dataset_kind(name) in ("digits", "tfds"):
        return name
    path = Path(name)
    return path.name if path.name not in ("", "..") else path.resolve().name


def dataset_stem(name: str) -> str:
    """What the name of a run calls a dataset: its title without `.npz`, `/`, `:` and dots before it."""
    return dataset_title(name).removesuffix(".npz").replace("/", "-").replace(":", "-").lstrip(".")


def tfds_base(name: str) -> str:
    """The name of a TFDS set without its config and version."""
    return name.split(":")[0].split("/")[0]


def is_folder_here(name: str) -> bool:
    """Whether a folder of this name is there, `~` being the home folder."""
    try:
        return Path(name).expanduser().is_dir()
    except (OSError, RuntimeError, ValueError):  # a name too long for a file, no such home, a null byte
        return False


@functools.cache
def tfds_names() -> tuple[str, ...]:
    """The names of all TFDS sets; the first call takes half a second."""
    import tensorflow_datasets as tfds

    return tuple(tfds.list_builders(with_community_datasets=False))  # the community's list is on the network


def _is_written_as_path(name: str) -> bool:
    return name.startswith((".", "/", "~")) or name.endswith("/") or name.count("/") > 1
