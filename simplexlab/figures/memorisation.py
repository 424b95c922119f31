"""What is memorised: how the classifier predicts images with wrong labels, and those with right ones, over training."""

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from simplexlab import objectives
from simplexlab.config import format_value
from simplexlab.dataset_name import dataset_title
from simplexlab.errors import UsageError
from simplexlab.evaluation import MEMORISATION
from simplexlab.figures.style import CLASS_COLORS, MUTED_COLOR, new_figure, thin
from simplexlab.runs import Run, read_metrics

TITLE = "What is memorised of wrong labels"
# key: (colour, line, label)
CURVES = {
    "flipped_as_given": (CLASS_COLORS[1], "-", "wrong label: predicted as given (memorised)"),
    "flipped_as_true": (CLASS_COLORS[0], "-", "wrong label: predicted as true (seen through)"),
    "flipped_as_other": (MUTED_COLOR, "-", "wrong label: predicted as another class"),
    "clean_fitted": (CLASS_COLORS[2], "-", "right label: predicted"),
    "test_error": ("#000000", ":", "test error"),
}


def memorisation(runs: Sequence[Run]) -> dict[str, Any]:
    """The curves of every run with wrong labels, a row for each dataset and corruption, a column for each loss.

    Args:
        runs: training runs; those without wrong labels are passed over.

    Returns:
        `panels`, each with its `runs`: iterations, the shares at each of them, the least test error with its iteration
        and the last one.

    Raises:
        UsageError: no run has wrong labels.
    """
    panels: dict[tuple[str, float, str], list[dict[str, Any]]] = {}
    titles = {}
    for run in runs:
        lines = [line for line in read_metrics(run.path) if line.get("flipped_as_given") is not None]
        if lines:
            experiment = run.config["experiment"]
            objective = objectives.of_run(run.config)
            titles[objective.name] = objective.title
            key = (dataset_title(experiment["dataset"]), experiment["corrupt"], objective.name)
            panels.setdefault(key, []).append(_curves(run, lines))
    if not panels:
        raise UsageError("figure memorisation takes runs with wrong labels (--corrupt); there is none")
    ordered = sorted(panels, key=lambda key: (key[0], key[1], objectives.rank(key[2])))
    return {
        "figure": "memorisation",
        "title": TITLE,
        "panels": [
            {
                "dataset": dataset,
                "corrupt": corrupt,
                "loss": loss,
                "loss_title": titles[loss],
                "runs": panels[dataset, corrupt, loss],
            }
            for dataset, corrupt, loss in ordered
        ],
    }


def _curves(run: Run, lines: list[dict[str, Any]]) -> dict[str, Any]:
    tested = [line for line in lines if line.get("test_error") is not None]
    best = min(tested, key=lambda line: line["test_error"], default=None)
    return {
        "run": run.name,
        "seed": run.config["experiment"]["seed"],
        "iterations": [line["iteration"] for line in lines],
        **{key: [line.get(key) for line in lines] for key in (*MEMORISATION, "test_error")},
        "least_test_error": best and best["test_error"],
        "least_test_error_at": best and best["iteration"],
        "last_test_error": tested[-1]["test_error"] if tested else None,
    }


def draw(numbers: dict[str, Any]) -> tuple[Figure, str]:
    """Draw `memorisation`; returns the figure and its caption."""
    panels = numbers["panels"]
    rows = list(dict.fromkeys(map(_row_of, panels)))
    losses = sorted({panel["loss"] for panel in panels}, key=objectives.rank)
    figure = new_figure(max(5.2, 2.6 * len(losses)), 2.3 * len(rows) + 0.9, numbers["title"])
    layout = figure.add_gridspec(len(rows) + 1, len(losses), height_ratios=[*[1] * len(rows), 0.28])
    for panel in panels:
        axes = figure.add_subplot(layout[rows.index(_row_of(panel)), losses.index(panel["loss"])])
        _draw_panel(axes, panel)
        if panel is next(other for other in panels if _row_of(other) == _row_of(panel)):
            axes.set_ylabel(f"share of images\n{panel['dataset']}, {format_value(panel['corrupt'])} corrupted")
        else:
            axes.tick_params(labelleft=False)
    handles = [Line2D([], [], color=color, linestyle=line, label=label) for color, line, label in CURVES.values()]
    below = figure.add_subplot(layout[-1, :])
    below.axis("off")
    below.legend(handles=handles, loc="upper left", ncols=2, borderpad=0, borderaxespad=0)
    return figure, _caption(panels)


def _row_of(panel: dict[str, Any]) -> tuple[str, float]:
    return panel["dataset"], panel["corrupt"]


def _draw_panel(axes: Axes, panel: dict[str, Any]) -> None:
    runs = panel["runs"]
    for run in runs:
        for key, (color, line, _) in CURVES.items():
            values = [float("nan") if value is None else value for value in run[key]]
            width = {"linewidth": thin()} if len(runs) > 1 or key == "test_error" else {}
            axes.plot(run["iterations"], values, line, color=color, **width)
    first = min((iteration for run in runs for iteration in run["iterations"] if iteration > 0), default=1)
    last = max(iteration for run in runs for iteration in run["iterations"])
    # Most happens early: a logarithmic axis that still has a place for 0.
    axes.set_xscale("symlog", linthresh=first, linscale=0.4)
    decades = [10**power for power in range(20) if first <= 10**power <= last]
    axes.set_xticks([0, *decades], ["0", *map(format_value, decades)])
    axes.set_xticks([], minor=True)
    axes.set(xlim=(0, max(last, 1)), ylim=(-0.02, 1.02), xlabel="iterations")
    axes.set_title(panel["loss_title"])


def _caption(panels: list[dict[str, Any]]) -> str:
    several = any(len(panel["runs"]) > 1 for panel in panels)
    text = (
        "Of the training images with a wrong label: the share that the judging classifier predicts as the given label, "
        "as the true one and as another; of the others: the share that it fits."
    )
    if several:
        text += " One thin line for each run."
    tests = []
    for panel in panels:
        runs = [run for run in panel["runs"] if run["last_test_error"] is not None]
        if runs:
            least = sum(run["least_test_error"] for run in runs) / len(runs)
            last = sum(run["last_test_error"] for run in runs) / len(runs)
            where = f"{panel['loss_title']} at {format_value(panel['corrupt'])}"
            tests.append(f"{where} {least:.1%} and {last:.1%}")
    if tests:
        text += (
            f" Test error at its least and at the end{', means over the runs' if several else ''}: {'; '.join(tests)}."
        )
    return text
