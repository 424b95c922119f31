"""The toy: free points of several losses side by side, replayed together."""

from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Label, Static

from simplexlab import objectives
from simplexlab.errors import UsageError
from simplexlab.objectives import of_run
from simplexlab.runs import Run
from simplexlab.tui.feed import RunFeed
from simplexlab.tui.launch import Launch
from simplexlab.tui.screens.side_by_side import COLUMNS, SideBySide
from simplexlab.tui.views import explain
from simplexlab.tui.views.records import age, going_to, kind_of, option, unit_of
from simplexlab.tui.views.run import loss_chart
from simplexlab.tui.widgets.choices import Choices
from simplexlab.tui.widgets.fields import Fields
from simplexlab.tui.widgets.meaning import Meaning
from simplexlab.tui.widgets.panel import Panel

SHOWN_COMMANDS = 4


class ToyForm(ModalScreen[list[list[str]] | None]):
    """Asks what toy to run; answers with commands."""

    CSS = """
    ToyForm { align: center middle; }
    ToyForm > Vertical { width: 76; max-width: 98%; height: auto; border: round $accent; background: $surface; }
    ToyForm > Vertical { padding: 0 1; }
    ToyForm .row { height: 1; }
    ToyForm .row Label { width: 18; color: $text-muted; }
    ToyForm Input { width: 1fr; }
    ToyForm #fields { height: auto; max-height: 50vh; }
    ToyForm #meaning { padding: 0; color: $text-muted; }
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
            with Fields(id="fields"):
                for name in toy.FIELDS:
                    with Horizontal(classes="row", id=f"row-{name}"):
                        yield Label(name.replace("_", " "))
                        words = toy.words_of(name)
                        yield Choices(words, id=name) if words else Input(id=name, compact=True)
            yield Meaning(id="meaning")
            yield Static(id="words", markup=False)
            with Horizontal(classes="buttons"):
                yield Button("Launch", id="launch", variant="success", compact=True)
                yield Button("Back", id="back", compact=True)

    def on_mount(self) -> None:
        """Begin with the losses of the paper."""
        self._check()
        self.query_one("#loss").focus()

    def on_descendant_focus(self) -> None:
        """Say what the field means."""
        self._explain()

    @on(Choices.Moved)
    def _explain(self) -> None:
        box = self.focused
        name = box.id if box else None
        if isinstance(box, Choices) and name == "loss":
            words = f"{box.word}: {objectives.get(box.word).sentence} Space adds or takes away."
        else:
            words = self.views.help_of(name, self.losses) if name in self.views.FIELDS else ""
        self.query_one("#meaning", Meaning).say(words)

    @on(Input.Changed)
    @on(Choices.Changed)
    def _check(self) -> None:
        self.losses = self.views.losses_of(self.query_one("#loss", Choices).value)
        taken = {name for loss in self.losses for name in self.views.defaults(loss)}
        texts = {name: self.query_one(f"#{name}").value for name in self.views.FIELDS if name in taken}
        try:
            self.toys = self.views.toys(texts, self.app.run_dir)
            shown = [toy.command_line() for toy in self.toys]
            words = "\n".join(shown if len(shown) <= SHOWN_COMMANDS else [*shown[: SHOWN_COMMANDS - 1], "…"])
        except UsageError as error:
            self.toys, words = [], str(error)
        self._offer(taken)
        self.query_one("#words", Static).update(words)
        self.query_one("#launch", Button).disabled = not self.toys
        self.query_one("#launch", Button).label = f"Launch {len(self.toys)} toys" if len(self.toys) > 1 else "Launch"

    def _offer(self, taken: set[str]) -> None:
        """Show the fields that the losses take, each with what it is where it is left empty."""
        toys = self.toys or self.views.toys({"loss": ", ".join(self.losses)}, self.app.run_dir)
        defaults = self.views.default_texts(toys) | {"loss": ", ".join(self.views.DEFAULT_LOSSES)}
        for name in self.views.FIELDS:
            self.query_one(f"#row-{name}").display = name in taken
            box = self.query_one(f"#{name}")
            if isinstance(box, Choices):
                box.default = defaults.get(name, "")
            else:
                box.placeholder = defaults.get(name, "")

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
        "No toy runs yet. Press n to start them: free points that learn by CE, by SC or by any other objective, beside "
        "their optimum."
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
                if len(newest) < COLUMNS:
                    newest.setdefault(str(option(run, "loss")), run)
            wanted = [newest[loss] for loss in sorted(newest, key=objectives.rank)]
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
        spec = self.configuration(feed, at, record)
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
