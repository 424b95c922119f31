"""What must hold for each objective: replicas agree, a run that broke goes on bit for bit, bfloat16 trains.

    python tests/benchmarks/objectives.py
    python tests/benchmarks/objectives.py --losses triplet,soft-nn

Each runs on 60 small images with corrupted labels, once a setting: float64 on one device and on two replicas, whose
mean losses between evaluations are compared; broken off and resumed, whose metrics and weights must be the same bit for
bit; and in bfloat16. It ends with exit code 1 where one does not hold.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

ITERATIONS, EVERY = 60, 5
AGREE = 1e-6  # relative


def main() -> None:
    """Check every objective, and print a line for each."""
    from simplexlab import objectives

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--losses", default=",".join(objectives.names()))
    parser.add_argument("--part", nargs=2, metavar=("FOLDER", "DEVICES"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    losses = options.losses.split(",")
    if options.part:
        train_all(Path(options.part[0]), options.part[1], losses)
        return
    with tempfile.TemporaryDirectory() as scratch:
        write_images(Path(scratch, "tiny.npz"))
        for devices in ("cpu:1", "cpu:2"):
            words = [sys.executable, __file__, "--losses", options.losses, "--part", scratch, devices]
            subprocess.run(words, check=True, stderr=subprocess.DEVNULL)
        bad = [loss for loss in losses if not holds(Path(scratch), loss)]
    sys.exit(f"not so: {', '.join(bad)}" if bad else 0)


def holds(folder: Path, loss: str) -> bool:
    """Print what was found of an objective; whether all of it holds."""
    one, two = (curve(folder / f"{loss}-{devices}") for devices in ("cpu1", "cpu2"))
    apart = float(np.max(np.abs(two - one) / np.abs(one)))
    same = lines(folder / f"{loss}-broken") == lines(folder / f"{loss}-cpu1-float32")
    same &= weights(folder / f"{loss}-broken") == weights(folder / f"{loss}-cpu1-float32")
    half = json.loads((folder / f"{loss}-bfloat16" / "result.json").read_text())
    finished = half["state"] == "finished" and np.isfinite(half["final_loss"])
    print(
        f"{loss:15} two replicas within {apart:.1e}; resumed {'bit for bit' if same else 'DIFFERENT'}; bfloat16 "
        f"{half['state']}, loss {half['final_loss']:.4g}",
        flush=True,
    )
    return apart <= AGREE and len(one) == ITERATIONS // EVERY and same and finished


def train_all(folder: Path, devices: str, losses: list[str]) -> None:
    """The runs of one device setting."""
    import keras

    from simplexlab.config import Experiment
    from simplexlab.training.commands import resume, train

    class Break(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if logs["iteration"] >= ITERATIONS // 2:
                raise ZeroDivisionError

    for loss in losses:
        common = {
            **{"loss": loss, "dataset": str(folder / "tiny.npz"), "run_dir": str(folder), "corrupt": 0.2},
            **{"encoder": "resnet-small", "width": 2, "batch_size": 12, "augment": True, "learning_rate": 0.02},
            **{"iterations": ITERATIONS, "evaluate_every": EVERY, "devices": devices},
        }
        train(Experiment(**common, precision="float64", name=f"{loss}-{devices.replace(':', '')}"), [])
        if devices == "cpu:1":
            train(Experiment(**common, name=f"{loss}-cpu1-float32"), [])
            try:
                train(Experiment(**common, name=f"{loss}-broken"), [Break()])
            except ZeroDivisionError:
                resume(folder / f"{loss}-broken")
            train(Experiment(**common, precision="bfloat16", name=f"{loss}-bfloat16"), [])


def write_images(path: Path) -> None:
    """60 training and 30 test images of three classes that a small encoder tells apart."""
    generator = np.random.default_rng(0)
    labels = np.arange(90) % 3
    patterns = generator.integers(0, 256, size=(3, 8, 8))
    images = np.clip(patterns[labels] + generator.normal(0, 40, size=(90, 8, 8)), 0, 255).astype(np.uint8)
    np.savez(path, x_train=images[:60], y_train=labels[:60], x_test=images[60:], y_test=labels[60:])


def lines(run: Path) -> list[dict]:
    """Metrics without timings."""
    found = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key != "seconds"} for line in found]


def curve(run: Path) -> np.ndarray:
    """Mean loss of the steps between evaluations."""
    return np.array([line["batch_loss"] for line in lines(run)[1:]])


def weights(run: Path) -> list[bytes]:
    """The variables of the model that was kept, bit for bit."""
    import keras

    return [np.asarray(value).tobytes() for value in keras.models.load_model(run / "model.keras").get_weights()]


if __name__ == "__main__":
    main()
