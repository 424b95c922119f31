"""Kill runs with SIGKILL again and again, resume them, and compare them with runs that were never interrupted.

    python tests/benchmarks/killed_runs.py --kills 100 [--what sc --what sweep --what tui] [--minutes 40] [--overlap]

Every objective of the table is killed by itself; then a sweep of two workers, with its workers and alone; then the
terminal interface, with the training that it started and alone. Each is the command itself, `simplexlab train --resume`
or `sweep`, in a process of its own. A run is killed at a random moment, or, by itself, inside a random write to its
folder (between the writing, the syncing and the renaming of a file), until it ends. After every kill its metrics must
be the first lines of the uninterrupted run's, without a line doubled or missing; at its end metrics, weights and event
files must be the same bit for bit, timings aside.

Linux only: processes are forked from one that has imported TensorFlow and used nothing of it, those that they start
too; the first kills of each kind are of processes that begin with nothing.
"""

import argparse
import contextlib
import functools
import gc
import hashlib
import io
import json
import multiprocessing
import os
import random
import runpy
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import zipfile
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from itertools import zip_longest
from pathlib import Path

import numpy as np

from simplexlab import objectives

TIMINGS = ("seconds",)
COMMON = {"corrupt": 0.2, "batch_size": 12, "iterations": 60, "evaluate_every": 5, "devices": "cpu"}
RUNS = {
    "ce": {"encoder": "resnet-small", "augment": True},
    "ce-fix": {"precision": "float64"},
    "sc": {"encoder": "resnet-small", "augment": True, "checkpoint_every": 7},
}
# Of the others of the table, a small run of each.
OTHERS = {"encoder": "mlp", "width": 2}
PARENTS = ("sweep", "tui")
ROUND = 10  # kills of one kind before it is the next one's turn
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


