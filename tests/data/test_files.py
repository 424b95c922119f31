import os
import zipfile

import numpy as np
import pytest
from PIL import Image

from simplexlab.data import load
from simplexlab.errors import UsageError


def arrays(**changes):
    generator = np.random.default_rng(0)
    parts = {
        "x_train": generator.integers(0, 256, (12, 6, 5, 3)).astype(np.uint8),
        "y_train": np.arange(12) % 3,
        "x_test": generator.integers(0, 256, (6, 6, 5, 3)).astype(np.uint8),
        "y_test": np.arange(6) % 3,
    }
    return parts | changes


@pytest.fixture
def save(tmp_path):
    def write(**changes):
        path = tmp_path / "made.npz"
        np.savez(path, **arrays(**changes))
        return str(path)

    return write


def test_npz_of_uint8_is_taken_as_it_is(save):
    dataset = load(save())
    np.testing.assert_array_equal(dataset.x_train, arrays()["x_train"])
    np.testing.assert_array_equal(dataset.y_test, arrays()["y_test"])
    assert dataset.y_train.dtype == np.int32
    assert dataset.class_names == ("0", "1", "2")


def test_npz_without_channels_and_with_a_column_of_labels(save):
    made = arrays()
    path = save(x_train=made["x_train"][..., 0], x_test=made["x_test"][..., 0], y_train=made["y_train"][:, None])
    dataset = load(path)
    assert dataset.image_shape == (6, 5, 1)
    np.testing.assert_array_equal(dataset.x_train[..., 0], made["x_train"][..., 0])
    np.testing.assert_array_equal(dataset.y_train, made["y_train"])


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_npz_of_floats_becomes_the_nearest_grey_level(save, dtype):
    levels = np.arange(256, dtype=np.uint8).reshape(4, 8, 8)
    made = {"y_train": [0, 1, 0, 1], "y_test": [0, 1, 0, 1]}
    dataset = load(save(x_train=(levels / 255).astype(dtype), x_test=(levels / 255).astype(dtype), **made))
    np.testing.assert_array_equal(dataset.x_train[..., 0], levels)


def test_floats_next_to_0_and_1_come_from_rounding(save):
    made = {"y_train": [0, 1], "y_test": [0, 1], "x_test": np.zeros((2, 4, 4))}
    images = np.zeros((2, 4, 4), np.float32)
    images[0, 0, :2] = 1.000001, -0.000002
    assert load(save(x_train=images, **made)).x_train[0, 0, :2, 0].tolist() == [255, 0]
    images[0, 0, 0] = 1.0002
    with pytest.raises(UsageError, match=r"x_train holds the float 1\.0002; floats must lie in \[0, 1\]"):
        load(save(x_train=images, **made))
    images[0, 0, 0] = -0.5
    with pytest.raises(UsageError, match=r"x_train holds the float -0\.5;"):
        load(save(x_train=images, **made))


def test_npz_of_floats_between_grey_levels_is_rounded(save):
    made = {"y_train": [0, 1], "y_test": [0, 1], "x_test": np.zeros((2, 4, 4))}
    levels = np.array([0.4, 0.6, 99.4, 254.7])
    dataset = load(save(x_train=np.broadcast_to(levels / 255, (2, 4, 4)), **made))
    assert dataset.x_train[0, 0, :, 0].tolist() == [0, 1, 99, 255]


