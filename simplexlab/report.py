"""The report of a sweep: one HTML page with its settings, figures, tables and commands, and nothing outside it."""

import base64
import dataclasses
import datetime
import io
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

import numpy as np

from simplexlab import __version__, objectives
from simplexlab.config import flag, format_value
from simplexlab.errors import UsageError
from simplexlab.figures import distributions, time_to_fit
from simplexlab.figures import objectives as objectives_figure
from simplexlab.figures.style import styled
from simplexlab.geometry.catalogue import rows_of
from simplexlab.runs import LeftOut, Run
from simplexlab.sweep import SweepFolder, curves, rows, runs_of, side_by_side, varied_options
from simplexlab.sweep.table import statistic_keys

MOST_ROWS = 100  # of the table of every run, before it is folded away
STYLE = """
:root { color-scheme: light dark; --text: #1d1d1f; --muted: #6b6b70; --line: #d8d8dc; --page: #fff; --card: #fff; }
@media (prefers-color-scheme: dark) {
  :root { --text: #ececf0; --muted: #a0a0a8; --line: #3a3a40; --page: #18181b; --card: #f4f4f2; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2rem 1.25rem 4rem; max-width: 62rem; background: var(--page); color: var(--text);
  font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .25rem; }
h2 { font-size: 1.2rem; margin: 2.5rem 0 .5rem; }
p, figcaption { max-width: 46rem; }
.muted, figcaption { color: var(--muted); font-size: .875rem; }
figure { margin: 1rem 0; }
figure img { display: block; max-width: 100%; background: var(--card); border-radius: 6px; padding: .5rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .8rem; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .65rem .25rem 0; text-align: left; white-space: nowrap; border-bottom: 1px solid var(--line); }
th { font-weight: 600; color: var(--muted); }
.caption { font-size: .875rem; font-weight: 600; margin: 1.25rem 0 .25rem; }
td.number, th.number { text-align: right; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; border: 1px solid var(--line); border-radius: 6px;
  padding: .75rem; font-size: .85rem; }
dl { display: grid; grid-template-columns: repeat(auto-fill, minmax(15rem, 1fr)); gap: .15rem 1.5rem; margin: 0;
  font-size: .875rem; }
dl div { display: flex; justify-content: space-between; border-bottom: 1px solid var(--line); }
dt { color: var(--muted); } dd { margin: 0; }
@media print {
  :root { --text: #000; --muted: #444; --line: #bbb; --page: #fff; --card: #fff; }
  body { padding: 0; max-width: none; font-size: 10pt; } figure, tr { break-inside: avoid; }
  h2 { break-after: avoid; } td, th { font-size: 8pt; padding-right: .4rem; } }
"""


def report(sweep: SweepFolder) -> str:
    """The page of a sweep, as it stands, also while some of its runs are missing.

    Args:
        sweep: the sweep.

    Returns:
        HTML that needs no other file and no network.
    """
    left_out: list[LeftOut] = []
    runs = runs_of(sweep, left_out)
    if not runs:
        raise UsageError(f"{sweep.path}: no run can be read; {left_out[0].name}: {left_out[0].why}")
    table = rows(runs)
    title = f"Sweep {sweep.path.resolve().name}"
    parts = [
        f"<h1>{escape(title)}</h1>",
        f'<p class="muted">{escape(_counts(table))}. simplexlab {__version__}, '
        f"{datetime.datetime.now().astimezone():%Y-%m-%d %H:%M}.</p>",
        _section("Settings", _settings(runs)),
        _section("Time to fit", _time_to_fit(runs)),
        _section("Objectives side by side", _objectives(runs)),
        _section("Loss against theory", _loss_against_theory(runs)),
        _section("Geometry", _geometry(runs)),
        _section("Every run", _runs_table(runs, table)),
        *([_section("Left out", _table(("run", "why"), left_out))] if left_out else []),
        _section("The commands that repeat it", _commands(sweep)),
    ]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n" + "\n".join(parts) + "\n</body>\n"
        "</html>\n"
    )


def _counts(table: list[dict[str, Any]]) -> str:
    states = [row["state"] for row in table]
    told = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
    seconds = sum(row["seconds"] or 0 for row in table)
    return f"{len(table)} runs: {told}; {seconds / 60:.1f} minutes of training in all"


