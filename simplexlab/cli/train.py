"""`simplexlab train`."""

import sys
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from simplexlab import objectives
from simplexlab.cli.common import Json, print_json
from simplexlab.cli.options import as_experiment, experiment_options
from simplexlab.errors import RunError
from simplexlab.runs import read_run

EXIT_CODES = {"finished": 0, "diverged": 1, "stopped": 130}

ExperimentOptions = experiment_options()


def train(
    options: Annotated[ExperimentOptions, Parameter(name="*")] = ExperimentOptions(),  # noqa: B008
    *,
    resume: Annotated[
        bool, Parameter(negative="", help="Go on with the run of this --name if there is one with these options.")
    ] = False,
    json: Json = False,
) -> int:
    """Train an encoder and write a run folder."""
    experiment = as_experiment(options).resolve()

    from simplexlab.training import commands

    result = commands.train(experiment, lambda: progress(experiment.iterations), resume=resume)
    return report(result, Path(experiment.run_dir), json=json)


def progress(total: int) -> list:
    """The callback that shows the progress of a run of `total` iterations; TensorFlow is imported for it."""
    from simplexlab.quiet import quiet_stderr

    with quiet_stderr():
        from simplexlab.training.progress import progress_callback
    return [progress_callback(total)]


def report(result: dict[str, Any], run_dir: Path, *, json: bool) -> int:
    """Print the result of a run and return the exit code.

    Raises:
        RunError: the run diverged.
    """
    if "worker" in result:
        print(f"worker {result['worker']}: {result['state']}; worker 0 has the result", file=sys.stderr)
        return EXIT_CODES[result["state"]]
    folder = run_dir / result["run"]
    if json:
        print_json(result)
    else:
        from simplexlab.cli.tables import print_result

        print_result(result, folder)
    if result["state"] == "diverged":
        raise RunError(f"{folder}: the loss became non-finite; {objectives.of_run(read_run(folder).config).remedy}")
    return EXIT_CODES[result["state"]]
