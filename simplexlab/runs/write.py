"""The one writer of a run folder."""

import contextlib
import errno
import io
import os
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import numpy as np

from simplexlab.errors import RunError, UsageError
from simplexlab.files import (
    is_own_folder,
    is_temporary,
    make_folder,
    open_binary,
    open_file,
    reason,
    replace_file,
    replacing,
    write_all,
)
from simplexlab.runs import folder
from simplexlab.runs.folder import (
    STATES,
    Locked,
    LocksUnsupported,
    check_name,
    check_parts,
    default_name,
    encode,
    parse_line,
    take_lock,
)
from simplexlab.runs.read import Run, is_fresh, read_as_written

HEARTBEAT_SECONDS = 2.0
# A status longer than this might not fit the block it already has on a full disk.
LONGEST_MESSAGE = 500


class RunWriter:
    """Writes one run folder and holds its lock until `close`; made by `create` or `reopen`.

    Every file but `metrics.jsonl`, which only grows, is replaced whole or not at all. A thread rewrites `status.json`
    every two seconds, so that a reader on another machine sees that the run lives. As a context manager it ends a run
    that is still `running` when an exception leaves the block: `stopped` for KeyboardInterrupt, otherwise `failed`. A
    new run of which nothing was recorded yet is removed where it was interrupted, or the memory did not do.

    Attributes:
        path: The run folder.
        name: Its name.
    """

    def __init__(
        self,
        path: Path,
        lock: int | None,
        total: int,
        *,
        iteration: int = 0,
        sequence: int = 0,
        made_run_dir: bool = False,
        is_new: bool = False,
    ):
        self.path = path
        self.name = path.name
        self._lock = lock
        self._made_run_dir = made_run_dir
        self._is_blank = is_new
        self._mutex = threading.RLock()
        self._status = {
            "format": folder.FORMAT,
            "state": "running",
            "iteration": iteration,
            "total": total,
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "heartbeat": 0.0,
            "sequence": sequence,
            "message": None,
        }
        self._closed = threading.Event()
        self._heartbeat = threading.Thread(target=self._beat, name=f"heartbeat of {self.name}", daemon=True)

    @classmethod
    def create(
        cls, run_dir: str | Path, name: str, config: dict[str, Any], *, total: int, numbered: bool = False
    ) -> Self:
        """Make the folder `run_dir/name`, which must not exist, and start to write a run in it.

        Args:
            run_dir: Folder that holds runs; made if it does not exist.
            name: Name of the run.
            config: What `config.json` holds; the key `format` is added.
            total: Iterations that the run will take.
            numbered: If the name is taken, use name-2, name-3… instead (see `default_name`).

        Raises:
            UsageError: the name is taken or is no folder name, or `run_dir` is no folder.
            RunError: the folder cannot be written.
        """
        run_dir = Path(run_dir)
        if not numbered:
            check_name(name)
        text, _ = encode({"format": folder.FORMAT, **config})
        made_run_dir = _make_run_dir(run_dir)
        while True:
            chosen = default_name(run_dir, name) if numbered else name
            path = run_dir / chosen
            try:
                lock = _claim(path)
                break
            except FileExistsError:
                if not numbered:
                    raise _is_taken(run_dir, name) from None
            except OSError as error:
                with contextlib.suppress(OSError):  # without a lock it is of no use, and empty
                    path.rmdir()
                    if made_run_dir:
                        run_dir.rmdir()
                raise RunError(f"cannot make the run folder {path}: {reason(error)}") from error
        try:
            with _told(path):
                writer = cls(path, lock, total, made_run_dir=made_run_dir, is_new=True)
                writer._replace(folder.CONFIG_FILE, text.encode() + b"\n")
                os.close(open_file(path / folder.METRICS_FILE, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
                writer._write_status(sync=True)
        except BaseException:
            _remove(path, made_run_dir)
            raise
        writer._heartbeat.start()
        return writer

    @staticmethod
    def check_free(run_dir: str | Path, name: str) -> None:
        """Raise the UsageError that `create` would raise for a name, before anything is computed for the run."""
        check_name(name)
        path = Path(run_dir, name)
        if os.path.lexists(path) and not _is_leftover(path):
            raise _is_taken(Path(run_dir), name)

    @classmethod
    def reopen(cls, path: str | Path, *, total: int | None = None) -> Self:
        """Go on writing the run in `path`, which no other process may be writing.

        Call `rewind` once the checkpoint to go on from is known.

        Args:
            path: The run folder.
            total: Iterations that the run will take; by default as before.

        Raises:
            UsageError: there is no run in `path`, another process writes it, or a newer version of simplexlab made it.
            RunError: the folder cannot be written.
        """
        path = Path(path)
        run = read_as_written(path)
        if run.status.state == "unknown version":
            raise UsageError(f"{path}: {run.status.message}")
        if not run.config:
            raise UsageError(f"{path} is not a run folder; `simplexlab runs` lists the runs")
        check_parts(path)
        with _told(path):
            try:
                lock = _take_lock_patiently(path)
            except Locked:
                raise _is_being_written(run) from None
        try:
            with _told(path):
                run = read_as_written(path)
                # The lock says nothing about another machine.
                elsewhere = lock is None or run.status.host != socket.gethostname()
                if elsewhere and run.status.state == "running" and is_fresh(run.status):
                    raise _is_being_written(run)
                for leftover in path.rglob(".*"):
                    if is_temporary(leftover.name):
                        leftover.unlink(missing_ok=True)
                total = run.status.total if total is None else total
                writer = cls(path, lock, total, iteration=run.status.iteration, sequence=run.status.sequence)
                writer._write_status(sync=True)
        except BaseException:
            if lock is not None:
                os.close(lock)
            raise
        writer._heartbeat.start()
        return writer

    @property
    def checkpoints_path(self) -> Path:
        """Folder of the checkpoints."""
        return self.path / folder.CHECKPOINTS_FOLDER

    @property
    def tensorboard_path(self) -> Path:
        """Folder of the event files."""
        return self.path / folder.TENSORBOARD_FOLDER

    @property
    def log_path(self) -> Path:
        """Where a log of the process belongs; readers show its last lines when the process dies."""
        return self.path / folder.LOG_FILE

    def log_metrics(self, record: dict[str, Any]) -> None:
        """Append one line to `metrics.jsonl`; it is on the disk when this returns.

        Numbers that are not finite become null, and their keys are listed under `non_finite`.

        Raises:
            RunError: the line could not be written; the file is left as it was.
        """
        line, non_finite = encode(record)
        if non_finite:
            line, _ = encode({**record, "non_finite": non_finite})
        path = self.path / folder.METRICS_FILE
        self._is_blank = False
        with self._mutex, _told(path):
            descriptor = open_file(path, os.O_WRONLY | os.O_APPEND)
            try:
                size = os.fstat(descriptor).st_size
                try:
                    write_all(descriptor, line.encode() + b"\n")
                    os.fsync(descriptor)
                except BaseException:
                    os.ftruncate(descriptor, size)
                    raise
            finally:
                os.close(descriptor)

    def save_config(self, config: dict[str, Any]) -> None:
        """Replace `config.json`: for a run that goes on to more iterations than it was started with."""
        text, _ = encode({**config, "format": folder.FORMAT})
        self._replace(folder.CONFIG_FILE, text.encode() + b"\n")

    def save_labels(self, labels: np.ndarray, flipped: np.ndarray, clean: np.ndarray) -> None:
        """Write `labels.npz`.

        Args:
            labels: (N,) integer labels that the run trains on.
            flipped: (F,) integer indices of those that are wrong.
            clean: (N,) integer true labels.
        """
        self._replace(folder.LABELS_FILE, _npz(labels=labels, flipped=flipped, clean=clean))

    def save_loss(self, source: bytes) -> None:
        """Keep a copy of the file of a loss of one's own."""
        self._replace(folder.LOSS_FILE, source)

    def save_geometry(self, iteration: int, **arrays: np.ndarray) -> None:
        """Write the arrays of one evaluation to `geometry/`, under their names."""
        with _told(self.path / folder.GEOMETRY_FOLDER):
            make_folder(self.path / folder.GEOMETRY_FOLDER)
        self._replace(f"{folder.GEOMETRY_FOLDER}/{iteration:08d}.npz", _npz(**arrays), sync=False)

    def save_result(self, record: dict[str, Any]) -> None:
        """Write `result.json`, the final summary; numbers that are not finite become null."""
        text, _ = encode(record)
        self._replace(folder.RESULT_FILE, text.encode() + b"\n")

    def save_model(self, save: Callable[[Path], None], name: str = folder.MODEL_FILE) -> None:
        """Write `model.keras`, or the projection head: `save` is called with a path that ends in .keras, which then
        takes the place of the file of that name.

        Raises:
            RunError: it could not be written.
            MemoryError: there was not enough of it.
        """
        path = self.path / name
        with _told(path), replacing(path) as temporary:
            try:
                save(temporary)
            except Exception as error:
                if refusal := _refusal(error):
                    raise refusal from None
                raise

    def progress(self, iteration: int) -> None:
        """Note the iteration, free of cost; the next heartbeat tells it."""
        self._status["iteration"] = int(iteration)

    def set_status(self, state: str, iteration: int | None = None, message: str | None = None) -> None:
        """Write `status.json` now.

        Args:
            state: One of `STATES`.
            iteration: Iterations done; by default as before.
            message: One line for people; None removes the one before.

        Raises:
            RunError: it could not be written.
        """
        if state not in STATES:
            raise ValueError(f"state {state!r} is none of {', '.join(STATES)}")
        with self._mutex:
            self._status["state"] = state
            self._status["message"] = message and " ".join(message.split())[:LONGEST_MESSAGE]
            if iteration is not None:
                self.progress(iteration)
            with _told(self.path / folder.STATUS_FILE):
                self._write_status(sync=state != "running")

    @property
    def state(self) -> str:
        """The state last set."""
        return self._status["state"]

    def rewind(self, iteration: int) -> None:
        """Forget what was recorded after `iteration`: metrics lines, geometry, and any result.

        Raises:
            RunError: the folder could not be written.
        """
        metrics = self.path / folder.METRICS_FILE
        with self._mutex:
            with _told(metrics):
                lines = _lines(metrics)
            kept = []
            for line in lines:
                record = parse_line(line) if line.endswith(b"\n") else None
                if record is not None and record.get("iteration", 0) <= iteration:
                    kept.append(line)
            self._replace(folder.METRICS_FILE, b"".join(kept))
            with _told(self.path):
                (self.path / folder.RESULT_FILE).unlink(missing_ok=True)
                for frame in (self.path / folder.GEOMETRY_FOLDER).glob("*.npz"):
                    if frame.stem.isdecimal() and int(frame.stem) > iteration:
                        frame.unlink(missing_ok=True)
            self.set_status("running", max(iteration, 0))  # nothing is recorded of a run that has yet to start

    def close(self) -> None:
        """Stop the heartbeat and free the lock; the state stays as it is."""
        self._closed.set()
        if self._heartbeat.is_alive() and self._heartbeat is not threading.current_thread():
            self._heartbeat.join()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def discard(self) -> None:
        """Close, and remove the folder: for input that turns out to be wrong before anything was learned."""
        self.close()
        _remove(self.path, self._made_run_dir)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind, error, traceback) -> None:
        try:
            is_blank = self._is_blank and self._status["iteration"] == 0
            if is_blank and isinstance(error, KeyboardInterrupt | MemoryError | ImportError):
                self.discard()
            elif error is not None and self.state == "running" and self.path.exists():
                with contextlib.suppress(RunError):
                    if isinstance(error, KeyboardInterrupt):
                        self.set_status("stopped", message="interrupted")
                    else:
                        self.set_status("failed", message=str(error) or kind.__name__)
        finally:
            self.close()

    def _beat(self) -> None:
        while not self._closed.wait(HEARTBEAT_SECONDS):
            # A full disk or a deleted folder is told by the next write of the training loop.
            with contextlib.suppress(OSError), self._mutex:
                if not self._closed.is_set():
                    self._write_status(sync=False)

    def _write_status(self, *, sync: bool) -> None:
        with self._mutex:
            self._status["heartbeat"] = time.time()
            self._status["sequence"] += 1
            text, _ = encode(self._status)
            data = text.encode() + b"\n"
            path = self.path / folder.STATUS_FILE
            try:
                replace_file(path, data, sync=sync)
            except OSError as error:
                if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                    raise
                # A full disk still has the block of the file that is there.
                _overwrite_file(path, data)

    def _replace(self, name: str, data: bytes, *, sync: bool = True) -> None:
        with self._mutex, _told(self.path / name):
            replace_file(self.path / name, data, sync=sync)


def _make_run_dir(run_dir: Path) -> bool:
    """Make the folder of runs; tells whether it was missing."""
    try:
        if run_dir.is_dir():
            return False
        run_dir.mkdir(parents=True, exist_ok=True)
        return True
    except (FileExistsError, NotADirectoryError):
        raise UsageError(f"--run-dir {run_dir} is not a folder") from None
    except ValueError:
        raise UsageError(f"--run-dir {str(run_dir)!r} is not a path") from None
    except OSError as error:
        raise RunError(f"cannot make the folder {run_dir}: {reason(error)}") from error


def _claim(path: Path) -> int | None:
    """Make the folder `path` and take its lock; a folder that a killed `create` left behind counts as new.

    Raises:
        FileExistsError: it is there, or another process was faster.
        OSError: it cannot be made.
    """
    try:
        path.mkdir()
    except FileExistsError:
        if not _is_leftover(path):
            raise
    try:
        lock = _take_lock_patiently(path)
    except Locked:
        raise FileExistsError from None
    if not _is_leftover(path):
        if lock is not None:
            os.close(lock)
        raise FileExistsError
    return lock


def _is_leftover(path: Path) -> bool:
    """Whether the folder is one's own and holds nothing but a lock and half-written files."""
    if not is_own_folder(path) or path.stat().st_uid != os.geteuid():
        return False
    with os.scandir(path) as entries:
        return all(
            entry.is_file(follow_symlinks=False) and (entry.name == folder.LOCK_FILE or is_temporary(entry.name))
            for entry in entries
        )


def _lines(path: Path) -> list[bytes]:
    try:
        with open_binary(path) as file:
            return file.readlines()
    except FileNotFoundError:
        return []


def _remove(path: Path, made_run_dir: bool) -> None:
    shutil.rmtree(path, ignore_errors=True)
    if made_run_dir:
        with contextlib.suppress(OSError):  # another run may have come to be in it
            path.parent.rmdir()


def _take_lock_patiently(path: Path) -> int | None:
    """Take the lock, waiting out the instant for which a reader may hold it; None where there are no locks."""
    attempts = 20
    while True:
        try:
            return take_lock(path)
        except LocksUnsupported:
            return None
        except Locked:
            attempts -= 1
            if not attempts:
                raise
            time.sleep(0.02)


def _is_taken(run_dir: Path, name: str) -> UsageError:
    return UsageError(
        f"a run named {name} exists already in {run_dir}; choose another with --name, "
        f"for example {default_name(run_dir, name)}"
    )


def _is_being_written(run: Run) -> UsageError:
    return UsageError(
        f"the run {run.name} is being written by process {run.status.pid} on {run.status.host}; stop that process "
        "first (if it was killed on another machine, wait a minute)"
    )


@contextlib.contextmanager
def _told(path: Path) -> Iterator[None]:
    """Tell an OSError in one line that names the file."""
    try:
        yield
    except FileNotFoundError as error:
        raise RunError(f"cannot write {path}: the run folder was removed while the run was going") from error
    except OSError as error:
        raise RunError(f"cannot write {path}: {reason(error)}") from error


def _refusal(error: BaseException | None) -> OSError | MemoryError | None:
    """What the operating system refused, which libraries bury under what then went wrong while they closed a file."""
    while error is not None and not isinstance(error, OSError | MemoryError):
        error = error.__cause__ or error.__context__
    return error


def _overwrite_file(path: Path, data: bytes) -> None:
    descriptor = open_file(path, os.O_WRONLY)
    try:
        # Spaces instead of a shorter file: one write, so that a reader sees the old text or the new one.
        os.pwrite(descriptor, data[:-1].ljust(os.fstat(descriptor).st_size - 1) + b"\n", 0)
    finally:
        os.close(descriptor)


def _npz(**arrays: Any) -> bytes:
    plain = {name: np.asarray(array) for name, array in arrays.items()}
    for name, array in plain.items():
        if array.dtype.kind not in "biufcSU":
            raise TypeError(f"{name} is of type {array.dtype}, which an .npz file holds only pickled")
    buffer = io.BytesIO()
    np.savez(buffer, **plain)
    return buffer.getvalue()
