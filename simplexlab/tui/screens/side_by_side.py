"""Two runs side by side under one time slider: what the toy and the duel have in common."""

from pathlib import Path
from typing import ClassVar

import numpy as np
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.widgets import Static

from simplexlab.tui.feed import RunFeed
from simplexlab.tui.screens.replay import SLIDER_KEYS, ReplayScreen
from simplexlab.tui.views.charts import ChartSpec
from simplexlab.tui.views.configuration import configuration_chart, depth_of
from simplexlab.tui.views.events import events_of
from simplexlab.tui.views.records import big_numbers, is_pinned, time_to_fit
from simplexlab.tui.widgets.big_numbers import BigNumbers
from simplexlab.tui.widgets.chart import Chart
from simplexlab.tui.widgets.keys import Keys
from simplexlab.tui.widgets.meaning import Meaning
from simplexlab.tui.widgets.panel import Panel
from simplexlab.tui.widgets.slider import TimeSlider

COLUMNS = 2
MOST_RECORDS = 2000
TURN = np.pi / 12
SPIN_SECONDS = 0.2
LOW = 34


class SideBySide(ReplayScreen):
    """Two columns of panels over one slider; subclasses choose the runs and draw the panels.

    Where the screen is low, a column shows one of its panels, and `v` the next one.
    """

    DEFAULT_CSS = """
    SideBySide #columns { height: 1fr; }
    SideBySide .column { width: 1fr; }
    SideBySide .configuration { height: 5fr; }
    SideBySide .charts { height: 4fr; }
    SideBySide.-low .configuration, SideBySide.-low .charts { height: 1fr; }
    SideBySide.-low Panel { display: none; }
    SideBySide.-low .charts { display: none; }
    SideBySide.-low .-chosen { display: block; }
    SideBySide .charts.-without { display: none; }
    SideBySide #verdict { height: 1; }
    SideBySide #none { padding: 1 2; height: 1fr; }
    """
    BINDINGS: ClassVar = [
        Binding("escape", "app.pop_screen", "Back"),
        *SLIDER_KEYS,
        Binding("o", "spin", "Spin"),
        Binding("v", "view", "View"),
        Binding("a", "turn(-1,0)", show=False),
        Binding("d", "turn(1,0)", show=False),
        Binding("w", "turn(0,1)", show=False),
        Binding("s", "turn(0,-1)", show=False),
    ]
    PANELS: ClassVar[tuple[str, ...]] = ()  # of a column, the configuration first
    EMPTY: ClassVar[str] = ""

    def __init__(self):
        super().__init__()
        self.feeds: list[RunFeed] = []
        self.yaw, self.pitch = 0.4, 0.3
        self.chosen_panel = 0
        self._spin = None
        self._drawn: list | None = None

    def compose(self) -> ComposeResult:
        """A column a run, a line on both, the slider."""
        yield Static(self.EMPTY, id="none", markup=False)
        with Horizontal(id="columns"):
            for index in range(COLUMNS):
                with Vertical(classes="column", id=f"column-{index}"):
                    yield BigNumbers("iteration", "train error %", "how far %")
                    configuration, *charts = self.PANELS
                    yield Panel("Configuration", Chart(), id=f"{configuration}-{index}", classes="configuration")
                    for start in range(0, len(charts), 2):
                        with Horizontal(classes=f"charts from-{start}", id=f"charts-{start}-{index}"):
                            for name in charts[start : start + 2]:
                                yield Panel(
                                    name.capitalize(), Chart(), id=f"{name}-{index}", classes=name, said=name != "loss"
                                )
        yield Meaning(id="verdict")
        yield TimeSlider()
        yield Keys()

    @property
    def wanted(self) -> list[Path]:
        """Folders of the runs to show, at most two."""
        raise NotImplementedError

    def draw(self, index: int, feed: RunFeed, at: int | None, record: dict | None) -> None:
        """Draw the panels of one column.

        Args:
            index: of the column.
            feed: of the run.
            at: the evaluation that is replayed, None for the newest.
            record: its metrics line.
        """
        raise NotImplementedError

    def configuration(self, feed: RunFeed, at: int | None, record: dict | None) -> ChartSpec:
        """The chart of a column's configuration, see `draw`."""
        return configuration_chart(
            self.geometry(feed, at),
            self.yaw,
            self.pitch,
            reach=feed.reach,
            trail=feed.trail(at),
            pinned=is_pinned(record),
        )

    def verdict(self) -> str:
        """One line on both runs."""
        return ""

    def on_mount(self) -> None:
        """Begin to follow."""
        self._spin = self.set_interval(SPIN_SECONDS, self._turn_a_little, pause=True)
        self._choose_panel()
        self.show(self.app.runs, [])
        self.set_interval(1.0, self.follow)
        self.slider.focus()

    def on_resize(self) -> None:
        """One panel a run where the screen is low."""
        self.set_class(self.size.height < LOW, "-low")
        self.refresh_bindings()

    def choose(self) -> None:
        """Follow the runs that are wanted now."""
        paths = self.wanted
        self.query_one("#none").display = not paths
        self.query_one("#columns").display = bool(paths)
        if paths != [feed.path for feed in self.feeds]:
            known = {feed.path: feed for feed in self.feeds}
            self.feeds = [known.get(path) or RunFeed(path, MOST_RECORDS) for path in paths]
            for index in range(COLUMNS):
                self.query_one(f"#column-{index}").display = index < len(paths)
            self.follow()

    @work(thread=True, group="follow")
    def follow(self) -> None:
        """Read what is new, beside the event loop."""
        for feed in list(self.feeds):
            feed.poll()
        self.hand_over(self._take)

    def _take(self) -> None:
        stamp = [(feed.path, *feed.stamp) for feed in self.feeds]
        if stamp != self._drawn:
            self._drawn = stamp
            events = [event for feed in self.feeds for event in events_of(feed.records, self.fit_of(feed))]
            events.sort(key=lambda event: event.iteration)
            self.slider.follow(sorted({frame for feed in self.feeds for frame in feed.frames}), events)
            self._load()
            self.refresh_bindings()

    def fit_of(self, feed: RunFeed) -> int | None:
        """Time to fit of a run."""
        return time_to_fit(feed.run, feed.records)

    @on(TimeSlider.Moved)
    def _load(self) -> None:
        iteration = self.slider.iteration
        if iteration is not None:
            self._read(iteration)
        else:
            self.redraw()

    @work(thread=True, exclusive=True, group="geometry")
    def _read(self, iteration: int) -> None:
        for feed in list(self.feeds):
            if (frame := feed.frame_at(iteration)) is not None:
                feed.geometry(frame)
                feed.trail(frame)
        self.hand_over(self.redraw)

    def redraw(self) -> None:
        """Draw both columns."""
        iteration = self.slider.iteration
        newest = self.slider.position is None
        with self.app.batch_update():
            for index, feed in enumerate(self.feeds):
                frame = None if iteration is None else feed.frame_at(iteration)
                record = feed.evaluated_at(None if newest else frame)
                self.query_one(f"#column-{index}").query_one(BigNumbers).say(*big_numbers(record))
                self.draw(index, feed, None if newest else frame, record)
            self.query_one("#verdict", Meaning).say(self.verdict())

    def geometry(self, feed: RunFeed, at: int | None) -> dict[str, np.ndarray] | None:
        """The arrays of an evaluation that was read, the newest for None."""
        frame = at if at is not None else (feed.frames[-1] if feed.frames else None)
        return None if frame is None else feed.geometry(frame)

    @property
    def has_depth(self) -> bool:
        """Whether a picture can be turned."""
        return any(depth_of(self.geometry(feed, None)) == 3 for feed in self.feeds)

    def check_action(self, action: str, parameters: tuple) -> bool | None:
        """Hide what has nothing to do now."""
        if action == "view":
            return self.has_class("-low")
        if action in ("spin", "turn"):
            return self.has_depth
        if action in ("step", "play", "newest", "first"):
            return bool(self.query(TimeSlider)) and len(self.slider.frames) > 1
        if action == "jump":
            return bool(self.query(TimeSlider)) and bool(self.slider.events)
        return True

    @on(Chart.Clicked)
    def _go_to(self, event: Chart.Clicked) -> None:
        self.slider.go_to(event.x)

    def action_view(self) -> None:
        """Show the next panel of both columns."""
        there = [place for place, name in enumerate(self.PANELS) if self._is_there(name)]
        self.chosen_panel = next((place for place in there if place > self.chosen_panel), there[0])
        self._choose_panel()

    def _is_there(self, name: str) -> bool:
        """Whether a panel has something to show in any run; subclasses put `-without` on the row where none has."""
        return not self.query_one(f"#{name}-0").parent.has_class("-without")

    def _choose_panel(self) -> None:
        for place, name in enumerate(self.PANELS):
            for index in range(COLUMNS):
                panel = self.query_one(f"#{name}-{index}")
                panel.set_class(place == self.chosen_panel, "-chosen")
        for box in self.query(".charts"):
            box.set_class(any(panel.has_class("-chosen") for panel in box.children), "-chosen")

    def action_turn(self, right: int, up: int) -> None:
        """Turn what is in three dimensions."""
        self.yaw += right * TURN
        self.pitch += up * TURN
        self.redraw()

    def action_spin(self) -> None:
        """Turn by itself, or stop."""
        self.spinning = not getattr(self, "spinning", False)
        self._spin.resume() if self.spinning else self._spin.pause()

    def _turn_a_little(self) -> None:
        if self.is_current:
            self.yaw += TURN / 4
            self.redraw()
