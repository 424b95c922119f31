"""One run: its loss against the bound, its errors, its geometry, live or replayed."""

from pathlib import Path
from typing import ClassVar

import numpy as np
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding
from textual.events import MouseMove
from textual.widgets import Footer, Static

from simplexlab.runs import read_log
from simplexlab.tui.feed import Arrays, RunFeed
from simplexlab.tui.screens.base import FollowingScreen
from simplexlab.tui.views import explain
from simplexlab.tui.views import run as views
from simplexlab.tui.views.charts import Spec
from simplexlab.tui.views.configuration import configuration_chart
from simplexlab.tui.views.records import repeat_command, time_to_fit
from simplexlab.tui.views.table import facts, headline
from simplexlab.tui.widgets.chart import Chart
from simplexlab.tui.widgets.heat_map import HeatMap
from simplexlab.tui.widgets.histogram import Histograms
from simplexlab.tui.widgets.panel import Facts, Panel, Panels
from simplexlab.tui.widgets.slider import TimeSlider

MOST_RECORDS = 2000
TURN = np.pi / 12
BREATH = 0.005  # seconds between two panels, in which keys are answered
LIVE_BREATH = 0.05  # the same while a run trains: long enough that the terminal is painted panel by panel


class RunScreen(FollowingScreen):
    """Follows one run folder."""

    CSS = """
    RunScreen > #headline { height: 1; padding: 0 1; background: $panel; }
    RunScreen Panel#configuration { row-span: 2; }
    """

    BINDINGS: ClassVar = [
        Binding("escape", "app.pop_screen", "Back"),
        Binding("comma", "step(-1)", "◀ step", key_display=","),
        Binding("full_stop", "step(1)", "step ▶", key_display="."),
        Binding("space", "play(1)", "Play"),
        Binding("backspace", "play(-1)", "Play back", show=False),
        Binding("home", "first", "First", show=False),
        Binding("end", "newest", "Newest"),
        Binding("a", "turn(-1,0)", "Turn", show=False),
        Binding("d", "turn(1,0)", "Turn", show=False),
        Binding("w", "turn(0,1)", "Turn", show=False),
        Binding("s", "turn(0,-1)", "Turn", show=False),
        Binding("z", "enlarge", "Enlarge"),
        Binding("x", "stop", "Stop"),
        Binding("y", "copy", "Copy command"),
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
        self.yaw, self.pitch = 0.0, 0.0

    def compose(self) -> ComposeResult:
        """A headline, the panels, the slider."""
        yield Static(id="headline", markup=False)
        yield Panels(
            Panel("Loss", Chart(), id="loss"),
            Panel("Excess", Chart(), id="excess"),
            Panel("Configuration", Chart(), id="configuration", tab="Config"),
            Panel("Errors", Chart(), id="errors"),
            Panel("Angular similarity γ", Histograms(), id="similarities", tab="γ"),
            Panel("Gram matrix", HeatMap(), id="gram", tab="Gram"),
            Panel("Neural collapse", Chart(), id="collapse", tab="NC"),
            Panel("Run", Facts(id="facts"), id="about", tab="Run"),
        )
        yield TimeSlider()
        yield Footer()

    def on_mount(self) -> None:
        """Begin to follow."""
        self.title = self.feed.run.name
        self.follow()
        self.set_interval(1.0, self.follow)

    @property
    def slider(self) -> TimeSlider:
        """The time slider."""
        return self.query_one(TimeSlider)

    @work(thread=True, group="follow")
    def follow(self) -> None:
        """Read what is new, beside the event loop."""
        self.feed.poll()
        self.hand_over(self._take)

    def _take(self) -> None:
        self.query_one("#headline", Static).update(headline(self.feed.run), layout=False)
        if (stamp := self.feed.stamp) != self._drawn:
            self._drawn = stamp
            self.slider.follow(self.feed.frames)
            self._load()

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
        self.hand_over(self._take_geometry, iteration, arrays)

    def _take_geometry(self, iteration: int, arrays: Arrays | None) -> None:
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

    def _draw_panel(self, name: str) -> None:
        run, record, at, lead = self.feed.run, self.record, self.at, self._lead
        records = list(self.feed.records)
        match name:
            case "loss":
                self._show(name, views.loss_chart(records, at), explain.loss(self.feed.record_at(at)))
            case "excess":
                self._show(name, views.excess_chart(records, at), lead + explain.excess(record))
            case "configuration":
                spec = configuration_chart(self.geometry, self.yaw, self.pitch)
                self._show(name, spec, lead + explain.configuration(record))
            case "errors":
                fitted = time_to_fit(run, records)
                self._show(name, views.error_chart(records, fitted, at), lead + explain.errors(record, fitted))
            case "similarities":
                spec = views.similarity_histograms(self.geometry, record)
                self._show(name, spec, lead + explain.similarities(record))
            case "gram":
                self._show(name, views.gram_matrices(self.geometry), lead + explain.gram(record))
            case "collapse":
                self._show(name, views.collapse_chart(records, at), lead + explain.collapse(record))
            case "about":
                log = read_log(self.feed.path, 3) if run.status.state in ("failed", "diverged") else []
                self.query_one(Facts).say(facts(run, record, log))

    def _show(self, name: str, spec: Spec, meaning: str) -> None:
        self.query_one(f"#{name}", Panel).show(spec, meaning)

    def action_turn(self, right: int, up: int) -> None:
        """Turn the configuration."""
        self.yaw += right * TURN
        self.pitch += up * TURN
        self._draw_panel("configuration")

    def on_mouse_move(self, event: MouseMove) -> None:
        """Turn the configuration by dragging with shift held down."""
        if event.button and event.shift and self.query_one(Panels).active == "configuration":
            self.yaw += event.delta_x * 0.05
            self.pitch += event.delta_y * 0.1
            self._draw_panel("configuration")

    def action_step(self, by: int) -> None:
        """Go some evaluations forward or back."""
        self.slider.action_step(by)

    def action_play(self, direction: int) -> None:
        """Replay forwards or backwards."""
        self.slider.play(direction)

    def action_first(self) -> None:
        """Go to the first evaluation."""
        self.slider.action_first()

    def action_newest(self) -> None:
        """Follow the newest evaluation."""
        self.slider.action_newest()

    def action_panel(self, index: int) -> None:
        """Show or focus a panel."""
        self.query_one(Panels).choose(index)

    def action_enlarge(self) -> None:
        """Enlarge the active panel, or show all again."""
        panels = self.query_one(Panels)
        panels.enlarged = not panels.enlarged

    def action_stop(self) -> None:
        """Ask the training process to stop."""
        self.app.stop_runs([self.feed.run])

    def action_copy(self) -> None:
        """Copy the command that repeats the run."""
        self.app.copy_text(repeat_command(self.feed.run))
