"""Screens as SVG that looks the same everywhere: pictures are shapes, and words begin where they should.

Text alone would not do: where a font lacks block or Braille characters another one of other width stands in, and
viewers without `textLength` move everything that follows.
"""

import re
from collections.abc import Iterable, Sequence
from html import escape

from rich.color import Color
from rich.segment import Segment
from rich.terminal_theme import TerminalTheme

CELL_WIDTH, CELL_HEIGHT = 8.0, 16.0  # so that a Braille dot is at whole numbers
MARGIN = 12.0
FONT = "ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace"
LINES = {  # towards left, right, up, down; heavy where 2
    "─": "1100", "│": "0011", "╌": "1100", "┊": "0011", "┆": "0011", "━": "2200", "┃": "0022", "╺": "0200", "╸": "2000",
    "┌": "0101", "┐": "1001", "└": "0110", "┘": "1010", "├": "0111", "┤": "1011", "┬": "1101", "┴": "1110", "┼": "1111",
    "╭": "0101", "╮": "1001", "╰": "0110", "╯": "1010",
}  # fmt: skip
BROKEN = "╌┊┆"
BLOCKS = {"▀": (0, 0, 1, 0.5), "█": (0, 0, 1, 1), "▌": (0, 0, 0.5, 1), "▐": (0.5, 0, 0.5, 1), "▔": (0, 0, 1, 0.125)}
BLOCKS |= {character: (0, 1 - (index + 1) / 8, 1, (index + 1) / 8) for index, character in enumerate("▁▂▃▄▅▆▇")}
BLOCKS |= {character: (0, 0, (7 - index) / 8, 1) for index, character in enumerate("▉▊▋▌▍▎▏")}
DOTS = ((0, 0, 0x01), (0, 1, 0x02), (0, 2, 0x04), (1, 0, 0x08), (1, 1, 0x10), (1, 2, 0x20), (0, 3, 0x40), (1, 3, 0x80))

Line = Sequence[Segment]


def picture(lines: Iterable[Line], theme: TerminalTheme, title: str = "") -> str:
    """One screen.

    Args:
        lines: of segments, all of the same number of cells.
        theme: colours of text and ground without a colour of their own.
        title: what the picture is called.
    """
    lines = [list(line) for line in lines]
    body = "".join(_group(line, row, theme) for row, line in enumerate(lines))
    return _frame(body, _cells(lines), len(lines), theme, title)


def recording(frames: Sequence[Sequence[Line]], seconds: float, theme: TerminalTheme, title: str = "") -> str:
    """Screens one after another, for ever; a line that stays is written once.

    Args:
        frames: screens of the same size.
        seconds: how long each is shown.
        theme, title: as in `picture`.
    """
    total = len(frames)
    body = []
    for row in range(len(frames[0])):
        shown: dict[str, list[int]] = {}
        for index, frame in enumerate(frames):
            shown.setdefault(_group(list(frame[row]), row, theme), []).append(index)
        for group, places in shown.items():
            if len(places) == total:
                body.append(group)
                continue
            marks = [index in places for index in range(total)]
            times = [index for index in range(total) if not index or marks[index] != marks[index - 1]]
            values = ";".join("visible" if marks[index] else "hidden" for index in times)
            keys = ";".join(f"{index / total:.5g}" for index in times)
            timing = f'dur="{seconds * total:g}s" calcMode="discrete" repeatCount="indefinite"'
            change = f'<animate attributeName="visibility" values="{values}" keyTimes="{keys}" {timing}/>'
            body.append(f'<g visibility="{"visible" if marks[0] else "hidden"}">{change}{group}</g>')
    return _frame("".join(body), _cells(frames[0]), len(frames[0]), theme, title)


def _cells(lines: Sequence[Line]) -> int:
    return max((sum(segment.cell_length for segment in line) for line in lines), default=0)


def _frame(body: str, columns: int, rows: int, theme: TerminalTheme, title: str) -> str:
    width, height = columns * CELL_WIDTH + 2 * MARGIN, rows * CELL_HEIGHT + 2 * MARGIN
    ground = theme.background_color.hex
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}">'
        f"<title>{escape(title)}</title>"
        f'<rect width="{width:g}" height="{height:g}" rx="8" fill="{ground}"/>'
        "<style>path{fill:none}.l{stroke-width:1}.b{stroke-width:2}"
        ".d{stroke-width:2.2;stroke-linecap:round}</style>"
        f'<g transform="translate({MARGIN:g} {MARGIN:g})" font-family="{FONT}" font-size="13.3" xml:space="preserve">'
        f"{body}</g></svg>\n"
    )


