"""What goes to the terminal in fewer bytes looks the same."""

import re

import numpy as np
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from simplexlab.tui.terminal import frugal

WORDS = ["ab", " ", "   ", "⣿⣀", "─", "x y"]
LOOKS = ["", "red", "#102030 on #405060", "bold #102030 on #405060", "white on #405060", "reverse blue", "underline"]
LOOKS += ["dim on #405060", "strike #102030", "bold dim italic color(200) on color(17)", "bright_red on bright_blue"]


def screen(output, size=(6, 60)):
    """What a terminal shows: of each cell its character, its ground, its attributes and, unless blank, its ink."""
    rows, columns = size
    cells = {(row, column): (" ", None, None, frozenset()) for row in range(rows) for column in range(columns)}
    row = column = 0
    ink = ground = None
    attributes = frozenset()
    for codes, place, character in re.findall(r"\x1b\[([0-9;]*)m|\x1b\[([0-9;]*)H|([^\x1b])", output):
        if place:
            row, column = (int(number) - 1 for number in place.split(";"))
        elif character:
            inked = character != " " or attributes & {"4", "7", "9"}
            seen = attributes if character != " " else attributes & {"4", "7", "9"}
            cells[row, column] = (character, ink if inked else None, ground, seen)
            column += 1
        else:
            for code in re.findall(r"[34]8;2;\d+;\d+;\d+|[34]8;5;\d+|\d+|^$", codes):
                if code in ("", "0"):
                    ink, ground, attributes = None, None, frozenset()
                elif code == "39":
                    ink = None
                elif code == "49":
                    ground = None
                elif re.match(r"3[0-8]|9\d", code):
                    ink = code
                elif re.match(r"4[0-8]|10\d", code):
                    ground = code
                else:
                    attributes |= {code}
    assert (ink, ground, attributes) == (None, None, frozenset()), "a style is left on"
    return cells


def test_the_screen_is_the_same_in_fewer_bytes():
    rng = np.random.default_rng(0)
    for _ in range(200):
        output = ""
        for _ in range(rng.integers(1, 8)):
            output += f"\x1b[{rng.integers(1, 7)};{rng.integers(1, 20)}H"
            styles = [rng.choice(LOOKS) for _ in range(rng.integers(1, 9))]
            strip = Strip([Segment(str(rng.choice(WORDS)), Style.parse(look) if look else None) for look in styles])
            output += "".join(text if style is None else Strip.render_style(style, text, 3) for text, style, _ in strip)
        shorter = frugal(output)
        assert screen(shorter) == screen(output)
        assert len(shorter) <= len(output)


def test_a_style_goes_on_until_another_is_needed():
    red, blue = "\x1b[31;40m", "\x1b[34;40m"
    reset = "\x1b[0m"
    output = f"{red}a{reset}\x1b[2;1H{red}b{reset}{blue}  {reset}{red}c{reset}{blue}d{reset}"
    assert frugal(output) == f"{red}a\x1b[2;1Hb  c\x1b[34md{reset}"


def test_what_is_not_text_comes_through_as_it_is():
    for output in ("\x1b[?2026h", "\x1b[2J\x1b[31ma\x1b[0m\x1b[K\x1b[1;2H", "plain words"):
        assert frugal(output) == output
