import numpy as np
import pytest

from simplexlab.data import Dataset
from simplexlab.data.dataset import spread
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
