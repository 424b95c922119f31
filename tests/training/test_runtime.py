"""What a run changes of its process: threads, Keras's precision."""

import contextlib
import os

import keras
import pytest
import scipy.linalg  # noqa: F401
from threadpoolctl import threadpool_info

from simplexlab.config import Experiment
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
    [("float32", "float32", "float32"), ("float64", "float64", "float64"), ("bfloat16", "float32", "bfloat16")],
)
def test_keras_has_a_runs_precision_for_that_run_only(precision, floatx, compute):
    before = keras.config.floatx(), keras.config.dtype_policy()
    with contextlib.suppress(ZeroDivisionError), runtime.keras_precision(precision):
        assert keras.config.floatx() == floatx
        assert keras.config.dtype_policy().compute_dtype == compute
        raise ZeroDivisionError
    assert (keras.config.floatx(), keras.config.dtype_policy()) == before


def test_threads_follow_the_size_of_the_network():
    digits = Experiment().resolve()
    cifar = Experiment(dataset="cifar10").resolve()
    assert runtime._is_small(digits, 8 * 8)
    assert not runtime._is_small(cifar, 32 * 32)
    assert not runtime._is_small(digits, None)
    assert runtime.thread_counts(4, small=True) == (4, 2)
    assert runtime.thread_counts(4, small=False) == (4, 4)
    assert runtime.thread_counts(None)[0] == os.cpu_count()
