"""Toys and figures from prompt to answer, and how near to their bounds the toys end over many seeds.

python tests/benchmarks/toys.py
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np

from simplexlab import theory
from simplexlab.toy import Toy, minimise_all_batches, run_toy
from simplexlab.toy.configurations import balanced_labels, first_configuration

RUNS = 3
SEEDS = 20
COMMANDS = ("toy sc --all-batches", "toy sc", "toy ce", "figure 1", "figure 3", "figure 4", "figure 5", "figure 6")


def time_command(words: str, folder: str) -> None:
    """Print the time of a command from prompt to answer, by the clock and in processor time."""
    executable = Path(sys.executable).with_name("simplexlab")
    clock, processor = [], []
    for _ in range(RUNS):
        began, before = time.perf_counter(), os.times()
        subprocess.run([executable, *words.split()], cwd=folder, check=True, capture_output=True)
        after = os.times()
        clock.append(time.perf_counter() - began)
        processor.append(sum(after[2:4]) - sum(before[2:4]))
    print(
        f"simplexlab {words}: {median(clock):.1f} s ({min(clock):.1f}–{max(clock):.1f}) by the clock, "
        f"{median(processor):.1f} s processor time, {RUNS} runs"
    )


def excess_over_all_batches() -> np.ndarray:
    """|empirical − bound| of Fig. 6 over `SEEDS` random starts."""
    toys = [Toy(loss="sc", all_batches=True, seed=seed).resolve() for seed in range(SEEDS)]
    objective = theory.AllBatches(balanced_labels(3, 4), 9)
    bound = theory.sc_bound(3, 9, radius=1.0, samples_per_class=4)
    losses = [minimise_all_batches(objective, first_configuration(toy).points)[1] for toy in toys]
    return np.abs(np.array(losses) - bound)


def main() -> None:
    """Print all figures."""
    with tempfile.TemporaryDirectory() as folder:
        for words in COMMANDS:
            time_command(words, folder)
        print(f"toy sc --all-batches: |excess| at most {excess_over_all_batches().max():.1e} over {SEEDS} seeds")
        for loss in ("sc", "ce"):
            toys = [Toy(loss=loss, seed=seed, evaluate_every=500, run_dir=folder) for seed in range(SEEDS)]
            excesses = [run_toy(toy)["excess"] for toy in toys]
            print(f"toy {loss}: excess {min(excesses):.1e} to {max(excesses):.1e} over {SEEDS} seeds")


if __name__ == "__main__":
    main()
