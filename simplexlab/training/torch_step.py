"""A training step in PyTorch, for `beside_torch`: the same network, loss and optimizer, eager or compiled.

Run by a Python that has torch and numpy and need not have simplexlab, so nothing of it is imported here.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

IMAGES = 1024


def serve(facts: dict[str, Any], steps: Callable[[int], None], batch_loss: Callable[[Path], float]) -> None:
    """Answer each JSON line on stdin with one: `facts`, seconds for so many steps, the loss of the shared batch.

    Args:
        facts: versions and device of this side.
        steps: takes so many steps and waits until they are done.
        batch_loss: the loss of the first batch, with weights that one side writes to the path and the others read.
    """
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if "steps" in request:
                began = time.perf_counter()
                steps(request["steps"])
                answer: Any = time.perf_counter() - began
            else:
                answer = batch_loss(Path(request["batch"])) if "batch" in request else facts
        except Exception as error:  # a compiler that is missing, too little memory
            answer = {"error": f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"}
        print(json.dumps(answer), flush=True)


def random_images(case: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """The images of both sides, uint8 (N, height, width, channels), and their labels, int32 (N,)."""
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (IMAGES, *case["shape"])).astype(np.uint8)
    return images, np.arange(IMAGES, dtype=np.int32) % case["classes"]


def main(case: dict[str, Any]) -> None:
    """Serve the steps of a case."""
    import torch
    from torch import nn
    from torch.nn import functional

    torch.set_num_threads(case["threads"])
    device = torch.device(case["device"])
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = case["precision"] == "tf32"
    torch.backends.cudnn.benchmark = True
    kind = torch.float64 if case["precision"] == "float64" else torch.float32

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

    width, channels = case["width"], case["width"]
    first = nn.Conv2d(case["shape"][2], width, 3, 1, 1, bias=False)
    parts = [first, nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
    for stage, blocks in enumerate(case["stages"]):
        for index in range(blocks):
            parts.append(Block(channels, width * 2**stage, 2 if stage and not index else 1))
            channels = width * 2**stage
    parts += [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    if case["has_head"]:  # cross-entropy of its logits; without one, the contrastive loss
        parts.append(nn.Linear(channels, case["classes"], bias=False))
    model = nn.Sequential(*parts).to(device, kind, memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), 0.01, momentum=0.9, weight_decay=1e-4, fused=True)
    images, labels = random_images(case)
    mean, deviation = (
        torch.from_numpy(statistic(images, (0, 1, 2), keepdims=True)).permute(0, 3, 1, 2).to(device, kind)
        for statistic in (np.mean, np.std)
    )
    images = torch.from_numpy(images).permute(0, 3, 1, 2).to(device)  # channels-last in memory
    labels = torch.from_numpy(labels).long().to(device)

    def supervised_contrastive(z, y):
        others = ~torch.eye(len(y), dtype=torch.bool, device=device)
        logits = (z @ z.T).masked_fill(~others, float("-inf"))
        positive = (y[:, None] == y[None, :]) & others
        log_shares = (logits - torch.logsumexp(logits, 1, keepdim=True)).masked_fill(~positive, 0.0)
        return (-log_shares.sum(1) / positive.sum(1).clamp(min=1)).mean()

    def loss_of(x, y):
        x = ((x.to(kind) - mean) / deviation).contiguous(memory_format=torch.channels_last)
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=case["precision"] == "bfloat16"):
            outputs = model(x)
        outputs = outputs.to(kind)
        if case["has_head"]:
            return functional.cross_entropy(outputs, y)
        return supervised_contrastive(functional.normalize(outputs) * case["temperature"] ** -0.5, y)

    step_loss = torch.compile(loss_of) if case["compiled"] else loss_of

    def steps(count: int) -> None:
        for _ in range(count):
            batch = torch.randint(0, IMAGES, (case["batch_size"],), device=device)
            optimizer.zero_grad()
            value = step_loss(images[batch], labels[batch])
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
        # With gradients, as the steps take it: a compiled function is compiled once.
        return float(step_loss(images[: case["batch_size"]], labels[: case["batch_size"]]).detach())

    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    serve({"version": torch.__version__, "device": name}, steps, batch_loss)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
