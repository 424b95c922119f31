"""Bad command lines, mutated run folders and damaged files, and what a command may do with them.

A command ends in one of four ways: it did what was asked (exit code 0), it failed (1) or was wrong usage (2), told in
one line on stderr, or it was interrupted (130). It raises nothing, writes nothing outside its folder, and waits for
nobody.
"""

import contextlib
import errno
import io
import json
import multiprocessing
import os
import shutil
import signal
import stat
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import damage
import numpy as np
from hypothesis import strategies as st

from simplexlab.cli import main
from simplexlab.config import Experiment
from simplexlab.runs import RunWriter
from simplexlab.runs.record import QUANTILES, final_result, metrics_line
from simplexlab.sweep import SweepFolder
from simplexlab.text import printable

LONGEST_SECONDS = 60  # of processor time: the machine may be busy with other things
LONGEST_WAIT = 240  # seconds by the clock, for what waits and computes nothing


class TooLong(BaseException):
    """A command took too long; nothing catches it."""


@dataclass(frozen=True)
class Outcome:
    """How a command ended: its exit code, or the exception that left it; what it printed; what is wrong with that."""

    words: tuple[str, ...]
    code: int | None
    out: str
    err: str
    faults: tuple[str, ...]


def run(
    words: list[str],
    folder: Path,
    within: Callable[[], contextlib.AbstractContextManager] = contextlib.nullcontext,
    world: Path | None = None,
) -> Outcome:
    """Run a command in this process, in `folder`, and judge how it ends.

    Args:
        words: the command.
        folder: the working directory.
        within: makes the context in which it runs, once the working directory is that.
        world: the folder beside which nothing may change; by default `folder`.
    """
    out, err = io.StringIO(), io.StringIO()
    faults, code = [], None
    outside = (world or folder).parent / "outside"
    before = snapshot(outside)
    place = os.getcwd()
    os.chdir(folder)
    try:
        with alarm(), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), within():
            code = main(words)
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
    except TooLong:
        faults.append("hang")
    except BaseException as error:
        faults.append(f"traceback: {type(error).__name__}: {error}")
    finally:
        os.chdir(place)
    told = err.getvalue()
    if code not in (None, 0, 1, 2, 130):
        faults.append(f"exit code {code}")
    if code in (1, 2) and not told.strip().splitlines()[-1:][0:1] and not out.getvalue():
        faults.append("nothing is said")
    if code == 2 and told.count("\n") != 1:
        faults.append(f"{told.count(chr(10))} lines for wrong usage")
    if "Traceback" in told:
        faults.append("traceback on stderr")
    if printable(out.getvalue() + told) != out.getvalue() + told:
        faults.append("unprintable output")
    if snapshot(outside) != before:
        faults.append("wrote outside")
    return Outcome(tuple(words), code, out.getvalue(), told, tuple(faults))


@contextlib.contextmanager
def alarm() -> Iterator[None]:
    """Raise `TooLong` in the block after so much processor time, or so long."""

    def ring(*_):
        raise TooLong

    saved = {number: signal.signal(number, ring) for number in (signal.SIGPROF, signal.SIGALRM)}
    signal.setitimer(signal.ITIMER_PROF, LONGEST_SECONDS)
    signal.alarm(LONGEST_WAIT)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.alarm(0)
        for number, handler in saved.items():
            signal.signal(number, handler)


def snapshot(folder: Path) -> dict[str, Any]:
    """What is in a folder, links and pipes as such."""
    found = {}
    for path in sorted(folder.rglob("*")):
        kind = os.lstat(path).st_mode
        is_file = path.is_file() and not path.is_symlink()
        found[str(path.relative_to(folder))] = (kind, path.read_bytes() if is_file else None)
    return found


# -- run folders


