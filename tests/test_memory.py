"""Limits of memory: what cannot fit is refused before it is tried, and what dies of one is told."""

import resource
import subprocess
import sys

import pytest

from simplexlab import memory
from simplexlab.errors import RunError, UsageError

GIB = 2**30
LIMITED = """
import os, resource, sys
resource.setrlimit(resource.RLIMIT_AS, (64 << 30, resource.RLIM_INFINITY))
from simplexlab.memory import check_address_space, end_is_meant
check_address_space()
check_address_space()
"""


@pytest.fixture
def allowed(monkeypatch):
    """Set what `ulimit -v` allows, in GiB."""
    monkeypatch.setattr(memory, "_watch", lambda allowed: None)
    monkeypatch.setattr("os.cpu_count", lambda: 2)

    def allow(size: float) -> None:
        monkeypatch.setattr(resource, "getrlimit", lambda _: (int(size * GIB), resource.RLIM_INFINITY))
        monkeypatch.setattr(memory, "memory_limit", lambda: 1024 * GIB)

    return allow


def test_several_workers_need_more_addresses(allowed):
    allowed(3.2)
    memory.check_address_space()
    with pytest.raises(RunError, match=r"allows 3.2 GiB of addresses and TensorFlow takes 3.6 GiB"):
        memory.check_address_space(2)


def test_a_step_stands_beside_tensorflow(allowed, monkeypatch):
    monkeypatch.setattr(resource, "getrlimit", lambda _: (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    memory.check_step_addresses(1000 * GIB, "a step", "take less")
    allowed(4.625)
    memory.check_step_addresses(2 * GIB // 7, "a step", "take less")
    with pytest.raises(
        RunError, match=r"^a step takes some 2.1 GiB of addresses, and `ulimit -v` leaves 2.0 GiB beside"
    ):
        memory.check_step_addresses(int(2.1 * GIB) // 7 + 1, "a step", "take less")


def test_what_needs_more_than_there_is_is_refused(monkeypatch):
    monkeypatch.setattr(memory, "memory_limit", lambda: GIB)
    memory.check_memory(GIB, "an array")
    with pytest.raises(UsageError, match=r"^an array needs 2.0 GiB of memory, and there are 1.0 GiB; take less$"):
        memory.check_memory(2 * GIB, "an array", "take less")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="ulimit -v")
@pytest.mark.parametrize(
    ("end", "is_told"),
    [
        ("os.kill(os.getpid(), 11)", True),
        ("os.abort()", True),
        ("sys.exit(1)", False),
        ("1 / 0", False),
        ("end_is_meant(); os._exit(130)", False),
    ],
)
def test_where_a_library_ends_the_process_it_is_told(end, is_told):
    done = subprocess.run([sys.executable, "-c", LIMITED + end], capture_output=True, text=True, timeout=60)
    assert done.returncode != 0
    words = "simplexlab: a library ended the process; `ulimit -v` allows 64 GiB of addresses, which may be too few: "
    assert done.stderr.count("simplexlab: ") == done.stderr.count(words) == int(is_told)
