"""Two runs against each other, the guess, the events."""

import pytest
from tui_helpers import drive, record, text, until, write_run

from simplexlab.runs import read_metrics
from simplexlab.tui.screens.duel import DuelScreen
from simplexlab.tui.screens.new_run import NewRunScreen
from simplexlab.tui.views import run as views
from simplexlab.tui.views.events import events_of
from simplexlab.tui.views.guess import Guess, read_guess, score, verdict, write_guess
from simplexlab.tui.widgets.panel import Panel


def pair(folder, **flipped):
    """A run of CE that fits at 20, and one of SC that fits at 30."""
    for loss, fit in (("ce", 20), ("sc", 30)):
        lines = [record(at, 2.0 / (at + 1), 0.0 if at >= fit else 0.4, **flipped) for at in range(0, 50, 10)]
        write_run(folder, f"{loss}-run", lines, experiment={"loss": loss, "seed": 1 + (loss == "sc")})


async def open_duel(pilot):
    app = pilot.app
    await until(pilot, lambda: len(app.runs) == 2)
    await pilot.press("space", "space", "d")
    await until(pilot, lambda: isinstance(app.screen, DuelScreen) and app.screen._drawn is not None)
    await until(pilot, lambda: "fitted first" in text(app))
    return app.screen


def test_two_marked_runs_are_drawn_side_by_side_under_one_slider(tmp_path):
    pair(tmp_path)

    async def steps(pilot):
        screen = await open_duel(pilot)
        assert "CE fitted first, at 20; SC at 30; they differ also in seed" in text(pilot.app)
        titles = {screen.query_one(f"#configuration-{index}").border_title.split()[0] for index in range(2)}
        assert titles == {"CE", "SC"}
        charts = [screen.query_one(f"#errors-{index}", Panel).spec for index in range(2)]
        assert charts[0].x_limits == charts[1].x_limits == (0, 100)
        assert charts[0].y_limits == charts[1].y_limits == (0, 0.4)
        assert charts[0].series[-1].colour != charts[1].series[-1].colour
        assert not screen.query_one("#charts-2-0").display  # no labels were flipped
        await pilot.press("home", "full_stop")
        await until(pilot, lambda: screen.slider.iteration == 10)
        await until(pilot, lambda: [mark.at for mark in errors(screen, 0).vertical] == [20, 10])
        await pilot.press("right_square_bracket")
        await until(pilot, lambda: screen.slider.iteration == 20)

    def errors(screen, index):
        return screen.query_one(f"#errors-{index}", Panel).spec

    drive(tmp_path, steps)


def test_memorisation_is_drawn_where_it_was_measured(tmp_path):
    pair(tmp_path, flipped_as_given=0.3, flipped_as_true=0.5, flipped_as_other=0.2, clean_fitted=0.9)

    async def steps(pilot):
        screen = await open_duel(pilot)
        chart = screen.query_one("#memorisation-0", Panel)
        assert chart.size.area
        assert [series.label for series in chart.spec.series] == list(views.MEMORISATION.values())
        assert "50.0% are seen through" in " ".join(text(pilot.app).replace("│", " ").split())

    drive(tmp_path, steps, size=(160, 50))


def test_a_duel_needs_two_runs(tmp_path):
    pair(tmp_path)

    async def steps(pilot):
        await until(pilot, lambda: len(pilot.app.runs) == 2)
        await pilot.press("d")
        await until(pilot, lambda: "mark two with space" in text(pilot.app))
        assert not isinstance(pilot.app.screen, DuelScreen)

    drive(tmp_path, steps)


def test_the_button_launches_both_losses_and_waits_for_them(tmp_path, monkeypatch):
    async def steps(pilot):
        app = pilot.app
        app.launcher.jobs = 0
        app.action_new_run({"corrupt": "0.2"})
        await until(pilot, lambda: isinstance(app.screen, NewRunScreen) and app.screen.experiments)
        app.screen.query_one("#guess-first").value = "sc"
        app.screen.query_one("#guess-iteration").value = "40"
        await pilot.press("ctrl+d")
        await until(pilot, lambda: isinstance(app.screen, DuelScreen))
        assert "Both runs are starting" in text(app)
        assert [launch.arguments[2] for launch in app.launcher.launches] == ["ce", "sc"]
        assert {launch.guess for launch in app.launcher.launches} == {Guess("sc", 40)}
        pair(tmp_path / "runs")
        for launch, name in zip(app.screen.launches, ("ce-run", "sc-run"), strict=True):
            launch.run = name
        app.follow()
        await until(pilot, lambda: "CE fitted first, at 20; SC at 30" in text(app))

    drive(tmp_path / "runs", steps)


