"""One lesson while it runs: its options and folders, its pictures, its exercises, and what it says when it breaks."""

import argparse
import atexit
import contextlib
import linecache
import os
import shlex
import shutil
import subprocess
import sys
import textwrap
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from simplexlab.config import Experiment
from simplexlab.course.checking import Verdict
from simplexlab.course.exercises import judge
from simplexlab.errors import RunError
from simplexlab.runs import Run, list_runs, read_run

# A notebook runs in the folder of the lessons, a script mostly in the one above.
OUTPUT = "lessons/output" if Path("lessons").is_dir() else "output"


class Lesson:
    """The frame of one lesson.

    Reads `--fast` and `--output FOLDER` from the command line, or the environment variables SIMPLEXLAB_FAST=1 and
    SIMPLEXLAB_OUTPUT (a notebook has no command line). From then on an error ends the lesson with a message that names
    the line of the lesson; the whole trace goes to a file.

    Args:
        number: 1 to 8; names the folder of its pictures and runs.

    Attributes:
        fast: whether everything is as small as it can be.
        folder: `<output>/<number>`, where pictures and runs go.
        run_dir: folder of this lesson's runs, emptied of them at the start.
        verdicts: what `check` found, by exercise.
    """

    def __init__(self, number: int):
        self.number = number
        options = _options(number)
        self.fast = options.fast
        self.folder = Path(options.output, str(number))
        self.run_dir = str(self.folder / "runs")
        self.verdicts: dict[str, Verdict] = {}
        self._styles = contextlib.ExitStack()
        _forget_runs(Path(self.run_dir))
        _explain_errors(self)
        _use_the_projector_style(self._styles)

    def pick(self, full: Any, fast: Any) -> Any:
        """The first value, or the second one under `--fast`."""
        return fast if self.fast else full

    def train(self, name: str, **options: Any) -> Run:
        """Train in this process, as `simplexlab train` does, and read the run folder.

        Args:
            name: name of the run's folder in `run_dir`.
            options: options of the `Experiment`.

        Returns:
            The run, its final numbers in `result`.
        """
        from simplexlab.cli.train import progress
        from simplexlab.training.commands import train

        experiment = Experiment(run_dir=self.run_dir, name=name, **options).resolve()
        print(f"$ {experiment.command_line()}", flush=True)
        train(experiment, progress(experiment.iterations))
        return read_run(Path(self.run_dir, name))

    def command(self, *words: str) -> None:
        """Run a `simplexlab` command in a process of its own, as one would type it.

        Raises:
            RunError: it ended with another exit code than 0; the message holds its last words.
        """
        print(f"$ simplexlab {shlex.join(words)}", flush=True)
        ended = subprocess.run([sys.executable, "-m", "simplexlab", *words], capture_output=True, text=True)
        if ended.returncode:
            said = ended.stderr.strip().splitlines() or [f"exit code {ended.returncode}"]
            raise RunError(f"simplexlab {words[0]}: {said[-1].removeprefix('simplexlab: ')}")

    def show(self, figure, name: str) -> Path:
        """Save a picture as PNG and show it: in a notebook, in a window where there is a display, else say where it is.

        Args:
            figure: a matplotlib figure.
            name: name of the file, without a suffix.

        Returns:
            The file.
        """
        path = self.folder / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=110, bbox_inches="tight", facecolor="white")
        print(f"Picture: {path}")
        if _in_notebook():
            from IPython.display import Image, display

            display(Image(filename=str(path)))
        elif _has_display():
            _open_window(path)
        return path

    def check(self, exercise: str, answer: Callable | Any) -> bool:
        """Check the answer to an exercise and say what came out; a stub counts as not solved yet.

        Args:
            exercise: its name, such as "1a".
            answer: the function that the student wrote.

        Returns:
            Whether it is right.
        """
        verdict = self.verdicts[exercise] = judge(exercise, answer)
        print(verdict)
        return verdict.right

    def end(self, summary: str) -> None:
        """Close the lesson: what was seen, the state of the exercises, where the runs are; wait for open windows."""
        print()
        print(textwrap.fill(" ".join(summary.split()), 100))
        if self.verdicts:
            solved = [name for name, verdict in self.verdicts.items() if verdict.right]
            still = [name for name in self.verdicts if name not in solved]
            rest = f"; open: {', '.join(still)}" if still else ""
            print(f"\nExercises solved: {len(solved)} of {len(self.verdicts)}{rest}.")
        if os.path.isdir(self.run_dir):
            print(f"Watch the runs of this lesson: simplexlab tui --run-dir {self.run_dir}")
        self._styles.close()
        if not _in_notebook() and _has_display():
            import matplotlib.pyplot as plt

            print("Close the windows to end the lesson.")
            plt.show()


