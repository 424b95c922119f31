"""How fast an experiment trains on this machine, and how much of what the machine can do that is."""

import contextlib
import dataclasses
import math
import os
import platform
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from simplexlab.config import Experiment
from simplexlab.data import Dataset
from simplexlab.errors import RunError
from simplexlab.evaluation import Representations, evaluate
from simplexlab.quiet import quiet_stderr
from simplexlab.runs import RunWriter
from simplexlab.training import runtime
from simplexlab.training.cluster import Cluster
from simplexlab.training.description import Task, criterion_of, describe, prepare, start

INTERVALS = 2  # between evaluations, over which the shares are measured
MATRIX_SIZES = {"CPU": 2048, "GPU": 8192}
REPEATS = 5


def benchmark(experiment: Experiment, seconds: float = 10.0) -> dict[str, Any]:
    """Measure the training steps, the evaluations and the checkpoints of an experiment.

    A run is begun in a temporary folder below the working directory, whose disk its checkpoints go to; nothing is left.

    Args:
        experiment: the options; `resolve` is called on them. The labels are taken as they are.
        seconds: how long to train for the measurement, after the graph has been compiled and two calls have warmed up.

    Returns:
        `steps_per_second` (median over graph calls of up to half a second) and its quartiles, `images_per_second`,
        `compile_seconds` (first call), `flops_per_step` (multiply and add counted apart; the forward pass of the
        encoder with Keras's own layers as TensorFlow counts it, times 3 for forward and backward; the loss is left out;
        `FastConvolution` does with fewer), `peak_flops_per_second` (see `matrix_peak`), `share_of_peak`,
        `evaluation_seconds` (encoding train and test set and all statistics), `evaluation_overhead` (that over the time
        of the training steps between two evaluations), `shares` (of the time between two evaluations: `steps`,
        `evaluation`, `checkpoint`, `waiting` for files and callbacks, one after the other as with `--no-overlap`;
        measured over two intervals, of `shares_interval` steps, and scaled to those of the experiment),
        `transfer_bytes_per_step` and `transfer_bytes_per_call` (see `transfers`), `peak_memory_bytes` of the process,
        `gpu_peak_memory_bytes`, `versions`, `cpu_cores`, `device_names`.

    Raises:
        UsageError: the options do not fit the data or the machine.
        RunError: the data are missing, the folder cannot be written, or the loss becomes non-finite.
    """
    experiment = dataclasses.replace(experiment, evaluate_at="interval", overlap=False).resolve()
    task = start(prepare(experiment, Cluster()))
    here = "." if os.access(".", os.W_OK) else None
    with (
        tempfile.TemporaryDirectory(prefix=".simplexlab-bench-", dir=here) as folder,
        runtime.keras_precision(experiment.precision),
        runtime.determinism(experiment.deterministic),
        RunWriter.create(folder, "bench", describe(task), total=experiment.iterations) as writer,
    ):
        return _measure(task, writer, seconds)


def _measure(task: Task, writer: RunWriter, seconds: float) -> dict[str, Any]:
    experiment, machine = task.experiment, task.started
    with quiet_stderr():
        from simplexlab.models import export_model

    session = _clocked(task, writer)
    learner, loop = session.learner, session.loop
    began = time.perf_counter()
    done = _advance(loop, 0, 1)
    compiled = time.perf_counter() - began
    done = _advance(loop, done, 3)
    rates = _rates(loop, done, seconds)
    rate = float(np.median(rates))
    with runtime.numpy_threads(experiment.threads):
        evaluation = _evaluation_seconds(loop, experiment, task.dataset, task.labels)
        interval = min(experiment.evaluate_every, max(1, math.ceil(rate * seconds / INTERVALS)))
        shares = session.shares(interval)
    flops = forward_flops(export_model(learner.encoder), experiment.points) * 3
    gpus = sum(device.startswith("GPU") for device in machine.devices)
    peak = matrix_peak(machine.devices[0], experiment.precision) * max(1, gpus)  # CPU replicas share one CPU
    of_a_step, of_a_call = transfers(loop)
    return {
        "experiment": experiment.to_dict(),
        "devices": list(machine.devices),
        "device_names": _device_names(machine.devices),
        "cpu_cores": os.cpu_count(),
        "versions": {package: version(package) for package in ("simplexlab", "tensorflow", "keras")},
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
        "shares": shares,
        "shares_interval": interval,
        "transfer_bytes_per_step": of_a_step,
        "transfer_bytes_per_call": of_a_call,
        "peak_memory_bytes": _peak_memory(),
        "gpu_peak_memory_bytes": _gpu_peak_memory(machine.devices),
    }


