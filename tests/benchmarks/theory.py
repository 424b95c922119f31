"""Timings of geometry and theory against their targets: python tests/benchmarks/theory.py"""

import resource
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np

from simplexlab.geometry import head_simplex, statistics
from simplexlab.theory import (
    AllBatches,
    Floor,
    ce_floor,
    fixed_head_floor,
    optimal_weight_norm,
    sc_bound,
    sc_floor,
    sc_floor_of_batches,
    sc_loss_batches,
    ufm_ce_floor,
)


def processor_seconds() -> float:
    """Processor time of this process and of the commands that it ran."""
    usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(part.ru_utime + part.ru_stime for part in usage)


def report(name: str, target: str, runs: int, call: Callable[[], object]) -> None:
    """Print best and median time by the clock and median processor time of `runs` calls after one that warms up."""
    call()
    clock, processor = [], []
    for _ in range(runs):
        start, processor_start = time.perf_counter(), processor_seconds()
        call()
        clock.append(1e3 * (time.perf_counter() - start))
        processor.append(1e3 * (processor_seconds() - processor_start))
    print(
        f"{name:<62} {target:>9} {min(clock):10.3f} {np.median(clock):10.3f} {np.median(processor):10.3f} {runs:5d}",
        flush=True,
    )


def main() -> None:
    generator = np.random.default_rng(0)
    print(f"numpy {np.__version__}, Python {sys.version.split()[0]}")
    print(f"{'':<62} {'target':>9} {'best ms':>10} {'median ms':>10} {'proc. ms':>10} {'runs':>5}")

    options = {"temperature": 0.1, "sampling": "multiset"}
    report("Theorem 2, K=100, n=500, b=256", "2 ms", 200, lambda: sc_bound(100, 256, samples_per_class=500, **options))
    report(
        "Theorem 2, K=1000, n=1300, b=65,536",
        "1000 ms",
        50,
        lambda: sc_bound(1000, 65_536, samples_per_class=1300, **options),
    )
    report("r_W, K=10, λ=1e-4", "", 200, lambda: optimal_weight_norm(1.0, 1e-4, 10))

    labels = np.repeat(np.arange(3), 4)
    objective = AllBatches(labels, 9)
    points = generator.standard_normal((12, 2))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    report(
        f"loss and gradient over {len(objective.batches):,} batches (K=3, n=4, b=9)",
        "50 ms",
        50,
        lambda: objective.mean_loss_and_gradient(points),
    )

    values = generator.standard_normal((50_000, 512), dtype=np.float32)
    labels = generator.permutation(np.arange(50_000) % 100)
    weights = generator.standard_normal((100, 512))
    indices = generator.integers(0, 50_000, (100, 256))
    unit = values / np.linalg.norm(values, axis=1, keepdims=True)
    report("SC loss of 100 batches of 256 × 512", "", 5, lambda: sc_loss_batches(unit, labels, indices))
    report("statistics of 50,000 × 512 float32, K=100", "1000 ms", 7, lambda: statistics(values, labels, weights))
    tracemalloc.start()
    statistics(values, labels, weights)
    peak = tracemalloc.get_traced_memory()[1] + values.nbytes
    print(f"{'their peak memory with the input, in units of the input':<62} {'< 2':>9} {peak / values.nbytes:10.3f}")

    floors()

    command = [str(Path(sys.executable).with_name("simplexlab")), "bound", "sc", "--classes", "10"]
    command += ["--batch-size", "256", "--temperature", "0.1", "--samples-per-class", "5000"]
    report("`simplexlab bound sc …`, prompt to table", "500 ms", 11, lambda: _run(command))
    report("`simplexlab bound sc … --json`", "500 ms", 11, lambda: _run([*command, "--json"]))
    counts = ["--counts", "50,40,30,20,10,9,8,7,6,5"]
    ce = [*command[:2], "ce", *counts, "--radius", "2", "--frobenius", "6"]
    sc = [*command[:2], "sc", *counts, "--batch-size", "256", "--temperature", "0.1"]
    report("`simplexlab bound ce --counts …`", "700 ms", 11, lambda: _run(ce))
    report("`simplexlab bound sc --counts …`", "700 ms", 11, lambda: _run(sc))


def floors() -> None:
    """Floors with their certificates, of ten and a hundred classes, from nothing and from the evaluation before.

    Counts fall tenfold from the largest class to the smallest. An evaluation later the norms are 1 % larger.
    """
    for num_classes, runs, cold, warm in ((10, 20, "30 ms", "30 ms"), (100, 5, "3000 ms", "300 ms")):
        counts = np.rint(np.geomspace(100, 1000, num_classes)).astype(int)
        shares = counts / counts.sum()
        batches = np.random.default_rng(0).multinomial(256, shares, 100)
        rows = head_simplex(num_classes, 512)

        def ce(size: float, start: Floor | None, counts=counts, features="free") -> Floor:
            norm = np.sqrt(len(counts)) * 2 * size
            return ce_floor(counts, 3 * size, norm, features=features, start=start)

        def relu(size: float, start: Floor | None, ce=ce) -> Floor:
            return ce(size, start, features="nonnegative")

        def mean(size: float, start: Floor | None, shares=shares) -> Floor:
            return sc_floor(shares, 256, radius=np.sqrt(10) * size, start=start)

        def sample(size: float, start: Floor | None, batches=batches) -> Floor:
            return sc_floor_of_batches(batches, radius=np.sqrt(10) * size, start=start)

        def head(size: float, start: Floor | None, rows=rows) -> Floor:
            return fixed_head_floor(rows, 5 * size, features="nonnegative", start=start)

        def penalised(size: float, start: Floor | None, counts=counts) -> Floor:
            return ufm_ce_floor(counts, 1e-4 * size, 1e-5, start=start)

        for name, call in (
            ("CE", ce),
            ("CE, non-negative", relu),
            ("SC, mean over i.i.d. batches", mean),
            ("SC, 100 batches", sample),
            ("fixed head, non-negative, h=512", head),
            ("penalised CE", penalised),
        ):
            found = call(1.0, None)
            assert found.is_exact, name
            report(f"floor of {name}, K={num_classes}, cold", cold, runs, lambda call=call: call(1.0, None))
            report("the same, from the last evaluation's", warm, runs, lambda call=call, found=found: call(1.01, found))


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
