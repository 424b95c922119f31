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
    True: {"ideal": "#FFFFFF", "frame": "#F2B8D0", "muted": "#8A8A8A", "warning": "#FF5F5F"},
    False: {"ideal": "#000000", "frame": "#99004C", "muted": "#777777", "warning": "#CC0000"},
}
# Cosines from −1 over 0 to 1.
DIVERGING = {
    True: ((66, 146, 198), (38, 38, 38), (241, 163, 64)),
    False: ((33, 102, 172), (247, 247, 247), (178, 88, 6)),
}


def colour(name: int | str, dark: bool) -> str:
    """The hexadecimal colour of a series number or a role."""
    if isinstance(name, int):
        return SERIES[dark][name % len(SERIES[dark])]
    return ROLES[dark][name]


def diverging(value: float, dark: bool) -> tuple[int, int, int]:
    """Red, green and blue of a value in [−1, 1]."""
    low, middle, high = DIVERGING[dark]
    end = high if value > 0 else low
    part = min(abs(value), 1.0)
    return tuple(round(a + (b - a) * part) for a, b in zip(middle, end, strict=True))
