"""`simplexlab runs`: what is in the folder of runs, and one run in full."""

import datetime
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, Parameter

from simplexlab.cli.common import Json, print_json
from simplexlab.config import flag
from simplexlab.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from simplexlab.cli.tables import Column
    from simplexlab.runs import Run

runs = App(name="runs", help_epilogue="Example: simplexlab runs --sort excess\n")

RunDir = Annotated[str, Parameter(help="Folder that holds the runs.")]
SortKey = Literal[
    "created", "run", "state", "loss", "corrupt", "iteration", "train-error", "test-error", "excess", "time-to-fit"
]
STATE_STYLES = {
    "running": "green",
    "queued": "cyan",
    "stopped": "yellow",
    "diverged": "red",
    "failed": "red",
    "unknown version": "magenta",
}
UNKNOWN = "–"


@runs.default
def list_(
    *,
    run_dir: RunDir = "runs",
    sort: Annotated[SortKey, Parameter(help="Column to sort by; runs without a value come last.")] = "created",
    reverse: Annotated[bool, Parameter(negative="", help="Sort from large to small, or from new to old.")] = False,
    json: Json = False,
) -> None:
    """List the runs: state, loss, corruption, errors, excess over the bound, time to fit."""
    from simplexlab.runs import list_runs, summarise

    if run_dir != "runs" and not Path(run_dir).is_dir():
        raise UsageError(f"--run-dir {run_dir} is not a folder")
    key = sort.replace("-", "_")
    rows = sorted((summarise(run) for run in list_runs(run_dir, brief=True)), key=lambda row: row["run"])
    known = sorted((row for row in rows if row[key] is not None), key=lambda row: row[key], reverse=reverse)
    rows = known + [row for row in rows if row[key] is None]
    if json:
        print_json({"runs": rows})
        return

    if not rows:
        print(f"No runs in {run_dir} yet; simplexlab train --loss ce --corrupt 0.2 makes one.")
        return

    from simplexlab.cli.tables import LongTable, console

    out = console()
    now = datetime.datetime.now(datetime.UTC)
    cells = (_cells(row, out.width, now) for row in rows)
    styles = (STATE_STYLES.get(row["state"], "") for row in rows)
    out.print(LongTable(_columns(out.width), 1, cells, styles))


@runs.command(help_epilogue="Example: simplexlab runs show digits-ce-0.2-s0\n")
def show(
    run: Annotated[str, Parameter(help="Name of a run, or the path of its folder.")],
    /,
    *,
    run_dir: RunDir = "runs",
    json: Json = False,
) -> None:
    """Show one run in full: settings, numbers beside their optima, files, the command that repeats it."""
    from simplexlab.runs import find_run, latest, list_geometry, read_log, read_run, summarise

    found = read_run(find_run(run, run_dir))
    numbers = latest(found)
    if json:
        from simplexlab import geometry

        classes = numbers.get("num_classes")
        has_optimum = isinstance(classes, int) and classes > 1
        print_json(
            summarise(found)
            | {
                "command": found.config.get("command"),
                "config": found.config,
                "status": vars(found.status),
                "metrics": found.metrics,
                "result": found.result,
                "optimum": geometry.optimum(classes) if has_optimum else None,
                "orthogonal_frame": geometry.optimum(classes, "nonnegative") if has_optimum else None,
                "geometry": list_geometry(found.path),
                "files": _files(found.path),
                "log": read_log(found.path),
            }
        )
        return
    _print_run(found, numbers)


def _columns(width: int) -> "list[Column]":
    from simplexlab.cli.tables import Column

    wide = width >= 110
    numbers = ["corrupt", "iteration", "train", "test", "excess", "fit", *(["seconds", "age"] if wide else [])]
    return [
        Column("state"),
        Column("run"),
        *([Column("dataset", most=20)] if wide else []),
        Column("loss", most=24),
        *(Column(heading, right=True) for heading in numbers),
    ]


def _cells(row: dict[str, Any], width: int, now: datetime.datetime) -> list[str]:
    wide = width >= 110
    return [
        row["state"],
        row["run"],
        *([row["dataset"] or UNKNOWN] if wide else []),
        row["loss"] or UNKNOWN,
        _shown(row["corrupt"], "g"),
        f"{_short(row['iteration'])}/{_short(row['total'])}",
        _shown(row["train_error"], ".1%"),
        _shown(row["test_error"], ".1%"),
        _shown(row["excess"], ".3g"),
        _fit(row),
        *([_shown(row["seconds"], ".0f"), _age(row["created"], now)] if wide else []),
    ]


def _print_run(run: "Run", numbers: dict[str, Any]) -> None:
    from rich.text import Text

    from simplexlab.cli.tables import console, statistics_table, summary_rows
    from simplexlab.geometry.catalogue import rows_of

    out = console()
    out.print(_headline(run))
    out.print(Text(str(run.path)), soft_wrap=True)
    _print_section(out, "Settings", _plain(run.config.get("experiment"), flag), pairs=2)
    _print_section(out, "Data", _plain(run.config.get("dataset")))
    _print_section(out, "Made by", _plain(run.config.get("versions")), pairs=2)
    record = {"run": run.name, "state": run.status.state, "iterations": run.status.iteration} | numbers
    if _is_evaluation(record):
        rows = {name: value for name, value in summary_rows(record) if name != "run"}
    else:
        rows = _plain(numbers)
    _print_section(out, "Numbers", rows)
    catalogue = rows_of(run.config)
    statistics = _well_formed_statistics(record, [row.key for row in catalogue])
    if statistics:
        out.print()
        out.print(statistics_table(record | statistics, rows=catalogue))
    _print_section(out, "Files", {entry["name"]: _size(entry) for entry in _files(run.path)}, pairs=2)
    command = run.config.get("command")
    if isinstance(command, str):
        out.print(Text("\nThe command that repeats it", "bold"))
        out.print(Text(command), soft_wrap=True)


