"""3×3 convolutions whose kernel gradient is made of matrix products, which is faster in bfloat16 on a CPU."""

import tensorflow as tf


def convolve_with_product_gradient(images, kernel, stride: int = 1):
    """Convolve with a 3×3 kernel by `tf.nn.conv2d`; the kernel's gradient is made of matrix products.

    Args:
        images: (b, height, width, channels); height and width are known, at stride 2 even.
        kernel: (3, 3, channels, filters) of the same dtype.
        stride: 1 or 2; with one pixel of zeros on every side.

    Returns:
        (b, height/stride, width/stride, filters) of the same dtype.
    """
    kernel_gradient = {1: _kernel_gradient, 2: _kernel_gradient_by_two}[stride]
    padding = [[0, 0], [1, 1], [1, 1], [0, 0]]

    @tf.custom_gradient
    def convolve(images, kernel):
        def gradient(upstream):
            images_gradient = tf.nn.conv2d_transpose(upstream, kernel, tf.shape(images), stride, padding)
            return images_gradient, kernel_gradient(images, upstream)

        return tf.nn.conv2d(images, kernel, stride, padding), gradient

    return convolve(images, kernel)


def _kernel_gradient(images, upstream):
    """At stride 1: nine products, without the zeros around the image; at 4×4 pixels three tenths of the convolution."""
    # Pixels first: a shift of the rows is then a view, and one of the columns copies whole pixels.
    inputs, outputs = tf.transpose(images, (1, 2, 0, 3)), tf.transpose(upstream, (1, 2, 0, 3))
    products = {}
    for column in (-1, 0, 1):
        shifted_inputs, shifted_outputs = _overlap(inputs, outputs, column, axis=1)
        for row in (-1, 0, 1):
            products[row, column] = _product(*_overlap(shifted_inputs, shifted_outputs, row, axis=0))
    gradient = tf.stack([products[position] for position in sorted(products)])
    return tf.reshape(gradient, (3, 3, images.shape[3], upstream.shape[3]))


def _overlap(inputs, outputs, shift: int, axis: int):
    """The inputs that an entry of the kernel so far from its centre multiplies, and the outputs that they enter."""
    size = inputs.shape[axis]
    every = (slice(None),) * axis
    seen, entered = slice(max(shift, 0), size + min(shift, 0)), slice(max(-shift, 0), size - max(shift, 0))
    return inputs[(*every, seen)], outputs[(*every, entered)]


def _kernel_gradient_by_two(images, upstream):
    """At stride 2: four products. An output sees a block of 2×2 inputs, and of the blocks behind it the near pixels."""
    images = tf.pad(images, [[0, 0], [1, 1], [1, 1], [0, 0]])
    (height, width, channels), filters = images.shape[1:], upstream.shape[3]
    blocks = tf.reshape(images, (tf.shape(images)[0], height // 2, 2, width // 2, 2, channels))
    blocks = tf.transpose(blocks, (1, 3, 0, 2, 4, 5))
    outputs = tf.transpose(upstream, (1, 2, 0, 3))
    own, right = blocks[:-1, :-1], blocks[:-1, 1:, :, :, 0]
    below, corner = blocks[1:, :-1, :, 0], blocks[1:, 1:, :, 0, 0]
    own, right, below, corner = (
        tf.reshape(_product(tf.reshape(seen, (*outputs.shape[:2], -1, rows * columns * channels)), outputs), shape)
        for seen, rows, columns in ((own, 2, 2), (right, 2, 1), (below, 1, 2), (corner, 1, 1))
        for shape in [(rows, columns, channels, filters)]
    )
    return tf.concat([tf.concat([own, right], 1), tf.concat([below, corner], 1)], 0)


def _product(inputs, outputs):
    """Σ over all but the last axis: (…, channels) and (…, filters) make (channels, filters)."""
    inputs, outputs = (tf.reshape(values, (-1, values.shape[-1])) for values in (inputs, outputs))
    return tf.matmul(inputs, outputs, transpose_a=True)
