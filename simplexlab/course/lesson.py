"""One lesson while it runs: options, pictures, predictions, exercises, questions, and what it says when it breaks."""

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
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from simplexlab.config import Experiment
from simplexlab.course.checking import Verdict
from simplexlab.course.exercises import EXERCISES, QUESTIONS, judge
from simplexlab.course.keeping import keep, load
from simplexlab.course.questions import Choice
from simplexlab.course.record import read_answers, write_answers
from simplexlab.course.scripts import SHIPPED
from simplexlab.errors import RunError
from simplexlab.files import reason, why_no_folder
from simplexlab.runs import Run, list_runs, read_run

LETTERS = "abcdefgh"


class Lesson:
    """The frame of one lesson.

    Reads `--fast`, `--output FOLDER` and `--student NAME` from the command line, or the environment variables
    SIMPLEXLAB_FAST=1, SIMPLEXLAB_OUTPUT and SIMPLEXLAB_STUDENT (a notebook has no command line). From then on an error
    ends the lesson with a message that names the line of the lesson; the whole trace goes to a file.

    Args:
        number: 1 to 9; names the folder of its pictures and runs.

    Attributes:
        fast: whether everything is as small as it can be.
        folder: `<output>/<number>`, where pictures, answers and runs go.
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
        self._record = read_answers(self.folder) | {"lesson": number}
        if options.student:
            self._record["student"] = options.student
        self._styles = contextlib.ExitStack()
        _forget_runs(Path(self.run_dir))
        _explain_errors(self)
        _use_the_projector_style(self._styles)

    def pick(self, full: Any, fast: Any) -> Any:
        """The first value, or the second one under `--fast`."""
        return fast if self.fast else full

    def color(self, loss: str) -> str:
        """The colour of a loss, the same in every picture of the package."""
        from simplexlab.objectives import get

        return get(loss).colour

    def train(self, name: str, **options: Any) -> Run:
        """Train in this process, as `simplexlab train` does, and read the run folder.

        Args:
            name: name of the run's folder in `run_dir`.
            options: options of the `Experiment`.

        Returns:
            The run, its final numbers in `result`.
        """
        from simplexlab.quiet import quiet_stderr

        with quiet_stderr():
            from simplexlab.training.commands import train
            from simplexlab.training.progress import progress_callback

        experiment = Experiment(run_dir=self.run_dir, name=name, **options).resolve()
        print(f"$ {experiment.command_line()}", flush=True)
        train(experiment, [progress_callback(experiment.iterations)])
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

    def show(self, figure, name: str) -> None:
        """Save a picture as PNG and show it: in a notebook, in a window where there is a display, else say where it is.

        Args:
            figure: a matplotlib figure.
            name: name of the file in `folder`, without a suffix.
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

    def predict(self, name: str, question: str, choices: Sequence[str]) -> None:
        """Ask for a prediction and record it; where nobody can answer, it is skipped with a line.

        Args:
            name: of the prediction, such as "5b".
            question: what is asked.
            choices: the answers, lettered from a on.
        """
        lettered = dict(zip(LETTERS, choices, strict=False))
        entry = self._record["predictions"].setdefault(name, {})
        entry |= {"question": question, "choices": lettered}
        answer = _ask(f"Prediction {name}: {question}", lettered)
        if answer is None:
            print(f"Prediction {name} is skipped: nobody can answer here.")
        elif answer:
            entry["answer"] = answer
            self._save()

    def replay(self, name: str, seen: str) -> None:
        """Tell what was predicted beside what was seen.

        Args:
            name: of the prediction.
            seen: the letter of the choice that came true, computed from what was seen.
        """
        entry = self._record["predictions"][name]
        entry["seen"] = seen
        own, choices = entry.get("answer"), entry["choices"]
        mine = "" if own is None else f"you said {own}) {choices[own]}; "
        print(f"Prediction {name}: {mine}seen: {seen}) {choices[seen]}{'. As you said.' if own == seen else ''}")
        self._save()

    def explain(self, name: str) -> None:
        """Ask a question of understanding: choices are graded with a reason, an open answer is kept for the teacher.

        Args:
            name: of the question, such as "5.2".
        """
        question = QUESTIONS[name]
        entry = self._record["questions"].setdefault(name, {})
        options = question.options if isinstance(question, Choice) else {}
        answer = _ask(f"Question {name}: {question.text}", {key: option.text for key, option in options.items()})
        if answer is None:
            print(f"Question {name} is skipped: nobody can answer here.")
            return
        if not answer:
            return
        entry["answer"] = answer
        if isinstance(question, Choice):
            entry["right"] = answer == question.right
            print(f"{'Right' if entry['right'] else 'No'}: {question.options[answer].reason}.")
            if not entry["right"]:
                best = question.options[question.right]
                print(f"Better: {question.right}) {best.text}: {best.reason}.")
        else:
            print("Kept. Your teacher has a list of what a good answer says.")
        self._save()

    def check(self, exercise: str, answer: Callable | Any) -> None:
        """Check the answer to an exercise and say what came out; a stub counts as not solved yet.

        Args:
            exercise: its name, such as "1a".
            answer: the function that the student wrote.
        """
        verdict = self.verdicts[exercise] = judge(exercise, answer)
        print(verdict)
        entry = self._record["exercises"].setdefault(exercise, {})
        entry["state"] = verdict.state
        if verdict.state != "not solved yet":
            entry["tries"] = entry.get("tries", 0) + 1
        self._save()
        if verdict.right and EXERCISES[exercise].kept:
            try:
                keep(answer, self._kept(exercise))
            except (ValueError, OSError) as error:
                print(f"     Later lessons will not run it: {error}")
            else:
                print("     Later lessons run your function.")

    def hint(self, exercise: str) -> None:
        """Print the hint of an exercise."""
        print(textwrap.fill(f"Hint for {exercise}: {EXERCISES[exercise].hint}", 100))
        entry = self._record["exercises"].setdefault(exercise, {})
        entry["hints"] = entry.get("hints", 0) + 1
        self._save()

    def own(self, exercise: str) -> Callable:
        """The student's function of an exercise where it is solved, else the package's; a line says which.

        Args:
            exercise: one whose function is kept, such as "2a".
        """
        task = EXERCISES[exercise]
        function = load(task.function, self._kept(exercise))
        if function is not None and judge(exercise, function).right:
            print(f"From here on, {task.function} is yours, of exercise {exercise}.")
            return function
        print(f"From here on, {task.function} is the package's; solve exercise {exercise} and it is yours.")
        return task.reference

    def _kept(self, exercise: str) -> Path:
        return self.folder.parent / "own" / f"{EXERCISES[exercise].function}.py"

    def _save(self) -> None:
        write_answers(self.folder, self._record)

    def end(self, summary: str) -> None:
        """Close the lesson: what was seen, predictions, exercises, questions, where the runs are; wait for windows."""
        print()
        print(textwrap.fill(" ".join(summary.split()), 100))
        print()
        predicted = [entry for entry in self._record["predictions"].values() if "answer" in entry and "seen" in entry]
        if predicted:
            right = sum(entry["answer"] == entry["seen"] for entry in predicted)
            print(f"Predictions that came true: {right} of {len(predicted)}.")
        if self.verdicts:
            solved = [name for name, verdict in self.verdicts.items() if verdict.right]
            still = [name for name in self.verdicts if name not in solved]
            rest = f"; open: {', '.join(still)}" if still else ""
            print(f"Exercises solved: {len(solved)} of {len(self.verdicts)}{rest}.")
        graded = [entry["right"] for entry in self._record["questions"].values() if "right" in entry]
        if graded:
            print(f"Questions answered rightly: {sum(graded)} of {len(graded)}.")
        if os.path.isdir(self.run_dir):
            print(f"Watch the runs of this lesson: simplexlab tui --run-dir {self.run_dir}")
        self._styles.close()
        if not _in_notebook() and _has_display():
            import matplotlib.pyplot as plt

            print("Close the windows to end the lesson.")
            plt.show()


