"""Training steps a second beside eager PyTorch: the same network, batch size, loss and optimizer.

    python -m venv /somewhere/torch && /somewhere/torch/bin/pip install torch==2.13.0 numpy
    python tests/benchmarks/training_step.py --torch-python /somewhere/torch/bin/python

Each side is a process of its own that stays alive; they take turns, block by block, and what counts is the median of
the paired ratios. PyTorch runs channels-last with its fused SGD, once on one thread and once on all cores; its faster
setting is the one compared. A round in which other programs took more than 5 % of the machine is dropped and repeated.
First, both compute the loss of one batch with the same weights, and must agree.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from itertools import product
from pathlib import Path
from statistics import median

import numpy as np

NETWORKS = {
    "resnet-small": {"size": 8, "channels": 1, "batch_size": 128, "width": 16, "stages": (1, 1, 1)},
    "resnet18": {"size": 32, "channels": 3, "batch_size": 64, "width": 64, "stages": (2, 2, 2, 2)},
}
CLASSES, IMAGES, TEMPERATURE = 10, 1024, 0.1
TARGET = {"float32": 1.15, "bfloat16": 1.0}
BLOCK_SECONDS, DISTURBED = 2.0, 0.05


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--torch-python", required=True, help="a Python that has torch and numpy")
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--losses", nargs="+", choices=("ce", "sc"), default=["ce", "sc"])
    parser.add_argument("--precisions", nargs="+", choices=TARGET, default=list(TARGET))
    parser.add_argument("--rounds", type=int, default=9, help="undisturbed rounds to take")
    parser.add_argument("--patience", type=float, default=600.0, help="seconds to wait for them, for each case")
    options = parser.parse_args()
    for network, precision, loss in product(options.networks, options.precisions, options.losses):
        compare(options, network, precision, loss)


def compare(options: argparse.Namespace, network: str, precision: str, loss: str) -> None:
    """Print one line: steps a second of both sides and the ratio."""
    case = [network, precision, loss]
    workers = {"simplexlab": Worker(sys.executable, "simplexlab", *case)}
    for threads in sorted({1, os.cpu_count()}):
        workers[f"PyTorch, {threads} threads"] = Worker(options.torch_python, "torch", *case, str(threads))
    try:
        with tempfile.TemporaryDirectory() as folder:
            losses = {name: worker.ask({"batch": folder}) for name, worker in workers.items()}
        rounds, dropped = measure(workers, options)
    finally:
        for worker in workers.values():
            worker.process.kill()
    reference = losses["simplexlab"]
    if any(abs(value / reference - 1) > (1e-4 if precision == "float32" else 5e-2) for value in losses.values()):
        sys.exit(f"{case}: the losses of one batch differ: {losses}")
    if not rounds:
        sys.exit(f"{case}: other programs disturbed all {dropped} rounds")
    rates = {name: median(1 / one[name] for one in rounds) for name in workers}
    best = max((name for name in workers if name != "simplexlab"), key=rates.get)
    ratios = sorted(one[best] / one["simplexlab"] for one in rounds)
    verdict = "reached" if median(ratios) >= TARGET[precision] else "MISSED"
    print(
        f"{network:12} {precision:8} {loss}: ratio {median(ratios):.2f} ({ratios[0]:.2f}–{ratios[-1]:.2f}), "
        f"target {TARGET[precision]:.2f} {verdict}; "
        + "; ".join(f"{name} {rate:.4g}/s" for name, rate in rates.items())
        + f"; {len(rounds)} rounds, {dropped} dropped",
        flush=True,
    )


def measure(workers: dict[str, "Worker"], options: argparse.Namespace) -> tuple[list[dict[str, float]], int]:
    """Undisturbed rounds, each {side: seconds a step}, and the number of disturbed ones."""
    rounds, dropped, deadline = [], 0, time.monotonic() + options.patience
    steps = {name: 2 for name in workers}
    for name, worker in workers.items():  # warm up and find how many steps fill a block
        worker.ask({"steps": 2})
        steps[name] = max(2, round(2 * BLOCK_SECONDS / worker.ask({"steps": 2})))
    while len(rounds) < options.rounds and time.monotonic() < deadline:
        seconds, disturbance = {}, 0.0
        for name, worker in workers.items():
            busy, own, began = busy_seconds(), worker.processor_seconds(), time.monotonic()
            seconds[name] = worker.ask({"steps": steps[name]}) / steps[name]
            others = (busy_seconds() - busy) - (worker.processor_seconds() - own)
            disturbance = max(disturbance, others / (time.monotonic() - began) / os.cpu_count())
        if disturbance <= DISTURBED:
            rounds.append(seconds)
        else:
            dropped += 1
    return rounds, dropped


class Worker:
    """One side: a process that answers each JSON line with one."""

    def __init__(self, python: str, *words: str):
        self.process = subprocess.Popen(
            [python, __file__, "--worker", *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def ask(self, request: dict) -> float:
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())

    def processor_seconds(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def busy_seconds() -> float:
    """Processor time that all programs of the machine, and its host, have used since the start."""
    user, nice, system, _idle, _wait, irq, softirq, steal, *_ = map(
        int, Path("/proc/stat").read_text().splitlines()[0].split()[1:]
    )
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def serve(steps, batch_loss) -> None:
    """Answer the requests of the other end: seconds for so many steps, or the loss of the shared batch."""
    for line in sys.stdin:
        request = json.loads(line)
        if "batch" in request:
            answer = batch_loss(Path(request["batch"]) / "batch.npz")
        else:
            began = time.perf_counter()
            steps(request["steps"])
            answer = time.perf_counter() - began
        print(answer, flush=True)


def random_images(network: dict) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    shape = (IMAGES, network["size"], network["size"], network["channels"])
    return generator.integers(0, 256, shape).astype(np.uint8), np.arange(IMAGES, dtype=np.int32) % CLASSES


def serve_simplexlab(name: str, precision: str, loss: str) -> None:
    """The training loop of `simplexlab train`, with its own choice of threads."""
    from simplexlab.training import runtime

    with runtime.keras_precision(precision):
        serve_loop(name, precision, loss)


def serve_loop(name: str, precision: str, loss: str) -> None:
    from simplexlab.config import Experiment
    from simplexlab.data import Dataset
    from simplexlab.training import runtime

    network = NETWORKS[name]
    experiment = Experiment(
        loss=loss,
        encoder=name,
        width=network["width"],
        batch_size=network["batch_size"],
        iterations=1_000_000,
        temperature=TEMPERATURE,
        learning_rate=0.01,
        precision=precision,
        devices="cpu",
    ).resolve()
    started = runtime.start(experiment, pixels=network["size"] ** 2)

    import keras

    from simplexlab.training.learner import build_learner
    from simplexlab.training.loop import Loop

    images, labels = random_images(network)
    dataset = Dataset(
        name="random",
        x_train=images,
        y_train=labels,
        x_test=images,
        y_test=labels,
        class_names=tuple(map(str, range(CLASSES))),
    )
    with started.strategy.scope():
        learner = build_learner(experiment, dataset)
    loop, done = Loop(experiment, dataset, labels, learner, started), 0

    def steps(count: int) -> None:
        nonlocal done
        for _ in loop.run(done, done + count):
            pass
        done += count

    def batch_loss(path: Path) -> float:
        batch = images[: network["batch_size"]], labels[: network["batch_size"]]
        weights = [layer.get_weights()[0] for layer in learner.model.layers if hasattr(layer, "kernel")]
        np.savez(path, *weights)
        saved = learner.model.get_weights()
        outputs = learner.model(batch[0], training=True)
        learner.model.set_weights(saved)
        return float(keras.ops.mean(learner.loss(batch[1], outputs)))

    serve(steps, batch_loss)


def serve_torch(name: str, precision: str, loss: str, threads: str) -> None:
    """The same in PyTorch, eagerly."""
    import torch
    from torch import nn
    from torch.nn import functional

    torch.set_num_threads(int(threads))
    network = NETWORKS[name]

    class Block(nn.Module):
        def __init__(self, channels, filters, stride):
            super().__init__()
            self.first = nn.Conv2d(channels, filters, 3, stride, 1, bias=False)
            self.first_norm = nn.BatchNorm2d(filters)
            self.second = nn.Conv2d(filters, filters, 3, 1, 1, bias=False)
            self.second_norm = nn.BatchNorm2d(filters)
            self.shortcut = nn.Identity()
            if stride > 1 or channels != filters:
                convolution = nn.Conv2d(channels, filters, 1, stride, bias=False)
                self.shortcut = nn.Sequential(convolution, nn.BatchNorm2d(filters))

        def forward(self, x):
            y = functional.relu(self.first_norm(self.first(x)), inplace=True)
            y = self.second_norm(self.second(y))
            y += self.shortcut(x)
            return functional.relu(y, inplace=True)

    width = network["width"]
    parts = [nn.Conv2d(network["channels"], width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
    channels = width
    for stage, blocks in enumerate(network["stages"]):
        for index in range(blocks):
            parts.append(Block(channels, width * 2**stage, 2 if stage and not index else 1))
            channels = width * 2**stage
    parts += [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    if loss == "ce":
        parts.append(nn.Linear(channels, CLASSES, bias=False))
    model = nn.Sequential(*parts).to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), 0.01, momentum=0.9, weight_decay=1e-4, fused=True)
    images, labels = random_images(network)
    mean, deviation = (
        torch.from_numpy(statistic(images, (0, 1, 2), keepdims=True)).float().permute(0, 3, 1, 2)
        for statistic in (np.mean, np.std)
    )
    images = torch.from_numpy(images).permute(0, 3, 1, 2)  # channels-last in memory
    labels = torch.from_numpy(labels).long()

    def supervised_contrastive(z, y):
        others = ~torch.eye(len(y), dtype=torch.bool)
        logits = (z @ z.T).masked_fill(~others, float("-inf"))
        positive = (y[:, None] == y[None, :]) & others
        log_shares = (logits - torch.logsumexp(logits, 1, keepdim=True)).masked_fill(~positive, 0.0)
        return (-log_shares.sum(1) / positive.sum(1).clamp(min=1)).mean()

    def loss_of(x, y):
        x = x.float().sub_(mean).div_(deviation).contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bfloat16"):
            outputs = model(x)
        outputs = outputs.float()
        if loss == "ce":
            return functional.cross_entropy(outputs, y)
        return supervised_contrastive(functional.normalize(outputs) * TEMPERATURE**-0.5, y)

    def steps(count: int) -> None:
        for _ in range(count):
            batch = torch.randint(0, IMAGES, (network["batch_size"],))
            optimizer.zero_grad()
            value = loss_of(images[batch], labels[batch])
            value.backward()
            optimizer.step()
        float(value.detach())

    def batch_loss(path: Path) -> float:
        kernels = list(np.load(path).values())
        with torch.no_grad():
            for module in model.modules():
                if isinstance(module, nn.Conv2d | nn.Linear):
                    order = (3, 2, 0, 1) if isinstance(module, nn.Conv2d) else (1, 0)
                    shape = tuple(module.weight.shape)
                    index = next(i for i, k in enumerate(kernels) if k.transpose(order[: k.ndim]).shape == shape)
                    module.weight.copy_(torch.from_numpy(kernels.pop(index).transpose(order).copy()))
            return float(loss_of(images[: network["batch_size"]], labels[: network["batch_size"]]))

    serve(steps, batch_loss)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        {"simplexlab": serve_simplexlab, "torch": serve_torch}[sys.argv[2]](*sys.argv[3:])
    else:
        main()
