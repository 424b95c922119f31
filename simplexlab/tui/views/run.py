"""The panels of one run, and of several runs over each other, from their records and geometry."""

from typing import Any

import numpy as np

from simplexlab.geometry import ORTHOGONAL_SIMILARITY, simplex_similarity
from simplexlab.tui.views.charts import ChartSpec, HeatMapSpec, Histogram, HistogramSpec, Mark, Series
from simplexlab.tui.views.records import column, value

Records = list[dict[str, Any]]
SIMILARITIES = {
    "class_mean": "class means",
    "weight": "weights",
    "within_class": "within classes",
}
NEURAL_COLLAPSE = ("nc1", "nc2", "nc3", "nc4")


def divergence(records: Records) -> tuple[Mark, ...]:
    """A mark where the loss became non-finite."""
    return tuple(
        Mark("diverged", record["iteration"], "warning")
        for record in records[-1:]
        if record.get("diverged") and "iteration" in record
    )


def cursor(iteration: float | None) -> tuple[Mark, ...]:
    """A mark at the iteration that is replayed, none while the newest is shown."""
    return () if iteration is None else (Mark("", iteration, "muted"),)


def fit_mark(fitted_at: int | None) -> tuple[Mark, ...]:
    """A mark at the time to fit."""
    return () if fitted_at is None else (Mark(f"fitted at {fitted_at}", fitted_at, "ideal"),)


def loss_chart(records: Records, at: float | None = None) -> ChartSpec:
    """Loss with its bounds over iterations; the bounds of CE move with the norms."""
    series = [Series("loss", *column(records, "loss"))]
    series.append(Series("bound", *column(records, "bound"), colour="ideal", marker="-"))
    frame = Series("bound for ReLU", *column(records, "frame_bound"), colour="frame", marker="~")
    if len(frame.x):
        series.append(frame)
    return ChartSpec("Loss", y_label="loss", series=tuple(series), vertical=divergence(records) + cursor(at))


def excess_chart(records: Records, at: float | None = None) -> ChartSpec:
    """Excess over the bound on a log axis, with the floor of a ReLU encoder."""
    series = [Series("excess", *column(records, "excess"))]
    floor = Series("ReLU floor", *column(records, "gap_architecture"), colour="frame", marker="~")
    if len(floor.x):
        series.append(floor)
    marks = divergence(records) + cursor(at)
    return ChartSpec("Excess", y_label="loss − bound", series=tuple(series), vertical=marks, log=True)


def error_chart(records: Records, fitted_at: int | None = None, at: float | None = None) -> ChartSpec:
    """Train and test error over iterations, with the time to fit."""
    series = (
        Series("train error", *column(records, "train_error"), colour=0),
        Series("test error", *column(records, "test_error"), colour=1, marker="x"),
    )
    series = tuple(one for one in series if len(one.x))
    marks = fit_mark(fitted_at) + divergence(records) + cursor(at)
    return ChartSpec("Errors", y_label="error", series=series, vertical=marks)


def collapse_chart(records: Records, at: float | None = None) -> ChartSpec:
    """NC1–4 over iterations on a log axis."""
    series = tuple(
        Series(f"{key.upper()} {number_now(records, key)}", *column(records, key), colour=index, marker=str(index + 1))
        for index, key in enumerate(NEURAL_COLLAPSE)
    )
    series = tuple(one for one in series if len(one.x))
    return ChartSpec("Neural collapse", series=series, vertical=divergence(records) + cursor(at), log=True)


def number_now(records: Records, key: str) -> str:
    """The newest number under a key, short."""
    _, y = column(records, key)
    return f"{y[-1]:.2g}" if len(y) else ""


