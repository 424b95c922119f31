"""Makes the recorded runs anew: `python -m simplexlab.tui.demo`, about five minutes on two cores.

Each run is made by the command line as a user would type it. Afterwards what the interface does not show is left out
(models, checkpoints, event files, labels, facts of the machine) and the samples of representations are thinned.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from simplexlab.tui.demo import RUNS

SMALL = "--encoder resnet-small --width 8 --iterations 600 --evaluate-every 30"
COMMANDS = {
    "ce-clean": f"train --loss ce {SMALL}",
    "sc-clean": f"train --loss sc {SMALL}",
    "sc-clean-no-relu": "train --loss sc --encoder resnet-small-preact --width 8 --iterations 600 --evaluate-every 30",
    "ce-40-flipped": f"train --loss ce --corrupt 0.4 {SMALL}",
    "ce-fix-40-flipped": f"train --loss ce-fix --corrupt 0.4 {SMALL}",
    "sc-40-flipped": f"train --loss sc --corrupt 0.4 {SMALL}",
    "three-classes": "train --loss ce --dataset three-digits.npz --encoder resnet-small-preact --width 8 "
    "--iterations 300 --batch-size 64 --evaluate-every 15",
    "too-fast": "train --loss ce --learning-rate 300 --encoder mlp --width 8 --iterations 200 --evaluate-every 10",
    "toy-ce": "toy ce --points-per-class 30 --steps 300 --evaluate-every 10",
    "toy-sc": "toy sc --points-per-class 30 --steps 300 --evaluate-every 10",
    "toy-sc-space": "toy sc --points-per-class 25 --classes 4 --dimension 3 --steps 300 --evaluate-every 10",
}
KEPT_POINTS = 80
LEFT_OUT = ("model.keras", "labels.npz", "checkpoints", "tb", ".lock")


def main() -> None:
    """Make every run in a temporary folder, thin it, and put it in place."""
    with tempfile.TemporaryDirectory() as folder:
        write_three_digits(Path(folder, "three-digits.npz"))
        for name, words in COMMANDS.items():
            print(name, flush=True)
            command = [sys.executable, "-m", "simplexlab", *words.split(), "--name", name]
            code = subprocess.run(command, cwd=folder, check=False).returncode
            if code not in (0, 1):  # 1: diverged, as one of them is meant to
                raise SystemExit(f"{name} ended with exit code {code}")
            thin(Path(folder, "runs", name))
        shutil.rmtree(RUNS, ignore_errors=True)
        shutil.copytree(Path(folder, "runs"), RUNS)


def write_three_digits(path: Path) -> None:
    """Write the images of the digits 0, 1 and 2 as a data set of three classes."""
    from simplexlab.data import load

    digits = load("digits")
    arrays = {}
    for split in ("train", "test"):
        images, labels = getattr(digits, f"x_{split}"), getattr(digits, f"y_{split}")
        arrays |= {f"x_{split}": images[labels < 3], f"y_{split}": labels[labels < 3]}
    np.savez(path, **arrays)


def thin(run: Path) -> None:
    """Leave out what the interface does not show, and what tells of the machine."""
    for name in LEFT_OUT:
        shutil.rmtree(run / name, ignore_errors=True) if (run / name).is_dir() else (run / name).unlink(missing_ok=True)
    for name in ("config.json", "status.json"):
        record = json.loads((run / name).read_text())
        for key in ("host", "pid"):
            record.pop(key, None)
        (run / name).write_text(json.dumps(record) + "\n")
    for file in (run / "geometry").glob("*.npz"):
        with np.load(file) as arrays:
            kept = dict(arrays)
        kept["sample"] = kept["sample"][:KEPT_POINTS].astype(np.float16)
        kept["sample_labels"] = kept["sample_labels"][:KEPT_POINTS].astype(np.uint8)
        for key in kept:
            if key.endswith("_histogram"):
                kept[key] = kept[key].astype(np.int32)
        np.savez_compressed(file, **kept)


if __name__ == "__main__":
    main()
