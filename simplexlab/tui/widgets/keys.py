"""The keys of a screen in one line, in two where they need them; a key is shown whole or not at all."""

from rich.text import Text
from textual.events import Mount, MouseDown, Resize
from textual.screen import Screen
from textual.widget import Widget

MOST_LINES = 2
LAST = ("q", "question_mark")  # never left out


class Keys(Widget):
    """What the keys do now, as the footer of a screen; a click presses a key."""

    ALLOW_SELECT = False
    DEFAULT_CSS = """
    Keys { dock: bottom; height: 1; background: $footer-background; color: $footer-foreground; }
    """

    def __init__(self):
        super().__init__()
        self._shown: list[list[tuple[str, str, str]]] = []

    def on_mount(self, event: Mount) -> None:
        """Follow what the screen can do."""
        self.screen.bindings_updated_signal.subscribe(self, self._update)
        self._update(self.screen)

    def on_resize(self, event: Resize) -> None:
        """Arrange for the new width."""
        self._update(self.screen)

    def _update(self, screen: Screen) -> None:
        if not self.is_attached or self.screen is not screen or not self.app.size.width:
            return
        found, seen = [], set()
        for active in screen.active_bindings.values():
            binding = active.binding
            if binding.show and binding.description and binding.action not in seen:
                seen.add(binding.action)
                found.append((self.app.get_key_display(binding), binding.description, binding.key))
        found.sort(key=lambda one: LAST.index(one[2]) if one[2] in LAST else -1)
        shown = self._arrange(found, self.app.size.width)
        if shown != self._shown:
            if max(len(shown), 1) != max(len(self._shown), 1):
                self.styles.height = max(len(shown), 1)
            self._shown = shown
            self.refresh()

    @staticmethod
    def _arrange(entries: list[tuple[str, str, str]], width: int) -> list[list[tuple[str, str, str]]]:
        """Entries in lines; where they do not fit, the last of those that may be left out go."""
        while True:
            lines: list[list[tuple[str, str, str]]] = []
            room = -1
            for entry in entries:
                need = len(entry[0]) + len(entry[1]) + 3
                if need > room:
                    lines.append([])
                    room = width
                lines[-1].append(entry)
                room -= need
            droppable = [entry for entry in entries if entry[2] not in LAST]
            if len(lines) <= MOST_LINES or not droppable:
                return lines[:MOST_LINES]
            entries = [entry for entry in entries if entry is not droppable[-1]]

    def render(self) -> Text:
        """The lines."""
        accent = self.app.theme_variables.get("footer-key-foreground", "")
        text = Text(no_wrap=True, overflow="crop")
        for index, line in enumerate(self._shown):
            if index:
                text.append("\n")
            for display, description, _ in line:
                text.append(f" {display}", f"bold {accent}".strip())
                text.append(f" {description} ")
        return text

    def on_mouse_down(self, event: MouseDown) -> None:
        """Press the key that was clicked."""
        start = 0
        for display, description, key in self._shown[event.y] if event.y < len(self._shown) else ():
            end = start + len(display) + len(description) + 3
            if start <= event.x < end:
                self.app.simulate_key(key.split(",")[0])
            start = end
