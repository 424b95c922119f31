"""One run: its loss against the bound, its errors, its geometry, live or replayed."""

from pathlib import Path
from typing import ClassVar

import numpy as np
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding
from textual.events import MouseMove
from textual.widgets import Static

from simplexlab.geometry.catalogue import rows_of
from simplexlab.runs import read_log
from simplexlab.tui.feed import Arrays, RunFeed
from simplexlab.tui.screens.dialogs import LookFor
from simplexlab.tui.screens.replay import SLIDER_KEYS, ReplayScreen
from simplexlab.tui.views import explain
from simplexlab.tui.views import run as views
from simplexlab.tui.views.charts import Spec
from simplexlab.tui.views.configuration import configuration_chart, depth_of
from simplexlab.tui.views.events import events_of
from simplexlab.tui.views.guess import read_guess, score
from simplexlab.tui.views.look_for import look_for
from simplexlab.tui.views.records import (
    big_numbers,
    going_to,
    is_pinned,
    projection_of,
    projections,
    repeat_command,
    time_to_fit,
    unit_of,
)
from simplexlab.tui.views.table import facts, headline
from simplexlab.tui.widgets.big_numbers import BigNumbers
from simplexlab.tui.widgets.chart import Chart
from simplexlab.tui.widgets.heat_map import HeatMap
from simplexlab.tui.widgets.histogram import Histograms
from simplexlab.tui.widgets.keys import Keys
from simplexlab.tui.widgets.panel import Facts, Panel, Panels
from simplexlab.tui.widgets.slider import TimeSlider

MOST_RECORDS = 2000
TURN = np.pi / 12
BREATH = 0.005  # seconds between two panels, in which keys are answered
LIVE_BREATH = 0.05  # the same while a run trains: long enough that the terminal is painted panel by panel
LOG_LINES = 200
SPIN_SECONDS = 0.2
OF_HEAD = "head "  # begins the name of a view of what the loss sees, the output of a projection head


