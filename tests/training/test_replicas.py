"""Two logical replicas follow the loss curve of one device; `tests/objectives` has every objective's first steps."""

import json
from pathlib import Path

import numpy as np
import pytest

SCRIPT = """
import sys
from simplexlab.cli import main
from simplexlab.models import encoders
encoders.STAGES["resnet-small"] = (0, 1)  # one block, at half the size, has all kinds of layers of longer networks
OWN = {"sc": [], "supcon": ["--supcon-form", "in", "--balanced-batches"]}  # supcon has two views of each image
npz, folder, precision, loss, encoder = sys.argv[1:]
for devices in ("cpu:2", "cpu"):  # two logical devices exist from the first run on; one of them is used then
    code = main([
        "train", "--dataset", npz, "--run-dir", folder, "--name", devices.replace(":", ""), "--loss", loss,
        "--encoder", encoder, "--width", "2", "--batch-size", "12", "--augment", "--corrupt", "0.2",
        "--iterations", "40", "--evaluate-every", "5", "--devices", devices, "--precision", precision,
        "--learning-rate", "0.05", "--temperature", "0.5", *(["--overlap"] if devices == "cpu:2" else []), *OWN[loss],
    ])
    assert code == 0, code
"""


def loss_curve(folder: Path) -> np.ndarray:
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return np.array([line["batch_loss"] for line in lines[1:]])


@pytest.mark.parametrize(
    ("precision", "loss", "encoder", "relative"),
    [("float64", "supcon", "resnet-small", 1e-6), ("float32", "sc", "mlp", 1e-3)],
)
def test_two_replicas_follow_one_device(tiny_npz, tmp_path, forked, precision, loss, encoder, relative):
    runs = tmp_path / "runs"
    forked(SCRIPT, tiny_npz, runs, precision, loss, encoder)
    one, two = (loss_curve(runs / devices) for devices in ("cpu", "cpu2"))
    assert len(one) == 8
    np.testing.assert_allclose(two, one, rtol=relative)
    assert one[-2:].mean() < one[:2].mean()
