"""What a table says about each run: the one place where these numbers are taken from a run folder."""

import math
from typing import Any

from simplexlab import objectives
from simplexlab.runs.read import Run

NUMBERS = ("train_error", "test_error", "final_loss", "bound", "excess", "time_to_fit", "fit_lower", "seconds")


def latest(run: Run) -> dict[str, Any]:
    """The newest numbers of a run under the keys of `result.json`: its result, or else its last evaluation.

    So `final_loss` is the value of the loss, also while the run goes on.
    """
    measured = dict(run.metrics or {})
    if "loss" in measured:
        measured["final_loss"] = measured.pop("loss")
    return measured | (run.result or {})


def summarise(run: Run) -> dict[str, Any]:
    """One row of a table of runs.

    Returns:
        run (its name), path, kind (train or toy), state, message, dataset, loss (its name), corrupt, seed, iteration,
        total, the newest of `NUMBERS`, and created (ISO time). What the folder does not tell, or what is not finite,
        is None.
    """
    experiment = run.config.get("experiment")
    experiment = experiment if isinstance(experiment, dict) else {}
    numbers = latest(run)
    return {
        "run": run.name,
        "path": str(run.path),
        "kind": _text(run.config.get("kind")),
        "state": run.status.state,
        "message": run.status.message,
        "dataset": _text(experiment.get("dataset")),
        "loss": objectives.of_run(run.config).name if _text(experiment.get("loss")) else None,
        "corrupt": _number(experiment.get("corrupt")),
        "seed": _number(experiment.get("seed")),
        "iteration": run.status.iteration,
        "total": run.status.total,
        **{key: _number(numbers.get(key)) for key in NUMBERS},
        "created": _text(run.config.get("created")),
    }


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _number(value: Any) -> float | int | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if abs(value) < math.inf else None
