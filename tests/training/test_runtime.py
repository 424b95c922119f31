"""What a run changes of its process: threads, Keras's precision."""

import contextlib
import os
import sys

import keras
import pytest
import scipy.linalg  # noqa: F401
import tensorflow as tf
from threadpoolctl import threadpool_info

from simplexlab.config import Experiment
from simplexlab.errors import UsageError
from simplexlab.training import runtime


def blas_threads():
    return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]


def test_numpys_threads_are_limited_for_a_run_only():
    before = blas_threads()
    with runtime.numpy_threads(1):
        assert set(blas_threads()) == {1}
    assert blas_threads() == before
    with runtime.numpy_threads(2):
        assert set(blas_threads()) == {1}


@pytest.mark.parametrize(
    ("precision", "floatx", "compute"),
    [
        ("float32", "float32", "float32"),
        ("tf32", "float32", "float32"),
        ("float64", "float64", "float64"),
        ("bfloat16", "float32", "bfloat16"),
    ],
)
def test_keras_has_a_runs_precision_for_that_run_only(precision, floatx, compute):
    before = keras.config.floatx(), keras.config.dtype_policy()
    with contextlib.suppress(ZeroDivisionError), runtime.keras_precision(precision):
        assert keras.config.floatx() == floatx
        assert keras.config.dtype_policy().compute_dtype == compute
        assert tf.config.experimental.tensor_float_32_execution_enabled() == (precision == "tf32")
        raise ZeroDivisionError
    assert (keras.config.floatx(), keras.config.dtype_policy()) == before
    assert tf.config.experimental.tensor_float_32_execution_enabled()  # TensorFlow's default


def test_threads_follow_the_size_of_the_network():
    digits = Experiment().resolve()
    cifar = Experiment(dataset="cifar10").resolve()
    assert runtime._is_small(digits, 8 * 8)
    assert not runtime._is_small(cifar, 32 * 32)
    assert not runtime._is_small(digits, None)
    assert runtime.thread_counts(4, small=True) == (4, 2)
    assert runtime.thread_counts(4, small=False) == (4, 4)
    assert runtime.thread_counts(None)[0] == os.cpu_count()


class Machine:
    """What the runtime asks of `tf.config`, on a machine with GPUs that this process may have started to use."""

    def __init__(self, gpus=(), capability=(8, 0), started_with=None):
        self.visible = list(gpus if started_with is None else started_with)
        self.is_started = started_with is not None
        self.details = {"compute_capability": capability, "device_name": "a card"}
        self.config = self.experimental = self

    def set_visible_devices(self, devices, kind):
        if self.is_started and devices != self.visible:
            raise RuntimeError("Visible devices cannot be modified after being initialized")
        self.visible = devices

    def get_visible_devices(self, kind):
        return self.visible

    def get_device_details(self, device):
        return self.details


def test_tensorflow_sees_the_gpus_of_the_run_only():
    machine = Machine(["a", "b", "c"])
    assert runtime._alone_visible(machine, ["b"]) == ["GPU:0"]
    assert machine.visible == ["b"]
    machine = Machine(["a", "b", "c"], started_with=["a", "c"])  # a notebook
    assert runtime._alone_visible(machine, ["c"]) == ["GPU:1"]
    for gpus, alone in ((["b"], False), (["c"], True)):
        with pytest.raises(RuntimeError, match="started with other GPUs"):
            runtime._alone_visible(machine, gpus, alone)


def test_tf32_is_refused_where_it_would_be_float32():
    runtime._check_tf32(Machine(capability=(9, 0)), ["a"])
    with pytest.raises(UsageError, match="a card has no TF32; take float32"):
        runtime._check_tf32(Machine(capability=(7, 5)), ["a"])
    with pytest.raises(UsageError, match="the CPU has no TF32; take float32"):
        runtime.start(Experiment(precision="tf32").resolve())


def test_xla_is_for_runs_that_repay_it():
    assert runtime._repays_xla(Experiment(dataset="cifar10").resolve(), 32 * 32)
    assert not runtime._repays_xla(Experiment(dataset="cifar10", iterations=1000).resolve(), None)
    assert not runtime._repays_xla(Experiment().resolve(), 8 * 8)


def test_determinism_is_for_a_run_only():
    from tensorflow.python.framework import config

    with runtime.determinism(True):
        assert config.is_op_determinism_enabled()
        with runtime.determinism(False):
            assert config.is_op_determinism_enabled()
    assert not config.is_op_determinism_enabled()


def test_workers_have_as_many_devices_of_one_kind():
    runtime.check_same_devices(["2 GPU", "2 GPU"])
    for devices in (["2 GPU", "2 GPU", "1 GPU"], ["2 GPU", "2 GPU", "2 CPU"]):
        with pytest.raises(UsageError, match=f"worker 0 computes on 2 GPU, worker 2 on {devices[2]}; every worker"):
            runtime.check_same_devices(devices)


def test_what_xla_compiles_for_gpus_is_kept_in_the_users_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("TF_XLA_FLAGS", "--tf_xla_clustering_debug")
    assert runtime.keep_compiled() is None  # TensorFlow has read its flags
    monkeypatch.delitem(sys.modules, "tensorflow")
    folder = runtime.keep_compiled()
    assert folder == tmp_path / "simplexlab" / "xla"
    words = os.environ["TF_XLA_FLAGS"].split()
    assert words[0] == "--tf_xla_clustering_debug"
    assert f"--tf_xla_persistent_cache_directory={folder}" in words
    assert "--tf_xla_persistent_cache_device_types=GPU" in words
    assert runtime.keep_compiled() is None  # the user's own
    assert os.environ["TF_XLA_FLAGS"].split() == words