def make_world(folder: Path) -> Path:
    """A folder to work in: runs, a sweep with figures' worth of runs, data; beside it `outside`, and `pristine` copies.

    Returns:
        The folder.
    """
    work = folder / "work"
    work.mkdir(parents=True)
    outside = folder / "outside"
    (outside / "geometry").mkdir(parents=True)
    (outside / "geometry" / "00000099.npz").write_bytes(b"precious")
    (outside / "file").write_bytes(b"precious")
    experiments = [
        Experiment(loss=loss, corrupt=corrupt, seed=0, name=f"{loss}-{corrupt:g}", width=2, iterations=20).resolve()
        for loss in ("ce", "sc")
        for corrupt in (0.0, 0.2, 0.4)
    ]
    sweep = SweepFolder.write(work / "sweep", experiments, "simplexlab sweep --seeds 1")
    for name, experiment in sweep.experiments.items():
        write_run(work / "sweep", name, experiment)
    shutil.copytree(work / "sweep", work / "runs", ignore=shutil.ignore_patterns("sweep.json", ".claims"))
    generator = np.random.default_rng(0)
    arrays = {
        "x_train": generator.integers(0, 255, (12, 8, 8), np.uint8),
        "y_train": np.arange(12) % 3,
        "x_test": generator.integers(0, 255, (6, 8, 8), np.uint8),
        "y_test": np.arange(6) % 3,
    }
    np.savez(work / "data.npz", **arrays)
    np.savez(
        work / "points.npz", z=generator.normal(size=(12, 4)), y=np.arange(12) % 3, w=generator.normal(size=(3, 4))
    )
    damage.write_images(work / "images")
    (work / "file").write_text("x")
    (work / "loop").symlink_to(work / "loop")
    os.mkfifo(work / "pipe")
    pristine = folder / "pristine"
    pristine.mkdir()
    for name in ("sweep", "runs", "images"):
        shutil.copytree(work / name, pristine / name)
    for name in damage.ARRAY_KEYS:
        shutil.copyfile(work / name, pristine / name)
    return work


def write_run(run_dir: Path, name: str, experiment: Experiment) -> None:
    """Write a finished run as training does."""
    spread = dict.fromkeys(("mean", "std", "minimum", *QUANTILES, "maximum"), 0.5)
    evaluation = {
        "num_points": 12,
        "num_classes": 3,
        "dimension": 4,
        "nonnegative": False,
        "imbalance": 0.0,
        "class_mean_similarity": spread,
        "weight_similarity": spread,
        "within_class_similarity": spread,
        **dict.fromkeys(("nc1", "nc2", "nc3", "nc4", "alignment", "uniformity"), 0.25),
        "norms": {"mean": 1.0, "rms": 1.0, "minimum": 1.0, "maximum": 1.0},
        "simplex_deviation": None,
        "train_error_head": 0.0,
        "test_error_head": 0.1,
        "train_error": 0.0,
        "test_error": 0.1,
        "loss": 1.5,
        "bound": 1.0,
        "excess": 0.5,
        "excess_standard_error": None,
        "bound_is_exact": True,
    }
    config = {
        "kind": "train",
        "experiment": experiment.to_dict(),
        "command": experiment.command_line(),
        "versions": {"python": "3.11", "numpy": "2.0"},
        "host": {"system": "Linux"},
        "dataset": {"name": "digits", "num_classes": 3, "class_names": ["a", "b", "c"], "class_counts": [4, 4, 4]},
        "created": "2026-01-01T00:00:00+00:00",
    }
    fit = {"time_to_fit": 10 + round(20 * experiment.corrupt), "fit_lower": 9}
    with RunWriter.create(run_dir, name, config, total=20) as writer:
        for iteration in (0, 10, 20):
            line = metrics_line(evaluation, iteration=iteration, seconds=1.0, learning_rate=0.1, **fit)
            writer.log_metrics(line)
            writer.save_geometry(iteration, class_means=np.eye(3, 4), sample=np.eye(3, 4), sample_labels=np.arange(3))
        facts = {key: getattr(experiment, key) for key in ("loss", "dataset", "corrupt", "seed", "tolerance")}
        result = final_result(
            line, run=name, state="finished", iterations=20, fit_policy="head", seconds=2.0, **facts, **fit
        )
        writer.save_labels(np.arange(12) % 3, np.arange(2), np.arange(12) % 3)
        writer.save_result(result)
        writer.log_path.write_text("some words\n")
        writer.set_status("finished", 20)