def _ask(question: str, choices: dict[str, str]) -> str | None:
    """What somebody answers, a letter where there are choices; "" for nothing, None where nobody can answer."""
    if not _in_notebook() and not (sys.stdin is not None and sys.stdin.isatty()):
        return None
    lines = [textwrap.fill(question, 100), *(f"  {letter}) {text}" for letter, text in choices.items())]
    prompt = f"Your answer ({', '.join(choices) or 'a sentence or two'}; enter skips): "
    print("\n".join(lines), flush=True)
    while True:
        try:
            answer = input(prompt).strip()
        except EOFError:
            return ""
        except Exception as error:  # a notebook that runs without a front end says so with an error class of its own
            if type(error).__name__ == "StdinNotImplementedError":
                return None
            raise
        if not choices or not answer or answer.lower() in choices:
            return answer.lower() if choices else answer
        print(f"{answer} is none of {', '.join(choices)}.")


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
        "--output",
        default=os.environ.get("SIMPLEXLAB_OUTPUT") or _output(),
        help="folder of pictures, answers and runs (output, beside the lesson)",
    )
    parser.add_argument("--student", default=os.environ.get("SIMPLEXLAB_STUDENT"), help="a name for the class report")
    options = parser.parse_args([] if _in_notebook() else None)
    if why := why_no_folder(Path(options.output)):
        parser.error(f"--output {options.output} {why}")
    return options


def _output() -> str:
    """Beside the script or notebook; for a lesson that is run from within the package, in the current folder."""
    main = getattr(sys.modules["__main__"], "__file__", None)
    folder = Path() if main is None or _in_notebook() else Path(main).parent
    return str(Path("lessons-output") if folder.resolve() == SHIPPED.resolve() else folder / "output")


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
    path = lesson.folder / "error.txt"
    try:
        lesson.folder.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(traceback.format_exception(error)), encoding="utf-8")
        words.append(f"The whole trace is in {path}.")
    except OSError as refused:
        words.append(f"The trace could not be kept in {path}: {reason(refused)}.")
    return "\n".join(words)
