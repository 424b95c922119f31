import numpy as np
import pytest
import tensorflow as tf

from simplexlab.data.augmentation import augment


def numbered(count, height, width, channels=3):
    """Images in which every pixel differs from every other one of its image, and none is black."""
    pixels = np.arange(1, height * width * channels + 1).reshape(height, width, channels)
    return (1 + (pixels + 7 * np.arange(count)[:, None, None, None]) % 251).astype(np.uint8)


def explain(image, augmented, padding):
    """Every (row shift, column shift, flipped) that turns the image into the augmented one, by padding and slicing."""
    height, width, _ = image.shape
    padded = np.pad(image, [(padding, padding), (padding, padding), (0, 0)])
    found = []
    for row in range(2 * padding + 1):
        for column in range(2 * padding + 1):
            crop = padded[row : row + height, column : column + width]
            for flipped in (False, True):
                if np.array_equal(crop[:, ::-1] if flipped else crop, augmented):
                    found.append((row - padding, column - padding, flipped))
    return found


@pytest.mark.parametrize(
    ("height", "width", "padding"), [(32, 32, 4), (28, 28, 4), (8, 8, 1), (16, 12, 2), (64, 64, 4), (5, 9, 1)]
)
def test_every_image_is_a_crop_of_the_padded_one_or_its_mirror_image(height, width, padding):
    images = numbered(24, height, width)
    augmented = augment(images, 0, 5, 24).numpy()
    assert augmented.dtype == np.float32
    shifts = [explain(image, result, padding) for image, result in zip(images, augmented, strict=True)]
    assert all(len(found) == 1 for found in shifts)
    assert max(max(abs(row), abs(column)) for ((row, column, _),) in shifts) == padding


def test_crops_and_flips_come_with_probability_one_half():
    images = numbered(256, 8, 8)
    shifts = []
    for step in range(16):
        augmented = augment(images, 1, step, 256).numpy()
        shifts += [explain(image, result, 1)[0] for image, result in zip(images, augmented, strict=True)]
    shifts = np.array(shifts)
    # 4096 images, standard deviation 0.008: flipped one half, in place ½ + ½·1/9, each of the eight other shifts 1/18.
    assert shifts[:, 2].mean() == pytest.approx(0.5, abs=0.04)
    in_place = (shifts[:, :2] == 0).all(axis=1)
    assert in_place.mean() == pytest.approx(5 / 9, abs=0.04)
    for row in (-1, 0, 1):
        for column in (-1, 0, 1):
            if row or column:
                share = (shifts[:, :2] == [row, column]).all(axis=1).mean()
                assert share == pytest.approx(1 / 18, abs=0.02)
    # Whether an image is flipped does not depend on whether it is cropped.
    assert shifts[in_place, 2].mean() == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("jit", [False, True])
def test_replicas_see_the_images_of_one_device(jit):
    images = numbered(12, 32, 32)
    whole = augment(images, 3, 7, 12).numpy()

    @tf.function(jit_compile=jit)
    def share(part, step, start):
        return augment(part, 3, step, 12, start)

    parts = [
        share(images[start : start + 4], tf.constant(7, tf.int64), tf.constant(start, tf.int32)).numpy()
        for start in (0, 4, 8)
    ]
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_seed_and_step_decide():
    images = numbered(64, 8, 8)
    first = augment(images, 0, 0, 64).numpy()
    np.testing.assert_array_equal(augment(images, 0, 0, 64).numpy(), first)
    assert not np.array_equal(augment(images, 0, 1, 64).numpy(), first)
    assert not np.array_equal(augment(images, 1, 0, 64).numpy(), first)
