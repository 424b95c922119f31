"""`simplexlab sweep`: losses × corruptions × seeds × any option."""

import dataclasses
import signal
import sys
import time
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from simplexlab.asides import progress_begins
from simplexlab.cli.common import Json, WholeNumber, print_json
from simplexlab.config import parse_devices
from simplexlab.errors import RunError, UsageError
from simplexlab.files import reason
from simplexlab.memory import check_address_space


def sweep(
    *,
    preset: Annotated[
        Literal["class", "objectives", "fashion", "budget", "paper"] | None,
        Parameter(
            help="class: the losses apart on digits, offline, in minutes; objectives: every objective "
            "side by side on digits, clean and 40 % flipped; fashion: the paper's contrast on "
            "Fashion-MNIST; budget: one series at three budgets and at a constant learning rate; paper: Figures 2 and "
            "8 with the paper's recipe on CIFAR10 and CIFAR100, "
            "for GPUs. Other options change single parts of it."
        ),
    ] = None,
    losses: Annotated[
        str | None, Parameter(help="Losses, such as ce,sc.", show_default=lambda _: "ce,ce-fix,sc")
    ] = None,
    corruptions: Annotated[
        str | None,
        Parameter(
            help="Fractions of corrupted labels: 0,0.2,0.5, or 0:1:0.1 for 0 to 1 in steps of 0.1.",
            show_default=lambda _: "0:1:0.2",
        ),
    ] = None,
    seeds: Annotated[
        str | None,
        Parameter(help="How many seeds, 3 for 0, 1 and 2; or the seeds, 0,4.", show_default=lambda _: "3"),
    ] = None,
    set_: Annotated[
        tuple[str, ...],
        Parameter(
            name="--set",
            help="Any other option of simplexlab train, with one value for all runs or several to vary: "
            "--set dataset=cifar10 --set temperature=0.05,0.1. Options that vary together: "
            "--set schedule:iterations=polynomial:2000,constant:4000. A loss is trained once over the values of an "
            "option that it does not have.",
            negative="",
            show_default=False,
        ),
    ] = (),
    run_dir: Annotated[
        str | None,
        Parameter(
            help="Folder of the sweep, which holds its runs. A sweep that is there already goes on: only what is "
            "missing, stopped or failed is run.",
            show_default=lambda _: "sweeps/PRESET or sweeps/DATASET",
        ),
    ] = None,
    jobs: Annotated[
        WholeNumber | None,
        Parameter(help="Runs side by side.", show_default=lambda _: "one a GPU, or one a core"),
    ] = None,
    threads: Annotated[
        WholeNumber | None,
        Parameter(help="CPU threads of each run.", show_default=lambda _: "the cores shared out among the jobs"),
    ] = None,
    devices: Annotated[
        str,
        Parameter(help="auto, cpu, cpu:N (each run on N logical replicas), gpu:0,gpu:1 (one run on each) or all."),
    ] = "auto",
    scheduler: Annotated[
        str | None,
        Parameter(
            help="Run on the workers of a dask scheduler: tcp://HOST:8786, or local:4 for four workers here. The "
            "folder of the sweep must be on a disk that all of them see. Needs the extra simplexlab[cluster].",
            show_default=lambda _: "worker processes of this command",
        ),
    ] = None,
    shard: Annotated[
        str | None, Parameter(help="i/n: run the i-th of n parts only, i from 1 to n, for job arrays.")
    ] = None,
    json: Json = False,
) -> int:
    """Train a grid of losses, corruptions, seeds and any other option, each run once; write a table."""
    from simplexlab.data import require
    from simplexlab.sweep import SweepFolder, execute, place, rows, runs_of
    from simplexlab.sweep.plan import parse_shard
    from simplexlab.sweep.pool import DONE
    from simplexlab.sweep.scheduler import LOCAL, Wish, execute_on, parse_scheduler

    for name, value in (("--jobs", jobs), ("--threads", threads)):
        if value is not None and not 1 <= value <= 1024:
            raise UsageError(f"{name} {value} must be between 1 and 1024")
    check_address_space()
    part, parts = parse_shard(shard) if shard else (1, 1)
    if scheduler is not None and jobs is not None:
        raise UsageError("--jobs does not go with --scheduler, whose workers do as many runs as they have threads")
    address, workers = parse_scheduler(scheduler) if scheduler is not None else (None, jobs)
    is_elsewhere = address not in (None, LOCAL)
    kind, _ = parse_devices(devices)
    if run_dir is not None and (preset, losses, corruptions, seeds, set_) == (None, None, None, None, ()):
        folder = SweepFolder(run_dir)  # it goes on with what it holds
        folder.check_sources()
        experiments = list(folder.experiments.values())
        placement = None if is_elsewhere else place(devices, workers, threads)
    else:
        grid = _grid(preset, losses, corruptions, seeds, set_)
        experiments = grid.experiments()
        placement = None if is_elsewhere else place(devices, workers, threads)
        placed_on = placement.devices if placement else devices if kind == "cpu" else "gpu:0"
        for experiment in experiments:  # told once: an option that does not go with these devices
            dataclasses.replace(experiment, devices=placed_on).resolve()
        sources = {(experiment.dataset, experiment.data_dir, experiment.labels): None for experiment in experiments}
        for dataset, data_dir, labels in sources:
            require(dataset, data_dir, labels)  # told once, before a whole grid of runs fails of it
        path = run_dir or f"sweeps/{preset or _datasets(grid)}"
        folder = SweepFolder.write(path, experiments, f"simplexlab sweep {grid.options_line()}")
    experiments = experiments[part - 1 :: parts]
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a job scheduler's end is Ctrl-C
    began = time.monotonic()
    progress = _Progress(folder, len(experiments))
    try:
        with progress:
            if address is None:
                ended = execute(folder, experiments, placement, progress.report, progress.poll)
            else:
                where = placement or Wish(devices, threads or 1)
                ended = execute_on(address, folder, experiments, where, progress.report, progress.poll)
    except OSError as error:
        raise RunError(f"cannot write in {folder.path}: {reason(error)}") from error
    except KeyboardInterrupt:
        done = sum(run.status.state in DONE for run in runs_of(folder))
        told = f"{done} of the {len(folder.experiments)} runs of {folder.path} are done"
        raise KeyboardInterrupt(f"{told}; the same command goes on with the others") from None
    finally:
        runs = runs_of(folder)
        folder.write_tables(rows(runs))
    states = [event.state for event in ended]
    record = {
        "sweep": str(folder.path),
        "runs": len(folder.experiments),
        **{state: states.count(state) for state in ("finished", "diverged", "stopped", "failed", "busy")},
        "failures": {event.name: event.message for event in ended if event.state in ("failed", "unknown version")},
        "seconds": time.monotonic() - began,
        "table": str(folder.path / "table.csv"),
    }
    if json:
        print_json({**record, "rows": rows(runs)})
    else:
        _print_summary(record, runs)
    return 1 if record["failures"] or record["diverged"] else 0


