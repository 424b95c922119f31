"""Starts and stops training processes, each in a session of its own, so that they outlive the interface."""

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from simplexlab.errors import RunError, UsageError
from simplexlab.files import is_own_folder, open_file
from simplexlab.runs import Run, read_run
from simplexlab.runs.folder import LOG_FILE
from simplexlab.tui.views.guess import Guess, write_guess

LAUNCH_LOG = ".launch-"
NICENESS = 10  # of a training: what the user does on the screen goes first, an idle core is used in full


@dataclass
class Launch:
    """A command that was asked for and has no run folder yet.

    Attributes:
        arguments: Words after `simplexlab`.
        state: queued, starting, or failed.
        message: Its last words, if it failed.
        process: Its process, once it was started.
        run: Name of its run folder, once it has one.
        guess: What was guessed of it, kept in its run folder.
    """

    arguments: list[str]
    state: str = "queued"
    message: str | None = None
    process: subprocess.Popen | None = field(default=None, repr=False)
    log: Path | None = field(default=None, repr=False)
    run: str | None = None
    guess: Guess | None = None


class Launcher:
    """The queue of one folder of runs.

    Args:
        run_dir: Folder that holds the runs.
        jobs: How many runs of this machine may be busy in it at once; others wait their turn.
    """

    def __init__(self, run_dir: Path, jobs: int):
        self.run_dir = run_dir
        self.jobs = jobs
        self.launches: list[Launch] = []
        self._children: list[Launch] = []

    def submit(self, arguments: list[str], guess: Guess | None = None) -> Launch:
        """Put a command at the end of the queue, with what was guessed of it; `poll` starts it."""
        launch = Launch(arguments, guess=guess)
        self.launches.append(launch)
        return launch

    def poll(self, runs: list[Run]) -> list[Launch]:
        """Take note of what became of the launches, and start those whose turn it is.

        Args:
            runs: The runs in the folder as they stand.

        Returns:
            Launches that failed since the last poll.
        """
        here = socket.gethostname()
        by_pid = {run.status.pid: run for run in runs if run.status.host == here}
        failed = []
        self._children = [child for child in self._children if child.process.poll() is None]
        for launch in list(self.launches):
            if launch.state != "starting":
                continue
            if launch.process.pid in by_pid:
                self.launches.remove(launch)
                launch.run = by_pid[launch.process.pid].name
                if launch.guess is not None:
                    write_guess(by_pid[launch.process.pid].path, launch.guess)
            elif launch.process.poll() == 0:
                self.launches.remove(launch)  # there was nothing to do
            elif launch.process.poll() is not None:
                launch.state, launch.message = "failed", last_words(launch.log)
                failed.append(launch)
        self._adopt_logs(by_pid)
        busy = sum(run.status.state == "running" and run.status.host == here for run in runs)
        busy += sum(launch.state == "starting" for launch in self.launches)
        for launch in self.launches:
            if busy >= self.jobs:
                break
            if launch.state == "queued":
                self._start(launch)
                busy += 1
        return failed

    @property
    def waiting(self) -> int:
        """How many launches wait for their turn."""
        return sum(launch.state == "queued" for launch in self.launches)

    def forget(self, launch: Launch) -> None:
        """Take a launch that waits or failed off the list; one that is starting is asked to stop."""
        if launch.state == "starting":
            with contextlib.suppress(ProcessLookupError):
                launch.process.send_signal(signal.SIGINT)
        if launch in self.launches:
            self.launches.remove(launch)

    def _start(self, launch: Launch) -> None:
        try:
            self.run_dir.mkdir(parents=True, exist_ok=True)
            # The run folder does not exist before the process makes it: the log moves there when it does.
            log = self.run_dir / f"{LAUNCH_LOG}new-{secrets.token_hex(8)}"
            with os.fdopen(open_file(log, os.O_WRONLY | os.O_CREAT | os.O_EXCL), "wb") as file:
                launch.process = subprocess.Popen(
                    [sys.executable, "-m", "simplexlab", *launch.arguments],
                    stdin=subprocess.DEVNULL,
                    stdout=file,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            _put_behind(launch.process.pid)
            launch.log = log.rename(self.run_dir / f"{LAUNCH_LOG}{launch.process.pid}")
            launch.state = "starting"
            self._children.append(launch)
        except OSError as error:
            launch.state, launch.message = "failed", f"cannot start in {self.run_dir}: {error.strerror or error}"

    def _adopt_logs(self, by_pid: dict[int | None, Run]) -> None:
        """Move each log to its run folder, also one that an interface left behind; forget those of dead processes."""
        for log in self.run_dir.glob(f"{LAUNCH_LOG}*"):
            number = log.name.removeprefix(LAUNCH_LOG)
            if not number.isdecimal():
                continue
            run = by_pid.get(int(number))
            with contextlib.suppress(OSError):
                if run is not None and is_own_folder(run.path):
                    log.rename(run.path / LOG_FILE)
                elif not _is_alive(int(number)):
                    log.unlink()


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def last_words(log: Path | None) -> str:
    """The last line of a log."""
    with contextlib.suppress(OSError):
        lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
        if lines:
            return lines[-1].removeprefix("simplexlab: ")
    return "the process ended without a word"


def stop(run: Run) -> None:
    """Ask the process of a run to stop at its next chance; it records the state stopped.

    Raises:
        UsageError: the run is not running, or runs on another machine.
        RunError: its process cannot be reached.
    """
    latest = read_run(run.path)
    if latest.status.state != "running" or latest.status.pid is None:
        raise UsageError(f"{run.name} is not running ({latest.status.state})")
    if latest.status.host != socket.gethostname():
        raise UsageError(f"{run.name} runs on {latest.status.host}; stop it there")
    try:
        os.kill(latest.status.pid, signal.SIGINT)
    except OSError as error:
        raise RunError(f"cannot stop process {latest.status.pid} of {run.name}: {error.strerror}") from error


def delete(run: Run) -> None:
    """Remove a run folder.

    Raises:
        UsageError: the run is running.
        RunError: the folder cannot be removed.
    """
    if read_run(run.path).status.state == "running":
        raise UsageError(f"{run.name} is running; stop it first")
    try:
        shutil.rmtree(run.path)
    except OSError as error:
        raise RunError(f"cannot delete {run.path}: {error.strerror or error}") from error


def _put_behind(process: int) -> None:
    """Lower the priority of a process just started, also that of its session where Linux schedules by sessions."""
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, process, NICENESS)
    with contextlib.suppress(OSError):
        Path(f"/proc/{process}/autogroup").write_text(str(NICENESS))