ARRAY_FILES = ("labels.npz", "geometry/00000010.npz", "checkpoints/00000010.npz")
JSON_FILES = ("config.json", "status.json", "result.json", "metrics.jsonl", "sweep.json")


def json_values() -> st.SearchStrategy:
    """Any value that JSON holds, among them those that no number is."""
    scalars = (
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats()
        | st.text(max_size=8)
        | st.sampled_from([10**400, -1, 1e308, 2**63, "\x1b[2J", "\udcff", "a/../b", "x" * 5000, "[red]", "$x$", "\n"])
    )
    return st.recursive(
        scalars,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=5,
    )


@st.composite
def mutations(draw: st.DrawFn) -> tuple[str, ...]:
    """A way to damage a folder: what is done, to which file, with what."""
    kinds = ["value", "value", "value", "drop", "content", "remove", "link", "pipe", "folder", "cut", "array"]
    kinds += ["sparse", "socket", "time", "beside", "linked run"]
    kind = draw(st.sampled_from(kinds))
    parts = ["log.txt", "model.keras", "geometry", ".lock", "checkpoints", "tb", *ARRAY_FILES]
    file = draw(st.sampled_from([*JSON_FILES[:4], *parts]))
    if kind in ("value", "drop"):
        file = draw(st.sampled_from(JSON_FILES))
    if kind == "array":
        return kind, draw(st.sampled_from(ARRAY_FILES)), *draw(damage.array_damages())
    return kind, file, draw(json_values()), draw(st.integers(0, 10**6)), draw(st.binary(max_size=40))


def mutate(folder: Path, sweep: Path, mutation: tuple) -> None:
    """Damage a run folder, or the `sweep.json` of its sweep."""
    kind, file, value, number, content = mutation
    outside = folder.parent.parent.parent / "outside"
    if kind == "beside":
        put_beside(folder, number, outside)
        return
    if kind == "linked run":
        shutil.copytree(folder, outside / "linked", symlinks=True)
        shutil.rmtree(folder)
        folder.symlink_to(outside / "linked")
        return
    if kind == "time":
        if os.path.lexists(folder / file):
            os.utime(folder / file, (0, 2**33 * (number % 2)), follow_symlinks=False)
        return
    path = sweep / file if file == "sweep.json" else folder / file
    if kind == "array":
        if path.is_file():
            damage.damage_archive(path, value, number, content)
        return
    path.parent.mkdir(exist_ok=True)
    if kind in ("value", "drop") and path.is_file():
        record = json.loads(path.read_text().splitlines()[-1] if file == "metrics.jsonl" else path.read_text())
        places = [(record, key) for key in record]
        places += [(part, key) for part in record.values() if isinstance(part, dict) for key in part]
        part, key = places[number % len(places)]
        if kind == "drop":
            del part[key]
        else:
            part[key] = value
        path.write_bytes(json.dumps(record).encode(errors="surrogatepass") + b"\n")
        return
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        size = path.stat().st_size if path.is_file() else 0
        whole = path.read_bytes() if path.is_file() else b""
        path.unlink(missing_ok=True)
        if kind == "cut":
            path.write_bytes(whole[: number % (size + 1)])
    if kind == "content":
        path.write_bytes(content)
    elif kind == "link":
        path.symlink_to(outside / ("geometry" if number % 2 else "file"))
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "socket":
        os.mknod(path, stat.S_IFSOCK | 0o600)
    elif kind == "sparse":
        with open(path, "wb") as file:
            file.truncate(2**40)


ODD_NAMES = (
    "a\nb",
    "\u202egnp",
    "\x1b[2J",
    "é" * 100,
    "[red]",
    "-rf",
    " ",
    "$x$",
    "\udcff",
    "\u2066x",
    "a\rb",
    "--json",
)


