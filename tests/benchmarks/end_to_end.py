"""A whole run, from the prompt to the result: simplexlab beside PyTorch that goes through the authors' procedure.

    python tests/benchmarks/end_to_end.py --torch-python PYTHON [--repeats 3] [--loss sc] [--case digits]
        [--iterations 1000] [--threads 1]

A run has 20 evaluations, a tenth of the authors' 200; in shorter ones the start of TensorFlow weighs more.
PYTHON is an interpreter with torch 2.13 and numpy (not a dependency of the project). The two alternate in one run and
train the same network on the same images with the same batch size, learning rates, momentum and weight decay.

The authors' procedure: batches drawn with replacement by a batch sampler of a DataLoader; SC as the paper defines it,
over the batch; every so many steps an evaluation by three classifiers: the head; a linear map trained for a number of
steps on the frozen encoder, whose batches go through the encoder again; the class means. Each is judged on the whole
training and test set, the images through the encoder each time. PyTorch gets what helps it: channels-last, images
normalised once and held as one tensor.
simplexlab does the same by its own means: `train --fit-policy probe`, the same evaluation interval.

On 32×32 images the interval, the steps of the linear map and the training set are scaled down together, so that an
evaluation costs the same share of the training as with the authors' 50,000 images, 500 steps of 256 and 1,000 steps.
"""

import argparse
import importlib.metadata
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

CASES = {
    # encoder, width, batch, iterations, evaluate every, steps of the linear map
    "digits": ("resnet-small", 16, 128, 10_000, 500, 1000),
    "32x32": ("resnet18", 32, 64, 400, 20, 40),
}
TEMPERATURE = 0.1


