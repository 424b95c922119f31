"""Training steps of an experiment beside PyTorch's, eager and compiled: same network, batch size, loss, optimizer.

Each side is a process of its own that stays alive; they take turns, block by block, so that what disturbs the machine
disturbs all, and what counts is the median of the paired ratios. First all compute the loss of one batch with the same
weights, and must agree.
"""

import contextlib
import dataclasses
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from simplexlab.config import Experiment, flag
from simplexlab.errors import RunError, UsageError
from simplexlab.training.torch_step import random_images, serve

LOSSES = ("ce", "sc")
ENCODERS = ("resnet-small", "resnet18")
TOLERANCE = {"float32": 1e-4, "tf32": 5e-3, "bfloat16": 5e-2, "float64": 1e-6}  # relative, of the loss of one batch
ROUNDS = 5


def compare(
    experiment: Experiment,
    shape: Sequence[int],
    classes: int,
    torch_python: str,
    *,
    rounds: int = ROUNDS,
    block_seconds: float = 2.0,
    disturbed: float = float("inf"),
    patience: float = 600.0,
) -> dict[str, Any]:
    """Measure the steps a second of the experiment here and in PyTorch, on random images.

    On the CPU PyTorch has one thread, and once more as many as there are cores, or those of the experiment; its fastest
    setting is the one compared.

    Args:
        experiment: resolved options.
        shape: height, width and channels of an image.
        classes: number of classes.
        torch_python: a Python that has torch and numpy.
        rounds: how often each side has its turn.
        block_seconds: how long a turn is.
        disturbed: a round in which other programs took a larger share of the machine is dropped and repeated.
        patience: seconds after which no more rounds are begun.

    Returns:
        `simplexlab` and, in `torch`, each setting of PyTorch: `version`, `device`, `steps_per_second` (median over the
        rounds), and of the latter `name`, `compiled`, `threads` and `ratio` (ours over theirs: median, least, largest);
        one that failed has `error` instead. `best` is the name of the fastest one; `rounds`, `dropped`, and
        `disturbance`, the largest share that other programs took in a round that counts (None where it is not known).

    Raises:
        UsageError: the experiment is not one that both can do, or that Python has no torch.
        RunError: the sides do not compute the same loss, or all rounds were disturbed.
    """
    check(experiment)
    case = _case(experiment, shape, classes)
    ours = [sys.executable, "-m", "simplexlab.training.beside_torch", json.dumps([experiment.to_dict(), case])]
    with contextlib.ExitStack() as stack:
        sides = {"simplexlab": stack.enter_context(_side(ours, "this Python"))}
        facts = {"simplexlab": sides["simplexlab"].ask({})}
        case["stages"] = facts["simplexlab"].pop("stages")
        script = str(Path(__file__).with_name("torch_step.py"))
        is_gpu = facts["simplexlab"]["device"].startswith("GPU")
        cores = experiment.threads or len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
        for threads in sorted({cores} if is_gpu else {1, cores}):
            for compiled in (False, True):
                name = f"PyTorch {'compiled' if compiled else 'eager'}"
                name += "" if is_gpu else f", {threads} thread{'s' if threads > 1 else ''}"
                setting = {"device": "cuda" if is_gpu else "cpu", "threads": threads, "compiled": compiled}
                words = [torch_python, script, json.dumps(case | setting)]
                sides[name] = stack.enter_context(_side(words, f"--compare-torch {torch_python}"))
                facts[name] = {"name": name, "compiled": compiled, "threads": threads} | sides[name].ask({})
        batch = Path(stack.enter_context(tempfile.TemporaryDirectory()), "batch.npz")
        losses, steps = {}, {}
        for name in list(sides):
            try:
                losses[name] = sides[name].ask({"batch": str(batch)})
                steps[name] = _steps_of_a_block(sides[name], block_seconds)
            except RunError as error:
                if name == "simplexlab":
                    raise
                facts[name]["error"] = str(error)
                losses.pop(name, None)
                del sides[name]
        reference = losses["simplexlab"]
        if any(abs(loss / reference - 1) > TOLERANCE[experiment.precision] for loss in losses.values()):
            told = ", ".join(f"{name} {loss:.6g}" for name, loss in losses.items())
            raise RunError(f"the sides do not compute the same loss of one batch: {told}")
        taken, dropped, disturbance = _measure(sides, steps, rounds, disturbed, patience)
    if not taken:
        raise RunError(f"other programs disturbed all {dropped} rounds")
    for name in sides:
        facts[name]["steps_per_second"] = median(1 / seconds[name] for seconds in taken)
        if name != "simplexlab":
            ratios = [seconds[name] / seconds["simplexlab"] for seconds in taken]
            facts[name]["ratio"] = [median(ratios), min(ratios), max(ratios)]
    theirs = [name for name in sides if name != "simplexlab"]
    return {
        "simplexlab": facts.pop("simplexlab"),
        "torch": list(facts.values()),
        "best": max(theirs, key=lambda name: facts[name]["steps_per_second"], default=None),
        "rounds": len(taken),
        "dropped": dropped,
        "disturbance": disturbance,
    }


