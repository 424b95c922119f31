"""The dataset: uint8 images, whole-number labels, the names of the classes."""

import dataclasses
from dataclasses import dataclass

import numpy as np

from simplexlab.errors import UsageError


@dataclass(frozen=True, eq=False, kw_only=True)
class Dataset:
    """Images with their labels, split into a training and a test set; every class occurs in training.

    Args:
        name: what the dataset was asked for by.
        x_train: training images, uint8 (N, H, W, C).
        y_train: training labels, int32 (N,), 0 to K − 1.
        x_test: test images, uint8 (M, H, W, C).
        y_test: test labels, int32 (M,), 0 to K − 1.
        class_names: the K names, in the order of the labels.
        y_train_clean: the true training labels, int32 (N,), where `y_train` holds noisy ones; None where they are the
            only ones.

    Raises:
        UsageError: the arrays do not fit together, or a class has no training image.
    """

    name: str
    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    class_names: tuple[str, ...]
    y_train_clean: np.ndarray | None = None

    def __post_init__(self):
        for part in ("train", "test"):
            images, labels = getattr(self, f"x_{part}"), getattr(self, f"y_{part}")
            if images.ndim != 4 or images.dtype != np.uint8:
                raise UsageError(f"{self.name}: x_{part} must be uint8 (N, H, W, C), not {_describe(images)}")
            if labels.ndim != 1 or labels.dtype != np.int32:
                raise UsageError(f"{self.name}: y_{part} must be int32 (N,), not {_describe(labels)}")
            if len(images) != len(labels):
                raise UsageError(f"{self.name}: {len(images)} images but {len(labels)} labels in the {part} set")
            if images.size == 0:
                raise UsageError(f"{self.name}: the {part} set is empty")
        if self.x_test.shape[1:] != self.x_train.shape[1:]:
            raise UsageError(
                f"{self.name}: test images are {_size(self.x_test)} but training images are {_size(self.x_train)}"
            )
        present = np.unique(self.y_train)
        num_classes = len(present)
        if present[0] != 0:
            raise UsageError(f"{self.name}: training labels must start at 0, not {present[0]}")
        if num_classes == 1:
            raise UsageError(f"{self.name}: the training set has a single class; at least two are needed")
        if present[-1] != num_classes - 1:
            gap = np.flatnonzero(present != np.arange(num_classes))[0]
            raise UsageError(
                f"{self.name}: labels must be numbered without gaps; no training image has the label {gap}"
            )
        if len(self.class_names) != num_classes:
            raise UsageError(f"{self.name}: {num_classes} classes but {len(self.class_names)} class names")
        foreign = self.y_test[(self.y_test < 0) | (self.y_test >= num_classes)]
        if len(foreign):
            raise UsageError(
                f"{self.name}: test label {foreign[0]} is not one of the training classes 0 to {num_classes - 1}"
            )
        if self.y_train_clean is not None:
            self._check_clean_labels()

    def _check_clean_labels(self) -> None:
        clean = self.y_train_clean
        if clean.ndim != 1 or clean.dtype != np.int32:
            raise UsageError(f"{self.name}: y_train_clean must be int32 (N,), not {_describe(clean)}")
        if len(clean) != len(self.y_train):
            raise UsageError(f"{self.name}: {len(self.y_train)} training labels but {len(clean)} in y_train_clean")
        foreign = clean[(clean < 0) | (clean >= self.num_classes)]
        if len(foreign):
            raise UsageError(
                f"{self.name}: the label {foreign[0]} in y_train_clean is not one of the training classes 0 to"
                f" {self.num_classes - 1}"
            )

    @property
    def num_classes(self) -> int:
        """Number of classes K."""
        return len(self.class_names)

    @property
    def true_labels(self) -> np.ndarray:
        """The training labels, without their noise where it is known, int32 (N,)."""
        return self.y_train if self.y_train_clean is None else self.y_train_clean

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of every image."""
        return self.x_train.shape[1:]

    def channel_statistics(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of each channel over all pixels of the training images.

        Both are exact, from the histogram of the 256 grey levels. The standard deviation is at least one grey level, so
        that a constant channel can be divided by it.

        Returns:
            mean, standard deviation: float64 (C,), on the scale 0 to 255.
        """
        channels = self.image_shape[-1]
        histogram = np.zeros((channels, 256), np.int64)
        for start in range(0, len(self.x_train), 1024):  # bincount widens what it counts to 64 bits
            block = self.x_train[start : start + 1024]
            for channel in range(channels):
                histogram[channel] += np.bincount(block[..., channel].ravel(), minlength=256)
        levels = np.arange(256)
        mean = histogram @ levels / histogram.sum(axis=1)
        variance = (histogram * (levels - mean[:, None]) ** 2).sum(axis=1) / histogram.sum(axis=1)
        return mean, np.maximum(np.sqrt(variance), 1.0)

    def subset(self, size: int) -> "Dataset":
        """The dataset with `size` training images, always the same ones; the test set stays whole.

        Each class keeps its share, rounded by largest remainders (of equal ones, the lower label first), and gives
        images that are spread evenly over those it has, in their order.

        Raises:
            UsageError: there are not as many images, or a class would lose its last one.
        """
        total = len(self.y_train)
        if size > total:
            raise UsageError(f"--train-size {size}: {self.name} has {total:,} training images")
        counts = np.bincount(self.y_train)
        quotas, remainders = np.divmod(counts * size, total)
        quotas[np.argsort(-remainders, kind="stable")[: size - quotas.sum()]] += 1
        if quotas.min() == 0:
            lost = self.class_names[int(np.argmin(quotas))]
            raise UsageError(
                f"--train-size {size} leaves no image of the class {lost} of {self.name};"
                f" {-(-total // counts.min()):,} or more leave one of each"
            )
        chosen = np.zeros(total, bool)
        for label, quota in enumerate(quotas):
            members = self.y_train == label
            chosen[members] = spread(counts[label], quota)
        return dataclasses.replace(
            self,
            x_train=self.x_train[chosen],
            y_train=self.y_train[chosen],
            y_train_clean=None if self.y_train_clean is None else self.y_train_clean[chosen],
        )

    def resized(self, size: int) -> "Dataset":
        """The dataset with images whose shorter side has `size` pixels; see `area_average`.

        Raises:
            UsageError: the images are smaller.
        """
        height, width = self.image_shape[:2]
        if size > min(height, width):
            raise UsageError(f"--image-size {size}: the images of {self.name} are {height}×{width}; they only shrink")
        shape = (round(height * size / min(height, width)), round(width * size / min(height, width)))
        return dataclasses.replace(
            self, x_train=area_average(self.x_train, shape), x_test=area_average(self.x_test, shape)
        )


