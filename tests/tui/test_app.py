"""Every screen, driven by keys over the recorded runs, and over a real run from the form to its end."""

import shlex
import shutil
import subprocess
import sys

import pytest
from tui_helpers import drive, open_run, runs_show, text, until, write_run
from tui_helpers import record as line

from simplexlab.cli import main
from simplexlab.runs import list_runs
from simplexlab.tui.screens.compare import CompareScreen
from simplexlab.tui.screens.lessons import LessonsScreen
from simplexlab.tui.screens.new_run import NewRunScreen
from simplexlab.tui.screens.runs import RunsScreen
from simplexlab.tui.screens.toy import ToyScreen
from simplexlab.tui.views.charts import number
from simplexlab.tui.widgets.chart import Chart
from simplexlab.tui.widgets.panel import Facts, Panel, Panels


def words_of(screen_text):
    """Words of the screen without borders."""
    return " ".join(screen_text.replace("│", " ").split())


def test_the_interface_never_imports_what_is_heavy():
    heavy = ("tensorflow", "keras", "scipy", "sklearn", "matplotlib")
    code = f"""
import sys
import simplexlab.tui.app, simplexlab.cli.tui, simplexlab.tui.views.form, simplexlab.tui.views.toy
print([name for name in {heavy} if name in sys.modules])
"""
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_without_a_terminal_one_line_says_so(capsys, monkeypatch):
    monkeypatch.delenv("TEXTUAL_DRIVER", raising=False)
    assert main(["tui"]) == 2
    assert "needs a terminal" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "problem"), [("--jobs 0", "at least 1"), ("--port 99999 --web", "65535"), ("--run-dir {file}", "folder")]
)
def test_wrong_options(words, problem, capsys, tmp_path):
    (tmp_path / "file").touch()
    assert main(["tui", *words.format(file=tmp_path / "file").split()]) == 2
    error = capsys.readouterr().err
    assert problem in error
    assert error.count("\n") == 1


def test_numbers_on_screen_are_those_of_runs_show(demo, capsys):
    shown = {run.name: runs_show(demo, run.name, capsys) for run in list_runs(demo)}

    async def steps(pilot):
        app = pilot.app
        await until(pilot, lambda: len(app.runs) == len(shown))
        lines = [shown_line[:98] for shown_line in text(app).splitlines()]
        for name, facts in shown.items():
            row = next(words for words in lines if f" {name} " in words)
            assert facts["state"] in row
            assert f" {facts['iteration']} " in row
            if facts["train_error"] is not None:
                assert f"{facts['train_error']:.1%}" in row
                assert number(facts["excess"]) in row
            if facts["time_to_fit"] is not None:
                assert f" {facts['time_to_fit']} " in row
        await open_run(pilot, "sc-40-flipped")
        await pilot.press("8", "z")
        await pilot.pause(0.3)
        words, facts = words_of(text(app)), shown["sc-40-flipped"]
        assert f"loss {facts['final_loss']:.6g}" in words
        assert f"bound {facts['bound']:.6g}" in words
        assert f"excess {facts['excess']:.6g}" in words
        assert f"by class means train {facts['result']['train_error_class_means']:.2%}" in words
        assert facts["command"] in words

    drive(demo, steps)


def test_replay_goes_back_and_forth_and_shows_that_evaluation(demo):
    async def steps(pilot):
        app = pilot.app
        await open_run(pilot, "sc-clean")
        screen = app.screen
        frames = screen.feed.frames
        await pilot.press("home")
        await until(pilot, lambda: screen.shown_iteration == frames[0])
        first = text(app)
        assert "of the given labels are not fitted" in words_of(first)
        await pilot.press("full_stop")
        await until(pilot, lambda: screen.shown_iteration == frames[1])
        assert screen.record["iteration"] == frames[1]
        await pilot.press("space")
        await until(pilot, lambda: screen.slider.position is None)
        await until(pilot, lambda: screen.shown_iteration == frames[-1])
        await pilot.press("backspace")
        await until(pilot, lambda: screen.shown_iteration == frames[0])
        await pilot.press("end")
        await until(pilot, lambda: screen.shown_iteration == frames[-1])
        assert text(app) != first

    drive(demo, steps)


