"""Solutions of lesson 9."""

import numpy as np


def fixed_frame_floor(num_classes, radius, row_norm):
    margin = radius * row_norm * np.sqrt(num_classes / (num_classes - 1))
    return np.log(1 + (num_classes - 1) * np.exp(-margin))


def largest_cosine(num_classes, dimension):
    return -1 / (num_classes - 1) if num_classes <= dimension + 1 else 0.0


def pairs_floor(num_classes, batch_size, temperature):
    return np.log(1 + (batch_size - 1) * np.exp(-num_classes / (num_classes - 1) / temperature))


def collapse_threshold(points_per_class, num_classes):
    within = (points_per_class - 1) / (points_per_class * num_classes - 1)
    q = np.exp(-4 * num_classes / (num_classes - 1))
    return 2 * within * (1 - q) / (within + (1 - within) * q)


def my_floor(num_classes, radius, frobenius, margin):
    gap = radius * frobenius * np.sqrt(num_classes) / (num_classes - 1)
    return np.log(1 + (num_classes - 1) * np.exp(margin - gap))
