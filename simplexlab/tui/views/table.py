"""The rows of the table of runs, and the lines that describe one run."""

import shlex
from functools import partial
from typing import Any

import numpy as np
from rich.text import Text

from simplexlab.dataset_name import dataset_title
from simplexlab.geometry.catalogue import rows_of
from simplexlab.objectives import of_run
from simplexlab.runs import Run, summarise
from simplexlab.tui.views.charts import number
from simplexlab.tui.views.records import (
    age,
    bar,
    column,
    duration,
    experiment_of,
    how_far,
    key_of,
    kind_of,
    options_line,
    projection_of,
    reached,
    repeat_command,
    tolerance,
    value,
)

STATE_SIGNS = {
    "queued": ("…", "muted"),
    "starting": ("…", "muted"),
    "running": ("▶", "running"),
    "stopped": ("■", "muted"),
    "finished": ("✓", "good"),
    "diverged": ("✗", "bad"),
    "failed": ("✗", "bad"),
    "missing": ("?", "bad"),
    "unknown version": ("?", "bad"),
}
STYLES = {"muted": "dim", "running": "bold cyan", "good": "green", "bad": "bold red"}
COLUMNS = {
    "mark": " ",
    "state": "state",
    "name": "name",
    "dataset": "dataset",
    "loss": "loss",
    "corrupt": "p",
    "progress": "iteration",
    "train_error": "error",
    "error_curve": "error curve",
    "excess": "excess",
    "excess_curve": "excess curve",
    "far": "how far",
    "fit": "fit",
    "age": "age",
}
CURVES = {"error_curve": ("train_error", False), "excess_curve": ("excess", True)}  # key, whether in powers of ten
MIDDLE_COLUMNS = tuple(column for column in COLUMNS if column not in CURVES)
NARROW_COLUMNS = tuple(column for column in MIDDLE_COLUMNS if column != "dataset")
NARROW_CURVES = tuple(column for column in COLUMNS if column != "dataset")  # where there is a little more room
NARROW_NAMES = {
    "progress": "iter.",
    "train_error": "error",
    "error_curve": " curve",
    "excess_curve": " curve",
    "far": "far",
}
SORTABLE = ("age", "name", "state", "loss", "corrupt", "progress", "train_error", "excess", "far", "fit")
LONGEST_DATASET, LONGEST_LOSS = 12, 14
SPARKS = "▁▂▃▄▅▆▇█"
SPARK_WIDTH = 8


def cells(run: Run, marked: bool, narrow: bool, room: int = 80) -> dict[str, Text]:
    """One row of the table, by column, names in so much room; its numbers are those of `simplexlab runs`."""
    row = summarise(run)
    sign, style = STATE_SIGNS.get(row["state"], ("?", "bad"))
    dataset = dataset_title(str(row["dataset"] or row["kind"] or "–"))
    far = how_far(run.metrics)
    texts = {
        "mark": Text("●" if marked else " "),
        "state": Text(f"{sign} {'version' if row['state'] == 'unknown version' else row['state']}", STYLES[style]),
        "name": Text(shortened(run.name, room)),
        "dataset": Text(shortened(dataset, LONGEST_DATASET)),
        "loss": Text(shortened(of_run(run.config).name, 8 if narrow else LONGEST_LOSS) if row["loss"] else "–"),
        "corrupt": Text("–" if row["corrupt"] is None else f"{row['corrupt']:g}"),
        "progress": Text(progress(run, 3 if narrow else 10)),
        "train_error": Text("–" if row["train_error"] is None else f"{row['train_error']:.1%}", justify="right"),
        "excess": Text(number(row["excess"]), justify="right"),
        "far": Text("–" if far is None else f"{far:.0%}" if narrow else f"{bar(far)} {far:4.0%}", justify="right"),
        "fit": Text(fit(run), justify="right"),
        "age": Text(duration(age(run)), justify="right"),
    }
    if narrow:  # there the table has no room for padding on both sides
        for text in texts.values():
            text.append(" ")
    return texts


def shortened(name: str, most: int) -> str:
    """A name in so many characters."""
    return name if len(name) <= most else name[: most - 1] + "…"


def spark(records: list[dict[str, Any]], key: str, log: bool) -> str:
    """A curve in a few characters, from its lowest to its highest value; in powers of ten where `log`."""
    _, y = column(records, key)
    y = y[np.isfinite(y) & ((y > 0) if log else True)]
    if len(y) < 2:
        return ""
    y = np.log10(y) if log else y
    y = y[np.linspace(0, len(y) - 1, min(SPARK_WIDTH, len(y))).round().astype(int)]
    low, high = (y.min(), y.max()) if log else (min(y.min(), 0.0), y.max())
    heights = ((y - low) / ((high - low) or 1.0) * (len(SPARKS) - 1)).round().astype(int)
    return "".join(SPARKS[height] for height in heights)


def progress(run: Run, width: int) -> str:
    """Iterations done as a bar and a number."""
    done, total = max(reached(run), 0), run.status.total
    full = round(width * min(done / total, 1.0)) if total > 0 else 0
    return "━" * full + "╌" * (width - full) + f" {done}"


