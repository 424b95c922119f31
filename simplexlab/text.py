"""What a terminal is given: the one place where text from files, options and other people becomes printable."""

import codecs
import contextlib
import os
import re
import sys
import unicodedata
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from rich.console import Console

# C0 (but for the end of a line and the tabulator) and C1, among which the escape sequences of terminals begin; marks
# that change the direction of text or break a line; half a surrogate pair, which no encoding has; invisible tags.
UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
LONGEST_WORD, LONGEST_LINE = 240, 700

# What stands in for a character that an encoding lacks: one cell for one cell, so that pictures keep their shape.
_ALIKE = {
    "-": "−–—─━╌┄╸╺▔",
    "|": "│┃┆┊┤├‖▌▐▏▎",
    "+": "┌┐└┘┬┴┼╭╮╰╯±✓",
    "#": "█▉▊▋▍▀■◆★▰▇▆▅",
    "=": "▄▃",
    "%": "≡",
    "_": "▂▁",
    "~": "≈…",
    "x": "✗×",
    "*": "·•",
    "o": "●○◦",
    ".": "▱",
    ">": "→▶▷⟩≥⏎",
    "<": "←◀◁⟨≤",
    "^": "↑▲△",
    "v": "↓▼▽",
    '"': "“”",
    "'": "‘’",
    "a": "α",
    "b": "β",
    "e": "ε",
    "g": "γ",
    "h": "η½",
    "l": "λ",
    "m": "μ",
    "p": "π",
    "r": "ρ",
    "s": "σ",
    "t": "τ",
    "S": "Σ",
    "P": "Π",
}
_STANDS_IN = {ord(one): letter for letter, alike in _ALIKE.items() for one in alike}
NEAREST = "simplexlab.nearest"


def _nearest(error: UnicodeError) -> tuple[str, int]:
    """Replace what cannot be encoded by the ASCII character that looks most like it, `?` where none does."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    letters = (_ascii(letter) for letter in error.object[error.start : error.end])
    return "".join(letters), error.end


def _ascii(letter: str) -> str:
    if ord(letter) in _STANDS_IN:
        return _STANDS_IN[ord(letter)]
    plain = unicodedata.normalize("NFKD", letter)[0]
    return plain if plain.isascii() and plain.isprintable() else "?"


codecs.register_error(NEAREST, _nearest)


def printable(text: str) -> str:
    """The text with every character that could command a terminal replaced by `\N{REPLACEMENT CHARACTER}`."""
    return text if text.isascii() and text.isprintable() else UNPRINTABLE.sub(REPLACEMENT, text)


def one_line(text: str) -> str:
    """The text as one line of a length that can be read: white space joined, long words and the whole cut inside."""
    words = (_cut(word, LONGEST_WORD) for word in text.split())
    return _cut(" ".join(words), LONGEST_LINE)


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: 2 * longest // 3]}…{text[-longest // 3 :]}"


class PrintableStream:
    """A stream to which only printable text is written; everything but `write` is the stream's own."""

    def __init__(self, stream: TextIO):
        # Under this name rich finds the stream itself, on which it styles text: `console` cleans what it prints.
        self.rich_proxied_file = stream

    def write(self, text: str) -> int:
        """Write the text, cleaned."""
        return self.rich_proxied_file.write(printable(text))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.rich_proxied_file, name)


@contextlib.contextmanager
def printable_output() -> Iterator[None]:
    """Within the block stdout and stderr take printable text, and the nearest of what their encoding does not have."""
    saved = sys.stdout, sys.stderr
    for stream in saved:
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=NEAREST)
    sys.stdout, sys.stderr = (PrintableStream(stream) for stream in saved)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = saved


def open_standard_streams() -> None:
    """Open file descriptors 0 to 2 on /dev/null where they are closed: the next file would get their number.

    What is meant for a closed stderr would then be written into that file.
    """
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)  # the lowest number that is free
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
            os.set_inheritable(number, True)
        if getattr(sys, name) is None:
            stream = open(number, mode, encoding="utf-8", errors="replace", closefd=False)  # noqa: SIM115
            setattr(sys, name, stream)
            setattr(sys, f"__{name}__", stream)


def console(*, stderr: bool = False, width: int | None = None) -> "Console":
    """A rich console that prints text as it is: no markup, no emoji codes, no colours of its own, nothing unprintable.

    Args:
        stderr: print to stderr instead of stdout.
        width: columns; None: those of the terminal.
    """
    from rich.console import Console
    from rich.segment import Segment

    class PrintableConsole(Console):
        def render(self, *arguments: Any, **options: Any) -> Iterator[Segment]:
            for segment in super().render(*arguments, **options):
                text = segment.text if segment.control else printable(segment.text)
                yield segment if text == segment.text else Segment(text, segment.style)

    return PrintableConsole(stderr=stderr, width=width, highlight=False, markup=False, emoji=False)
