"""The runs of a sweep, or any runs, as rows of a table."""

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from simplexlab.errors import UsageError
from simplexlab.runs import Run, find_run, latest, list_runs, read_run
from simplexlab.sweep.folder import SWEEP_FILE, SweepFolder
from simplexlab.sweep.plan import AXES, PLACEMENT

NUMBERS = (
    "train_error",
    "test_error",
    "time_to_fit",
    "time_to_fit_lr",
    "fit_lower",
    "censored",
    "final_loss",
    "bound",
    "excess",
    "excess_standard_error",
    "seconds",
)


def collect(paths: Iterable[str | Path], run_dir: str | Path = "runs") -> list[Run]:
    """The training runs in any of: sweep folders, folders of runs, run folders, names of runs in `run_dir`.

    A run of a sweep that has not begun yet is there too, in state missing and with its experiment.

    Raises:
        UsageError: one of them is none of that.
    """
    runs: dict[Path, Run] = {}
    for path in map(Path, paths):
        if (path / SWEEP_FILE).exists():
            found = runs_of(SweepFolder(path))
        elif not (found := list_runs(path)):
            found = [read_run(find_run(path, run_dir))]
        runs |= {run.path.resolve(): run for run in found if run.config.get("kind") == "train"}
    if not runs:
        raise UsageError(f"{', '.join(map(str, paths))}: there is no training run")
    return list(runs.values())


def runs_of(sweep: SweepFolder) -> list[Run]:
    """Every run of a sweep, in its order."""
    runs = []
    for name, experiment in sweep.experiments.items():
        run = read_run(sweep.path / name)
        if run.status.state == "missing":
            run.config.update(kind="train", experiment=experiment.to_dict())
        runs.append(run)
    return runs


def rows(runs: list[Run]) -> list[dict[str, Any]]:
    """One row a run.

    Returns:
        Rows with equal keys: run, loss, corrupt, seed, every other option in which the runs differ, state, iterations
        (done), then `NUMBERS`. `censored` tells that the run ended without fitting, so that its time to fit is greater
        than `fit_lower`; None where it is not known yet. What a run does not have, or is not finite, is None.
    """
    experiments = [run.config["experiment"] for run in runs]
    keys = [*AXES, *(key for key in varied_options(runs) if key not in AXES)]
    return [
        {
            "run": run.name,
            **{key: experiment.get(key) for key in keys},
            "state": run.status.state,
            "iterations": run.status.iteration,
            **_numbers(run),
        }
        for run, experiment in zip(runs, experiments, strict=True)
    ]


def varied_options(runs: list[Run]) -> list[str]:
    """The options of an experiment in which the runs differ, those that only place a run apart."""
    experiments = [run.config["experiment"] for run in runs]
    known = dict.fromkeys(key for experiment in experiments for key in experiment if key not in PLACEMENT)
    return [key for key in known if len({repr(experiment.get(key)) for experiment in experiments}) > 1]


def _numbers(run: Run) -> dict[str, Any]:
    found = latest(run)
    found["censored"] = None
    if run.result is not None and run.status.state == "finished":
        found["censored"] = found.get("time_to_fit") is None
    return {key: _finite(found.get(key)) for key in NUMBERS}


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
