"""Help: the terms that the screens use, every loss and statistic, and the keys."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Markdown

from simplexlab import objectives
from simplexlab.geometry.catalogue import CATALOGUE
from simplexlab.tui.widgets.keys import Keys

TERMS = """
# Terms

**Representation** z: what the encoder makes of an image. **Class mean** μ: the mean representation of a class.
**Weights** w: the rows of the classifier, one a class.

**Regular simplex**: K points of equal length and equal angles, as far apart as can be, centred at 0 (K = 3: an
equilateral triangle; cosines −1/(K−1)). At the optimum of cross-entropy (CE) and of the supervised contrastive loss
(SC) every class has collapsed to one point, and these points form a regular simplex.

**Orthogonal frame**: K orthogonal directions. An encoder that ends in a **ReLU** has no negative numbers, so its
optimum is this frame, not the simplex. The difference in loss is the **ReLU floor**.

**Bound**: a value that is proven to be the least a loss can take for the labels, norms and dimension of the run; where
it cannot be taken, or norms differ, that stands beside it. **Excess**: loss − bound; 0 exactly at an optimum. The
excess of SC is the *paired* one: every batch less the value of the optimum on that batch's own labels.

**γ**, angular similarity: 1 for the same direction, 0.5 at a right angle, 0 for opposite directions.

**How far** (▰▰▱▱▱): the largest |γ − γ*| over all pairs of class means, γ* at the simplex or, under a ReLU, at the
orthogonal frame, or where labels are unbalanced at their own optimum, as a share of 1 − γ*. 0 % is the optimum; at
100 % two class means point the same way. The mean of γ says nothing of it: centring alone sets that. Some losses are
least at many angles, or it is not known where: then there is no bar, and the brackets in the picture are a guide.

**Gram matrix**: the cosines between class means. *Centred*: after the mean of the class means is taken away, which
turns an orthogonal frame into a simplex; *uncentred* shows what the ReLU does.

**Corruption** p: share of training labels that were changed. **Train error** is counted on these given labels, test
error on true ones. **Time to fit**: first evaluation without an error on the given labels (or at most the tolerance); a
run that ends before that is **censored** (hollow): all that is known is that its time to fit is longer.

**Configuration**: class means (digits), weights (+) and a sample of representations (dots), projected so that the
ideal simplex (brackets), turned and scaled to lie closest to the class means, looks like one. More than four classes
are a shadow of K − 1 dimensions. What is far from the eye is dimmer; thin lines are the way that class means have come.

**Events** on the slider: **½** excess halved, **f** fitted, **c** classes collapsed (mean γ within classes ≥ 0.995),
**m** a quarter of the flipped labels is predicted as given, **✗** diverged.

# In a browser

`simplexlab tui --web` is for one user on one computer. The address that it prints holds a token; whoever has it can
launch, stop and delete runs as you can. Without it every request is refused.
"""

KEYS = """
# Keys

| where | key | what it does |
|---|---|---|
| everywhere | `?` `q` `esc` | help, quit (runs go on), back |
| | `ctrl+p` | command palette: everything by name |
| | `T` `p` | light or dark, projector mode |
| | `E` `P` | save the screen as SVG, the chart as PNG |
| Runs | `enter` | open; `n` new run, `N` new run with these options |
| | `space` | mark; then `c` compare, `d` duel, `x` stop, `r` resume, `del` delete |
| | `/` `s` `S` | filter, sort by the next column, turn the order around |
| | `y` | copy the command that repeats the run |
| | `t` `l` | toy, lessons |
| Run, Duel, Toy | `,` `.` | one evaluation back, forward; also ← → on the slider, a click on a chart |
| | `[` `]` | the event before, the next |
| | `space` `backspace` | replay forwards, backwards |
| | `home` `end` | first, newest evaluation |
| | `a` `d` `w` `s` `o` | turn a configuration of three dimensions; let it turn by itself |
| Run | `1`…`8` `z` | choose a panel, enlarge it |
| | `v` `i` | another view of the panel; what to see in it |
| | `x` `R` `L` | stop, resume, log |
| Chart | `+` `-` `r` `g` | zoom in, out, show everything, logarithmic axis; arrows pan; wheel and drag do the same |
| Compare | `L` `v` | choose which runs are drawn, another statistic |
| Toy | `n` `tab` | new toy, older runs |
| New run | `ctrl+r` `ctrl+d` `ctrl+y` | launch, launch a duel, copy the command; ← → space in a row of words |
"""


def text() -> str:
    """The whole help, with every loss and statistic that there is."""
    losses = "\n".join(f"- **{one.title}** (`{one.name}`): {one.sentence}" for one in objectives.table().values())
    statistics = "\n".join(f"- **{row.label}**: {row.meaning}" for row in CATALOGUE.values())
    return f"{TERMS}\n# Losses\n\n{losses}\n\n# Statistics\n\n{statistics}\n{KEYS}"


class HelpScreen(ModalScreen[None]):
    """Explains terms and keys."""

    CSS = """
    HelpScreen { align: center middle; }
    HelpScreen > VerticalScroll { width: 100; max-width: 98%; height: 94%; padding: 0 1; }
    HelpScreen > VerticalScroll { border: round $accent; background: $surface; }
    """
    BINDINGS: ClassVar = [Binding("escape,question_mark,q", "dismiss", "Close")]

    def compose(self) -> ComposeResult:
        """The text, scrolled by arrows."""
        with VerticalScroll(can_focus=True):
            yield Markdown(text())
        yield Keys()

    def on_mount(self) -> None:
        """Focus the text, so that arrows scroll it."""
        self.query_one(VerticalScroll).focus()
