"""What evaluating, recording and checkpointing add to the training time of digits.

    python tests/benchmarks/evaluation_share.py [--repeats 7]           # at the default interval
    python tests/benchmarks/evaluation_share.py --dense [--repeats 7]   # the early evaluations beside those

Runs of the main job that are evaluated more often alternate with runs that are less so (and, without `--dense`, saved
at their end only), in one process, so that TensorFlow's start and the tracing of the first graphs do not count.
"""

import argparse
import statistics
import tempfile
from typing import Any

from simplexlab.config import Experiment
from simplexlab.training.commands import train


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--dense", action="store_true", help="dense early evaluations against the interval alone")
    options = parser.parse_args()
    default = Experiment().resolve()
    for loss in ("ce", "sc"):
        more: dict[str, Any] = {"evaluate_at": "dense"} if options.dense else {}
        less: dict[str, Any] = {"evaluate_at": "interval"}
        if not options.dense:
            less["evaluate_every"] = default.iterations
        seconds_of(loss, less)
        pairs = [(seconds_of(loss, more), seconds_of(loss, less)) for _ in range(options.repeats)]
        shares = sorted(evaluated / plain - 1 for evaluated, plain in pairs)
        with_all, without = (statistics.median(column) for column in zip(*pairs, strict=True))
        print(
            f"{loss}: {with_all:.2f} s with {more or 'the defaults'}, {without:.2f} s with {less}; "
            f"share {statistics.median(shares):.1%} ({shares[0]:.1%} to {shares[-1]:.1%}), {options.repeats} pairs",
            flush=True,
        )


def seconds_of(loss: str, settings: dict[str, Any]) -> float:
    """Seconds from the first step of a run to its last evaluation."""
    with tempfile.TemporaryDirectory(dir=".") as folder:
        return train(Experiment(loss=loss, corrupt=0.2, run_dir=folder, **settings))["seconds"]


if __name__ == "__main__":
    main()
