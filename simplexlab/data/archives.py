"""The files that TFDS prepares a set from: which they are, where they are here, and whether they are whole."""

import contextlib
import functools
import hashlib
import re
import socket
import threading
import urllib.parse
import urllib.request
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simplexlab.quiet import quiet_logs

PROBE_SECONDS = 3.0


@dataclass(frozen=True)
class Archive:
    """A file that TFDS prepares a dataset from.

    Args:
        url: where TFDS fetches it, or None where the user has to: then it is known by its name alone.
        filename: its name there.
        size: bytes, or None where TFDS has not registered it.
        sha256: checksum in hexadecimal, or None where TFDS has not registered it.
    """

    url: str | None
    filename: str
    size: int | None = None
    sha256: str | None = None

    def problem(self, path: Path) -> str | None:
        """What is wrong with a file that should be this archive, or None."""
        size = path.stat().st_size
        if self.url is None:
            if path.name != self.filename:
                return f"{path} is not {self.filename}"
            return None if size else f"{path} is empty"
        if self.sha256 is None:
            return f"{path}: TFDS has no checksum of {self.filename}"
        if size != self.size:
            return f"{path} has {size:,} bytes, {self.filename} has {self.size:,}: it is truncated or another file"
        with path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != self.sha256:
                return f"{path} has the wrong checksum; the sha256 of {self.filename} is {self.sha256}"
        return None


def archives_of(builder: Any) -> tuple[Archive, ...] | None:
    """The files that a TFDS builder asks for, found by asking it to prepare with a download manager that has nothing.

    Returns:
        The files, or None where it wants something that cannot be found out in this way.
    """
    from tensorflow_datasets.core.download import checksums

    by_hand = bool(builder.MANUAL_DOWNLOAD_INSTRUCTIONS)
    manager = _EmptyHanded(goes_on=by_hand)
    known = False
    with quiet_logs(), contextlib.suppress(Exception):  # whatever a set's own code makes of files that are not there
        builder._split_generators(manager)
        known = not by_hand  # it needs nothing
    if not (known or (manager.files if by_hand else manager.urls)):
        return None
    registered = {**checksums.get_all_url_infos(), **(builder.url_infos or {})}
    archives = []
    for url in manager.urls:
        info = registered.get(url)
        filename = (info and info.filename) or Path(urllib.parse.urlsplit(url).path).name
        archives.append(Archive(url, filename, info and int(info.size), info and info.checksum))
    return (*archives, *(Archive(None, filename) for filename in manager.files))


def manual_source(builder: Any) -> str | None:
    """Where TFDS says that the files are which it does not fetch: the first address in its instructions."""
    found = re.search(r"https?://[^\s`'\"<>)]+", builder.MANUAL_DOWNLOAD_INSTRUCTIONS or "")
    return found and found.group().rstrip(".,")


def find_archives(
    archives: Iterable[Archive], folder: Path, files: Iterable[Path] = ()
) -> tuple[dict[Archive, Path], list[str]]:
    """Look for archives among `files` and in a folder, by size and checksum, or by name where TFDS has none.

    Args:
        archives: what is looked for.
        folder: where they may lie under their own names.
        files: files that may be archives under any name.

    Returns:
        found: where each verified archive is.
        problems: a line for each file in the folder that has an archive's name but not its contents.
    """
    found, problems = {}, []
    for archive in archives:
        for path in files:
            if archive not in found and archive.problem(path) is None:
                found[archive] = path
        path = folder / archive.filename
        if archive not in found and path.is_file():
            if problem := archive.problem(path):
                problems.append(problem)
            else:
                found[archive] = path
    return found, problems


def host_answers(url: str, timeout: float = PROBE_SECONDS) -> bool:
    """Whether the host of a URL (or the proxy that stands before it) takes a connection within `timeout` seconds."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme in ("http", "https") and not urllib.request.proxy_bypass(parts.hostname):
        proxy = urllib.request.getproxies().get(parts.scheme)
        parts = urllib.parse.urlsplit(proxy) if proxy else parts
    port = parts.port or {"http": 80, "ftp": 21}.get(parts.scheme, 443)
    answered = threading.Event()

    def connect() -> None:
        with contextlib.suppress(OSError), socket.create_connection((parts.hostname, port), timeout):
            answered.set()

    # Looking a name up has no timeout of its own.
    probe = threading.Thread(target=connect, daemon=True)
    probe.start()
    probe.join(timeout)
    return answered.is_set()


class _EmptyHanded:
    """Stands in for TFDS's download manager and notes what is asked of it.

    It stops at the first download, after which a builder opens what it got; a set that also wants files which the user
    fetches is let go on until it names them.
    """

    class Reached(Exception):
        pass

    def __init__(self, goes_on: bool):
        self.goes_on = goes_on
        self.urls: list[str] = []
        self.files: list[str] = []

    def download(self, resources: Any) -> Any:
        self.urls += _urls(resources)
        if not self.goes_on:
            raise self.Reached
        return _mapped(resources)

    download_and_extract = download

    @functools.cached_property
    def manual_dir(self) -> "_ManualFolder":
        return _ManualFolder(self.files)

    def __getattr__(self, name: str) -> None:
        raise self.Reached


@dataclass(frozen=True)
class _ManualFolder:
    """Stands in for TFDS's manual folder and notes the names that are looked for in it."""

    files: list[str]

    def __truediv__(self, name: str) -> Path:
        self.files.append(name)
        return Path("/nowhere") / name


def _urls(resources: Any) -> Iterator[str]:
    if isinstance(resources, dict):
        resources = resources.values()
    elif isinstance(resources, str) or not isinstance(resources, Iterable):
        yield getattr(resources, "url", resources)
        return
    for resource in resources:
        yield from _urls(resource)


def _mapped(resources: Any) -> Any:
    if isinstance(resources, dict):
        return {key: _mapped(value) for key, value in resources.items()}
    if isinstance(resources, list | tuple):
        return [_mapped(value) for value in resources]
    return Path("/nowhere")
