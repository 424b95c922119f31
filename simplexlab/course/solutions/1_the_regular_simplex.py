"""Solutions of lesson 1."""

import numpy as np

from simplexlab import geometry


def inner_product(num_classes, radius):
    return -(radius**2) / (num_classes - 1)


def angle(num_classes):
    return np.degrees(np.arccos(inner_product(num_classes, 1)))


def simplex_from_frame(num_classes):
    frame = np.eye(num_classes)
    centred = frame - frame.mean(axis=0)
    return centred / np.linalg.norm(centred, axis=1, keepdims=True)


def classes_needed(gap):
    num_classes = 2
    while 0.5 - geometry.simplex_similarity(num_classes) > gap:
        num_classes += 1
    return num_classes
