"""What mouse and keys do to charts, slider and panels."""

import dataclasses
import json

import pytest
from tui_helpers import drive, is_drawn, open_run, record, text, until, write_run

from simplexlab.geometry.catalogue import Statistic
from simplexlab.tui.screens.compare import CompareScreen
from simplexlab.tui.widgets.chart import Chart
from simplexlab.tui.widgets.panel import Panel, Panels
from simplexlab.tui.widgets.slider import TimeSlider


def chart(screen, name):
    return screen.query_one(f"#{name}", Panel).body


async def at_rest(pilot):
    await pilot.pause(0.3)
    await until(pilot, lambda: is_drawn(pilot.app.screen))


def test_a_crosshair_shows_the_values_in_every_chart_over_the_same_axis(demo):
    async def steps(pilot):
        await open_run(pilot, "ce-clean")
        screen = pilot.app.screen
        loss, errors = chart(screen, "loss"), chart(screen, "errors")
        left, top, columns, rows = loss._place
        await pilot.hover(loss, offset=(left + columns // 2, top + rows // 2))
        await until(pilot, lambda: errors.crosshair is not None)
        assert errors.crosshair == loss.crosshair
        assert 250 < loss.crosshair < 350
        assert f"┆ {loss.crosshair:.0f}  " in "".join(segment.text for segment in errors._strips[0])
        frame = max(at for at in screen.feed.frames if at <= loss.crosshair)
        shown = next(line for line in screen.feed.records if line["iteration"] == frame)
        legend = "".join(segment.text for segment in errors._strips[0])
        assert f"{shown['train_error']:.3g}" in legend or f"{shown['train_error']:.2g}" in legend
        assert chart(screen, "configuration").crosshair is None
        await pilot.hover("#headline")
        await until(pilot, lambda: loss.crosshair is None and errors.crosshair is None)

    drive(demo, steps)


def test_a_click_on_a_chart_sets_the_slider(demo):
    async def steps(pilot):
        await open_run(pilot, "ce-clean")
        screen = pilot.app.screen
        loss = chart(screen, "loss")
        left, top, columns, _ = loss._place
        await pilot.click(loss, offset=(left + columns // 2, top + 2))
        await until(pilot, lambda: screen.slider.iteration == 300)
        await pilot.click(loss, offset=(left + columns - 1, top + 2))
        await until(pilot, lambda: screen.slider.position is None)

    drive(demo, steps)


def test_the_slider_is_dragged_and_selects_no_text(demo):
    async def steps(pilot):
        await open_run(pilot, "ce-clean")
        slider = pilot.app.screen.query_one(TimeSlider)
        start, width = slider._track()
        seen = []
        await pilot.mouse_down(slider, offset=(1 + start, 0))
        for part in (0.25, 0.5, 0.75):
            await pilot.hover(slider, offset=(1 + start + round(part * (width - 1)), 0))
            seen.append(slider.iteration)
        await pilot.mouse_up(slider, offset=(1 + start + round(0.75 * (width - 1)), 0))
        assert seen == [50, 240, 390]  # the slider goes by evaluations, which are dense early on
        await pilot.hover(slider, offset=(1 + start, 0))
        assert slider.iteration == 390
        assert pilot.app.screen.get_selected_text() is None

    drive(demo, steps)


def test_a_chart_changes_to_powers_of_ten_and_back(demo):
    async def steps(pilot):
        await open_run(pilot, "ce-clean")
        loss = chart(pilot.app.screen, "loss")
        linear = [label for _, label in loss._y.ticks]
        await pilot.press("1", "g")
        assert loss.is_log
        assert [label for _, label in loss._y.ticks] != linear
        await pilot.press("g")
        assert [label for _, label in loss._y.ticks] == linear

    drive(demo, steps)


def test_zooming_keeps_and_r_shows_everything(demo):
    async def steps(pilot):
        await open_run(pilot, "ce-clean")
        loss = chart(pilot.app.screen, "loss")
        await pilot.press("1", "plus", "plus", "right")
        low, high = loss.shown_x
        assert high - low == pytest.approx(600 * 0.64)
        await pilot.press("comma")
        await at_rest(pilot)
        assert loss.shown_x == (low, high)
        await pilot.press("r")
        assert loss.shown_x == (0, 600)

    drive(demo, steps)


def test_the_theme_changes_legends_too(demo):
    def inks(chart):
        legend = [part for strip in chart._strips[:2] for part in strip]
        return {part.style.color.name.upper() for part in legend if part.style and part.style.color}

    async def steps(pilot):
        await open_run(pilot, "ce-clean")
        loss = chart(pilot.app.screen, "loss")
        assert "#56B4E9" in inks(loss)
        await pilot.press("T")
        await pilot.pause(0.3)
        assert "#0072B2" in inks(loss)
        assert "#56B4E9" not in inks(loss)

    drive(demo, steps)


def test_panels_have_other_views_and_say_what_to_see(demo):
    async def steps(pilot):
        await open_run(pilot, "ce-40-flipped")
        screen = pilot.app.screen
        gram = screen.query_one("#gram", Panel)
        await pilot.press("6", "v")
        assert gram.spec.unit == "share"
        assert "sampled points" in gram.meaning
        await pilot.press("v")
        assert gram.spec.unit == "cosine"
        await pilot.press("7", "v")
        assert screen.query_one("#collapse", Panel).spec.title == "Spread over the sphere"
        await pilot.press("4", "i")
        await until(pilot, lambda: "flipped ones included" in text(pilot.app))
        await pilot.press("escape")
        (screen.feed.path / "log.txt").write_text("step one\nstep two\n")
        await pilot.press("L")
        await until(pilot, lambda: "step two" in text(pilot.app))

    drive(demo, steps)


def test_a_view_is_offered_only_where_there_is_another(demo):
    async def steps(pilot):
        await open_run(pilot, "ce-clean")
        screen = pilot.app.screen
        await pilot.press("1")
        assert not screen.check_action("view", ())
        await pilot.press("6")
        assert screen.check_action("view", ())
        assert not screen.check_action("stop", ())
        await pilot.pause(0.3)
        assert "v View" in text(pilot.app)
        assert "x Stop" not in text(pilot.app)

    drive(demo, steps)


def test_the_projector_shows_less_and_larger(demo):
    async def steps(pilot):
        await open_run(pilot, "sc-clean")
        screen = pilot.app.screen
        await pilot.press("p")
        await pilot.pause(0.5)
        shown = [panel.id for panel in screen.query(Panel) if panel.size.area]
        assert shown == ["excess", "configuration", "errors"]
        assert "TRAIN ERROR %" in text(pilot.app)
        assert pilot.app.current_theme.background == "#000000"
        await pilot.press("p")
        await pilot.pause(0.5)
        assert sum(panel.size.area > 0 for panel in screen.query(Panel)) == 8

    drive(demo, steps)


def test_the_palette_does_what_the_keys_do(demo):
    async def steps(pilot):
        app = pilot.app
        await until(pilot, lambda: app.runs)
        titles = {command.title for command in app.get_system_commands(app.screen)}
        assert {"Runs: Stop", "Runs: Delete", "Runs: Filter", "Runs: Duel", "Runs: Resume"} <= titles
        filter_ = next(one for one in app.get_system_commands(app.screen) if one.title == "Runs: Filter")
        await filter_.callback()
        assert app.screen.query_one("#filter").has_class("-open")

    drive(demo, steps)


def test_every_key_is_whole_at_eighty_columns(demo):
    async def steps(pilot):
        app = pilot.app
        await until(pilot, lambda: app.runs)
        last = text(app).splitlines()[-2:]
        assert last[0].strip().startswith("⏎ Open")
        assert last[1].rstrip().endswith("? Help")
        for line in last:
            assert len(line) <= 80
        await open_run(pilot, "sc-clean")
        assert text(app).rstrip().endswith("? Help")

    drive(demo, steps, size=(80, 24))


def test_a_statistic_of_ones_own_is_drawn_and_compared_without_further_code(tmp_path):
    own = Statistic(
        key="my_number", label="my number", meaning="A number of mine.", measure=lambda *_: None, optimum=lambda _: None
    )
    for name in ("one", "two"):
        lines = [record(at, my_number=3.0 + at) for at in (0, 10, 20)]
        path = write_run(tmp_path, name, lines)
        config = json.loads((path / "config.json").read_text())
        (path / "config.json").write_text(json.dumps(config | {"statistics": [own.facts()]}))

    async def steps(pilot):
        app = pilot.app
        await open_run(pilot, "one")
        screen = app.screen
        await pilot.press("7")
        for _ in range(3):
            if screen.query_one("#collapse", Panel).spec.title != "Own statistics":
                await pilot.press("v")
        spec = screen.query_one("#collapse", Panel).spec
        assert [series.label for series in spec.series] == ["my number"]
        assert "my number" in text(app)
        await pilot.press("escape")
        app.compare(app.runs)
        await until(pilot, lambda: isinstance(app.screen, CompareScreen) and app.screen._drawn is not None)
        panel = app.screen.query_one("#one", Panel)
        await pilot.press("6")
        assert app.screen.query_one(Panels).active == "one"
        for _ in range(30):
            if panel.spec.title != "my number":
                await pilot.press("v")
        assert [series.y.tolist() for series in panel.spec.series] == [[3, 13, 23], [3, 13, 23]]

    drive(tmp_path, steps)


def test_a_young_run_has_its_whole_way_before_it(tmp_path):
    write_run(tmp_path, "young", [record(0), record(10)], total=1000)

    async def steps(pilot):
        await open_run(pilot, "young")
        screen = pilot.app.screen
        run = screen.feed.run
        screen.feed.run = dataclasses.replace(run, status=dataclasses.replace(run.status, state="running"))
        screen._draw_panel("loss")
        assert chart(screen, "loss").shown_x == (0, 1000)

    drive(tmp_path, steps)


def test_before_the_first_reading_panels_say_that_they_load(demo):
    async def steps(pilot):
        lone = Chart()
        await pilot.app.screen.mount(lone)
        await pilot.pause()
        assert "loading" in "".join(part.text for strip in lone._strips for part in strip)

    drive(demo, steps)
