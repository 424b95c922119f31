"""The workers of a run on several machines, as TF_CONFIG names them."""

import contextlib
import errno
import ipaddress
import json
import logging
import os
import re
import secrets
import socket
import time
from dataclasses import dataclass

from simplexlab.asides import AT_ONCE
from simplexlab.errors import RunError, UsageError
from simplexlab.training.interrupts import TELL_SECONDS

logger = logging.getLogger(__name__)

START_SECONDS = 300.0
ANSWER_SECONDS = 5.0
LONGEST = 1_000_000  # characters of TF_CONFIG
EXAMPLE = '{"cluster": {"worker": ["host-a:2222", "host-b:2222"]}, "task": {"type": "worker", "index": 0}}'


@dataclass(frozen=True)
class Cluster:
    """The workers that share a run, and which of them this process is; worker 0 is the chief.

    Attributes:
        workers: host:port of each.
        index: place of this process among them.
    """

    workers: tuple[str, ...] = ("",)
    index: int = 0

    @property
    def is_chief(self) -> bool:
        """Whether this process writes the run folder."""
        return self.index == 0

    def wait(self, seconds: float = START_SECONDS) -> None:
        """Wait until every worker listens at its address; this one does so meanwhile, and says for whom it waits.

        TensorFlow itself would wait for up to an hour, and would not say for whom.

        Raises:
            UsageError: this worker cannot listen at its address, or another process answers there.
            RunError: a worker did not start in time.
        """
        began = time.monotonic()
        told = began
        host, port = _host_and_port(self.workers[self.index])
        try:
            server = socket.create_server((host if _is_loopback(host) else "", port), backlog=len(self.workers))
        except OSError as error:
            started = f"; is worker {self.index} started twice?" if error.errno == errno.EADDRINUSE else ""
            raise UsageError(
                f"TF_CONFIG: cannot listen at {self.workers[self.index]}: {error.strerror}{started}"
            ) from error
        with server:
            if _another_answers(self.workers[self.index], server):
                raise UsageError(
                    f"TF_CONFIG: another process answers at {self.workers[self.index]}, the address of worker "
                    f"{self.index}, which this one is to be; each worker is started once, on the machine of its address"
                )
            for index, address in enumerate(self.workers):
                while index != self.index and not _answers(address):
                    now = time.monotonic()
                    if now - began > seconds:
                        raise RunError(f"worker {index} at {address} did not start within {seconds:g} s")
                    if now - told >= TELL_SECONDS:
                        told = now
                        logger.warning(
                            "waiting for worker %d at %s, since %.0f s; at most %g s",
                            index,
                            address,
                            now - began,
                            seconds,
                            extra=AT_ONCE,
                        )
                    time.sleep(0.2)

    @classmethod
    def from_environment(cls) -> "Cluster":
        """The cluster of the environment variable TF_CONFIG; without it, this process alone.

        Raises:
            UsageError: TF_CONFIG is not what TensorFlow's MultiWorkerMirroredStrategy takes.
        """
        text = os.environ.get("TF_CONFIG", "")
        if not text.strip():
            return cls()
        if len(text) > LONGEST:
            raise UsageError(f"TF_CONFIG holds {len(text):,} characters; a cluster of two looks like {EXAMPLE}")
        try:
            record = json.loads(text)
            jobs = record.get("cluster") or {}
            if not jobs:
                return cls()
            foreign = sorted(set(jobs) - {"chief", "worker"})
            if foreign:
                raise UsageError(f"TF_CONFIG: the cluster has the job {foreign[0]}; a run takes chief and worker")
            chiefs, workers = list(jobs.get("chief", [])), list(jobs.get("worker", []))
            kind, number = record["task"]["type"], int(record["task"]["index"])
            index = number + (len(chiefs) if kind == "worker" else 0)
            if kind not in jobs or not 0 <= number < len(jobs[kind]) or len(chiefs) > 1:
                raise UsageError(f"TF_CONFIG: the cluster has no {kind} {number}, or more than one chief")
            addresses = tuple(str(address) for address in chiefs + workers)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            if isinstance(error, UsageError):
                raise
            raise UsageError(f"TF_CONFIG is not understood; a cluster of two looks like {EXAMPLE}") from error
        for address in addresses:
            host, _, port = address.rpartition(":")
            if not (port.isascii() and port.isdecimal() and 0 < int(port[:6]) < 2**16 and _is_host(host)):
                raise UsageError(f"TF_CONFIG: {address} is not host:port with a port from 1 to 65535")
        known: dict[tuple[str, int], int] = {}
        for number, address in enumerate(addresses):
            host, port = _host_and_port(address.lower())
            first = known.setdefault(("localhost" if _is_loopback(host) else host, port), number)
            if first != number:
                raise UsageError(
                    f"TF_CONFIG: workers {first} and {number} have one address, {address}; each has its own"
                )
        return cls(addresses, index)


def _answers(address: str) -> bool:
    try:
        socket.create_connection(_host_and_port(address), timeout=ANSWER_SECONDS).close()
    except OSError:
        return False
    return True


def _another_answers(address: str, server: socket.socket) -> bool:
    """Whether a connection to the address of a server of this process arrives somewhere else.

    Where none can be made, as in a network that does not lead back, nobody is there.
    """
    token = secrets.token_bytes(16)
    try:
        with socket.create_connection(_host_and_port(address), timeout=ANSWER_SECONDS) as connection:
            connection.sendall(token)
            server.settimeout(ANSWER_SECONDS)
            deadline = time.monotonic() + ANSWER_SECONDS
            while time.monotonic() < deadline:
                with contextlib.suppress(OSError), server.accept()[0] as arrived:  # other workers look in, too
                    arrived.settimeout(ANSWER_SECONDS)
                    if arrived.recv(len(token), socket.MSG_WAITALL) == token:
                        return False
            return True
    except OSError:
        return False


def _is_host(text: str) -> bool:
    """Whether a text can name a machine: an IPv6 address in brackets, or labels of letters, digits and hyphens."""
    if text.startswith("[") and text.endswith("]"):
        return _is_address(text[1:-1])
    labels = text.removesuffix(".").split(".")
    return len(text) <= 253 and all(re.fullmatch(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)", label) for label in labels)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _host_and_port(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def _is_loopback(host: str) -> bool:
    return host in ("localhost", "::1") or host.startswith("127.")