class Difference(Exception):
    """What a killed run has and the uninterrupted one has not."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20, help="kills of each loss, of the sweep and of the interface")
    parser.add_argument("--fresh", type=int, default=1, help="so many of them of processes that begin with nothing")
    kinds = [*objectives.names(), *PARENTS]
    parser.add_argument("--what", choices=kinds, action="append", help="this only; may be repeated")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="kinds side by side")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no further round after them")
    parser.add_argument("--overlap", action="store_true", help="evaluate beside the steps, but in the reference")
    arguments = parser.parse_args()
    kinds = arguments.what or kinds
    end = time.monotonic() + 60 * arguments.minutes
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import sklearn.linear_model  # noqa: F401
    import tensorflow

    import simplexlab.cli.train
    import simplexlab.training.commands
    import simplexlab.training.progress
    import simplexlab.tui.app  # noqa: F401

    tensorflow.get_logger().setLevel("ERROR")
    gc.freeze()
    done = {kind: Counter() for kind in kinds}
    with (
        tempfile.TemporaryDirectory() as folder,
        ProcessPoolExecutor(arguments.jobs, multiprocessing.get_context("fork")) as pool,
    ):
        dataset = write_images(Path(folder, "images.npz"))
        places = {kind: Path(folder, kind) for kind in kinds}
        durations = dict(zip(kinds, pool.map(reference, kinds, places.values(), [dataset] * len(kinds)), strict=True))
        for turn in range(-(-arguments.kills // ROUND)):
            wanted = min(ROUND, arguments.kills - turn * ROUND)
            fresh = max(0, min(wanted, arguments.fresh - turn * ROUND))
            calls = [
                functools.partial(
                    kills, kind, places[kind], dataset, durations[kind], wanted, fresh,
                    f"{arguments.seed} {kind} {turn}", arguments.overlap, end,
                )
                for kind in kinds
            ]  # fmt: skip
            for kind, found in zip(kinds, pool.map(_call, calls), strict=True):
                done[kind].update(found)
                print(f"{kind}: {found.total()} kills, {done[kind].total()} in all", flush=True)
            if time.monotonic() > end:
                break
    for kind, found in done.items():
        print(f"{kind}: equal to the uninterrupted run after {found.total()} kills: {dict(found)}")
    total = sum(done.values(), Counter())
    print(f"{total.total()} kills, seed {arguments.seed}, no line lost: {dict(total)}")


def _call(function: Callable[[], Counter]) -> Counter:
    return function()


def write_images(path: Path) -> Path:
    """60 training and 30 test images of three classes."""
    generator = np.random.default_rng(0)
    labels = np.arange(90) % 3
    images = generator.integers(0, 256, size=(3, 8, 8))[labels] + generator.normal(0, 60, size=(90, 8, 8))
    images = np.clip(images, 0, 255).astype(np.uint8)
    np.savez(path, x_train=images[:60], y_train=labels[:60], x_test=images[60:], y_test=labels[60:])
    return path


def words_of(kind: str, folder: Path, dataset: Path) -> list[str]:
    """The words of a command that makes the runs of a kind in `folder`, or goes on with them."""
    options = {**COMMON, "dataset": dataset, **OTHERS, **RUNS.get(kind, {})}
    if kind == "sweep":
        del options["corrupt"], options["devices"]
        grid = ["--losses", "ce,sc", "--corruptions", "0.2", "--seeds", "1", "--jobs", "2", "--devices", "cpu"]
        chosen = [f"--set={name.replace('_', '-')}={value}" for name, value in options.items()]
        return ["sweep", *grid, *chosen, "--run-dir", str(folder)]
    flags = {f"--{name.replace('_', '-')}": value for name, value in options.items()}
    chosen = [flag if value is True else f"{flag}={value}" for flag, value in flags.items()]
    if kind == "tui":
        return [str(folder), *chosen, "--loss=ce"]
    return ["train", *chosen, f"--loss={kind}", "--resume", "--name=run", f"--run-dir={folder}"]


def reference(kind: str, place: Path, dataset: Path) -> float:
    """Make the uninterrupted runs of a kind; return how long they took."""
    began = time.monotonic()
    code = os.waitpid(begin(kind, [*words_of(kind, place / "reference", dataset)], place), 0)[1]
    if code:
        raise RuntimeError(f"the uninterrupted {kind} failed: {(place / 'log').read_text()[-2000:]}")
    return time.monotonic() - began


def kills(
    kind: str,
    place: Path,
    dataset: Path,
    duration: float,
    wanted: int,
    fresh: int,
    seed: str,
    overlap: bool,
    end: float,
) -> Counter:
    """Kill the runs of a kind `wanted` times in all, the first `fresh` in processes that begin with nothing.

    Args:
        kind: a loss, sweep or tui.
        place: the folder with its uninterrupted runs.
        dataset: what is trained on.
        duration: of the uninterrupted runs, seconds.
        wanted: kills.
        fresh: so many of them in processes that begin with nothing.
        seed: of the moments.
        overlap: evaluate beside the steps.
        end: after this time nothing is killed any more.

    Returns:
        How often where.

    Raises:
        Difference: a line was lost, doubled or another one, or at the end weights or event files differ.
    """
    draws = random.Random(seed)
    killed, uninterrupted = place / "killed", place / "reference"
    words = words_of(kind, killed, dataset) + (["--overlap"] if overlap and kind not in PARENTS else [])
    lines = {path.parent.name: metrics(path.parent) for path in uninterrupted.glob("*/metrics.jsonl")}
    done: Counter = Counter()
    while done.total() < wanted and time.monotonic() < end:
        shutil.rmtree(killed, ignore_errors=True)
        while True:
            remaining = done.total() < wanted and time.monotonic() < end
            is_fresh = remaining and done.total() < fresh
            inside_write = draws.random() < 0.5 and kind not in PARENTS and not is_fresh
            # A run makes about nine such calls an evaluation.
            call = draws.randrange(1, 60) if inside_write and remaining else None
            pid = begin(kind, words, place, call, is_fresh)
            where = "inside a write"
            if remaining and not inside_write:
                wait(pid, draws.uniform(0, duration + 5 * is_fresh))
                where = strike(pid, alone=draws.random() < 0.5) if kind in PARENTS else strike(pid)
            status = os.waitpid(pid, 0)[1]
            for name, whole in lines.items():
                if (difference := first_difference(metrics(killed / name), whole)) is not None:
                    raise Difference(f"{kind}, after {dict(done)}, the metrics of {name}: {difference}")
            if status == 0:
                break
            if not os.WIFSIGNALED(status) or not remaining:
                told = (place / "log").read_text()[-2000:]
                raise Difference(f"{kind} that was gone on with failed with status {status} after {dict(done)}: {told}")
            done[where + (", a fresh process" if is_fresh else "")] += 1
        for name, whole in lines.items():
            own, other = killed / name, uninterrupted / name
            if metrics(own) != whole or weights_of(own) != weights_of(other) or events_of(own) != events_of(other):
                raise Difference(f"{kind}: {name} differs at its end from the uninterrupted run")
    return done


def wait(pid: int, seconds: float) -> None:
    """Wait so long, or until the process has ended, without asking how."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and is_alive(pid):
        time.sleep(0.02)


