"""Pictures of screens: everything has its place, whatever font a viewer has."""

import re
import xml.etree.ElementTree as ElementTree

from rich.segment import Segment
from rich.style import Style
from rich.terminal_theme import TerminalTheme
from tui_helpers import drive, open_run, until

from simplexlab.tui.svg import BLOCKS, CELL_HEIGHT, CELL_WIDTH, LINES, picture, recording

THEME = TerminalTheme((0, 0, 0), (255, 255, 255), [(0, 0, 0)] * 8)
SVG = "{http://www.w3.org/2000/svg}"


def parts(svg, name):
    return list(ElementTree.fromstring(svg).iter(SVG + name))


def test_words_begin_at_their_cells():
    svg = picture([[Segment("  ab   c<d", Style(color="red")), Segment(" e")]], THEME)
    found = {text.text: float(text.get("x")) / CELL_WIDTH for text in parts(svg, "text")}
    assert found == {"ab": 2, "c<d": 7, "e": 11}


def test_characters_of_pictures_are_shapes():
    line = "".join([*BLOCKS, *LINES, "\u2801", "\u28ff"])
    svg = picture([[Segment(line)]], THEME)
    assert not parts(svg, "text")
    paths = {path.get("class"): path.get("d") for path in parts(svg, "path") if path.get("class")}
    assert paths["d"].count("M") == 1 + 8
    assert paths["l"]
    assert paths["b"]


def test_a_braille_dot_is_where_its_bit_says():
    svg = picture([[Segment(" \u2880")]], THEME)  # the right dot of the lowest row
    (path,) = parts(svg, "path")
    x, y = map(float, re.match(r"M([\d.]+) ([\d.]+)h0", path.get("d")).groups())
    assert CELL_WIDTH * 1.5 < x < CELL_WIDTH * 2
    assert CELL_HEIGHT * 0.75 < y < CELL_HEIGHT


def test_a_recording_writes_what_stays_once():
    frames = [[[Segment("title")], [Segment(f"frame {number}")]] for number in (1, 2, 2)]
    svg = recording(frames, 0.5, THEME, "a & b")
    texts = [text.text for text in parts(svg, "text")]
    assert texts.count("title") == 1
    assert texts.count("1") == texts.count("2") == 1
    first, second = parts(svg, "animate")
    assert (first.get("values"), first.get("keyTimes"), first.get("dur")) == ("visible;hidden", "0;0.33333", "1.5s")
    assert second.get("values") == "hidden;visible"
    assert parts(svg, "title")[0].text == "a & b"


def test_a_screen_is_saved_with_every_word(demo, tmp_path):
    async def steps(pilot):
        await open_run(pilot, "sc-clean")
        await pilot.press("E")
        file = tmp_path / "out" / "sc-clean.svg"
        await until(pilot, file.exists)
        words = " ".join(text.text for text in parts(file.read_text(), "text"))
        for word in ("Excess", "iteration", "within", "cosine"):
            assert word in words
        assert not re.search("[\u2800-\u28ff▁-█]", words)
        assert file.stat().st_size < 250_000

    drive(demo, steps, export_dir=tmp_path / "out")
