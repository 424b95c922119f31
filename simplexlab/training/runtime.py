"""Start TensorFlow for one run, quietly, with its threads and replicas; what of the process it changes meanwhile."""

import contextlib
import functools
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from simplexlab.config import Experiment, check_batch, parse_devices
from simplexlab.errors import RunError, UsageError
from simplexlab.quiet import quiet_stderr
from simplexlab.training.cluster import START_SECONDS, Cluster
from simplexlab.training.interrupts import answered, deferred

SMALL_CONVOLUTION = 2**24  # images × pixels × channels²; measured on two cores
WORK_FOR_XLA = 2**43  # the same times iterations; an estimate: some 8,000 steps of ResNet-18 at width 64, b=256
TF32_CAPABILITY = (8, 0)  # compute capability of the first GPUs that have it


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
    compiled = keep_compiled()
    _import_keras()
    with quiet_stderr():
        import tensorflow as tf

        cpus = tf.config.list_physical_devices("CPU")
        gpus = tf.config.list_physical_devices("GPU")
    names = _device_names(kind, wanted, len(gpus))
    check_batch(experiment.batch_size, len(names) * len(cluster.workers))
    chosen = [gpus[int(name.removeprefix("GPU:"))] for name in names if "GPU" in name]
    if experiment.precision == "tf32":
        _check_tf32(tf, chosen)
    jit = experiment.jit
    if jit is None:
        jit = len(chosen) == 1 and not several and _repays_xla(experiment, pixels)
    if jit and chosen and compiled is not None:
        with contextlib.suppress(OSError):  # without the folder XLA compiles anew
            compiled.mkdir(mode=0o700, parents=True, exist_ok=True)
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
        elif chosen:
            names = _alone_visible(tf, chosen, several)
        if several:
            with answered():
                cluster.wait()
            with answered("waiting for the other workers to join"), quiet_stderr(watched=True), failures_told(cluster):
                strategy = tf.distribute.MultiWorkerMirroredStrategy()
                check_same_devices(_devices_of_workers(cluster, names))
    with quiet_stderr(watched=True):
        tf.config.list_logical_devices()
        if len(names) > 1 and not several:
            strategy = mirrored_strategy(tuple(names))
        elif not several:
            strategy = tf.distribute.OneDeviceStrategy(names[0])
    return Runtime(strategy, jit, tuple(names), cluster)


def keep_compiled() -> Path | None:
    """Have XLA keep what it compiles for GPUs in the user's cache; call it before TensorFlow is imported.

    A later run of the same network, batch and card then starts without compiling. What XLA compiles for CPUs is bound
    to more of a machine than it checks, and is not kept. TF_XLA_FLAGS that name a folder stay as they are.

    Returns:
        The folder, or None where TensorFlow has read its flags already or has a folder of the user's.
    """
    flags = os.environ.get("TF_XLA_FLAGS", "")
    if "tensorflow" in sys.modules or "tf_xla_persistent_cache_directory" in flags:
        return None
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "simplexlab", "xla")
    if " " in str(folder):  # flags are split there
        return None
    ours = f"--tf_xla_persistent_cache_directory={folder} --tf_xla_persistent_cache_device_types=GPU"
    os.environ["TF_XLA_FLAGS"] = f"{flags} {ours}".strip()
    return folder


def check_same_devices(devices: list[str]) -> None:
    """Raise a UsageError where the workers, each given as "2 GPU", have not as many devices of one kind."""
    for index, found in enumerate(devices):
        if found != devices[0]:
            raise UsageError(
                f"worker 0 computes on {devices[0]}, worker {index} on {found}; every worker needs as many devices of "
                "one kind: set --devices or CUDA_VISIBLE_DEVICES"
            )


def _devices_of_workers(cluster: Cluster, names: list[str]) -> list[str]:
    """How many devices of which kind each worker has, by the key-value store that joins them.

    No collective can tell it, as its size is what would be wrong.
    """
    from tensorflow.python.eager import context

    store = context.context()
    store.set_config_key_value(f"simplexlab/devices/{cluster.index}", f"{len(names)} {names[0][:3]}")
    return [
        store.get_config_key_value(f"simplexlab/devices/{index}", int(START_SECONDS * 1000))
        for index in range(len(cluster.workers))
    ]


