"""The steps under XLA and under deterministic kernels are the steps without."""

import functools

import numpy as np
import pytest

from simplexlab.config import Experiment
from simplexlab.data import Dataset
from simplexlab.models import encoders
from simplexlab.training import loop as loop_module
from simplexlab.training.cluster import Cluster
from simplexlab.training.learner import build_learner
from simplexlab.training.loop import Loop
from simplexlab.training.runtime import Runtime, determinism, keras_precision

ONE_BLOCK = (0, 1)  # the first convolution and a block at half the size: all kinds of layers that longer ones have


@functools.cache
def trained(loss: str, jit: bool) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """The losses of 7 steps in two calls, representations, weights."""
    import tensorflow as tf

    generator = np.random.default_rng(0)
    images, labels = generator.integers(0, 256, (40, 8, 8, 1), np.uint8), (np.arange(40) % 3).astype(np.int32)
    dataset = Dataset(
        name="random",
        x_train=images[:30],
        y_train=labels[:30],
        x_test=images[30:],
        y_test=labels[30:],
        class_names=("a", "b", "c"),
    )
    encoder = "resnet-small" if loss == "sc" else "mlp"  # convolutions once: XLA compiles them for seconds
    options = {"encoder": encoder, "width": 2, "batch_size": 12, "augment": True, "learning_rate": 0.01}
    experiment = Experiment(dataset="random.npz", loss=loss, precision="float64", **options).resolve()
    with keras_precision("float64"), pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setitem(encoders.STAGES, "resnet-small", ONE_BLOCK)
        learner = build_learner(experiment, dataset)
        strategy = tf.distribute.OneDeviceStrategy("CPU:0")
        loop = Loop(experiment, dataset, dataset.y_train, learner, Runtime(strategy, jit, ("CPU:0",), Cluster()))
        calls = [losses for start, stop in ((0, 4), (4, 7)) for _, losses in loop.run(start, stop)]
        return np.concatenate(calls), np.concatenate(loop.encode()[:2]), learner.model.get_weights()


@pytest.mark.parametrize("loss", ["ce", "sc"])
def test_compiled_by_xla_the_loop_does_what_it_does_without(loss):
    plain, compiled = trained(loss, False), trained(loss, True)
    assert len(plain[0]) == 7
    for one, other in zip([*plain[:2], *plain[2]], [*compiled[:2], *compiled[2]], strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-6, atol=1e-9)


def test_every_operation_of_a_step_has_a_deterministic_kernel_on_a_cpu():
    plain = trained("sc", False)
    with determinism(True):
        again = trained.__wrapped__("sc", False)
    np.testing.assert_allclose(again[0], plain[0], rtol=1e-12)


def test_a_cpu_encodes_in_calls_side_by_side_what_it_encodes_in_one(monkeypatch):
    starts = []
    encode_part = Loop._encode_part
    monkeypatch.setattr(Loop, "_encode_part", lambda self, start: starts.append(start) or encode_part(self, start))
    one = trained.__wrapped__("ce", False)
    monkeypatch.setattr(loop_module, "operators_at_once", lambda: 3)
    three = trained.__wrapped__("ce", False)
    np.testing.assert_allclose(three[1], one[1], rtol=1e-12)
    assert one[1].shape[0] == 40  # three calls of 14 images: two are padding
    assert len(starts) == 2  # traced once each: the calls share a graph