NAN_IMAGES = np.full((12, 6, 5, 3), 0.5)
NAN_IMAGES[7, 3, 2, 1] = np.nan


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x_train": NAN_IMAGES}, "x_train holds NaN"),
        ({"x_test": np.full((6, 6, 5, 3), 2.0)}, r"x_test holds the float 2; floats must lie in \[0, 1\]"),
        ({"x_train": np.zeros((12, 6, 5, 3), np.int64)}, "x_train must be uint8 or floats"),
        ({"x_train": np.zeros((12, 6, 5, 3), bool)}, "x_train must be uint8 or floats"),
        ({"x_train": np.zeros((12, 30), np.uint8)}, r"x_train must be \(N, H, W\)"),
        ({"x_train": np.zeros((12, 3, 32, 32), np.uint8)}, r"channels first; .*: numpy.moveaxis\(x, 1, -1\)"),
        ({"x_train": np.zeros((12, 4, 32, 32), np.uint8)}, "channels first"),
        ({"x_test": np.zeros((6, 2, 5, 5))}, "channels first"),
        ({"x_test": np.zeros((6, 5, 5, 3), np.uint8)}, "test images are 5×5×3 but training images are 6×5×3"),
        ({"x_train": np.zeros((0, 6, 5, 3), np.uint8), "y_train": np.zeros(0, int)}, "the train set is empty"),
        ({"y_train": np.eye(3)[np.arange(12) % 3]}, r"y_train must be whole numbers of shape \(N,\)"),
        ({"y_train": np.eye(3, dtype=int)[np.arange(12) % 3]}, r"y_train must be whole numbers of shape \(N,\)"),
        ({"y_train": (np.arange(12) % 3).astype(float)}, "y_train must be whole numbers"),
        ({"y_train": np.arange(12) % 3 + 1}, "must start at 0, not 1"),
        ({"y_train": np.zeros(12, int)}, "single class"),
        ({"y_train": np.arange(12) % 3 * 2}, "no training image has the label 1"),
        ({"y_train": np.full(12, 2**40)}, "labels are numbered from 0"),
        ({"y_train": np.arange(11) % 3}, "12 images but 11 labels"),
        ({"y_test": np.arange(6) % 4}, "test label 3 is not one of the training classes 0 to 2"),
        ({"y_train": np.array([{}] * 12, object)}, "y_train holds pickled objects"),
    ],
)
def test_bad_arrays_in_an_npz_are_named(save, changes, message):
    path = save(**changes)
    with pytest.raises(UsageError, match=message) as raised:
        load(path)
    assert path in str(raised.value)
    assert "\n" not in str(raised.value)


def test_npz_with_true_labels_beside_noisy_ones(save):
    noisy = np.roll(np.arange(12) % 3, 1)
    dataset = load(save(y_train=noisy, y_train_clean=(np.arange(12) % 3)[:, None]))
    np.testing.assert_array_equal(dataset.y_train, noisy)
    np.testing.assert_array_equal(dataset.y_train_clean, np.arange(12) % 3)
    assert dataset.y_train_clean.dtype == np.int32
    assert load(save()).y_train_clean is None
    with pytest.raises(UsageError, match="12 training labels but 11 in y_train_clean"):
        load(save(y_train_clean=np.arange(11) % 3))


def test_labels_are_a_field_of_a_tfds_set(save):
    with pytest.raises(UsageError, match=r"--labels worse_label chooses .* TFDS set; .* as y_train_clean$"):
        load(save(), labels="worse_label")


def test_npz_with_missing_keys_lists_them(tmp_path):
    np.savez(tmp_path / "made.npz", x_train=np.zeros(3), labels=np.zeros(3))
    with pytest.raises(UsageError, match=r"lacks y_train, x_test, y_test; .*\(it holds x_train, labels\)"):
        load(str(tmp_path / "made.npz"))


@pytest.mark.parametrize("contents", [b"", b"no archive at all", b"PK\x03\x04 broken"])
def test_file_that_is_no_npz(tmp_path, contents):
    (tmp_path / "made.npz").write_bytes(contents)
    with pytest.raises(UsageError, match=r"made\.npz: it is not a \.npz archive"):
        load(str(tmp_path / "made.npz"))


