"""`simplexlab tui`: the terminal interface."""

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from simplexlab.cli.common import WholeNumber
from simplexlab.errors import UsageError


def tui(
    *,
    run_dir: Annotated[Path, Parameter(help="Folder that holds the runs.")] = Path("runs"),
    jobs: Annotated[WholeNumber, Parameter(help="Runs that may be busy at once; others wait their turn.")] = 2,
    plain: Annotated[bool, Parameter(negative="", help="No colour and no Braille.")] = False,
    light: Annotated[bool, Parameter(negative="", help="Begin with the light theme.")] = False,
) -> None:
    """Launch runs and watch their geometry."""
    if jobs < 1:
        raise UsageError(f"--jobs {jobs} must be at least 1")
    if run_dir.exists() and not run_dir.is_dir():
        raise UsageError(f"--run-dir {run_dir} is not a folder")
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError("the terminal interface needs a terminal; `simplexlab runs` prints the runs as text")

    from simplexlab.tui.app import SimplexLab

    SimplexLab(run_dir, jobs=jobs, plain=plain, light=light).run()
