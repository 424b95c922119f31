"""Kill runs with SIGKILL again and again, resume them, and compare them with runs that were never interrupted.

    python tests/benchmarks/killed_runs.py --kills 20 [--what sc --what sweep --what tui] [--overlap]

Every objective of the table is killed by itself; then a sweep of two workers, with its workers and alone; then the
terminal interface, with the training that it started and alone. A run is killed at a random moment, or, by itself,
inside a random write to its folder (between the writing, the syncing and the renaming of a file), until it ends. After
every kill its metrics must be the first lines of the uninterrupted run's, without a line doubled or missing; at its end
metrics and weights, and of runs by themselves the event files, must be the same bit for bit, timings aside. Linux only:
the runs of objectives are forked from one process that has imported TensorFlow.
"""

import argparse
import contextlib
import hashlib
import io
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import zipfile
from collections import Counter
from itertools import zip_longest
from pathlib import Path

import numpy as np

from simplexlab import objectives

TIMINGS = ("seconds",)
RUNS = {
    "ce": {"loss": "ce", "encoder": "resnet-small", "width": 2, "augment": True},
    "ce-fix": {"loss": "ce-fix", "encoder": "mlp", "width": 2, "precision": "float64"},
    "sc": {"loss": "sc", "encoder": "resnet-small", "width": 2, "augment": True, "checkpoint_every": 7},
}
# Of the others of the table, a small run of each.
OTHERS = {"encoder": "mlp", "width": 2}
# The interface without a terminal, in which the run `run` is begun or gone on with, until it has finished.
INTERFACE = """
import asyncio, sys
from pathlib import Path
from simplexlab.runs import read_run
from simplexlab.tui.app import SimplexLab

async def follow(folder):
    app = SimplexLab(folder)
    async with app.run_test():
        if read_run(folder / "run").status.state != "finished":
            app.launcher.submit(["train", *sys.argv[2:], "--name", "run", "--run-dir", str(folder), "--resume"])
        while read_run(folder / "run").status.state != "finished":
            await asyncio.sleep(0.1)

asyncio.run(follow(Path(sys.argv[1])))
"""
COMMON = {"corrupt": 0.2, "batch_size": 12, "iterations": 120, "evaluate_every": 5, "devices": "cpu"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20, help="kills of each loss")
    kinds = [*objectives.names(), "sweep", "tui"]
    parser.add_argument("--what", choices=kinds, action="append", help="this only; may be repeated")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--overlap", action="store_true", help="evaluate beside the steps, but in the reference")
    arguments = parser.parse_args()
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import sklearn.linear_model  # noqa: F401
    import tensorflow  # noqa: F401

    draws = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as folder:
        dataset = write_images(Path(folder, "images.npz"))
        for what in arguments.what or kinds:
            if what in ("sweep", "tui"):
                kills = kill_parents(what, Path(folder, what), dataset, arguments.kills, draws)
            else:
                chosen = {"loss": what, **OTHERS, **RUNS.get(what, {})}
                options = {**COMMON, **chosen, "dataset": str(dataset), "run_dir": f"{folder}/{what}"}
                options["overlap"] = arguments.overlap
                kills = kill_and_compare(options, arguments.kills, draws)
            print(
                f"{what}: equal to the uninterrupted run after {sum(kills.values())} kills: {dict(kills)}", flush=True
            )


def write_images(path: Path) -> Path:
    """60 training and 30 test images of three classes."""
    generator = np.random.default_rng(0)
    labels = np.arange(90) % 3
    images = generator.integers(0, 256, size=(3, 8, 8))[labels] + generator.normal(0, 60, size=(90, 8, 8))
    images = np.clip(images, 0, 255).astype(np.uint8)
    np.savez(path, x_train=images[:60], y_train=labels[:60], x_test=images[60:], y_test=labels[60:])
    return path


def kill_and_compare(options: dict, kills: int, draws: random.Random) -> Counter:
    """Kill runs of these options `kills` times in all; return how often where."""
    reference = Path(options["run_dir"], "reference")
    began = time.monotonic()
    pid = fork({**options, "name": "reference", "overlap": False})
    if os.waitpid(pid, 0)[1]:
        sys.exit("the uninterrupted run failed")
    duration = time.monotonic() - began
    wanted, weights, events = metrics(reference), weights_of(reference), events_of(reference)
    done: Counter = Counter()
    while done.total() < kills:
        killed = Path(options["run_dir"], "killed")
        shutil.rmtree(killed, ignore_errors=True)
        while True:
            remaining = done.total() < kills
            inside_write = draws.random() < 0.5
            # A run makes about nine such calls an evaluation.
            call = draws.randrange(1, 60) if inside_write and remaining else None
            pid = fork({**options, "name": "killed"}, kill_at_call=call)
            if remaining and not inside_write:
                time.sleep(draws.uniform(0, duration))
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            status = os.waitpid(pid, 0)[1]
            lines = metrics(killed)
            if (difference := first_difference(lines, wanted)) is not None:
                sys.exit(f"after {dict(done)} the metrics differ from the uninterrupted run's: {difference}")
            if status == 0:
                break
            if not os.WIFSIGNALED(status):
                sys.exit("a resumed run failed")
            done["inside a write" if inside_write else "at a random moment"] += 1
        if lines != wanted or weights_of(killed) != weights or events_of(killed) != events:
            sys.exit("the resumed run differs from the uninterrupted one")
    return done


