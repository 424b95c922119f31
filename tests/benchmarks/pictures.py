"""Figures 2, 7 and 8, the tables and the report of 1,000 runs, from their folders to the file.

python tests/benchmarks/pictures.py [--keep FOLDER]
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from simplexlab.runs import RunWriter
from simplexlab.sweep import Grid, SweepFolder

BUDGET = 4000
QUANTILES = ("q05", "q25", "q50", "q75", "q95")
GRIDS = {
    "990 runs, 30 seeds a point": Grid(
        corruptions=tuple(step / 10 for step in range(11)),
        seeds=tuple(range(30)),
        options={"iterations": (BUDGET,), "evaluate_every": (20,)},
    ),
    "1,728 runs, 144 curves": Grid(
        seeds=(0, 1),
        options={
            "iterations": (BUDGET,),
            "evaluate_every": (20,),
            "width": (4, 8, 16, 32),
            "batch_size": (32, 64, 128),
            "momentum": (0.0, 0.9),
            "weight_decay": (0.0, 1e-4),
        },
    ),
}
COMMANDS = ("figure 2 {}", "figure 8 {}", "figure 8 {} --clock learning-rate", "figure 7 {}", "report {}")


def make(folder: Path, grid: Grid) -> None:
    """Write the run folders of a grid: CE grows linearly, SC faster, and some runs never fit."""
    generator = np.random.default_rng(0)
    for name, experiment in SweepFolder.write(folder, grid.experiments(), "simplexlab sweep").experiments.items():
        exponent, rise = (2.5, 6000) if experiment.loss == "sc" else (1.0, 1200)
        expected = 200 + rise * experiment.corrupt**exponent
        upper = int(np.ceil(expected * np.exp(0.1 * generator.standard_normal()) / 20) * 20)
        fitted = upper <= BUDGET
        similar = {"mean": 0.5} | dict(zip(QUANTILES, np.sort(generator.uniform(0.4, 0.6, 5)).tolist(), strict=True))
        result = {
            "run": name,
            "state": "finished",
            "iterations": min(upper, BUDGET),
            "fit_policy": "head",
            "tolerance": 0.0,
            "train_error": 0.0,
            "dimension": 32,
            "loss": experiment.loss,
            "dataset": experiment.dataset,
            "corrupt": experiment.corrupt,
            "seed": experiment.seed,
            "time_to_fit": upper if fitted else None,
            "fit_lower": upper - 20 if fitted else BUDGET,
            "evaluated_at": min(upper, BUDGET),
            "final_loss": 2.0,
            "bound": 1.5,
            "excess": 0.5,
            "free_bound": 1.3,
            "gap_architecture": 0.2,
            "gap_optimisation": 0.3,
            "test_error": generator.uniform(0.1, 0.3),
            "num_classes": 10,
            "nonnegative": True,
            "norms": {},
            "class_mean_similarity": similar,
            "weight_similarity": None if experiment.loss == "sc" else similar,
            "within_class_similarity": similar,
            "seconds": 60.0,
        }
        config = {"kind": "train", "experiment": experiment.to_dict()}
        with RunWriter.create(folder, name, config, total=BUDGET) as writer:
            writer.save_result(result)
            writer.set_status("finished", min(upper, BUDGET))


def measure(folder: Path, words: str) -> None:
    """Print the time of a command by the clock and in processor time."""
    command = [sys.executable, "-m", "simplexlab", *words.split()]
    before, began = os.times(), time.perf_counter()
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    clock, after = time.perf_counter() - began, os.times()
    print(f"simplexlab {words}: {clock:.1f} s by the clock, {sum(after[2:4]) - sum(before[2:4]):.1f} s processor time")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="write the runs and pictures here and keep them")
    keep = parser.parse_args().keep
    with tempfile.TemporaryDirectory() as temporary:
        for index, (title, grid) in enumerate(GRIDS.items()):
            folder = (keep or Path(temporary)) / f"many-{index}"
            if not (folder / "runs").exists():
                make(folder / "runs", grid)
            print(title)
            for words in COMMANDS:
                measure(folder, words.format("runs"))
