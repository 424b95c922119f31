"""Training steps a second beside PyTorch, eager and compiled: the same network, batch size, loss and optimizer.

    python -m venv /somewhere/torch && /somewhere/torch/bin/pip install torch==2.14.1 numpy
    python tests/benchmarks/training_step.py --torch-python /somewhere/torch/bin/python

Each side is a process of its own that stays alive; they take turns, block by block, and what counts is the median of
the paired ratios. PyTorch runs channels-last with its fused SGD, eager and by torch.compile, each on one thread and on
all cores; its fastest setting is the one compared. A round in which other programs took more than 5 % of the machine is
dropped and repeated. First, all compute the loss of one batch with the same weights, and must agree. The sides are
those of `simplexlab bench --compare-torch`.
"""

import argparse
import os
import sys
from itertools import product

from simplexlab.config import Experiment
from simplexlab.errors import RunError
from simplexlab.training.beside_torch import compare

NETWORKS = {
    "resnet-small": {"shape": (8, 8, 1), "batch_size": 128, "width": 16},
    "resnet18": {"shape": (32, 32, 3), "batch_size": 64, "width": 64},
}
CLASSES = 10
TARGET = {"float32": 1.3, "bfloat16": 1.15}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--torch-python", required=True, help="a Python that has torch and numpy")
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--losses", nargs="+", choices=("ce", "sc"), default=["ce", "sc"])
    parser.add_argument("--precisions", nargs="+", choices=TARGET, default=list(TARGET))
    parser.add_argument("--rounds", type=int, default=9, help="undisturbed rounds to take")
    parser.add_argument("--patience", type=float, default=600.0, help="seconds to wait for them, for each case")
    parser.add_argument("--disturbed", type=float, default=0.05, help="share of others from which a round is dropped")
    options = parser.parse_args()
    for network, precision, loss in product(options.networks, options.precisions, options.losses):
        measure(options, network, precision, loss)


def measure(options: argparse.Namespace, network: str, precision: str, loss: str) -> None:
    """Print a line for each setting of PyTorch: steps a second of both sides and the ratio."""
    facts = NETWORKS[network]
    experiment = Experiment(
        loss=loss,
        encoder=network,
        width=facts["width"],
        batch_size=facts["batch_size"],
        precision=precision,
        devices="cpu",
        dataset="digits",
    )
    try:
        record = compare(
            experiment.resolve(),
            facts["shape"],
            CLASSES,
            options.torch_python,
            rounds=options.rounds,
            disturbed=options.disturbed,
            patience=options.patience,
        )
    except RunError as error:
        sys.exit(f"{network} {precision} {loss}: {error}")
    ours, disturbance = record["simplexlab"]["steps_per_second"], record["disturbance"]
    others = "unknown" if disturbance is None else f"at most {disturbance:.0%}"
    print(
        f"{network} {precision} {loss}: simplexlab {ours:.4g}/s, TensorFlow {record['simplexlab']['version']}; "
        f"{record['rounds']} rounds, {record['dropped']} dropped, others {others}, load {os.getloadavg()[0]:.1f}"
    )
    for side in record["torch"]:
        if "error" in side:
            print(f"  {side['name']}: {side['error']}")
            continue
        ratio, least, largest = side["ratio"]
        verdict = ""
        if side["name"] == record["best"]:
            verdict = f", target {TARGET[precision]} {'reached' if ratio >= TARGET[precision] else 'MISSED'}"
        print(
            f"  {side['name']} ({side['version']}): {side['steps_per_second']:.4g}/s, "
            f"ratio {ratio:.2f} ({least:.2f}–{largest:.2f}){verdict}",
            flush=True,
        )


if __name__ == "__main__":
    main()
