"""Makes the pictures of the documentation anew: `python -m simplexlab.tui.demo.pictures docs`, half a minute."""

import asyncio
import contextlib
import shutil
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from rich.segment import Segment
from textual.pilot import Pilot

from simplexlab.tui.app import SimplexLab
from simplexlab.tui.demo import RUNS
from simplexlab.tui.svg import picture, recording

DUEL = ("ce-40-flipped", "sc-40-flipped")
SECONDS = 0.5  # a frame of the recording
LAST_FRAMES = 6  # as long as these the end is shown

Lines = list[list[Segment]]


async def settled(pilot: Pilot, condition: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait until a condition holds, and what it changes is drawn."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError("the screen did not come to rest")
        await pilot.pause(0.05)
    await pilot.pause(0.6)


def drive(size: tuple[int, int], steps: Callable[[Pilot], Awaitable[None]], **options: bool) -> None:
    """Run the interface over the recorded runs without a terminal."""

    async def main(folder: Path) -> None:
        app = SimplexLab(folder, **options)
        async with app.run_test(size=size) as pilot:
            await settled(pilot, lambda: len(app.runs) > 5)
            await steps(pilot)

    # A screen shows the folder as it is given: a relative name is the same wherever the pictures are made.
    with tempfile.TemporaryDirectory() as parent, contextlib.chdir(parent):
        folder = Path("runs")
        shutil.copytree(RUNS, folder)
        asyncio.run(main(folder))


def write_run_screen(path: Path) -> None:
    """The screen of one run."""

    async def steps(pilot: Pilot) -> None:
        app = pilot.app
        app.open_run(next(run for run in app.runs if run.name == "sc-clean"))
        await settled(pilot, lambda: getattr(app.screen, "shown_iteration", None) is not None)
        path.write_text(picture(app.screen_lines(), app.picture_theme, "simplexlab tui: a run of SC"), encoding="utf-8")

    drive((140, 45), steps)


def write_duel(path: Path) -> None:
    """A duel as a recording."""
    frames: list[Lines] = []
    themes = []

    async def steps(pilot: Pilot) -> None:
        app = pilot.app
        app.duel([next(run for run in app.runs if run.name == name) for name in DUEL])
        await settled(pilot, lambda: len(getattr(app.screen, "feeds", ())) == 2 and bool(app.screen.slider.frames))
        screen = app.screen
        await pilot.press("home")
        for frame in screen.slider.frames:
            await settled(pilot, lambda frame=frame: screen.slider.iteration == frame)
            frames.append(app.screen_lines())
            await pilot.press("full_stop")
        await settled(pilot, lambda: screen.slider.position is None)
        themes.append(app.picture_theme)

    drive((110, 36), steps)
    frames += frames[-1:] * LAST_FRAMES
    path.write_text(recording(frames, SECONDS, themes[0], "A duel: CE against SC, 40 % of the labels flipped"), "utf-8")


def write_screens(folder: Path) -> None:
    """The list of runs, two runs compared, the form of a new run, and the lessons, each as it opens."""
    titles = {"runs": "the list of runs", "compare": "CE and SC compared", "new-run": "a new run", "lessons": "lessons"}

    async def steps(pilot: Pilot) -> None:
        app = pilot.app
        keys = {"runs": (), "compare": ("c",), "new-run": ("n",), "lessons": ("l",)}
        list_of_runs = app.screen
        for name, pressed in keys.items():
            if name == "compare":
                app.compare([next(run for run in app.runs if run.name == it) for it in DUEL])
            else:
                await pilot.press(*pressed)
            await settled(pilot, lambda name=name: (app.screen is list_of_runs) == (name == "runs"))
            text = picture(app.screen_lines(), app.picture_theme, f"simplexlab tui: {titles[name]}")
            (folder / f"tui-{name}.svg").write_text(text, encoding="utf-8")
            if name != "runs":
                app.pop_screen()
                await settled(pilot, lambda: app.screen is list_of_runs)

    drive((120, 36), steps)


def main() -> None:
    """Write every picture into the folder that is named."""
    folder = Path(sys.argv[1]).resolve()
    write_screens(folder)
    write_run_screen(folder / "tui.svg")
    write_duel(folder / "duel.svg")


if __name__ == "__main__":
    main()
