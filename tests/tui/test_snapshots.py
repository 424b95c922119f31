"""What the screens look like, as text at two sizes; `SIMPLEXLAB_SNAPSHOTS=write pytest …` writes them anew."""

import os
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from tui_helpers import drive, open_run, text, until

from simplexlab import objectives
from simplexlab.tui.views import table
from simplexlab.tui.widgets.panel import Panel

SNAPSHOTS = Path(__file__).parent / "snapshots"
SIZES = {"80x24": (80, 24), "140x45": (140, 45)}


async def runs(pilot):
    await until(pilot, lambda: "too-fast" in text(pilot.app))


async def run(pilot):
    await open_run(pilot, "sc-clean")


async def configuration(pilot):
    await open_run(pilot, "three-classes")
    await pilot.press("3", "z")


async def diverged(pilot):
    await open_run(pilot, "too-fast")


async def compare(pilot):
    await until(pilot, lambda: len(pilot.app.runs) > 5)
    pilot.app.compare([one for one in pilot.app.runs if "flipped" in one.name])
    await until(pilot, lambda: getattr(pilot.app.screen, "_drawn", None) is not None)


async def duel(pilot):
    await until(pilot, lambda: len(pilot.app.runs) > 5)
    pilot.app.duel([one for one in pilot.app.runs if one.name in ("ce-40-flipped", "sc-40-flipped")])
    await until(pilot, lambda: "neither has fitted" in text(pilot.app) and "excess" in str(chart_titles(pilot)))


def chart_titles(pilot):
    return [panel.border_title.lower() for panel in pilot.app.screen.query(Panel) if panel.spec is not None]


async def toy(pilot):
    await until(pilot, lambda: len(pilot.app.runs) > 5)
    await pilot.press("t")
    await until(pilot, lambda: "toy-ce" in text(pilot.app) and "[] ideal" in text(pilot.app))


async def help(pilot):
    await pilot.press("question_mark")
    await until(pilot, lambda: "Regular simplex" in text(pilot.app))


SCREENS = {
    "run": run,
    "configuration": configuration,
    "diverged": diverged,
    "compare": compare,
    "duel": duel,
    "toy": toy,
    "help": help,
    "runs": runs,
}


@pytest.mark.parametrize("size", SIZES)
def test_screens(size, demo, monkeypatch):
    monkeypatch.setattr(table, "age", lambda run: 60.0 * (1 + sum(map(ord, run.name)) % 50))
    paper = {name: objectives.get(name) for name in objectives.paper()}
    # The scroll bar of the help, which tells of every objective, is not to move with each new one.
    monkeypatch.setattr("simplexlab.tui.screens.help.objectives", SimpleNamespace(table=lambda: paper))
    shown = {}

    async def steps(pilot):
        app = pilot.app
        home = app.screen
        for name, show in SCREENS.items():
            await show(pilot)
            for _ in range(4):
                await pilot.pause(0.1)
            # The folder's path is of any length, and cut where it does not fit.
            shown[name] = re.sub(r", in /.*", ", in FOLDER", text(app), count=1).rstrip() + "\n"
            while app.screen is not home:
                app.pop_screen()
                await pilot.pause()

    drive(demo, steps, size=SIZES[size])
    for name, screen in shown.items():
        path = SNAPSHOTS / f"{name}-{size}.txt"
        if os.environ.get("SIMPLEXLAB_SNAPSHOTS") == "write":
            path.write_text(screen)
        assert screen == path.read_text(), name
