"""Where `FastConvolution`'s ways beat TensorFlow's convolution: `python tests/benchmarks/convolutions.py`.

Forward pass and both gradients of one 3×3 convolution with as many filters as channels, on every core. Each cell is the
time of TensorFlow's way over that of ours: above 1, ours is faster. The two alternate.
"""

import os
import statistics
import time

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import tensorflow as tf

from simplexlab.models.convolution import convolve_by_winograd, convolve_with_product_gradient

CASES = {
    # method, channels, sides
    "float32": (convolve_by_winograd, (64, 96, 128, 256, 512), (4, 8, 16, 32)),
    "bfloat16": (convolve_with_product_gradient, (64, 128, 256, 512), (4, 8, 16, 32)),
}
BATCHES = (16, 64, 256)
ROUNDS = 9
LARGEST = 64 * 32 * 32 * 128  # numbers in the images of a case


def library(images, kernel):
    return tf.nn.conv2d(images, kernel, 1, "SAME")


def compiled(convolve):
    """A graph that returns the outputs' mean and both gradients."""

    @tf.function(autograph=False)
    def step(images, kernel, upstream):
        with tf.GradientTape() as tape:
            tape.watch((images, kernel))
            outputs = convolve(images, kernel)
        return tf.reduce_mean(outputs[:1, :1]), *tape.gradient(outputs, (images, kernel), upstream)

    return step


def ratio(convolve, dtype: str, channels: int, side: int, batch: int) -> str:
    """Median over rounds of the time of TensorFlow's convolution over ours."""
    images, upstream = (tf.cast(tf.random.normal((batch, side, side, channels)), dtype) for _ in range(2))
    kernel = tf.cast(tf.random.normal((3, 3, channels, channels)), dtype)
    ways, ratios = [compiled(library), compiled(convolve)], []
    for _ in range(ROUNDS + 2):
        seconds = []
        for way in ways:
            began = time.perf_counter()
            way(images, kernel, upstream)[0].numpy()
            seconds.append(time.perf_counter() - began)
        ratios.append(seconds[0] / seconds[1])
    return f"{statistics.median(ratios[2:]):5.2f}"


if __name__ == "__main__":
    for dtype, (convolve, many_channels, sides) in CASES.items():
        print(f"{dtype}, batches of {', '.join(map(str, BATCHES))}")
        for channels in many_channels:
            for side in sides:
                cells = [
                    ratio(convolve, dtype, channels, side, batch) if batch * side**2 * channels <= LARGEST else "    –"
                    for batch in BATCHES
                ]
                print(f"  {channels:3} channels, {side:2}×{side:<2}", *cells, flush=True)
