"""The application: follows the folder of runs, starts and stops runs, and moves between the screens.

A screen is imported when it is first opened, so that the table of runs is painted at once.
"""

import re
import threading
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import ClassVar

from rich.segment import Segment
from textual import work
from textual.app import App, SystemCommand
from textual.binding import Binding
from textual.color import Color
from textual.filter import LineFilter, Monochrome, NoColor
from textual.screen import Screen
from textual.widgets import Static
from textual.worker import get_current_worker

from simplexlab.errors import RunError, UsageError
from simplexlab.runs import Run, RunsFollower
from simplexlab.text import printable
from simplexlab.tui.launch import Launcher, stop
from simplexlab.tui.screens.base import FollowingScreen
from simplexlab.tui.screens.runs import RunsScreen
from simplexlab.tui.views.charts import Spec
from simplexlab.tui.widgets.panel import Panel, Panels

FOLLOW_SECONDS = 2.0
PALETTE_RUNS = 50
MOST_COMPARED = 24
DARK, LIGHT = "textual-dark", "textual-light"


class WithoutColour(Monochrome):
    """Takes colour away; the library's own stumbles over text without a style, which charts hold."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """Grey styles, and none where there was none."""
        return [
            segment if segment.style is None else super(WithoutColour, self).apply([segment], background)[0]
            for segment in segments
        ]


class Printable(LineFilter):
    """Replaces what a file or its name holds to command the terminal with, on every line that is painted."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """Text without control characters; what the library itself tells the terminal stays."""
        return [one if one.control else Segment(printable(one.text), one.style) for one in segments]


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
        Binding("t", "toy", "Toy", show=False),
        Binding("l", "lessons", "Lessons", show=False),
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
        export_dir: Path = Path("figures"),
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
        self._filters.append(Printable())
        self.theme = LIGHT if light else DARK
        self.runs: list[Run] = []
        self.launcher = Launcher(run_dir, jobs)
        self._follower = RunsFollower(run_dir)
        self._lock = threading.Lock()

    @property
    def can_resume(self) -> bool:
        """Whether this version has `simplexlab resume`."""
        from simplexlab.cli.application import COMMANDS

        return "resume" in COMMANDS

    def on_mount(self) -> None:
        """Open the table of runs and begin to follow."""
        self.push_screen(RunsScreen())
        self.follow()
        self.set_interval(FOLLOW_SECONDS, self.follow)

    @work(thread=True, group="follow runs")
    def follow(self) -> None:
        """Look what changed in the folder, beside the event loop."""
        with self._lock:
            runs = self._follower.poll()
        if not get_current_worker().is_cancelled:
            self.call_from_thread(self._take, runs)

    def _take(self, runs: list[Run]) -> None:
        self.runs = runs
        for launch in self.launcher.poll(runs):
            self.notify(launch.message or "", title="A run did not start", severity="error", timeout=15, markup=False)
        # Screens below are told when they come up again: what they draw would have the top one drawn again.
        if isinstance(self.screen, FollowingScreen):
            self.screen.receive(self.screen.show, runs, self.launcher.launches)

    def launch(self, commands: list[list[str]]) -> None:
        """Queue commands, given as the words after `simplexlab`."""
        for arguments in commands:
            self.launcher.submit(arguments)
        self.follow()

    def action_new_run(self, texts: dict[str, str] | None = None) -> None:
        """Open the form of a new run."""
        from simplexlab.tui.screens.new_run import NewRunScreen

        self.push_screen(NewRunScreen(texts))

    def open_run(self, run: Run) -> None:
        """Open the screen of a run."""
        from simplexlab.tui.screens.run import RunScreen

        self.push_screen(RunScreen(run.path))

    def compare(self, runs: list[Run]) -> None:
        """Open the comparison of runs."""
        from simplexlab.tui.screens.compare import CompareScreen

        if not runs:
            self.notify("there is nothing to compare", severity="warning")
            return
        if len(runs) > MOST_COMPARED:
            self.notify(f"the first {MOST_COMPARED} of {len(runs)} runs are compared; mark those you want")
            runs = runs[:MOST_COMPARED]
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
                self.launcher.submit(["resume", run.name, "--run-dir", str(self.run_dir)])
        self.follow()

    def copy_text(self, text: str) -> None:
        """Copy a command to the clipboard and show it."""
        if not text:
            self.notify("this run does not say how it was made", severity="warning")
            return
        self.copy_to_clipboard(text)
        self.notify(text, title="Copied", markup=False)

    def action_help(self) -> None:
        """Explain the terms and the keys."""
        from simplexlab.tui.screens.help import HelpScreen

        self.push_screen(HelpScreen())

    def action_toy(self) -> None:
        """Open the toy."""
        from simplexlab.tui.screens.toy import ToyScreen

        if not isinstance(self.screen, ToyScreen):
            self.push_screen(ToyScreen())

    def action_lessons(self) -> None:
        """Open the lessons."""
        from simplexlab.tui.screens.lessons import LessonsScreen

        if not isinstance(self.screen, LessonsScreen):
            self.push_screen(LessonsScreen())

    def get_system_commands(self, screen: Screen) -> Iterable[SystemCommand]:
        """What the command palette offers."""
        yield SystemCommand("New run", "Open the form of a new run", self.action_new_run)
        yield SystemCommand("Compare all", "Overlay all runs of the folder", lambda: self.compare(self.runs))
        yield SystemCommand("Toy", "Launch and replay free points", self.action_toy)
        yield SystemCommand("Lessons", "List the lessons, read and run them", self.action_lessons)
        yield SystemCommand("Light or dark", "Change between the light and the dark theme", self.action_theme)
        yield SystemCommand("Save screen as SVG", "Write a picture of the screen", self.action_save_screen)
        yield SystemCommand("Save chart as PNG", "Write the chosen chart as a picture", self.action_save_chart)
        yield SystemCommand("Help", "Explain the terms and the keys", self.action_help)
        yield SystemCommand("Quit", "Leave; runs go on", self.action_quit)
        for run in self.runs[:PALETTE_RUNS]:
            yield SystemCommand(f"Open {run.name}", f"{run.status.state}", partial(self.open_run, run))

    def action_save_screen(self) -> None:
        """Write a picture of the screen as SVG."""
        path = self._free_path(str(self.screen.title or "screen"), "svg")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(self.export_screenshot(title=f"simplexlab · {self.screen.title}"), encoding="utf-8")
        except OSError as error:
            self.notify(f"cannot write {path}: {error.strerror}", severity="error", markup=False)
            return
        self.notify(str(path), title="Saved", markup=False)

    def action_save_chart(self) -> None:
        """Write the chart that is focused, or shown alone, as PNG."""
        panel = self._chosen_panel()
        if panel is None or panel.spec is None:
            self.notify("there is no chart here; choose a panel that holds one", severity="warning")
            return
        meaning = str(panel.query_one(".meaning", Static).content)
        self._write_chart(panel.spec, self._free_path(f"{self.screen.title}-{panel.spec.title}", "png"), meaning)

    def _chosen_panel(self) -> Panel | None:
        focused = [one for one in (self.focused.ancestors_with_self if self.focused else []) if isinstance(one, Panel)]
        if focused:
            return focused[0]
        grids = self.screen.query(Panels)
        if grids:
            return grids.first().panel
        shown = [panel for panel in self.screen.query(Panel) if panel.size.area]
        return shown[0] if shown else None

    @work(thread=True)
    def _write_chart(self, spec: Spec, path: Path, caption: str) -> None:
        from simplexlab.tui.export import save_png

        try:
            save_png(spec, path, caption)
        except OSError as error:
            words = f"cannot write {path}: {error.strerror or error}"
            self.call_from_thread(self.notify, words, severity="error", markup=False)
            return
        self.call_from_thread(self.notify, str(path), title="Saved", markup=False)

    def _free_path(self, stem: str, suffix: str) -> Path:
        stem = re.sub(r"[^\w.+=-]+", "-", stem).strip(".-").lower() or "screen"
        number, path = 1, self.export_dir / f"{stem}.{suffix}"
        while path.exists():
            number += 1
            path = self.export_dir / f"{stem}-{number}.{suffix}"
        return path

    def action_theme(self) -> None:
        """Change between light and dark."""
        self.theme = DARK if self.theme == LIGHT else LIGHT

    def action_quit(self) -> None:
        """Leave; runs go on, and launches that still wait are dropped after a question."""
        from simplexlab.tui.screens.dialogs import Confirm

        waiting = self.launcher.waiting
        if not waiting:
            self.exit()
            return
        question = f"{waiting} runs wait for their turn and will not start without the interface. Runs that go on stay."
        self.push_screen(Confirm(question, "Quit"), lambda yes: self.exit() if yes else None)
