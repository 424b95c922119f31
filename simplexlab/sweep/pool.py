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
from simplexlab.config import Experiment, parse_devices
from simplexlab.errors import RunError, UsageError
from simplexlab.objectives import own
from simplexlab.runs import Run, read_run
from simplexlab.sweep.folder import SweepFolder

logger = logging.getLogger(__name__)

# A diverged run is done: to repeat it would repeat its numbers.
DONE = ("finished", "diverged")
WORKER = ("-m", "simplexlab.sweep.worker")


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
    for loss in {experiment.loss for experiment in experiments}:
        objectives.get(loss)
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
        self.placement = placement
        self.report = report
        self.ended: list[Event] = []
        self.stopping = False
        self.mutex = threading.Lock()
        self.waiting: queue.SimpleQueue[tuple[Experiment, Any]] = queue.SimpleQueue()
        todo = 0
        for experiment in experiments:
            run = read_run(sweep.path / experiment.name)
            if run.status.state in DONE:
                self.ended.append(Event(experiment.name, run.status.state))
            else:
                todo += 1
                self.waiting.put((experiment, _stamp(run)))
        jobs = min(placement.jobs, todo)
        self.workers: list[_Worker | None] = [None] * jobs
        executor = ThreadPoolExecutor(max(1, jobs))
        self.servers = [executor.submit(self._serve, job) for job in range(jobs)]
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
        logger.warning("stopping; each run records where it is. Ctrl-C again leaves at once")
        for end in (_Worker.ask_to_stop, _Worker.hurry, _Worker.kill):
            with contextlib.suppress(KeyboardInterrupt):
                for worker in list(self.workers):
                    if worker is not None:
                        end(worker)
                wait(self.servers)
                return

    def _serve(self, job: int) -> None:
        try:
            while not self.stopping:
                try:
                    experiment, stamp = self.waiting.get_nowait()
                except queue.Empty:
                    return
                with self.sweep.claim(experiment.name) as granted:
                    event = self._run(job, experiment, stamp) if granted else Event(experiment.name, "busy")
                self._tell(event)
        finally:
            if self.workers[job] is not None:
                self.workers[job].close()

    def _run(self, job: int, experiment: Experiment, stamp: Any) -> Event:
        run = read_run(self.sweep.path / experiment.name)
        if run.status.state in (*DONE, "unknown version"):
            return Event(experiment.name, run.status.state, run.status.message)
        if run.status.state == "running" or _stamp(run) != stamp:
            return Event(experiment.name, "busy")  # another process has it, or has tried it since this one began
        experiment = dataclasses.replace(
            experiment, threads=self.placement.threads, devices=self.placement.devices, run_dir=str(self.sweep.path)
        )
        if run.status.state != "missing":  # it is resumed with the threads and devices that it had
            if "experiment" not in run.config:
                why = run.damage[0] if run.damage else "config.json is missing"
                return Event(experiment.name, "failed", f"{why}; remove the folder {run.path} to run it anew")
            experiment = dataclasses.replace(
                Experiment.from_dict(run.config["experiment"]), run_dir=str(self.sweep.path), name=run.path.name
            )
        self._tell(Event(experiment.name, "started"))
        log = self.sweep.log_path(experiment.name)
        worker = self.workers[job]
        if worker is not None and worker.runtime != (experiment.threads, experiment.devices):
            worker.close()
            worker = None
        if worker is None or worker.process.poll() is not None:
            with os.fdopen(self.sweep.open_log(experiment.name), "ab") as first_log:
                worker = self.workers[job] = _Worker(experiment, self.placement.environment(job), first_log)
            if self.stopping:
                worker.ask_to_stop()
        answer = worker.train(experiment, log)
        if answer is None:
            code = worker.process.wait()
            self.workers[job] = None
            state = read_run(self.sweep.path / experiment.name).status.state
            if self.stopping:
                return Event(experiment.name, "stopped" if state == "missing" else state)
            ended = f"signal {-code}" if code < 0 else f"exit code {code}"
            return Event(experiment.name, "failed", f"its process ended with {ended}")
        return Event(experiment.name, answer["state"], answer["message"])

    def _tell(self, event: Event) -> None:
        with self.mutex:
            if event.state != "started":
                self.ended.append(event)
            self.report(event)


class _Worker:
    """A process that trains one run after another on the same threads and devices, in a session of its own."""

    def __init__(self, experiment: Experiment, environment: dict[str, str], first_log: BinaryIO):
        self.runtime = (experiment.threads, experiment.devices)
        self.process = subprocess.Popen(
            [sys.executable, *WORKER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=first_log,
            text=True,
            env=environment,
            start_new_session=True,
        )

    def train(self, experiment: Experiment, log: Path) -> dict[str, Any] | None:
        """Train, and return the answer; None if the process ended."""
        try:
            trusted = own.source_facts(experiment.loss) if own.is_allowed(experiment.loss) else None
            request = {"experiment": experiment.to_dict(), "log": str(log), "trusted": trusted}
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
            return json.loads(self.process.stdout.readline())
        except (OSError, ValueError):
            return None

    def ask_to_stop(self) -> None:
        """End its stdin: the run that goes on stops, and the process ends."""
        with contextlib.suppress(OSError):
            self.process.stdin.close()

    def hurry(self) -> None:
        """Ask again: the run stops without a last evaluation."""
        self.process.terminate()

    def kill(self) -> None:
        """End the process now; its run can be resumed from its last checkpoint."""
        self.process.kill()

    def close(self) -> None:
        """End the process, which trains nothing now."""
        self.ask_to_stop()
        self.process.wait()


def _stamp(run: Run) -> tuple:
    return run.status.state, run.status.sequence