def fit(run: Run) -> str:
    """Time to fit; ">N" where N iterations were not enough, "fitted" where a live run is fitted already."""
    row = summarise(run)
    if row["time_to_fit"] is not None:
        return str(row["time_to_fit"])
    if row["state"] in ("finished", "stopped") and row["fit_lower"] is not None:
        return f">{row['fit_lower']}"
    return "fitted" if row["train_error"] is not None and row["train_error"] <= tolerance(run) else "–"


def sort_key(run: Run, key: str) -> tuple:
    """Orders runs by a column; those without a value come last."""
    special = {"age": age, "far": lambda run: how_far(run.metrics)}
    columns = {"name": "run", "progress": "iteration", "fit": "time_to_fit"}
    found: Any = special[key](run) if key in special else summarise(run)[columns.get(key, key)]
    if found is None:
        return (1, 0.0, "", run.name)
    return (0, 0.0, found, run.name) if isinstance(found, str) else (0, float(found), "", run.name)


def matches(run: Run, words: str) -> bool:
    """Whether every word occurs in the name, state, kind, dataset, loss or corruption of a run."""
    row = summarise(run)
    text = " ".join(str(row[key]) for key in ("run", "state", "kind", "dataset", "loss", "corrupt")).lower()
    return all(word in text for word in words.lower().split())


def headline(run: Run, unreadable: int = 0, width: int = 140) -> Text:
    """Name, state, progress, loss and corruption in one line; and how many metrics lines could not be read."""
    sign, style = STATE_SIGNS.get(run.status.state, ("?", "bad"))
    text = Text(no_wrap=True, overflow="ellipsis")
    text.append(run.name, "bold")
    text.append(f"  {sign} {run.status.state}", STYLES[style])
    text.append(f"  {progress(run, 12 if width >= 100 else 4)} of {run.status.total}")
    options = experiment_of(run)
    if kind_of(run) == "toy":
        text.append(
            f"  {options.get('loss')} · {options.get('classes')} classes in {options.get('dimension')} dimensions"
        )
    elif options:
        corrupt = options.get("corrupt")
        share = f"{corrupt:g}" if isinstance(corrupt, int | float) else "–"
        title = of_run(run.config).name
        text.append(f"  {options.get('dataset')} · {title} · {'corruption' if width >= 100 else 'p'} {share}")
    if unreadable:
        text.append(f"  {unreadable} metrics lines are damaged", STYLES["bad"])
    if run.status.message:
        text.append(f"  {run.status.message}", STYLES["bad"] if style == "bad" else "dim")
    return text


def launch_facts(state: str, arguments: list[str], message: str | None) -> Text:
    """What a launch without a run is: its state, its command, its last words if it failed."""
    text = Text()
    _line(text, "state", f"{STATE_SIGNS[state][0]} {state}", STYLES[STATE_SIGNS[state][1]])
    _line(text, "command", shlex.join(["simplexlab", *arguments]))
    if message:
        _line(text, "last words", message, STYLES["bad"])
    return text


def _line(text: Text, name: str, words: str, style: str = "") -> None:
    text.append(f"{name:<15}", "dim")
    text.append(f"{words}\n", style)


def facts(run: Run, record: dict[str, Any] | None, log: list[str]) -> Text:
    """What a run is and what it reached, a line each; `log` are its last words where it failed."""
    text = Text()
    line = partial(_line, text)
    line("state", run.status.state + (f": {run.status.message}" if run.status.message else ""))
    line("options", options_line(run))
    if record is not None:
        line("at iteration", f"{record.get('iteration')}, after {duration(value(record, 'seconds'))}")
        for key, name in (
            ("loss", "loss"),
            ("bound", "bound"),
            ("free_bound", "without ReLU"),
            ("excess", "excess"),
        ):
            if value(record, key) is not None:
                line(name, f"{value(record, key):.6g}")
        for policy in ("head", "class_means", "probe"):
            train, test = value(record, f"train_error_{policy}"), value(record, f"test_error_{policy}")
            if train is not None:
                tail = "" if test is None else f", test {test:.2%}"
                line(f"by {policy.replace('_', ' ')}", f"train {train:.2%}{tail}")
        seen = projection_of(record)
        if seen is not None:
            line("kept · seen", "encoder's output · head's output, which the loss sees")
            for row in rows_of(run.config):
                pair = [value(side, key_of([side], row.key)) for side in (record, seen)]
                if None not in pair:
                    line(row.short, " · ".join(number(one, 4) for one in pair))
        for row in rows_of(run.config) if seen is None else ():
            if row.group in ("spread", "own") and (found := value(record, row.key)) is not None:
                line(row.short, number(found, 4))
        if value(record, "norms.mean") is not None:
            line("mean norm", number(value(record, "norms.mean"), 4))
    line("time to fit", fit(run))
    if command := repeat_command(run):
        line("repeat with", command)
    for words in log:
        line("last words", words, STYLES["bad"])
    return text
