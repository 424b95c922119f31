"""Several runs over each other: one legend, linked axes, time to fit against corruption."""

import threading
from typing import ClassVar

import numpy as np
from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal
from textual.widgets import SelectionList, Static
from textual.widgets.selection_list import Selection

from simplexlab.errors import RunError
from simplexlab.geometry.catalogue import rows_of
from simplexlab.objectives import of_run
from simplexlab.runs import MetricsFollower, Run, list_geometry, read_geometry, summarise
from simplexlab.tui.launch import Launch
from simplexlab.tui.screens.base import FollowingScreen
from simplexlab.tui.views import explain
from simplexlab.tui.views import run as views
from simplexlab.tui.views.charts import MARKERS
from simplexlab.tui.views.configuration import configuration_chart
from simplexlab.tui.views.explain import FAR, NOT_PINNED
from simplexlab.tui.views.records import going_to, is_pinned, key_of, option, time_to_fit, unit_of
from simplexlab.tui.views.table import fit, progress, shortened
from simplexlab.tui.widgets.chart import Chart
from simplexlab.tui.widgets.keys import Keys
from simplexlab.tui.widgets.palette import colour
from simplexlab.tui.widgets.panel import Panel, Panels

MOST_RECORDS = 500
LINKED = {
    "loss": ("Loss", "loss", "loss", None),
    "excess": ("Excess over the bound", "loss − bound", "excess", True),
    "train": ("Train error", "error", "train_error", False),
    "test": ("Test error", "error", "test_error", False),
    "far": ("How far from the optimum", "share", "how_far", False),
}
STATISTICS = {"one": "within_class_similarity", "two": "nc1"}  # what the panels of statistics begin with
WITHOUT_AXES = ("configuration", "fit")
FITS = "hollow: not fitted within the iterations it was given; runs appear as they end or fit"
MANY_FITS = "enlarge (z) for the names; hollow: not fitted within the iterations it was given"
UNITS = (
    "one loss is a mean over points, another a sum over a batch: compare each with its own bound, not with the other"
)