@functools.cache
def mirrored_strategy(devices: tuple[str, ...]) -> Any:
    """The strategy over several devices, one in a process: a second one would give its collectives the same numbers."""
    import tensorflow as tf

    return tf.distribute.MirroredStrategy(devices)


def _import_keras() -> Any:
    with deferred(), quiet_stderr():
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
    return pixels is not None and experiment.points * pixels * experiment.width**2 < SMALL_CONVOLUTION


def _repays_xla(experiment: Experiment, pixels: int | None) -> bool:
    """Whether a run is long enough for what XLA saves in its steps to exceed the time it takes to compile them."""
    work = experiment.points * (pixels or 32 * 32) * experiment.width**2 * experiment.iterations
    return work >= WORK_FOR_XLA


def _check_tf32(tf: Any, gpus: list[Any]) -> None:
    """Raise a UsageError where a device would compute in float32 what the run records as TF32."""
    details = [tf.config.experimental.get_device_details(gpu) for gpu in gpus]
    if not gpus or any(found.get("compute_capability", (0, 0)) < TF32_CAPABILITY for found in details):
        device = details[0].get("device_name", "this GPU") if gpus else "the CPU"
        raise UsageError(f"--precision tf32: {device} has no TF32; take float32")


def _alone_visible(tf: Any, gpus: list[Any], alone: bool = False) -> list[str]:
    """Let TensorFlow see these GPUs only, as it takes memory of all that it sees; return the names that they then have.

    A process that uses TensorFlow already keeps those that it sees; with `alone` there must be no others.
    """
    with contextlib.suppress(RuntimeError):
        tf.config.set_visible_devices(gpus, "GPU")
    visible = tf.config.get_visible_devices("GPU")
    if not set(gpus) <= set(visible) or (alone and len(visible) > len(gpus)):
        raise RuntimeError("TensorFlow was started with other GPUs")
    return [f"GPU:{visible.index(gpu)}" for gpu in gpus]


def numpy_threads(threads: int | None) -> contextlib.AbstractContextManager:
    """Within the block numpy's and scipy's matrix products have half of the threads, at least one.

    Theirs wait for each other by spinning: beside a second run they would cost several times what they bring.
    """
    import scipy.linalg  # noqa: F401  (scipy brings a BLAS of its own, which can be limited once it is loaded)
    from threadpoolctl import threadpool_limits

    return threadpool_limits(thread_counts(threads)[1], user_api="blas")


@contextlib.contextmanager
def keras_precision(precision: str) -> Iterator[None]:
    """Within the block Keras's global dtype is float32, float64, or bfloat16 arithmetic over float32 parameters.

    GPUs compute float32 in TF32 for `tf32` alone, where TensorFlow would by default.
    """
    keras = _import_keras()
    import tensorflow as tf

    math = tf.config.experimental
    saved = keras.config.floatx(), keras.config.dtype_policy(), math.tensor_float_32_execution_enabled()
    keras.config.set_floatx("float64" if precision == "float64" else "float32")
    keras.config.set_dtype_policy({"bfloat16": "mixed_bfloat16", "tf32": "float32"}.get(precision, precision))
    math.enable_tensor_float_32_execution(precision == "tf32")
    try:
        yield
    finally:
        keras.config.set_floatx(saved[0])
        keras.config.set_dtype_policy(saved[1])
        math.enable_tensor_float_32_execution(saved[2])


@contextlib.contextmanager
def determinism(wanted: bool) -> Iterator[None]:
    """Within the block TensorFlow takes kernels that give the same bits each time, if wanted."""
    _import_keras()
    from tensorflow.python.framework import config  # TensorFlow's public functions only switch it on

    saved = config.is_op_determinism_enabled()
    if wanted:
        config.enable_op_determinism()
    try:
        yield
    finally:
        if not saved:
            config.disable_op_determinism()


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
