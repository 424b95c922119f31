"""Start TensorFlow for one run, quietly, with its threads and replicas; what of the process it changes meanwhile."""

import contextlib
import functools
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from simplexlab.config import Experiment, check_batch, parse_devices
from simplexlab.errors import RunError, UsageError
from simplexlab.quiet import quiet_stderr
from simplexlab.training.cluster import Cluster
from simplexlab.training.interrupts import answered

SMALL_CONVOLUTION = 2**24  # images × pixels × channels²; measured on two cores


@dataclass(frozen=True)
class Runtime:
    """Where and how a run computes: the strategy over its replicas, XLA or not, this worker's devices, the cluster."""

    strategy: Any
    jit: bool
    devices: tuple[str, ...]
    cluster: Cluster

    @property
    def replicas(self) -> int:
        """Number of replicas of all workers, which share each global batch."""
        return self.strategy.num_replicas_in_sync

    def gather(self, number: int) -> list[int]:
        """The number of every worker, in their order. Every worker must call this at the same point of the run."""
        if len(self.cluster.workers) == 1:
            return [number]
        numbers = np.zeros(len(self.cluster.workers), np.int64)
        numbers[self.cluster.index] = number
        return self._sum(numbers).tolist()

    def broadcast(self, array: np.ndarray) -> np.ndarray:
        """The chief's array, bit for bit. Every worker must call this, with arrays of one shape and dtype."""
        if len(self.cluster.workers) == 1:
            return array
        bits = np.ascontiguousarray(array).view(f"i{array.itemsize}").astype(np.int64)  # a sum would lose −0.0
        bits = self._sum(bits if self.cluster.is_chief else np.zeros_like(bits))
        return bits.astype(f"i{array.itemsize}").view(array.dtype).reshape(array.shape)

    def _sum(self, array: np.ndarray) -> np.ndarray:
        """Sum of an int64 array over the workers; the first replica of each contributes."""
        import tensorflow as tf

        def contribution(context):
            is_first = context.replica_id_in_sync_group % len(self.devices) == 0
            return tf.constant(array if is_first else np.zeros_like(array))

        values = self.strategy.experimental_distribute_values_from_function(contribution)
        return self.strategy.reduce(tf.distribute.ReduceOp.SUM, values, axis=None).numpy()


def start(experiment: Experiment, cluster: Cluster = Cluster(), pixels: int | None = None) -> Runtime:  # noqa: B008
    """Import TensorFlow, set its threads and logical devices, and return the `Runtime`.

    TensorFlow fixes threads and logical devices at its first operation, so one process starts one kind of runtime. In a
    process that has used TensorFlow already, the default number of threads is left as it is.
    In a cluster this waits until every worker has started.

    Args:
        experiment: resolved options.
        cluster: the workers, and which of them this is.
        pixels: of one image; None where they are not known yet, as for TFDS sets, counts as many.

    Raises:
        UsageError: a GPU was asked for that TensorFlow does not see, the batch does not divide among the replicas, or
            Keras has another backend than TensorFlow.
        RunError: the workers did not find each other.
    """
    kind, wanted = parse_devices(experiment.devices)
    several = len(cluster.workers) > 1
    if several and kind == "cpu" and wanted > 1:
        raise UsageError(f"--devices {experiment.devices}: a worker of a cluster has one CPU replica; take cpu")
    _import_keras()
    with quiet_stderr():
        import tensorflow as tf

        cpus = tf.config.list_physical_devices("CPU")
        gpus = tf.config.list_physical_devices("GPU")
    names = _device_names(kind, wanted, len(gpus))
    check_batch(experiment.batch_size, len(names) * len(cluster.workers))
    jit = experiment.jit if experiment.jit is not None else len(names) == 1 and not several and "GPU" in names[0]
    if jit and (several or len(names) > 1):
        raise UsageError("--jit works on one device; under several replicas TensorFlow cannot compile the collectives")
    # What nobody asked for is a preference: a process that uses TensorFlow already, such as a notebook, keeps its own.
    with contextlib.suppress(RuntimeError):
        for gpu in gpus:
            tf.config.experimental.set_memory_growth(gpu, True)
    with _fixed_at_start(experiment) if experiment.threads else contextlib.suppress(RuntimeError):
        inter, intra = thread_counts(experiment.threads, _is_small(experiment, pixels))
        tf.config.threading.set_inter_op_parallelism_threads(inter)
        tf.config.threading.set_intra_op_parallelism_threads(intra)
    with _fixed_at_start(experiment):
        if kind == "cpu":
            tf.config.set_visible_devices([], "GPU")
            if wanted > 1:
                tf.config.set_logical_device_configuration(cpus[0], [tf.config.LogicalDeviceConfiguration()] * wanted)
        elif several:  # the strategy takes every GPU that it sees
            tf.config.set_visible_devices([gpus[int(name[4:])] for name in names if "GPU" in name], "GPU")
        if several:
            with answered():
                cluster.wait()
            with answered("waiting for the other workers to join"), quiet_stderr():
                strategy = tf.distribute.MultiWorkerMirroredStrategy()
    with quiet_stderr():
        tf.config.list_logical_devices()
        if len(names) > 1 and not several:
            strategy = mirrored_strategy(tuple(names))
        elif not several:
            strategy = tf.distribute.OneDeviceStrategy(names[0])
    return Runtime(strategy, jit, tuple(names), cluster)


