"""The application: follows the folder of runs, starts and stops runs, and moves between the screens."""

from pathlib import Path
from typing import ClassVar

from rich.segment import Segment
from textual import work
from textual.app import App
from textual.binding import Binding
from textual.color import Color
from textual.filter import Monochrome, NoColor
from textual.worker import get_current_worker

from simplexlab.errors import RunError, UsageError
from simplexlab.runs import Run, RunsFollower
from simplexlab.tui.launch import Launcher, stop
from simplexlab.tui.screens.compare import CompareScreen
from simplexlab.tui.screens.dialogs import Confirm
from simplexlab.tui.screens.new_run import NewRunScreen
from simplexlab.tui.screens.run import RunScreen
from simplexlab.tui.screens.runs import RunsScreen

DARK, LIGHT = "textual-dark", "textual-light"


class WithoutColour(Monochrome):
    """Takes colour away; the library's own stumbles over text without a style, which charts hold."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """Grey styles, and none where there was none."""
        return [
            segment if segment.style is None else super(WithoutColour, self).apply([segment], background)[0]
            for segment in segments
        ]


class SimplexLab(App[None]):
    """The terminal interface of one folder of runs.

    Args:
        run_dir: Folder that holds the runs.
        jobs: How many runs may be busy at once; others wait their turn.
        plain: No colour and no Braille.
        light: Begin with the light theme.
        export_dir: Folder for exported pictures.
    """

    TITLE = "simplexlab"
    BINDINGS: ClassVar = [
        Binding("q", "quit", "Quit"),
        Binding("question_mark", "help", "Help", key_display="?"),
        Binding("T", "theme", "Light/dark", show=False),
        Binding("E", "save_screen", "Screen as SVG", show=False),
        Binding("P", "save_chart", "Chart as PNG", show=False),
    ]

    def __init__(
        self,
        run_dir: Path,
        *,
        jobs: int = 2,
        plain: bool = False,
        light: bool = False,
        export_dir: Path = Path("."),
    ):
        super().__init__()
        self.run_dir = run_dir
        self.export_dir = export_dir
        self.plain = plain or self.no_color
        if self.plain:
            colourless = [
                *filter(lambda one: not isinstance(one, Monochrome | NoColor), self._filters),
                WithoutColour(),
            ]
            self._filters[:] = colourless
        self.theme = LIGHT if light else DARK
        self.runs: list[Run] = []
        self.launcher = Launcher(run_dir, jobs)
        self._follower = RunsFollower(run_dir)

    @property
    def can_resume(self) -> bool:
        """Whether this version has `simplexlab resume`."""
        from simplexlab.cli import COMMANDS

        return "resume" in COMMANDS

    def on_mount(self) -> None:
        """Open the table of runs and begin to follow."""
        self.push_screen(RunsScreen())
        self.follow()
        self.set_interval(1.0, self.follow)

    @work(thread=True, exclusive=True, group="follow runs")
    def follow(self) -> None:
        """Look what changed in the folder, beside the event loop."""
        runs = self._follower.poll()
        if not get_current_worker().is_cancelled:
            self.call_from_thread(self._take, runs)

    def _take(self, runs: list[Run]) -> None:
        self.runs = runs
        for launch in self.launcher.poll(runs):
            self.notify(launch.message or "", title="A run did not start", severity="error", timeout=15, markup=False)
        for screen in self.screen_stack:
            if hasattr(screen, "show"):
                screen.show(runs, self.launcher.launches)

    def launch(self, commands: list[list[str]]) -> None:
        """Queue commands, given as the words after `simplexlab`."""
        for arguments in commands:
            self.launcher.submit(arguments)
        self.follow()

    def action_new_run(self, texts: dict[str, str] | None = None) -> None:
        """Open the form of a new run."""
        self.push_screen(NewRunScreen(texts))

    def open_run(self, run: Run) -> None:
        """Open the screen of a run."""
        self.push_screen(RunScreen(run.path))

    def compare(self, runs: list[Run]) -> None:
        """Open the comparison of runs."""
        if not runs:
            self.notify("there is nothing to compare", severity="warning")
            return
        self.push_screen(CompareScreen(runs))

    def stop_runs(self, runs: list[Run]) -> None:
        """Ask the processes of runs to stop."""
        for run in runs:
            try:
                stop(run)
                self.notify(f"{run.name} was asked to stop", markup=False)
            except (UsageError, RunError) as error:
                self.notify(str(error), severity="warning", markup=False)

    def resume_runs(self, runs: list[Run]) -> None:
        """Queue `simplexlab resume` for runs that are not running."""
        for run in runs:
            if run.status.state == "running":
                self.notify(f"{run.name} is running", severity="warning", markup=False)
            else:
                self.launcher.submit(["resume", str(run.path)])
        self.follow()

    def copy_text(self, text: str) -> None:
        """Copy a command to the clipboard and show it."""
        if not text:
            self.notify("this run does not say how it was made", severity="warning")
            return
        self.copy_to_clipboard(text)
        self.notify(text, title="Copied", markup=False)

    def action_theme(self) -> None:
        """Change between light and dark."""
        self.theme = DARK if self.theme == LIGHT else LIGHT

    def action_quit(self) -> None:
        """Leave; runs go on, and launches that still wait are dropped after a question."""
        waiting = self.launcher.waiting
        if not waiting:
            self.exit()
            return
        question = f"{waiting} runs wait for their turn and will not start without the interface. Runs that go on stay."
        self.push_screen(Confirm(question, "Quit"), lambda yes: self.exit() if yes else None)