class RunScreen(ReplayScreen):
    """Follows one run folder."""

    CSS = """
    RunScreen > #headline { height: 1; padding: 0 1; background: $panel; text-wrap: nowrap; text-overflow: ellipsis; }
    RunScreen Panel#configuration { row-span: 2; }
    """

    BINDINGS: ClassVar = [
        Binding("escape", "app.pop_screen", "Back"),
        *SLIDER_KEYS,
        Binding("a", "turn(-1,0)", "Turn", show=False),
        Binding("d", "turn(1,0)", "Turn", show=False),
        Binding("w", "turn(0,1)", "Turn", show=False),
        Binding("s", "turn(0,-1)", "Turn", show=False),
        Binding("z", "enlarge", "Enlarge"),
        Binding("v", "view", "View"),
        Binding("i", "look_for", "What to see"),
        Binding("x", "stop", "Stop"),
        Binding("R", "resume", "Resume", show=False),
        Binding("o", "spin", "Spin"),
        Binding("L", "log", "Log", show=False),
        Binding("y", "copy", "Copy command", show=False),
        *(Binding(str(number), f"panel({number - 1})", show=False) for number in range(1, 9)),
    ]

    def __init__(self, path: Path):
        super().__init__()
        self.feed = RunFeed(path, MOST_RECORDS)
        self.geometry: Arrays | None = None
        self.shown_iteration: int | None = None
        self._drawn: tuple | None = None
        self._due: dict[str, None] = {}
        self._drawing = False
        self._views: dict[str, int] = {}  # which view of a panel is shown, where it has several
        self.spinning = False
        self.yaw, self.pitch = 0.0, 0.0

    def compose(self) -> ComposeResult:
        """A headline, the panels, the slider."""
        yield Static(id="headline", markup=False)
        yield BigNumbers("iteration", "train error %", "how far %")
        yield Panels(
            Panel("Loss", Chart(), id="loss"),
            Panel("Excess", Chart(), id="excess"),
            Panel("Configuration", Chart(), id="configuration", tab="Config"),
            Panel("Errors", Chart(), id="errors"),
            Panel("Angular similarity γ", Histograms(), id="similarities", tab="γ"),
            Panel("Gram matrix", HeatMap(), id="gram", tab="Gram"),
            Panel("Neural collapse", Chart(), id="collapse", tab="NC"),
            Panel("Run", Facts(id="facts"), id="about", tab="Run", said=False),
            projected=("configuration", "errors", "excess"),
        )
        yield TimeSlider()
        yield Keys()

    def on_mount(self) -> None:
        """Begin to follow."""
        self.title = self.feed.run.name
        self._say_headline()
        self.follow()
        self.set_interval(1.0, self.follow)
        self._spin = self.set_interval(SPIN_SECONDS, self._turn_a_little, pause=True)

    def on_resize(self) -> None:
        """Fit the headline to the width."""
        self._say_headline()

    def _say_headline(self) -> None:
        words = headline(self.feed.run, self.feed.unreadable, self.app.size.width)
        self.query_one("#headline", Static).update(words, layout=False)

    @work(thread=True, group="follow")
    def follow(self) -> None:
        """Read what is new, beside the event loop."""
        self.feed.poll()
        self.hand_over(self._take)

    def _take(self) -> None:
        if (stamp := (self.feed.run.status, self.feed.stamp)) != self._drawn:
            status = self._drawn and self._drawn[0]
            if status != self.feed.run.status:
                self._say_headline()
            same = self._drawn is not None and self._drawn[1] == stamp[1]
            self._drawn = stamp
            if not same:
                records = list(self.feed.records)
                self.slider.follow(self.feed.frames, events_of(records, time_to_fit(self.feed.run, records)))
                self._load()
            self.refresh_bindings()

    @on(TimeSlider.Moved)
    def _load(self) -> None:
        """Read the geometry that the slider chose, then draw."""
        iteration = self.slider.iteration
        if iteration is None or iteration == self.shown_iteration:
            self._draw()
        else:
            self._read_geometry(iteration)

    @work(thread=True, exclusive=True, group="geometry")
    def _read_geometry(self, iteration: int) -> None:
        arrays = self.feed.geometry(iteration)
        self.feed.trail(iteration)
        self.hand_over(self._take_geometry, iteration, arrays)

    def _take_geometry(self, iteration: int, arrays: Arrays | None) -> None:
        if depth_of(arrays) != depth_of(self.geometry):
            self.refresh_bindings()
        self.geometry = arrays
        self.shown_iteration = None if arrays is None else iteration
        self._draw()

    @property
    def at(self) -> int | None:
        """The iteration that is replayed, None while the newest is shown."""
        return None if self.slider.position is None else self.slider.iteration

    @property
    def record(self) -> dict | None:
        """The metrics line of the evaluation that is shown."""
        return self.feed.evaluated_at(self.at)

    @property
    def _lead(self) -> str:
        """Says that numbers are older than the newest line, which tells of a divergence."""
        newest = self.feed.record_at(None)
        return "before it diverged: " if self.at is None and newest is not self.record else ""

    def _draw(self) -> None:
        """Draw every panel, one after another, so that the interface answers in between."""
        panels = self.query_one(Panels)
        self.query_one(BigNumbers).say(*big_numbers(self.record))
        self._due |= dict.fromkeys([panels.active, *(panel.id for panel in panels.panels)])  # who waits keeps its turn
        if not self._drawing:
            self._draw_next()

    def _draw_next(self) -> None:
        if not self.is_attached or not self.is_running or self not in self.app.screen_stack:
            return  # its panels are about to go, or have gone
        name = next(iter(self._due))
        del self._due[name]
        self._draw_panel(name)
        self._drawing = bool(self._due)
        if self._drawing:
            live = self.at is None and self.feed.run.status.state == "running"
            self.set_timer(LIVE_BREATH if live else BREATH, self._draw_next)

    def _views_of(self, name: str) -> list[str]:
        """What a panel can show, the first of it by default."""
        records = self.feed.records
        match name:
            case "errors":
                return ["errors", *(["memorisation"] if views.memorisation_chart(records).series else [])]
            case "gram":
                return ["gram", "confusion"]
            case "collapse":
                rows, seen = rows_of(self.feed.run.config), projections(records)
                of_head = [f"{OF_HEAD}{group}" for group in views.groups_of(seen, rows)] if seen else []
                return views.groups_of(records, rows) + of_head
            case "about":
                return ["facts", "log"]
        return [name]

    def _view(self, name: str) -> str:
        found = self._views_of(name)
        return found[self._views.get(name, 0) % len(found)] if found else name

    def _draw_panel(self, name: str) -> None:
        run, record, at, lead = self.feed.run, self.record, self.at, self._lead
        records, total = list(self.feed.records), going_to(run)
        fitted = time_to_fit(run, records)
        match name, self._view(name):
            case "loss", _:
                unit = unit_of(run)
                words = explain.loss(self.feed.record_at(at))
                self._show(name, views.loss_chart(records, at, total, unit), words)
            case "excess", _:
                self._show(name, views.excess_chart(records, at, total), lead + explain.excess(record))
            case "configuration", _:
                spec = configuration_chart(
                    self.geometry,
                    self.yaw,
                    self.pitch,
                    reach=self.feed.reach,
                    trail=self.feed.trail(at),
                    pinned=is_pinned(record),
                )
                self._show(name, spec, lead + explain.configuration(record))
            case "errors", "memorisation":
                spec = views.memorisation_chart(records, at, total)
                self._show(name, spec, lead + explain.memorisation(record))
            case "errors", _:
                guess = read_guess(run.path)
                spec = views.error_chart(records, fitted, at, total, guess)
                told = score(guess, fitted, total is None)
                self._show(name, spec, lead + explain.errors(record, fitted) + (f"; {told}" if told else ""))
            case "similarities", _:
                spec = views.similarity_histograms(self.geometry, record)
                self._show(name, spec, lead + explain.similarities(record))
            case "gram", "confusion":
                spec, words = views.confusion(self.geometry)
                self._show(name, spec, words)
            case "gram", _:
                self._show(name, views.gram_matrices(self.geometry), lead + explain.gram(record))
            case "collapse", group:
                title = ""
                if group.startswith(OF_HEAD):  # the output of a projection head, which the loss sees
                    group, title = group.removeprefix(OF_HEAD), ", head's output"
                    records, record = projections(records), projection_of(record)
                rows = [row for row in rows_of(run.config) if row.group == group]
                spec = views.statistics_chart(records, rows, views.GROUP_TITLES.get(group, group) + title, at, total)
                words = explain.collapse(record) if group == "collapse" else explain.group(rows, record)
                self._show(name, spec, lead + words)
            case "about", "log":
                self.query_one(Facts).say(views.log_text(read_log(self.feed.path, LOG_LINES)))
            case "about", _:
                log = read_log(self.feed.path, 3) if run.status.state in ("failed", "diverged") else []
                self.query_one(Facts).say(facts(run, record, log))

    def _show(self, name: str, spec: Spec, meaning: str) -> None:
        if self.at is not None and self.record is None:
            meaning = explain.LOST
        self.query_one(f"#{name}", Panel).show(spec, meaning)

    @on(Chart.Clicked)
    def _go_to(self, event: Chart.Clicked) -> None:
        self.slider.go_to(event.x)

    def check_action(self, action: str, parameters: tuple) -> bool | None:
        """Hide what has nothing to do now."""
        if action == "view" and self.query(Panels):
            return len(self._views_of(self.query_one(Panels).active)) > 1
        if action in ("spin", "turn"):
            return depth_of(self.geometry) == 3
        if action == "stop":
            return self.feed.run.status.state == "running"
        if action in ("step", "play", "newest"):
            return True if self.query(TimeSlider) and len(self.slider.frames) > 1 else None
        if action == "jump":
            return bool(self.query(TimeSlider) and self.slider.events)
        return True

    def action_look_for(self) -> None:
        """Say what to look for in the active panel, with this run's numbers."""
        panel, run = self.query_one(Panels).panel, self.feed.run
        view, record = self._view(panel.id), self.record
        if view.startswith(OF_HEAD):
            view, record = view.removeprefix(OF_HEAD), record | projection_of(record)
        rows = [row for row in rows_of(run.config) if row.group == view]
        fitted = time_to_fit(run, self.feed.records)
        words = look_for(view, record, fitted, unit_of(run), rows)
        self.app.push_screen(LookFor(str(panel.border_title), words))

    def action_view(self) -> None:
        """Show the next view of the active panel."""
        name = self.query_one(Panels).active
        self._views[name] = self._views.get(name, 0) + 1
        self._draw_panel(name)

    def action_turn(self, right: int, up: int) -> None:
        """Turn the configuration."""
        self.yaw += right * TURN
        self.pitch += up * TURN
        self._draw_panel("configuration")

    def action_spin(self) -> None:
        """Turn by itself, or stop."""
        self.spinning = not self.spinning
        self._spin.resume() if self.spinning else self._spin.pause()

    def _turn_a_little(self) -> None:
        if self.is_current and self.query_one("#configuration").size.area:
            self.yaw += TURN / 4
            self._draw_panel("configuration")

    def on_mouse_move(self, event: MouseMove) -> None:
        """Turn the configuration by dragging with shift held down."""
        if event.button and event.shift and self.query_one(Panels).active == "configuration":
            self.yaw += event.delta_x * 0.05
            self.pitch += event.delta_y * 0.1
            self._draw_panel("configuration")

    def action_panel(self, index: int) -> None:
        """Show or focus a panel."""
        self.query_one(Panels).choose(index)

    def action_enlarge(self) -> None:
        """Enlarge the active panel, or show all again."""
        panels = self.query_one(Panels)
        panels.enlarged = not panels.enlarged

    def action_log(self) -> None:
        """Show the log of the run, or its facts again."""
        self._views["about"] = self._views.get("about", 0) + 1
        panels = self.query_one(Panels)
        panels.choose([panel.id for panel in panels.panels].index("about"))
        self._draw_panel("about")

    def action_stop(self) -> None:
        """Ask the training process to stop."""
        self.app.stop_runs([self.feed.run])

    def action_resume(self) -> None:
        """Go on with the run."""
        self.app.resume_runs([self.feed.run])

    def action_copy(self) -> None:
        """Copy the command that repeats the run."""
        self.app.copy_text(repeat_command(self.feed.run))
