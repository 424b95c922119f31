"""A form for new runs, made from the fields of `Experiment`, with the command that it stands for."""

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.events import DescendantFocus
from textual.screen import Screen
from textual.widgets import Button, Input, Label, Select, Static

from simplexlab.config import Experiment, flag
from simplexlab.errors import UsageError
from simplexlab.objectives import named
from simplexlab.tui.launch import Launch
from simplexlab.tui.views import form
from simplexlab.tui.views.guess import Guess
from simplexlab.tui.widgets.choices import Choices
from simplexlab.tui.widgets.fields import Fields
from simplexlab.tui.widgets.keys import Keys
from simplexlab.tui.widgets.meaning import Meaning

SHOWN_COMMANDS = 3
DUEL = ("ce", "sc")


class NewRunScreen(Screen):
    """Fills in experiments, checks them as one types, and launches them.

    Args:
        texts: What the form begins with.
    """

    CSS = """
    NewRunScreen .row { height: 1; }
    NewRunScreen .row Label { width: 18; padding: 0 1; color: $text-muted; }
    NewRunScreen .row.-changed Label { color: $accent; }
    NewRunScreen Input { width: 1fr; max-width: 64; }
    NewRunScreen Select { width: 1fr; max-width: 64; }
    NewRunScreen #fields { height: 1fr; }
    NewRunScreen #foot { height: auto; border-top: solid $foreground 30%; padding: 0 1; }
    NewRunScreen #meaning { padding: 0; color: $text-muted; }
    NewRunScreen #command { height: auto; max-height: 5; }
    NewRunScreen #problem { height: auto; max-height: 2; color: $text-error; display: none; }
    NewRunScreen.-wrong #problem { display: block; }
    NewRunScreen.-wrong #command { display: none; }
    NewRunScreen #buttons { height: 1; }
    NewRunScreen #guess Label { color: $text-muted; width: auto; padding: 0 1 0 0; }
    NewRunScreen #guess { height: 1; }
    NewRunScreen #guess Input { width: 12; }
    NewRunScreen Button { margin-right: 2; }
    """
    BINDINGS: ClassVar = [
        Binding("escape", "app.pop_screen", "Back"),
        Binding("ctrl+r", "launch", "Launch"),
        Binding("ctrl+d", "duel", "Duel", priority=True),  # which a text field would take
        Binding("ctrl+y", "copy", "Copy command"),
        Binding("ctrl+n", "reset", "Reset"),
        Binding("down", "app.focus_next", show=False),
        Binding("up", "app.focus_previous", show=False),
    ]

    def __init__(self, texts: dict[str, str] | None = None):
        super().__init__()
        self.given = texts or {}
        self.experiments: list[Experiment] = []

    def compose(self) -> ComposeResult:
        """A preset, a row a field, then meaning, command and buttons."""
        with Horizontal(classes="row"):
            yield Label("preset")
            yield Select([(name, name) for name in form.PRESETS], prompt="none", compact=True, id="preset")
        with Fields(id="fields"):
            for name in form.FIELDS:
                with Horizontal(classes="row", id=f"row-{name}"):
                    yield Label(name.replace("_", " "))
                    words = form.options_of(name)
                    yield Choices(words, id=name) if words else Input(id=name, compact=True, select_on_focus=False)
        with Vertical(id="foot"):
            yield Meaning(id="meaning")
            yield Static(id="problem", markup=False)
            yield Static(id="command", markup=False)
            with Horizontal(id="guess"):
                yield Label("your guess: first to fit")
                yield Choices(DUEL, id="guess-first")
                yield Label("at iteration")
                yield Input(id="guess-iteration", compact=True, placeholder="–")
            with Horizontal(id="buttons"):
                yield Button("Launch", id="launch", variant="success", compact=True)
                yield Button("CE against SC", id="duel", variant="primary", compact=True)
                yield Button("Copy command", id="copy", compact=True)
                yield Button("Reset", id="reset", compact=True)
        yield Keys()

    def on_mount(self) -> None:
        """Fill in what was given."""
        self.title = "New run"
        self._fill(self.given)
        self.query_one("#loss").focus()

    @property
    def texts(self) -> dict[str, str]:
        """Text of each field that is shown."""
        losses = self.losses
        return {name: self.query_one(f"#{name}").value for name in form.FIELDS if form.takes(name, losses)}

    @property
    def losses(self) -> tuple[str, ...]:
        """The objectives of the runs."""
        return form.losses_of(self.query_one("#loss").value)

    @property
    def guess(self) -> Guess | None:
        """What is guessed of the runs, None where nothing is.

        Raises:
            UsageError: the iteration is no whole number.
        """
        first = self.query_one("#guess-first", Choices).value
        iteration = self.query_one("#guess-iteration", Input).value.strip()
        if iteration and not iteration.isdecimal():
            raise UsageError(f'the guessed iteration "{iteration}" is not a whole number')
        if "," in first:
            raise UsageError(f"guess one loss, not {first}")
        return Guess(first or None, int(iteration) if iteration else None) if first or iteration else None

    def _fill(self, texts: dict[str, str]) -> None:
        for name in form.FIELDS:
            self.query_one(f"#{name}").value = texts.get(name, "")
        self._check()

    @on(Input.Changed)
    @on(Choices.Changed)
    def _check(self) -> None:
        texts, losses = self.texts, self.losses
        for name in form.FIELDS:
            self.query_one(f"#row-{name}").display = name in texts
        for name, text in texts.items():
            self.query_one(f"#row-{name}").set_class(bool(text), "-changed")
            default = form.default_text(name, texts["dataset"], losses)
            box = self.query_one(f"#{name}")
            if isinstance(box, Input):
                box.placeholder = default
            else:
                box.default = default
        self.query_one("#guess-first", Choices).offer(losses if len(losses) > 1 else DUEL)
        try:
            _ = self.guess
            self.experiments = form.experiments(texts, self.app.run_dir)
        except UsageError as error:
            self.experiments = []
            self.query_one("#problem", Static).update(str(error))
        self.set_class(not self.experiments, "-wrong")
        self.query_one("#launch", Button).disabled = not self.experiments
        self.query_one("#launch", Button).label = "Launch" + self._how_many()
        commands = [experiment.command_line() for experiment in self.experiments]
        shown = commands if len(commands) <= SHOWN_COMMANDS else [*commands[: SHOWN_COMMANDS - 1], "…"]
        self.query_one("#command", Static).update("\n".join(shown))

    def _how_many(self) -> str:
        return f" {len(self.experiments)} runs" if len(self.experiments) > 1 else ""

    @on(DescendantFocus)
    def _explain(self, event: DescendantFocus) -> None:
        name = event.widget.id or ""
        if name == "loss":
            self._explain_loss(event.widget)
        elif name in form.FIELDS:
            self.query_one("#meaning", Meaning).say(f"{flag(name)}: {form.help_of(name, self.losses)}")
        elif name.startswith("guess"):
            words = "Which fits first, and when? A guess is kept with the runs, drawn as a dashed line, and scored."
            self.query_one("#meaning", Meaning).say(words)
        elif name == "preset":
            self.query_one("#meaning", Meaning).say("A preset fills in the form; everything can still be changed.")

    @on(Choices.Moved)
    def _moved(self, event: Choices.Moved) -> None:
        if event.choices.id == "loss" and event.choices.has_focus:
            self._explain_loss(event.choices)

    def _explain_loss(self, choices: Choices) -> None:
        entry = named(choices.word)
        words = (
            f"{entry.name}: {entry.sentence} {entry.reference}. Space adds or takes away; several make one run each."
        )
        self.query_one("#meaning", Meaning).say(words)

    @on(Select.Changed, "#preset")
    def _preset(self, event: Select.Changed) -> None:
        if event.value in form.PRESETS:
            self._fill(form.PRESETS[event.value])

    @on(Button.Pressed, "#launch")
    def action_launch(self) -> None:
        """Launch what the form says."""
        if not self.experiments:
            self.app.bell()
            return
        self._launch()
        self.app.pop_screen()

    @on(Button.Pressed, "#duel")
    def action_duel(self) -> None:
        """Launch CE and SC on the data of the form, and show them side by side."""
        self.query_one("#loss", Choices).value = ", ".join(DUEL)
        self._check()
        if len(self.experiments) != 2:
            why = f"these are {len(self.experiments)}" if self.experiments else "the form has a mistake"
            self.app.notify(f"a duel is between two runs, and {why}", severity="warning")
            return
        launches = self._launch()
        self.app.pop_screen()
        self.app.duel(launches=launches)

    def _launch(self) -> list[Launch]:
        return self.app.launch([form.arguments(experiment) for experiment in self.experiments], self.guess)

    @on(Button.Pressed, "#copy")
    def action_copy(self) -> None:
        """Copy the commands."""
        if self.experiments:
            self.app.copy_text("\n".join(experiment.command_line() for experiment in self.experiments))

    @on(Button.Pressed, "#reset")
    def action_reset(self) -> None:
        """Every field back to its default."""
        self.query_one("#preset", Select).clear()
        self._fill({})