def test_panels_become_tabs_and_a_panel_is_enlarged(demo):
    async def steps(pilot):
        app = pilot.app
        await open_run(pilot, "three-classes")
        panels = app.screen.query_one(Panels)
        assert sum(panel.size.area > 0 for panel in app.screen.query(Panel)) == 8
        await pilot.press("z")
        await pilot.pause(0.2)
        assert sum(panel.size.area > 0 for panel in app.screen.query(Panel)) == 1
        await pilot.press("z")
        await pilot.resize_terminal(80, 24)
        await until(pilot, lambda: panels.single)
        for index, panel in enumerate(panels.panels, start=1):
            await pilot.press(str(index))
            await until(pilot, lambda panel=panel: panel.size.area > 0)
            assert panel.border_title in text(app)
        await pilot.resize_terminal(200, 60)
        await until(pilot, lambda: not panels.single)

    drive(demo, steps)


def test_the_configuration_of_more_classes_turns(demo):
    async def steps(pilot):
        await open_run(pilot, "sc-clean")
        chart = pilot.app.screen.query_one("#configuration", Panel).body
        before = chart.spec
        await pilot.press("d", "w")
        await pilot.pause(0.2)
        assert any(
            (one.x != two.x).any() for one, two in zip(before.series, chart.spec.series, strict=True) if len(one.x)
        )

    drive(demo, steps)


def test_filter_sort_and_mark(demo):
    async def steps(pilot):
        app = pilot.app
        await until(pilot, lambda: app.runs)
        home = app.screen
        await pilot.press("slash", *"toy")
        await until(pilot, lambda: "match “toy”" in text(app))
        assert {name.split("-")[0] for name in home.shown} == {"toy"}
        await pilot.press("escape")
        for _ in range(9):
            await pilot.press("s")
            await pilot.pause(0.05)
        await pilot.press("S", "ctrl+home", "space", "space", "c")
        await until(pilot, lambda: isinstance(app.screen, CompareScreen))
        assert len(app.screen.names) == 2

    drive(demo, steps)


def test_compare_links_its_axes_and_marks_censored_runs(demo):
    async def steps(pilot):
        app = pilot.app
        await until(pilot, lambda: app.runs)
        app.compare([run for run in app.runs if "flipped" in run.name])
        await until(pilot, lambda: getattr(app.screen, "_drawn", None) is not None)
        screen = app.screen
        await pilot.press("1", "plus", "plus")
        await pilot.pause(0.3)
        first, second = (screen.query_one(f"#{name}", Panel).body for name in ("loss", "excess"))
        assert first.shown_x == second.shown_x
        assert first.shown_x[1] < first.spec.series[0].x.max()
        labels = [series.label for series in screen.query_one("#fit", Panel).spec.series]
        assert "SC not fitted" in labels
        await pilot.press("r")
        await pilot.pause(0.2)
        assert first.shown_x[1] == first.spec.series[0].x.max()

    drive(demo, steps)


def test_the_form_checks_as_one_types_and_shows_the_command(tmp_path):
    async def steps(pilot):
        app = pilot.app
        await pilot.press("n")
        await until(pilot, lambda: isinstance(app.screen, NewRunScreen) and app.screen.experiments and app.focused)
        await pilot.pause(0.5)  # a busy machine has not drawn the form yet
        await pilot.press("right", "right", "enter")
        rows = {name: app.screen.query_one(f"#row-{name}") for name in ("temperature", "margin", "views")}
        await until(pilot, lambda: rows["temperature"].display and not rows["margin"].display)
        await pilot.press("down", "down", "down", *"0.2, 1.5")  # past the options of sc
        await until(pilot, lambda: "--corrupt 1.5 must be between 0 and 1" in text(app))
        assert app.screen.experiments == []
        await pilot.press("backspace", "backspace", "backspace", "0", ".", "4")
        await until(pilot, lambda: "Launch 2 runs" in text(app))
        assert "simplexlab train --loss sc --corrupt 0.2" in text(app)
        await pilot.press("ctrl+n")
        await until(pilot, lambda: "simplexlab train --loss ce --run-dir" in text(app))
        assert not rows["temperature"].display
        app.screen.query_one("#loss").value = "supcon"  # which takes two views
        views, augment = app.screen.query_one("#views"), app.screen.query_one("#augment")
        await until(pilot, lambda: (views.placeholder, augment.default) == ("2", "on"))

    drive(tmp_path, steps)


