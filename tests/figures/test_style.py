"""Saving a figure: three files, the same bytes each time, one line where it cannot be written."""

import json
import xml.etree.ElementTree

import matplotlib
import pytest

from simplexlab.figures.style import CLASS_COLORS, new_figure, power_of_ten, save_figure, scientific, styled

NUMBERS = {"figure": 0, "values": [1.0, float("nan")]}


def save(stem, style="print", caption="What is seen."):
    with styled(style):
        figure = new_figure(2, 1.5, "A title")
        figure.subplots().plot([0, 1], [1, 0])
        return save_figure(figure, stem, NUMBERS, caption)


def test_a_figure_is_a_png_an_svg_and_its_numbers(tmp_path):
    png, svg, record = save(tmp_path / "new" / "picture")
    assert [path.name for path in (png, svg, record)] == ["picture.png", "picture.svg", "picture.json"]
    assert png.read_bytes().startswith(b"\x89PNG")
    assert xml.etree.ElementTree.parse(svg).getroot().tag.endswith("svg")
    assert json.loads(record.read_text()) == {"figure": 0, "values": [1.0, None], "caption": "What is seen."}


def test_the_same_figure_gives_the_same_bytes(tmp_path):
    first, second = save(tmp_path / "a"), save(tmp_path / "b")
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes()


def test_a_projector_gets_larger_letters_and_more_inches():
    sizes = {}
    for style in ("print", "projector"):
        with styled(style):
            sizes[style] = new_figure(2, 1, "").get_figwidth(), matplotlib.rcParams["font.size"]
    assert sizes["projector"][0] == 1.5 * sizes["print"][0]
    assert sizes["projector"][1] / sizes["print"][1] > 1.5


def test_a_long_caption_is_broken_into_lines_within_the_width(tmp_path):
    with styled("print"):
        figure = new_figure(7, 1, "")
        save_figure(figure, tmp_path / "picture", {}, "many words " * 60)
        [caption] = figure.texts[-1:]
        extent = caption.get_window_extent()
    assert caption.get_text().count("\n") > 3
    assert extent.width <= 7 * figure.dpi


def test_what_cannot_be_written_is_told_in_one_line(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        save(tmp_path / "file" / "picture")


def test_the_colours_are_those_of_okabe_and_ito():
    palette = {"#000000", "#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7"}
    assert len(set(CLASS_COLORS)) == 7
    assert set(CLASS_COLORS) <= palette


@pytest.mark.parametrize(
    ("value", "words"),
    [(-1e-17, "0"), (0.0, "0"), (7.34e-5, "7.3·10⁻⁵"), (0.163, "0.16"), (4.41, "4.4"), (2.2e-12, "2.2·10⁻¹²")],
)
def test_numbers_in_two_digits(value, words):
    assert scientific(value) == words


def test_a_folder_that_was_made_for_files_that_did_not_come_goes_again(tmp_path, monkeypatch):
    (tmp_path / "kept").mkdir()
    with styled("print"):
        figure = new_figure(2, 2, "")
        monkeypatch.setattr(figure, "savefig", lambda *_, **__: 1 / 0)
        for stem in ("made/below/a", "kept/a"):
            with pytest.raises(ZeroDivisionError):
                save_figure(figure, tmp_path / stem, {}, "")
    assert [path.name for path in tmp_path.rglob("*")] == ["kept"]


def test_ticks_of_whole_decades_are_powers_of_ten():
    assert [power_of_ten(value) for value in (1e-12, 0.001, 1, 1000, 2, 0.02)] == [
        "10⁻¹²",
        "10⁻³",
        "10⁰",
        "10³",
        "",
        "",
    ]
