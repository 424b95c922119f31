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
    compare_torch: Annotated[
        str | None,
        Parameter(
            help="A Python that has torch and numpy: also measure the same steps in PyTorch there, eager and compiled, "
            "in turns. For ce and sc on resnet-small and resnet18.",
            show_default=False,
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Measure steps and images a second, the share of the machine's peak, where the time goes, and memory."""
    if not 0.1 <= seconds <= 3600:
        raise UsageError(f"--seconds {seconds} must be between 0.1 and 3600")
    experiment = as_experiment(options).resolve()

    from simplexlab.training.benchmark import benchmark, line

    if compare_torch is not None:
        record = _beside_torch(experiment, compare_torch, seconds)
    else:
        record = benchmark(experiment, seconds)
        record["line"] = line(record)
    if json:
        print_json(record)
    elif compare_torch is not None:
        _print_beside_torch(record)
    else:
        _print(record)


def _beside_torch(experiment: Any, python: str, seconds: float) -> dict[str, Any]:
    """Only the comparison: what else a bench measures would share the machine with it."""
    from simplexlab.training.beside_torch import ROUNDS, check, compare
    from simplexlab.training.description import load_dataset

    check(experiment)  # before data are loaded
    dataset = load_dataset(experiment)
    record = compare(
        experiment, dataset.image_shape, dataset.num_classes, python, block_seconds=max(0.1, seconds / ROUNDS)
    )
    return {"experiment": experiment.to_dict(), **record}


def _time(record: dict[str, Any]) -> str:
    every, interval = record["experiment"]["evaluate_every"], record["shares_interval"]
    shares = ", ".join(f"{what} {share:.1%}" for what, share in record["shares"].items())
    measured = f" (measured with one every {interval})" if interval < every else ""
    return f"{shares}, with an evaluation and a checkpoint every {every} iterations{measured}"


def _transfers(record: dict[str, Any]) -> str:
    step, call = record["transfer_bytes_per_step"], record["transfer_bytes_per_call"]
    return f"{step} bytes a step, {call} a call of many steps" if call else "nothing is copied: the CPU is the host"


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
        "(large matrix products)",
        "one evaluation": f"{record['evaluation_seconds']:.3g} s, {record['evaluation_overhead']:.1%} of the training "
        f"time at one every {experiment['evaluate_every']} iterations",
        "time": _time(record),
        "host ↔ device": _transfers(record),
        "memory": decimal(record["peak_memory_bytes"]),
    }
    if record["gpu_peak_memory_bytes"] is not None:
        rows["GPU memory"] = decimal(record["gpu_peak_memory_bytes"])
    table = Table(box=None, show_header=False, pad_edge=False)
    for name, value in rows.items():
        table.add_row(name, value)
    out = console()
    out.print(table)
    out.print("\nFor an issue:")
    out.print(record["line"], soft_wrap=True)


def _print_beside_torch(record: dict[str, Any]) -> None:
    from rich.table import Table

    from simplexlab.cli.tables import console

    table = Table(box=None, pad_edge=False)
    for name in ("", "steps a second", "simplexlab / PyTorch", "least", "largest"):
        table.add_column(name, justify="left" if not name else "right")
    ours = record["simplexlab"]
    label = f"simplexlab, TensorFlow {ours['version']}, {ours['device']}{', XLA' if ours['xla'] else ''}"
    table.add_row(label, f"{ours['steps_per_second']:.4g}")
    for side in record["torch"]:
        name = f"{side['name']}, {side['version']}, {side['device']}"
        if "error" in side:
            table.add_row(name, f"failed: {side['error']}")
        else:
            table.add_row(name, f"{side['steps_per_second']:.4g}", *(f"{value:.2f}" for value in side["ratio"]))
    out = console()
    out.print(table)
    disturbance = record["disturbance"]
    others = "" if disturbance is None else f"; other programs took up to {disturbance:.0%} of the machine"
    out.print(f"\nMedians of {record['rounds']} rounds in which the sides take turns{others}", soft_wrap=True)
