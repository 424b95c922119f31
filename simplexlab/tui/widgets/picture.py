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
WIDE_GAP, GAP = 2, 1  # between entries
Entry = tuple[str, str, str, str]  # sign, its colour, words, number


def arrange(
    entries: list[Entry], room: int, most: int = 1, named: bool = False, legible: int = LEGIBLE
) -> list[list[Segment]]:
    """A legend in at most so many lines: its words give way, its numbers never do.

    Words are shortened, and where they would lose their meaning another line is taken, or the entries move together.
    Words that begin alike lose their beginning, so that they can be told apart. Where all of that is not enough the
    last entries are left out, and "+2" says how many.

    Args:
        entries: sign, colour, words and number of each, what matters most first.
        room: columns of a line.
        most: lines.
        named: whether entries are left out before all their words are, as where nothing else tells the words.
        legible: letters that words keep in one line where there could be more of them.
    """
    ways = [(1, legible if most > 1 else SHORTEST, WIDE_GAP)]
    ways += [(lines, SHORTEST, gap) for lines in range(min(most, 2), most + 1) for gap in (WIDE_GAP, GAP)]
    for count in range(len(entries), 0, -1):
        rest = [(f"+{len(entries) - count}", "", "", "")] if count < len(entries) else []
        first = entries[:count]
        choices = [(first, lines, gap, _shortenings(first, shortest)) for lines, shortest, gap in ways]
        if not named:
            numbered = [(sign, ink, "", now) for sign, ink, _, now in first if now]
            choices += [(numbered, most, gap, [[""] * len(numbered)]) for gap in (WIDE_GAP, GAP) if numbered]
        for shown, lines, gap, shortenings in choices:
            for words in shortenings:
                texts = _texts([*shown, *rest], [*words, *("" for _ in rest)], gap)
                ends = _line_ends([len(text) for text in texts], room, gap)
                if ends is not None and len(ends) <= lines:
                    return _lines([*shown, *rest], texts, ends, gap)
    return []


def _shortenings(entries: list[Entry], shortest: int) -> list[list[str]]:
    """Their words, longest first, down to so many letters."""
    texts = [words for *_, words, _ in entries]
    lengths = range(max(map(len, texts), default=0), shortest - 1, -1)
    cut = [_shortened(texts, length) for length in lengths] or [texts]
    if shortest == SHORTEST and len({words[:BARE] for words in texts}) == len(set(texts)):
        cut.append([words[:BARE] for words in texts])
    return cut


def _shortened(texts: list[str], longest: int) -> list[str]:
    cut = [words if len(words) <= longest else words[: longest - 1] + "…" for words in texts]
    if len(set(cut)) < len(set(texts)):
        cut = [words if len(words) <= longest else "…" + words[len(words) - longest + 1 :] for words in texts]
    return cut


def _texts(entries: list[Entry], texts: list[str], gap: int) -> list[str]:
    """Sign, words and number of each; a sign that is no letter stands close to its word where there is little room."""
    close = {sign for sign, *_ in entries if gap == GAP and not sign.isascii()}
    return [
        " ".join(part for part in (sign + words if words and sign in close else f"{sign} {words}".strip(), now) if part)
        for (sign, _, _, now), words in zip(entries, texts, strict=True)
    ]


def _line_ends(widths: list[int], room: int, gap: int) -> list[int] | None:
    """After which entry each line ends; None where one has no room by itself."""
    ends, used = [], 0
    for index, width in enumerate(widths):
        if width > room:
            return None
        if used and used + gap + width > room:
            ends.append(index)
            used = 0
        used += width + (gap if used else 0)
    return [*ends, len(widths)]


def _lines(entries: list[Entry], texts: list[str], ends: list[int], gap: int) -> list[list[Segment]]:
    lines, start = [], 0
    for end in ends:
        line: list[Segment] = []
        for (sign, ink, *_), text in zip(entries[start:end], texts[start:end], strict=True):
            line += [Segment(sign, style_of(ink)), Segment(text.removeprefix(sign) + " " * gap)]
        lines.append(line)
        start = end
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
