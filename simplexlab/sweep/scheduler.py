"""Run a sweep on dask.distributed: each run is a task of one of its workers, on whatever machine that is.

What the scheduler holds is nothing that counts: the sweep folder, on a disk that every worker sees, says which runs are
done, and a worker claims a run before it touches it, so that two schedulers over one folder still do each run once. A
worker trains in a process below it, as `pool` does. When the worker is lost or closes, that process stops its run, or
dies with its machine; the scheduler gives the task to another worker, which goes on from the last checkpoint.
"""

import contextlib
import dataclasses
import functools
import logging
import os
import pickle
import pydoc
import queue
import re
import secrets
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from simplexlab import __version__
from simplexlab.asides import AT_ONCE
from simplexlab.config import Experiment
from simplexlab.dataset_name import dataset_kind
from simplexlab.errors import RunError, UsageError
from simplexlab.runs import Run, read_run
from simplexlab.sweep.folder import HOLDER_LENGTH, SweepFolder
from simplexlab.sweep.pool import STOP, STOPPING, URGENCIES, Event, Placement, Slot, Undone, place, sort_out, stamp

if TYPE_CHECKING:
    from distributed import Client, Future, Worker

logger = logging.getLogger(__name__)

LOCAL = "local"
CONNECT_SECONDS = 10.0
POLL_SECONDS = 0.2
IDLE_SECONDS = 60.0  # how long a worker keeps a training process that has nothing to do
TOPIC = "simplexlab-sweep"


def parse_scheduler(text: str) -> tuple[str, int | None]:
    """Read `--scheduler`: the address of a scheduler and None, or `local` and how many workers (None: `place` says).

    Raises:
        UsageError: it is neither, or dask.distributed is not installed.
    """
    name, _, count = text.partition(":")
    known = "it takes the address of a dask scheduler, tcp://HOST:8786, or local:4 for four workers here"
    if name == LOCAL:
        if text != LOCAL and not (count.isdecimal() and 1 <= int(count) <= 1024):
            raise UsageError(f"--scheduler {text} asks for no number of workers from 1 to 1024; {known}")
        found = LOCAL, int(count) if count else None
    elif re.fullmatch(r"[a-z]+://(\[[^\[\]/]+\]|[^:\[\]/\s]+):\d{1,5}", text):
        found = text, None
    else:
        raise UsageError(f"--scheduler {text!r} is not understood; {known}")
    _distributed()
    return found


@dataclass(frozen=True)
class Wish:
    """Where runs shall compute on machines that one does not know: `devices` and `threads` of each, as of `place`."""

    devices: str
    threads: int