def check(experiment: Experiment) -> None:
    """Raise a UsageError where the resolved experiment is not one that both sides can do."""
    if experiment.loss not in LOSSES:
        raise UsageError(f"--compare-torch compares the losses {' and '.join(LOSSES)}, not {experiment.loss}")
    if experiment.encoder not in ENCODERS or experiment.dimension is not None:
        raise UsageError(f"--compare-torch compares {' and '.join(ENCODERS)} in their own dimension; choose --encoder")
    defaults = {own.name: own.default for own in experiment.objective.options} | {"augment": False}
    defaults |= {"views": 1, "balanced_batches": False, "deterministic": False}
    values = experiment.to_dict()
    changed = [name for name in defaults if name != "temperature" and values[name] != defaults[name]]
    if changed:
        flags = ", ".join(map(flag, changed))
        raise UsageError(f"--compare-torch does not do {flags} on PyTorch's side; take the default, or --no-augment")
    if "," in experiment.devices or experiment.devices == "all" or experiment.devices.startswith("cpu:"):
        raise UsageError(f"--compare-torch compares one device, not --devices {experiment.devices}")


def _case(experiment: Experiment, shape: Sequence[int], classes: int) -> dict[str, Any]:
    """What the other side is told of the experiment."""
    return {
        "width": experiment.width,
        "shape": list(shape),
        "classes": classes,
        "batch_size": experiment.batch_size,
        "has_head": experiment.objective.head == "learned",
        "precision": experiment.precision,
        "temperature": experiment.options.get("temperature"),
    }


def _steps_of_a_block(side: "_Side", block_seconds: float) -> int:
    """How many steps fill a block, after some that warm up."""
    side.ask({"steps": 2})
    steps = max(2, round(2 * block_seconds / side.ask({"steps": 2})))
    seconds = side.ask({"steps": steps})
    return max(2, round(steps * block_seconds / seconds))


def _measure(
    sides: dict[str, "_Side"], steps: dict[str, int], rounds: int, disturbed: float, patience: float
) -> tuple[list[dict[str, float]], int, float | None]:
    """Rounds that count, each {side: seconds a step}; the number of dropped ones; the largest disturbance."""
    taken, dropped, worst, deadline = [], 0, None, time.monotonic() + patience
    while len(taken) < rounds and time.monotonic() < deadline:
        seconds, share = {}, None
        for name, side in sides.items():
            with _others(side) as others:
                seconds[name] = side.ask({"steps": steps[name]}) / steps[name]
            share = _larger(share, others())
        if share is not None and share > disturbed:
            dropped += 1
        else:
            taken.append(seconds)
            worst = _larger(worst, share)
    return taken, dropped, worst


def _larger(first: float | None, second: float | None) -> float | None:
    return max((value for value in (first, second) if value is not None), default=None)


