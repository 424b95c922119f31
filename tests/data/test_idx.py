"""MNIST's original format, plain and compressed; where a distribution has put it; damaged in every way."""

import gzip

import numpy as np
import pytest

from simplexlab.data import availability, load, loading, require
from simplexlab.errors import RunError, UsageError

STEMS = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")


def contents(array: np.ndarray, magic: int | None = None) -> bytes:
    """An idx file of unsigned bytes."""
    magic = 0x800 + array.ndim if magic is None else magic
    return b"".join(number.to_bytes(4, "big") for number in (magic, *array.shape)) + array.tobytes()


def made() -> dict[str, np.ndarray]:
    generator = np.random.default_rng(0)
    return {
        "train-images-idx3": generator.integers(0, 256, (30, 5, 4)).astype(np.uint8),
        "train-labels-idx1": (np.arange(30) % 3).astype(np.uint8),
        "t10k-images-idx3": generator.integers(0, 256, (6, 5, 4)).astype(np.uint8),
        "t10k-labels-idx1": (np.arange(6) % 3).astype(np.uint8),
    }


@pytest.fixture
def folder(tmp_path):
    """A folder of four small files, as they are."""
    return write(tmp_path / "set", "{}-ubyte")


def write(folder, pattern):
    folder.mkdir()
    for stem, array in made().items():
        compress = gzip.compress if pattern.endswith(".gz") else bytes
        name = pattern.format(stem)
        (folder / (name.replace("-idx", ".idx") if "dot" in str(folder) else name)).write_bytes(
            compress(contents(array))
        )
    return folder


@pytest.mark.parametrize(("name", "pattern"), [("plain", "{}-ubyte"), ("gz", "{}-ubyte.gz"), ("dot", "{}-ubyte")])
def test_folder_of_idx_files(tmp_path, name, pattern):
    dataset = load(str(write(tmp_path / name, pattern)))
    np.testing.assert_array_equal(dataset.x_train[..., 0], made()["train-images-idx3"])
    np.testing.assert_array_equal(dataset.y_train, made()["train-labels-idx1"])
    np.testing.assert_array_equal(dataset.x_test[..., 0], made()["t10k-images-idx3"])
    np.testing.assert_array_equal(dataset.y_test, made()["t10k-labels-idx1"])
    assert dataset.image_shape == (5, 4, 1)
    assert dataset.class_names == ("0", "1", "2")


IMAGES = made()["train-images-idx3"]


@pytest.mark.parametrize(
    ("file", "new", "message"),
    [
        ("train-images-idx3", contents(IMAGES, 0x0D03), "begins with 0x00000d03 where .* have 0x00000803"),
        ("train-images-idx3", contents(made()["train-labels-idx1"]), "begins with 0x00000801"),
        ("train-images-idx3", contents(IMAGES)[:-1], "is truncated: it has 599 of 600 bytes"),
        ("train-images-idx3", contents(IMAGES)[:9], "is truncated: it ends within its header"),
        ("train-images-idx3", b"", "is truncated: it ends within its header"),
        ("train-images-idx3", contents(IMAGES) + b"x", "is longer than the 600 bytes"),
        ("train-images-idx3", contents(IMAGES[:29]), "29 images but 30 labels in the train set"),
        ("t10k-labels-idx1", contents(np.zeros(7, np.uint8)), "6 images but 7 labels in the test set"),
        ("train-labels-idx1", contents(np.zeros(30, np.uint8)), "single class"),
        ("train-images-idx3", bytes.fromhex("00000803 7fffffff 7fffffff 7fffffff") + b"x", "of memory"),
        ("train-images-idx3", bytes.fromhex("00000803 ffffffff 00000001 00000001") + b"x", "no length is negative"),
        ("train-labels-idx1", None, "lacks train-labels-idx1-ubyte"),
    ],
)
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_bad_idx_file_is_named(folder, file, new, message, suffix):
    plain = folder / f"{file}-ubyte"
    plain.unlink()
    if new is not None:
        plain.with_name(plain.name + suffix).write_bytes(gzip.compress(new) if suffix else new)
    with pytest.raises(UsageError, match=message) as raised:
        load(str(folder))
    assert "\n" not in str(raised.value)
    assert str(folder) in str(raised.value)


@pytest.mark.parametrize(
    "damage",
    [
        lambda whole: whole[:-12],
        lambda whole: b"no gzip",
        lambda whole: whole[:40] + bytes([whole[40] ^ 0xFF]) + whole[41:],
        lambda whole: whole[:-8] + b"\0\0\0\0" + whole[-4:],
    ],
)
def test_damaged_gzip_is_named(tmp_path, damage):
    folder = write(tmp_path / "gz", "{}-ubyte.gz")
    path = folder / "train-images-idx3-ubyte.gz"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(UsageError, match=r"train-images-idx3-ubyte\.gz .*no whole gzip file"):
        load(str(folder))


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """A small set where Debian's package would be."""
    folder = write(tmp_path / "gz", "{}-ubyte.gz")
    monkeypatch.setattr(loading, "INSTALLED", {"fashion_mnist": folder})
    return folder


def test_the_set_of_a_package_is_found_where_tfds_has_none(installed, tmp_path, simplexlab):
    data_dir = tmp_path / "data"
    assert availability("fashion_mnist", data_dir) == "installed"
    require("fashion_mnist", data_dir)
    dataset = load("fashion_mnist", data_dir)
    assert dataset.name == "fashion_mnist"
    np.testing.assert_array_equal(dataset.x_train[..., 0], IMAGES)
    assert not data_dir.exists()
    code, out, err = simplexlab("data", "check", "fashion_mnist", "--data-dir", data_dir)
    assert (code, err) == (0, "")
    assert out.startswith("fashion_mnist can be used (installed)\n30 training and 6 test images of 5×4×1\n")


def test_a_copy_of_tfds_comes_before_that_of_a_package(installed, tmp_path):
    (tmp_path / "data" / "fashion_mnist" / "3.0.1").mkdir(parents=True)
    with pytest.raises(RunError, match="prepared data of fashion_mnist are damaged"):
        load("fashion_mnist", tmp_path / "data")