def _group(line: Line, row: int, theme: TerminalTheme) -> str:
    """One line: the ground of its segments, then shapes and words by colour."""
    top = row * CELL_HEIGHT
    grounds, parts = [], []
    column = 0
    for segment in line:
        ink, ground = _colours(segment, theme)
        width = segment.cell_length
        if ground != theme.background_color.hex:
            place = f'x="{_n(column * CELL_WIDTH)}" y="{_n(top)}" width="{_n(width * CELL_WIDTH + 0.3)}"'
            grounds.append(f'<rect {place} height="{CELL_HEIGHT + 0.3:g}" fill="{ground}"/>')
        parts += _inked(segment, column, top, ink)
        column += width
    return "".join(grounds + parts)


def _inked(segment: Segment, column: int, top: float, ink: str) -> list[str]:
    style = segment.style
    bold = ' font-weight="bold"' if style is not None and style.bold else ""
    found, filled, dots, thin, heavy = [], [], [], [], []
    for match in re.finditer(r"[^ \u2500-\u257f\u2580-\u259f\u2800-\u28ff\u25a0-\u27bf]+|\S", segment.text):
        text = match.group()
        left = (column + len(segment.text[: match.start()])) * CELL_WIDTH
        if text in BLOCKS:
            x, y, width, height = BLOCKS[text]
            box = (left + x * CELL_WIDTH, top + y * CELL_HEIGHT, width * CELL_WIDTH + 0.1, height * CELL_HEIGHT + 0.1)
            filled.append(_box(*box))
        elif "\u2800" <= text <= "\u28ff":
            bits = ord(text) - 0x2800
            dots += [
                f"M{_n(left + (0.5 + x) * CELL_WIDTH / 2)} {_n(top + (0.5 + y) * CELL_HEIGHT / 4)}h0"
                for x, y, bit in DOTS
                if bits & bit
            ]
        elif LINES.get(text):
            (heavy if "2" in LINES[text] else thin).append(_strokes(text, left, top))
        else:
            place = f'x="{_n(left)}" y="{_n(top + 12)}"'
            found.append(f'<text {place} fill="{ink}"{bold}>{escape(text)}</text>')
    if filled:
        found.append(f'<path style="fill:{ink}" d="{"".join(filled)}"/>')
    for strokes, name in ((thin, "l"), (heavy, "b"), (dots, "d")):
        if strokes:
            found.append(f'<path class="{name}" d="{"".join(strokes)}" stroke="{ink}"/>')
    return found


def _strokes(character: str, left: float, top: float) -> str:
    x, y = left + CELL_WIDTH / 2, top + CELL_HEIGHT / 2
    ends = ((left, y), (left + CELL_WIDTH, y), (x, top), (x, top + CELL_HEIGHT))
    if character in BROKEN:
        ends = tuple((x + (a - x) * 0.7, y + (b - y) * 0.7) for a, b in ends)
    lines = zip(LINES[character], ends, strict=True)
    return "".join(f"M{_n(x)} {_n(y)}L{_n(a)} {_n(b)}" for weight, (a, b) in lines if weight != "0")


def _box(x: float, y: float, width: float, height: float) -> str:
    return f"M{_n(x)} {_n(y)}h{_n(width)}v{_n(height)}h{_n(-width)}z"


def _n(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0")


def _colours(segment: Segment, theme: TerminalTheme) -> tuple[str, str]:
    """Colours of text and ground, reversed and dimmed as the style says."""
    style = segment.style
    if style is None:
        return theme.foreground_color.hex, theme.background_color.hex
    ink, ground = _hex(style.color, theme, True), _hex(style.bgcolor, theme, False)
    if style.reverse:
        ink, ground = ground, ink
    if style.dim:
        pairs = ((int(ink[at : at + 2], 16), int(ground[at : at + 2], 16)) for at in (1, 3, 5))
        ink = "#" + "".join(f"{round(0.6 * one + 0.4 * two):02x}" for one, two in pairs)
    return ink, ground


def _hex(colour: Color | None, theme: TerminalTheme, is_ink: bool) -> str:
    default = theme.foreground_color if is_ink else theme.background_color
    return default.hex if colour is None or colour.is_default else colour.get_truecolor(theme, is_ink).hex
