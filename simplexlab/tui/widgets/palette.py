"""Colours that people with any colour vision can tell apart, for dark and light backgrounds (after Okabe and Ito)."""

SERIES = {
    True: (
        "#56B4E9",
        "#E69F00",
        "#2FC79A",
        "#F0E442",
        "#E58BC0",
        "#FF7A3D",
        "#7FA8FF",
        "#C8C8C8",
        "#B3DE69",
        "#BC80BD",
    ),
    False: (
        "#0072B2",
        "#B35900",
        "#00795A",
        "#7A6A00",
        "#A3447A",
        "#C23B00",
        "#3B3BB3",
        "#555555",
        "#4E7A00",
        "#6A3D8A",
    ),
}
ROLES = {
    True: {"ideal": "#FFFFFF", "frame": "#F2B8D0", "muted": "#8A8A8A", "warning": "#FF5F5F", "crosshair": "#5FAFD7"},
    False: {"ideal": "#000000", "frame": "#99004C", "muted": "#777777", "warning": "#CC0000", "crosshair": "#005FAF"},
}
# Cosines from −1 over 0 to 1.
DIVERGING = {
    True: ((66, 146, 198), (38, 38, 38), (241, 163, 64)),
    False: ((33, 102, 172), (247, 247, 247), (178, 88, 6)),
}


def colour(name: int | str, dark: bool) -> str:
    """The hexadecimal colour of a series number, a role, or a colour of print, which is lighter on a dark ground."""
    if isinstance(name, str) and name.startswith("#"):
        return _mixed(name, (255, 255, 255), 0.65) if dark else name
    if isinstance(name, int):
        return SERIES[dark][name % len(SERIES[dark])]
    return ROLES[dark][name]


GROUND = {True: (30, 30, 30), False: (240, 240, 240)}


def faded(ink: str, strength: float, dark: bool) -> str:
    """A hexadecimal colour, mixed with the ground: strength 1 is the colour itself, 0 the ground."""
    return _mixed(ink, GROUND[dark], strength)


def _mixed(ink: str, other: tuple[int, int, int], part: float) -> str:
    """A hexadecimal colour, of which a part is left and the rest is another."""
    own = (int(ink[place : place + 2], 16) for place in (1, 3, 5))
    mixed = (round(part * one + (1 - part) * two) for one, two in zip(own, other, strict=True))
    return "#{:02X}{:02X}{:02X}".format(*mixed)


def diverging(value: float, dark: bool) -> tuple[int, int, int]:
    """Red, green and blue of a value in [−1, 1]."""
    low, middle, high = DIVERGING[dark]
    end = high if value > 0 else low
    part = min(abs(value), 1.0)
    return tuple(round(a + (b - a) * part) for a, b in zip(middle, end, strict=True))
