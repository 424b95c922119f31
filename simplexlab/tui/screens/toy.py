"""The toy: free points of several losses side by side, replayed together."""

from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Label, Static

from simplexlab.errors import UsageError
from simplexlab.objectives import of_run
from simplexlab.runs import Run
from simplexlab.tui.feed import RunFeed
from simplexlab.tui.launch import Launch
from simplexlab.tui.screens.side_by_side import COLUMNS, SideBySide
from simplexlab.tui.views import explain
from simplexlab.tui.views.configuration import configuration_chart
from simplexlab.tui.views.records import age, going_to, kind_of, option, unit_of
from simplexlab.tui.views.run import loss_chart
from simplexlab.tui.widgets.choices import Choices
from simplexlab.tui.widgets.panel import Panel


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
        for name in self.views.FIELDS:
            box, default = self.query_one(f"#{name}"), self.views.default_text(name)
            if isinstance(box, Choices):
                box.default = default
            else:
                box.placeholder = default
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


class ToyScreen(SideBySide):
    """Replays the newest toy of each loss, or those that were chosen, side by side."""

    BINDINGS: ClassVar = [
        Binding("n", "new", "New toy"),
        Binding("tab", "other", "Other runs"),
    ]
    PANELS: ClassVar = ("configuration", "loss")
    EMPTY: ClassVar = (
        "No toy runs yet. Press n to start them: free points that learn by CE and by SC, beside their optimum."
    )

    def __init__(self, runs: list[Run] | None = None):
        super().__init__()
        self.chosen = [run.name for run in runs or []]
        self.older = 0

    @property
    def _toys(self) -> list[Run]:
        return sorted((run for run in self.app.runs if kind_of(run) == "toy"), key=lambda run: age(run) or 0.0)

    @property
    def wanted(self) -> list[Path]:
        """The runs that were chosen, or the newest of each loss."""
        toys = self._toys
        if self.chosen:
            wanted = [run for run in toys if run.name in self.chosen]
        else:
            newest: dict[str, Run] = {}
            for run in toys[self.older :] + toys[: self.older]:
                newest.setdefault(str(option(run, "loss")), run)
            wanted = [newest[loss] for loss in sorted(newest)]
        return [run.path for run in wanted[:COLUMNS]]

    def on_mount(self) -> None:
        """Take a title; the library calls the handler of the class below, too."""
        self.title = "Toy"

    def show(self, runs: list[Run], launches: list[Launch]) -> None:
        """Choose what is shown among the runs as they stand."""
        self.choose()

    def draw(self, index: int, feed: RunFeed, at: int | None, record: dict | None) -> None:
        """Configuration and loss."""
        panel = self.query_one(f"#configuration-{index}", Panel)
        words = f"{explain.loss(record)}; {explain.configuration(record)}"
        spec = configuration_chart(
            self.geometry(feed, at), self.yaw, self.pitch, reach=feed.reach, trail=feed.trail(at)
        )
        panel.show(spec, words, f"{feed.run.name} ({feed.run.status.state})")
        loss = loss_chart(list(feed.records), at, going_to(feed.run), unit_of(feed.run), of_run(feed.run.config).colour)
        self.query_one(f"#loss-{index}", Panel).show(loss)

    def check_action(self, action: str, parameters: tuple) -> bool | None:
        """Hide what has nothing to do now."""
        return len(self._toys) > COLUMNS if action == "other" else super().check_action(action, parameters)

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
        self.chosen = []
        self.older = (self.older + 1) % max(len(self._toys), 1)
        self.choose()
