import ast
import io
import re
import sys
import unicodedata
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.table import Table

import simplexlab
from simplexlab.text import LONGEST_LINE, NEAREST, console, one_line, printable, printable_output

ESCAPES = ("\x1b[2J", "\x1b]0;title\x07", "\x9b31m", "\x08\x08", "\r", "\x7f", "\u202e", "\u2066", "\u2028", "\udcff")
BIDIRECTIONAL = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


@settings(deadline=None, suppress_health_check=list(HealthCheck))
@given(st.text(st.characters()))
def test_nothing_that_commands_a_terminal_is_left(text):
    for character in printable(text):
        kind = unicodedata.category(character)
        assert kind not in ("Cs", "Zl", "Zp")
        assert kind != "Cc" or character in "\n\t"
        assert unicodedata.bidirectional(character) not in BIDIRECTIONAL
    assert len(printable(text)) == len(text)


@pytest.mark.parametrize("text", ["ce-0.2", "γ between class means", "Zürich/数字", "–≤±²", "a\tb\nc", "नमस्ते", "👩‍🏫"])
def test_what_people_write_stays(text):
    assert printable(text) == text


@settings(deadline=None, suppress_health_check=list(HealthCheck))
@given(st.text(max_size=3000))
def test_one_line_is_one_and_not_long(text):
    assert "\n" not in one_line(text)
    assert len(one_line(text)) <= LONGEST_LINE + 1


def test_one_line_keeps_both_ends_of_what_it_cuts():
    told = one_line(f"--name {'a' * 5000}z is too long; " + "and so on " * 500 + "take a shorter one")
    assert told.startswith("--name aaaa")
    assert told.endswith("take a shorter one")


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1"])
@pytest.mark.parametrize("escape", ESCAPES)
def test_streams_take_printable_text_in_every_encoding(monkeypatch, encoding, escape):
    streams = [io.TextIOWrapper(io.BytesIO(), encoding=encoding) for _ in range(2)]
    monkeypatch.setattr(sys, "stdout", streams[0])
    monkeypatch.setattr(sys, "stderr", streams[1])
    with printable_output():
        for stream in (sys.stdout, sys.stderr):
            print(f"γ {escape} –", file=stream, flush=True)
        table = Table()
        table.add_column(f"head {escape}")
        table.add_row(f"[red]cell[/] :smile: {escape}")
        console().print(f"line {escape}")
        console().print(table)
    assert (sys.stdout, sys.stderr) == tuple(streams)
    for stream in streams:
        stream.flush()
        written = stream.buffer.getvalue().decode(encoding)
        assert escape not in written
        assert printable(written) == written
    assert "[red]cell[/] :smile:" in streams[0].buffer.getvalue().decode(encoding)


def test_a_progress_bar_is_cleaned_as_well():
    from rich.progress import Progress, TextColumn

    out = console()
    out.file = io.StringIO()
    with Progress(TextColumn("{task.fields[name]}"), console=out) as progress:
        progress.add_task("", name="run \x9b2J")
    assert "run" in out.file.getvalue()
    assert "\x9b" not in out.file.getvalue()


def test_consoles_are_made_in_one_place():
    for path in Path(simplexlab.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", None)) == "Console":
                raise AssertionError(f"{path}:{node.lineno} makes a console; simplexlab.text.console makes a clean one")


@pytest.mark.parametrize(("text", "shown"), [("γ −0.5 ≥ 1", "g -0.5 > 1"), ("│━▁█✗", "|-_#x"), ("é² 全", "e2 ?")])
def test_what_an_encoding_lacks_keeps_its_cell_and_its_sign(text, shown):
    assert text.encode("ascii", NEAREST).decode() == shown
    assert "γ é".encode("latin-1", NEAREST) == b"g \xe9"


def test_every_sign_that_stands_in_takes_one_cell():
    """In ASCII a picture keeps its shape."""
    for source in Path(simplexlab.__file__).parent.joinpath("tui").rglob("*.py"):
        for sign in set(re.findall("[^\x00-\x7f\u2800-\u28ff]", source.read_text())):
            assert len(sign.encode("ascii", NEAREST)) == cell_len(sign), (source.name, sign)
