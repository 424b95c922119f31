"""`simplexlab bench`: how fast an experiment trains here."""

from typing import Annotated, Any

from cyclopts import Parameter

from simplexlab.cli.common import Json, print_json
from simplexlab.cli.options import as_experiment, experiment_options
from simplexlab.errors import UsageError

# Options that change nothing of what is measured.
WITHOUT = (
    "corrupt",
    "corruption",
    "balanced",
    "until_fit",
    "tolerance",
    "checkpoint_every",
    "evaluate_at",
    "run_dir",
    "name",
)
BenchOptions = experiment_options(without=WITHOUT)


def bench(
    options: Annotated[BenchOptions, Parameter(name="*")] = BenchOptions(),  # noqa: B008
    *,
    seconds: Annotated[float, Parameter(help="How long to train for the measurement.")] = 10.0,
    json: Json = False,
) -> None:
    """Measure steps and images a second, the share of the machine's peak, evaluation overhead and memory."""
    if not 0.1 <= seconds <= 3600:
        raise UsageError(f"--seconds {seconds} must be between 0.1 and 3600")
    experiment = as_experiment(options).resolve()

    from simplexlab.training.benchmark import benchmark

    record = benchmark(experiment, seconds)
    if json:
        print_json(record)
    else:
        _print(record)


def _print(record: dict[str, Any]) -> None:
    from rich.filesize import decimal
    from rich.table import Table

    from simplexlab.cli.tables import console

    experiment = record["experiment"]
    low, high = record["steps_per_second_quartiles"]
    rows = {
        "experiment": f"{experiment['loss']}, {experiment['dataset']}, {experiment['encoder']} width "
        f"{experiment['width']}, batch {experiment['batch_size']}, {experiment['precision']}",
        "devices": ", ".join(record["devices"]) + (", XLA" if record["xla"] else ""),
        "steps a second": f"{record['steps_per_second']:.4g} (quartiles {low:.4g} to {high:.4g})",
        "images a second": f"{record['images_per_second']:.4g}",
        "first step": f"{record['compile_seconds']:.1f} s with tracing",
        "operations a step": f"{record['flops_per_step'] / 1e9:.4g} GFLOP",
        "share of the peak": f"{record['share_of_peak']:.1%} of {record['peak_flops_per_second'] / 1e9:.4g} GFLOP/s "
        "(large matrix product)",
        "one evaluation": f"{record['evaluation_seconds']:.3g} s, {record['evaluation_overhead']:.1%} of the training "
        f"time at one every {experiment['evaluate_every']} iterations",
        "memory": decimal(record["peak_memory_bytes"]),
    }
    if record["gpu_peak_memory_bytes"] is not None:
        rows["GPU memory"] = decimal(record["gpu_peak_memory_bytes"])
    table = Table(box=None, show_header=False, pad_edge=False)
    for name, value in rows.items():
        table.add_row(name, value)
    console().print(table)
