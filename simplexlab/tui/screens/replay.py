"""What the screens with a time slider have in common: its keys and its actions."""

from textual.binding import Binding

from simplexlab.tui.screens.base import FollowingScreen
from simplexlab.tui.widgets.slider import TimeSlider

SLIDER_KEYS = (
    Binding("comma", "step(-1)", "Step", key_display=", ."),
    Binding("full_stop", "step(1)", "Step", show=False),
    Binding("space", "play(1)", "Play"),
    Binding("backspace", "play(-1)", "Play back", show=False),
    Binding("home", "first", "First", show=False),
    Binding("end", "newest", "Newest"),
    Binding("left_square_bracket", "jump(-1)", "Event", key_display="[ ]"),
    Binding("right_square_bracket", "jump(1)", "Event", show=False),
)


class ReplayScreen(FollowingScreen):
    """A screen that shows the evaluation at which its slider stands."""

    @property
    def slider(self) -> TimeSlider:
        """The time slider."""
        return self.query_one(TimeSlider)

    def action_step(self, by: int) -> None:
        """Go some evaluations forward or back."""
        self.slider.action_step(by)

    def action_jump(self, direction: int) -> None:
        """Go to the next event, or to the one before."""
        self.slider.jump(direction)

    def action_play(self, direction: int) -> None:
        """Replay forwards or backwards."""
        self.slider.play(direction)

    def action_first(self) -> None:
        """Go to the first evaluation."""
        self.slider.action_first()

    def action_newest(self) -> None:
        """Follow the newest evaluation."""
        self.slider.action_newest()
