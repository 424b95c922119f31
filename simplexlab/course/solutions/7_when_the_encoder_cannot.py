"""Solutions of lesson 7."""

import numpy as np

from simplexlab import geometry


def floor_under_relu(num_classes, radius, frobenius):
    return np.log(1 + (num_classes - 1) * np.exp(-radius * frobenius / np.sqrt(num_classes - 1)))


def largest_deviation(means):
    best = geometry.simplex_similarity(len(means))
    pairs = [(i, j) for i in range(len(means)) for j in range(i)]
    return max(abs(float(geometry.angular_similarity(means[i], means[j])) - best) for i, j in pairs)


def cosine_of_neighbours(num_classes):
    return np.cos(2 * np.pi / num_classes)


def floor_of_one_class(num_classes, radius, frobenius):
    margin = radius * frobenius * np.sqrt(num_classes / (num_classes - 1))
    return np.log(1 + (num_classes - 1) * np.exp(-margin))