class CompareScreen(FollowingScreen):
    """Overlays the chosen runs and keeps following them.

    Args:
        runs: Runs to choose from; all are shown at first.
    """

    CSS = """
    CompareScreen #legend-runs { width: 34; height: 1fr; border: round $foreground 30%; padding: 0; }
    CompareScreen #legend-line { height: 1; padding: 0 1; display: none; text-wrap: nowrap; text-overflow: ellipsis; }
    CompareScreen.-narrow #legend-runs { display: none; }
    CompareScreen.-narrow #legend-line { display: block; }
    """
    BINDINGS: ClassVar = [
        Binding("escape", "app.pop_screen", "Back"),
        Binding("z", "enlarge", "Enlarge"),
        Binding("v", "view", "Statistic"),
        Binding("L", "legend", "Choose runs"),
        *(Binding(str(number), f"panel({number - 1})", show=False) for number in range(1, 10)),
    ]

    def __init__(self, runs: list[Run]):
        super().__init__()
        self.names = [run.name for run in runs]
        self.runs = {run.name: run for run in runs}
        self.followers = {run.name: MetricsFollower(run.path, most=MOST_RECORDS) for run in runs}
        self.hidden: set[str] = set()
        self.rows = {row.key: row for run in runs for row in rows_of(run.config)}
        self.statistics = dict(STATISTICS)
        self.pictured = self.names[0]
        self._drawn: list | None = None
        self._lock = threading.Lock()

    def compose(self) -> ComposeResult:
        """The legend beside the panels."""
        yield Static(id="legend-line")
        mixed = len({unit_of(run) for run in self.runs.values()}) > 1
        with Horizontal():
            yield SelectionList[str](id="legend-runs")
            yield Panels(
                *(
                    Panel(title, Chart(legend=False), id=key, tab=key, said=key == "far" or (key == "loss" and mixed))
                    for key, (title, *_) in LINKED.items()
                ),
                *(Panel(key, Chart(legend=False), id=key, tab=self._tab(key)) for key in STATISTICS),
                Panel("Configuration", Chart(), id="configuration", tab="config"),
                Panel("Time to fit", Chart(), id="fit", tab="fit"),
            )
        yield Keys()

    def on_mount(self) -> None:
        """Begin to follow."""
        self.title = "Compare"
        box = self.query_one(SelectionList)
        box.border_title = "runs"
        for index, name in enumerate(self.names):
            box.add_option(Selection(self._entry(index, name), name, True))
        self.follow()
        self.set_interval(1.0, self.follow)

    def _tab(self, panel: str) -> str:
        return self.rows[self.statistics[panel]].short

    def on_resize(self) -> None:
        """The legend takes one line where there is no room for a list."""
        self.set_class(self.size.width < 120, "-narrow")

    def _inks(self) -> list[int | str]:
        """A colour for each run: that of its loss where the losses differ, else its place in the list."""
        losses = [of_run(self.runs[name].config) for name in self.names]
        if len({loss.name for loss in losses}) == len({loss.colour for loss in losses}) == len(losses):
            return [loss.colour for loss in losses]
        return list(range(len(losses)))

    def _entry(self, index: int, name: str) -> Text:
        dark = self.app.current_theme.dark
        run = self.runs[name]
        ink = colour(self._inks()[index], dark)
        text = Text(f"{MARKERS[index % len(MARKERS)]} ", ink)
        text.append(name, ink)
        if run.status.state == "running":
            text.append(f" {progress(run, 4)}", "dim")
        elif (found := fit(run)) != "–":
            text.append(f" fit {found}", "dim")
        return text

    @on(SelectionList.SelectedChanged)
    def _chosen(self, event: SelectionList.SelectedChanged) -> None:
        shown = set(event.selection_list.selected)
        if len(self.query_one(SelectionList).options) == len(self.names):
            self.hidden = set(self.names) - shown
            self._draw()

    def show(self, runs: list[Run], launches: list[Launch]) -> None:
        """Take in the runs as they stand."""
        self.runs |= {run.name: run for run in runs if run.name in self.runs}

    @work(thread=True, group="follow")
    def follow(self) -> None:
        """Read what is new, beside the event loop."""
        with self._lock:
            for follower in self.followers.values():
                follower.poll()
        self.hand_over(self._draw_if_changed)

    def _draw_if_changed(self) -> None:
        stamp = [(one.lines, one.restarts, self.runs[name].status.state) for name, one in self.followers.items()]
        if stamp != self._drawn:
            self._drawn = stamp
            self._draw()

    def _draw(self) -> None:
        with self.app.batch_update():
            self._draw_all()

    def _draw_all(self) -> None:
        shown = [(name, self.followers[name].records) for name in self.names]
        shown = [(name, [] if name in self.hidden else records) for name, records in shown]
        total = max((total for name in self.names if (total := going_to(self.runs[name]))), default=None)
        inks = self._inks()
        units = {unit_of(self.runs[name]) for name, records in shown if records}
        for key, (title, label, field, log) in LINKED.items():
            spec = views.overlay(title, label, shown, field, log, total, inks)
            far = FAR if any(len(series.x) for series in spec.series) or not units else NOT_PINNED
            words = UNITS if key == "loss" and len(units) > 1 else far if key == "far" else ""
            self.query_one(f"#{key}", Panel).show(spec, words)
        for panel, statistic in self.statistics.items():
            row = self.rows[statistic]
            fields = {key_of(records, row.key) for _, records in shown if records}
            field = next((field for field in fields if field != row.key), row.key)
            spec = views.overlay(row.label, row.short, shown, field, row.log, total, inks)
            self.query_one(f"#{panel}", Panel).show(spec, row.meaning)
        found = [self._fit_row(name) for name in self.names if name not in self.hidden]
        rows = [row for row in found if row is not None]
        many = len({loss for loss, *_ in rows}) > views.MANY_LOSSES
        self.query_one("#fit", Panel).show(views.fit_against_corruption(rows), MANY_FITS if many else FITS)
        self._show_configuration()
        self.query_one("#legend-line", Static).update(self._legend_line())
        box = self.query_one(SelectionList)
        for index, name in enumerate(self.names):
            box.replace_option_prompt_at_index(index, self._entry(index, name))

    def _legend_line(self) -> Text:
        """The runs in one line: with their times to fit, else by their names, else by as much of them as fits."""
        shown = [(index, name) for index, name in enumerate(self.names) if name not in self.hidden]
        room = self.size.width - 2
        entries = [self._entry(index, name) for index, name in shown]
        if sum(entry.cell_len + 2 for entry in entries) > room:
            most = max(room // max(len(shown), 1) - 4, 3)
            longest = max((len(name) for _, name in shown), default=0)
            dark, inks = self.app.current_theme.dark, self._inks()
            entries = [
                Text(
                    f"{MARKERS[index % len(MARKERS)]} {shortened(name, min(most, longest))}", colour(inks[index], dark)
                )
                for index, name in shown
            ]
        return Text("  ", no_wrap=True).join(entries)

    def _fit_row(self, name: str) -> tuple[str, float, int | None, int] | None:
        run = self.runs[name]
        corrupt = option(run, "corrupt")
        fitted = time_to_fit(run, self.followers[name].records)
        if not isinstance(corrupt, int | float) or (fitted is None and run.status.state in ("running", "queued")):
            return None
        given = summarise(run)["fit_lower"]
        return str(option(run, "loss")), float(corrupt), fitted, run.status.iteration if given is None else given

    @on(SelectionList.SelectionHighlighted)
    def _picture(self, event: SelectionList.SelectionHighlighted) -> None:
        self.pictured = event.selection.value
        self._show_configuration()

    @work(thread=True, exclusive=True, group="geometry")
    def _show_configuration(self) -> None:
        """Read the newest geometry of the highlighted run, and draw it."""
        run = self.runs[self.pictured]
        frames = list_geometry(run.path)
        try:
            arrays = read_geometry(run.path, frames[-1]) if frames else None
        except RunError:  # removed meanwhile, or not complete yet
            arrays = None
        self.hand_over(self._draw_configuration, run.name, arrays)

    def _draw_configuration(self, name: str, arrays: dict[str, np.ndarray] | None) -> None:
        panel = self.query_one("#configuration", Panel)
        records = self.followers[name].records
        record = next((one for one in reversed(records) if not one.get("diverged")), None)
        panel.show(configuration_chart(arrays, pinned=is_pinned(record)), explain.configuration(record), name)

    @on(Chart.Scaled)
    def _link(self, event: Chart.Scaled) -> None:
        """Zoom or pan the iterations of all panels together."""
        for panel in self.query_one(Panels).panels:
            if panel.id not in WITHOUT_AXES and event.chart.parent.id not in WITHOUT_AXES:
                panel.body.share_x(event.stretch)

    def check_action(self, action: str, parameters: tuple) -> bool | None:
        """Hide what has nothing to do now."""
        return self.query_one(Panels).active in STATISTICS if action == "view" and self.query(Panels) else True

    def action_view(self) -> None:
        """Show another statistic in the active panel."""
        panel, keys = self.query_one(Panels).active, list(self.rows)
        self.statistics[panel] = keys[(keys.index(self.statistics[panel]) + 1) % len(keys)]
        self._draw()

    def action_panel(self, index: int) -> None:
        """Show or focus a panel."""
        self.query_one(Panels).choose(index)

    def action_enlarge(self) -> None:
        """Enlarge the active panel, or show all again."""
        panels = self.query_one(Panels)
        panels.enlarged = not panels.enlarged

    def action_legend(self) -> None:
        """Show and focus the list of runs."""
        self.remove_class("-narrow") if self.has_class("-narrow") else None
        self.query_one(SelectionList).focus()
