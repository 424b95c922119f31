"""Where `FastConvolution`'s ways beat TensorFlow's convolution: `python tests/benchmarks/convolutions.py`.

Forward pass and both gradients of one 3×3 convolution, at stride 1 with as many filters as channels, at stride 2 with
twice as many, on every core. Each cell is the time of TensorFlow's way over that of ours: above 1, ours is faster. The
two alternate.
"""

import os
import statistics
import time

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import tensorflow as tf

from simplexlab.models.product_gradient import convolve_with_product_gradient
from simplexlab.models.winograd import convolve_by_winograd

CASES = [
    # dtype, stride, method, channels, sides
    ("float32", 1, convolve_by_winograd, (64, 96, 128, 256, 512), (4, 8, 16, 32)),
    ("bfloat16", 1, convolve_with_product_gradient, (64, 128, 256, 512), (4, 8, 16, 32)),
    ("bfloat16", 2, convolve_with_product_gradient, (32, 64, 128, 256), (8, 16, 32)),
]
BATCHES = (16, 64, 256)
ROUNDS = 9
LARGEST = 64 * 32 * 32 * 128  # numbers in the images of a case


def library(images, kernel, stride=1):
    return tf.nn.conv2d(images, kernel, stride, "SAME" if stride == 1 else "VALID")


def compiled(convolve, stride: int):
    """A graph that returns the mean of some outputs and both gradients."""
    zeros = [[0, 0], [1, 1], [1, 1], [0, 0]]
    options = {"stride": stride} if stride > 1 else {}

    @tf.function(autograph=False)
    def step(images, kernel, upstream):
        with tf.GradientTape() as tape:
            tape.watch((images, kernel))
            outputs = convolve(images if stride == 1 else tf.pad(images, zeros), kernel, **options)
        return tf.reduce_mean(outputs[:1, :1]), *tape.gradient(outputs, (images, kernel), upstream)

    return step


def ratio(convolve, dtype: str, stride: int, channels: int, side: int, batch: int) -> str:
    """Median over rounds of the time of TensorFlow's convolution over ours."""
    filters = channels * stride
    images = tf.cast(tf.random.normal((batch, side, side, channels)), dtype)
    upstream = tf.cast(tf.random.normal((batch, side // stride, side // stride, filters)), dtype)
    kernel = tf.cast(tf.random.normal((3, 3, channels, filters)), dtype)
    ways, ratios = [compiled(library, stride), compiled(convolve, stride)], []
    for _ in range(ROUNDS + 2):
        seconds = []
        for way in ways:
            began = time.perf_counter()
            way(images, kernel, upstream)[0].numpy()
            seconds.append(time.perf_counter() - began)
        ratios.append(seconds[0] / seconds[1])
    return f"{statistics.median(ratios[2:]):5.2f}"


if __name__ == "__main__":
    for dtype, stride, convolve, many_channels, sides in CASES:
        print(f"{dtype}, stride {stride}, batches of {', '.join(map(str, BATCHES))}")
        for channels in many_channels:
            for side in sides:
                fitting = [batch for batch in BATCHES if batch * side**2 * channels <= LARGEST]
                cells = [ratio(convolve, dtype, stride, channels, side, batch) for batch in fitting]
                print(f"  {channels:3} channels, {side:2}×{side:<2}", *cells, flush=True)