def test_single_array_under_the_name_of_an_npz(tmp_path):
    with (tmp_path / "made.npz").open("wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(UsageError, match=r"not a \.npz archive"):
        load(str(tmp_path / "made.npz"))


def test_truncated_npz(save):
    path = save()
    os.truncate(path, os.path.getsize(path) // 2)
    with pytest.raises(UsageError, match=r"not a \.npz archive"):
        load(path)


def test_npz_with_a_damaged_member(tmp_path, save):
    with zipfile.ZipFile(save()) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members["x_train.npy"] = members["x_train.npy"][:200]
    damaged = tmp_path / "damaged.npz"
    with zipfile.ZipFile(damaged, "w") as archive:
        for name, contents in members.items():
            archive.writestr(name, contents)
    with pytest.raises(
        UsageError, match=r"x_train is damaged: an array .* 12×6×5×3 has 1,080 bytes, and there are 72$"
    ):
        load(str(damaged))


def test_npz_that_does_not_exist(tmp_path):
    with pytest.raises(UsageError, match=r"nothing\.npz does not exist"):
        load(str(tmp_path / "nothing.npz"))


def test_npz_that_is_a_folder(tmp_path):
    (tmp_path / "folder.npz").mkdir()
    with pytest.raises(UsageError, match=r"folder\.npz cannot be read: it is not a file"):
        load(str(tmp_path / "folder.npz"))


def draw(path, mode="RGB", size=(6, 4), value=None):
    """Save an image of one value and return its pixels as an array."""
    bands = len(Image.new(mode, (1, 1)).getbands())
    value = tuple(np.random.default_rng(len(str(path))).integers(0, 256, bands).tolist()) if value is None else value
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, value if bands > 1 else value[0] if isinstance(value, tuple) else value).save(path)


@pytest.fixture
def photos(tmp_path):
    """Ten images of cats and five of dogs, 4 rows by 6 columns; the red channel numbers them."""
    root = tmp_path / "photos"
    for name, count in (("cats", 10), ("dogs", 5)):
        for index in range(count):
            draw(root / name / f"{index:02}.png", value=(index, 100, 200))
    return root


def test_folder_is_split_by_class(photos):
    dataset = load(str(photos))
    assert dataset.class_names == ("cats", "dogs")
    assert dataset.image_shape == (4, 6, 3)
    assert np.bincount(dataset.y_train).tolist() == [8, 4]
    assert np.bincount(dataset.y_test).tolist() == [2, 1]
    assert dataset.x_train.dtype == np.uint8
    red = {label: sorted(dataset.x_train[dataset.y_train == label][:, 0, 0, 0]) for label in (0, 1)}
    assert red == {0: [1, 2, 3, 4, 6, 7, 8, 9], 1: [1, 2, 3, 4]}
    assert sorted(dataset.x_test[dataset.y_test == 0][:, 0, 0, 0]) == [0, 5]
    assert (dataset.x_train[..., 1:] == [100, 200]).all()


def test_folder_with_train_and_test(photos, tmp_path):
    root = tmp_path / "split"
    for part, values in (("train", (1, 2, 3)), ("test", (4, 5))):
        for name in ("b", "a"):
            for value in values:
                draw(root / part / name / f"{value}.bmp", "L", value=value + 100 * (name == "b"))
    dataset = load(str(root))
    assert dataset.class_names == ("a", "b")
    assert dataset.image_shape == (4, 6, 1)
    assert dataset.x_train[:, 0, 0, 0].tolist() == [1, 2, 3, 101, 102, 103]
    assert dataset.y_train.tolist() == [0, 0, 0, 1, 1, 1]
    assert dataset.x_test[:, 0, 0, 0].tolist() == [4, 5, 104, 105]
    draw(root / "test" / "c" / "1.png", "L")
    with pytest.raises(UsageError, match="test/c is a class that train/ does not have"):
        load(str(root))


def test_folder_of_mixed_modes(tmp_path):
    for name in ("a", "b"):
        draw(tmp_path / name / "0.png", "L", value=77)
        draw(tmp_path / name / "1.png", "RGBA", value=(200, 100, 50, 51))
        draw(tmp_path / name / "2.gif", "RGB", value=(10, 20, 30))
        draw(tmp_path / name / "3.JPG", "RGB", value=(128, 128, 128))
    dataset = load(str(tmp_path))
    pixels = np.concatenate([dataset.x_train, dataset.x_test])[:, 0, 0].tolist()
    assert [77, 77, 77] in pixels
    assert [40, 20, 10] in pixels  # a fifth of the colour, over black
    assert [10, 20, 30] in pixels
    assert [128, 128, 128] in pixels


def test_hidden_files_are_passed_over_and_what_is_no_image_is_told(photos, caplog):
    before = load(str(photos)).x_train
    assert caplog.messages == []
    (photos / "cats" / "._00.png").write_bytes(b"")
    (photos / ".cache").mkdir()
    np.testing.assert_array_equal(load(str(photos)).x_train, before)
    assert caplog.messages == []
    draw(photos / "cats" / "more" / "1.png")
    (photos / "dogs" / "notes.txt").write_text("no image")
    (photos / "list.csv").write_text("a list")
    os.mkfifo(photos / "dogs" / "pipe.png")
    np.testing.assert_array_equal(load(str(photos)).x_train, before)
    assert caplog.messages == [
        f"{photos}: skipped 4 files and folders that are no images: list.csv, cats/more, dogs/notes.txt …"
    ]


@pytest.mark.parametrize("suffix", ["webp", "jfif", "tif", "tiff", "ppm", "WEBP", "jp2", "tga"])
def test_formats_that_pillow_reads(photos, suffix):
    for name in ("cats", "dogs"):
        draw(photos / name / f"a.{suffix}", value=(0, 0, 250))
    dataset = load(str(photos))
    assert len(dataset.y_train) + len(dataset.y_test) == 17
    blue = np.concatenate([dataset.x_train, dataset.x_test])[:, 0, 0, 2].astype(int)
    assert np.count_nonzero(abs(blue - 250) < 8) == 2


def test_postscript_is_not_run(photos):
    (photos / "dogs" / "03.eps").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 6 4\n(x) run\n")
    (photos / "dogs" / "04.png").write_bytes((photos / "dogs" / "03.eps").read_bytes())
    with pytest.raises(UsageError, match=r"dogs/04\.png cannot be read as an image"):
        load(str(photos))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_images_are_turned_as_the_camera_was_held(tmp_path, orientation):
    upright = np.zeros((4, 6, 3), np.uint8)
    upright[0, 0], upright[0, 5], upright[3, 0] = (250, 0, 0), (0, 250, 0), (0, 0, 250)
    # What a camera held that way has stored: the inverse of what EXIF 2.3 says for each number.
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright),
        7: np.rot90(upright, 2).transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        Image.fromarray(upright).save(tmp_path / name / "0.png")
        Image.fromarray(np.ascontiguousarray(stored)).save(tmp_path / name / "1.png", exif=exif)
    dataset = load(str(tmp_path))
    np.testing.assert_array_equal(dataset.x_train, [upright] * 2)
    np.testing.assert_array_equal(dataset.x_test, [upright] * 2)


