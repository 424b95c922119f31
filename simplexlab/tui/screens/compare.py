"""Several runs over each other: one legend, linked axes, time to fit against corruption."""

import threading
from typing import ClassVar

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal
from textual.widgets import Footer, SelectionList, Static
from textual.widgets.selection_list import Selection

from simplexlab.runs import MetricsFollower, Run, summarise
from simplexlab.tui.launch import Launch
from simplexlab.tui.screens.base import FollowingScreen
from simplexlab.tui.views import run as views
from simplexlab.tui.views.charts import MARKERS
from simplexlab.tui.views.records import option, time_to_fit
from simplexlab.tui.views.table import fit, progress
from simplexlab.tui.widgets.chart import Chart
from simplexlab.tui.widgets.palette import colour
from simplexlab.tui.widgets.panel import Panel, Panels

MOST_RECORDS = 500
LINKED = {
    "loss": ("Loss", "loss", "loss", None),
    "excess": ("Excess over the bound", "loss − bound", "excess", True),
    "train": ("Train error", "error", "train_error", False),
    "test": ("Test error", "error", "test_error", False),
    "between": ("γ between class means", "γ", "class_mean_similarity.mean", False),
    "within": ("γ within classes", "γ", "within_class_similarity.mean", False),
    "nc1": ("NC1", "within-class scatter", "nc1", True),
    "nc2": ("NC2", "class means − simplex", "nc2", True),
}


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
    CompareScreen .legend { display: none; }
    CompareScreen #fit .legend { display: block; }
    """
    BINDINGS: ClassVar = [
        Binding("escape", "app.pop_screen", "Back"),
        Binding("z", "enlarge", "Enlarge"),
        Binding("L", "legend", "Choose runs"),
        *(Binding(str(number), f"panel({number - 1})", show=False) for number in range(1, 10)),
    ]

    def __init__(self, runs: list[Run]):
        super().__init__()
        self.names = [run.name for run in runs]
        self.runs = {run.name: run for run in runs}
        self.followers = {run.name: MetricsFollower(run.path, most=MOST_RECORDS) for run in runs}
        self.hidden: set[str] = set()
        self._drawn: list | None = None
        self._lock = threading.Lock()

    def compose(self) -> ComposeResult:
        """The legend beside the panels."""
        yield Static(id="legend-line")
        with Horizontal():
            yield SelectionList[str](id="legend-runs")
            yield Panels(
                *(Panel(title, Chart(), id=key, tab=key) for key, (title, *_) in LINKED.items()),
                Panel("Time to fit", Chart(), id="fit", tab="fit"),
            )
        yield Footer()

    def on_mount(self) -> None:
        """Begin to follow."""
        self.title = "Compare"
        box = self.query_one(SelectionList)
        box.border_title = "runs"
        for index, name in enumerate(self.names):
            box.add_option(Selection(self._entry(index, name), name, True))
        self.follow()
        self.set_interval(1.0, self.follow)

    def on_resize(self) -> None:
        """The legend takes one line where there is no room for a list."""
        self.set_class(self.size.width < 120, "-narrow")

    def _entry(self, index: int, name: str) -> Text:
        dark = self.app.current_theme.dark
        run = self.runs[name]
        text = Text(f"{MARKERS[index % len(MARKERS)]} ", colour(index, dark))
        text.append(name, colour(index, dark))
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
        for key, (title, label, field, log) in LINKED.items():
            self.query_one(f"#{key}", Panel).show(views.overlay(title, label, shown, field, log))
        rows = [self._fit_row(name) for name in self.names if name not in self.hidden]
        self.query_one("#fit", Panel).show(
            views.fit_against_corruption([row for row in rows if row is not None]),
            "△ censored: not fitted within the iterations it was given; runs appear as they end or fit",
        )
        legend = Text(no_wrap=True)
        for index, name in enumerate(self.names):
            if name not in self.hidden:
                legend.append_text(self._entry(index, name)).append("  ")
        self.query_one("#legend-line", Static).update(legend)
        box = self.query_one(SelectionList)
        for index, name in enumerate(self.names):
            box.replace_option_prompt_at_index(index, self._entry(index, name))

    def _fit_row(self, name: str) -> tuple[str, float, int | None, int] | None:
        run = self.runs[name]
        corrupt = option(run, "corrupt")
        fitted = time_to_fit(run, self.followers[name].records)
        if not isinstance(corrupt, int | float) or (fitted is None and run.status.state in ("running", "queued")):
            return None
        given = summarise(run)["fit_lower"]
        return str(option(run, "loss")), float(corrupt), fitted, run.status.iteration if given is None else given

    @on(Chart.ScaleChanged)
    def _link(self, event: Chart.ScaleChanged) -> None:
        """Zoom or pan the iterations of all panels together."""
        if event.plot.parent.id == "fit":
            return
        for key in LINKED:
            chart = self.query_one(f"#{key}", Panel).body
            if chart is not event.plot:
                chart.share_x(event.x_min, event.x_max)

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
