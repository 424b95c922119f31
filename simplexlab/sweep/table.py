"""The runs of a sweep, or any runs, as rows of a table."""

import logging
import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from simplexlab import objectives
from simplexlab.errors import UsageError
from simplexlab.geometry.catalogue import rows_of
from simplexlab.runs import LeftOut, Run, find_run, latest, list_runs, read_run, sound
from simplexlab.sweep.folder import SWEEP_FILE, SweepFolder
from simplexlab.sweep.plan import AXES, FIELDS, PLACEMENT

logger = logging.getLogger(__name__)

MOST_TOLD = 5
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

    A run of a sweep that has not begun yet is there too, in state missing and with its experiment. A damaged run is
    named in a warning and left out.

    Raises:
        UsageError: one of them is none of that, or no run is left.
    """
    runs: dict[Path, Run] = {}
    for path in map(Path, paths):
        if (path / SWEEP_FILE).exists():
            found = _runs_of(SweepFolder(path))
        elif not (found := list_runs(path, brief=True)):
            found = [read_run(find_run(path, run_dir))]
        runs |= {run.path.resolve(): run for run in found if run.config.get("kind") != "toy"}
    kept, left_out = sound(runs.values())
    if not kept:
        reasons = f" but {left_out[0].name}: {left_out[0].why}" if left_out else ""
        raise UsageError(f"{', '.join(map(str, paths))}: there is no training run{reasons}")
    _tell(left_out)
    return kept


def runs_of(sweep: SweepFolder, left_out: list[LeftOut] | None = None) -> list[Run]:
    """Every run of a sweep, in its order; a damaged one is named in a warning and left out.

    Args:
        sweep: the sweep.
        left_out: what is left out is added to it.
    """
    kept, damaged = sound(_runs_of(sweep))
    _tell(damaged)
    if left_out is not None:
        left_out += damaged
    return kept


def _tell(left_out: Sequence[LeftOut]) -> None:
    for name, why in left_out[:MOST_TOLD]:
        logger.warning("left out %s: %s", name, why)
    if len(left_out) > MOST_TOLD:
        logger.warning("left out %d more runs that are damaged", len(left_out) - MOST_TOLD)


def _runs_of(sweep: SweepFolder) -> list[Run]:
    runs = []
    for name, experiment in sweep.experiments.items():
        run = read_run(sweep.path / name, brief=True)
        if run.status.state == "missing":
            run = replace(run, config={"kind": "train", "experiment": experiment.to_dict()})
        runs.append(run)
    return runs


def rows(runs: list[Run]) -> list[dict[str, Any]]:
    """One row a run.

    Returns:
        Rows with equal keys: run, loss, corrupt, seed, every other option in which the runs differ, state, iterations
        (done), then `NUMBERS`. `censored` tells that the run ended without fitting, so that its time to fit is greater
        than `fit_lower`; None where it is not known yet. Then the statistics of the catalogue that any of the runs has,
        of a distribution the mean. What a run does not have, or is not finite, is None.
    """
    experiments = [run.config["experiment"] for run in runs]
    newest = [latest(run) for run in runs]
    statistics = _known_statistics(runs, newest)
    keys = [*AXES, *(key for key in varied_options(runs) if key not in AXES)]
    return [
        {
            "run": run.name,
            **{key: experiment.get(key) for key in keys},
            "state": run.status.state,
            "iterations": run.status.iteration,
            **_numbers(run, numbers),
            **{key: _statistic(numbers, key) for key in statistics},
        }
        for run, experiment, numbers in zip(runs, experiments, newest, strict=True)
    ]


def statistic_keys(runs: list[Run]) -> list[str]:
    """Keys of the statistics that any of the runs has, in the order of the catalogue."""
    return _known_statistics(runs, [latest(run) for run in runs])


def _known_statistics(runs: list[Run], newest: list[dict[str, Any]]) -> list[str]:
    keys = dict.fromkeys(row.key for run in runs for row in rows_of(run.config))
    return [key for key in keys if any(_statistic(numbers, key) is not None for numbers in newest)]


def _statistic(numbers: dict[str, Any], key: str) -> float | None:
    value = numbers.get(key)
    value = value.get("mean") if isinstance(value, dict) else value
    return _finite(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def varied_options(runs: list[Run]) -> list[str]:
    """The options in which the runs differ, those that only place a run apart.

    An objective's own option counts among the runs whose objective has it.
    """
    values: dict[str, set[str]] = {}
    for run in runs:
        known = _options_of(run).difference(PLACEMENT)
        for key, value in run.config["experiment"].items():
            if key in known:
                values.setdefault(key, set()).add(repr(value))
    return [key for key, found in values.items() if len(found) > 1]


def varied_settings(runs: Sequence[Run]) -> list[str]:
    """The options, but loss, corruption and seed, in which runs of one objective differ.

    What sets one objective apart from another by default, such as two views or another temperature, is none of them.
    """
    by_loss: dict[str, list[Run]] = {}
    for run in runs:
        by_loss.setdefault(objectives.of_run(run.config).name, []).append(run)
    found = {key for members in by_loss.values() for key in varied_options(members)}
    return [key for key in varied_options(list(runs)) if key in found and key not in AXES]


def applies(run: Run, option: str) -> bool:
    """Whether an option that the config of a run holds means something to it: folders of version 0.1 hold more."""
    return option in run.config["experiment"] and option in _options_of(run)


def _options_of(run: Run) -> set[str]:
    return FIELDS.union(one.name for one in objectives.of_run(run.config).options)


def _numbers(run: Run, newest: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {**newest, "censored": None}
    if run.result is not None and run.status.state == "finished":
        found["censored"] = found.get("time_to_fit") is None
    return {key: _finite(found.get(key)) for key in NUMBERS}


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