def put_beside(run: Path, number: int, outside: Path) -> None:
    """Put among the runs what is none, or a run whose name no run has."""
    other = run.parent / ODD_NAMES[number % len(ODD_NAMES)]
    kind = number // len(ODD_NAMES) % 5
    if kind == 0:
        shutil.copytree(run, other, symlinks=True)
    elif kind == 1:
        other.symlink_to(outside)
    elif kind == 2:
        os.mkfifo(other)
    elif kind == 3:
        other.symlink_to(other)
    else:
        (other / "config.json").mkdir(parents=True)


READERS = (
    ("runs",),
    ("runs", "--json"),
    ("runs", "--sort", "excess"),
    ("runs", "show", "{run}"),
    ("runs", "show", "{run}", "--json"),
    ("figure", "2", "{dir}", "--output", "out/"),
    ("figure", "7", "{dir}", "--output", "out/", "--json"),
    ("figure", "8", "{dir}", "--output", "out/"),
    ("report", "{dir}"),
    ("report", "{dir}", "--output", "out/report.html"),
)
WRITERS = (("resume", "{run}"), ("evaluate", "{run}"), ("train", "--name", "ce-0", "--resume"))


# -- command lines

COMMANDS = {
    "train": (),
    "resume": (),
    "sweep": (),
    "evaluate": (),
    "runs": ("show",),
    "report": (),
    "geometry": (),
    "bound": ("ce", "sc"),
    "data": ("list", "check", "import"),
    "toy": ("ce", "sc"),
    "figure": ("2", "3", "4", "5", "6", "7", "8"),
    "launch": (),
    "tui": (),
    "bench": (),
    "doctor": (),
}
SOME_WORDS = """
    -1 0 1e300 1e-300 nan inf -inf 1.5 ten 0x10 1_000 ٣ cpu:0 cpu:65 gpu:99 0:1:0 0:1:1e-9 1/0 2/1
    nothing data.npz points.npz runs sweep ce sc ce,ce . .. / /dev/null /dev/zero pipe loop file outside
    a/b -- - --json $x$ my_loss.py ~nobody/x
"""
ODD_WORDS = (
    "a\nb",
    "\u202egnp",
    "9" * 20,
    "9" * 400,
    "",
    " ",
    "x" * 300,
    "é" * 130,
    "[" * 2000,
    "a\tb",
    "a\x1b[2Jb",
    "\udcff",
)
WORDS = (*SOME_WORDS.split(), *ODD_WORDS)
SOME_OPTIONS = """
    --loss --corrupt --corruption --dataset --data-dir --encoder --width --dimension --output --head-radius
    --iterations --batch-size --temperature --learning-rate --schedule --momentum --weight-decay --evaluate-every
    --checkpoint-every --tolerance --fit-policy --seed --precision --devices --threads --run-dir --name --json --losses
    --corruptions --seeds --set --jobs --shard --preset --classes --radius --frobenius --max-norm --features --sampling
    --samples-per-class --reduction --points-per-class --steps --all-batches --counts --style --sort --workers --port
    --augment --no-augment --until-fit --resume --balanced --nonsense -h
"""
OPTIONS = SOME_OPTIONS.split()


@st.composite
def command_lines(draw: st.DrawFn) -> list[str]:
    """A command line of a few words, most of them wrong."""
    command = draw(st.sampled_from(sorted(COMMANDS)))
    words = [command]
    if COMMANDS[command] and draw(st.integers(0, 4)):
        words.append(draw(st.sampled_from(COMMANDS[command])))
    if command == "train":  # what is taken after all is quick
        words += ["--dataset", "data.npz", "--corrupt", "2"]
    elif command in ("toy", "bench", "sweep", "doctor", "tui"):
        words += {"toy": ["--steps", "0"], "bench": ["--seconds", "0"], "sweep": ["--jobs", "0"]}.get(command, ["--no"])
    for _ in range(draw(st.integers(0, 4))):
        if draw(st.booleans()):
            words.append(draw(st.sampled_from(OPTIONS)))
        words.append(draw(st.sampled_from(WORDS) | st.text(st.characters(exclude_characters="\0"), max_size=6)))
    return words


