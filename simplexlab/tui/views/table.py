"""The rows of the table of runs, and the lines that describe one run."""

from typing import Any

from rich.text import Text

from simplexlab.dataset_name import dataset_title
from simplexlab.runs import Run, summarise
from simplexlab.tui.views.charts import number
from simplexlab.tui.views.records import (
    age,
    duration,
    experiment_of,
    kind_of,
    options_line,
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
    "excess": "excess",
    "fit": "fit",
    "age": "age",
}
NARROW_COLUMNS = ("mark", "state", "name", "loss", "corrupt", "progress", "train_error", "excess", "fit", "age")
SORTABLE = ("age", "name", "state", "loss", "corrupt", "progress", "train_error", "excess", "fit")


def cells(run: Run, marked: bool, narrow: bool) -> dict[str, Text]:
    """One row of the table, by column; its numbers are those of `simplexlab runs`."""
    row = summarise(run)
    sign, style = STATE_SIGNS.get(row["state"], ("?", "bad"))
    name = run.name if not narrow or len(run.name) <= 18 else run.name[:17] + "…"
    dataset = dataset_title(str(row["dataset"] or row["kind"] or "–"))
    texts = {
        "mark": Text("●" if marked else " "),
        "state": Text(f"{sign} {'version' if row['state'] == 'unknown version' else row['state']}", STYLES[style]),
        "name": Text(name),
        "dataset": Text(dataset[:16]),
        "loss": Text(row["loss"] or "–"),
        "corrupt": Text("–" if row["corrupt"] is None else f"{row['corrupt']:g}"),
        "progress": Text(progress(run, 5 if narrow else 10)),
        "train_error": Text("–" if row["train_error"] is None else f"{row['train_error']:.1%}", justify="right"),
        "excess": Text(number(row["excess"]), justify="right"),
        "fit": Text(fit(run), justify="right"),
        "age": Text(duration(age(run)), justify="right"),
    }
    if narrow:  # there the table has no room for padding on both sides
        for text in texts.values():
            text.append(" ")
    return texts


def progress(run: Run, width: int) -> str:
    """Iterations done as a bar and a number."""
    done, total = max(run.status.iteration, 0), run.status.total
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
    row = summarise(run)
    columns = {"name": "run", "progress": "iteration", "fit": "time_to_fit"}
    found: Any = age(run) if key == "age" else row[columns.get(key, key)]
    if found is None:
        return (1, 0.0, "", run.name)
    return (0, 0.0, found, run.name) if isinstance(found, str) else (0, float(found), "", run.name)


def matches(run: Run, words: str) -> bool:
    """Whether every word occurs in the name, state, kind, dataset, loss or corruption of a run."""
    row = summarise(run)
    text = " ".join(str(row[key]) for key in ("run", "state", "kind", "dataset", "loss", "corrupt")).lower()
    return all(word in text for word in words.lower().split())


def headline(run: Run) -> Text:
    """Name, state, loss, corruption and progress in one line."""
    sign, style = STATE_SIGNS.get(run.status.state, ("?", "bad"))
    text = Text(no_wrap=True, overflow="ellipsis")
    text.append(run.name, "bold")
    text.append(f"  {sign} {run.status.state}", STYLES[style])
    options = experiment_of(run)
    if kind_of(run) == "toy":
        text.append(
            f"  {options.get('loss')} · {options.get('classes')} classes in {options.get('dimension')} dimensions"
        )
    elif options:
        text.append(f"  {options.get('dataset')} · {options.get('loss')} · corruption {options.get('corrupt')}")
    text.append(f"  {progress(run, 12)} of {run.status.total}")
    if run.status.message:
        text.append(f"  {run.status.message}", STYLES["bad"] if style == "bad" else "dim")
    return text


def facts(run: Run, record: dict[str, Any] | None, log: list[str]) -> Text:
    """What a run is and what it reached, a line each; `log` are its last words where it failed."""
    text = Text()

    def line(name: str, words: str, style: str = "") -> None:
        text.append(f"{name:<15}", "dim")
        text.append(f"{words}\n", style)

    line("state", run.status.state + (f": {run.status.message}" if run.status.message else ""))
    line("options", options_line(run))
    if record is not None:
        line("at iteration", f"{record.get('iteration')}, after {duration(value(record, 'seconds'))}")
        for key, name in (
            ("loss", "loss"),
            ("bound", "bound"),
            ("frame_bound", "bound for ReLU"),
            ("excess", "excess"),
        ):
            if value(record, key) is not None:
                line(name, f"{value(record, key):.6g}")
        for policy in ("head", "class_means", "probe"):
            train, test = value(record, f"train_error_{policy}"), value(record, f"test_error_{policy}")
            if train is not None:
                tail = "" if test is None else f", test {test:.2%}"
                line(f"by {policy.replace('_', ' ')}", f"train {train:.2%}{tail}")
        for key, name in (("alignment", "alignment"), ("uniformity", "uniformity"), ("norms.mean", "mean norm")):
            if value(record, key) is not None:
                line(name, number(value(record, key), 4))
    line("time to fit", fit(run))
    if command := repeat_command(run):
        line("repeat with", command)
    for words in log:
        line("last words", words, STYLES["bad"])
    return text
