"""Numbers three rows high, which the last row of a lecture hall can read; shown in projector mode only."""

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.widgets import Digits, Label


class BigNumbers(Horizontal):
    """A few numbers under their names.

    Args:
        names: What the numbers are.
    """

    DEFAULT_CSS = """
    BigNumbers { height: 4; padding: 0 1; display: none; }
    BigNumbers Vertical { width: auto; margin-right: 4; height: 4; }
    BigNumbers Label { text-style: bold; width: auto; }
    BigNumbers Digits { width: auto; min-width: 12; }
    """

    def __init__(self, *names: str, id: str | None = None):
        super().__init__(id=id)
        self.names = names

    def compose(self) -> ComposeResult:
        """A number under each name."""
        for name in self.names:
            with Vertical():
                yield Label(name.upper())
                yield Digits("–")

    def say(self, *numbers: str) -> None:
        """Show other numbers."""
        for digits, number in zip(self.query(Digits), numbers, strict=True):
            if digits.value != number:
                digits.update(number)
