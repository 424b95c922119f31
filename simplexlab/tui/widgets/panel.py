"""Panels: a picture with its legend and one line that says what it means; tabs where there is no room for all."""

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.containers import Container, Grid, Vertical, VerticalScroll
from textual.events import DescendantFocus, Resize
from textual.reactive import reactive
from textual.widget import Widget
from textual.widgets import Static, Tab, Tabs

from simplexlab.tui.views.charts import Spec
from simplexlab.tui.widgets.meaning import Meaning

WIDE, HIGH = 100, 30
AROUND = 3  # rows of a screen beside its panels


class Panel(Vertical):
    """A picture with its legend under a title, and one line that says what it means.

    Args:
        title: Title in the border.
        body: The widget that draws; one with `show(spec)` is a picture and can be exported.
        tab: Short name for its tab.
        said: Whether there is room for its meaning.
    """

    DEFAULT_CSS = """
    Panel { border: round $foreground 30%; border-title-color: $text-accent; padding: 0; height: 1fr; width: 1fr; }
    Panel:focus-within { border: round $accent; }
    Panel > .meaning { color: $text-muted; }
    """

    def __init__(
        self,
        title: str,
        body: Widget,
        *,
        id: str,
        tab: str | None = None,
        classes: str | None = None,
        said: bool = True,
    ):
        super().__init__(id=id, classes=classes)
        self.said = said
        self.border_title = title
        self.tab = tab or title
        self.body = body
        self.meaning = ""

    def compose(self) -> ComposeResult:
        """The picture, the meaning."""
        yield self.body
        if self.said:
            yield Meaning(classes="meaning")

    @property
    def spec(self) -> Spec | None:
        """What is drawn, None for a panel of text."""
        return getattr(self.body, "spec", None)

    def show(self, spec: Spec, meaning: str = "", title: str = "") -> None:
        """Draw a description with its meaning, under a title of its own or the description's."""
        self.entitle(title or spec.title)
        self.body.show(spec)
        self.explain(meaning)

    def entitle(self, title: str) -> None:
        """Change the title; one that stays is not painted again, and the panel with it."""
        if title != self.border_title:
            self.border_title = title

    def explain(self, meaning: str) -> None:
        """Say what the panel means now."""
        if self.said and meaning != self.meaning:
            self.meaning = meaning
            self.query_one(Meaning).say(meaning)


class Facts(VerticalScroll):
    """Lines of text that can be scrolled; a new layout is made only when their number changes."""

    DEFAULT_CSS = """
    Facts { height: 1fr; padding: 0 1; }
    Facts > Static { height: auto; }
    """

    def compose(self) -> ComposeResult:
        """The text."""
        yield Static(markup=False)

    def on_mount(self) -> None:
        """Nothing is said yet."""
        self._text = Text()

    def say(self, text: Text) -> None:
        """Show other lines."""
        if text != self._text:
            self.query_one(Static).update(text, layout=text.plain.count("\n") != self._text.plain.count("\n"))
            self._text = text


class Panels(Container):
    """Panels in a grid; one at a time under tabs where there is little room, or when one is enlarged.

    Args:
        panels: In the order of their numbers.
        projected: Those that stay in projector mode.
    """

    DEFAULT_CSS = """
    Panels { height: 1fr; }
    Panels > Tabs { height: 2; }
    Panels > Grid { grid-size: 3; grid-gutter: 0; height: 1fr; }
    Panels.-single > Grid { grid-size: 1; }
    Panels.-single .meaning { height: 2; }
    Panels.-single Panel { display: none; }
    Panels.-single Panel.-active { display: block; row-span: 1; column-span: 1; }
    """

    enlarged = reactive(False)
    active = reactive("")

    def __init__(self, *panels: Panel, id: str | None = None, projected: tuple[str, ...] = ()):
        super().__init__(id=id)
        self.panels = panels
        for panel in panels:
            panel.set_class(panel.id in projected, "-projected")
        self.set_reactive(Panels.active, panels[0].id)

    def compose(self) -> ComposeResult:
        """The tabs and the grid."""
        tabs = Tabs(*(Tab(f"{n} {panel.tab}", id=f"tab-{panel.id}") for n, panel in enumerate(self.panels, start=1)))
        # As it will be, as far as can be told now: every change of layout paints the whole screen again.
        width, height = self.app.size
        tabs.display = width < WIDE or height - AROUND < HIGH
        self.set_class(tabs.display, "-single")
        yield tabs
        with Grid():
            yield from self.panels

    def on_mount(self) -> None:
        """Arrange for the first size."""
        self._arrange()

    def on_resize(self, event: Resize) -> None:
        """Arrange for the new size."""
        self._arrange()

    def watch_enlarged(self) -> None:
        """Arrange when a panel is enlarged or put back."""
        self._arrange()

    def watch_active(self) -> None:
        """Show the chosen panel, and the keys that it has."""
        self._arrange()
        if self.is_mounted:
            self.screen.refresh_bindings()

    @property
    def panel(self) -> Panel:
        """The panel that is shown alone, or was focused last."""
        return next(panel for panel in self.panels if panel.id == self.active)

    @property
    def single(self) -> bool:
        """Whether one panel is shown at a time."""
        return self.enlarged or self.size.width < WIDE or self.size.height < HIGH

    def choose(self, index: int) -> None:
        """Show, or in the grid focus, a panel by its number from 0."""
        if index < len(self.panels):
            self.active = self.panels[index].id
            if not self.single:
                self.panels[index].body.focus()

    @on(Tabs.TabActivated)
    def _tab(self, event: Tabs.TabActivated) -> None:
        event.stop()
        self.active = event.tab.id.removeprefix("tab-")

    @on(DescendantFocus)
    def _focused(self, event: DescendantFocus) -> None:
        for panel in self.panels:
            if panel in event.widget.ancestors_with_self:
                self.active = panel.id

    def _arrange(self) -> None:
        if not self.is_mounted or not self.size.width:
            return
        single = self.single
        self.set_class(single, "-single")
        tabs = self.query_one(Tabs)
        tabs.display = single
        if single and tabs.active != f"tab-{self.active}":
            tabs.active = f"tab-{self.active}"
        for panel in self.panels:
            panel.set_class(panel.id == self.active, "-active")
