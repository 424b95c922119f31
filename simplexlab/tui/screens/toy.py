"""The toy: free points of several losses side by side, replayed together."""

from typing import ClassVar

import numpy as np
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Footer, Input, Label, Static

from simplexlab.errors import UsageError
from simplexlab.runs import Run
from simplexlab.tui.feed import RunFeed
from simplexlab.tui.launch import Launch
from simplexlab.tui.screens.base import FollowingScreen
from simplexlab.tui.views import explain
from simplexlab.tui.views.configuration import configuration_chart
from simplexlab.tui.views.records import age, kind_of, option
from simplexlab.tui.views.run import loss_chart
from simplexlab.tui.widgets.chart import Chart
from simplexlab.tui.widgets.choices import Choices
from simplexlab.tui.widgets.panel import Panel
from simplexlab.tui.widgets.slider import TimeSlider

SIDE_BY_SIDE = 2
MOST_RECORDS = 2000
TURN = np.pi / 12


class ToyForm(ModalScreen[list[list[str]] | None]):
    """Asks what toy to run; answers with commands."""

    CSS = """
    ToyForm { align: center middle; }
    ToyForm > Vertical { width: 76; max-width: 98%; height: auto; border: round $accent; background: $surface; }
    ToyForm > Vertical { padding: 0 1; }
    ToyForm .row { height: 1; }
    ToyForm .row Label { width: 18; color: $text-muted; }
    ToyForm Input { width: 1fr; }
    ToyForm #meaning { height: 1; color: $text-muted; }
    ToyForm #words { height: auto; max-height: 4; }
    ToyForm .buttons { height: 1; }
    ToyForm Button { margin-right: 2; }
    """
    BINDINGS: ClassVar = [
        Binding("escape", "dismiss", "Back"),
        Binding("ctrl+r", "launch", "Launch"),
        Binding("down", "app.focus_next", show=False),
        Binding("up", "app.focus_previous", show=False),
    ]

    def compose(self) -> ComposeResult:
        """A row a field, then the commands and the buttons."""
        from simplexlab.tui.views import toy

        self.views = toy
        with Vertical():
            for name in toy.FIELDS:
                with Horizontal(classes="row"):
                    yield Label(name.replace("_", " "))
                    words = toy.CHOICES.get(name)
                    yield Choices(words, id=name) if words else Input(id=name, compact=True)
            yield Static(id="meaning", markup=False)
            yield Static(id="words", markup=False)
            with Horizontal(classes="buttons"):
                yield Button("Launch", id="launch", variant="success", compact=True)
                yield Button("Back", id="back", compact=True)

    def on_mount(self) -> None:
        """Begin with both losses."""
        defaults = {"classes": "3", "dimension": "2"}
        for name in self.views.CHOICES:
            self.query_one(f"#{name}", Choices).default = defaults.get(name, "ce, sc")
        self.query_one("#loss").focus()
        self._check()

    def on_descendant_focus(self) -> None:
        """Say what the field means."""
        name = self.focused.id if self.focused else None
        self.query_one("#meaning", Static).update(self.views.FIELDS.get(name or "", ""))

    @on(Input.Changed)
    @on(Choices.Changed)
    def _check(self) -> None:
        texts = {name: self.query_one(f"#{name}").value for name in self.views.FIELDS}
        try:
            self.toys = self.views.toys(texts, self.app.run_dir)
            words = "\n".join(toy.command_line() for toy in self.toys[:4])
        except UsageError as error:
            self.toys, words = [], str(error)
        self.query_one("#words", Static).update(words)
        self.query_one("#launch", Button).disabled = not self.toys

    @on(Button.Pressed, "#launch")
    def action_launch(self) -> None:
        """Answer with the commands."""
        if self.toys:
            self.dismiss([self.views.arguments(toy) for toy in self.toys])

    @on(Button.Pressed, "#back")
    def _back(self) -> None:
        self.dismiss(None)


