"""The lessons: their text, their state, and the runs they made."""

import os
import subprocess
import sys
from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult, SuspendNotSupported
from textual.binding import Binding
from textual.containers import Horizontal, VerticalScroll
from textual.screen import Screen
from textual.widgets import DataTable, Markdown

from simplexlab.course.scripts import Script, as_markdown, lessons_dir, list_lessons
from simplexlab.runs import list_runs
from simplexlab.tui.views.lessons import read_states, record_state, state_words
from simplexlab.tui.views.mathematics import as_text
from simplexlab.tui.widgets.keys import Keys


class LessonsTable(DataTable):
    """The list; it takes the enter key, and says what that does."""

    BINDINGS: ClassVar = [Binding("enter", "select_cursor", "Run it")]


class LessonsScreen(Screen):
    """Lists the lesson scripts and runs them in the terminal."""

    CSS = """
    LessonsScreen DataTable { width: 1fr; height: 1fr; }
    LessonsScreen VerticalScroll { width: 1fr; height: 1fr; border-left: solid $foreground 30%; padding: 0 1; }
    LessonsScreen.-narrow Horizontal { layout: vertical; }
    LessonsScreen.-narrow DataTable { width: 1fr; height: 8; }
    LessonsScreen.-narrow VerticalScroll { width: 1fr; border-left: none; border-top: solid $foreground 30%; }
    """
    BINDINGS: ClassVar = [
        Binding("escape", "app.pop_screen", "Back"),
        Binding("o", "open_runs", "Open its runs"),
        Binding("tab", "app.focus_next", "Text", show=False),
    ]

    def __init__(self):
        super().__init__()
        self.lessons = list_lessons(lessons_dir())

    def compose(self) -> ComposeResult:
        """The list beside the text."""
        with Horizontal():
            yield LessonsTable(cursor_type="row")
            with VerticalScroll():
                yield Markdown()
        yield Keys()

    def on_mount(self) -> None:
        """Fill the list."""
        self.title = "Lessons"
        table = self.query_one(DataTable)
        for key, label in (("title", "lesson"), ("minutes", "min"), ("state", "state")):
            table.add_column(label, key=key)
        for lesson in self.lessons:
            minutes = lesson.minutes.split()[0] if lesson.minutes else "–"
            table.add_row(lesson.title, minutes, "", key=lesson.path.name)
        self._states()
        table.focus()

    def on_resize(self) -> None:
        """The text goes below where there is little room."""
        self.set_class(self.size.width < 110, "-narrow")

    def _states(self) -> None:
        states = read_states(self.app.run_dir)
        for lesson in self.lessons:
            words = state_words(states.get(lesson.path.name))
            style = {"done": "green", "ended early": "red"}.get(words, "dim")
            self.query_one(DataTable).update_cell(lesson.path.name, "state", Text(words, style), update_width=True)

    @property
    def _output(self) -> Path:
        """Where lessons run from here put their pictures and runs."""
        return self.app.run_dir.absolute() / "lessons"

    @property
    def lesson(self) -> Script | None:
        """The highlighted lesson."""
        row = self.query_one(DataTable).cursor_row
        return self.lessons[row] if 0 <= row < len(self.lessons) else None

    @on(DataTable.RowHighlighted)
    async def _show(self) -> None:
        if self.lesson is not None:
            try:
                words = as_text(as_markdown(self.lesson.path.read_text(encoding="utf-8")))
            except (OSError, UnicodeDecodeError) as error:
                words = f"{self.lesson.path} cannot be read: {error}"
            await self.query_one(Markdown).update(words)

    @on(DataTable.RowSelected)
    def action_run_lesson(self) -> None:
        """Run the lesson in the terminal; the interface waits behind it."""
        lesson = self.lesson
        if lesson is None:
            return
        try:
            with self.app.suspend():
                print(f"{lesson.title}\n{lesson.path}\n", flush=True)
                code = _run(lesson, self._output)
                print(f"\nThe lesson ended with exit code {code}. Press enter to go back.", flush=True)
                sys.stdin.readline()
        except SuspendNotSupported:
            self.app.notify(f"Run it in a terminal: python {lesson.path}", severity="warning", markup=False)
            return
        try:
            record_state(self.app.run_dir, lesson, code)
        except OSError as error:
            self.app.notify(f"cannot note its state: {error.strerror}", severity="warning", markup=False)
        self._states()
        self.app.follow()

    def action_open_runs(self) -> None:
        """Open the runs that the lesson made."""
        if self.lesson is None:
            return
        number = self.lesson.path.name.split("_")[0]
        runs = list_runs(self._output / number / "runs")
        if not runs:
            self.app.notify("this lesson has made no runs yet; enter runs it")
        elif len(runs) == 1:
            self.app.open_run(runs[0])
        else:
            self.app.compare(runs)


def _run(lesson: Script, output: Path) -> int:
    environment = {**os.environ, "SIMPLEXLAB_OUTPUT": str(output)}
    process = subprocess.Popen([sys.executable, str(lesson.path)], env=environment)
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:  # the lesson got it too and ends in its own way
            continue
