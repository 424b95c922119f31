"""`simplexlab launch`: the workers of one run as processes of this machine."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import IO, Annotated

from cyclopts import Parameter

from simplexlab.asides import notice
from simplexlab.cli.common import WholeNumber
from simplexlab.errors import UsageError
from simplexlab.memory import check_address_space

# How long a worker may take to end by itself: after worker 0 has ended, and worker 0 after another has died.
END_SECONDS = 15.0
NOTICE_SECONDS = 60.0


def launch(
    *command: Annotated[str, Parameter(help="What each worker runs, after --: train or resume with its options.")],
    workers: Annotated[WholeNumber, Parameter(help="Number of workers, 2 to 64.")] = 2,
) -> int:
    """Train one run with several worker processes on this machine, to try out what runs on several machines.

    Each worker gets a GPU of its own where there are enough; otherwise all compute on the CPU. TensorFlow's servers in
    the workers listen on all network interfaces and trust whoever reaches their ports.
    """
    if not 2 <= workers <= 64:
        raise UsageError(f"--workers {workers} must be between 2 and 64")
    if not command or command[0] not in ("train", "resume"):
        given = f"launch cannot run {command[0]}" if command else "launch needs a command"
        raise UsageError(f"{given}; it takes train or resume: simplexlab launch --workers 2 -- train --loss ce")
    check_address_space(workers)
    ports = _free_ports(workers)
    addresses = [f"127.0.0.1:{port}" for port in ports]
    notice(f"the workers listen on all interfaces, ports {', '.join(map(str, ports))}, until they end")
    gpus = _gpus()
    if gpus and len(gpus) < workers:
        notice(f"{len(gpus)} GPU for {workers} workers: all compute on the CPU")
    processes: list[subprocess.Popen] = []
    with contextlib.ExitStack() as files, _signals() as received:
        logs: list[IO[bytes]] = []
        try:
            for index in range(workers):
                task = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
                environment = {**os.environ, "TF_CONFIG": json.dumps(task)}
                if gpus:
                    environment["CUDA_VISIBLE_DEVICES"] = gpus[index] if len(gpus) >= workers else "-1"
                logs.append(files.enter_context(tempfile.TemporaryFile()))
                processes.append(_start(command, environment, None if index == 0 else logs[index]))
            _watch(processes, received)
        finally:
            _kill(processes)
        chief = processes[0].returncode
        told = (0, 130, -signal.SIGKILL) if chief != 2 else (0, 2, -signal.SIGKILL)  # wrong usage is wrong in each
        for index, process in enumerate(processes):
            if index and process.returncode not in told:
                _show_end(index, process.returncode, logs[index])
    return chief if chief >= 0 else 1


def _start(command: tuple[str, ...], environment: dict[str, str], log: IO[bytes] | None) -> subprocess.Popen:
    # A session of its own: Ctrl-C reaches the workers through this process alone, once.
    return subprocess.Popen(
        [sys.executable, "-m", "simplexlab", *command],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=log and subprocess.DEVNULL,
        stderr=log,
        start_new_session=True,
    )


def _watch(processes: list[subprocess.Popen], received: list[int]) -> None:
    """Return when worker 0 has ended and the others had time to; pass on the first signal, return at the second."""
    chief = processes[0]
    passed_on = False
    deadline = float("inf")
    while any(process.poll() is None for process in processes):
        if received and not passed_on:
            passed_on = True
            for process in processes:
                process.send_signal(signal.SIGINT)
        if chief.returncode is not None and chief.returncode not in (0, 130):
            return
        if deadline == float("inf") and any(process.returncode is not None for process in processes):
            deadline = time.monotonic() + (END_SECONDS if chief.returncode is not None else NOTICE_SECONDS)
        if len(received) > 1 or time.monotonic() > deadline:
            return
        time.sleep(0.1)


def _kill(processes: list[subprocess.Popen]) -> None:
    for process in processes:
        if process.poll() is None:
            process.kill()
            process.wait()


def _show_end(index: int, code: int, log: IO[bytes]) -> None:
    log.seek(0)
    lines = log.read().decode(errors="replace").splitlines()
    print(f"worker {index} ended with code {code}: {' '.join(lines[-3:])}", file=sys.stderr)


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [server.getsockname()[1] for server in servers]


def _gpus() -> list[str]:
    """The GPUs that a process may use, as CUDA_VISIBLE_DEVICES names them."""
    if (visible := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        return [name for name in visible.split(",") if name and name != "-1"]
    if not shutil.which("nvidia-smi"):
        return []
    listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False).stdout
    return [str(index) for index, line in enumerate(listed.splitlines()) if line.startswith("GPU ")]


@contextlib.contextmanager
def _signals() -> Iterator[list[int]]:
    """The SIGINT and SIGTERM that arrive within the block, as they come."""
    received: list[int] = []
    saved = {
        number: signal.signal(number, lambda number, _: received.append(number))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield received
    finally:
        for number, handler in saved.items():
            signal.signal(number, handler)
