"""The workers of a run on several machines, as TF_CONFIG names them."""

import json
import os
import socket
import time
from dataclasses import dataclass

from simplexlab.errors import RunError, UsageError

START_SECONDS = 300.0
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
        """Wait until every worker listens at its address; this one does so meanwhile.

        TensorFlow itself would wait for up to an hour, deaf to Ctrl-C, and would not say for whom.

        Raises:
            UsageError: this worker cannot listen at its address.
            RunError: a worker did not start in time.
        """
        end = time.monotonic() + seconds
        host, port = _host_and_port(self.workers[self.index])
        try:
            server = socket.create_server((host if _is_loopback(host) else "", port), backlog=len(self.workers))
        except OSError as error:
            raise UsageError(f"TF_CONFIG: cannot listen at {self.workers[self.index]}: {error.strerror}") from error
        with server:
            for index, address in enumerate(self.workers):
                while index != self.index and not _answers(address):
                    if time.monotonic() > end:
                        raise RunError(f"worker {index} at {address} did not start within {seconds:g} s")
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
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            if isinstance(error, UsageError):
                raise
            raise UsageError(f"TF_CONFIG is not understood; a cluster of two looks like {EXAMPLE}") from error
        for address in addresses:
            port = address.rpartition(":")[2]
            if not port.isdecimal() or not 0 < int(port) < 2**16:
                raise UsageError(f"TF_CONFIG: {address} is not host:port with a port from 1 to 65535")
        return cls(addresses, index)


def _answers(address: str) -> bool:
    try:
        socket.create_connection(_host_and_port(address), timeout=5).close()
    except OSError:
        return False
    return True


def _host_and_port(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def _is_loopback(host: str) -> bool:
    return host in ("localhost", "::1") or host.startswith("127.")
