"""The duel: the same data, two losses, side by side under one slider, live while both train."""

from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from simplexlab.objectives import named, of_run
from simplexlab.runs import Run
from simplexlab.tui.feed import RunFeed
from simplexlab.tui.launch import Launch
from simplexlab.tui.screens.side_by_side import SideBySide
from simplexlab.tui.views import explain
from simplexlab.tui.views import run as views
from simplexlab.tui.views.guess import read_guess, score, verdict
from simplexlab.tui.views.records import option, reached
from simplexlab.tui.widgets.panel import Panel

ENDED = ("finished", "stopped", "diverged", "failed")


class DuelScreen(SideBySide):
    """Two runs against each other.

    Args:
        runs: The runs.
        launches: Or launches, whose runs are shown as they begin.
    """

    PANELS: ClassVar = ("configuration", "errors", "excess", "memorisation")
    EMPTY: ClassVar = (
        "Both runs are starting; they appear here as soon as they have begun. `esc` goes back to the table."
    )

    def __init__(self, runs: list[Run] = (), launches: list[Launch] = ()):
        super().__init__()
        self.names = [run.name for run in runs]
        self.launches = list(launches)
        self._paths: list[Path] = [run.path for run in runs]

    @property
    def wanted(self) -> list[Path]:
        """The two runs, those of launches as they begin."""
        return self._paths

    def on_mount(self) -> None:
        """Take a title; the library calls the handler of the class below, too."""
        self.title = "Duel"

    def show(self, runs: list[Run], launches: list[Launch]) -> None:
        """Take in the runs that the launches have become."""
        if self.launches:
            by_name = {run.name: run.path for run in runs}
            self._paths = [by_name[one.run] for one in self.launches if one.run in by_name]
        self.choose()

    def draw(self, index: int, feed: RunFeed, at: int | None, record: dict | None) -> None:
        """Configuration, errors, excess, and memorisation where labels were flipped."""
        run, records = feed.run, list(feed.records)
        objective = of_run(run.config)
        fitted, total = self.fit_of(feed), self._last
        guess = read_guess(run.path)
        configuration = self.configuration(feed, at, record)
        shown = reached(run, records) if at is None else at
        where = f"{shown} of {run.status.total}"
        titles = [
            f"{objective.title}  {part}{where}" for part in (f"{run.name}  {run.status.state}  ", f"{run.name}  ", "")
        ]
        panel = self.query_one(f"#configuration-{index}", Panel)
        title = next((one for one in titles if len(one) <= panel.size.width - 6), titles[-1])
        panel.show(configuration, explain.configuration(record), title)
        errors = views.error_chart(records, fitted, at, total, guess, objective.colour, self._highest)
        told = score(guess, fitted, run.status.state in ENDED)
        words = explain.errors(record, fitted)
        self._show("errors", index, errors, f"{words}; {told}" if told else words)
        excess = views.excess_chart(records, at, total, objective.colour)
        self._show("excess", index, excess, explain.excess(record))
        memorisation = views.memorisation_chart(records, at, total)
        self._show("memorisation", index, memorisation, explain.memorisation(record))
        self.query_one(f"#charts-2-{index}").set_class(not self._has_memorisation, "-without")

    def _show(self, name: str, index: int, spec, meaning: str) -> None:
        self.query_one(f"#{name}-{index}", Panel).show(spec, meaning)

    @property
    def _has_memorisation(self) -> bool:
        return any(views.memorisation_chart(feed.records).series for feed in self.feeds)

    @property
    def _last(self) -> int | None:
        """The last iteration of the longer run: both have one axis."""
        return max((feed.run.status.total for feed in self.feeds), default=0) or None

    @property
    def _highest(self) -> float:
        """The largest error of both: they have one scale."""
        found = (views.column(feed.records, key)[1] for feed in self.feeds for key in ("train_error", "test_error"))
        return max((float(values.max()) for values in found if len(values)), default=1.0) or 1.0

    def verdict(self) -> str:
        """Which fitted first, and whether the data are the same."""
        if len(self.feeds) < 2:
            return ""
        runs = [feed.run for feed in self.feeds]
        names = [of_run(run.config).title for run in runs]
        if names[0] == names[1]:
            names = [run.name for run in runs]
        fits = [self.fit_of(feed) for feed in self.feeds]
        guess = read_guess(runs[0].path)
        if guess is not None and guess.first is not None:
            guess = replace(guess, first=named(guess.first).title)
        words = verdict(names, fits, [run.status.state in ENDED for run in runs], guess)
        differing = [
            name for name in ("dataset", "corrupt", "seed") if len({str(option(run, name)) for run in runs}) > 1
        ]
        note = f"; they differ also in {', '.join(differing)}" if differing else ""
        return f"{words}{note}"
