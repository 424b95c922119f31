"""What all pictures have in common: only the cells that changed go to the terminal."""

from functools import lru_cache

from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual.events import Resize
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from simplexlab.tui.views.charts import Spec

WAITING = "nothing was evaluated yet"
LOADING = "loading …"


class Picture(Widget, can_focus=True):
    """Draws one description; subclasses say how, in `paint`.

    Args:
        spec: What is drawn; None until it is known, which the picture says.
    """

    ALLOW_SELECT = False
    DEFAULT_CSS = """
    Picture { width: 1fr; height: 1fr; }
    """

    def __init__(self, spec: Spec | None = None, **arguments):
        super().__init__(**arguments)
        self.spec = spec
        self._strips: list[Strip] = []

    def show(self, spec: Spec | None) -> None:
        """Draw another description."""
        self.spec = spec
        self.repaint()

    def paint(self, width: int, height: int) -> list[list[Segment]]:
        """The lines of the picture."""
        raise NotImplementedError

    def repaint(self) -> None:
        """Draw again, and have those cells painted that came out otherwise."""
        width, height = self.size
        if not (self.is_mounted and width and height):
            return
        loading = [[Segment(f" {LOADING}", style_of("", dim=True))]]
        lines = loading if self.spec is None else self.paint(width, height)
        before = self._strips
        ground = self.rich_style  # cells without a style would have the terminal's own ground
        self._strips = [Strip(line).adjust_cell_length(width).apply_style(ground).simplify() for line in lines[:height]]
        self._strips += [Strip.blank(width, ground)] * (height - len(self._strips))
        if len(before) != height:
            self.refresh()
            return
        changed = [
            Region(start, row, end - start, 1)
            for row, (old, new) in enumerate(zip(before, self._strips, strict=True))
            if old != new
            for start, end in [_changed(old, new)]
        ]
        if changed:
            self.refresh(*changed)

    def on_mount(self) -> None:
        """Draw what was given before there was a terminal."""
        self.repaint()

    def on_resize(self, event: Resize) -> None:
        """Draw for the new size."""
        self._strips = []
        self.repaint()

    def notify_style_update(self) -> None:
        """Draw in the colours of the theme."""
        super().notify_style_update()
        self.repaint()

    def render_line(self, y: int) -> Strip:
        """One line as it was drawn last."""
        return self._strips[y] if y < len(self._strips) else Strip.blank(self.size.width)

    @property
    def dark(self) -> bool:
        """Whether the ground is dark."""
        return self.app.current_theme.dark

    @property
    def plain(self) -> bool:
        """Whether there is neither colour nor Braille."""
        return getattr(self.app, "plain", False)

    @property
    def thick(self) -> bool:
        """Whether it is drawn for a projector."""
        return getattr(self.app, "projector", False)

    def segments(self, text: Text) -> list[Segment]:
        """A line of text."""
        return list(text.render(self.app.console, end=""))


LEGIBLE, SHORTEST, BARE = 5, 3, 2  # letters, the last without an ellipsis
Entry = tuple[str, str, str, str]  # sign, its colour, words, number


def arrange(
    entries: list[Entry], room: int, most: int = 1, names_first: bool = False, legible: int = LEGIBLE
) -> list[list[Segment]]:
    """A legend in at most so many lines: words are shortened until all of it fits, numbers never are.

    A second line is taken only where the words would lose their meaning without it. Words that begin alike lose their
    beginning, so that they can be told apart. Where words and numbers have no room together, one of them goes; signs
    alone would say nothing.

    Args:
        entries: sign, colour, words and number of each.
        room: columns of a line.
        most: lines.
        names_first: whether the numbers go, of entries that have words, or else the words.
        legible: letters that words keep in one line where there could be more of them.
    """
    longest = max((len(words) for *_, words, _ in entries), default=0)
    named = [(sign, ink, words, "" if words else now) for sign, ink, words, now in entries]
    numbered = [(sign, ink, "", now) for sign, ink, _, now in entries if now]
    ways = [(entries, 1, legible), (entries, most, SHORTEST)]
    ways += [(named, most, SHORTEST)] if names_first else []
    for shown, lines, shortest in ways:
        texts = [words for *_, words, _ in shown]
        cut = [_shortened(texts, length) for length in range(longest, shortest - 1, -1)]
        if shortest == SHORTEST and len({words[:BARE] for words in texts}) == len(set(texts)):
            cut.append([words[:BARE] for words in texts])
        for one in cut:
            made = _lines(shown, one, room)
            if len(made) <= lines:
                return made
    return _lines(numbered, [""] * len(numbered), room)[:most]


def _shortened(texts: list[str], longest: int) -> list[str]:
    cut = [words if len(words) <= longest else words[: longest - 1] + "…" for words in texts]
    if len(set(cut)) < len(set(texts)):
        cut = [words if len(words) <= longest else "…" + words[len(words) - longest + 1 :] for words in texts]
    return cut


def _lines(entries: list[Entry], texts: list[str], room: int) -> list[list[Segment]]:
    lines: list[list[Segment]] = []
    used = room + 1
    for (sign, ink, _, now), words in zip(entries, texts, strict=True):
        text = "".join(f" {part}" for part in (words, now) if part)
        width = len(sign + text)
        if used + width > room:
            lines.append([])
            used = 0
        lines[-1] += [Segment(sign, style_of(ink)), Segment(f"{text}  ")]
        used += width + 2
    return lines


@lru_cache(maxsize=4096)
def style_of(colour: str, dim: bool = False, bold: bool = False, ground: str | None = None) -> Style:
    """A style of one colour, "" for that of text; "!" before it for a bold character on a ground of that colour."""
    if colour.startswith("!"):
        return Style(color=colour[1:], reverse=True, bold=True)
    return Style(color=colour or None, bgcolor=ground, dim=dim or None, bold=bold or None)


def _changed(old: Strip, new: Strip) -> tuple[int, int]:
    """First and last + 1 cell in which two lines of equal length differ."""
    before, after = _cells(old), _cells(new)
    if len(before) != len(after):  # wide characters
        return 0, new.cell_length
    differ = [index for index, pair in enumerate(zip(before, after, strict=True)) if pair[0] != pair[1]]
    return (differ[0], differ[-1] + 1) if differ else (0, 0)


def _cells(strip: Strip) -> list[tuple[str, Style | None]]:
    return [(character, segment.style) for segment in strip for character in segment.text]
