"""Solutions of lesson 3."""

import numpy as np

from simplexlab import geometry


def floor_by_frobenius(num_classes, radius, frobenius):
    exponent = -radius * np.sqrt(num_classes) / (num_classes - 1) * frobenius
    return np.log(1 + (num_classes - 1) * np.exp(exponent))


def floor_by_max_norm(num_classes, radius, max_norm):
    return np.log(1 + (num_classes - 1) * np.exp(-num_classes / (num_classes - 1) * radius * max_norm))


def best_weight_norm(radius, decay, num_classes):
    low, high = 0.0, radius / decay  # at `high` the left side exceeds the right one
    for _ in range(100):
        x = (low + high) / 2
        exponent = min(num_classes * radius * x / (num_classes - 1), 700)
        if 2 * decay * x < radius / (np.exp(exponent) + num_classes - 1):
            low = x
        else:
            high = x
    return x


def my_configuration(num_classes, points_per_class, radius, frobenius):
    simplex = geometry.regular_simplex(num_classes, num_classes - 1)
    labels = np.repeat(np.arange(num_classes), points_per_class)
    return radius * simplex[labels], labels, frobenius / np.sqrt(num_classes) * simplex
