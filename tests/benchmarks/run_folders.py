"""Reading and following run folders: `python tests/benchmarks/run_folders.py`.

Lists 5,000 finished runs; makes the table of a sweep of 1,000 (`pictures.py` draws such); opens a run with 100,000
metrics lines of the length that training writes (about 2 kB), follows 20 live runs, and times what a writer adds to an
evaluation.
"""

import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from simplexlab.config import Experiment
from simplexlab.runs import MetricsFollower, RunsFollower, RunWriter, list_runs, summarise
from simplexlab.runs.record import final_result
from simplexlab.sweep import Grid, SweepFolder, rows, runs_of

QUANTILES = ("mean", "std", "minimum", "q05", "q25", "q50", "q75", "q95", "maximum")
NUMBERS = (
    *("seconds", "learning_rate", "batch_loss", "loss", "bound", "excess", "train_error", "test_error", "nc1", "nc2"),
    *("nc3", "nc4", "alignment", "uniformity", "train_error_head", "test_error_head", "train_error_class_means"),
    *("test_error_class_means", "free_bound", "gap_architecture", "gap_optimisation", "imbalance"),
)


def record(iteration: int) -> dict:
    """A metrics line as long as those of training."""
    similarities = ("class_mean_similarity", "weight_similarity", "within_class_similarity")
    return (
        {"iteration": iteration, "num_classes": 10, "dimension": 64, "nonnegative": True, "norms": {"mean": 1.0}}
        | {name: random.random() for name in NUMBERS}
        | {name: {quantile: random.random() for quantile in QUANTILES} for name in similarities}
    )


def result(experiment: Experiment) -> dict:
    """A result as long as those of training."""
    time_to_fit = round(200 + 500 * experiment.corrupt + random.random() * 50)
    return final_result(
        record(800),
        **{name: getattr(experiment, name) for name in ("loss", "dataset", "corrupt", "seed", "tolerance")},
        run=experiment.name,
        state="finished",
        iterations=800,
        time_to_fit=time_to_fit,
        fit_lower=time_to_fit - 10,
        fit_policy=experiment.policy,
        seconds=1.0,
    )


def milliseconds(function: Callable, repeats: int = 5) -> str:
    """Median and range of the time of a call by the clock, and the median of its processor time."""
    times, processor = [], []
    for _ in range(repeats):
        began, processor_began = time.perf_counter(), time.process_time()
        function()
        times.append(1000 * (time.perf_counter() - began))
        processor.append(1000 * (time.process_time() - processor_began))
    spread = f"{statistics.median(times):.1f} ms ({min(times):.1f}–{max(times):.1f}, n={repeats})"
    return f"{spread}, processor {statistics.median(processor):.1f} ms"


def write(folder: Path, experiment: Experiment) -> None:
    """Write a finished run."""
    config = {"kind": "train", "experiment": experiment.to_dict(), "command": experiment.command_line()}
    with RunWriter.create(folder, experiment.name, config, total=800) as writer:
        writer.log_metrics(record(800))
        writer.save_result(result(experiment))
        writer.set_status("finished", 800)


def list_many(folder: Path) -> None:
    """Time a listing of 5,000 finished runs."""
    for number in range(5000):
        write(folder, Experiment(name=f"run-{number}", seed=number).resolve())
    print("list 5,000 runs:", milliseconds(lambda: [summarise(run) for run in list_runs(folder, brief=True)]))
    words = [sys.executable, "-m", "simplexlab", "runs", "--run-dir", str(folder)]
    command = milliseconds(lambda: subprocess.run(words, check=True, capture_output=True))
    print("simplexlab runs, 5,000 of them:", command)
    follower = RunsFollower(folder)
    follower.poll()
    print("poll 5,000 runs, nothing new:", milliseconds(follower.poll))


def list_sweep(folder: Path) -> None:
    """Time the table of a sweep of 1,000 finished runs."""
    grid = Grid(("ce", "sc"), tuple(level / 100 for level in range(50)), tuple(range(10)))
    for experiment in SweepFolder.write(folder, grid.experiments(), "").experiments.values():
        write(folder, experiment)
    print("table of a sweep of 1,000 runs:", milliseconds(lambda: rows(runs_of(SweepFolder(folder)))))


def open_long(folder: Path) -> None:
    """Time the opening of a run with 100,000 metrics lines, whole and thinned."""
    folder.mkdir()
    lines = [json.dumps(record(iteration)).encode() + b"\n" for iteration in range(1000)]
    with open(folder / "metrics.jsonl", "wb") as file:
        for _ in range(100):
            file.writelines(lines)
    size = (folder / "metrics.jsonl").stat().st_size / 1e6
    for most in (2000, None):
        print(
            f"open 100,000 lines ({size:.0f} MB), most={most}:",
            milliseconds(lambda most=most: MetricsFollower(folder, most).poll(), repeats=3),
        )
    follower = MetricsFollower(folder, 2000)
    follower.poll()

    def one_more() -> None:
        with open(folder / "metrics.jsonl", "ab") as file:
            file.write(lines[0])
        follower.poll()

    print("one line more:", milliseconds(one_more, repeats=50))
    with open(folder / "metrics.jsonl", "wb") as file:
        file.writelines(json.dumps({"iteration": n, "loss": 1 / (n + 1)}).encode() + b"\n" for n in range(100_000))
    print("open 100,000 short lines, all kept:", milliseconds(lambda: MetricsFollower(folder).poll(), repeats=3))


def follow_live(folder: Path) -> None:
    """Share of one core that following 20 live runs takes, each polled and evaluated once a second."""
    writers = [RunWriter.create(folder, f"run-{number}", {}, total=100) for number in range(20)]
    runs = RunsFollower(folder)
    followers = [MetricsFollower(writer.path, 2000) for writer in writers]
    reading = writing = 0.0
    for second in range(10):
        began = time.process_time()
        for writer in writers:
            writer.log_metrics(record(second))
            writer.set_status("running", second)
        written = time.process_time()
        runs.poll()
        for follower in followers:
            follower.poll()
        writing += written - began
        reading += time.process_time() - written
    print(f"follow 20 live runs, one evaluation and one poll a second: {reading / 10:.2%} of a core")
    print(f"write them: {writing / 10:.2%} of a core")
    print("log_metrics and fsync:", milliseconds(lambda: writers[0].log_metrics(record(1)), repeats=50))
    print("set_status:", milliseconds(lambda: writers[0].set_status("running", 1), repeats=50))
    for writer in writers:
        writer.close()


if __name__ == "__main__":
    random.seed(0)
    with tempfile.TemporaryDirectory() as temporary:
        list_many(Path(temporary, "many"))
        list_sweep(Path(temporary, "sweep"))
        open_long(Path(temporary, "long"))
        follow_live(Path(temporary, "live"))