def test_a_run_from_the_form_to_its_end(tmp_path):
    """Launch, see the first point arrive, stop, resume, see it end; a second run waits its turn."""
    run_dir = tmp_path / "runs"
    small = {"encoder": "mlp", "width": "4", "iterations": "1500", "evaluate_every": "50", "threads": "1"}

    async def steps(pilot):
        app = pilot.app
        app.action_new_run(small | {"loss": "ce, sc"})
        await until(pilot, lambda: isinstance(app.screen, NewRunScreen) and app.screen.experiments)
        await pilot.press("ctrl+r")
        await until(pilot, lambda: "… starting" in text(app))
        assert "… queued" in text(app)
        assert app.launcher.waiting == 1
        await pilot.press("down")
        await pilot.press("x")  # the one that waits is taken off the list
        await until(pilot, lambda: app.launcher.waiting == 0)
        await until(pilot, lambda: any(run.metrics for run in app.runs), 120)
        name = app.runs[0].name
        await open_run(pilot, name)
        await until(pilot, lambda: app.screen.feed.records and app.screen.shown_iteration is not None)
        await pilot.press("x", "y")
        await until(pilot, lambda: app.screen.feed.run.status.state in ("stopped", "finished"), 60)
        assert (run_dir / name / "log.txt").exists()
        await pilot.press("escape")
        if app.runs[0].status.state == "stopped":
            stopped_at = app.runs[0].status.iteration
            await pilot.press("r")
            await until(pilot, lambda: any(run.status.state == "finished" for run in app.runs), 150)
            assert app.runs[0].status.iteration == 1500 > stopped_at

    drive(run_dir, steps, jobs=1)


def test_keys_of_an_empty_table_work_after_another_screen(tmp_path):
    async def steps(pilot):
        pilot.app.screen.set_focus(None)  # as it is where the last row has gone
        for key, screen in (("l", LessonsScreen), ("n", NewRunScreen)):
            await pilot.press(key)
            await until(pilot, lambda screen=screen: isinstance(pilot.app.screen, screen))
            await pilot.press("escape")
            await until(pilot, lambda: isinstance(pilot.app.screen, RunsScreen))
            await pilot.pause()
        assert pilot.app.screen.words == ""

    drive(tmp_path, steps)


def test_a_launch_is_previewed_with_its_whole_command(tmp_path):
    words = ["train", "--name", "a-very-long-name-of-a-run", "--run-dir", str(tmp_path)]

    async def steps(pilot):
        pilot.app.launch([words])
        await until(pilot, lambda: "Launch" in text(pilot.app))
        assert "loading" not in text(pilot.app)
        assert shlex.join(["simplexlab", *words]) in pilot.app.screen.query_one(Facts)._text.plain

    drive(tmp_path, steps, size=(140, 45), jobs=0)


def test_a_command_that_fails_tells_why(tmp_path):
    async def steps(pilot):
        app = pilot.app
        app.launch([["train", "--dataset", str(tmp_path / "nothing.npz"), "--run-dir", str(tmp_path)]])
        await until(pilot, lambda: "✗ failed" in text(app), 120)
        assert "nothing.npz" in app.launcher.launches[0].message
        await pilot.press("delete")
        await until(pilot, lambda: not app.launcher.launches)

    drive(tmp_path, steps)


def test_leaving_asks_where_launches_wait(tmp_path):
    async def steps(pilot):
        app = pilot.app
        app.launcher.jobs = 0
        app.launch([["toy", "sc"]])
        await until(pilot, lambda: app.launcher.waiting)
        await pilot.press("q")
        await until(pilot, lambda: "wait for their turn" in text(app))
        await pilot.press("escape")
        assert app.is_running
        await pilot.press("q", "y")
        await until(pilot, lambda: app._exit)

    drive(tmp_path, steps)


def test_toys_are_replayed_side_by_side(demo):
    async def steps(pilot):
        app = pilot.app
        await until(pilot, lambda: app.runs)
        await pilot.press("t")
        await until(pilot, lambda: isinstance(app.screen, ToyScreen) and app.screen.slider.frames)
        screen = app.screen
        await pilot.press("home")
        await until(pilot, lambda: screen.slider.iteration == 0)
        await pilot.pause(0.3)
        assert [feed.run.config["experiment"]["loss"] for feed in screen.feeds] == ["ce", "sc"]
        assert text(app).count("╭─ Loss") == 2
        before = screen.query_one("#configuration-0", Panel).spec
        await pilot.press("end")
        await until(pilot, lambda: screen.query_one("#configuration-0", Panel).spec is not before)
        await pilot.press("n")
        await until(pilot, lambda: "simplexlab toy ce" in text(app))
        form = app.screen
        rate, weight = form.query_one("#learning_rate"), form.query_one("#weight")
        assert (rate.placeholder, rate.parent.display, weight.parent.display) == ("10", True, False)
        form.query_one("#points_per_class").value = "3"
        await until(pilot, lambda: rate.placeholder == "ce 10, sc 0.3")
        form.query_one("#loss").value = "align-uniform, mse"
        await until(pilot, lambda: "Launch 2 toys" in text(app) and weight.parent.display)
        assert not rate.parent.display
        assert "simplexlab toy align-uniform --points-per-class 3" in text(app)

    drive(demo, steps)