def area_average(images: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Shrink images: each new pixel is the mean of the area of the old ones that it covers, rounded to a grey level.

    Args:
        images: uint8 (N, H, W, C).
        shape: new height and width, at most H and W.

    Returns:
        uint8 (N, h, w, C).
    """
    rows, columns = (_shares(old, new) for old, new in zip(images.shape[1:3], shape, strict=True))
    shrunk = np.empty((len(images), *shape, images.shape[3]), np.uint8)
    for start in range(0, len(images), 1024):
        block = images[start : start + 1024].astype(np.float64)
        block = np.einsum("ah,nhwc,bw->nabc", rows, block, columns, optimize=True)
        # A half is rounded to even; what 28 → 14 sums up is exact, other sizes are off by less than 1e-9.
        shrunk[start : start + 1024] = np.rint(np.round(block, 9))
    return shrunk


def _shares(old: int, new: int) -> np.ndarray:
    """Share of each old pixel in each new one along one side, shape (new, old); rows sum to 1."""
    edges = np.arange(new + 1) * old / new
    pixels = np.arange(old)
    overlap = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    return np.maximum(overlap, 0) * new / old


def spread(count: int, chosen: int) -> np.ndarray:
    """Choose `chosen` of `count` positions, spread evenly: the fixed rule of the train/test splits made here.

    Position j is chosen when ⌊(j+1)·chosen/count⌋ > ⌊j·chosen/count⌋.

    Returns:
        bool (count,) with exactly `chosen` true entries.
    """
    return np.diff(np.arange(count + 1) * chosen // count) == 1


def _describe(array: np.ndarray) -> str:
    return f"{array.dtype} {array.shape}"


def _size(images: np.ndarray) -> str:
    return "×".join(str(length) for length in images.shape[1:])
