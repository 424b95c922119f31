"""A row of words of which one or several are chosen."""

from typing import ClassVar

from rich.text import Text
from textual.binding import Binding
from textual.events import Click
from textual.message import Message
from textual.reactive import reactive
from textual.widgets import Static


class Choices(Static, can_focus=True):
    """Words in a row: ← → move, enter takes one alone, space adds or takes away; a click takes one, with ctrl adds.

    Args:
        words: What can be chosen.
    """

    ALLOW_SELECT = False
    DEFAULT_CSS = """
    Choices { height: 1; width: 1fr; text-wrap: nowrap; }
    Choices:focus { background: $boost; }
    """
    BINDINGS: ClassVar = [
        Binding("left", "move(-1)", show=False),
        Binding("right", "move(1)", show=False),
        Binding("enter", "only", show=False),
        Binding("space", "toggle", show=False),
    ]

    cursor = reactive(0)
    default = reactive("")

    class Changed(Message):
        """Something else is chosen."""

        def __init__(self, choices: "Choices"):
            super().__init__()
            self.choices = choices

    class Moved(Message):
        """The cursor is at another word."""

        def __init__(self, choices: "Choices"):
            super().__init__()
            self.choices = choices

    def __init__(self, words: tuple[str, ...], id: str | None = None):
        super().__init__(id=id)
        self.words = words
        self.chosen: list[str] = []
        self._shift = 0  # cells that are left of what is shown

    @property
    def word(self) -> str:
        """The word at the cursor."""
        return self.words[self.cursor]

    def offer(self, words: tuple[str, ...]) -> None:
        """Let these be chosen from now on; what was chosen stays where it is among them."""
        if words != self.words:
            self.words = words
            self.cursor = min(self.cursor, len(words) - 1)
            self._choose([word for word in self.chosen if word in words])
            self.refresh()

    def watch_cursor(self) -> None:
        """Tell where the cursor is."""
        self.post_message(self.Moved(self))

    @property
    def value(self) -> str:
        """The chosen words with commas; "" for the default."""
        return ", ".join(self.chosen)

    @value.setter
    def value(self, text: str) -> None:
        words = [word.strip() for word in text.split(",")]
        self._choose([word for word in self.words if word in words])
        if self.chosen and self.word not in self.chosen:
            self.cursor = self.words.index(self.chosen[0])

    def action_move(self, by: int) -> None:
        """Move between the words."""
        self.cursor = (self.cursor + by) % len(self.words)

    def action_only(self) -> None:
        """Choose the word alone; back to the default if it was chosen alone."""
        self._choose([] if self.chosen == [self.word] else [self.word])

    def action_toggle(self) -> None:
        """Add the word, or take it away."""
        now = self.chosen or [part for part in self.default.split(", ") if part]
        kept = [other for other in self.words if (other in now) != (other == self.word)]
        self._choose(kept)

    def on_click(self, event: Click) -> None:
        """Choose the word under the mouse."""
        start = -self._shift
        for index, word in enumerate(self.words):
            end = start + len(word) + 4
            if start <= event.x < end:
                self.cursor = index
                self.action_toggle() if event.ctrl else self.action_only()
            start = end

    def _choose(self, words: list[str]) -> None:
        if words != self.chosen:
            self.chosen = words
            self.refresh()
            self.post_message(self.Changed(self))

    def render(self) -> Text:
        """The words; a dot before those that are chosen, hollow for the default."""
        text = Text(no_wrap=True)
        end = 0
        for index, word in enumerate(self.words):
            chosen = word in self.chosen
            default = not self.chosen and word in self.default.split(", ")
            style = "bold" if chosen else "" if default else "dim"
            if index == self.cursor and self.has_focus:
                style += " reverse"
            text.append("● " if chosen else "◦ " if default else "  ")
            text.append(word, style.strip())
            text.append("  ")
            if index == self.cursor:
                end = text.cell_len
        width = self.content_size.width
        self._shift = 0
        if text.cell_len - 2 <= width:
            return text
        # Too wide: the part that holds the cursor, with a sign where there is more.
        start = self._shift = max(0, end - width)
        shown = text[start : start + width]
        left, right = "‹" if start else shown.plain[:1], "›" if start + width < text.cell_len - 2 else shown.plain[-1:]
        return Text(left) + shown[1:-1] + Text(right)
