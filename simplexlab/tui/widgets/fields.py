"""The rows of a form."""

from textual.containers import VerticalScroll


class Fields(VerticalScroll, can_focus=False, inherit_bindings=False):
    """The rows of a form, which scroll with the focus: ↑ ↓ move it, also where there are more rows than room."""
