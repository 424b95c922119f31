"""Tables that several commands print: the statistics of a configuration, each beside its optimum."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from rich.cells import cell_len, chop_cells, set_cell_size
from rich.console import Console, ConsoleOptions
from rich.segment import Segment
from rich.style import Style
from rich.table import Table

from simplexlab import text
from simplexlab.text import one_line, printable

if TYPE_CHECKING:
    from simplexlab.geometry import Statistic

POLICIES = {"head": "own head", "class-means": "class means", "probe": "linear probe"}


def console() -> Console:
    """The console for results: stdout, 80 columns wide where it is not a terminal."""
    printer = text.console()
    return printer if printer.is_terminal else text.console(width=max(80, printer.width))


class Column(NamedTuple):
    """A column of a `LongTable`.

    Attributes:
        heading: what stands above it.
        right: its cells stand at its right edge.
        most: of a cell that is wider the end is cut.
    """

    heading: str
    right: bool = False
    most: int = 80


class LongTable:
    """A table of thousands of rows, which rich's own takes seconds to lay out; it fits the terminal.

    Args:
        columns: its columns.
        folds: which of them takes the width that the others leave; a cell that is longer goes on in the next line.
        rows: a cell for each column, a row.
        styles: style of the first cell of each row.
    """

    NARROWEST = 12  # of the column that folds

    def __init__(self, columns: Sequence[Column], folds: int, rows: Iterable[Sequence[str]], styles: Iterable[str]):
        self.columns, self.folds = columns, folds
        self.rows = [[column.heading for column in columns], *([_clean(cell) for cell in row] for row in rows)]
        self.styles = ["bold", *styles]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        gap = " " * (2 if options.max_width >= 110 else 1)  # at 80, so that the default names need no second line
        widths = [max(map(cell_len, cells)) for cells in zip(*self.rows, strict=True)]
        widths = [min(width, column.most) for width, column in zip(widths, self.columns, strict=True)]
        others = sum(widths) - widths[self.folds] + len(gap) * (len(widths) - 1)
        room = widths[self.folds] = min(widths[self.folds], max(options.max_width - others, self.NARROWEST))
        indent = " " * (sum(widths[: self.folds]) + len(gap) * self.folds)
        bold, *styles = map(Style.parse, self.styles)
        for row, style in zip(self.rows, (bold, *styles), strict=True):
            first, *more = chop_cells(row[self.folds], room) or [""]
            cells = [*row[: self.folds], first, *row[self.folds + 1 :]]
            start, *rest = map(_fitted, cells, widths, [column.right for column in self.columns])
            yield Segment(start, style)
            yield Segment(gap + gap.join(rest).rstrip(), bold if style is bold else None)
            yield Segment.line()
            for line in more:
                yield Segment(indent + line)
                yield Segment.line()


def _clean(cell: str) -> str:
    return cell if cell.isascii() and cell.isprintable() else one_line(printable(cell))


def _fitted(cell: str, width: int, right: bool) -> str:
    spaces = width - cell_len(cell)
    if spaces < 0:
        return f"{set_cell_size(cell, width - 1)}…"
    return " " * spaces + cell if right else cell + " " * spaces


def statistics_table(record: dict[str, Any], title: str | None = None, rows: "Iterable[Statistic]" = ()) -> Table:
    """The statistics of one evaluation beside their values at the simplex and, for a ReLU encoder, at its own optimum.

    With a projection head the encoder's, which are kept, and the head's, which the loss sees, stand side by side in the
    place of the quantiles.

    Args:
        record: a metrics line, or `Statistics.to_dict()`.
        title: title of the table.
        rows: the rows of the catalogue; by default those of this process.
    """
    from simplexlab import geometry

    projection = record.get("projection")
    relu = "ReLU optimum" if projection is None else "frame"
    exists = record["num_classes"] <= record["dimension"] + 1
    columns = {"simplex": geometry.optimum(record["num_classes"]) if exists else {}}
    name = record.get("optimum_name")
    if isinstance(record.get("optimum"), dict) and name != "simplex":
        heading = relu if name == "orthogonal frame" else "optimum"
        columns[heading] = record["optimum"]
    elif record.get("nonnegative", False):
        columns[relu] = geometry.optimum(record["num_classes"], "nonnegative")
    if projection is not None and projection.get("optimum_name") != "simplex":
        columns["best head"] = projection.get("optimum") or {}
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    table.add_column("statistic")
    for heading in (*(("value", "5–95 %") if projection is None else ("encoder", "head")), *columns):
        table.add_column(heading, justify="right")
    for statistic in rows or geometry.CATALOGUE.values():
        value = record.get(statistic.key)
        if value is None:
            continue
        beside = ""
        if projection is not None:
            seen = projection.get(statistic.key)
            seen = seen["mean"] if isinstance(seen, dict) else seen
            beside = "none" if seen is None else f"{seen:.4f}"
        elif isinstance(value, dict):
            beside = f"{value['q05']:.4f}–{value['q95']:.4f}"
        value = value["mean"] if isinstance(value, dict) else value
        optimal = [optima.get(statistic.key) for optima in columns.values()]
        shown = ["none" if one is None else f"{one:.4f}" for one in optimal]
        table.add_row(statistic.label, f"{value:.4f}", beside, *shown)
    return table


def growth_tables(panel: dict[str, Any]) -> Iterator[Table]:
    """The tables of one panel of `simplexlab.sweep.curves.time_to_fit`."""
    from simplexlab.sweep.curves import tables

    for made in tables(panel):
        table = Table(box=None, pad_edge=False, title=made.title, title_justify="left")
        table.add_column(made.headings[0], overflow="fold")
        for heading in made.headings[1:]:
            table.add_column(heading, justify="right", overflow="fold")  # no digit is left out
        for row in made.rows:
            table.add_row(*row)
        yield table


def loss_words(loss: float | None, bound: float | None, excess: float | None) -> str:
    """Loss, bound and excess in one line; without a floor the loss alone."""
    if loss is None:
        return "no loss was recorded"
    return f"loss {loss:.6g}" + ("" if bound is None else f", bound {bound:.6g}, excess {excess:.4g}")


def print_result(result: dict[str, Any], folder: Path) -> None:
    """Print the summary of a run: errors, time to fit, loss against its bound, statistics, where its folder is."""
    from simplexlab.geometry.catalogue import rows_of
    from simplexlab.runs import read_run

    out = console()
    head = Table(box=None, show_header=False, pad_edge=False)
    for name, value in summary_rows(result):
        head.add_row(name, value)
    out.print(head)
    if "class_mean_similarity" in result:
        out.print()
        out.print(statistics_table(result, rows=rows_of(read_run(folder).config)))
    out.print(f"\nRun folder: {folder}", soft_wrap=True)


def summary_rows(result: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The lines above the statistics: state, errors by each classifier, time to fit, loss against its bound."""
    yield (
        "run",
        f"{result['run']} ({result['state']} after {result['iterations']} iterations, {result['seconds']:.1f} s)",
    )
    if result.get("evaluated_at") not in (None, result["iterations"]):
        yield "numbers below", f"of the last evaluation, after {result['evaluated_at']} iterations"
    for policy, label in POLICIES.items():
        key = policy.replace("-", "_")
        if result.get(f"train_error_{key}") is not None:
            test = result.get(f"test_error_{key}")
            tail = "" if test is None else f", test {test:.2%}"
            yield f"error by {label}", f"train {result[f'train_error_{key}']:.2%}{tail}"
    yield "time to fit", time_to_fit(result)
    if result.get("final_loss") is not None:
        of = "" if result.get("projection") is None else ", of the head's output"
        yield "loss", f"{result['final_loss']:.6g}{of}"
    if result.get("final_loss") is not None and result.get("bound") is None:
        yield "bound", "none is known for this objective"
    elif result.get("final_loss") is not None:
        yield "bound", bound_words(result)
    if result.get("excess") is not None:
        yield "excess over it", excess_words(result, digits=4)
    if result.get("free_bound") is not None and result.get("gap_architecture") is not None:
        words = f"{result['gap_architecture']:.4g} of the bound: without the ReLU it is {result['free_bound']:.6g}"
        yield "cost of the ReLU", words


