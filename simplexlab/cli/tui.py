"""`simplexlab tui`: the terminal interface."""

import io
import os
import shlex
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from simplexlab.cli.common import WholeNumber
from simplexlab.errors import RunError, UsageError
from simplexlab.text import NEAREST


def tui(
    *,
    run_dir: Annotated[Path, Parameter(help="Folder that holds the runs.")] = Path("runs"),
    jobs: Annotated[WholeNumber, Parameter(help="Runs that may be busy at once; others wait their turn.")] = 2,
    demo: Annotated[bool, Parameter(negative="", help="Open a copy of recorded runs instead of --run-dir.")] = False,
    web: Annotated[
        bool,
        Parameter(
            negative="",
            help="Serve it to your browser on this computer: for one user, who has the token of the printed address.",
        ),
    ] = False,
    port: Annotated[WholeNumber, Parameter(help="Port of --web.")] = 8000,
    plain: Annotated[bool, Parameter(negative="", help="No colour and no Braille.")] = False,
    light: Annotated[bool, Parameter(negative="", help="Begin with the light theme.")] = False,
    export_dir: Annotated[Path, Parameter(help="Folder for exported pictures.")] = Path("figures"),
) -> int:
    """Launch runs and watch their geometry."""
    if jobs < 1:
        raise UsageError(f"--jobs {jobs} must be at least 1")
    if run_dir.exists() and not run_dir.is_dir():
        raise UsageError(f"--run-dir {run_dir} is not a folder")
    if not 1 <= port <= 65535:
        raise UsageError(f"--port {port} must be between 1 and 65535")
    if web:
        words = ["--run-dir", str(run_dir), "--jobs", str(jobs), "--export-dir", str(export_dir)]
        words += [flag for flag, on in (("--demo", demo), ("--plain", plain), ("--light", light)) if on]
        _serve(words, port)
        return 0
    # In a browser the application is spoken to through pipes.
    if "TEXTUAL_DRIVER" not in os.environ and not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError("the terminal interface needs a terminal; `simplexlab runs` prints the runs as text")
    if demo:
        run_dir = _demo_runs()

    import_numpy()
    from simplexlab.tui.app import SimplexLab

    if needs_plain() and isinstance(sys.__stderr__, io.TextIOWrapper):  # what Textual writes to
        sys.__stderr__.reconfigure(encoding="ascii", errors=NEAREST)
    app = SimplexLab(run_dir, jobs=jobs, plain=plain or needs_plain(), light=light, export_dir=export_dir)
    try:
        app.run()
    finally:
        if demo:
            _tidy(run_dir)
    return app.return_code or 0


def import_numpy() -> None:
    """Import NumPy with one thread: starting those of its linear algebra takes longer than the interface ever computes.

    The variable is taken back, so that runs started from the interface have the threads that their user wants.
    """
    if "OPENBLAS_NUM_THREADS" in os.environ:
        return
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    try:
        import numpy  # noqa: F401
    finally:
        del os.environ["OPENBLAS_NUM_THREADS"]


def needs_plain() -> bool:
    """Whether the terminal has neither the colours nor the characters of the pictures."""
    encoding = (getattr(sys.__stdout__, "encoding", None) or "").lower().replace("-", "")
    if os.environ.get("LC_ALL") in ("C", "POSIX"):  # Python writes UTF-8 all the same
        return True
    return os.environ.get("TERM") in ("linux", "dumb", "vt100", "vt220") or encoding not in ("utf8", "utf16", "utf32")


def _demo_runs() -> Path:
    from simplexlab.tui.demo import copy_runs

    return copy_runs()


def _tidy(run_dir: Path) -> None:
    """Remove the copy of the recorded runs, unless something was added to it."""
    import shutil

    from simplexlab.runs import list_runs
    from simplexlab.tui.demo import RUNS

    recorded = {run.name for run in list_runs(RUNS)}
    if {run.name for run in list_runs(run_dir)} <= recorded and not list(run_dir.glob(".launch-*")):
        shutil.rmtree(run_dir, ignore_errors=True)
    else:
        print(f"Your runs are in {run_dir}", file=sys.stderr)


def _serve(words: list[str], port: int) -> None:
    from simplexlab.tui.web import serve

    try:
        serve(shlex.join([sys.executable, "-m", "simplexlab", "tui", *words]), port)
    except OSError as error:
        raise RunError(f"cannot serve on port {port}: {error.strerror or error}") from error
