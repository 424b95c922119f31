"""What goes to the terminal, in fewer bytes: a remote one over a slow line is pleasant only if a step is small."""

import re

from textual.driver import Driver

_STYLE = re.compile(r"\x1b\[([0-9;]*)m")
_MOVES = re.compile(r"(?:\x1b\[[0-9;]*H)+")
_BLANK = re.compile(r"(?: |\x1b\[[0-9;]*H)+")
_SHOWN_ON_BLANKS = {"4", "7", "9", "21", "53"}  # underlined, reversed, struck through, doubly underlined, overlined
_RESET = "\x1b[0m"
_INKS = {str(code) for code in (*range(30, 38), 39, *range(90, 98))}
_GROUNDS = {str(code) for code in (*range(40, 48), 49, *range(100, 108))}

Look = tuple[str, str, frozenset[str]]  # ink, ground, attributes, as the codes that set them
_BARE: Look = ("", "", frozenset())


def frugal(output: str) -> str:
    """The same picture in fewer bytes: of each style only what differs from the one before it.

    Every run of text comes with its whole style and a reset after it. Here a style goes on until another is needed,
    moves of the cursor do not end it, and blanks take any ink, which none of them shows.

    Args:
        output: text and commands for the terminal, which is in its default style before them, and after them. A single
            attribute is never taken back (22 to 29), as the library does not; all are, by a reset.
    """
    parts = _STYLE.split(output)
    made = [parts[0]]
    there = wanted = _BARE
    for codes, text in zip(parts[1::2], parts[2::2], strict=True):
        wanted = _after(wanted, codes)
        if not text:
            continue
        if wanted != there and not _MOVES.fullmatch(text):
            shows = (there[2] | wanted[2]) & _SHOWN_ON_BLANKS
            if there[1] != wanted[1] or shows or not _BLANK.fullmatch(text):
                made.append(_from_to(there, wanted))
                there = wanted
        made.append(text)
    return "".join(made) + (_RESET if there != _BARE else "")


def _after(look: Look, codes: str) -> Look:
    """The style after a command that changes it."""
    ink, ground, attributes = look
    left = iter(codes.split(";"))
    for code in left:
        if code in ("", "0"):
            ink, ground, attributes = _BARE
        elif code in ("38", "48"):
            kind = next(left, "")
            colour = ";".join([code, kind, *(next(left, "") for _ in range(3 if kind == "2" else 1))])
            ink, ground = (colour, ground) if code == "38" else (ink, colour)
        elif code in _INKS:
            ink = "" if code == "39" else code
        elif code in _GROUNDS:
            ground = "" if code == "49" else code
        else:
            attributes |= {code}
    return ink, ground, attributes


def _from_to(there: Look, wanted: Look) -> str:
    """The shortest command that changes one style into another."""
    if wanted == _BARE:
        return _RESET
    whole = ["0", *sorted(wanted[2]), *filter(None, wanted[:2])]
    if there[2] - wanted[2]:
        return f"\x1b[{';'.join(whole)}m"
    change = sorted(wanted[2] - there[2])
    change += [wanted[0] or "39"] if wanted[0] != there[0] else []
    change += [wanted[1] or "49"] if wanted[1] != there[1] else []
    return f"\x1b[{min(';'.join(change), ';'.join(whole), key=len)}m"


def frugal_driver(driver: type[Driver]) -> type[Driver]:
    """A driver that writes the same in fewer bytes.

    Args:
        driver: the library's, for this kind of terminal.
    """

    class Frugal(driver):
        def write(self, data: str) -> None:
            super().write(frugal(data) if "\x1b[" in data else data)

    return Frugal
