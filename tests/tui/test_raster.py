"""Curves as characters: none hides another."""

import itertools
import re

import numpy as np
import pytest
from textual.widgets import Digits
from tui_helpers import drive, open_run, until

from simplexlab.tui.views.charts import ChartSpec, Matrix, Series
from simplexlab.tui.widgets.big_numbers import BigNumbers
from simplexlab.tui.widgets.chart import Chart
from simplexlab.tui.widgets.heat_map import _matrix
from simplexlab.tui.widgets.picture import Picture, arrange
from simplexlab.tui.widgets.raster import Canvas


def colours(canvas):
    return {colour for row in canvas.cells() for _, colour in row if colour}


def straight(width, height, row=2.0):
    return np.linspace(0, 2 * width - 1, 30), np.full(30, row)


@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize("count", [2, 3, 5])
def test_curves_that_coincide_alternate(count, plain):
    canvas = Canvas(20, 3, plain)
    for index in range(count):
        canvas.line(*straight(20, 3), f"colour {index}", "abcde"[index])
    shown = [colour for _, colour in canvas.cells()[0]]
    assert set(shown) == {f"colour {index}" for index in range(count)}
    counts = [shown.count(f"colour {index}") for index in range(count)]
    assert max(counts) - min(counts) <= 1


def test_a_curve_that_runs_into_another_stays_visible():
    canvas = Canvas(40, 5)
    x = np.linspace(0, 79, 100)
    canvas.line(x, np.full(100, 18.0), "bound", "-", dashed=True)
    canvas.line(x, np.where(x < 40, 2.0, 18.0), "loss", "o")
    second_half = [colour for _, colour in canvas.cells()[4][22:]]
    assert second_half.count("loss") >= 9
    assert second_half.count("bound") >= 5
    assert {colour for _, colour in canvas.cells()[0][:20]} == {"loss"}


def test_a_line_goes_where_it_should():
    canvas = Canvas(4, 2)
    canvas.line(np.array([0.0, 7.0]), np.array([0.0, 7.0]), "c", "o")
    assert ["".join(character for character, _ in row) for row in canvas.cells()] == ["⠑⢄  ", "  ⠑⢄"]


def test_marks_that_coincide_stand_side_by_side():
    canvas = Canvas(10, 1)
    for index in range(4):
        canvas.over(5, 0, "ABCD"[index], "c", nudge=3)
    assert "".join(character for character, _ in canvas.cells()[0]).strip() == "CABD"


def test_words_of_a_legend_are_cut_and_numbers_are_not():
    entries = [("━", "", "a very long name", "0.123456"), ("━", "", "another name", "-0.000017"), ("━", "", "c", "7")]
    for room in range(26, 80):
        line = "".join(segment.text for segment in arrange(entries, room)[0])
        assert len(line.rstrip()) <= room
        assert all(now in line for *_, now in entries), line


def test_words_give_way_in_steps_and_entries_are_left_out_before_a_number_is():
    entries = [("━", "", "test", "88.2%"), ("━", "", "train", "89.4%")]
    steps = {26: "━ test 88.2%  ━ tra… 89.4%", 22: "━ te 88.2%  ━ tr 89.4%", 19: "━te 88.2% ━tr 89.4%"}
    steps |= {18: "━ test 88.2%  +1", 13: "━te… 88.2% +1", 11: ""}
    assert {room: joined(arrange(entries, room, named=True)) for room in steps} == steps
    assert joined(arrange(entries, 16)) == "━ 88.2%  ━ 89.4%"
    assert [joined([line]) for line in arrange(entries, 14, most=2)] == ["━ test 88.2%", "━ train 89.4%"]


def test_signs_alone_are_no_legend():
    entries = [("△", "", f"loss number {number}", "") for number in range(13)]
    lines = ["△… 0 △… 1 △… 2 △… 3 △… 4 △… 5 △… 6", "△… 7 △… 8 △… 9 △…10 △…11 △…12"]
    assert [joined([line]) for line in arrange(entries, 34, most=2)] == lines
    assert joined(arrange(entries, 17)) == "△ … 0  △ … 1  +11"
    assert arrange(entries, 3) == []


def joined(lines):
    return " ".join("".join(segment.text for segment in line).rstrip() for line in lines)


def test_numbers_of_legends_are_whole_at_every_size_of_a_chart(demo):
    def entries_left_out(chart, width, height):
        entries, lines = chart._entries(), [joined([line]) for line in chart._legend(width, height)]
        shown = "  ".join(lines)
        assert all(len(line) <= width for line in lines), (width, height, lines)
        assert len(lines) <= max(height - 3, 1), (width, height, lines)
        left = int(found[1]) if (found := re.search(r"\s\+(\d+)$", shown)) else 0 if lines else len(entries)
        place = 0
        for *_, now in entries[: len(entries) - left]:
            place = shown.find(f" {now}", place)
            assert place >= 0, (width, height, lines, entries)
        return left

    async def steps(pilot):
        await open_run(pilot, "ce-40-flipped")
        for view in range(2):
            for name in ("errors", "collapse"):
                pilot.app.screen._views[name] = view
                pilot.app.screen._draw_panel(name)
            for chart in pilot.app.screen.query(Chart):
                for width, height in itertools.product(range(10, 150, 3), (4, 5, 7, 8, 45)):
                    left = entries_left_out(chart, width, height)
                    assert left == 0 or width < 80 or height < 5, (chart.parent.id, width, height)
        for size in ((80, 24), (100, 33), (120, 36), (140, 36), (155, 36), (140, 45)):
            await pilot.resize_terminal(*size)
            await pilot.pause(0.1)
            for chart in pilot.app.screen.query(Chart):
                if chart.region.area and chart._entries():
                    drawn_lines = [joined([strip]) for strip in chart._strips[: chart._place[1]]]
                    assert drawn_lines == [joined([line]) for line in chart._legend(*chart.size)]
                    assert entries_left_out(chart, *chart.size) == 0, (size, chart.parent.id)

    drive(demo, steps)


