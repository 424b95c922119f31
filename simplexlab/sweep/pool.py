"""Run a sweep: worker processes side by side, each taking the next run that nobody has."""

import contextlib
import dataclasses
import json
import logging
import os
import queue
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from simplexlab import objectives
from simplexlab.asides import AT_ONCE
from simplexlab.config import Experiment, parse_devices
from simplexlab.errors import RunError, UsageError
from simplexlab.objectives import own
from simplexlab.runs import Run, read_run
from simplexlab.sweep.folder import SweepFolder

logger = logging.getLogger(__name__)

# A diverged run is done: to repeat it would repeat its numbers.
DONE = ("finished", "diverged")
WORKER = ("-m", "simplexlab.sweep.worker")
# How a run is ended: it stops with a last evaluation; without one; its process is killed, and the run can be resumed
# from its last checkpoint.
STOP, HURRY, KILL = URGENCIES = (1, 2, 3)
STOPPING = "stopping; each run records where it is. Ctrl-C again leaves at once"


@dataclass(frozen=True)
class Placement:
    """Where the runs compute: how many at once, on how many threads each, on which devices.

    Attributes:
        jobs: runs side by side.
        threads: CPU threads of each.
        devices: `--devices` of each run.
        gpus: the GPUs among which the jobs are shared out, () on the CPU.
    """

    jobs: int
    threads: int
    devices: str
    gpus: tuple[str, ...] = ()

    def environment(self, job: int) -> dict[str, str]:
        """The environment of a worker: its threads also for what is not TensorFlow; on a GPU it sees that GPU only."""
        environment = {**os.environ, "OMP_NUM_THREADS": str(self.threads)}
        if self.gpus:
            environment["CUDA_VISIBLE_DEVICES"] = self.gpus[job % len(self.gpus)]
        return environment


