"""What `test_backends` compares: run with KERAS_BACKEND set, it prints one JSON object of numbers."""

import json
import sys
import warnings

from simplexlab.after_import import import_without_optional

import_without_optional()  # whatever the backend, Keras would import pandas and scikit-learn in vain, for seconds

import keras  # noqa: E402
import numpy as np  # noqa: E402

from simplexlab.callbacks import Geometry  # noqa: E402
from simplexlab.evaluation import numbers  # noqa: E402
from simplexlab.losses import SupCon, SupervisedContrastive  # noqa: E402

LABELS = np.arange(60) % 3
INPUTS = (np.eye(3)[LABELS] + 0.1 * np.random.default_rng(0).normal(size=(60, 3))).astype(np.float32)
POINTS = np.random.default_rng(1).normal(size=(12, 4)).astype(np.float32)
POINTS /= np.linalg.norm(POINTS, axis=1, keepdims=True)
BATCHES = {
    "balanced": np.arange(12) % 3,
    "unbalanced": np.array([0] * 7 + [1] * 3 + [2] * 2),
    "one alone": np.array([0] * 6 + [1] * 5 + [2]),
    "all alone": np.arange(12),
    "one class": np.zeros(12, int),
    "column": np.arange(12)[:, None] % 4,
    "from 2²⁴": 2**24 + np.arange(12) % 6,
    "equal low bits": np.arange(12) % 3 * 2**32,
}


def losses() -> dict[str, list[float]]:
    """Loss of every anchor; temperatures, labels and dtypes of all kinds."""
    found = {}
    for temperature in (0.05, 1.0):
        loss = SupervisedContrastive(temperature, reduction=None)
        for name, labels in BATCHES.items():
            found[f"{name}, {temperature}"] = keras.ops.convert_to_numpy(loss(labels, POINTS)).tolist()
    for form in ("out", "in"):
        for name, labels in BATCHES.items():
            loss = SupCon(0.05, form=form, reduction=None)
            found[f"supcon {form}, {name}"] = keras.ops.convert_to_numpy(loss(labels, POINTS)).tolist()
    for dtype in ("float16", "bfloat16"):
        points = keras.ops.cast(keras.ops.convert_to_tensor(POINTS), dtype)
        found[dtype] = keras.ops.convert_to_numpy(loss(BATCHES["balanced"], points)).tolist()
    return found


def gradient(labels: np.ndarray) -> list[list[float]]:
    """Gradient at the points: what one step of size 1 takes off a kernel that is the points."""
    layer = keras.layers.Dense(4, use_bias=False)
    model = keras.Sequential([keras.Input((12,)), layer])
    layer.set_weights([POINTS])
    model.compile(keras.optimizers.SGD(1.0), SupervisedContrastive(0.5))
    model.fit(np.eye(12, dtype=np.float32), labels, batch_size=12, shuffle=False, verbose=0)
    return (POINTS - layer.get_weights()[0]).tolist()


def fit(loss: str, rate: float = 0.1) -> dict[str, list[float]]:
    """History of a training with a callback; every second epoch is evaluated."""
    generator = np.random.default_rng(2)
    last = [keras.layers.Dense(3, use_bias=False), keras.layers.Softmax()] if loss == "ce" else []
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(5, "relu"), *last])
    model.set_weights([generator.normal(size=weight.shape) for weight in model.get_weights()])
    compiled = keras.losses.SparseCategoricalCrossentropy() if loss == "ce" else SupervisedContrastive(2.0)
    model.compile(keras.optimizers.SGD(rate), compiled)
    callback = Geometry(INPUTS, LABELS, every=2, temperature=2.0, batch_size=20)
    options = {"batch_size": 20, "epochs": 4, "shuffle": False, "verbose": 0}
    history = model.fit(INPUTS, LABELS, callbacks=[callback], **options).history
    assert callback.evaluations
    assert set(numbers(callback.evaluations[-1].record)) <= {key.removeprefix("geometry_") for key in history}
    return history


def report() -> dict:
    """Everything, of the backend of this process."""
    return {
        "backend": keras.backend.backend(),
        "registered": keras.saving.get_registered_object("simplexlab>SupervisedContrastive") is SupervisedContrastive,
        "losses": losses(),
        "gradients": {name: gradient(BATCHES[name]) for name in ("unbalanced", "one alone", "from 2²⁴")},
        "ce": fit("ce"),
        "sc": fit("sc"),
        "diverged": fit("sc", rate=1e30),
    }


if __name__ == "__main__":
    is_loaded = "tensorflow" in sys.modules
    warnings.simplefilter("ignore")
    print(json.dumps(report() | {"tensorflow is loaded": is_loaded}))
