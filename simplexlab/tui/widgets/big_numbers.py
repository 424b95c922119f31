"""Numbers three rows high, which the last row of a lecture hall can read; shown in projector mode only."""

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.events import Resize
from textual.widgets import Digits, Label

GAP, LEAST = 4, 12  # columns


class BigNumbers(Horizontal):
    """A few numbers under their names; the first ones give way where there is no room for all.

    Args:
        names: What the numbers are.
    """

    DEFAULT_CSS = f"""
    BigNumbers {{ height: 4; padding: 0 1; display: none; }}
    BigNumbers Vertical {{ width: auto; margin-right: {GAP}; height: 4; }}
    BigNumbers Label {{ text-style: bold; width: auto; }}
    BigNumbers Digits {{ width: auto; min-width: {LEAST}; }}
    """

    def __init__(self, *names: str, id: str | None = None):
        super().__init__(id=id)
        self.names = names
        self._digits = [Digits("–") for _ in names]

    def compose(self) -> ComposeResult:
        """A number under each name."""
        for name, digits in zip(self.names, self._digits, strict=True):
            with Vertical():
                yield Label(name.upper())
                yield digits

    def say(self, *numbers: str) -> None:
        """Show other numbers, also before they are mounted."""
        for digits, number in zip(self._digits, numbers, strict=True):
            if digits.value != number:
                digits.update(number)
        self._fit()

    def on_resize(self, event: Resize) -> None:
        """Fit the numbers to the width."""
        self._fit()

    def _fit(self) -> None:
        if not all(digits.is_mounted for digits in self._digits):
            return  # it is resized afterwards
        room, shown = self.content_size.width, True
        for box in reversed(self.query(Vertical)):
            digits, label = box.query_one(Digits), box.query_one(Label)
            width = max(LEAST, len(str(label.content)), sum(1 if sign in ".,:" else 3 for sign in digits.value))
            shown = shown and (width <= room or box is self.children[-1])
            box.display = shown
            room -= width + GAP
