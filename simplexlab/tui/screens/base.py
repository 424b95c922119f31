"""What the screens that follow files have in common."""

from collections.abc import Callable
from typing import Any

from textual import on
from textual.css.query import NoMatches
from textual.screen import Screen
from textual.worker import get_current_worker

from simplexlab.runs import Run
from simplexlab.tui.launch import Launch
from simplexlab.tui.widgets.chart import Chart


class FollowingScreen(Screen):
    """A screen whose worker threads hand over what they have read."""

    def show(self, runs: list[Run], launches: list[Launch]) -> None:
        """Take in the runs of the folder and the launches without a folder as they stand."""

    @on(Chart.Hovered)
    def _link_crosshairs(self, event: Chart.Hovered) -> None:
        """Show the values under the mouse in every chart over the same axis."""
        for chart in self.query(Chart):
            if chart.spec is not None and chart.spec.x_label == event.chart.spec.x_label:
                chart.look_at(event.x)

    def on_screen_resume(self) -> None:
        """Take in what happened while another screen was on top."""
        self.set_class(self.app.projector, "-projector")
        self.show(self.app.runs, self.app.launcher.launches)

    def hand_over(self, method: Callable[..., None], *arguments: Any) -> None:
        """Call a method in the event loop, from a worker thread, unless the screen is left meanwhile."""
        if not get_current_worker().is_cancelled:
            self.app.call_from_thread(self.receive, method, *arguments)

    def receive(self, method: Callable[..., None], *arguments: Any) -> None:
        """Call a method that needs the parts of the screen, unless they are not composed yet or taken down."""
        if not (self.is_mounted and self.is_attached):
            return
        try:
            method(*arguments)
        except NoMatches as error:  # parts of a screen go one by one when it is taken down
            self.log(error)
