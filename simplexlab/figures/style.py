"""What all figures share: colours, styles, and how a picture is saved with its numbers and caption."""

import contextlib
import math
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from matplotlib.transforms import Bbox

from simplexlab.files import replacing
from simplexlab.runs.folder import encode

# Okabe & Ito's palette, told apart with every common kind of colour blindness; its yellow is too pale for points.
CLASS_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
THEORY_COLOR = "#222222"
MUTED_COLOR = "#767676"
PALE_COLOR = "#BBBBBB"
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
THEORY_LINE = {"color": THEORY_COLOR, "linestyle": (0, (4, 2)), "zorder": 2.5}

Style = Literal["print", "projector"]
# `figure.figsize` holds a scale for the sizes that figures ask for in `new_figure`.
_SCALES = {"print": 1.0, "projector": 1.5}
_COMMON = {
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlelocation": "left",
    "axes.grid": False,
    "legend.frameon": False,
    "font.family": "DejaVu Sans",
    "mathtext.fontset": "dejavusans",
    "svg.hashsalt": "simplexlab",
    "svg.fonttype": "path",
}
_STYLES: dict[str, dict[str, Any]] = {
    "print": {
        "font.size": 8.0,
        "axes.titlesize": 9.0,
        "figure.titlesize": 11.0,
        "lines.linewidth": 1.4,
        "lines.markersize": 4.5,
        "savefig.dpi": 300,
    },
    "projector": {
        "font.size": 15.0,
        "axes.titlesize": 16.0,
        "figure.titlesize": 20.0,
        "lines.linewidth": 2.6,
        "lines.markersize": 8.0,
        "axes.linewidth": 1.4,
        "xtick.major.width": 1.4,
        "ytick.major.width": 1.4,
        "savefig.dpi": 150,
    },
}


@contextmanager
def styled(style: Style) -> Iterator[None]:
    """Draw and save within this context: `print` for a page of 7 inches, `projector` with larger letters and lines."""
    with matplotlib.rc_context({**_COMMON, **_STYLES[style], "figure.figsize": (_SCALES[style], _SCALES[style])}):
        yield


def new_figure(width: float, height: float, title: str) -> Figure:
    """A figure of a size in inches on the printed page, with constrained layout and a title."""
    figure = Figure(figsize=(width * scale(), height * scale()), layout="constrained")
    figure.get_layout_engine().set(h_pad=0.06 * scale(), w_pad=0.06 * scale())
    figure.suptitle(title, x=0.01, ha="left", fontweight="bold")
    return figure


def scale() -> float:
    """Inches of a figure for an inch on the printed page."""
    return matplotlib.rcParams["figure.figsize"][0]


def class_color(label: int) -> str:
    """The colour of a class."""
    return CLASS_COLORS[label % len(CLASS_COLORS)]


def thin() -> float:
    """The width of a line that stands back."""
    return 0.6 * matplotlib.rcParams["lines.linewidth"]


def draw_disc(axes: Axes, limit: float) -> None:
    """Prepare axes for points in the plane: the unit circle, equal units, ticks on it."""
    axes.add_patch(Circle((0, 0), 1, facecolor="none", edgecolor=PALE_COLOR, linewidth=thin(), zorder=0.5))
    ticks = (-1, 0, 1) if limit < 1.6 else (-1, 1)
    axes.set(xlim=(-limit, limit), ylim=(-limit, limit), aspect="equal", xticks=ticks, yticks=ticks)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.tick_params(length=2, color=PALE_COLOR, labelcolor=MUTED_COLOR)


def scientific(value: float) -> str:
    """A number in two digits: 4.4, 0.16, 7.3·10⁻⁵; what is not above 0 (rounding) is 0."""
    if value <= 0:
        return "0"
    digits, exponent = f"{value:.1e}".split("e")
    return f"{value:.2g}" if -3 < int(exponent) < 3 else f"{digits}·10{str(int(exponent)).translate(SUPERSCRIPTS)}"


def save_figure(figure: Figure, stem: Path, numbers: dict[str, Any], caption: str) -> list[Path]:
    """Save a figure as PNG and SVG, with its caption below it, and its numbers as JSON.

    The files depend on the figure, the numbers and the version of matplotlib alone.

    Args:
        figure: drawn under `styled`, which must still be in force.
        stem: path without a suffix; its folder is made if it is missing.
        numbers: what was plotted; `caption` is added. Numbers that are not finite become null.
        caption: one paragraph.

    Returns:
        The paths of the three files.

    Raises:
        OSError: they cannot be written there; earlier ones are untouched.
    """
    size = matplotlib.rcParams["font.size"]
    points_wide = figure.get_figwidth() * 72
    figure.text(
        0.01,
        -0.02,
        "\n".join(textwrap.wrap(caption, int(points_wide / (0.52 * size)))),
        va="top",
        ha="left",
        fontsize=size,
        color="#444444",
        parse_math=False,  # a $ in the name of a file is a $
    )
    stem = Path(stem)
    png, svg, record = (stem.with_name(f"{stem.name}.{suffix}") for suffix in ("png", "svg", "json"))
    text, _ = encode({**numbers, "caption": caption})
    page = _lay_out(figure)
    with contextlib.ExitStack() as stack:  # all three take their places at its end, or none does
        stack.enter_context(_made(stem.parent))
        for path, metadata in ((png, {"Software": "simplexlab"}), (svg, {"Date": None, "Creator": "simplexlab"})):
            temporary = stack.enter_context(replacing(path))
            figure.savefig(temporary, bbox_inches=page, metadata=metadata, facecolor="white")
        stack.enter_context(replacing(record)).write_text(text + "\n", encoding="utf-8", errors="replace")
    return [png, svg, record]


def _lay_out(figure: Figure) -> Bbox:
    """Give everything in a figure its place, once for all files, and return the page around it, in inches."""
    before = figure.dpi
    figure.dpi = matplotlib.rcParams["savefig.dpi"]
    figure.draw_without_rendering()
    page = figure.get_tightbbox().padded(0.1)
    figure.dpi = before
    figure.set_layout_engine("none")
    return page


@contextmanager
def _made(folder: Path) -> Iterator[None]:
    """Make a folder for the block; if it raises, what was made and holds nothing goes again."""
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:
        with contextlib.suppress(OSError):
            for one in missing:
                one.rmdir()
        raise


def power_of_ten(value: float, position: int | None = None) -> str:
    """The label of a tick on a logarithmic axis: 10⁻³; quicker to set than matplotlib's own, which is a formula."""
    exponent = math.log10(value)
    whole = round(exponent)
    return f"10{str(whole).translate(SUPERSCRIPTS)}" if abs(exponent - whole) < 1e-9 else ""
