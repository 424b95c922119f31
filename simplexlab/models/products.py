"""Convolutions of small images, and 1×1 convolutions at stride 2, as one matrix product each."""

import numpy as np
import tensorflow as tf


def convolve_every_other_pixel(images, kernel):
    """Convolve with a 1×1 kernel at stride 2: a product of every other pixel of every other row.

    Args:
        images: (b, height, width, channels); height and width are known and even.
        kernel: (1, 1, channels, filters) of the same dtype.

    Returns:
        (b, height/2, width/2, filters) of the same dtype.
    """
    (height, width, channels), filters = images.shape[1:], kernel.shape[3]
    down, across = height // 2, width // 2

    @tf.custom_gradient
    def convolve(images, matrix):
        # Two pixels of a row are one of twice the channels, so that what is read lies together.
        pairs = tf.reshape(images, (-1, down, 2, across, 2 * channels))
        seen = tf.reshape(pairs[:, :, 0, :, :channels], (-1, channels))

        def gradient(upstream):
            upstream = tf.reshape(upstream, (-1, filters))
            entered = tf.matmul(upstream, matrix, transpose_b=True)
            entered = tf.reshape(entered, (-1, down, 1, across, channels))
            entered = tf.pad(entered, [[0, 0], [0, 0], [0, 1], [0, 0], [0, channels]])
            return tf.reshape(entered, tf.shape(images)), tf.matmul(seen, upstream, transpose_a=True)

        return tf.reshape(tf.matmul(seen, matrix), (-1, down, across, filters)), gradient

    return convolve(images, tf.reshape(kernel, (channels, filters)))


def convolve_by_patches(images, kernel):
    """Convolve with a 3×3 kernel at stride 2, one pixel of zeros on every side: a product of the 3×3 patches.

    Args:
        images: (b, height, width, channels); height and width are known and even.
        kernel: (3, 3, channels, filters) of the same dtype.

    Returns:
        (b, height/2, width/2, filters) of the same dtype.
    """
    (height, width, channels), filters = images.shape[1:], kernel.shape[3]
    down, across = height // 2, width // 2

    @tf.custom_gradient
    def convolve(images, matrix):
        # Output (i, j) sees rows 2i − 1, 2i and 2i + 1, and in each the pixels 2j − 1, 2j and 2j + 1: the pair j, and
        # of the pair before it the right pixel.
        pairs = tf.reshape(images, (-1, down, 2, across, 2 * channels))
        even, odd = pairs[:, :, 0], pairs[:, :, 1]
        above = tf.pad(odd[:, :-1], [[0, 0], [1, 0], [0, 0], [0, 0]])
        rows = tf.stack([above, even, odd], 3)
        left = tf.pad(rows[:, :, :-1, :, channels:], [[0, 0], [0, 0], [1, 0], [0, 0], [0, 0]])
        patches = tf.reshape(tf.concat([left, rows], 4), (-1, 9 * channels))

        def gradient(upstream):
            upstream = tf.reshape(upstream, (-1, filters))
            entered = tf.reshape(tf.matmul(upstream, matrix, transpose_b=True), (-1, down, across, 3, 3 * channels))
            left, rows = entered[:, :, 1:, :, :channels], entered[..., channels:]
            rows += tf.pad(left, [[0, 0], [0, 0], [0, 1], [0, 0], [channels, 0]])
            above, even, odd = rows[:, 1:, :, 0], rows[:, :, :, 1], rows[:, :, :, 2]
            odd += tf.pad(above, [[0, 0], [0, 1], [0, 0], [0, 0]])
            entered = tf.reshape(tf.stack([even, odd], 2), tf.shape(images))
            return entered, tf.matmul(patches, upstream, transpose_a=True)

        return tf.reshape(tf.matmul(patches, matrix), (-1, down, across, filters)), gradient

    return convolve(images, tf.reshape(kernel, (9 * channels, filters)))


def convolve_as_dense(images, kernel, stride: int = 1):
    """Convolve with a 3×3 kernel, one pixel of zeros on every side: a product of whole images.

    The matrix has the entry of the kernel by which each pixel enters each output, and zeros elsewhere; for one and for
    2×2 pixels at stride 1 there are none.

    Args:
        images: (b, height, width, channels); height and width are known, at stride 2 one or even.
        kernel: (3, 3, channels, filters) of the same dtype.
        stride: 1 or 2.

    Returns:
        (b, ⌈height/stride⌉, ⌈width/stride⌉, filters) of the same dtype.
    """
    (height, width, channels), filters = images.shape[1:], kernel.shape[3]
    down, across = -(-height // stride), -(-width // stride)
    enters = np.einsum("aij,bkl->ikjlab", _enters(height, stride), _enters(width, stride))
    enters = tf.constant(enters.reshape(-1, 9), images.dtype)
    entries = tf.reshape(enters @ tf.reshape(kernel, (9, channels * filters)), (height * width, -1, channels, filters))
    matrix = tf.reshape(tf.transpose(entries, (0, 2, 1, 3)), (height * width * channels, down * across * filters))
    return tf.reshape(tf.reshape(images, (-1, height * width * channels)) @ matrix, (-1, down, across, filters))


def _enters(size: int, stride: int) -> np.ndarray:
    """Whether entry a of three is that by which pixel i enters output j: 0 and 1, shape (3, size, ⌈size/stride⌉)."""
    entry, pixel, output = np.ogrid[:3, :size, : -(-size // stride)]
    return (pixel == stride * output + entry - 1).astype(int)