def _section(title: str, body: str) -> str:
    return f"<h2>{escape(title)}</h2>\n{body}"


def _settings(runs: Sequence[Run]) -> str:
    varied = varied_options(runs)
    experiments = [run.config["experiment"] for run in runs]
    swept = {
        name: ", ".join(_shown(value) for value in dict.fromkeys(one[name] for one in experiments if name in one))
        for name in varied
    }
    hidden = (*varied, "name", "run_dir", "devices", "threads")
    common = {name: _shown(value) for name, value in experiments[0].items() if name not in hidden and value is not None}
    told = "; ".join(f"<b>{escape(flag(name)[2:])}</b> {escape(text)}" for name, text in swept.items())
    return (
        f"<p>Varied: {told}.</p><dl>"
        + "".join(f"<div><dt>{flag(name)[2:]}</dt><dd>{escape(text)}</dd></div>" for name, text in common.items())
        + "</dl>"
    )


def _shown(value: Any) -> str:
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else format_value(value)


def _time_to_fit(runs: Sequence[Run]) -> str:
    try:
        numbers = curves.time_to_fit(runs, 8)
    except UsageError:
        return "<p>No run has finished yet.</p>"
    parts = [_figure(numbers, time_to_fit)]
    for panel in numbers["panels"]:
        for table in curves.tables(panel):
            parts.append(f'<p class="caption">{escape(table.title)}</p>' + _table(table.headings, table.rows))
        unknown = [f"{curve['label']}: {curve['growth_unknown']}." for curve in panel["curves"] if not curve["growth"]]
        if unknown:
            parts.append(f'<p class="muted">{escape(" ".join(unknown))}</p>')
    if any(run.config["experiment"]["schedule"] != "constant" for run in runs):
        parts.append(
            '<p class="muted">An annealed learning rate slows the end of a run, which bends iterations upward. On the '
            "clock of the learning rate, on which each step counts by its rate over the first one's:</p>"
        )
        for panel in curves.time_to_fit(runs, 8, "learning-rate")["panels"]:
            growth = curves.tables(panel, "learning-rate")[-1]
            parts.append(f'<p class="caption">{escape(panel["title"])}: {escape(growth.title)}, Σ lr/lr₀</p>')
            parts.append(_table(growth.headings, growth.rows))
    return "\n".join(parts)


def _objectives(runs: Sequence[Run]) -> str:
    try:
        numbers = side_by_side.side_by_side(runs)
    except UsageError:
        return "<p>No run has finished yet.</p>"
    parts = [_figure(numbers, objectives_figure)]
    for panel in numbers["panels"]:
        parts += [f"<p>{escape(sentence)}</p>" for sentence in panel["words"]]
        table = side_by_side.table(panel)
        parts.append(f'<p class="caption">{escape(table.title)}</p>' + _table(table.headings, table.rows))
    return "\n".join(parts)


def _loss_against_theory(runs: Sequence[Run]) -> str:
    finished = [run for run in runs if run.status.state == "finished" and run.result]
    groups: dict[tuple, list[dict[str, Any]]] = {}
    titles: dict[str, str] = {}
    for run in finished:
        if run.result.get("final_loss") is not None:
            objective = objectives.of_run(run.config)
            titles[objective.name] = objective.title
            key = run.result["dataset"], objectives.rank(objective.name), run.result["corrupt"]
            groups.setdefault(key, []).append(run.result)
    if not groups:
        return "<p>No run has finished yet.</p>"
    headings = (
        "dataset",
        "loss",
        "corrupt",
        "reached",
        "bound",
        "excess",
        "cost of the ReLU",
        "runs",
        "exact",
    )
    lines = []
    for (dataset, loss, corrupt), results in sorted(groups.items()):
        exact = sum(bool(result.get("bound_is_exact")) for result in results)
        lines.append(
            [
                dataset,
                titles[loss[1]],
                f"{corrupt:g}",
                *(_mean(results, key) for key in ("final_loss", "bound", "excess", "gap_architecture")),
                str(len(results)),
                f"{exact} of {len(results)}",
            ]
        )
    note = (
        "Mean ± standard deviation over the runs. Bound: the least value that the loss can take for the labels, the "
        "norms, the classifier and the ReLU that the run has. With a classifier the loss is the mean over the training "
        "points; without one it is the expected sum over the anchors of a batch drawn with replacement. Cost of the "
        "ReLU: the part of the bound that an encoder without it would not have. Exact: in how many runs the bound is "
        "attained by some configuration and proven by a certificate."
    )
    return _table(headings, lines) + f'<p class="muted">{note}</p>'