@functools.cache
def mirrored_strategy(devices: tuple[str, ...]) -> Any:
    """The strategy over several devices, one in a process: a second one would give its collectives the same numbers."""
    import tensorflow as tf

    return tf.distribute.MirroredStrategy(devices)


def _import_keras() -> Any:
    with quiet_stderr():
        import keras
    backend = keras.backend.backend()
    if backend != "tensorflow":
        raise UsageError(f"training runs on TensorFlow, but Keras's backend is {backend}; set KERAS_BACKEND=tensorflow")
    return keras


@contextlib.contextmanager
def failures_told(cluster: Cluster) -> Iterator[None]:
    """Within the block, tell where an operation fails since a device's memory is full, or a worker was lost."""
    try:
        yield
    except Exception as error:
        tf = sys.modules.get("tensorflow")
        if tf is None:
            raise
        if isinstance(error, tf.errors.ResourceExhaustedError):
            raise RunError(
                "a device has not enough memory for a step; take a smaller --batch-size, --width or image"
            ) from error
        if len(cluster.workers) == 1 or not isinstance(error, tf.errors.OpError):
            raise
        task = re.search(r"/job:(chief|worker)/(?:replica:0/)?task:(\d+)", error.message.partition("aborted by")[2])
        lost = f"{task[1]} {task[2]}" if task else "a worker"
        raise RunError(f"lost {lost}: it died or cannot be reached; start all workers again to resume") from error


def thread_counts(threads: int | None, small: bool = True) -> tuple[int, int]:
    """(inter-op, intra-op) threads: several operators of a small network side by side beat many threads in each."""
    threads = threads or os.cpu_count() or 1
    return threads, max(1, threads // 2) if small else threads


def _is_small(experiment: Experiment, pixels: int | None) -> bool:
    """Whether a convolution of the first stage is so small that a second thread in it costs more than it brings."""
    return pixels is not None and experiment.batch_size * pixels * experiment.width**2 < SMALL_CONVOLUTION


def numpy_threads(threads: int | None) -> contextlib.AbstractContextManager:
    """Within the block numpy's and scipy's matrix products have half of the threads, at least one.

    Theirs wait for each other by spinning: beside a second run they would cost several times what they bring.
    """
    import scipy.linalg  # noqa: F401  (scipy brings a BLAS of its own, which can be limited once it is loaded)
    from threadpoolctl import threadpool_limits

    return threadpool_limits(thread_counts(threads)[1], user_api="blas")


@contextlib.contextmanager
def keras_precision(precision: str) -> Iterator[None]:
    """Within the block Keras's global dtype is float32, float64, or bfloat16 arithmetic over float32 parameters."""
    keras = _import_keras()
    saved = keras.config.floatx(), keras.config.dtype_policy()
    keras.config.set_floatx("float64" if precision == "float64" else "float32")
    keras.config.set_dtype_policy({"bfloat16": "mixed_bfloat16"}.get(precision, precision))
    try:
        yield
    finally:
        keras.config.set_floatx(saved[0])
        keras.config.set_dtype_policy(saved[1])


def _device_names(kind: str, wanted: Any, gpu_count: int) -> list[str]:
    if kind == "cpu":
        return [f"CPU:{index}" for index in range(wanted)]
    if kind == "auto":
        return ["GPU:0" if gpu_count else "CPU:0"]
    if kind == "all":
        wanted = range(gpu_count) if gpu_count else [0]
    missing = [index for index in wanted if index >= gpu_count]
    if missing:
        seen = f"sees {gpu_count} GPU{'s' if gpu_count != 1 else ''}"
        asked = "all" if kind == "all" else f"gpu:{missing[0]}"
        raise UsageError(f"--devices {asked}: TensorFlow {seen}; take auto or cpu, or see simplexlab doctor")
    return [f"GPU:{index}" for index in wanted]


@contextlib.contextmanager
def _fixed_at_start(experiment: Experiment) -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        raise UsageError(
            f"--devices {experiment.devices}, --threads {experiment.threads}: TensorFlow already runs in this process "
            "with other settings; start a new process"
        ) from error