def execute_on(
    address: str,
    sweep: SweepFolder,
    experiments: Sequence[Experiment],
    where: Placement | Wish,
    report: Callable[[Event], None] = lambda event: None,
    poll: Callable[[], None] = lambda: None,
) -> list[Event]:
    """Do what `pool.execute` does on the workers of a dask scheduler.

    Each worker does as many runs at once as it has threads in dask's sense, on the devices that it finds on its
    machine; with several GPUs each of its runs sees one.

    Args:
        address: of the scheduler; `local` starts one here with a worker for each job of `where`.
        sweep: the sweep folder, on a disk that all workers see under the same path.
        experiments: those of its runs to do, in this order.
        where: a placement for `local`, a wish for other workers.
        report: called for each event, from the calling thread; `started` comes again, with a message, where a run
            goes on on another worker.
        poll: called a few times a second while runs go on.

    Returns:
        How each run ended, in the order in which they did.

    Raises:
        KeyboardInterrupt: Ctrl-C; the runs that were going on have recorded `stopped`.
        UsageError: a loss of one's own is not one that its user has run, or its file is wrong.
        RunError: no scheduler answers or it was lost; a worker has no simplexlab, or another version, or does not see
            the sweep folder.
    """
    ended, undone = sort_out(sweep, experiments)
    if not undone:
        return ended
    order = _Order(
        sweep=os.path.abspath(sweep.path),
        created=sweep.created,
        version=__version__,
        token=secrets.token_hex(HOLDER_LENGTH // 2),
        where=where,
        folder=os.getcwd() if _relative(experiments) else None,
    )
    with _connected(address, where) as client:
        _check_workers(client, order)
        tasks = _Tasks(client, order, undone, report)
        try:
            while not tasks.wait(POLL_SECONDS):
                poll()
        except BaseException:
            tasks.stop()
            raise
    return ended + tasks.ended


@dataclass(frozen=True)
class _Order:
    """What every task of one sweep is told.

    Attributes:
        sweep: absolute path of the sweep folder.
        created: when it was made, to know it again.
        version: of simplexlab.
        token: of this sweep; what its workers write into the claims of their runs.
        where: where the runs compute; of a wish each worker makes a placement.
        folder: the folder to which paths of data are relative, None where there is none.
    """

    sweep: str
    created: str
    version: str
    token: str
    where: Placement | Wish
    folder: str | None

    def unfit(self) -> str | None:
        """Why this process cannot do its runs, None if it can."""
        if self.version != __version__:
            return _other_version(__version__, self.version)
        try:
            is_seen = SweepFolder(self.sweep).created == self.created
        except (UsageError, RunError):
            is_seen = False
        if not is_seen:
            return f"does not see the sweep folder {self.sweep}; it must be on a disk that all machines share"
        if self.folder is not None and not os.path.isdir(self.folder):
            return f"does not see {self.folder}, to which the path of the data is relative; give the whole path"
        return None


def _other_version(theirs: str | None, ours: str) -> str:
    has = f"simplexlab {theirs}" if theirs else "no simplexlab"
    return f"has {has}, this is {ours}; install the same where it runs"


def _cannot_run(error: Exception) -> str:
    return f"cannot run this simplexlab, {__version__} ({error}); install the same where it runs"


class _Tasks:
    """The tasks of one sweep, as its client sees them."""

    def __init__(self, client: "Client", order: _Order, undone: Sequence[Undone], report: Callable[[Event], None]):
        self.client = client
        self.order = order
        self.report = report
        self.ended: list[Event] = []
        self.started: set[str] = set()
        self.news: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()  # filled by threads of the client
        self.scheduler_lost = False
        client.subscribe_topic(TOPIC, self._hear)
        self.futures: dict[str, Future] = {}
        for index, run in enumerate(undone):
            name, told = run.experiment.name, pickle.dumps((order, run))
            key = f"simplexlab-{order.token}", index
            future = self.futures[name] = client.submit(_task(), told, key=key, priority=-index, pure=False)
            future.add_done_callback(functools.partial(self._note, name))

    def wait(self, seconds: float) -> bool:
        """Wait that long for the end; tells whether it has come."""
        deadline = time.monotonic() + seconds
        while self.futures and (left := deadline - time.monotonic()) > 0:
            try:
                name, news = self.news.get(timeout=left)
            except queue.Empty:
                if self.client.status not in ("running", "connecting"):
                    self._lose_scheduler()
                break
            if isinstance(news, str):
                self._start(name, news)
            elif name in self.futures:
                self._end(name, self._outcome(name, news))
        return not self.futures

    def stop(self) -> None:
        """As `pool.execute` stops; where the scheduler is lost, its workers stop by themselves."""
        self.client.cancel([self.futures.pop(name) for name in self.futures.keys() - self.started])
        if self.scheduler_lost or not self.futures:
            return
        logger.warning(STOPPING, extra=AT_ONCE)
        for urgency in URGENCIES:
            with contextlib.suppress(KeyboardInterrupt):
                with contextlib.suppress(OSError):  # a worker, or the scheduler, is lost meanwhile
                    self.client.run(_stop, self.order.token, urgency, on_error="ignore")
                with contextlib.suppress(RunError):
                    while not self.wait(POLL_SECONDS):
                        pass
                return

    def _hear(self, event: tuple[float, dict[str, str]]) -> None:
        _, message = event
        if message["token"] == self.order.token:
            self.news.put((message["run"], message["worker"]))

    def _note(self, name: str, future: "Future") -> None:
        self.news.put((name, future))

    def _start(self, name: str, worker: str) -> None:
        again = name in self.started
        self.started.add(name)
        self.report(Event(name, "started", f"its worker was lost; it goes on at {worker}" if again else None))

    def _end(self, name: str, event: Event) -> None:
        del self.futures[name]
        self.ended.append(event)
        self.report(event)

    def _outcome(self, name: str, future: "Future") -> Event:
        if future.status == "finished":
            return future.result()
        if future.status != "error":
            self._lose_scheduler()
        error = future.exception()
        if isinstance(error, _distributed().KilledWorker):
            return Event(name, "failed", f"{error.allowed_failures + 1} workers were lost while they had it")
        if isinstance(error, ImportError | AttributeError):  # it came late, and could not look whether it is fit
            raise RunError(f"a worker {_cannot_run(error)}")
        raise error

    def _lose_scheduler(self) -> None:
        self.scheduler_lost = True
        raise RunError("lost the scheduler; its workers stop their runs, and the same command goes on with them")


def _check_workers(client: "Client", order: _Order) -> None:
    """Raise a RunError where one of the workers that are there cannot do the runs; those that come later tell it."""
    # A function that every Python has, as a worker may have no simplexlab.
    versions = client.run(pydoc.locate, "simplexlab.__version__", on_error="return")
    if not versions:
        logger.warning("the scheduler has no workers yet; the runs wait for the first", extra=AT_ONCE)
    for worker, version in versions.items():
        if isinstance(version, Exception):
            raise RunError(f"the worker {worker} {_cannot_run(version)}")
        if version != __version__:
            raise RunError(f"the worker {worker} {_other_version(version, __version__)}")
    for worker, why in client.run(order.unfit, on_error="return").items():
        if why is not None:
            raise RunError(f"the worker {worker} {_cannot_run(why) if isinstance(why, Exception) else why}")


@contextlib.contextmanager
def _connected(address: str, where: Placement | Wish) -> Iterator["Client"]:
    """A client of the scheduler; of one of our own, on the loopback interface, where the address is `local`."""
    distributed = _distributed()
    with contextlib.ExitStack() as stack:
        stack.enter_context(_quiet())
        if address == LOCAL:
            address = stack.enter_context(
                distributed.LocalCluster(
                    n_workers=where.jobs,
                    threads_per_worker=1,
                    processes=True,
                    host="127.0.0.1",
                    dashboard_address="127.0.0.1:0",
                    worker_dashboard_address="127.0.0.1:0",
                    memory_limit=0,  # the runs are processes of their own
                    local_directory=stack.enter_context(tempfile.TemporaryDirectory(prefix="simplexlab-")),
                    preload=[*_preloads(), __name__],
                    silence_logs=logging.CRITICAL,
                )
            )
        try:
            client = distributed.Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
        except OSError as error:
            raise RunError(f"no dask scheduler answers at {address}; `dask scheduler` starts one") from error
        except ValueError as error:
            raise UsageError(f"--scheduler {address}: {error}") from error
        yield stack.enter_context(client)


def _preloads() -> Sequence[str]:
    """What the user's own configuration of dask has its workers load."""
    import dask

    return dask.config.get("distributed.worker.preload", None) or ()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Within the block dask logs nothing: what concerns a run is told by its event, the rest by an error."""
    loggers = [logging.getLogger(name) for name in logging.root.manager.loggerDict if name.startswith("distributed")]
    saved = [known.level for known in loggers]
    for known in loggers:
        known.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for known, level in zip(loggers, saved, strict=True):
            known.setLevel(level)


def _distributed() -> ModuleType:
    """dask.distributed, which is imported in half a second, and only here.

    Raises:
        UsageError: it is not installed.
    """
    try:
        import distributed
    except ImportError as error:
        raise UsageError(
            f"--scheduler needs dask.distributed ({error}); install it: pip install 'simplexlab[cluster]'"
        ) from error
    return distributed


def _relative(experiments: Sequence[Experiment]) -> bool:
    """Whether an option names data by a path that is relative to the working directory."""
    paths = {experiment.data_dir for experiment in experiments}
    paths |= {name for name in {run.dataset for run in experiments} if dataset_kind(name) in ("npz", "folder")}
    return any(path and not Path(path).is_absolute() and not path.startswith("~") for path in paths)


def _task() -> Callable[[bytes], Event]:
    """`do_run` as the scheduler gets it, which need not have simplexlab: an inner function is sent as its code."""

    def task(told: bytes) -> Any:  # annotations are sent too
        import pickle

        from simplexlab.sweep.scheduler import do_run

        return do_run(*pickle.loads(told))

    return task


# What follows runs in the workers.


def dask_setup(worker: "Worker") -> None:
    """Dask calls this when it starts a local worker: Ctrl-C in the terminal is for the sweep's own process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def do_run(order: _Order, undone: Undone) -> Event:
    """The task: do one run on this worker, and return how it ended.

    Raises:
        RunError: this worker cannot do the runs of the sweep.
        Reschedule: the worker closes; another one goes on.
    """
    distributed = _distributed()
    worker = distributed.get_worker()
    if (why := order.unfit()) is not None:
        raise RunError(f"the worker {worker.address} {why}")
    placement, job = order.where, None
    if isinstance(placement, Placement):
        job = worker.name  # local workers are numbered
    else:
        try:
            placement = _place(placement.devices, worker.state.nthreads, placement.threads)
        except UsageError as error:
            raise RunError(f"the worker {worker.address}: {error}") from error
    with _slots.taken(placement, job, order.folder) as slot, _watched(worker, order.token, slot):
        event = _claim_and_run(order, undone, slot, worker)
    if slot.urgency and order.token not in _stopped and event.state in ("stopped", "busy"):
        raise distributed.Reschedule
    return event


def _claim_and_run(order: _Order, undone: Undone, slot: Slot, worker: "Worker") -> Event:
    sweep, name = SweepFolder(order.sweep), undone.experiment.name

    def started(name: str) -> None:
        worker.log_event(TOPIC, {"token": order.token, "run": name, "worker": worker.address})

    while not slot.urgency:
        with sweep.claim(name, order.token) as claim:
            if claim.granted and claim.holder == order.token:  # a worker had it that was lost since
                undone = dataclasses.replace(undone, stamp=stamp(_when_ended(sweep.path / name, slot)))
            if claim.granted:
                return slot.run(sweep, undone, started)
        if claim.holder != order.token:
            return Event(name, "busy")
        time.sleep(POLL_SECONDS)  # the lost worker has not noticed yet
    return Event(name, "stopped")


def _when_ended(folder: Path, slot: Slot) -> Run:
    """The run when the process of a lost worker has stopped it, or is dead for as long as it takes to be sure."""
    while (run := read_run(folder)).status.state == "running" and not slot.urgency:
        time.sleep(POLL_SECONDS)
    return run


_place = functools.cache(place)
_stopped: dict[str, int] = {}  # token of a sweep that is being stopped → how urgently


def _stop(token: str, urgency: int) -> None:
    """Have the runs of a sweep stop on this worker."""
    _stopped[token] = urgency


@contextlib.contextmanager
def _watched(worker: "Worker", token: str, slot: Slot) -> Iterator[None]:
    """Within the block the slot is ended when the sweep is stopped or the worker closes."""
    over = threading.Event()

    def watch() -> None:
        while not over.wait(POLL_SECONDS):
            closes = worker.status.name not in ("running", "paused")
            urgency = _stopped.get(token, STOP if closes else 0)
            if urgency > slot.urgency:
                slot.end(urgency)

    watcher = threading.Thread(target=watch, name="watch a run", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()


class _Slots:
    """The slots of this worker; one that has had nothing to do for a while ends its process."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._idle: dict[int, tuple[Slot, threading.Timer]] = {}
        self._busy: set[int] = set()

    @contextlib.contextmanager
    def taken(self, placement: Placement, job: int | None, folder: str | None) -> Iterator[Slot]:
        """A slot of one's own within the block: of that job, or of the lowest that is free."""
        with self._mutex:
            if job is None:
                job = next(number for number in range(len(self._busy) + 1) if number not in self._busy)
            self._busy.add(job)
            slot, timer = self._idle.pop(job, (None, None))
        if timer is not None:
            timer.cancel()
        if slot is None or (slot.placement, slot.folder) != (placement, folder):
            if slot is not None:
                slot.close()
            slot = Slot(placement, job, folder)
        try:
            yield slot
        finally:
            if slot.urgency:
                slot.close()
            with self._mutex:
                self._busy.discard(job)
                if not slot.urgency:
                    timer = threading.Timer(IDLE_SECONDS, self._retire, [job, slot])
                    timer.daemon = True
                    timer.start()
                    self._idle[job] = slot, timer

    def _retire(self, job: int, slot: Slot) -> None:
        with self._mutex:
            if self._idle.get(job, (None,))[0] is not slot:
                return
            del self._idle[job]
        slot.close()


_slots = _Slots()