def main() -> None:
    """Alternate the two and print the times."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--torch-python", default=sys.executable)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--loss", choices=("ce", "sc"), action="append")
    parser.add_argument("--case", choices=tuple(CASES), action="append")
    parser.add_argument("--iterations", type=int, help="of each run; by default 20 evaluation intervals")
    parser.add_argument("--threads", type=int, help="of each; by default each as it chooses")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(train_with_torch(json.loads(options.child))))
        return
    print(
        f"tensorflow {importlib.metadata.version('tensorflow')}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    )
    with tempfile.TemporaryDirectory() as folder:
        for case in options.case or CASES:
            data = _write_data(case, Path(folder))
            for loss in options.loss or ("ce", "sc"):
                _compare(case, loss, data, Path(folder), options)


def _write_data(case: str, folder: Path) -> Path:
    path = folder / f"{case}.npz"
    if case == "digits":
        from simplexlab.data import load

        digits = load("digits")
        np.savez(path, **{key: getattr(digits, key) for key in ("x_train", "y_train", "x_test", "y_test")})
    else:
        generator = np.random.default_rng(0)
        images = generator.integers(0, 256, (600, 32, 32, 3), dtype=np.uint8)
        labels = np.arange(600, dtype=np.int32) % 10
        np.savez(path, x_train=images[:500], y_train=labels[:500], x_test=images[500:], y_test=labels[500:])
    return path


def _compare(case: str, loss: str, data: Path, folder: Path, options: argparse.Namespace) -> None:
    encoder, width, batch, iterations, every, probe_steps = CASES[case]
    iterations = options.iterations or iterations
    ours = [sys.executable, "-m", "simplexlab", "train", "--loss", loss, "--dataset", str(data), "--encoder", encoder]
    ours += ["--width", width, "--batch-size", batch, "--iterations", iterations, "--evaluate-every", every]
    ours += ["--fit-policy", "probe", "--no-augment", "--run-dir", folder / "runs", "--json"]
    ours += ["--threads", options.threads] if options.threads else []
    request = {"data": str(data), "loss": loss, "small": encoder == "resnet-small", "width": width, "batch": batch}
    request |= {"iterations": iterations, "every": every, "probe_steps": probe_steps}
    request |= {"threads": options.threads}
    theirs = [options.torch_python, __file__, "--child", json.dumps(request)]
    times: dict[str, list[tuple[float, float]]] = {"simplexlab": [], "PyTorch": []}
    for _ in range(options.repeats):
        for name, command in (("simplexlab", ours), ("PyTorch", theirs)):
            before = os.times()
            began = time.perf_counter()
            done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
            seconds = time.perf_counter() - began
            after = os.times()
            if done.returncode:
                sys.exit(f"{name} failed:\n{done.stderr}")
            cpu = after.children_user + after.children_system - before.children_user - before.children_system
            times[name].append((seconds, cpu))
            result = json.loads(done.stdout.splitlines()[-1])
            detail = {key: result[key] for key in ("train_error", "training_seconds", "torch") if key in result}
            print(f"{case} {loss} {name}: {seconds:.1f} s, processor {cpu:.1f} s, {detail}", flush=True)
    for index, kind in enumerate(("by the clock", "processor time")):
        mine, other = (statistics.median(pair[index] for pair in times[name]) for name in times)
        print(
            f"{case} {loss} {kind}: simplexlab {mine:.1f} s, PyTorch {other:.1f} s, ratio {other / mine:.2f}",
            flush=True,
        )


def train_with_torch(request: dict) -> dict:
    """The authors' procedure; returns the last train error and the seconds spent in training steps."""
    import torch
    from torch import nn
    from torch.nn import functional

    def block(inputs: int, outputs: int, stride: int) -> nn.Module:
        class Block(nn.Module):
            def __init__(self):
                super().__init__()
                self.body = nn.Sequential(
                    nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False),
                    nn.BatchNorm2d(outputs),
                    nn.ReLU(),
                    nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False),
                    nn.BatchNorm2d(outputs),
                )
                self.shortcut = nn.Identity()
                if stride > 1 or inputs != outputs:
                    self.shortcut = nn.Sequential(
                        nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
                    )

            def forward(self, x):
                return functional.relu(self.body(x) + self.shortcut(x))

        return Block()

    def encoder(channels: int, width: int, stages: tuple[int, ...]) -> nn.Module:
        layers: list[nn.Module] = [nn.Conv2d(channels, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
        current = width
        for stage, blocks in enumerate(stages):
            for index in range(blocks):
                layers.append(block(current, width * 2**stage, 2 if stage and not index else 1))
                current = width * 2**stage
        return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())

    def contrastive(z: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        size = len(labels)
        others = ~torch.eye(size, dtype=torch.bool)
        similarities = (z @ z.T / TEMPERATURE)[others].view(size, size - 1)
        positives = (labels[:, None] == labels)[others].view(size, size - 1)
        count = positives.sum(1)
        logs = functional.log_softmax(similarities, dim=1)
        means = (logs * positives).sum(1) / count.clamp(min=1)
        return -means.sum() / size

    class Batches(torch.utils.data.Sampler):
        def __init__(self, size: int, count: int, batch: int):
            self.size, self.count, self.batch = size, count, batch

        def __len__(self):
            return self.count

        def __iter__(self):
            for _ in range(self.count):
                yield generator.integers(self.size, size=self.batch).tolist()

    if request["threads"]:
        torch.set_num_threads(request["threads"])
    torch.manual_seed(0)
    generator = np.random.default_rng(0)
    arrays = np.load(request["data"])
    scale = arrays["x_train"].reshape(-1, arrays["x_train"].shape[-1]) / 255.0
    mean, deviation = scale.mean(0), scale.std(0)

    def dataset(split: str) -> torch.utils.data.TensorDataset:
        images = (arrays[f"x_{split}"] / 255.0 - mean) / deviation
        images = (
            torch.tensor(images, dtype=torch.float32).permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)
        )
        return torch.utils.data.TensorDataset(images, torch.tensor(arrays[f"y_{split}"], dtype=torch.long))

    train, test = dataset("train"), dataset("test")
    classes = int(train.tensors[1].max()) + 1
    stages = (1, 1, 1) if request["small"] else (2, 2, 2, 2)
    network = encoder(arrays["x_train"].shape[-1], request["width"], stages).to(memory_format=torch.channels_last)
    dimension = network(train.tensors[0][:2]).shape[1]
    head = nn.Linear(dimension, classes, bias=False)
    is_contrastive = request["loss"] == "sc"

    def represent(images: torch.Tensor) -> torch.Tensor:
        z = network(images)
        return functional.normalize(z) if is_contrastive else z

    def batches(count: int) -> torch.utils.data.DataLoader:
        sampler = Batches(len(train), count, request["batch"])
        return torch.utils.data.DataLoader(train, batch_sampler=sampler)

    def passes(split: torch.utils.data.Dataset):
        with torch.no_grad():
            for images, labels in torch.utils.data.DataLoader(split, batch_size=256):
                yield represent(images), labels

    def error(classifier: nn.Module, split: torch.utils.data.Dataset) -> float:
        with torch.no_grad():
            return float(np.mean(np.concatenate([(classifier(z).argmax(1) != y).numpy() for z, y in passes(split)])))

    def retrained() -> nn.Module:
        linear = nn.Linear(dimension, classes, bias=False)
        steps = request["probe_steps"]
        optimizer = torch.optim.SGD(linear.parameters(), lr=0.1, weight_decay=1e-3)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: ((steps - step) / steps) ** 5)
        for images, labels in batches(steps):
            optimizer.zero_grad()
            with torch.no_grad():
                z = represent(images)
            functional.cross_entropy(linear(z), labels).backward()
            optimizer.step()
            schedule.step()
        return linear

    def class_means() -> nn.Module:
        rows, counts = torch.zeros(classes, dimension), torch.zeros(classes)
        for z, labels in passes(train):
            rows.index_add_(0, labels, z)
            counts += torch.bincount(labels, minlength=classes)
        linear = nn.Linear(dimension, classes, bias=False)
        with torch.no_grad():
            linear.weight.copy_(rows / counts[:, None])
        return linear

    total = request["iterations"]
    parameters = [*network.parameters()] + ([] if is_contrastive else [*head.parameters()])
    optimizer = torch.optim.SGD(parameters, lr=0.1, momentum=0.9, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: ((total - step) / total) ** 5)
    training_seconds = 0.0
    errors = (1.0, 1.0)
    began = time.perf_counter()
    for step, (images, labels) in enumerate(batches(total), start=1):
        optimizer.zero_grad()
        z = represent(images)
        loss = contrastive(z, labels) if is_contrastive else functional.cross_entropy(head(z), labels)
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % request["every"] == 0 or step == total:
            training_seconds += time.perf_counter() - began
            network.eval()
            classifiers = [retrained(), class_means()] + ([] if is_contrastive else [head])
            errors, *_ = [(error(classifier, train), error(classifier, test)) for classifier in classifiers]
            network.train()
            began = time.perf_counter()
    return {
        "train_error": errors[0],
        "test_error": errors[1],
        "training_seconds": training_seconds,
        "torch": torch.__version__,
    }


if __name__ == "__main__":
    main()
