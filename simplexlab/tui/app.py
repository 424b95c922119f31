"""The application: follows the folder of runs, starts and stops runs, and moves between the screens.

A screen is imported when it is first opened, so that the table of runs is painted at once.
"""

import asyncio
import contextlib
import re
import signal
import threading
from collections.abc import Callable, Iterable
from functools import lru_cache, partial
from pathlib import Path
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from rich.terminal_theme import TerminalTheme
from textual import work
from textual.app import App, SystemCommand
from textual.binding import Binding
from textual.color import Color
from textual.driver import Driver
from textual.filter import LineFilter, Monochrome, NoColor
from textual.screen import Screen
from textual.theme import Theme
from textual.worker import get_current_worker

from simplexlab.errors import RunError, UsageError
from simplexlab.runs import Run, RunsFollower
from simplexlab.text import printable
from simplexlab.tui.launch import Launch, Launcher, delete, stop
from simplexlab.tui.screens.base import FollowingScreen
from simplexlab.tui.screens.runs import RunsScreen
from simplexlab.tui.terminal import frugal_driver
from simplexlab.tui.views.charts import Spec
from simplexlab.tui.views.guess import Guess
from simplexlab.tui.views.records import is_fitted, named
from simplexlab.tui.widgets.panel import Panel, Panels

FOLLOW_SECONDS = 2.0
ENDS = (signal.SIGTERM, signal.SIGHUP)
PALETTE_RUNS = 50
MOST_COMPARED = 24
LEAST_CONTRAST = 80  # of 255, between the grey of text and that of its ground
DARK, LIGHT = "textual-dark", "textual-light"
# For a projector: nothing between black and white but what is drawn.
PROJECTED = {
    DARK: Theme("projector-dark", "#56B4E9", background="#000000", surface="#000000", panel="#000000",
                foreground="#FFFFFF", accent="#FFFFFF", dark=True),
    LIGHT: Theme("projector-light", "#0072B2", background="#FFFFFF", surface="#FFFFFF", panel="#FFFFFF",
                 foreground="#000000", accent="#000000", dark=False),
}  # fmt: skip