def place(devices: str = "auto", jobs: int | None = None, threads: int | None = None) -> Placement:
    """Choose where a sweep computes.

    On the CPU as many runs side by side as there are cores, one thread each: the small networks of a laptop gain little
    from a second thread, and two single-threaded runs get about 1.5 times as far as one run on two threads. With GPUs
    one run on each.

    Args:
        devices: `auto` or `all` (every GPU, or the CPU where there is none), `cpu`, `cpu:N` (each run on N logical
            replicas), or `gpu:0,gpu:1` (one run on each).
        jobs: runs side by side; None: as above.
        threads: CPU threads of each; None: the cores shared out among the jobs.

    Raises:
        UsageError: the devices are not understood, or TensorFlow does not see one of them.
    """
    kind, wanted = parse_devices(devices)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    gpus: tuple[str, ...] = ()
    if kind != "cpu":
        visible = visible_gpus()
        missing = [index for index in wanted or () if index >= len(visible)]
        if missing:
            raise UsageError(
                f"--devices gpu:{missing[0]}: TensorFlow sees {len(visible)} GPUs; take auto or cpu, "
                "or see simplexlab doctor"
            )
        gpus = tuple(visible[index] for index in wanted) if wanted is not None else visible
    replicas = wanted if kind == "cpu" else 1
    jobs = jobs or len(gpus) or max(1, cores // replicas)
    return Placement(
        jobs=jobs,
        threads=threads or max(1, cores // jobs),
        devices="gpu:0" if gpus else devices if kind == "cpu" else "cpu",
        gpus=gpus,
    )


def visible_gpus() -> tuple[str, ...]:
    """The GPUs that TensorFlow sees, as `CUDA_VISIBLE_DEVICES` names them; it is not asked where there is no driver."""
    if shutil.which("nvidia-smi") is None:
        return ()
    code = "import tensorflow as tf; print(len(tf.config.list_physical_devices('GPU')))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    if found.returncode:
        raise RunError(f"TensorFlow cannot be imported: {found.stderr.strip().splitlines()[-1]}")
    count = int(found.stdout.split()[-1])
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    return tuple(named.split(","))[:count] if named else tuple(map(str, range(count)))


@dataclass(frozen=True)
class Event:
    """What happened to a run: `started`, or a state in which it ended; `busy` where another process has it."""

    name: str
    state: str
    message: str | None = None


def execute(
    sweep: SweepFolder,
    experiments: Sequence[Experiment],
    placement: Placement,
    report: Callable[[Event], None] = lambda event: None,
    poll: Callable[[], None] = lambda: None,
) -> list[Event]:
    """Train what is missing, resume what stopped or failed, and leave alone what is finished or another process's.

    Each run is tried once. A run that fails, or takes its worker process with it, does not keep the others.

    Args:
        sweep: the sweep folder.
        experiments: those of its runs to do, in this order.
        placement: where.
        report: called for each event, from the thread of a worker, one call at a time.
        poll: called a few times a second while runs go on.

    Returns:
        How each run ended, in the order in which they did.

    Raises:
        KeyboardInterrupt: Ctrl-C; the runs that were going on have recorded `stopped`.
        UsageError: a loss of one's own is not one that its user has run, or its file is wrong.
    """
    pool = _Pool(sweep, experiments, placement, report)
    try:
        while not pool.wait(0.2):
            poll()
    except BaseException:
        pool.stop()
        raise
    return pool.ended


class _Pool:
    def __init__(
        self,
        sweep: SweepFolder,
        experiments: Sequence[Experiment],
        placement: Placement,
        report: Callable[[Event], None],
    ):
        self.sweep = sweep
        self.report = report
        self.stopping = False
        self.mutex = threading.Lock()
        self.waiting: queue.SimpleQueue[Undone] = queue.SimpleQueue()
        self.ended, undone = sort_out(sweep, experiments)
        for run in undone:
            self.waiting.put(run)
        self.slots = [Slot(placement, job) for job in range(min(placement.jobs, len(undone)))]
        executor = ThreadPoolExecutor(max(1, len(self.slots)))
        self.servers = [executor.submit(self._serve, slot) for slot in self.slots]
        executor.shutdown(wait=False)

    def wait(self, seconds: float) -> bool:
        """Wait that long for the end; tells whether it has come.

        Raises:
            OSError: the sweep folder cannot be written.
        """
        _, going_on = wait(self.servers, seconds)
        if going_on:
            return False
        for server in self.servers:
            server.result()
        return True

    def stop(self) -> None:
        """Ask the runs to stop and wait until they have; a second interrupt hurries them, a third kills them."""
        self.stopping = True
        logger.warning(STOPPING, extra=AT_ONCE)
        for urgency in URGENCIES:
            with contextlib.suppress(KeyboardInterrupt):
                for slot in self.slots:
                    slot.end(urgency)
                wait(self.servers)
                return

    def _serve(self, slot: "Slot") -> None:
        try:
            while not self.stopping:
                try:
                    run = self.waiting.get_nowait()
                except queue.Empty:
                    return
                with self.sweep.claim(run.experiment.name) as claim:
                    event = (
                        slot.run(self.sweep, run, lambda name: self._tell(Event(name, "started")))
                        if claim.granted
                        else Event(run.experiment.name, "busy")
                    )
                self._tell(event)
        finally:
            slot.close()

    def _tell(self, event: Event) -> None:
        with self.mutex:
            if event.state != "started":
                self.ended.append(event)
            self.report(event)


@dataclass(frozen=True)
class Undone:
    """A run that is to be done.

    Attributes:
        experiment: its options.
        stamp: what tells whether another process has tried it since.
        trusted: file and checksum of a loss of one's own that the sweep's user has run, or None.
    """

    experiment: Experiment
    stamp: tuple[str, int]
    trusted: dict[str, str] | None


def sort_out(sweep: SweepFolder, experiments: Sequence[Experiment]) -> tuple[list[Event], list[Undone]]:
    """The runs that are done already, and those that are to be done.

    Raises:
        UsageError: a loss of one's own is not one that its user has run, or its file is wrong.
    """
    for loss in {experiment.loss for experiment in experiments}:
        objectives.get(loss)
    done, undone = [], []
    for experiment in experiments:
        run = read_run(sweep.path / experiment.name)
        if run.status.state in DONE:
            done.append(Event(experiment.name, run.status.state))
        else:
            trusted = own.source_facts(experiment.loss) if own.is_allowed(experiment.loss) else None
            undone.append(Undone(experiment, stamp(run), trusted or None))
    return done, undone


def stamp(run: Run) -> tuple[str, int]:
    """Changes when a process writes the run."""
    return run.status.state, run.status.sequence


class Slot:
    """Does one run after another in a worker process, which starts with the first and serves the next ones too.

    Args:
        placement: where it computes.
        job: which of the jobs of the placement it is.
        folder: the working directory of the process; by default that of this one.
    """

    def __init__(self, placement: Placement, job: int, folder: str | None = None):
        self.placement = placement
        self.job = job
        self.folder = folder
        self.urgency = 0
        self.worker: _Worker | None = None

    def run(self, sweep: SweepFolder, undone: Undone, started: Callable[[str], None]) -> Event:
        """Train what is missing, resume what stopped or failed; the caller holds the claim of the run.

        Args:
            sweep: the sweep folder.
            undone: the run.
            started: called with its name before its process is asked to train it.
        """
        name = undone.experiment.name
        run = read_run(sweep.path / name)
        if run.status.state in (*DONE, "unknown version"):
            return Event(name, run.status.state, run.status.message)
        if run.status.state == "running" or stamp(run) != undone.stamp:
            return Event(name, "busy")  # another process has it, or has tried it since this one began
        place = {"run_dir": str(sweep.path), "name": name}
        if run.status.state == "missing":
            placement = {"threads": self.placement.threads, "devices": self.placement.devices}
            experiment = dataclasses.replace(undone.experiment, **placement, **place)
        elif "experiment" in run.config:  # it is resumed with the threads and devices that it had
            experiment = dataclasses.replace(Experiment.from_dict(run.config["experiment"]), **place)
        else:
            why = run.damage[0] if run.damage else "config.json is missing"
            return Event(name, "failed", f"{why}; remove the folder {run.path} to run it anew")
        started(name)
        answer, code = self._train(sweep, experiment, undone.trusted)
        if answer is not None:
            return Event(name, answer["state"], answer["message"])
        state = read_run(sweep.path / name).status.state
        if self.urgency:
            return Event(name, "stopped" if state == "missing" else state)
        ended = f"signal {-code}" if code < 0 else f"exit code {code}"
        return Event(name, "failed", f"its process ended with {ended}")

    def end(self, urgency: int) -> None:
        """Have the run stop and the process end; see `URGENCIES`."""
        self.urgency = urgency
        if (worker := self.worker) is not None:
            worker.end(urgency)

    def close(self) -> None:
        """End the process, which trains nothing now."""
        if self.worker is not None:
            self.worker.close()
            self.worker = None

    def _train(
        self, sweep: SweepFolder, experiment: Experiment, trusted: dict[str, str] | None
    ) -> tuple[dict[str, Any] | None, int]:
        """What the process answers, None if it ended instead; and the code with which it did."""
        runtime = (experiment.threads, experiment.devices)
        if self.worker is not None and self.worker.runtime != runtime:
            self.close()
        with os.fdopen(sweep.open_log(experiment.name), "ab") as log:
            if self.worker is None or self.worker.process.poll() is not None:
                self.worker = _Worker(runtime, self.placement.environment(self.job), self.folder, log)
        if self.urgency:
            self.worker.end(self.urgency)
        worker = self.worker
        answer = worker.train(experiment, sweep.log_path(experiment.name), trusted)
        if answer is not None:
            return answer, 0
        self.worker = None
        return None, worker.process.wait()


class _Worker:
    """A process that trains one run after another on the same threads and devices, in a session of its own."""

    def __init__(
        self,
        runtime: tuple[int | None, str],
        environment: dict[str, str],
        folder: str | None,
        first_log: BinaryIO,
    ):
        self.runtime = runtime
        self.process = subprocess.Popen(
            [sys.executable, *WORKER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=first_log,
            text=True,
            cwd=folder,
            env=environment,
            start_new_session=True,
        )

    def train(self, experiment: Experiment, log: Path, trusted: dict[str, str] | None) -> dict[str, Any] | None:
        """Train, and return the answer; None if the process ended."""
        try:
            request = {"experiment": experiment.to_dict(), "log": str(log), "trusted": trusted}
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
            return json.loads(self.process.stdout.readline())
        except (OSError, ValueError):
            return None

    def end(self, urgency: int) -> None:
        """End its stdin: the run that goes on stops, and the process ends; see `URGENCIES`."""
        if urgency == STOP:
            with contextlib.suppress(OSError):
                self.process.stdin.close()
        elif urgency == HURRY:
            self.process.terminate()
        else:
            self.process.kill()

    def close(self) -> None:
        """End the process, which trains nothing now."""
        self.end(STOP)
        self.process.wait()
