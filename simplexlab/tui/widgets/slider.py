"""The time slider: chooses the evaluation that is shown, or follows the newest."""

from collections.abc import Iterable
from typing import ClassVar

from rich.text import Text
from textual.binding import Binding
from textual.events import MouseDown, MouseMove, MouseUp
from textual.message import Message
from textual.reactive import reactive
from textual.widgets import Static

from simplexlab.tui.views.events import Event

FRAME_SECONDS = 0.2


class TimeSlider(Static, can_focus=True):
    """A row of evaluations; `position` is the chosen one, None the newest. A click or a drag goes to the mouse."""

    ALLOW_SELECT = False
    DEFAULT_CSS = """
    TimeSlider { height: 1; padding: 0 1; }
    TimeSlider:focus { background: $boost; }
    """

    BINDINGS: ClassVar = [
        Binding("left", "step(-1)", "Back", show=False),
        Binding("right", "step(1)", "Forward", show=False),
    ]

    class Moved(Message):
        """Another evaluation was chosen."""

    position: reactive[int | None] = reactive(None)
    playing = reactive(False)
    direction = 1

    def __init__(self, id: str | None = None):
        super().__init__(id=id)
        self.frames: list[int] = []
        self.events: list[Event] = []

    def on_mount(self) -> None:
        """Start the clock of the replay, paused."""
        self._clock = self.set_interval(FRAME_SECONDS, self._tick, pause=True)

    def follow(self, frames: list[int], events: Iterable[Event] = ()) -> None:
        """Take in the evaluations there are and what happened at them; the chosen one stays chosen."""
        if frames == self.frames and list(events) == self.events:
            return
        self.events = list(events)
        chosen = self.iteration if self.position is not None else None
        self.frames = frames
        if chosen is not None:
            self.position = frames.index(chosen) if chosen in frames else None
        self.refresh()

    @property
    def iteration(self) -> int | None:
        """Iteration that is shown; None if there is none."""
        if not self.frames:
            return None
        return self.frames[-1 if self.position is None else min(self.position, len(self.frames) - 1)]

    def action_step(self, by: int) -> None:
        """Go some evaluations forward or back."""
        self.playing = False
        self._go(by)

    def go_to(self, iteration: float) -> None:
        """Go to the evaluation nearest to an iteration."""
        if self.frames:
            self.playing = False
            position = min(range(len(self.frames)), key=lambda place: abs(self.frames[place] - iteration))
            self.position = None if position == len(self.frames) - 1 else position

    def jump(self, direction: int) -> None:
        """Go to the next event, or to the one before."""
        here = self.iteration
        places = sorted({self._frame_of(event) for event in self.events} - {here}) if here is not None else []
        places = [place for place in places if (place > here) == (direction > 0)]
        if places:
            self.go_to(places[0] if direction > 0 else places[-1])

    def _frame_of(self, event: Event) -> int:
        """The first recorded evaluation that shows an event."""
        return next((frame for frame in self.frames if frame >= event.iteration), self.frames[-1])

    def action_first(self) -> None:
        """Go to the first evaluation."""
        self.position = 0 if self.frames else None

    def action_newest(self) -> None:
        """Follow the newest evaluation."""
        self.playing = False
        self.position = None

    def play(self, direction: int = 1) -> None:
        """Start to replay forwards or backwards; stop if that is what happens now."""
        if self.playing and direction == self.direction:
            self.playing = False
            return
        self.direction = direction
        at_end = self.position is None or self.position >= len(self.frames) - 1
        if direction > 0 and at_end:
            self.action_first()
        self.playing = bool(self.frames)

    def watch_playing(self) -> None:
        """Start or stop the clock."""
        if self.is_mounted:
            self._clock.resume() if self.playing else self._clock.pause()
            self.refresh()

    def watch_position(self) -> None:
        """Tell the screen."""
        self.refresh()
        self.post_message(self.Moved())

    def on_mouse_down(self, event: MouseDown) -> None:
        """Go to where the row was pressed, and follow the mouse from there."""
        if event.button == 1 and self._go_to_column(event.x, within=True):
            self.capture_mouse()

    def on_mouse_move(self, event: MouseMove) -> None:
        """Follow the mouse while it drags."""
        if self.app.mouse_captured is self:
            self._go_to_column(event.x)

    def on_mouse_up(self, event: MouseUp) -> None:
        """End of a drag."""
        self.release_mouse()

    def _go_to_column(self, column: int, within: bool = False) -> bool:
        """Go to the evaluation at a column of the widget; False where `within` is asked for and it is off the track."""
        start, width = self._track()
        place = column - self.gutter.left - start
        if not self.frames or width < 2 or (within and not 0 <= place < width):
            return False
        self.playing = False
        last = len(self.frames) - 1
        position = round(min(max(place / (width - 1), 0.0), 1.0) * last)
        self.position = None if position == last else position
        return True

    def _tick(self) -> None:
        before = self.position
        self._go(self.direction)
        if self.position in (before, None, 0):
            self.playing = False

    def _go(self, by: int) -> None:
        if not self.frames:
            return
        last = len(self.frames) - 1
        target = (last if self.position is None else self.position) + by
        self.position = None if target > last else max(target, 0)

    def _track(self) -> tuple[int, int]:
        return 18, max(self.content_size.width - 18 - max(8, len(self._tail())), 1)

    def _tail(self) -> str:
        """What is shown: the newest, or which of all; and what happened there."""
        if not self.frames:
            return ""
        last = len(self.frames) - 1
        place = " newest" if self.position is None else f" {min(self.position, last) + 1}/{last + 1}"
        words = [event.words for event in self.events if self._frame_of(event) == self.iteration]
        return f"{place} {', '.join(words)}" if words and self.content_size.width >= 70 else place

    def render(self) -> Text:
        """Iteration, track with its events, whether the newest is followed."""
        if not self.frames:
            return Text("no geometry was recorded yet", style="dim")
        start, width = self._track()
        last = len(self.frames) - 1
        at = last if self.position is None else min(self.position, last)
        place = self._column(at, width)
        sign = "▶" if self.playing and self.direction > 0 else "◀" if self.playing else "‖"
        track = list("━" * place + "●" + "─" * (width - 1 - place))
        for event in self.events:
            column = self._column(self.frames.index(self._frame_of(event)), width)
            if column != place:
                track[column] = event.sign
        text = Text(f"{sign} iteration {self.iteration}".ljust(start)[:start] + "".join(track) + self._tail())
        text.no_wrap = True
        return text

    def _column(self, position: int, width: int) -> int:
        last = len(self.frames) - 1
        return round(position / last * (width - 1)) if last else width - 1