class WithoutColour(Monochrome):
    """Takes colour away; the library's own stumbles over text without a style, which charts hold."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """Grey styles, in which everything stands out from its ground, and none where there was none."""
        grey = [
            segment if segment.style is None else super(WithoutColour, self).apply([segment], background)[0]
            for segment in segments
        ]
        return [Segment(one.text, _legible(one.style, background), one.control) for one in grey]


@lru_cache(maxsize=4096)
def _legible(style: Style | None, background: Color) -> Style | None:
    """A grey style whose text is lighter or darker where it was close to its ground, as red is to black."""
    if style is None or style.color is None:
        return style
    ground = background.r if style.bgcolor is None else style.bgcolor.get_truecolor().red
    if abs(style.color.get_truecolor().red - ground) >= LEAST_CONTRAST:
        return style
    return style + Style(color="#c0c0c0" if ground < 128 else "#303030")


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
    CSS = """
    .-projector BigNumbers { display: block; }
    .-projector Panel > .meaning { display: none; }
    .-projector Panels > Grid { grid-size: 2; }
    .-projector Panels Panel { display: none; }
    .-projector Panels Panel.-projected { display: block; }
    .-projector Panels.-single > Grid { grid-size: 1; }
    .-projector Panels.-single Panel.-projected { display: none; }
    .-projector Panels.-single Panel.-active { display: block; }
    .-projector .excess, .-projector .memorisation, .-projector .from-2 { display: none; }
    .-projector.-low .-chosen { display: block; }
    """
    MODES: ClassVar = {"runs": RunsScreen}
    DEFAULT_MODE = "runs"
    BINDINGS: ClassVar = [
        Binding("q", "quit", "Quit"),
        Binding("question_mark", "help", "Help", key_display="?"),
        Binding("t", "toy", "Toy", show=False),
        Binding("l", "lessons", "Lessons", show=False),
        Binding("T", "theme", "Light/dark", show=False),
        Binding("p", "projector", "Projector", show=False),
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
        for theme in PROJECTED.values():
            self.register_theme(theme)
        self.projector = False
        self.light = light
        self.theme = LIGHT if light else DARK
        self.runs: list[Run] = []
        self.launcher = Launcher(run_dir, jobs)
        self._follower = RunsFollower(run_dir)
        self._lock = threading.Lock()
        self._unfitted: set[str] | None = None

    def get_driver_class(self) -> type[Driver]:
        """The library's driver, which writes the same in fewer bytes."""
        return frugal_driver(super().get_driver_class())

    def on_mount(self) -> None:
        """Begin to follow."""
        for number in ENDS:
            # Else the screen would be left as it is, and what was made for the demo behind.
            with contextlib.suppress(NotImplementedError, RuntimeError):  # on Windows, and off the main thread
                asyncio.get_running_loop().add_signal_handler(number, self.exit, None, 128 + number)
        self.follow()
        self.set_interval(FOLLOW_SECONDS, self.follow)

    @work(thread=True, group="follow runs")
    def follow(self) -> None:
        """Look what changed in the folder, beside the event loop."""
        with self._lock:
            before, runs = self._follower.problem, self._follower.poll()
            problem = self._follower.problem
        if not get_current_worker().is_cancelled:
            self.call_from_thread(self._take, runs, problem if problem != before else None)

    def _take(self, runs: list[Run], problem: str | None = None) -> None:
        self.runs = runs
        if problem is not None:
            self.notify(problem, severity="error", timeout=15, markup=False)
        self._tell_fits(runs)
        for launch in self.launcher.poll(runs):
            self.notify(launch.message or "", title="A run did not start", severity="error", timeout=15, markup=False)
        # Screens below are told when they come up again: what they draw would have the top one drawn again.
        if isinstance(self.screen, FollowingScreen):
            self.screen.receive(self.screen.show, runs, self.launcher.launches)

    def _tell_fits(self, runs: list[Run]) -> None:
        """Tell which runs have come to fit their labels since the last look."""
        fitted = {run.name for run in runs if is_fitted(run)}
        if self._unfitted is not None:
            for run in runs:
                if run.name in fitted & self._unfitted:
                    at = (run.metrics or {}).get("iteration")
                    self.notify(f"{run.name} fits its labels at iteration {at}", title="Fitted", markup=False)
        self._unfitted = {run.name for run in runs if run.status.state == "running"} - fitted

    def launch(self, commands: list[list[str]], guess: Guess | None = None) -> list[Launch]:
        """Queue commands, given as the words after `simplexlab`, with what was guessed of them."""
        launches = [self.launcher.submit(arguments, guess) for arguments in commands]
        self.follow()
        return launches

    def duel(self, runs: list[Run] = (), launches: list[Launch] = ()) -> None:
        """Open two runs side by side, or two launches as they begin."""
        from simplexlab.tui.screens.duel import DuelScreen

        if len(runs) + len(launches) != 2:
            self.notify("a duel is between two runs: mark two with space", severity="warning")
            return
        self.push_screen(DuelScreen(runs, launches))

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
        """Ask the processes of runs to stop, after a question."""
        going = [run for run in runs if run.status.state == "running"]
        for run in runs:
            if run not in going:
                self.notify(f"{run.name} is not running ({run.status.state})", severity="warning", markup=False)
        if going:
            self._ask(f"Stop {named(going)}? `r` goes on later.", "Stop", partial(self._stop, going))

    def _stop(self, runs: list[Run]) -> None:
        for run in runs:
            try:
                stop(run)
                self.notify(f"{run.name} was asked to stop", markup=False)
            except (UsageError, RunError) as error:
                self.notify(str(error), severity="warning", markup=False)

    def forget(self, launch: Launch) -> None:
        """Take a launch that waits or failed off the list; one that is starting is stopped, after a question."""

        def take_off() -> None:
            self.launcher.forget(launch)
            self.follow()

        words = " ".join(launch.arguments)
        if launch.state == "starting":
            self._ask(f"Stop {words}? It is starting.", "Stop", take_off)
        else:
            take_off()
            self.notify(words, title="Taken off the list", markup=False)

    def _ask(self, question: str, yes: str, then: Callable[[], None]) -> None:
        from simplexlab.tui.screens.dialogs import Confirm

        self.push_screen(Confirm(question, yes), lambda agreed: then() if agreed else None)

    def resume_runs(self, runs: list[Run]) -> None:
        """Queue `simplexlab resume` for runs that are not running."""
        for run in runs:
            if run.status.state == "running":
                self.notify(f"{run.name} is running", severity="warning", markup=False)
            elif any(launch.state != "failed" for launch in self.resumes_of(run)):
                self.notify(f"{run.name} is about to go on already", severity="warning", markup=False)
            else:
                self.launcher.submit(self._resume_words(run))
                self.notify(f"{run.name} goes on when its turn comes", markup=False)
        self.follow()

    def _resume_words(self, run: Run) -> list[str]:
        return ["resume", run.name, "--run-dir", str(self.run_dir)]

    def resumes_of(self, run: Run) -> list[Launch]:
        """The launches that go on with a run, or were to."""
        words = self._resume_words(run)
        return [launch for launch in self.launcher.launches if launch.arguments == words]

    def delete_runs(self, runs: list[Run]) -> list[Run]:
        """Remove the folders of runs, and the launches that wait to go on with them.

        Returns:
            The runs that are gone; the others are told.
        """
        gone = []
        for run in runs:
            launches = self.resumes_of(run)
            try:
                if any(launch.state == "starting" for launch in launches):
                    raise UsageError(f"{run.name} is about to go on; stop it first")
                delete(run)
            except (UsageError, RunError) as error:
                self.notify(str(error), severity="error", markup=False)
            else:
                gone.append(run)
                for launch in launches:
                    self.launcher.forget(launch)
        self.follow()
        return gone

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
        yield SystemCommand("Projector", "Large, thick and in full contrast, or back", self.action_projector)
        yield SystemCommand("Save screen as SVG", "Write a picture of the screen", self.action_save_screen)
        yield SystemCommand("Save chart as PNG", "Write the chosen chart as a picture", self.action_save_chart)
        yield SystemCommand("Help", "Explain the terms and the keys", self.action_help)
        yield SystemCommand("Quit", "Leave; runs go on", self.action_quit)
        yield from self._commands_of(screen)
        for run in self.runs[:PALETTE_RUNS]:
            yield SystemCommand(f"Open {run.name}", f"{run.status.state}", partial(self.open_run, run))

    def _commands_of(self, screen: Screen) -> Iterable[SystemCommand]:
        """What the keys of a screen do, under their names."""
        seen = set()
        for active in list(screen.active_bindings.values()):
            binding = active.binding
            mine = active.node is screen and binding.description and binding.action not in seen
            if mine and active.enabled and not binding.action.startswith("app."):
                seen.add(binding.action)
                keys = self.get_key_display(binding)
                yield SystemCommand(
                    f"{screen.title}: {binding.description}", f"key {keys}", partial(self._do, screen, binding.action)
                )

    async def _do(self, screen: Screen, action: str) -> None:
        await self.run_action(action, default_namespace=screen)

    def screen_lines(self) -> list[list[Segment]]:
        """The screen as it is painted, line by line."""
        ground = Color.parse(self.theme_variables["background"])
        lines = []
        for strip in self.screen._compositor.render_strips():
            for one in self._filters:
                strip = strip.apply_filter(one, ground)
            lines.append(list(strip))
        return lines

    @property
    def picture_theme(self) -> TerminalTheme:
        """The colours of text and ground that have none of their own."""
        ground, ink = (Color.parse(self.theme_variables[name]).rgb for name in ("background", "foreground"))
        return TerminalTheme(ground, ink, [(0, 0, 0)] * 8)

    def export_screenshot(self, *, title: str | None = None, simplify: bool = False) -> str:
        """The screen as SVG, which looks the same in every viewer."""
        from simplexlab.tui.svg import picture

        return picture(self.screen_lines(), self.picture_theme, title or self.TITLE)

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
        self._write_chart(panel.spec, self._free_path(f"{self.screen.title}-{panel.spec.title}", "png"), panel.meaning)

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
        self.light = not self.light
        self._set_theme()

    def action_projector(self) -> None:
        """Large, thick and in full contrast for a lecture hall, or back."""
        self.projector = not self.projector
        self._set_theme()
        for screen in self.screen_stack:
            screen.set_class(self.projector, "-projector")

    def _set_theme(self) -> None:
        name = LIGHT if self.light else DARK
        self.theme = PROJECTED[name].name if self.projector else name

    def action_quit(self) -> None:
        """Leave; runs go on, and launches that still wait are dropped after a question."""
        from simplexlab.tui.screens.dialogs import Confirm

        waiting = self.launcher.waiting
        if not waiting:
            self.exit()
            return
        question = f"{waiting} runs wait for their turn and will not start without the interface. Runs that go on stay."
        self.push_screen(Confirm(question, "Quit"), lambda yes: self.exit() if yes else None)