ARRAY_COMMANDS = {
    "data.npz": (("data", "check", "data.npz"), ("data", "check", "data.npz", "--json")),
    "points.npz": (("geometry", "points.npz"), ("geometry", "points.npz", "--json")),
}
IMPORTS = (("data", "import", "cifar10", "data.npz"), ("data", "import", "mnist", "data.npz", "points.npz"))
IMAGE_COMMANDS = (("data", "check", "images"), ("data", "check", "images", "--json"), ("data", "check", "./images"))
TRAINING = (
    "--loss",
    "ce",
    "--iterations",
    "1",
    "--batch-size",
    "4",
    "--encoder",
    "mlp",
    "--width",
    "1",
    "--run-dir",
    "new",
)
DAMAGED_RUNS = ("ce-0", "sc-0.2")


ANYTHING = (
    *READERS,
    ("geometry", "points.npz"),
    ("data", "check", "data.npz"),
    ("data", "check", "images"),
    ("toy", "sc", "--all-batches", "--steps", "2", "--points-per-class", "2", "--run-dir", "new"),
    ("figure", "3", "--output", "out/"),
    ("bound", "sc"),
)
FAILURES = (errno.EIO, errno.EROFS, errno.ENOSPC, errno.EACCES, errno.EMFILE, errno.ENOMEM, errno.ESTALE, errno.EPERM)
FAILING = ("open", "replace", "mkdir", "write", "fsync", "unlink", "scandir", "listdir", "lstat", "stat")


@dataclass(frozen=True)
class Case:
    """One thing to try.

    Attributes:
        words: the command.
        damage: what is damaged before, as `mutations` or the strategies of `damage` draw it; () is nothing.
        part: the run, the file or the folder that is damaged; `here` for a working directory that is gone, `disk` for
            calls of the operating system that fail: which function, from which call on, with which error.
    """

    words: tuple[str, ...]
    damage: tuple = ()
    part: str = ""

    @property
    def must_fail(self) -> bool:
        """Whether an exit code of 0 would be wrong."""
        if self.words[0] not in ("data", "geometry", "train") or not self.damage:
            return False
        return self.damage[0] in (damage.NO_IMAGES if self.part == "images" else damage.NEVER_READ)

    @property
    def must_succeed(self) -> bool:
        """Whether only an exit code of 0 is right: one damaged run among others stops nobody who reads them."""
        reads_many = self.words[0] == "figure" or (self.words[0] == "runs" and "show" not in self.words)
        return reads_many and self.part in DAMAGED_RUNS and self.damage[1] != "sweep.json"


def folder_cases(commands: tuple, runs: tuple[str, ...] = DAMAGED_RUNS) -> st.SearchStrategy[Case]:
    """A damaged run, and one of the commands that meet it."""
    return st.builds(Case, st.sampled_from(commands), mutations(), st.sampled_from(runs))


def array_cases(commands: dict[str, tuple] = ARRAY_COMMANDS) -> st.SearchStrategy[Case]:
    """A damaged archive of arrays, and one of the commands that read it."""
    files = st.sampled_from(sorted(commands))
    return files.flatmap(
        lambda file: st.builds(Case, st.sampled_from(commands[file]), damage.array_damages(), st.just(file))
    )


def image_cases(commands: tuple = IMAGE_COMMANDS) -> st.SearchStrategy[Case]:
    """A damaged image folder, and one of the commands that read it."""
    return st.builds(Case, st.sampled_from(commands), damage.image_damages(), st.just("images"))


def unlucky_cases() -> st.SearchStrategy[Case]:
    """A command in a working directory that is gone, or whose calls of the operating system fail."""
    failures = st.tuples(st.sampled_from(FAILING), st.integers(1, 40), st.sampled_from(FAILURES))
    return st.builds(Case, st.sampled_from(ANYTHING), failures, st.just("disk")) | st.builds(
        Case, st.sampled_from(ANYTHING), st.just(("gone",)), st.just("here")
    )


