"""`simplexlab resume`."""

from typing import Annotated

from cyclopts import Parameter

from simplexlab.asides import notice
from simplexlab.cli.common import Json, Trust, WholeNumber
from simplexlab.cli.train import progress, report


def resume(
    run: Annotated[str, Parameter(help="Name of a run, or the path of its folder.")],
    *,
    iterations: Annotated[
        WholeNumber | None,
        Parameter(help="Go on to more iterations than the run has, which takes a constant learning rate."),
    ] = None,
    run_dir: Annotated[str, Parameter(help="Folder that holds the runs.")] = "runs",
    trust: Trust = False,
    json: Json = False,
) -> int:
    """Go on with a run that was stopped or killed, from its last checkpoint, as if nothing had happened."""
    from simplexlab.runs import find_run, read_run
    from simplexlab.training import commands as training

    folder = find_run(run, run_dir)
    found = read_run(folder)
    status = found.status
    total = max(iterations or 0, status.total)
    result = training.resume(folder, lambda: progress(total), iterations=iterations, trust=trust)
    if status.state == "finished" and found.result is not None and iterations in (None, status.total):
        notice(f"{folder.name} is finished after {status.iteration} iterations; nothing is left to do")
    return report(result, folder.parent, json=json)