class _Side:
    """A process that answers each JSON line with one."""

    def __init__(self, process: subprocess.Popen, log: Any, what: str):
        self.process = process
        self.log = log
        self.what = what

    def ask(self, request: dict[str, Any]) -> Any:
        """The answer.

        Raises:
            UsageError: the process has ended, or never was the right one.
            RunError: it could not do what it was asked for.
        """
        try:
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
            answer = json.loads(self.process.stdout.readline())
        except (OSError, ValueError):
            self.log.seek(0)
            lines = self.log.read().decode(errors="replace").strip().splitlines() or ["it ended without a word"]
            raise UsageError(f"{self.what}: {lines[-1]}") from None
        if isinstance(answer, dict) and "error" in answer:
            raise RunError(answer["error"])
        return answer

    def processor_seconds(self) -> float:
        """Processor time that it has used so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def _side(words: list[str], what: str) -> Iterator[_Side]:
    with tempfile.TemporaryFile() as log, tempfile.TemporaryDirectory() as compiled:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": log, "text": True}
        try:
            process = subprocess.Popen(words, **pipes, env={**os.environ, "TORCHINDUCTOR_CACHE_DIR": compiled})
        except OSError as error:
            raise UsageError(f"{what}: {error.strerror}") from error
        try:
            yield _Side(process, log, what)
        finally:
            process.kill()
            process.communicate()


@contextlib.contextmanager
def _others(side: _Side) -> Iterator[Callable[[], float | None]]:
    """The share of the machine that other programs took within the block, None where /proc does not tell."""
    found: list[float] = []
    try:
        busy, own, began = _busy_seconds(), side.processor_seconds(), time.monotonic()
    except OSError:
        yield lambda: None
        return
    yield lambda: found[0]
    others = (_busy_seconds() - busy) - (side.processor_seconds() - own)
    found.append(max(0.0, others / (time.monotonic() - began) / (os.cpu_count() or 1)))


def _busy_seconds() -> float:
    """Processor time that all programs of the machine, and its host, have used since the start."""
    user, nice, system, _idle, _wait, irq, softirq, steal, *_ = map(
        int, Path("/proc/stat").read_text().splitlines()[0].split()[1:]
    )
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def _serve(experiment: Experiment, case: dict[str, Any]) -> None:
    """This side: the training loop of `simplexlab train`, with its own choice of threads."""
    import numpy as np

    from simplexlab.data import Dataset
    from simplexlab.training import runtime

    started = runtime.start(experiment, pixels=case["shape"][0] * case["shape"][1])
    with runtime.keras_precision(experiment.precision):
        import keras
        import tensorflow as tf

        from simplexlab.models.encoders import STAGES
        from simplexlab.training.learner import build_learner
        from simplexlab.training.loop import Loop

        images, labels = random_images(case)
        names = tuple(map(str, range(case["classes"])))
        dataset = Dataset(
            name="random", x_train=images, y_train=labels, x_test=images, y_test=labels, class_names=names
        )
        with started.strategy.scope():
            learner = build_learner(experiment, dataset)
        loop, done = Loop(experiment, dataset, labels, learner, started), 0

        def steps(count: int) -> None:
            nonlocal done
            for _ in loop.run(done, done + count):
                pass
            done += count

        def batch_loss(path: Path) -> float:
            batch = images[: experiment.batch_size], labels[: experiment.batch_size]
            np.savez(path, *(layer.get_weights()[0] for layer in learner.model.layers if hasattr(layer, "kernel")))
            saved = learner.model.get_weights()
            outputs = learner.model(batch[0], training=True)
            learner.model.set_weights(saved)
            return float(keras.ops.mean(learner.loss(batch[1], outputs)))

        facts = {"version": tf.__version__, "device": started.devices[0], "xla": started.jit}
        serve({**facts, "stages": STAGES[experiment.encoder]}, steps, batch_loss)


if __name__ == "__main__":
    options, told = json.loads(sys.argv[1])
    steps_for_ever = {"iterations": 1_000_000, "learning_rate": 0.01}
    _serve(dataclasses.replace(Experiment.from_dict(options), **steps_for_ever).resolve(), told)