def time_to_fit(result: dict[str, Any]) -> str:
    """When the given labels were fitted, and by which classifier that is judged."""
    judged = f"by {POLICIES.get(result['fit_policy'], result['fit_policy'])}"
    if result["tolerance"]:
        judged += f", train error ≤ {result['tolerance']:.2%}"
    if result["time_to_fit"] is None:
        return f"not within {result['iterations']} iterations, {judged}"
    lower = result["fit_lower"]
    between = "" if lower is None else f" (after {lower}, by {result['time_to_fit']})"
    return f"{result['time_to_fit']} iterations{between}, {judged}"


def excess_words(result: dict[str, Any], digits: int = 3) -> str:
    """Loss less bound, its standard error where it has one, and what of it is above the best known configuration."""
    error, best = result.get("excess_standard_error"), result.get("bound_best_known")
    text = f"{result['excess']:.{digits}g}" + ("" if error is None else f" ± {error:.2g}")
    if best is None:
        return text
    return f"{text}; {result['excess'] + result['bound'] - best:.{digits}g} over the best known"


def bound_words(result: dict[str, Any], digits: int = 6) -> str:
    """The bound, whether it is exact for the run, and if not by how much it may be off."""
    bound, certificate = result["bound"], result.get("bound_certificate")
    text = f"{bound:.{digits}g}"
    if result.get("bound_best_known") is not None:
        best = f"{result['bound_best_known']:.{digits}g}"
        return f"{text}, not attained in so few dimensions; the best known there has {best}"
    if result.get("bound_attained") is False:
        return f"{text}, proven; no configuration of this dimension is known to take it"
    if result.get("optimum_is_unique") is False and result.get("bound_is_exact"):
        return f"{text}, exact for these labels and norms; class means at other angles take it, too"
    if result.get("bound_is_exact"):
        return f"{text}, exact for these labels and norms"
    if certificate is not None and bound - certificate > 1e-6 * abs(bound):
        return f"between {certificate:.6g} (proven) and {text} (reached)"
    return f"{text}, approximate: representations of unequal norm"