def test_lessons_are_listed_with_goal_and_state(tmp_path, monkeypatch):
    folder = tmp_path / "lessons"
    folder.mkdir()
    (folder / "01.py").write_text("# %% [markdown]\n# # Collapse\n# Goal: see it\n# Minutes: 5\n# %%\nprint(1)\n")
    monkeypatch.chdir(tmp_path)

    async def steps(pilot):
        await pilot.press("l")
        await until(pilot, lambda: "Collapse" in text(pilot.app) and "see it" in text(pilot.app))
        assert "not run" in text(pilot.app)

    drive(tmp_path / "runs", steps)


def test_the_runs_of_a_lesson_are_opened(demo, tmp_path, monkeypatch):
    (tmp_path / "lessons").mkdir()
    (tmp_path / "lessons" / "1_collapse.py").write_text("# %% [markdown]\n# # Collapse\n")
    made = tmp_path / "runs" / "lessons" / "1" / "runs"
    made.mkdir(parents=True)
    shutil.copytree(demo / "sc-clean", made / "sc-clean")
    monkeypatch.chdir(tmp_path)

    async def steps(pilot):
        await pilot.press("l")
        await until(pilot, lambda: "Collapse" in text(pilot.app))
        await pilot.press("o")
        await until(pilot, lambda: "sc-clean" in text(pilot.app))

    drive(tmp_path / "runs", steps)


def test_help_explains_the_terms(tmp_path):
    async def steps(pilot):
        await pilot.press("question_mark")
        await until(pilot, lambda: "Regular simplex" in text(pilot.app))
        await pilot.press("escape")
        await until(pilot, lambda: "Regular simplex" not in text(pilot.app))

    drive(tmp_path, steps)


def test_screens_and_charts_are_written_as_pictures(demo, tmp_path):
    async def steps(pilot):
        await open_run(pilot, "sc-clean")
        await pilot.press("E")
        await until(pilot, lambda: (tmp_path / "out" / "sc-clean.svg").exists())
        for key in "1234567":
            await pilot.press(key, "P")
            await pilot.pause(0.1)
        await until(pilot, lambda: len(list((tmp_path / "out").glob("*.png"))) == 7)
        await until(pilot, lambda: all(path.stat().st_size > 10_000 for path in (tmp_path / "out").glob("*.png")))

    drive(demo, steps, export_dir=tmp_path / "out")
    assert (tmp_path / "out" / "sc-clean.svg").read_text().startswith("<svg")


def test_without_colour_or_braille(demo):
    async def steps(pilot):
        app = pilot.app
        await open_run(pilot, "sc-40-flipped")
        assert not any("\u2800" < letter <= "\u28ff" for letter in text(app))
        styles = {part.style for strip in app.screen._compositor.render_strips() for part in strip if part.style}
        for style in styles:
            for ink in (style.color, style.bgcolor):
                if ink is not None and ink.triplet is not None:
                    assert len(set(ink.triplet)) == 1

    drive(demo, steps, plain=True)


def test_light_and_dark(demo):
    async def steps(pilot):
        app = pilot.app
        await open_run(pilot, "sc-clean")
        assert not app.current_theme.dark
        await pilot.press("T")
        await pilot.pause(0.2)
        assert app.current_theme.dark

    drive(demo, steps, light=True)


def test_a_second_look_draws_only_what_changed(tmp_path):
    write_run(tmp_path, "steady", [line(0), line(10)])

    async def steps(pilot):
        await open_run(pilot, "steady")
        screen = pilot.app.screen
        drawn = []
        chart = screen.query_one("#loss", Panel).body
        original = Chart.show
        chart.show = lambda spec: (drawn.append(spec), original(chart, spec))
        await pilot.pause(2.5)
        assert drawn == []

    drive(tmp_path, steps)
