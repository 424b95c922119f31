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

    def allow(size: float) -> None:
        monkeypatch.setattr(resource, "getrlimit", lambda _: (int(size * GIB), resource.RLIM_INFINITY))
        monkeypatch.setattr(memory, "memory_limit", lambda: 1024 * GIB)

    return allow


def test_several_workers_need_more_addresses(allowed, monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    allowed(3.2)
    memory.check_address_space()
    with pytest.raises(RunError, match=r"allows 3.2 GiB of addresses and TensorFlow takes 3.6 GiB"):
        memory.check_address_space(2)


def test_a_step_stands_beside_tensorflow(allowed):
    allowed(3.5)
    memory.check_memory(2 * GIB, "an array")
    memory.check_memory(GIB, "a step", in_tensorflow=True)
    with pytest.raises(UsageError, match=r"^a step needs 2.0 GiB of memory, and `ulimit -v` leaves 1.0 GiB beside"):
        memory.check_memory(2 * GIB, "a step", "take less", in_tensorflow=True)


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