def _headline(run: "Run") -> "Text":
    from rich.text import Text

    status = run.status
    line = Text.assemble((run.name, "bold"), ": ", (status.state, STATE_STYLES.get(status.state, "")))
    if status.total:
        line.append(f" at iteration {status.iteration} of {status.total}")
    if status.state == "running":
        line.append(f", process {status.pid} on {status.host}")
    if status.message:
        line.append(f": {status.message}")
    return line


def _print_section(out: "Console", title: str, rows: dict[str, str], pairs: int = 1) -> None:
    """Print a titled grid of names and values, `pairs` of them side by side; nothing where there are none."""
    from rich.table import Table
    from rich.text import Text

    if not rows:
        return
    table = Table.grid(padding=(0, 2, 0, 0))
    cells = [Text(cell) for row in rows.items() for cell in row]
    for _ in range(pairs):
        table.add_column(no_wrap=True)
        table.add_column(overflow="fold")
    for start in range(0, len(cells), 2 * pairs):
        table.add_row(*cells[start : start + 2 * pairs])
    out.print(Text(f"\n{title}", "bold"))
    out.print(table)


def _plain(record: Any, name: Callable[[str], str] = lambda key: key.replace("_", " ")) -> dict[str, str]:
    """The entries of a record that fit a line, as text under `name(key)`."""
    if not isinstance(record, dict):
        return {}
    rows = {}
    for key, value in record.items():
        if isinstance(value, list) and not any(isinstance(item, list | dict) for item in value):
            value = ", ".join(map(str, value))
        if isinstance(value, bool):
            value = "on" if value else "off"
        if isinstance(value, float):
            value = f"{value:.6g}"
        if isinstance(value, int | str) and value != "":
            rows[name(key)] = str(value)
    return rows


def _is_evaluation(record: dict[str, Any]) -> bool:
    """Whether a record has all that the summary of a training run tells; a damaged or a toy's record has not."""
    from simplexlab.cli.tables import POLICIES

    needed = ("iterations", "seconds", "tolerance", "final_loss", "imbalance", "num_classes")
    if record.get("bound") is not None or record.get("excess") is not None:
        needed += ("bound", "excess")  # an objective without a floor has neither
    return (
        {"time_to_fit", "fit_lower", "bound", "excess"} <= record.keys()
        and record.get("fit_policy") in tuple(POLICIES)
        and all(isinstance(record.get(key), int | float) for key in (*needed, "dimension"))
    )


def _well_formed_statistics(record: dict[str, Any], keys: "Iterable[str]") -> dict[str, Any]:
    """The statistics of a record that are numbers, the others as None; {} where none of them can be told."""
    if not isinstance(record.get("num_classes"), int) or record["num_classes"] < 2:
        return {}

    def well_formed(value: Any) -> bool:
        parts = [value.get(key) for key in ("mean", "q05", "q95")] if isinstance(value, dict) else [value]
        return all(isinstance(part, int | float) for part in parts)

    found = {key: record.get(key) if well_formed(record.get(key)) else None for key in keys}
    return found if any(value is not None for value in found.values()) else {}


def _files(path: Path) -> list[dict[str, Any]]:
    """The files of a run folder, a folder in it as one entry: name, bytes and, of a folder, the number of files."""
    entries = []
    with os.scandir(path) as found:
        names = sorted(
            (entry.name, entry.is_dir(follow_symlinks=False)) for entry in found if not entry.name.startswith(".")
        )
    for name, is_folder in names:
        if is_folder:
            sizes = [_file_size(inside) for inside in Path(path, name).rglob("*") if not inside.is_dir()]
            entries.append({"name": f"{name}/", "bytes": sum(sizes), "files": len(sizes)})
        else:
            entries.append({"name": name, "bytes": _file_size(Path(path, name))})
    return entries


def _file_size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # removed since it was listed
        return 0


def _size(entry: dict[str, Any]) -> str:
    from rich.filesize import decimal

    size = decimal(entry["bytes"])
    return f"{entry['files']} files, {size}" if "files" in entry else size


def _shown(value: float | None, form: str) -> str:
    return UNKNOWN if value is None else format(value, form)


def _short(count: int) -> str:
    """800, 12.5k, 100k."""
    return str(count) if count < 10_000 else f"{count / 1000:.4g}k"


def _fit(row: dict[str, Any]) -> str:
    """Time to fit; for a run that ended without fitting, that it is greater than the last evaluation."""
    if row["time_to_fit"] is not None:
        return str(row["time_to_fit"])
    if row["state"] in ("finished", "stopped") and row["fit_lower"] is not None:
        return f">{row['fit_lower']}"
    return UNKNOWN


def _age(created: str | None, now: datetime.datetime) -> str:
    try:
        seconds = (now - datetime.datetime.fromisoformat(created)).total_seconds()
    except (TypeError, ValueError):
        return UNKNOWN
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"
