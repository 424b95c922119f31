"""Help: the terms that the screens use, and the keys."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Footer, Markdown

TERMS = """
# Terms

**Representation** z: what the encoder makes of an image. **Class mean** μ: the mean representation of a class.
**Weights** w: the rows of the classifier, one a class.

**Regular simplex**: K points of equal length and equal angles, as far apart as can be, centred at 0 (K = 3: an
equilateral triangle; cosines −1/(K−1)). At the optimum of cross-entropy (CE) and of the supervised contrastive loss
(SC) every class has collapsed to one point, and these points form a regular simplex.

**Orthogonal frame**: K orthogonal directions. An encoder that ends in a **ReLU** has no negative numbers, so its
optimum is this frame, not the simplex. The difference in loss is the **ReLU floor**.

**Bound**: a value that is proven to be the least a loss can take. **Excess**: loss − bound; 0 exactly at the simplex.
The excess of SC is the *paired* one: every batch less the value of the simplex on that batch's own labels. A bound is
called approximate where labels are not balanced or no simplex fits the dimension.

**γ**, angular similarity: 1 for the same direction, 0.5 at a right angle, 0 for opposite directions. Between class
means it ends at the simplex value, within classes at 1.

**Gram matrix**: the cosines between class means. *Centred*: after the mean of the class means is taken away, which
turns an orthogonal frame into a simplex; *uncentred* shows what the ReLU does.

**Neural collapse**: **NC1** scatter within classes against scatter between them; **NC2** distance of the centred
class means from a simplex; **NC3** distance of the classifier from the class means; **NC4** share of points for which
the classifier and the nearest class mean disagree. All end at 0.

**Corruption** p: share of training labels that were changed. **Train error** is counted on these given labels, test
error on true ones. **Time to fit**: first evaluation without an error on the given labels; a run that ends before
that is **censored** (△): all that is known is that its time to fit is longer.

**Configuration**: class means (digits), weights (+) and a sample of representations (dots), projected so that the
ideal simplex (□), turned and scaled to lie closest to the class means, looks like one.

# In a browser

`simplexlab tui --web` is for one user on one computer. The address that it prints holds a token; whoever has it can
launch, stop and delete runs as you can. Without it every request is refused.

# Keys

| where | key | what it does |
|---|---|---|
| everywhere | `?` `q` `esc` | help, quit (runs go on), back |
| | `ctrl+p` | command palette |
| | `T` | light or dark |
| | `E` `P` | save the screen as SVG, the chart as PNG |
| Runs | `enter` | open; `n` new run, `N` new run with these options |
| | `space` | mark; then `c` compare, `x` stop, `del` delete |
| | `/` `s` `S` | filter, sort by the next column, turn the order around |
| | `y` | copy the command that repeats the run |
| | `t` `l` | toy, lessons |
| Run | `1`…`8` `z` | choose a panel, enlarge it |
| | `,` `.` | one evaluation back, forward; also ← → on the slider |
| | `space` `backspace` | replay forwards, backwards |
| | `home` `end` | first, newest evaluation |
| | `a` `d` `w` `s` | turn the configuration |
| Chart | `+` `-` `r` | zoom in, out, show everything; arrows pan; mouse wheel and drag do the same |
| Compare | `L` | choose which runs are drawn |
| Toy | `o` `v` | spin, loss instead of configuration; `tab` older runs |
| New run | `ctrl+r` `ctrl+y` | launch, copy the command; ← → space in a row of words |
"""


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
            yield Markdown(TERMS)
        yield Footer()

    def on_mount(self) -> None:
        """Focus the text, so that arrows scroll it."""
        self.query_one(VerticalScroll).focus()
