"""Where `FastConvolution`'s ways beat TensorFlow's convolution: `python tests/benchmarks/convolutions.py`.

Forward pass and both gradients of one convolution, at stride 1 with as many filters as channels, at stride 2 with twice
as many, on every core or with `--threads 1` on one, as in a small network. Each cell is the time of TensorFlow's way
over that of ours: above 1, ours is faster. The two alternate, six convolutions a call.
"""

import argparse
import os
import statistics
import time
from functools import partial

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import tensorflow as tf

from simplexlab.models.product_gradient import convolve_with_product_gradient
from simplexlab.models.products import convolve_as_dense, convolve_by_patches
from simplexlab.models.winograd import convolve_by_winograd


def library(images, kernel, stride=1):
    if stride == 1:
        return tf.nn.conv2d(images, kernel, 1, "SAME")
    zeros = kernel.shape[0] // 2
    return tf.nn.conv2d(tf.pad(images, [[0, 0], [zeros, zeros], [zeros, zeros], [0, 0]]), kernel, stride, "VALID")


def in_float32(convolve):
    def convolve_in_float32(images, kernel, **options):
        return tf.cast(convolve(tf.cast(images, "float32"), tf.cast(kernel, "float32"), **options), images.dtype)

    return convolve_in_float32


CASES = [
    # name, dtype, kernel size, stride, method, channels, sides
    ("Winograd", "float32", 3, 1, convolve_by_winograd, (64, 96, 128, 256, 512), (4, 8, 16, 32)),
    ("dense", "float32", 3, 1, convolve_as_dense, (32, 64, 128, 256), (1, 2)),
    ("patches", "float32", 3, 2, convolve_by_patches, (16, 64, 256), (4, 8, 14)),
    ("patches", "float32", 1, 2, convolve_by_patches, (16, 64, 256), (4, 8, 16, 32)),
    ("product gradient", "bfloat16", 3, 1, convolve_with_product_gradient, (64, 128, 256, 512), (4, 8, 16, 32)),
    ("product gradient", "bfloat16", 3, 2, convolve_with_product_gradient, (32, 64, 128, 256), (8, 16, 32)),
    ("in float32", "bfloat16", 3, 1, in_float32(library), (16, 32, 64, 128), (4, 8, 16, 32)),
    ("in float32, Winograd", "bfloat16", 3, 1, in_float32(convolve_by_winograd), (128, 256, 512), (4, 8, 16, 32)),
    ("in float32, patches", "bfloat16", 3, 2, in_float32(convolve_by_patches), (16, 64, 256), (4, 8)),
    ("in float32", "bfloat16", 3, 2, in_float32(library), (32, 64, 128), (16, 32)),
]
BATCHES = (16, 64, 256)
ROUNDS = 7
LARGEST = 64 * 32 * 32 * 128  # numbers in the images of a case
CONVOLUTIONS = 6


def repeated(convolve, stride: int):
    """A graph that adds up some outputs and entries of both gradients, of convolutions one after the other."""
    if stride > 1:
        convolve = partial(convolve, stride=stride)

    @tf.function(autograph=False)
    def step(images, kernel, upstream):
        def once(count, total):
            inputs = images + tf.cast(total * 1e-30, images.dtype)  # the next waits for the one before
            with tf.GradientTape() as tape:
                tape.watch((inputs, kernel))
                outputs = convolve(inputs, kernel)
            found = outputs, *tape.gradient(outputs, (inputs, kernel), upstream)
            return count + 1, total + tf.reduce_sum(tf.stack([tf.cast(each[0, 0, 0, 0], "float32") for each in found]))

        return tf.while_loop(lambda count, _: count < CONVOLUTIONS, once, [0, tf.constant(0.0)], parallel_iterations=1)[
            1
        ]

    return step


def ratio(convolve, dtype: str, size: int, stride: int, channels: int, side: int, batch: int) -> str:
    """Median over rounds of the time of TensorFlow's convolution over ours."""
    filters = channels * stride
    images = tf.cast(tf.random.normal((batch, side, side, channels)), dtype)
    upstream = tf.cast(tf.random.normal((batch, -(-side // stride), -(-side // stride), filters)), dtype)
    kernel = tf.cast(tf.random.normal((size, size, channels, filters)) / (size * channels**0.5), dtype)
    ways, ratios = [repeated(way, stride) for way in (library, convolve)], []
    for _ in range(ROUNDS + 2):
        seconds = []
        for way in ways:
            began = time.perf_counter()
            way(images, kernel, upstream).numpy()
            seconds.append(time.perf_counter() - began)
        ratios.append(seconds[0] / seconds[1])
    return f"{statistics.median(ratios[2:]):5.2f}"


def main() -> None:
    """Print a table for each method."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, help="of a convolution; by default one for each core")
    parser.add_argument("--only", default="", help="methods whose line has this text")
    options = parser.parse_args()
    if options.threads:
        tf.config.threading.set_intra_op_parallelism_threads(options.threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    for name, dtype, size, stride, convolve, many_channels, sides in CASES:
        heading = f"{name}: {dtype}, {size}×{size}, stride {stride}"
        if options.only not in heading:
            continue
        print(f"{heading}, batches of {', '.join(map(str, BATCHES))}")
        for channels in many_channels:
            for side in sides:
                fitting = [batch for batch in BATCHES if batch * side**2 * channels <= LARGEST]
                cells = [ratio(convolve, dtype, size, stride, channels, side, batch) for batch in fitting]
                print(f"  {channels:3} channels, {side:2}×{side:<2}", *cells, flush=True)


if __name__ == "__main__":
    main()
