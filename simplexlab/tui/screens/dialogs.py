"""Small windows over a screen."""

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Static


class Confirm(ModalScreen[bool]):
    """Asks before something that cannot be taken back."""

    CSS = """
    Confirm { align: center middle; }
    Confirm > Vertical { width: 70; max-width: 95%; height: auto; border: round $warning; background: $surface; }
    Confirm > Vertical { padding: 1 2; }
    Confirm Horizontal { height: auto; align-horizontal: right; margin-top: 1; }
    Confirm Button { margin-left: 2; }
    """
    BINDINGS: ClassVar = [
        Binding("y", "answer(True)", "Yes"),
        Binding("n,escape", "answer(False)", "No"),
    ]

    def __init__(self, question: str, yes: str):
        super().__init__()
        self.question, self.yes = question, yes

    def compose(self) -> ComposeResult:
        """The question and two buttons; the harmless one has the focus."""
        with Vertical():
            yield Static(self.question, markup=False)
            with Horizontal():
                yield Button(f"{self.yes} (y)", id="yes", variant="warning", compact=True)
                yield Button("Keep (n)", id="no", compact=True)

    def on_mount(self) -> None:
        """Focus the harmless answer."""
        self.query_one("#no").focus()

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id == "yes")

    def action_answer(self, answer: bool) -> None:
        """Answer."""
        self.dismiss(answer)


class LookFor(ModalScreen[None]):
    """Says what to look for in a panel.

    Args:
        title: Of the panel.
        words: Three sentences.
    """

    CSS = """
    LookFor { align: center middle; }
    LookFor > Static { width: 76; max-width: 95%; height: auto; border: round $accent; background: $surface; }
    LookFor > Static { padding: 1 2; }
    """
    BINDINGS: ClassVar = [Binding("escape,enter,i,q", "dismiss", "Close")]

    def __init__(self, title: str, words: str):
        super().__init__()
        self.words, self.heading = words, title

    def compose(self) -> ComposeResult:
        """The sentences under the title."""
        box = Static(self.words, markup=False)
        box.border_title = self.heading
        yield box