def test_a_guess_is_kept_drawn_and_scored(tmp_path):
    pair(tmp_path)
    for name in ("ce-run", "sc-run"):
        write_guess(tmp_path / name, Guess("sc", 30))

    async def steps(pilot):
        screen = await open_duel(pilot)
        assert "you guessed SC: wrong" in text(pilot.app)
        assert screen.query_one("#errors-0", Panel).meaning.endswith("guessed 30: fitted 10 earlier")
        marks = [mark for mark in screen.query_one("#errors-0", Panel).spec.vertical if mark.dashed]
        assert [mark.at for mark in marks] == [30]

    drive(tmp_path, steps)


def test_guesses_that_cannot_be_read_are_none(tmp_path):
    assert read_guess(tmp_path) is None
    for wrong in ("{half", "[]", '{"first": 3}', '"x"', "[" * 100_000):
        (tmp_path / "guess.json").write_text(wrong)
        assert read_guess(tmp_path) is None
    (tmp_path / "guess.json").write_text('{"first": 3, "iteration": -2}')
    assert read_guess(tmp_path) == Guess(None, None)


def test_scores():
    assert score(None, 30, True) == score(Guess("ce"), 30, True) == ""
    assert score(Guess(None, 30), 30, True) == "guessed 30: exactly"
    assert score(Guess(None, 30), 50, True) == "guessed 30: fitted 20 later"
    assert score(Guess(None, 30), None, True) == "guessed 30: it was not fitted"
    assert score(Guess(None, 30), None, False) == "guessed 30"


@pytest.mark.parametrize(
    ("fits", "ended", "guess", "words"),
    [
        ([None, None], [True, False], None, "neither has fitted its labels yet"),
        ([None, None], [True, True], None, "neither has fitted its labels"),
        ([50, None], [True, True], Guess("CE"), "CE fitted first, at 50; you guessed CE: right"),
        ([50, 40], [True, True], Guess("CE"), "SC fitted first, at 40; CE at 50; you guessed CE: wrong"),
        ([50, 50], [True, True], Guess("CE"), "all fitted at 50; you guessed CE: a draw"),
    ],
)
def test_verdicts(fits, ended, guess, words):
    assert verdict(["CE", "SC"], fits, ended, guess) == words


def test_events_come_in_order_and_only_where_they_happened(demo):
    records = read_metrics(demo / "toy-sc")
    events = events_of(records, 30)
    assert [event.sign for event in events] == ["½", "f", "c"] or [event.sign for event in events] == ["f", "½", "c"]
    assert [event.iteration for event in events] == sorted(event.iteration for event in events)
    half = next(event for event in events if event.sign == "½")
    excess = {line["iteration"]: line["excess"] for line in records}
    assert excess[half.iteration] <= excess[0] / 2 < excess[half.iteration - 10]
    assert events_of([], None) == []
    assert [event.sign for event in events_of(read_metrics(demo / "too-fast"), None)] == ["✗"]
    memorised = [record(0, flipped_as_given=0.1), record(10, flipped_as_given=0.3), record(20, flipped_as_given=0.9)]
    assert [(event.iteration, event.sign) for event in events_of(memorised, None) if event.sign == "m"] == [(10, "m")]


def test_on_a_low_screen_the_chosen_panel_has_the_height(demo):
    async def steps(pilot):
        app = pilot.app
        await until(pilot, lambda: len(app.runs) == 11)
        for names, panels in ((("ce-40-flipped", "sc-40-flipped"), 4), (("ce-clean", "sc-clean"), 3)):
            app.duel([next(run for run in app.runs if run.name == name) for name in names])
            await until(pilot, lambda: len(getattr(app.screen, "feeds", ())) == 2 and bool(app.screen.slider.frames))
            seen = set()
            for _ in range(panels):
                await pilot.pause(0.3)
                shown = [panel for panel in app.screen.query(Panel) if panel.size.area]
                assert len(shown) == 2
                assert all(panel.outer_size.height == 24 - 4 for panel in shown), app.screen.size
                seen |= {panel.id for panel in shown}
                await pilot.press("v")
            assert len(seen) == 2 * panels
            await pilot.press("escape")

    drive(demo, steps, size=(80, 24))


@pytest.mark.parametrize(("size", "wanted"), [((140, 45), {"configuration", "errors"}), ((80, 24), {"memorisation"})])
def test_the_projector_fills_the_screen(tmp_path, size, wanted):
    pair(tmp_path, flipped_as_given=0.3, flipped_as_true=0.5, flipped_as_other=0.2)

    async def steps(pilot):
        screen = await open_duel(pilot)
        await pilot.press("v", "v", "v", "p")  # where the screen is low, on to the last panel
        await pilot.pause(0.3)
        shown = [panel for panel in screen.query(Panel) if panel.size.area]
        assert {panel.id.rpartition("-")[0] for panel in shown} == wanted
        below = screen.query_one("#verdict").region.y
        assert max(panel.region.bottom for panel in shown) == below

    drive(tmp_path, steps, size=size)
