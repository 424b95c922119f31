"""`simplexlab train` and `simplexlab evaluate`."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from simplexlab.cli.common import Json, print_json
from simplexlab.cli.options import as_experiment, experiment_options
from simplexlab.errors import RunError

ExperimentOptions = experiment_options()


def train(
    options: Annotated[ExperimentOptions, Parameter(name="*")] = ExperimentOptions(),  # noqa: B008
    *,
    json: Json = False,
) -> int:
    """Train an encoder and write a run folder."""
    experiment = as_experiment(options).resolve()

    from simplexlab.training import runtime
    from simplexlab.training.run import train as train_run

    with runtime.quiet_stderr():
        from simplexlab.training.progress import progress_callback
    result = train_run(experiment, [progress_callback(experiment.iterations)])
    folder = Path(experiment.run_dir) / result["run"]
    if json:
        print_json(result)
    else:
        from simplexlab.cli.tables import print_result

        print_result(result, folder)
    if result["state"] == "diverged":
        raise RunError(f"{folder}: the loss became non-finite; lower --learning-rate (now {experiment.learning_rate})")
    return 130 if result["state"] == "stopped" else 0
