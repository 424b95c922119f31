"""What evaluating, recording and checkpointing at the default interval add to the training time of digits.

    python tests/benchmarks/evaluation_share.py [--repeats 7]

Runs of the main job with the default interval alternate with runs that are evaluated and saved at their end only, in
one process, so that TensorFlow's start and the tracing of the graphs of the first runs do not count.
"""

import argparse
import statistics
import tempfile

from simplexlab.config import Experiment
from simplexlab.training.commands import train


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    for loss in ("ce", "sc"):
        often, at_end = Experiment(loss=loss).resolve().evaluate_every, Experiment().resolve().iterations
        seconds_of(loss, at_end)
        pairs = [(seconds_of(loss, often), seconds_of(loss, at_end)) for _ in range(options.repeats)]
        shares = sorted(evaluated / plain - 1 for evaluated, plain in pairs)
        with_all, without = (statistics.median(column) for column in zip(*pairs, strict=True))
        print(
            f"{loss}: {with_all:.2f} s evaluated every {often}, {without:.2f} s at the end only; "
            f"share {statistics.median(shares):.1%} ({shares[0]:.1%} to {shares[-1]:.1%}), {options.repeats} pairs",
            flush=True,
        )


def seconds_of(loss: str, interval: int) -> float:
    """Seconds from the first step of a run to its last evaluation."""
    with tempfile.TemporaryDirectory(dir=".") as folder:
        return train(Experiment(loss=loss, corrupt=0.2, evaluate_every=interval, run_dir=folder))["seconds"]


if __name__ == "__main__":
    main()
