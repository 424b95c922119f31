"""Fixtures that several folders of tests share, and how the tests share the cores."""

import gc
import hashlib
import io
import json
import multiprocessing
import os
import signal
import sys
import tarfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import forkserver
from pathlib import Path

import pytest

gc.set_threshold(50_000)  # TensorFlow's graphs are many objects, which a search for cycles goes through each time
if "PYTEST_XDIST_WORKER" in os.environ:  # before numpy is imported: workers that wait for each other's threads are slow
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# What XLA compiles, for TensorFlow and for JAX, runs for milliseconds: its compiler is not to optimise for seconds.
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")

import numpy as np  # noqa: E402

from simplexlab.after_import import after_import, import_without_optional  # noqa: E402

import_without_optional()  # as in a process of the command line
after_import("keras", gc.freeze)


def _execute_graphs_as_they_are():
    """Leave out TensorFlow's rewriting of graphs, a fifth of what a run of a few steps costs.

    In the processes of the tests alone: those that they start, and those of `forked`, rewrite as ever.
    """
    import tensorflow as tf

    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})


after_import("tensorflow", _execute_graphs_as_they_are)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Give each worker a stretch of the tests, so that few files are split and make their fixtures twice."""
    from xdist.scheduler import WorkStealingScheduling

    return WorkStealingScheduling(config, log)


@pytest.fixture(scope="session", autouse=True)
def _interrupts_arrive():
    """Let processes that tests start be interrupted also where a shell runs the tests in its background.

    A shell has such processes ignore SIGINT, which the processes that they start inherit; a signal that is handled is
    back at its default in them.
    """
    if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def _state_folder(tmp_path_factory):
    """What the package notes for its user, files of losses that were run, stays among the tests' own files."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


START = """
import os, sys
for number, path in enumerate(outputs, 1):
    os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), number)
os.environ.clear()
os.environ.update(environment)
os.chdir(folder)
sys.argv[:] = ["-c", *words]
exec(compile(code, "<forked>", "exec"), {"__name__": "__main__"})
"""


@pytest.fixture(scope="session")
def forked(tmp_path_factory) -> Callable[..., str]:
    """Run code in a process that has not used TensorFlow yet: words in `sys.argv[1:]` in, stdout out.

    For tests that need other devices or threads, which TensorFlow fixes at its first operation. The process is forked
    from one that has imported TensorFlow, which costs seconds, and used nothing of it.
    """
    context = multiprocessing.get_context("forkserver" if sys.platform == "linux" else "spawn")
    context.set_forkserver_preload(["warm"])
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=os.pathsep)  # where `warm` is
        forkserver.ensure_running()

    def run(code: str, *words: object, folder: Path | None = None, timeout: float = 280) -> str:
        place = tmp_path_factory.mktemp("forked")
        outputs = [place / "stdout", place / "stderr"]
        settings = {"outputs": list(map(str, outputs)), "environment": dict(os.environ), "folder": str(folder or place)}
        settings |= {"words": list(map(str, words)), "code": code}
        process = context.Process(target=exec, args=(START, settings))
        process.start()
        process.join(timeout)
        if process.exitcode is None:
            process.kill()
            process.join()
        assert process.exitcode == 0, f"{process.exitcode}: {outputs[1].read_text()[-2000:]}"
        return outputs[0].read_text()

    return run


@pytest.fixture
def tiny_npz(tmp_path: Path) -> Path:
    """A file of 60 training and 30 test images, 8×8, three classes that a small encoder tells apart."""
    return write_tiny_npz(tmp_path / "tiny.npz")


@pytest.fixture(scope="session")
def shared_npz(tmp_path_factory) -> Path:
    """The images of `tiny_npz` for several tests, not to be changed."""
    return write_tiny_npz(tmp_path_factory.mktemp("shared") / "tiny.npz")


def write_tiny_npz(path: Path) -> Path:
    """Write the images of `tiny_npz`."""
    generator = np.random.default_rng(0)
    labels = np.arange(90) % 3
    patterns = generator.integers(0, 256, size=(3, 8, 8))
    images = np.clip(patterns[labels] + generator.normal(0, 40, size=(90, 8, 8)), 0, 255).astype(np.uint8)
    np.savez(path, x_train=images[:60], y_train=labels[:60], x_test=images[60:], y_test=labels[60:])
    return path


@pytest.fixture
def simplexlab(capsys):
    """Call the command line in this process: words in; exit code, stdout and stderr out."""
    from simplexlab.cli import main

    def call(*words: object) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main([str(word) for word in words])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def read_lines(path: Path) -> list[dict]:
    """The records of a metrics file."""
    return [json.loads(line) for line in path.read_text().splitlines()]


