"""Solutions of lesson 4."""

import math

import numpy as np


def number_of_batches(num_points, batch_size):
    return math.comb(num_points + batch_size - 1, batch_size)


def simplex_value(label_counts, radius):
    batch_size, num_classes = sum(label_counts), len(label_counts)
    between = np.exp(-num_classes / (num_classes - 1) * radius**2)
    value = 0.0
    for count in label_counts:
        if count > 1:
            value += count * np.log(count - 1 + (batch_size - count) * between)
    return value


def batches_with_count(num_classes, samples_per_class, batch_size, count):
    others = (num_classes - 1) * samples_per_class
    return num_classes * number_of_batches(samples_per_class, count) * number_of_batches(others, batch_size - count)


def sc_floor(num_classes, batch_size, temperature):
    between = np.exp(-num_classes / (num_classes - 1) / temperature)
    value = 0.0
    for count in range(2, batch_size + 1):
        probability = math.comb(batch_size, count) * (num_classes - 1) ** (batch_size - count) / num_classes**batch_size
        value += num_classes * probability * count * np.log(count - 1 + (batch_size - count) * between)
    return value