@contextlib.contextmanager
def failing(name: str, call: int, number: int, world: Path) -> Iterator[None]:
    """Within the block `os.name` fails from its `call`-th call on, except for files outside `world`."""
    true, calls = getattr(os, name), 0

    def fails(*words, **options):
        nonlocal calls
        place = words[0] if words else "."
        is_inside = isinstance(place, int) or not os.path.isabs(place) or str(world) in os.fsdecode(place)
        calls += is_inside
        if is_inside and calls >= call:
            raise OSError(number, os.strerror(number), None if isinstance(place, int) else place)
        return true(*words, **options)

    setattr(os, name, fails)
    try:
        yield
    finally:
        setattr(os, name, true)


def perform(case: Case, world: Path) -> Outcome:
    """Damage a fresh copy of what the case damages, run its command over it, and judge how it ends.

    Args:
        case: what is tried.
        world: as from `make_world`.
    """
    shutil.rmtree(world / "new", ignore_errors=True)
    shutil.rmtree(world.parent / "outside" / "linked", ignore_errors=True)
    words = list(case.words)
    if case.part in ("here", "disk"):
        words = [word.format(run="ce-0", dir="runs") for word in words]
        _restore(world.parent / "pristine" / "runs", world / "runs")
        if case.part == "disk":
            return run(words, world, lambda: failing(*case.damage, world))
        gone = world / "gone"
        gone.mkdir()
        return run(words, gone, lambda: contextlib.nullcontext(gone.rmdir()), world)
    if case.damage:
        pristine = world.parent / "pristine"
        if case.part in damage.ARRAY_KEYS:
            _restore(pristine / case.part, world / case.part)
            damage.damage_archive(world / case.part, *case.damage)
        elif case.part == "images":
            _restore(pristine / "images", world / "images")
            damage.damage_images(world / "images", *case.damage)
        else:
            folder = "sweep" if words[0] == "report" or case.damage[1] == "sweep.json" else "runs"
            _restore(pristine / folder, world / folder)
            mutate(world / folder / case.part, world / "sweep", case.damage)
            words = [word.format(run=case.part, dir=folder) for word in words]
            if words[0] in ("runs", "resume", "evaluate", "train"):
                words += ["--run-dir", folder]
    try:
        outcome = run(words, world)
    finally:
        if case.damage and case.part in (*damage.ARRAY_KEYS, "images"):
            _restore(world.parent / "pristine" / case.part, world / case.part)
    wrong = (case.must_fail and outcome.code == 0) or (case.must_succeed and outcome.code != 0)
    return replace(outcome, faults=(*outcome.faults, f"wrong exit code {outcome.code}")) if wrong else outcome


def _restore(pristine: Path, path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    (shutil.copytree if pristine.is_dir() else shutil.copyfile)(pristine, path)


def perform_apart(case: Case, world: Path) -> Outcome:
    """`perform` in a process of its own, which is killed where it neither ends nor heeds an alarm.

    What libraries write past Python to the standard streams is a fault too.
    """
    receiver, sender = multiprocessing.Pipe(duplex=False)
    with tempfile.TemporaryFile() as past:
        pid = os.fork()
        if not pid:
            try:
                with open(os.devnull) as nothing:
                    os.dup2(nothing.fileno(), 0)
                for number in (1, 2):
                    os.dup2(past.fileno(), number)
                sender.send(perform(case, world))
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(0)
        sender.close()
        outcome = None
        with contextlib.suppress(EOFError), receiver:
            if receiver.poll(LONGEST_WAIT + 10):
                outcome = receiver.recv()
            else:
                outcome = Outcome(case.words, None, "", "", ("hang, deaf to a signal",))
                os.kill(pid, signal.SIGKILL)
        status = os.waitpid(pid, 0)[1]
        past.seek(0)
        said = past.read().decode(errors="replace")
    outcome = outcome or Outcome(case.words, None, "", "", (f"the process died with status {status}",))
    return replace(outcome, faults=(*outcome.faults, f"past Python: {said[-300:]}")) if said else outcome