def kill_parents(what: str, folder: Path, dataset: Path, kills: int, draws: random.Random) -> Counter:
    """Kill a sweep or the interface `kills` times, with what it started or alone; return how often."""
    began = time.monotonic()
    if start_parent(what, folder / "reference", dataset).wait():
        sys.exit(f"the uninterrupted {what} failed")
    duration = time.monotonic() - began
    wanted = {path.parent.name: metrics(path.parent) for path in (folder / "reference").glob("*/metrics.jsonl")}
    done: Counter = Counter()
    while done.total() < kills:
        killed = folder / "killed"
        shutil.rmtree(killed, ignore_errors=True)
        while True:
            process = start_parent(what, killed, dataset)
            if done.total() < kills:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(draws.uniform(0.3, 1) * duration)
            else:
                process.wait()
            alone = draws.random() < 0.5
            children = descendants(process.pid)
            ended = process.poll() is not None
            process.kill()
            for child in children if not alone else ():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
            code = process.wait()
            for child in children:  # those that were left alone go on to the end of their run, or end with their parent
                while is_alive(child):
                    time.sleep(0.1)
            for name, lines in wanted.items():
                if (difference := first_difference(metrics(killed / name), lines)) is not None:
                    sys.exit(f"after {dict(done)} the metrics of {name} differ: {difference}")
            if ended and code == 0:
                break
            if ended and code != -signal.SIGKILL:
                sys.exit(f"the {what} failed")
            done["alone" if alone else f"with {len(children)} children"] += 1
        for name, lines in wanted.items():
            if metrics(killed / name) != lines or weights_of(killed / name) != weights_of(folder / "reference" / name):
                sys.exit(f"{name} differs from the uninterrupted run")
    return done


def start_parent(what: str, folder: Path, dataset: Path) -> subprocess.Popen:
    """Start a sweep of two runs side by side, or the interface in which a run is begun; or go on."""
    options = {key: value for key, value in COMMON.items() if key not in ("corrupt", "devices")}
    options |= {"dataset": str(dataset), "encoder": "mlp", "width": 2}
    if what == "sweep":
        words = [f"--set={name.replace('_', '-')}={value}" for name, value in options.items()]
        grid = ["--losses", "ce,sc", "--corruptions", "0.2", "--seeds", "1", "--jobs", "2", "--devices", "cpu"]
        command = ["-m", "simplexlab", "sweep", *grid, *words, "--run-dir", str(folder)]
    else:
        words = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
        command = ["-c", INTERFACE, str(folder), *words, "--loss", "ce", "--corrupt", "0.2", "--devices", "cpu"]
    return subprocess.Popen([sys.executable, *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and that nobody has asked about does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def descendants(pid: int) -> list[int]:
    """The processes that a process has started, and those that they have."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if int(path.read_text().rpartition(")")[2].split()[1]) == pid:
                child = int(path.parent.name)
                found += [child, *descendants(child)]
    return found


def fork(options: dict, kill_at_call: int | None = None) -> int:
    """Train, or go on, in a process of its own; return its id."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        from simplexlab.config import Experiment
        from simplexlab.training.commands import train

        if kill_at_call is not None:
            _kill_inside_a_write(kill_at_call)
        train(Experiment(**options), resume=True)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def _kill_inside_a_write(call: int) -> None:
    """Kill this process before or after its `call`-th call that syncs, renames, removes or appends."""
    calls = 0

    def counted(function):
        def wrapped(*words, **options):
            nonlocal calls
            calls += 1
            if calls == call:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*words, **options)

        return wrapped

    for name in ("fsync", "replace", "unlink", "write"):
        setattr(os, name, counted(getattr(os, name)))


def first_difference(lines: list[dict], wanted: list[dict]) -> str | None:
    """Where `lines` are not the first of the wanted lines, or None."""
    for line, other in zip_longest(lines, wanted[: len(lines)], fillvalue={}):
        if line != other:
            keys = [key for key in {**line, **other} if line.get(key) != other.get(key)]
            differing = {key: (line.get(key), other.get(key)) for key in keys}
            return f"iterations {line.get('iteration')} and {other.get('iteration')}: {differing}"
    return None


def metrics(folder: Path) -> list[dict]:
    """The whole lines of the metrics, without timings."""
    path = folder / "metrics.jsonl"
    lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
    return [{key: value for key, value in json.loads(line).items() if key not in TIMINGS} for line in lines]


def weights_of(folder: Path) -> str:
    """SHA-256 of all arrays of `model.keras`."""
    import h5py

    digest = hashlib.sha256()
    with zipfile.ZipFile(folder / "model.keras") as archive:
        content = io.BytesIO(archive.read("model.weights.h5"))
    with h5py.File(content) as file:
        file.visititems(lambda _, item: digest.update(item[()].tobytes()) if isinstance(item, h5py.Dataset) else None)
    return digest.hexdigest()


def events_of(folder: Path) -> list[tuple]:
    """(step, tag, value) of every event."""
    import tensorflow as tf
    from tensorboard.compat.proto.event_pb2 import Event

    found = []
    for path in folder.glob("tb/*/events.*"):
        for record in tf.compat.v1.io.tf_record_iterator(str(path)):
            event = Event.FromString(record)
            values = (item for item in event.summary.value if item.tag not in TIMINGS)
            found += [(event.step, item.tag, str(item.tensor)) for item in values]
    return sorted(found)


if __name__ == "__main__":
    main()