CIFAR_URL = "https://www.cs.toronto.edu/~kriz/"
CIFAR10_NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


@dataclass(frozen=True)
class SmallCifar:
    """A small set in CIFAR's binary format: the archive, the images in it, and a folder in which TFDS prepared it.

    The prepared folder is an ordinary one: `--data-dir` reads it in any process. To prepare the archive anew, TFDS must
    be given its checksum: `register`.
    """

    name: str
    archive: Path
    data_dir: Path
    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray

    @property
    def url(self) -> str:
        return CIFAR_URL + self.archive.name

    def register(self, monkeypatch: pytest.MonkeyPatch, archive: Path | None = None) -> None:
        """Have TFDS expect the size and checksum of this archive (or another one) in place of the real one's."""
        import tensorflow_datasets as tfds
        from tensorflow_datasets.core.download.checksums import UrlInfo

        contents = (archive or self.archive).read_bytes()
        info = UrlInfo(tfds.core.utils.Size(len(contents)), hashlib.sha256(contents).hexdigest(), self.archive.name)
        monkeypatch.setattr(tfds.builder_cls(self.name), "url_infos", {self.url: info})


def _learnable_images(labels: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """A coarse pattern for each class under noise: uint8 (N, 32, 32, 3)."""
    patterns = np.random.default_rng(7).integers(60, 196, (100, 4, 4, 3))
    images = patterns[labels].repeat(8, axis=1).repeat(8, axis=2)
    return (images + generator.integers(-60, 60, images.shape)).astype(np.uint8)


def _make_small_cifar(folder: Path, name: str, num_classes: int, train_per_class: int, test_per_class: int):
    from simplexlab.data.tfds_source import import_archives

    generator = np.random.default_rng(0)
    arrays = {}
    for part, count in (("train", train_per_class), ("test", test_per_class)):
        labels = generator.permutation(np.repeat(np.arange(num_classes), count))
        arrays |= {f"x_{part}": _learnable_images(labels, generator), f"y_{part}": labels}

    def records(part: str) -> bytes:
        labels = arrays[f"y_{part}"].astype(np.uint8)[:, None]
        if name == "cifar100":
            labels = np.hstack([labels // 5, labels])  # coarse, fine
        pixels = arrays[f"x_{part}"].transpose(0, 3, 1, 2).reshape(len(labels), -1)
        return np.hstack([labels, pixels]).tobytes()

    if name == "cifar10":
        archive, prefix = folder / "cifar-10-binary.tar.gz", "cifar-10-batches-bin"
        train, fifth = records("train"), len(arrays["y_train"]) // 5 * 3073
        members = {f"data_batch_{k + 1}.bin": train[k * fifth : (k + 1) * fifth] for k in range(5)}
        members |= {"test_batch.bin": records("test"), "batches.meta.txt": "\n".join(CIFAR10_NAMES).encode()}
    else:
        archive, prefix = folder / "cifar-100-binary.tar.gz", "cifar-100-binary"
        members = {"train.bin": records("train"), "test.bin": records("test")}
        for kind, count in (("coarse", 20), ("fine", 100)):
            members[f"{kind}_label_names.txt"] = "\n".join(f"{kind}{label}" for label in range(count)).encode()
    _write_tar(archive, {f"{prefix}/{member}": contents for member, contents in members.items()})
    small = SmallCifar(name=name, archive=archive, data_dir=folder / "data", **arrays)
    with pytest.MonkeyPatch.context() as monkeypatch:
        small.register(monkeypatch)
        import_archives(name, [archive], small.data_dir)
    return small


def _write_tar(path: Path, members: dict[str, bytes]) -> None:
    with tarfile.open(path, "w:gz", compresslevel=1) as tar:
        for name, contents in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(contents)
            tar.addfile(member, io.BytesIO(contents))


@pytest.fixture
def write_tar() -> Callable[[Path, dict[str, bytes]], None]:
    """Write a .tar.gz of {member: contents}."""
    return _write_tar


@pytest.fixture(scope="session")
def small_cifar10(tmp_path_factory) -> SmallCifar:
    """200 training and 50 test images in CIFAR-10's format, prepared by TFDS in `data_dir`."""
    return _make_small_cifar(tmp_path_factory.mktemp("cifar10"), "cifar10", 10, 20, 5)


@pytest.fixture(scope="session")
def small_cifar100(tmp_path_factory) -> SmallCifar:
    """200 training and 100 test images in CIFAR-100's format, prepared by TFDS in `data_dir`."""
    return _make_small_cifar(tmp_path_factory.mktemp("cifar100"), "cifar100", 100, 2, 1)