def strike(pid: int, alone: bool | None = None) -> str:
    """Kill a process, and unless it is to die alone what it started; wait for the latter; say what was done.

    Args:
        pid: the process.
        alone: what it started is left to end by itself; None where it starts nothing.
    """
    children = [] if alone is None else descendants(pid)
    os.kill(pid, signal.SIGKILL)
    for child in children if not alone else ():
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
    while any(is_alive(child) for child in children):
        time.sleep(0.1)
    return "at a random moment" if alone is None else "alone" if alone else f"with {len(children)} children"


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


def begin(kind: str, words: list[str], place: Path, kill_at_call: int | None = None, is_fresh: bool = False) -> int:
    """Begin a command, or the interface, whose output goes to the file `log` in `place`; return the id of its process.

    Args:
        kind: a loss, sweep or tui.
        words: as of `words_of`.
        place: the folder of the log, which is made.
        kill_at_call: the process kills itself at this one of its calls that write.
        is_fresh: it is another program; else it is forked.
    """
    place.mkdir(exist_ok=True)
    command = ["-c", INTERFACE] if kind == "tui" else ["-m", "simplexlab"]
    with open(place / "log", "wb") as log:
        if is_fresh:
            outputs = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log}
            process = subprocess.Popen([sys.executable, *command, *words], start_new_session=True, **outputs)
            process.returncode = 0  # it is waited for by its id
            return process.pid
        pid = os.fork()
        if pid:
            return pid
        with open(os.devnull, "rb") as nothing:
            os.dup2(nothing.fileno(), 0)
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    os.setsid()
    subprocess.Popen = Forked
    if kill_at_call is not None:
        _kill_inside_a_write(kill_at_call)
    become(command[0], command[1], words)


def become(how: str, what: str, words: list[str]) -> None:
    """End this process as `python -c` or `python -m` would do with these words, without its start."""
    code = 1
    try:
        os.closerange(3, 1000)
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        sys.stdin = os.fdopen(0, closefd=False)
        sys.stdout = os.fdopen(1, "w", closefd=False)
        sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)
        sys.argv[:] = [how, *words]
        if how == "-c":
            exec(compile(what, "<code>", "exec"), {"__name__": "__main__"})
        else:
            runpy.run_module(what, run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


class Forked(subprocess.Popen):
    """Begins `python -m MODULE` as a fork of this process in place of another program; all else is Popen's."""

    def __init__(self, command: list[str], **options):
        if command[:2] == [sys.executable, "-m"]:
            environment = dict(os.environ if options.get("env") is None else options["env"])

            def instead() -> None:
                os.environ.clear()
                os.environ.update(environment)
                become(*command[1:3], command[3:])

            options["preexec_fn"] = instead
        super().__init__(command, **options)


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
