"""How much memory a process may hold, so that what cannot fit is refused in one line before it is tried."""

import contextlib
import functools
import os
import resource
from pathlib import Path

from simplexlab.errors import RunError, UsageError

CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
# Addresses that a small run takes, most of them never used: 2.6 to 3.3 GB were measured on two cores, and each further
# core has its stacks and buffers.
TENSORFLOW_SPACE, THREAD_SPACE = 3 * 2**30, 64 * 2**20


@functools.cache
def memory_limit() -> int | None:
    """Bytes that this process may hold: the machine's memory, or less where a container or `ulimit -v` allows less."""
    limits = []
    with contextlib.suppress(ValueError, OSError):
        limits.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    for file in CGROUP_LIMITS:
        with contextlib.suppress(ValueError, OSError):  # "max" where there is none
            limits.append(int(Path(file).read_text()))
    space = resource.getrlimit(resource.RLIMIT_AS)[0]
    if space != resource.RLIM_INFINITY:
        limits.append(space)
    return min((limit for limit in limits if limit > 0), default=None)


def check_memory(needed: int, what: str, hint: str = "") -> None:
    """Refuse what needs more memory than this process may hold.

    Args:
        needed: bytes that it takes at least.
        what: what takes them, as the subject of the error's line.
        hint: what would be right, after a semicolon.

    Raises:
        UsageError: the machine, the container or `ulimit -v` has less.
    """
    limit = memory_limit()
    if limit is not None and needed > limit:
        end = f"; {hint}" if hint else ""
        raise UsageError(f"{what} needs {in_units(needed)} of memory, and there are {in_units(limit)}{end}")


def has_address_limit() -> bool:
    """Whether `ulimit -v` limits the addresses of this process."""
    return resource.getrlimit(resource.RLIMIT_AS)[0] != resource.RLIM_INFINITY


def check_address_space() -> None:
    """Refuse to start TensorFlow under a `ulimit -v` that it does not fit into.

    Some of its parts end the process, or print what nobody asked for, where an allocation fails.

    Raises:
        RunError: the limit is too low.
    """
    space = resource.getrlimit(resource.RLIMIT_AS)[0]
    needed = TENSORFLOW_SPACE + (os.cpu_count() or 1) * THREAD_SPACE
    if has_address_limit() and space < needed:
        raise RunError(
            f"there is not enough memory: `ulimit -v` allows {in_units(space)} of addresses and TensorFlow takes"
            f" {in_units(needed)}; raise it (`ulimit -v unlimited`), or limit what is used by other means"
        )


def in_units(count: int) -> str:
    """Bytes as one reads them: 512 B, 12 KiB, 3.4 GiB."""
    size, unit = float(count), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB", "PiB", "EiB"):
        if size < 1024:
            break
        size, unit = size / 1024, larger
    return f"{size:.0f} {unit}" if size >= 10 or unit == "B" else f"{size:.1f} {unit}"
