import dataclasses

import numpy as np
import pytest

from simplexlab.data import Dataset
from simplexlab.data.dataset import area_average, spread
from simplexlab.errors import UsageError


def make(**changes):
    generator = np.random.default_rng(0)
    parts = {
        "name": "made",
        "x_train": generator.integers(0, 256, (30, 5, 4, 3)).astype(np.uint8),
        "y_train": (np.arange(30) % 3).astype(np.int32),
        "x_test": generator.integers(0, 256, (9, 5, 4, 3)).astype(np.uint8),
        "y_test": (np.arange(9) % 3).astype(np.int32),
        "class_names": ("a", "b", "c"),
    }
    return Dataset(**parts | changes)


def test_properties():
    dataset = make()
    assert dataset.num_classes == 3
    assert dataset.image_shape == (5, 4, 3)


def test_channel_statistics_equal_those_of_the_float_images():
    # More than one block of 1024 images, and channels that differ.
    images = np.random.default_rng(1).integers(0, [50, 150, 256], (2500, 4, 4, 3)).astype(np.uint8)
    dataset = make(x_train=images, y_train=(np.arange(2500) % 3).astype(np.int32), x_test=images[:9])
    mean, deviation = dataset.channel_statistics()
    assert mean.dtype == deviation.dtype == np.float64
    np.testing.assert_allclose(mean, images.astype(np.float64).mean(axis=(0, 1, 2)), rtol=1e-13)
    np.testing.assert_allclose(deviation, images.astype(np.float64).std(axis=(0, 1, 2)), rtol=1e-13)


