"""Convolutions of small images, and those at stride 2, as one matrix product."""

import numpy as np
import tensorflow as tf


def convolve_by_patches(images, kernel, stride: int = 1):
    """Convolve as a product of what each output sees, with so many zeros on every side that outputs are centred.

    Args:
        images: (b, height, width, channels); height and width are known.
        kernel: (size, size, channels, filters) of the same dtype, of odd size.
        stride: pixels from one output to the next.

    Returns:
        (b, ⌈height/stride⌉, ⌈width/stride⌉, filters) of the same dtype.
    """
    (height, width, channels), (size, _, _, filters) = images.shape[1:], kernel.shape
    seen = _seen(height, width, size, stride)
    down, across, entries = -(-height // stride), -(-width // stride), size**2
    entered = _entered(seen, height * width)

    @tf.custom_gradient
    def convolve(images, matrix):
        pixels = tf.reshape(images, (-1, height * width, channels))
        if seen.max() == height * width:  # the zeros are one pixel more
            pixels = tf.pad(pixels, [[0, 0], [0, 1], [0, 0]])
        patches = tf.reshape(tf.gather(pixels, seen, axis=1), (-1, entries * channels))

        def gradient(upstream):
            upstream = tf.reshape(upstream, (-1, filters))
            of_patches = tf.matmul(upstream, tf.pad(matrix, [[0, channels], [0, 0]]), transpose_b=True)
            of_patches = tf.reshape(of_patches, (-1, down * across * (entries + 1), channels))
            of_images = tf.gather(of_patches, entered, axis=1)
            of_images = tf.reduce_sum(of_images, 2) if entered.shape[1] > 1 else of_images
            return tf.reshape(of_images, tf.shape(images)), tf.matmul(patches, upstream, transpose_a=True)

        return tf.reshape(tf.matmul(patches, matrix), (-1, down, across, filters)), gradient

    return convolve(images, tf.reshape(kernel, (entries * channels, filters)))


def _seen(height: int, width: int, size: int, stride: int) -> np.ndarray:
    """The pixel that each output sees by each entry of the kernel, shape (outputs, size²); past the last: outside."""
    rows, columns = (np.arange(0, length, stride)[:, None] + np.arange(size) - size // 2 for length in (height, width))
    inside = ((rows >= 0) & (rows < height))[:, None, :, None] & ((columns >= 0) & (columns < width))[None, :, None]
    pixels = np.where(inside, rows[:, None, :, None] * width + columns[None, :, None], height * width)
    return pixels.reshape(-1, size**2).astype(np.int32)


def _entered(seen: np.ndarray, pixels: int) -> np.ndarray:
    """Where each pixel is seen: output · (size² + 1) + entry, shape (pixels, most of them); filled with an entry size²,
    by which nothing is seen."""
    entries = seen.shape[1]
    places = [[] for _ in range(pixels + 1)]
    for output, row in enumerate(seen.tolist()):
        for entry, pixel in enumerate(row):
            places[pixel].append(output * (entries + 1) + entry)
    most = max(map(len, places[:-1]))
    return np.array([found + [entries] * (most - len(found)) for found in places[:-1]], np.int32)


def convolve_as_dense(images, kernel, stride: int = 1):
    """Convolve with a 3×3 kernel, one pixel of zeros on every side, as a product of whole images.

    The matrix has the entry of the kernel by which each pixel enters each output, and zeros elsewhere; images of up to
    2×2 pixels have none of these.

    Args:
        images: (b, height, width, channels); height and width are known.
        kernel: (3, 3, channels, filters) of the same dtype.
        stride: pixels from one output to the next.

    Returns:
        (b, ⌈height/stride⌉, ⌈width/stride⌉, filters) of the same dtype.
    """
    (height, width, channels), filters = images.shape[1:], kernel.shape[3]
    seen = _seen(height, width, 3, stride)
    enters = tf.constant(np.arange(height * width)[:, None, None] == seen.T, images.dtype)  # (pixel, entry, output)
    enters = tf.reshape(tf.transpose(enters, (0, 2, 1)), (-1, 9))
    entries = tf.reshape(enters @ tf.reshape(kernel, (9, channels * filters)), (height * width, -1, channels, filters))
    matrix = tf.reshape(tf.transpose(entries, (0, 2, 1, 3)), (height * width * channels, len(seen) * filters))
    outputs = tf.reshape(images, (-1, height * width * channels)) @ matrix
    return tf.reshape(outputs, (-1, -(-height // stride), -(-width // stride), filters))
