"""Two logical replicas follow the loss curve of one device. Each device setting needs a process of its own."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

SCRIPT = """
import sys
from simplexlab.cli import main
OWN = {  # supcon has two views of each image
    "sc": ["--temperature", "0.5"],
    "supcon": ["--temperature", "0.5", "--supcon-form", "in", "--balanced-batches"],
}
npz, folder, devices, precision, iterations, every, *losses = sys.argv[1:]
for loss in losses:
    code = main([
        "train", "--dataset", npz, "--run-dir", folder, "--name", f"{loss}-{devices.replace(':', '')}-{precision}",
        "--loss", loss, "--encoder", "resnet-small", "--width", "2", "--batch-size", "12", "--augment", "--corrupt",
        "0.2", "--iterations", iterations, "--evaluate-every", every, "--devices", devices, "--precision", precision,
        "--learning-rate", "0.05", *(["--overlap"] if devices == "cpu:2" else []), *OWN.get(loss, []),
    ])
    assert code == 0, code
"""


def loss_curve(folder: Path) -> np.ndarray:
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return np.array([line["batch_loss"] for line in lines[1:]])


@pytest.mark.parametrize(
    ("precision", "losses", "iterations", "every", "relative"),
    [("float64", ("ce", "sc", "supcon"), 100, 5, 1e-6), ("float32", ("ce-fix", "sc"), 50, 5, 1e-3)],
)
def test_two_replicas_follow_one_device(tiny_npz, tmp_path, precision, losses, iterations, every, relative):
    runs = tmp_path / "runs"
    for devices in ("cpu:1", "cpu:2"):
        words = [tiny_npz, runs, devices, precision, iterations, every, *losses]
        subprocess.run([sys.executable, "-c", SCRIPT, *map(str, words)], check=True, capture_output=True, timeout=280)
    for loss in losses:
        one, two = (loss_curve(runs / f"{loss}-cpu{count}-{precision}") for count in (1, 2))
        assert len(one) == iterations // every
        np.testing.assert_allclose(two, one, rtol=relative)
        assert one[-5:].mean() < one[:5].mean()
