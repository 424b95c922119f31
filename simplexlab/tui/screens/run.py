"""One run: its loss against the bound, its errors, its geometry, live or replayed."""

from pathlib import Path
from typing import ClassVar

import numpy as np
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding
from textual.events import MouseMove
from textual.screen import Screen
from textual.widgets import Footer, Static
from textual.worker import get_current_worker

from simplexlab.errors import RunError
from simplexlab.runs import MetricsFollower, Run, list_geometry, read_geometry, read_log, read_run
from simplexlab.tui.views import explain
from simplexlab.tui.views import run as views
from simplexlab.tui.views.configuration import configuration_chart
from simplexlab.tui.views.records import repeat_command, time_to_fit
from simplexlab.tui.views.table import facts, headline
from simplexlab.tui.widgets.chart import Chart
from simplexlab.tui.widgets.heat_map import HeatMap
from simplexlab.tui.widgets.histogram import Histograms
from simplexlab.tui.widgets.panel import Panel, Panels
from simplexlab.tui.widgets.slider import TimeSlider

MOST_RECORDS = 2000
TURN = np.pi / 12


class RunScreen(Screen):
    """Follows one run folder."""

    CSS = """
    RunScreen > #headline { height: 1; padding: 0 1; background: $panel; }
    RunScreen Panel#configuration { row-span: 2; }
    RunScreen #facts { padding: 0 1; height: 1fr; overflow-y: auto; }
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
        self.path = path
        self.run_: Run = read_run(path)
        self.follower = MetricsFollower(path, most=MOST_RECORDS)
        self.geometry: dict[str, np.ndarray] | None = None
        self.shown_iteration: int | None = None
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
            Panel("Run", Static(id="facts", markup=False), id="about", tab="Run"),
        )
        yield TimeSlider()
        yield Footer()

    def on_mount(self) -> None:
        """Begin to follow."""
        self.title = self.run_.name
        self.follow()
        self.set_interval(1.0, self.follow)

    @property
    def slider(self) -> TimeSlider:
        """The time slider."""
        return self.query_one(TimeSlider)

    @work(thread=True, exclusive=True, group="follow")
    def follow(self) -> None:
        """Read what is new, beside the event loop."""
        run = read_run(self.path)
        lines, restarts = self.follower.lines, self.follower.restarts
        self.follower.poll()
        changed = (lines, restarts) != (self.follower.lines, self.follower.restarts)
        frames = list_geometry(self.path)
        worker = get_current_worker()
        if not worker.is_cancelled:
            self.app.call_from_thread(self._take, run, changed, frames)

    def _take(self, run: Run, changed: bool, frames: list[int]) -> None:
        if not self.is_mounted:
            return
        changed = changed or run.status.state != self.run_.status.state or self.shown_iteration is None
        self.run_ = run
        if frames != self.slider.frames:
            self.slider.follow(frames)
            changed = True
        self.query_one("#headline", Static).update(headline(run))
        if changed:
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
        try:
            arrays = read_geometry(self.path, iteration)
        except RunError:
            arrays = None  # removed meanwhile, or being written: the next look finds it
        if not get_current_worker().is_cancelled:
            self.app.call_from_thread(self._take_geometry, iteration, arrays)

    def _take_geometry(self, iteration: int, arrays: dict[str, np.ndarray] | None) -> None:
        if self.is_mounted:
            self.geometry = arrays
            self.shown_iteration = iteration if arrays is not None else None
            self._draw()

    @property
    def record(self) -> dict | None:
        """The metrics line of the evaluation that is shown."""
        records = self.follower.records
        if self.slider.position is None:
            return records[-1] if records else None
        at = self.slider.iteration
        return next((record for record in reversed(records) if record.get("iteration") == at), None)

    def _draw(self) -> None:
        records, run, record = list(self.follower.records), self.run_, self.record
        at = self.slider.iteration if self.slider.position is not None else None
        fitted = time_to_fit(run, records)
        show = lambda name, spec, meaning: self.query_one(f"#{name}", Panel).show(spec, meaning)  # noqa: E731
        show("loss", views.loss_chart(records, at), explain.loss(record))
        show("excess", views.excess_chart(records, at), explain.excess(record))
        show("errors", views.error_chart(records, fitted, at), explain.errors(record, fitted))
        show("similarities", views.similarity_histograms(self.geometry, record), explain.similarities(record))
        show("gram", views.gram_matrices(self.geometry), explain.gram(record))
        show("collapse", views.collapse_chart(records, at), explain.collapse(record))
        self._draw_configuration()
        log = read_log(self.path, 3) if run.status.state in ("failed", "diverged") else []
        self.query_one("#facts", Static).update(facts(run, record, log))

    def _draw_configuration(self) -> None:
        spec = configuration_chart(self.geometry, self.yaw, self.pitch)
        self.query_one("#configuration", Panel).show(spec, explain.configuration(self.record))

    def action_turn(self, right: int, up: int) -> None:
        """Turn the configuration."""
        self.yaw += right * TURN
        self.pitch += up * TURN
        self._draw_configuration()

    def on_mouse_move(self, event: MouseMove) -> None:
        """Turn the configuration by dragging with shift held down."""
        if event.button and event.shift and self.query_one(Panels).active == "configuration":
            self.yaw += event.delta_x * 0.05
            self.pitch += event.delta_y * 0.1
            self._draw_configuration()

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
        self.app.stop_runs([self.run_])

    def action_copy(self) -> None:
        """Copy the command that repeats the run."""
        self.app.copy_text(repeat_command(self.run_))
