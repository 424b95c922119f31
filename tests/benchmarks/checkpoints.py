"""What a checkpoint costs.

python tests/benchmarks/checkpoints.py
"""

import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from simplexlab.training import checkpoints
from simplexlab.training.checkpoints import Checkpoint

RUNS = 20
CASES = {"resnet-small, width 16": ("resnet-small", 16, (8, 8, 1)), "resnet18": ("resnet18", 64, (32, 32, 3))}


def main() -> None:
    for name, (encoder, width, shape) in CASES.items():
        variables = variables_of(encoder, width, shape)
        with tempfile.TemporaryDirectory(dir=".") as folder:
            clock, processor = zip(
                *(timed(Path(folder), iteration, variables) for iteration in range(RUNS)), strict=True
            )
            size = next(Path(folder).glob("*.npz")).stat().st_size / 2**20
            began = time.perf_counter()
            checkpoints.load(Path(folder), variables)
            load = time.perf_counter() - began
        print(
            f"{name}: {size:.1f} MiB, saved in {1e3 * statistics.median(clock):.0f} ms at the median "
            f"(best {1e3 * min(clock):.0f}), of which processor {1e3 * statistics.median(processor):.0f} ms; "
            f"loaded in {1e3 * load:.0f} ms; {RUNS} runs"
        )


def timed(folder: Path, iteration: int, variables: list[np.ndarray]) -> tuple[float, float]:
    checkpoint = Checkpoint(iteration, 0.0, np.zeros(500), None, None, variables)
    clock, processor = time.perf_counter(), time.process_time()
    checkpoints.save(folder, checkpoint)
    return time.perf_counter() - clock, time.process_time() - processor


def variables_of(encoder: str, width: int, shape: tuple[int, ...]) -> list[np.ndarray]:
    """Variables of the shapes of the encoder's, and a velocity for each weight."""
    from simplexlab.models import build_encoder

    model = build_encoder(encoder, shape, width=width)
    generator = np.random.default_rng(0)
    return [
        generator.normal(size=variable.shape).astype(np.float32)
        for variable in [*model.variables, *model.trainable_variables]
    ]


if __name__ == "__main__":
    main()