def similarity_histograms(geometry: dict[str, np.ndarray] | None, record: dict[str, Any] | None) -> HistogramSpec:
    """The three distributions of angular similarity with the values of the simplex and of the orthogonal frame."""
    histograms = []
    classes = value(record, "num_classes")
    for key, label in SIMILARITIES.items():
        counts = (geometry or {}).get(f"{key}_histogram")
        if counts is None:
            continue
        marks = (Mark("collapsed 1", 1.0),)
        if key != "within_class" and classes:
            simplex = simplex_similarity(int(classes))
            marks = (Mark(f"simplex {simplex:.3f}", simplex),)
            if key == "class_mean" and record and "frame_bound" in record:
                marks += (Mark("ReLU 0.5", ORTHOGONAL_SIMILARITY, "frame"),)
        mean = value(record, f"{key}_similarity.mean")
        histograms.append(Histogram(label, counts, marks, mean))
    return HistogramSpec("Angular similarity γ", "γ, 0 opposite to 1 same direction", tuple(histograms))


def gram_matrices(geometry: dict[str, np.ndarray] | None) -> HeatMapSpec:
    """Cosines of the class means, uncentred and centred."""
    means = (geometry or {}).get("class_means")
    if means is None or means.ndim != 2:
        return HeatMapSpec("Gram matrix of class means")
    return HeatMapSpec(
        "Gram matrix of class means",
        (("uncentred", cosines(means)), ("centred", cosines(means - means.mean(axis=0)))),
    )


def cosines(rows: np.ndarray) -> np.ndarray:
    """Cosine of every pair of rows (K, h), shape (K, K); rows that are 0 have cosine 0 to all."""
    norms = np.linalg.norm(rows.astype(np.float64), axis=1, keepdims=True)
    unit = rows / np.where(norms > 0, norms, 1.0)
    return np.clip(unit @ unit.T, -1, 1)


def overlay(title: str, y_label: str, runs: list[tuple[str, Records]], key: str, log: bool | None = False) -> ChartSpec:
    """One key of several runs over each other; the colour of a run is its place in the list.

    Args:
        title, y_label: of the chart.
        runs: name and records of each.
        key: what is drawn.
        log: whether the y axis is logarithmic; None for where the runs are more than a decade apart.
    """
    series = []
    marks: tuple[Mark, ...] = ()
    for index, (name, records) in enumerate(runs):
        series.append(Series(name, *column(records, key), colour=index, marker="o+x*#@%&"[index % 8]))
        marks += tuple(Mark("", mark.at, mark.colour) for mark in divergence(records))
    if log is None:
        last = np.array([one.y[-1] for one in series if len(one.y)])
        log = bool(len(last) and last.min() > 0 and last.max() > 10 * last.min())
    return ChartSpec(title, y_label=y_label, series=tuple(series), vertical=marks, log=log)


def fit_against_corruption(rows: list[tuple[str, float, int | None, int]]) -> ChartSpec:
    """Time to fit against corruption, one colour a loss.

    Args:
        rows: (loss, corruption, time to fit or None, iterations done). A run that was never fitted is censored: it
            stands as a triangle at the iterations it was given.
    """
    series = []
    for index, loss in enumerate(sorted({row[0] for row in rows})):
        points = sorted((corrupt, fit) for name, corrupt, fit, _ in rows if name == loss and fit is not None)
        censored = sorted((corrupt, done) for name, corrupt, fit, done in rows if name == loss and fit is None)
        for label, pairs, marker in ((loss, points, "●"), (f"{loss}, not fitted by then", censored, "△")):
            if pairs:
                x, y = np.array(pairs, float).T
                series.append(Series(label, x, y, colour=index, kind="points", marker=marker))
        if len({corrupt for corrupt, _ in points}) > 1:
            xs = np.unique([corrupt for corrupt, _ in points])
            ys = np.array([np.mean([fit for corrupt, fit in points if corrupt == x]) for x in xs])
            series.append(Series("", xs, ys, colour=index, marker="·"))
    highest = max((row[2] if row[2] is not None else row[3] for row in rows), default=1)
    sides = {"x_limits": (-0.05, 1.05), "y_limits": (0.0, 1.1 * max(highest, 1))}
    return ChartSpec("Time to fit", "corruption", "iterations", tuple(series), **sides)