def _options(number: int) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=f"Lesson {number}. Runs from top to bottom; made to be read cell by cell.", allow_abbrev=False
    )
    parser.add_argument(
        "--fast",
        action="store_true",
        default=os.environ.get("SIMPLEXLAB_FAST", "0") not in ("", "0"),
        help="everything as small as can be, under a minute",
    )
    parser.add_argument(
        "--output", default=os.environ.get("SIMPLEXLAB_OUTPUT", OUTPUT), help=f"folder of pictures and runs ({OUTPUT})"
    )
    return parser.parse_args([] if _in_notebook() else None)


def _forget_runs(run_dir: Path) -> None:
    """Delete what an earlier pass of this lesson ran: each pass starts afresh under the same names."""
    for run in list_runs(run_dir):
        if run.status.state != "running":
            shutil.rmtree(run.path)


def _use_the_projector_style(styles: contextlib.ExitStack) -> None:
    from simplexlab.figures.style import styled

    styles.enter_context(styled("projector"))
    atexit.register(styles.close)  # a lesson that broke has not closed them


def _in_notebook() -> bool:
    return "IPython" in sys.modules and sys.modules["IPython"].get_ipython() is not None


def _has_display() -> bool:
    import matplotlib.pyplot as plt
    from matplotlib.backends import BackendFilter, backend_registry

    return plt.get_backend().lower() in {
        name.lower() for name in backend_registry.list_builtin(BackendFilter.INTERACTIVE)
    }


def _open_window(path: Path) -> None:
    import matplotlib.pyplot as plt

    image = plt.imread(path)
    window = plt.figure(path.stem, figsize=(image.shape[1] / 110, image.shape[0] / 110))
    axes = window.add_axes((0, 0, 1, 1))
    axes.imshow(image)
    axes.set_axis_off()
    plt.show(block=False)
    plt.pause(0.1)


def _explain_errors(lesson: Lesson) -> None:
    """Tell errors by the line of the lesson in which they came up."""
    if _in_notebook():
        shell = sys.modules["IPython"].get_ipython()

        def in_cell(shell, kind, error, trace, tb_offset=None):
            print(explain(error, lesson), file=sys.stderr)

        shell.set_custom_exc((Exception,), in_cell)
        return

    def in_script(kind, error, trace):
        print(explain(error, lesson), file=sys.stderr)

    sys.excepthook = in_script


def explain(error: BaseException, lesson: Lesson) -> str:
    """What a student needs to know of an error: the line of the lesson, what went wrong there, what to do."""
    if isinstance(error, KeyboardInterrupt):
        return f"\nLesson {lesson.number} was interrupted."
    words = []
    frames = list(traceback.walk_tb(error.__traceback__))
    own = [(frame, line) for frame, line in frames if frame.f_globals.get("__name__") == "__main__"]
    claim = isinstance(error, AssertionError) and own[-1:] == frames[-1:]
    if own:
        frame, line = own[-1]
        source = linecache.getline(frame.f_code.co_filename, line).strip()
        words.append(f"\nLesson {lesson.number} stopped at line {line}:\n\n    {source}\n")
    if claim:
        words.append("This claim of the lesson does not hold with the values as they are now.")
        words.append("What did you change above it? Undo it, or find out why the claim fails: that is worth a lesson.")
    else:
        words.append(f"{type(error).__name__}: {error}")
        words.append("Look at this line and at what you changed last; run the cells above it once more.")
    lesson.folder.mkdir(parents=True, exist_ok=True)
    path = lesson.folder / "error.txt"
    path.write_text("".join(traceback.format_exception(error)), encoding="utf-8")
    words.append(f"The whole trace is in {path}.")
    return "\n".join(words)
