"""How fast an experiment trains on this machine, and how much of what the machine can do that is."""

import math
import resource
import sys
import time
from typing import Any

import numpy as np

from simplexlab.config import Experiment
from simplexlab.data import Dataset
from simplexlab.evaluation import Representations, evaluate
from simplexlab.memory import check_address_space
from simplexlab.quiet import quiet_stderr
from simplexlab.training import runtime
from simplexlab.training.description import check_step_memory, criterion_of, load_dataset

MATRIX_SIZES = {"CPU": 2048, "GPU": 8192}
REPEATS = 5


def benchmark(experiment: Experiment, seconds: float = 10.0) -> dict[str, Any]:
    """Measure the training steps and the evaluation of an experiment; nothing is written.

    Args:
        experiment: the options; `resolve` is called on them. The labels are taken as they are.
        seconds: how long to train for the measurement, after the graph has been compiled and two calls have warmed up.

    Returns:
        `steps_per_second` (median over graph calls of up to half a second) and its quartiles, `images_per_second`,
        `compile_seconds` (first call), `flops_per_step` (multiply and add counted apart; the forward pass of the
        encoder with Keras's own layers as TensorFlow counts it, times 3 for forward and backward; the loss is left out;
        `FastConvolution` does with fewer), `peak_flops_per_second` (best of five products of large square matrices in
        the same precision on the same device), `share_of_peak`,
        `evaluation_seconds` (encoding train and test set and all statistics), `evaluation_overhead` (that over the time
        of the training steps between two evaluations), `peak_memory_bytes` of the process, `gpu_peak_memory_bytes`.

    Raises:
        UsageError: the options do not fit the data or the machine.
        RunError: the data are missing.
    """
    experiment = experiment.resolve()
    check_address_space()
    dataset = load_dataset(experiment)
    with runtime.keras_precision(experiment.precision), runtime.determinism(experiment.deterministic):
        return _measure(experiment, dataset, seconds)


def _measure(experiment: Experiment, dataset: Dataset, seconds: float) -> dict[str, Any]:
    labels = dataset.y_train
    machine = runtime.start(experiment, pixels=math.prod(dataset.image_shape[:2]))
    check_step_memory(experiment, dataset, machine)
    with quiet_stderr():
        from simplexlab.models import export_model
        from simplexlab.training.learner import build_learner
        from simplexlab.training.loop import Loop

        with machine.strategy.scope():
            learner = build_learner(experiment, dataset)
        loop = Loop(experiment, dataset, labels, learner, machine)
        began = time.perf_counter()
        done = _advance(loop, 0, 1)
        compiled = time.perf_counter() - began
        done = _advance(loop, done, 3)
    rates = _rates(loop, done, seconds)
    rate = float(np.median(rates))
    with runtime.numpy_threads(experiment.threads):
        evaluation = _evaluation_seconds(loop, experiment, dataset, labels)
    flops = forward_flops(export_model(learner.encoder), experiment.points) * 3
    gpus = sum(device.startswith("GPU") for device in machine.devices)
    peak = matrix_peak(machine.devices[0], experiment.precision) * max(1, gpus)  # CPU replicas share one CPU
    return {
        "experiment": experiment.to_dict(),
        "devices": list(machine.devices),
        "xla": machine.jit,
        "steps_per_second": rate,
        "steps_per_second_quartiles": np.quantile(rates, [0.25, 0.75]).tolist(),
        "images_per_second": rate * experiment.points,
        "compile_seconds": compiled,
        "flops_per_step": flops,
        "peak_flops_per_second": peak,
        "share_of_peak": flops * rate / peak,
        "evaluation_seconds": evaluation,
        "evaluation_overhead": evaluation * rate / experiment.evaluate_every,
        "peak_memory_bytes": _peak_memory(),
        "gpu_peak_memory_bytes": _gpu_peak_memory(machine.devices),
    }


def _advance(loop: Any, done: int, calls: int) -> int:
    for call, (reached, _) in enumerate(loop.run(done, sys.maxsize), start=1):
        done = reached
        if call == calls:
            break
    return done


def _rates(loop: Any, done: int, seconds: float) -> list[float]:
    """Steps a second of each graph call in about that many seconds."""
    rates = []
    deadline = time.perf_counter() + seconds
    began = time.perf_counter()
    for reached, _ in loop.run(done, sys.maxsize):
        now = time.perf_counter()
        rates.append((reached - done) / (now - began))
        done, began = reached, now
        if now >= deadline:
            return rates
    raise AssertionError("the loop has no end here")


def _evaluation_seconds(loop: Any, experiment: Experiment, dataset: Dataset, labels: np.ndarray) -> float:
    criterion = criterion_of(experiment, dataset.num_classes)
    times = []
    for repeat in range(4):
        began = time.perf_counter()
        values, test_values, projections = loop.encode()
        train, test = Representations(values, labels), Representations(test_values, dataset.y_test)
        evaluate(train, test, criterion, loop.learner.weights(), projections=projections, iteration=repeat)
        times.append(time.perf_counter() - began)
    return float(np.median(times[1:]))  # the first compiles


def forward_flops(encoder: Any, batch_size: int) -> int:
    """Floating-point operations of one forward pass of a batch, as TensorFlow's profiler counts them."""
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2
    from tensorflow.python.profiler.model_analyzer import profile
    from tensorflow.python.profiler.option_builder import ProfileOptionBuilder

    shape = (batch_size, *encoder.input_shape[1:])
    with quiet_stderr():
        function = tf.function(lambda images: encoder(images, training=False)).get_concrete_function(
            tf.TensorSpec(shape, encoder.inputs[0].dtype)
        )
        graph = convert_variables_to_constants_v2(function).graph
        options = ProfileOptionBuilder(ProfileOptionBuilder.float_operation()).with_empty_output().build()
        return profile(graph, options=options).total_float_ops


def matrix_peak(device: str, precision: str) -> float:
    """Floating-point operations a second of the product of two large square matrices, best of five, on one device."""
    import tensorflow as tf

    size = MATRIX_SIZES[device.split(":")[0]]
    with tf.device(device):
        a, b = (tf.cast(tf.random.normal((size, size)), precision.replace("tf32", "float32")) for _ in range(2))
        product = tf.function(lambda a, b: tf.reduce_sum(tf.cast(tf.matmul(a, b)[:1], tf.float32)))
        times = []
        for _ in range(REPEATS + 1):
            began = time.perf_counter()
            product(a, b).numpy()
            times.append(time.perf_counter() - began)
    return 2 * size**3 / min(times[1:])


def _peak_memory() -> int:
    """Largest resident memory of this process so far, bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _gpu_peak_memory(devices: tuple[str, ...]) -> int | None:
    """Largest sum of GPU memory in use so far, bytes; None without a GPU."""
    import tensorflow as tf

    gpus = [device for device in devices if device.startswith("GPU")]
    return sum(tf.config.experimental.get_memory_info(gpu)["peak"] for gpu in gpus) if gpus else None