def _mean(results: Sequence[dict[str, Any]], key: str) -> str:
    values = [result[key] for result in results if result.get(key) is not None]
    if not values:
        return "–"
    mean = np.mean(values)
    spread = f" ± {np.std(values, ddof=1):.1g}" if len(values) > 1 else ""
    return f"{mean:.2f}{spread}" if mean >= 100 else f"{mean:.3g}{spread}"


def _geometry(runs: Sequence[Run]) -> str:
    try:
        return _figure(distributions.distributions(runs), distributions) + _statistics(runs)
    except UsageError:
        return "<p>No run has finished yet.</p>"


def _statistics(runs: Sequence[Run]) -> str:
    """Every statistic by dataset, loss and corruption, the mean and standard deviation over the runs."""
    finished = [run for run in runs if run.status.state == "finished" and run.result]
    labels = {row.key: row.label for run in finished for row in rows_of(run.config)}
    keys = statistic_keys(finished)
    groups: dict[tuple, list[dict[str, Any]]] = {}
    titles: dict[tuple, str] = {}
    for run, row in zip(finished, rows(finished), strict=True):
        objective = objectives.of_run(run.config)
        group = run.result["dataset"], objectives.rank(objective.name), run.result["corrupt"]
        titles[group] = objective.title
        groups.setdefault(group, []).append(row)
    lines = [
        [group[0], titles[group], f"{group[2]:g}", *(_mean(members, key) for key in keys), str(len(members))]
        for group, members in sorted(groups.items())
    ]
    note = "Mean ± standard deviation over the runs; of an angular similarity γ the mean of its distribution."
    headings = ("dataset", "loss", "corrupt", *(labels[key] for key in keys), "runs")
    return _table(headings, lines) + f'<p class="muted">{note}</p>'


def _figure(numbers: dict[str, Any], module: Any) -> str:
    with styled("print"):
        figure, caption = module.draw(numbers)
        figure.suptitle("")
        file = io.BytesIO()
        figure.savefig(file, format="svg", bbox_inches="tight", metadata={"Date": None}, transparent=True)
    data = base64.b64encode(file.getvalue()).decode()
    return (
        f'<figure><img alt="{escape(numbers["title"])}" src="data:image/svg+xml;base64,{data}">'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def _runs_table(runs: Sequence[Run], table: list[dict[str, Any]]) -> str:
    statistics = statistic_keys(runs)
    keys = [key for key in table[0] if key not in statistics]  # they have a table of their own
    lines = [["–" if row[key] is None else _cell(row[key]) for key in keys] for row in table]
    made = _table([key.replace("_", " ") for key in keys], lines)
    return made if len(lines) <= MOST_ROWS else f"<details><summary>{len(lines)} runs</summary>{made}</details>"


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _table(headings: Iterable[str], lines: Sequence[Sequence[str]]) -> str:
    """A table; columns are numbers where every cell begins with a digit or a dash, is empty or unknown."""
    columns = zip(*lines, strict=True)
    numbers = [
        all(cell[:1].isdigit() or cell[:1] in ("–", "-", "") or cell == "unknown" for cell in column)
        for column in columns
    ]

    def row(cells: Iterable[str], tag: str) -> str:
        marks = (" class=number" if number else "" for number in numbers)
        return "".join(f"<{tag}{mark}>{escape(text)}</{tag}>" for text, mark in zip(cells, marks, strict=True))

    body = "\n".join(f"<tr>{row(line, 'td')}</tr>" for line in lines)
    head = f"<tr>{row(headings, 'th')}</tr>"
    return f'<div class="wide"><table><thead>{head}</thead><tbody>\n{body}\n</tbody></table></div>'


def _commands(sweep: SweepFolder) -> str:
    name = sweep.path.resolve().name
    commands = [f"{command} --run-dir {name}" for command in sweep.commands] + [f"simplexlab report {name}"]
    first = next(iter(sweep.experiments.values()))
    single = dataclasses.replace(first, run_dir="runs", name=None).command_line()
    return f"<pre>{escape(chr(10).join(commands))}</pre><p>A single run, the first:</p><pre>{escape(single)}</pre>"