def test_channel_statistics_of_a_constant_channel_can_be_divided_by():
    images = make().x_train.copy()
    images[..., 1] = 17
    mean, deviation = make(x_train=images).channel_statistics()
    assert mean[1] == 17
    assert deviation[1] == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x_train": np.zeros((30, 5, 4, 3))}, "x_train must be uint8"),
        ({"x_train": np.zeros((30, 5, 4), np.uint8)}, "x_train must be uint8"),
        ({"y_train": np.arange(30) % 3}, "y_train must be int32"),
        ({"y_test": np.zeros(8, np.int32)}, "9 images but 8 labels in the test set"),
        ({"x_test": np.zeros((9, 4, 5, 3), np.uint8)}, "test images are 4×5×3 but training images are 5×4×3"),
        ({"x_test": np.zeros((0, 5, 4, 3), np.uint8), "y_test": np.zeros(0, np.int32)}, "the test set is empty"),
        ({"y_train": (1 + np.arange(30) % 3).astype(np.int32)}, "must start at 0, not 1"),
        ({"y_train": (np.arange(30) % 3 - 1).astype(np.int32)}, "must start at 0, not -1"),
        ({"y_train": np.zeros(30, np.int32)}, "a single class"),
        ({"y_train": (np.arange(30) % 3 * 2).astype(np.int32)}, "no training image has the label 1"),
        ({"y_train": np.where(np.arange(30) == 0, 2**31 - 1, 0).astype(np.int32)}, "has the label 1"),
        ({"class_names": ("a", "b")}, "3 classes but 2 class names"),
        ({"y_test": np.full(9, 3, np.int32)}, "test label 3 is not one of the training classes 0 to 2"),
        ({"y_test": np.full(9, -1, np.int32)}, "test label -1"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(changes, message):
    with pytest.raises(UsageError, match=message):
        make(**changes)


@pytest.mark.parametrize(("count", "chosen"), [(10, 8), (178, 140), (7, 1), (3, 3), (5, 0)])
def test_spread_chooses_evenly(count, chosen):
    marks = spread(count, chosen)
    assert marks.shape == (count,)
    assert marks.sum() == chosen
    # In every stretch from the start, the share is the whole's, to less than one.
    running = np.cumsum(marks)
    assert np.abs(running - np.arange(1, count + 1) * chosen / count).max() < 1


def grid(counts, size=4):
    """Images that are numbered by their values, in classes of the given counts."""
    labels = np.repeat(np.arange(len(counts)), counts).astype(np.int32)
    images = np.arange(len(labels), dtype=np.uint8)[:, None, None, None] * np.ones((size, size, 1), np.uint8)
    return make(
        x_train=images, y_train=labels, x_test=images, y_test=labels, class_names=tuple("abcdef"[: len(counts)])
    )


@pytest.mark.parametrize(
    ("counts", "size", "expected"),
    [
        ([40, 40, 40], 30, [10, 10, 10]),
        ([40, 40, 40], 31, [11, 10, 10]),
        ([40, 40, 40], 120, [40, 40, 40]),
        ([100, 20], 60, [50, 10]),
        ([100, 20], 7, [6, 1]),  # 5.83, 1.17
        ([7, 5, 3], 8, [4, 3, 1]),  # 3.73, 2.67, 1.6: two places for the largest remainders
        ([50, 30, 1], 50, [31, 18, 1]),  # 30.86, 18.52, 0.62
    ],
)
def test_subset_keeps_the_shares_of_the_classes(counts, size, expected):
    whole = grid(counts)
    part = whole.subset(size)
    assert np.bincount(part.y_train).tolist() == expected
    numbers = part.x_train[:, 0, 0, 0]
    np.testing.assert_array_equal(whole.y_train[numbers], part.y_train)  # each image with its own label
    assert (np.diff(numbers) > 0).all()
    assert len(part.y_test) == len(whole.y_test)
    np.testing.assert_array_equal(numbers, whole.subset(size).x_train[:, 0, 0, 0])


def test_subset_is_spread_over_the_images_of_a_class():
    assert grid([8, 8]).subset(8).x_train[:, 0, 0, 0].tolist() == [1, 3, 5, 7, 9, 11, 13, 15]


def test_subset_takes_the_clean_labels_along():
    whole = grid([8, 8])
    whole = dataclasses.replace(whole, y_train_clean=(np.arange(16) % 2).astype(np.int32))
    part = whole.subset(6)
    np.testing.assert_array_equal(part.y_train_clean, part.x_train[:, 0, 0, 0] % 2)


def test_subset_that_is_too_large_or_loses_a_class():
    with pytest.raises(UsageError, match="--train-size 17: made has 16 training images"):
        grid([8, 8]).subset(17)
    with pytest.raises(UsageError, match="--train-size 20 leaves no image of the class b of made; 101 or more leave"):
        grid([100, 1]).subset(20)
    assert np.bincount(grid([100, 1]).subset(101).y_train).tolist() == [100, 1]


@pytest.mark.parametrize(
    ("old", "new"), [((28, 28), (14, 14)), ((28, 28), (12, 12)), ((9, 6), (3, 2)), ((7, 5), (5, 3))]
)
def test_area_average_against_whole_blocks_of_repeated_pixels(old, new):
    images = np.random.default_rng(0).integers(0, 256, (5, *old, 3)).astype(np.uint8)
    fine = images.astype(float)
    for axis in (0, 1):  # each pixel new[axis] times: then a new pixel covers old[axis] whole ones
        fine = fine.repeat(new[axis], axis=axis + 1)
    means = fine.reshape(5, new[0], old[0], new[1], old[1], 3).mean(axis=(2, 4))
    np.testing.assert_array_equal(area_average(images, new), np.rint(np.round(means, 9)))


def test_images_shrink_to_their_shorter_side():
    whole = make(x_train=np.zeros((30, 9, 6, 3), np.uint8), x_test=np.zeros((9, 9, 6, 3), np.uint8))
    assert whole.resized(4).image_shape == (6, 4, 3)
    assert whole.resized(6).image_shape == (9, 6, 3)
    with pytest.raises(UsageError, match="--image-size 7: the images of made are 9×6; they only shrink"):
        whole.resized(7)


@pytest.mark.parametrize(
    ("clean", "message"),
    [
        (np.zeros(29, np.int32), "30 training labels but 29 in y_train_clean"),
        (np.zeros((30, 1), np.int32), r"y_train_clean must be int32 \(N,\)"),
        (np.full(30, 3, np.int32), "the label 3 in y_train_clean is not one of the training classes 0 to 2"),
        (np.arange(30, dtype=np.int32) % 3 - 1, "the label -1 in y_train_clean"),
    ],
)
def test_clean_labels_that_do_not_fit(clean, message):
    with pytest.raises(UsageError, match=message):
        make(y_train_clean=clean)
