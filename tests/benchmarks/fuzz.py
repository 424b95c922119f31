"""Many bad command lines, damaged folders, arrays and images, with a table of how the commands ended.

    python tests/benchmarks/fuzz.py --cases 2000

Every case is a command in a process of its own, forked from one that has imported TensorFlow: a bad command line, or a
command that reads or writes a run folder, an archive of arrays or an image folder that was damaged: a value of another
type, a key dropped, a file cut, emptied, removed, or replaced by a link, a pipe, a socket, a folder or a terabyte of
nothing, a malformed array, a stranger's folder among the runs, a run that is a link. Or a command that reads, whose
calls of the operating system fail or whose working directory is gone. A fault is a traceback, a hang, a write outside
the folder, an exit code that is none of 0, 1, 2 and 130 or not the one of the case, wrong usage that is not told in one
line, or output that a terminal would obey. The exit code is 1 where there is one.
"""

import argparse
import collections
import concurrent.futures
import multiprocessing
import os
import sys
import tempfile
import time
import warnings
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[1] / "fuzz"))
import commands

from simplexlab.config import Experiment

DRAWING = tuple(words for words in commands.READERS if words[0] in ("figure", "report"))
LISTING = tuple(words for words in commands.READERS if words not in DRAWING)
TRAIN_ARRAYS = {"data.npz": (("train", "--dataset", "data.npz", *commands.TRAINING),)}
TRAIN_IMAGES = (("train", "--dataset", "images", *commands.TRAINING),)
IMPORT_ARRAYS = {"data.npz": commands.IMPORTS}
# Kinds of cases with their shares of all, in percent: those that draw or train take seconds.
KINDS = {
    "command line": (32, commands.command_lines().map(commands.Case)),
    "damaged folder, listed": (18, commands.folder_cases(LISTING)),
    "damaged folder, drawn": (5, commands.folder_cases(DRAWING)),
    "damaged folder, gone on with": (
        9,
        commands.folder_cases(commands.WRITERS[:2], (*commands.DAMAGED_RUNS, "halted", "trained"))
        | commands.folder_cases(commands.WRITERS[2:]),
    ),
    "damaged arrays": (13, commands.array_cases()),
    "damaged arrays, trained or imported": (
        4,
        commands.array_cases(TRAIN_ARRAYS) | commands.array_cases(IMPORT_ARRAYS),
    ),
    "damaged images": (9, commands.image_cases()),
    "damaged images, trained": (2, commands.image_cases(TRAIN_IMAGES)),
    "failing calls, no working directory": (8, commands.unlucky_cases()),
}
worlds: list[Path] = []  # of this worker


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="cases side by side")
    parser.add_argument("--kind", choices=KINDS, action="append", help="this kind only; may be repeated")
    arguments = parser.parse_args()
    began = time.monotonic()
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    warnings.simplefilter("ignore")
    kinds = arguments.kind or list(KINDS)
    total = sum(KINDS[kind][0] for kind in kinds)
    cases = [
        (kind, case)
        for index, kind in enumerate(kinds)
        for case in drawn(KINDS[kind][1], round(arguments.cases * KINDS[kind][0] / total), arguments.seed + index)
    ]
    import matplotlib.pyplot  # noqa: F401
    import tensorflow  # noqa: F401
    import tensorflow_datasets  # noqa: F401

    import simplexlab.figures
    import simplexlab.training.commands
    import simplexlab.training.progress  # noqa: F401

    table: collections.Counter = collections.Counter()
    seconds: collections.Counter = collections.Counter()
    with (
        tempfile.TemporaryDirectory() as folder,
        concurrent.futures.ProcessPoolExecutor(
            arguments.jobs, multiprocessing.get_context("fork"), settle_down, (folder,)
        ) as pool,
    ):
        for kind, case, outcome, taken in pool.map(one, cases):
            table.update((kind, end) for end in outcome.faults or (f"exit code {outcome.code}",))
            seconds[kind] += taken
            if outcome.faults:
                print(outcome.faults, case, outcome.err[-300:], file=sys.stderr, flush=True)
    for (kind, end), count in sorted(table.items()):
        print(f"{count:6d}  {kind}: {end}")
    faults = sum(count for (_, end), count in table.items() if not end.startswith("exit code"))
    print(", ".join(f"{kind} {taken:.0f} s" for kind, taken in seconds.items()))
    print(f"{faults} faults in {len(cases)} cases, {time.monotonic() - began:.0f} s with {arguments.jobs} jobs")
    return 1 if faults else 0


def drawn(strategy: st.SearchStrategy, number: int, number_of_seed: int) -> list[commands.Case]:
    """So many cases of a strategy."""
    found = []
    limits = settings(
        max_examples=number,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    seed(number_of_seed)(limits(given(case=strategy)(lambda case: found.append(case))))()
    return found[:number]


def settle_down(folder: str) -> None:
    """Make the world of a worker."""
    world = commands.make_world(Path(folder, str(os.getpid())))
    pid = os.fork()
    if not pid:
        code = 1
        try:
            train_two(world)
            code = 0
        finally:
            os._exit(code)
    if os.waitpid(pid, 0)[1]:
        raise RuntimeError("the runs that are damaged could not be trained")
    worlds.append(world)


def train_two(world: Path) -> None:
    """Add a finished run with its model, and one that was stopped and has checkpoints."""
    import keras

    from simplexlab.training.commands import train

    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
            self.model.stop_training = epoch >= 1

    os.chdir(world)
    options = {"dataset": "data.npz", "encoder": "mlp", "width": 1, "batch_size": 4, "run_dir": "../pristine/runs"}
    options |= {"iterations": 20, "evaluate_every": 10, "checkpoint_every": 10, "devices": "cpu"}
    train(Experiment(loss="ce", name="trained", **options))
    train(Experiment(loss="sc", name="halted", **options), [Stop()])


def one(numbered: tuple[str, commands.Case]) -> tuple[str, commands.Case, commands.Outcome, float]:
    """Do one case of a kind, and say how long it took."""
    kind, case = numbered
    began = time.monotonic()
    outcome = commands.perform_apart(case, worlds[0])
    return kind, case, outcome, time.monotonic() - began


if __name__ == "__main__":
    sys.exit(main())