def _grid(
    preset: str | None, losses: str | None, corruptions: str | None, seeds: str | None, settings: tuple[str, ...]
) -> Any:
    """The grid that the options ask for, beginning from the preset's."""
    from simplexlab.sweep.plan import (
        PRESETS,
        Grid,
        parse_corruptions,
        parse_losses,
        parse_seeds,
        parse_settings,
        replace_options,
    )

    grid = PRESETS[preset] if preset else Grid()
    chosen = parse_losses(losses) if losses is not None else grid.losses
    return Grid(
        losses=chosen,
        corruptions=parse_corruptions(corruptions) if corruptions is not None else grid.corruptions,
        seeds=parse_seeds(seeds) if seeds is not None else grid.seeds,
        options=replace_options(grid.options, parse_settings(settings, chosen)),
    )


def _datasets(grid: Any) -> str:
    from simplexlab.dataset_name import dataset_stem

    return "-".join(dataset_stem(name) for name in (grid.values("dataset") or ("digits",)))


class _Progress:
    """What a person sees while a sweep runs: a bar for the whole and the runs that go on; plain lines elsewhere."""

    def __init__(self, folder: Any, total: int):
        from simplexlab.text import console

        self.folder = folder
        self.total = total
        self.ended = 0
        self.running: list[str] = []
        self.began: dict[str, float] = {}
        self.console = console(stderr=True)
        self.bar = None

    def __enter__(self) -> "_Progress":
        if self.console.is_terminal:
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

            self.bar = Progress(
                TextColumn("sweep"),
                BarColumn(bar_width=None),
                MofNCompleteColumn(),
                TextColumn("{task.fields[left]}"),
                TimeElapsedColumn(),
                TextColumn("{task.fields[running]}"),
                console=self.console,
                expand=True,
            )
            self.task = self.bar.add_task("", total=self.total, left="", running="")
            self.bar.start()
        self.start = time.monotonic()
        self.trained = 0
        return self

    def __exit__(self, *_: object) -> None:
        if self.bar is not None:
            self.bar.stop()

    def report(self, event: Any) -> None:
        if event.state == "started":
            if event.name not in self.began:
                self.running.append(event.name)
                self.began[event.name] = time.monotonic()
            if event.message:
                self.console.print(f"{event.name}: {event.message}", soft_wrap=True)
            return
        self.ended += 1
        seconds = ""
        if event.name in self.began:
            self.running.remove(event.name)
            self.trained += event.state != "stopped"
            seconds = f" in {time.monotonic() - self.began[event.name]:.1f} s"
        detail = f": {event.message}" if event.message else ""
        if event.state == "failed":
            detail += f" (its output: {self.folder.log_path(event.name)})"
        left = "" if event.state == "stopped" else self._left()
        line = f"{self.ended}/{self.total} {event.name} {event.state}{seconds}{detail}"
        if self.bar is None:
            progress_begins()
            print(line + (f"; {left}" if left else ""), file=sys.stderr, flush=True)
        else:
            if event.state != "finished":
                self.console.print(line, soft_wrap=True)
            self.bar.update(self.task, completed=self.ended, left=left)

    def poll(self) -> None:
        if self.bar is None:
            return
        from simplexlab.runs import read_run

        shown = []
        for name in list(self.running):
            status = read_run(self.folder.path / name).status
            shown.append(f"{name} {status.iteration}")
        self.bar.update(self.task, running="  ".join(shown))

    def _left(self) -> str:
        remaining = self.total - self.ended
        if not self.trained or not remaining:
            return ""
        seconds = (time.monotonic() - self.start) / self.trained * remaining
        return f"about {seconds:.0f} s left" if seconds < 100 else f"about {seconds / 60:.0f} min left"


def _print_summary(record: dict[str, Any], runs: list[Any]) -> None:
    from simplexlab.cli.tables import console

    out = console()
    counts = ", ".join(
        f"{record[state]} {state}" for state in ("finished", "diverged", "stopped", "failed", "busy") if record[state]
    )
    out.print(f"{record['runs']} runs: {counts}; {record['seconds']:.0f} s\n")
    for table in _fit_tables(runs):
        out.print(table)
        out.print()
    out.print(f"Table: {record['table']}; simplexlab report {record['sweep']} makes a page of it", soft_wrap=True)


def _fit_tables(runs: list[Any]) -> Iterator[Any]:
    """What the finished runs say of the time to fit, as tables."""
    from simplexlab.cli.tables import growth_tables
    from simplexlab.sweep.curves import time_to_fit

    try:
        panels = time_to_fit(runs)["panels"]
    except UsageError:  # none has finished
        return
    for panel in panels:
        yield from growth_tables(panel)