def test_every_legend_entry_of_every_recorded_run_is_in_its_panel(demo):
    async def steps(pilot):
        app = pilot.app
        await until(pilot, lambda: app.runs)
        checked = 0
        for name in [run.name for run in app.runs]:
            await open_run(pilot, name)
            for chart in app.screen.query(Chart):
                for series in chart.spec.series if chart.spec else ():
                    if not series.label or not np.isfinite(series.y).any():
                        continue
                    _, top, _, rows = chart._place
                    picture = chart._strips[top : top + rows]
                    wanted = ink(chart, series)
                    found = {
                        segment.style.color.name.lower() for strip in picture for segment in strip if drawn(segment)
                    }
                    assert wanted.lower() in found, (name, chart.spec.title, series.label)
                    checked += 1
            await pilot.press("escape")
        assert checked > 80

    drive(demo, steps)


def ink(chart, series):
    from simplexlab.tui.widgets.palette import colour

    return colour(series.colour, chart.dark)


def drawn(segment):
    return segment.style is not None and segment.style.color is not None and segment.text.strip(" │┤╌\u2800")


def test_only_cells_that_changed_are_painted_again(tmp_path):
    async def steps(pilot):
        x = np.arange(50.0)
        chart = Chart(ChartSpec("", series=(Series("s", x, x),), y_label="y"))
        await pilot.app.screen.mount(chart)
        await pilot.pause()
        painted = []
        original = chart.refresh
        chart.refresh = lambda *regions, **options: (painted.append(regions), original(*regions, **options))[1]
        chart.show(ChartSpec("", series=(Series("s", x, x),), y_label="y"))
        assert painted == []
        y = x.copy()
        y[25] = 40
        chart.show(ChartSpec("", series=(Series("s", x, y),), y_label="y"))
        assert 0 < sum(region.area for region in painted[0]) < chart.size.area / 3

    drive(tmp_path / "none", steps)


def test_every_cell_has_the_ground_of_the_theme(demo):
    async def steps(pilot):
        await open_run(pilot, "sc-clean")
        for chart in pilot.app.screen.query(Picture):
            for strip in chart._strips:
                assert all(part.style and part.style.bgcolor is not None for part in strip if part.text)

    drive(demo, steps)


def test_words_of_a_legend_that_is_cut_can_still_be_told_apart():
    entries = [("━", "", words, "94.8%") for words in ("flipped, as given", "flipped, as true", "flipped, as a third")]
    for room in range(40, 120):
        cells = ["".join(segment.text for segment in line) for line in arrange(entries, room, most=2)]
        shown = [part.strip() for line in cells for part in line.split("━") if part.strip()]
        assert len(set(shown)) == len(shown) == 3, (room, cells)


def test_big_numbers_give_way_whole(tmp_path):
    async def steps(pilot):
        numbers = BigNumbers("iteration", "train error %", "how far %")
        numbers.say("5", "90.0", "100")  # a screen may be drawn before all of its parts are composed
        await pilot.app.screen.mount(numbers)
        assert [digits.value for digits in numbers.query(Digits)] == ["5", "90.0", "100"]
        numbers.styles.display = "block"
        numbers.say("600", "19.5", "69")
        for width, shown in ((60, 3), (45, 2), (38, 2), (28, 1)):
            numbers.styles.width = width
            await pilot.pause()
            boxes = [box for box in numbers.children if box.display]
            assert boxes == list(numbers.children)[3 - shown :]
            assert all(box.region.right <= numbers.content_region.right for box in boxes)

    drive(tmp_path / "none", steps)


@pytest.mark.parametrize("plain", [False, True])
def test_classes_of_a_matrix_are_named_where_each_has_a_line(plain):
    shown = Matrix("given → nearest", np.eye(10), "16.2% off")
    for width, rows, high in ((60, 11, 1), (60, 32, 3)):
        title, above, *lines = [line.plain for line in _matrix(shown, width, rows, True, plain)]
        assert title == "given → nearest, 16.2% off"
        assert above.split() == [str(label) for label in range(10)]
        assert [line[0] for line in lines if line[0] != " "] == [str(label) for label in range(10)]
        assert len(lines) == 10 * high
        for label, line in enumerate(lines[high // 2 :: high]):
            assert line[0] == str(label)
            assert not plain or line[above.index(str(label))] == "@"  # of the diagonal
    assert [line.plain[0] for line in _matrix(shown, 60, 4, True, plain)[1:3]] != ["0", "1"]
    assert "16.2%" in _matrix(shown, 15, 4, True, plain)[0].plain