class ToyScreen(FollowingScreen):
    """Replays the newest toy of each loss, or those that were chosen, side by side."""

    CSS = """
    ToyScreen #columns { height: 1fr; }
    ToyScreen .column { width: 1fr; }
    ToyScreen .configuration { height: 2fr; }
    ToyScreen .loss { height: 1fr; }
    ToyScreen.-low .loss { display: none; }
    ToyScreen.-low.-losses .loss { display: block; }
    ToyScreen.-low.-losses .configuration { display: none; }
    ToyScreen #none { padding: 1 2; height: 1fr; }
    """
    BINDINGS: ClassVar = [
        Binding("escape", "app.pop_screen", "Back"),
        Binding("n", "new", "New toy"),
        Binding("tab", "other", "Other runs"),
        Binding("comma", "step(-1)", "◀ step", key_display=","),
        Binding("full_stop", "step(1)", "step ▶", key_display="."),
        Binding("space", "play(1)", "Play"),
        Binding("backspace", "play(-1)", "Play back", show=False),
        Binding("home", "first", "First", show=False),
        Binding("end", "newest", "Newest", show=False),
        Binding("o", "spin", "Spin"),
        Binding("v", "losses", "Loss"),
        Binding("a", "turn(-1,0)", show=False),
        Binding("d", "turn(1,0)", show=False),
        Binding("w", "turn(0,1)", show=False),
        Binding("s", "turn(0,-1)", show=False),
    ]

    def __init__(self, runs: list[Run] | None = None):
        super().__init__()
        self.chosen = [run.name for run in runs or []]
        self.feeds: list[RunFeed] = []
        self.yaw, self.pitch = 0.4, 0.3
        self.older = 0
        self._spin = None
        self._drawn: list | None = None

    def compose(self) -> ComposeResult:
        """A column a run, the slider below."""
        yield Static(
            "No toy runs yet. Press n to start them: free points that learn by CE and by SC, beside their optimum.",
            id="none",
        )
        with Horizontal(id="columns"):
            for index in range(SIDE_BY_SIDE):
                with Vertical(classes="column", id=f"column-{index}"):
                    yield Panel("Configuration", Chart(), id=f"configuration-{index}", classes="configuration")
                    yield Panel("Loss", Chart(), id=f"loss-{index}", classes="loss")
        yield TimeSlider()
        yield Footer()

    @property
    def slider(self) -> TimeSlider:
        """The time slider."""
        return self.query_one(TimeSlider)

    def on_mount(self) -> None:
        """Begin to follow."""
        self.title = "Toy"
        self._spin = self.set_interval(0.2, self._turn_a_little, pause=True)
        self.show(self.app.runs, [])
        self.set_interval(1.0, self.follow)
        self.slider.focus()

    def on_resize(self) -> None:
        """One picture a run where the screen is low."""
        self.set_class(self.size.height < 34, "-low")

    def show(self, runs: list[Run], launches: list[Launch]) -> None:
        """Choose what is shown among the runs as they stand."""
        toys = sorted((run for run in runs if kind_of(run) == "toy"), key=lambda run: age(run) or 0.0)
        if self.chosen:
            wanted = [run for run in toys if run.name in self.chosen]
        else:
            newest: dict[str, Run] = {}
            for run in toys[self.older :] + toys[: self.older]:
                newest.setdefault(str(option(run, "loss")), run)
            wanted = [newest[loss] for loss in sorted(newest)]
        paths = [run.path for run in wanted[:SIDE_BY_SIDE]]
        self.query_one("#none").display = not paths
        self.query_one("#columns").display = bool(paths)
        if paths != [feed.path for feed in self.feeds]:
            self.feeds = [RunFeed(path, MOST_RECORDS) for path in paths]
            for index in range(SIDE_BY_SIDE):
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
            self.slider.follow(sorted({frame for feed in self.feeds for frame in feed.frames}))
            self._load()

    @on(TimeSlider.Moved)
    def _load(self) -> None:
        iteration = self.slider.iteration
        if iteration is not None:
            self._read(iteration)

    @work(thread=True, exclusive=True, group="geometry")
    def _read(self, iteration: int) -> None:
        for feed in list(self.feeds):
            if (frame := feed.frame_at(iteration)) is not None:
                feed.geometry(frame)
        self.hand_over(self._draw)

    def _draw(self) -> None:
        iteration = self.slider.iteration
        if iteration is None:
            return
        newest = self.slider.position is None
        for index, feed in enumerate(self.feeds):
            frame = feed.frame_at(iteration)
            record = feed.record_at(None if newest else frame)
            panel = self.query_one(f"#configuration-{index}", Panel)
            arrays = None if frame is None else feed.geometry(frame)
            words = f"{explain.loss(record)}; {explain.configuration(record)}"
            panel.show(configuration_chart(arrays, self.yaw, self.pitch), words)
            panel.border_title = f"{feed.run.name} ({feed.run.status.state})"
            at = None if newest else frame
            self.query_one(f"#loss-{index}", Panel).show(loss_chart(list(feed.records), at))

    def action_new(self) -> None:
        """Ask for a new toy."""
        self.app.push_screen(ToyForm(), self._launch)

    def _launch(self, commands: list[list[str]] | None) -> None:
        if commands:
            self.chosen, self.older = [], 0
            self.app.launch(commands)
            self.app.notify(f"{len(commands)} toy runs were queued; they appear here when they start")

    def action_other(self) -> None:
        """Show older toys of each loss."""
        count = sum(kind_of(run) == "toy" for run in self.app.runs)
        self.chosen = []
        self.older = (self.older + 1) % max(count, 1)
        self.show(self.app.runs, [])

    def action_losses(self) -> None:
        """Show the loss instead of the configuration where there is room for one."""
        self.toggle_class("-losses")

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

    def action_turn(self, right: int, up: int) -> None:
        """Turn what is in three dimensions."""
        self.yaw += right * TURN
        self.pitch += up * TURN
        self._draw()

    def action_spin(self) -> None:
        """Turn by itself, or stop."""
        self.spinning = not getattr(self, "spinning", False)
        self._spin.resume() if self.spinning else self._spin.pause()

    def _turn_a_little(self) -> None:
        self.yaw += TURN / 4
        self._draw()