class _Enough(Exception):
    """The intervals that were to be measured are over."""


class _Clock:
    """The time of one thread by what it does; what is done within something else counts for itself alone."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._doing = ["waiting"]
        self._since = time.perf_counter()

    def restart(self) -> None:
        self.seconds.clear()
        self._since = time.perf_counter()

    @contextlib.contextmanager
    def doing(self, what: str) -> Iterator[None]:
        self._note()
        self._doing.append(what)
        try:
            yield
        finally:
            self._note()
            self._doing.pop()

    def _note(self) -> None:
        now = time.perf_counter()
        self.seconds[self._doing[-1]] = self.seconds.get(self._doing[-1], 0.0) + now - self._since
        self._since = now


def _clocked(task: Task, writer: RunWriter) -> Any:
    """A session whose thread's time is noted, see `shares`."""
    from simplexlab.training.session import Session

    class Clocked(Session):
        clock = _Clock()
        interval = 0

        def shares(self, interval: int) -> dict[str, float]:
            """The shares of the time of the training, with an evaluation and a checkpoint every so many steps."""
            self.interval = self.checkpoint_every = interval
            self.evaluated = (interval, False)
            run = self.loop.run
            self.loop.run = lambda *bounds: self._each_step(run(*bounds))
            with contextlib.suppress(_Enough):
                self.execute()
                raise RunError("the loss becomes non-finite; take a smaller --learning-rate")
            seconds = dict.fromkeys(("steps", "evaluation", "checkpoint", "waiting"), 0.0) | self.clock.seconds
            seconds["steps"] *= self.experiment.evaluate_every / interval
            total = sum(seconds.values())
            return {what: taken / total for what, taken in seconds.items()}

        def _each_step(self, calls: Iterator[Any]) -> Iterator[Any]:
            while True:
                with self.clock.doing("steps"):
                    call = next(calls, None)
                if call is None:
                    return
                yield call

        def _evaluate(self, iteration: int, **how: Any) -> str | None:
            with self.clock.doing("evaluation"):
                state = super()._evaluate(iteration, **how)
            if iteration == self.interval:  # those before it compile
                self.clock.restart()
            if iteration == (1 + INTERVALS) * self.interval:
                raise _Enough
            return state

        def _save_checkpoint(self, iteration: int, **how: Any) -> None:
            with self.clock.doing("checkpoint"):
                super()._save_checkpoint(iteration, **how)

    # It trains for as long as it is measured.
    endless = dataclasses.replace(task.experiment, iterations=max(task.experiment.iterations, 2**31 - 1))
    return Clocked(dataclasses.replace(task, experiment=endless), lambda: False, writer)


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
    for repeat in range(3):
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


def transfers(loop: Any) -> tuple[int, int]:
    """Bytes that cross between the host's memory and the devices: in every step, and once in every graph call.

    They are read off the traced graph: the tensors that an operation on the host makes and one on a device takes, or
    the other way round; a call has its arguments and its result. On the CPU, which is the host, none does.
    """
    import tensorflow as tf

    if all(device.startswith("CPU:0") for device in loop.runtime.devices):
        return 0, 0
    integer = tf.TensorSpec((), tf.int32)
    graph = loop._run_steps.get_concrete_function(integer, integer).graph
    (steps,) = (operation for operation in graph.get_operations() if operation.type.endswith("While"))
    body = graph._get_function(steps.get_attr("body").name).graph
    arguments = sum(argument.dtype.size for argument in graph.inputs if argument.dtype != tf.resource)
    results = sum(_bytes(tensor) for tensor in graph.outputs)
    return _crossing(body), arguments + results + _crossing(graph)


