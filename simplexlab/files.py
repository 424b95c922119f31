"""Open and replace files, and nothing else: links, pipes and devices in the place of a file are refused.

A folder that somebody else made may hold a link where a file belongs, so that what is written or deleted in the folder
would be written or deleted somewhere else; or a pipe, which never ends.
"""

import contextlib
import errno
import json
import os
import re
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

ADVICE = {
    errno.ENOSPC: "free some space, or choose another folder",
    errno.EDQUOT: "free some space, or choose another folder",
    errno.EROFS: "choose a folder that can be written",
    errno.ENAMETOOLONG: "choose a shorter one",
    errno.EMFILE: "raise the limit, `ulimit -n`",
    errno.ENOMEM: "free some memory, or ask for less",
}
LARGEST_TEXT = 64 * 2**20  # bytes of a file that is read whole
IS_LINK, IS_NO_FILE, IS_NO_FOLDER = "it is a link, which is not followed", "it is not a file", "it is not a folder"


def open_file(path: str | Path, flags: int = os.O_RDONLY) -> int:
    """Open a regular file and return its descriptor; the last part of the path is not followed if it is a link.

    Args:
        path: the file.
        flags: as of `os.open`.

    Raises:
        OSError: there is none, it cannot be opened, or it is a link, a pipe, a device or a folder.
    """
    try:
        descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
    except OSError as error:
        if error.errno == errno.ELOOP and os.path.islink(path):
            raise OSError(errno.ELOOP, IS_LINK, str(path)) from None
        if error.errno == errno.ENXIO:  # a pipe that nobody reads, or a socket
            raise OSError(errno.EINVAL, IS_NO_FILE, str(path)) from None
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, IS_NO_FILE, str(path))
    return descriptor


def open_binary(path: str | Path) -> BinaryIO:
    """Open a regular file to read, see `open_file`."""
    return os.fdopen(open_file(path), "rb")


def read_file(path: str | Path, largest: int = LARGEST_TEXT) -> bytes:
    """The content of a regular file of at most `largest` bytes.

    Raises:
        OSError: as of `open_file`, or the file is larger.
    """
    descriptor = open_file(path)
    try:
        size = os.fstat(descriptor).st_size
        if size > largest:
            raise OSError(errno.EFBIG, f"it holds {size:,} bytes, more than {largest:,}", str(path))
        content = b""
        while block := os.read(descriptor, max(1 << 16, size + 1)):
            content += block
        return content
    finally:
        os.close(descriptor)


def why_no_folder(path: Path) -> str | None:
    """What stands in the way of a folder at `path`, as the end of a sentence about it; None where nothing does."""
    place = next((part for part in (path, *path.parents) if os.path.lexists(part)), None)
    if place is None or place.is_dir():
        return None
    return ("is" if place == path else f"lies in {place}, which is") + f" {kind_of(place)} and not a folder"


def read_json(path: str | Path) -> Any:
    """The value in a JSON file, see `read_file`.

    Raises:
        OSError: as of `read_file`.
        ValueError: it is no JSON, or one that is nested too deeply.
    """
    content = read_file(path)
    try:
        return json.loads(content)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def make_folder(path: Path) -> None:
    """Make a folder unless it is there; a link to a folder is none.

    Raises:
        OSError: it cannot be made, or something else has its name.
    """
    try:
        path.mkdir()
    except FileExistsError:
        if not is_own_folder(path):
            raise OSError(errno.ENOTDIR, IS_LINK if path.is_symlink() else IS_NO_FOLDER, str(path)) from None


def is_own_folder(path: str | Path) -> bool:
    """Whether there is a folder at `path`, and not a link to one."""
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except OSError:
        return False


def kind_of(path: str | Path) -> str:
    """What is at a path: a file, a folder, a pipe, a socket, a device, or a link that leads to nothing.

    Raises:
        OSError: nothing is there, or it may not be looked at.
    """
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        os.lstat(path)
        return "a link that leads to nothing"
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        return "a link that leads in a circle"
    if stat.S_ISDIR(mode):
        return "a folder"
    if stat.S_ISREG(mode):
        return "a file"
    return "a pipe" if stat.S_ISFIFO(mode) else "a socket" if stat.S_ISSOCK(mode) else "a device"


def replace_file(path: Path, content: bytes, *, sync: bool = True) -> None:
    """Write a file whole or not at all; a link in its place is replaced, not followed.

    Args:
        path: the file.
        content: what it holds then.
        sync: wait until the content is on the disk, so that the file outlives a failing machine.

    Raises:
        OSError: it cannot be written, or a folder, a pipe or a device has its name; what was there is untouched.
    """
    with replacing(path) as temporary:
        descriptor = open_file(temporary, os.O_WRONLY)
        try:
            write_all(descriptor, content)
            if sync:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Put the file that the block writes at the yielded path in the place of `path`; if the block raises, remove it.

    The yielded path has the suffix of `path`, begins with a dot and cannot be guessed; an empty file of one's own is
    there already.
    """
    check_replaceable(path)
    temporary = path.with_name(f".{secrets.token_hex(8)}.tmp{path.suffix[:20]}")
    os.close(open_file(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
    try:
        yield temporary
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


def check_replaceable(path: Path) -> None:
    """Raise the OSError of `replacing` that can be known before anything is computed: no such folder, or no file."""
    os.stat(path.parent)
    with contextlib.suppress(FileNotFoundError):
        mode = os.lstat(path).st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISLNK(mode)):
            raise OSError(errno.EINVAL, IS_NO_FILE, str(path))


def is_temporary(name: str) -> bool:
    """Whether a file of this name is what a killed `replacing` left behind."""
    return re.fullmatch(r"\.[0-9a-f]{16}\.tmp(\..*)?", name) is not None


def reason(error: OSError) -> str:
    """Why the operating system refused, and what helps where something does."""
    if is_working_folder_gone(error):
        return "the working directory was deleted; change to one that exists"
    told = error.strerror or str(error) or type(error).__name__
    advice = ADVICE.get(error.errno)
    return f"{told}; {advice}" if advice else told


def is_working_folder_gone(error: OSError) -> bool:
    """Whether what was not found lies in a working directory that was deleted."""
    if error.errno != errno.ENOENT or (error.filename and os.path.isabs(error.filename)):
        return False
    try:
        os.getcwd()
    except OSError:
        return True
    return False


def write_all(descriptor: int, content: bytes) -> None:
    """Write all of the content to an open file."""
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]
