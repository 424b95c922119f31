"""How much memory a process may hold, so that what cannot fit is refused in one line before it is tried."""

import atexit
import contextlib
import functools
import os
import resource
import subprocess
from pathlib import Path

from simplexlab.errors import RunError, UsageError

CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
# Addresses that a small run takes, most of them never used: 2.6 to 3.3 GB were measured on two cores, and each further
# core has its stacks and buffers.
TENSORFLOW_SPACE, THREAD_SPACE = 3 * 2**30, 64 * 2**20
SMALL_STEP = 2**29  # of it are those that the steps and evaluations of a small run take
# Addresses of a step over the least memory that it needs: 5 to 7.5 were measured for ResNet-18 of widths 32 and 64 and
# batches of 64 to 256 on two cores, for gradients, buffers of convolutions, and what the allocator holds back.
ADDRESSES_OF_A_STEP = 7
CLUSTER_SPACE = 2**29  # of the threads of its server, where there are several workers
# Says that this process died, unless it has said a word before its end.
WATCH = """
read -r word && exit
echo "simplexlab: a library ended the process; \\`ulimit -v\\` allows $1 of addresses, which may be too few:"\\
" raise it, or take a smaller batch or encoder" >&2
"""

_watchers: list[subprocess.Popen] = []


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


def check_step_addresses(least: int, what: str, hint: str) -> None:
    """Refuse a training step that will hardly fit beside TensorFlow into the addresses that `ulimit -v` allows.

    Where one of TensorFlow's kernels gets no memory the process dies, so what has to be guessed is guessed to be large.

    Args:
        least: bytes that the step takes at least.
        what: the step, as the subject of the error's line.
        hint: what would be right, after a semicolon.

    Raises:
        RunError: the limit is too low.
    """
    if not has_address_limit():
        return
    room = resource.getrlimit(resource.RLIMIT_AS)[0] - _tensorflow_space() + SMALL_STEP
    needed = ADDRESSES_OF_A_STEP * least
    if needed > room:
        raise RunError(
            f"{what} takes some {in_units(needed)} of addresses, and `ulimit -v` leaves {in_units(max(room, 0))}"
            f" beside TensorFlow's own; {hint}, or raise it"
        )


def has_address_limit() -> bool:
    """Whether `ulimit -v` limits the addresses of this process."""
    return resource.getrlimit(resource.RLIMIT_AS)[0] != resource.RLIM_INFINITY


def check_address_space(workers: int = 1) -> None:
    """Refuse to start TensorFlow under a `ulimit -v` that it does not fit into.

    Some of its parts end the process, or print what nobody asked for, where an allocation fails. Where one that comes
    later does so after all, the end of the process is told.

    Args:
        workers: processes that train one run.

    Raises:
        RunError: the limit is too low.
    """
    if not has_address_limit():
        return
    space = resource.getrlimit(resource.RLIMIT_AS)[0]
    needed = _tensorflow_space() + (CLUSTER_SPACE if workers > 1 else 0)
    if space < needed:
        raise RunError(
            f"there is not enough memory: `ulimit -v` allows {in_units(space)} of addresses and TensorFlow takes"
            f" {in_units(needed)}; raise it (`ulimit -v unlimited`), or limit what is used by other means"
        )
    _watch(in_units(space))


def _tensorflow_space() -> int:
    return TENSORFLOW_SPACE + (os.cpu_count() or 1) * THREAD_SPACE


@functools.cache
def _watch(allowed: str) -> None:
    """Have a shell wait for the end of this process, and tell it where the process does not end by itself."""
    _watchers.append(
        subprocess.Popen(
            ["sh", "-c", WATCH, "sh", allowed],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is not meant for it
        )
    )
    atexit.register(end_is_meant)


def end_is_meant() -> None:
    """Call off those who would tell that a library has ended this process."""
    while _watchers:
        with contextlib.suppress(OSError):
            _watchers.pop().communicate(b"done\n")


def in_units(count: int) -> str:
    """Bytes as one reads them: 512 B, 12 KiB, 3.4 GiB."""
    size, unit = float(count), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB", "PiB", "EiB"):
        if size < 1024:
            break
        size, unit = size / 1024, larger
    return f"{size:.0f} {unit}" if size >= 10 or unit == "B" else f"{size:.1f} {unit}"
