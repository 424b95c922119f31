"""Fixtures that several folders of tests share."""

import json
from pathlib import Path

import numpy as np
import pytest


@pytest.fixture
def tiny_npz(tmp_path: Path) -> Path:
    """A file of 60 training and 30 test images, 8×8, three classes that a small encoder tells apart."""
    return write_tiny_npz(tmp_path / "tiny.npz")


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
