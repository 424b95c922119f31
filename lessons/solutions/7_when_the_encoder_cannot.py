"""Solutions of lesson 7."""

import numpy as np

from simplexlab import theory


def price_of_relu(num_classes, batch_size, temperature):
    frame, simplex = (
        theory.sc_bound(num_classes, batch_size, temperature=temperature, sampling="iid", features=features)
        for features in ("nonnegative", "free")
    )
    return frame - simplex


def split_gap(loss, simplex_bound, frame_bound):
    return frame_bound - simplex_bound, loss - frame_bound


def cosine_of_neighbours(num_classes):
    return np.cos(2 * np.pi / num_classes)


def floor_of_one_class(num_classes, radius, frobenius):
    margin = radius * frobenius * np.sqrt(num_classes / (num_classes - 1))
    return np.log(1 + (num_classes - 1) * np.exp(-margin))