def _crossing(graph: Any) -> int:
    """Bytes of the tensors in a graph that go from the host to a device or back; once to each device."""
    crossed = {}
    for operation in graph.get_operations():
        for tensor in operation.inputs:
            if tensor.dtype.name != "resource" and tensor.op.device and operation.device:
                ends = _is_on_host(tensor.op), _is_on_host(operation)
                if ends[0] != ends[1]:
                    crossed[tensor.name, operation.device if ends[0] else tensor.op.device] = _bytes(tensor)
    return sum(crossed.values())


def _is_on_host(operation: Any) -> bool:
    return operation.device.endswith("CPU:0")


def _bytes(tensor: Any) -> int:
    return tensor.shape.num_elements() * tensor.dtype.size


def matrix_peak(device: str, precision: str) -> float:
    """Floating-point operations a second of products of two large square matrices, best of five, on one device.

    A CPU computes as many of them side by side as it takes to have work for all its threads, and bfloat16 in float32
    where it is no faster in it, as `FastConvolution` does.
    """
    import tensorflow as tf

    from simplexlab.models.convolution import multiplies_bfloat16
    from simplexlab.training.loop import operators_at_once

    kind = device.split(":")[0]
    size, products = MATRIX_SIZES[kind], operators_at_once() if kind == "CPU" else 1
    dtype = precision.replace("tf32", "float32")
    if dtype == "bfloat16" and kind == "CPU" and not multiplies_bfloat16():
        dtype = "float32"
    with tf.device(device):
        *lefts, right = (tf.cast(tf.random.normal((size, size)), dtype) for _ in range(products + 1))
        product = tf.function(
            lambda *lefts: [tf.reduce_sum(tf.cast(tf.matmul(a, right)[:1], "float32")) for a in lefts]
        )
        times = []
        for _ in range(REPEATS + 1):
            began = time.perf_counter()
            for value in product(*lefts):
                value.numpy()
            times.append(time.perf_counter() - began)
    return products * 2 * size**3 / min(times[1:])


def _device_names(devices: tuple[str, ...]) -> list[str]:
    """What the devices are: the model of the processor or of the GPU."""
    import tensorflow as tf

    gpus = [device for device in tf.config.get_visible_devices("GPU") if devices[0].startswith("GPU")]
    if gpus:
        return [tf.config.experimental.get_device_details(gpu).get("device_name", "GPU") for gpu in gpus]
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return [line.partition(":")[2].strip()]
    return [platform.processor() or platform.machine()]


def line(record: dict[str, Any]) -> str:
    """One line of a record, to paste into an issue."""
    experiment, (low, high) = record["experiment"], record["steps_per_second_quartiles"]
    shares = ", ".join(f"{what} {share:.0%}" for what, share in record["shares"].items())
    versions = record["versions"]
    return (
        f"simplexlab {versions['simplexlab']} bench: {experiment['loss']}, {experiment['encoder']} width "
        f"{experiment['width']}, batch {experiment['batch_size']}, {experiment['precision']}, "
        f"{'/'.join(record['devices'])}{' XLA' if record['xla'] else ''} ({record['device_names'][0]}, "
        f"{record['cpu_cores']} cores; TensorFlow {versions['tensorflow']}): {record['steps_per_second']:.4g} steps/s "
        f"({low:.4g}–{high:.4g}), {record['share_of_peak']:.1%} of the peak; {shares}; "
        f"{record['transfer_bytes_per_step']} B/step; {record['peak_memory_bytes'] / 2**20:.0f} MiB"
    )


def _peak_memory() -> int:
    """Largest resident memory of this process so far, bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _gpu_peak_memory(devices: tuple[str, ...]) -> int | None:
    """Largest sum of GPU memory in use so far, bytes; None without a GPU."""
    import tensorflow as tf

    gpus = [device for device in devices if device.startswith("GPU")]
    return sum(tf.config.experimental.get_memory_info(gpu)["peak"] for gpu in gpus) if gpus else None