@pytest.mark.parametrize("tests", ["test", "val", "validation"])
def test_names_of_the_test_folder(tmp_path, tests, caplog):
    for part, values in (("train", (1, 2, 3)), (tests, (4, 5)), ("other", (6,))):
        for name in ("a", "b"):
            for value in values:
                draw(tmp_path / part / name / f"{value}.png", "L", value=value)
    dataset = load(str(tmp_path))
    assert dataset.x_test[:, 0, 0, 0].tolist() == [4, 5, 4, 5]
    assert dataset.class_names == ("a", "b")
    assert caplog.messages == [f"{tmp_path}: skipped 1 files and folders that are no images: other"]


def test_odd_size_is_named_with_both_sizes(photos):
    draw(photos / "dogs" / "03.png", size=(7, 4))
    with pytest.raises(UsageError, match=r"dogs/03\.png is 7×4 pixels but .*cats/01\.png is 6×4"):
        load(str(photos))


@pytest.mark.parametrize("contents", [b"", b"not an image"])
def test_unreadable_image_is_named(photos, contents):
    (photos / "dogs" / "03.png").write_bytes(contents)
    with pytest.raises(UsageError, match=r"dogs/03\.png cannot be read as an image"):
        load(str(photos))


def test_truncated_image_is_named(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3)).astype(np.uint8)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for index in range(3):
            Image.fromarray(noise).save(tmp_path / name / f"{index}.png")
    os.truncate(tmp_path / "b" / "1.png", 1000)
    with pytest.raises(UsageError, match=r"b/1\.png cannot be read as an image"):
        load(str(tmp_path))


def test_sixteen_bit_image_is_refused(photos):
    Image.fromarray(np.zeros((4, 6), np.uint16)).save(photos / "dogs" / "03.png")
    with pytest.raises(UsageError, match=r"dogs/03\.png has pixels of mode I;16; images must have 8 bits"):
        load(str(photos))


def test_empty_class_folder_is_named(photos):
    (photos / "eels").mkdir()
    with pytest.raises(UsageError, match="eels holds no images"):
        load(str(photos))


def test_class_with_one_image_cannot_be_split(photos):
    draw(photos / "eels" / "1.png")
    with pytest.raises(UsageError, match="eels holds one image"):
        load(str(photos))


def test_folder_with_one_class(tmp_path):
    draw(tmp_path / "only" / "1.png")
    draw(tmp_path / "only" / "2.png")
    with pytest.raises(UsageError, match="needs at least two class folders, each with its images; it has 1"):
        load(str(tmp_path))


def test_folder_that_does_not_exist(tmp_path):
    with pytest.raises(UsageError, match="nothing does not exist"):
        load(str(tmp_path / "nothing"))
