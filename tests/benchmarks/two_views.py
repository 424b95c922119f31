"""Steps a second of `supcon` over those of `sc` at the same batch, of which `supcon` sees twice the images.

    python tests/benchmarks/two_views.py [--turns 15] [--steps 40]

Both train in one process, in turns, so that they see the same load: on digits with the main job's network, `sc` once
without augmentation and once with it.
"""

import argparse
import statistics
import sys
import tempfile
import time

from simplexlab.config import Experiment
from simplexlab.runs import RunWriter
from simplexlab.training import runtime
from simplexlab.training.cluster import Cluster
from simplexlab.training.description import describe, prepare, start
from simplexlab.training.session import Session

TARGET = 0.45


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--turns", type=int, default=15)
    parser.add_argument("--steps", type=int, default=40, help="steps of each in a turn, at least")
    options = parser.parse_args()
    experiments = {
        "supcon": Experiment(loss="supcon"),
        "sc": Experiment(loss="sc"),
        "sc, augmented": Experiment(loss="sc", augment=True),
    }
    with tempfile.TemporaryDirectory(dir=".") as folder, runtime.keras_precision("float32"):
        sides = {name: Side(experiment, folder) for name, experiment in experiments.items()}
        turns = [{name: side.rate(options.steps) for name, side in sides.items()} for _ in range(options.turns + 1)]
    turns = turns[1:]  # the first one compiles
    for name in sides:
        rates = [turn[name] for turn in turns]
        ratios = sorted(turn["supcon"] / turn[name] for turn in turns)
        low, middle, high = statistics.quantiles(ratios, n=4)
        ratio = f"; supcon over it {middle:.2f} (quartiles {low:.2f}–{high:.2f})" if name != "supcon" else ""
        print(f"{name}: {statistics.median(rates):.1f} steps/s{ratio}")
    print(f"{len(turns)} turns; target {TARGET}")


class Side:
    """A run that is begun, whose loop goes on by some steps at a time."""

    def __init__(self, experiment: Experiment, folder: str) -> None:
        task = start(prepare(experiment.resolve(), Cluster()))
        writer = RunWriter.create(folder, f"{experiment.loss}-{experiment.augment}", describe(task), total=sys.maxsize)
        self.loop = Session(task, lambda: False, writer.__enter__()).loop
        self.done = 0

    def rate(self, steps: int) -> float:
        """Steps a second over at least that many."""
        began, first = time.perf_counter(), self.done
        for reached, _ in self.loop.run(first, sys.maxsize):
            self.done = reached
            if reached - first >= steps:
                break
        return (self.done - first) / (time.perf_counter() - began)


if __name__ == "__main__":
    main()
