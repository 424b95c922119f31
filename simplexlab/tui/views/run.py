"""The panels of one run, and of several runs over each other, from their records and geometry."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from rich.text import Text

from simplexlab.geometry import ORTHOGONAL_SIMILARITY, simplex_similarity
from simplexlab.geometry.catalogue import Statistic
from simplexlab.objectives import named, rank
from simplexlab.tui.views.charts import (
    MARKERS,
    ChartSpec,
    HeatMapSpec,
    Histogram,
    HistogramSpec,
    Mark,
    Matrix,
    Series,
    number,
)
from simplexlab.tui.views.configuration import own_optimum
from simplexlab.tui.views.guess import Guess
from simplexlab.tui.views.records import column, how_far, key_of, value

Record = dict[str, Any]
Records = list[Record]
SIMILARITIES = {
    "class_mean": "class means",
    "weight": "weights",
    "within_class": "within classes",
}


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
    return () if fitted_at is None else (Mark("fitted", fitted_at, "ideal", now=str(fitted_at)),)


def stretch(total: int | None) -> tuple[float, float] | None:
    """Limits of the iterations of a run that goes on: from 0 to its end, so that one sees how young it is."""
    return (0.0, float(total)) if total else None


def loss_chart(
    records: Records, at: float | None = None, total: int | None = None, unit: str = "", colour: int | str = 0
) -> ChartSpec:
    """Loss with its bounds over iterations; the bounds of CE move with the norms.

    Args:
        records: metrics lines.
        at: the iteration that is replayed, None for the newest.
        total: the last iteration of a run that goes on; None to fit the axis to what there is.
        unit: what one value of the loss is: mean over points, sum over a batch.
        colour: of the loss.
    """
    now = record_before(records, at)
    series = [bound_series("no ReLU", records, "free_bound", "frame", now)]
    series.append(bound_series("bound", records, "bound", "ideal", now))
    series = [one for one in series if len(one.x)]
    series.append(Series("loss", *column(records, "loss"), colour=colour, now=now_text(now, "loss", 4)))
    title = f"Loss, {unit}" if unit else "Loss"
    marks = divergence(records) + cursor(at)
    return ChartSpec(title, y_label="loss", series=tuple(series), vertical=marks, x_limits=stretch(total))


def bound_series(label: str, records: Records, key: str, colour: str, now: Record | None) -> Series:
    """A bound: dashed, and under the measured curve."""
    marker = "~" if colour == "frame" else "-"
    return Series(label, *column(records, key), colour, marker=marker, dashed=True, now=now_text(now, key, 4))


def excess_chart(
    records: Records, at: float | None = None, total: int | None = None, colour: int | str = 0
) -> ChartSpec:
    """Excess over the bound on a log axis."""
    now = record_before(records, at)
    excess = Series("excess", *column(records, "excess"), colour, now=now_text(now, "excess"))
    series = [excess] if len(excess.x) else []
    marks = divergence(records) + cursor(at)
    limits = stretch(total)
    return ChartSpec("Excess", y_label="loss − bound", series=tuple(series), vertical=marks, log=True, x_limits=limits)


def error_chart(
    records: Records,
    fitted_at: int | None = None,
    at: float | None = None,
    total: int | None = None,
    guess: Guess | None = None,
    colour: int | str = 0,
    highest: float | None = None,
) -> ChartSpec:
    """Test and train error over iterations, with the time to fit and the guessed one.

    Args:
        records: metrics lines.
        fitted_at: time to fit, None as long as it is not known.
        at: the iteration that is replayed, None for the newest.
        total: the last iteration of a run that goes on; None to fit the axis to what there is.
        guess: what was guessed before the run.
        colour: of the train error.
        highest: upper end of the axis, None to fit it.
    """
    now = record_before(records, at)
    series = (
        Series(
            "test", *column(records, "test_error"), 1 if colour == 0 else 7, "line", "x", now=percent(now, "test_error")
        ),
        Series("train", *column(records, "train_error"), colour=colour, now=percent(now, "train_error")),
    )
    series = tuple(one for one in series if len(one.x))
    marks = fit_mark(fitted_at) + divergence(records) + cursor(at)
    if guess is not None and guess.iteration is not None:
        marks += (Mark("guess", guess.iteration, "frame", now=str(guess.iteration), dashed=True),)
    return ChartSpec(
        "Errors",
        y_label="error",
        series=series,
        vertical=marks,
        x_limits=stretch(total),
        y_limits=None if highest is None else (0.0, highest),
    )


MEMORISATION = {
    "flipped_as_given": "given",
    "flipped_as_true": "true",
    "flipped_as_other": "third",
    "clean_fitted": "clean",
}


def memorisation_chart(records: Records, at: float | None = None, total: int | None = None) -> ChartSpec:
    """What became of the flipped labels: shares of them that are predicted as given, as true, as another class."""
    now = record_before(records, at)
    series = tuple(
        Series(label, *column(records, key), colour=index, marker="gtoc"[index], now=percent(now, key))
        for index, (key, label) in enumerate(MEMORISATION.items())
    )
    series = tuple(one for one in series if len(one.x))
    marks = divergence(records) + cursor(at)
    return ChartSpec(
        "Memorisation of flipped labels", y_label="share", series=series, vertical=marks, x_limits=stretch(total)
    )


def statistics_chart(
    records: Records, rows: list[Statistic], title: str, at: float | None = None, total: int | None = None
) -> ChartSpec:
    """Statistics over iterations, on a log axis where all of them want one.

    Args:
        records: metrics lines.
        rows: rows of the catalogue.
        title: of the panel.
        at: the iteration that is replayed, None for the newest.
        total: the last iteration of a run that goes on.
    """
    now = record_before(records, at)
    series, shown = [], []
    for index, row in enumerate(rows):
        key = key_of(records, row.key)
        x, y = column(records, key)
        if len(x):
            shown.append(row)
            series.append(Series(row.short, x, y, index, marker=str(index + 1)[-1], now=now_text(now, key, 2)))
    marks = divergence(records) + cursor(at)
    log = bool(shown) and all(row.log for row in shown)
    return ChartSpec(title, series=tuple(series), vertical=marks, log=log, x_limits=stretch(total))


def record_before(records: Records, at: float | None) -> Record | None:
    """The last record at or before an iteration; the newest for None."""
    if at is None:
        return records[-1] if records else None
    return next((one for one in reversed(records) if (value(one, "iteration") or 0) <= at), None)


def now_text(record: Record | None, key: str, digits: int = 3) -> str:
    """A number for a legend, "" where there is none."""
    found = value(record, key)
    return "" if found is None else number(found, digits)


def percent(record: Record | None, key: str) -> str:
    """A share for a legend, "" where there is none."""
    found = value(record, key)
    return "" if found is None or math.isnan(found) else f"{found:.1%}"


def similarity_histograms(geometry: dict[str, np.ndarray] | None, record: dict[str, Any] | None) -> HistogramSpec:
    """The three distributions of angular similarity with the values of the simplex and of the orthogonal frame."""
    histograms = []
    classes = value(record, "num_classes")
    for key, label in SIMILARITIES.items():
        counts = (geometry or {}).get(f"{key}_histogram")
        if counts is None:
            continue
        marks = (Mark("collapsed", 1.0, now="1"),)
        if key != "within_class" and classes:
            simplex = simplex_similarity(int(classes))
            marks = (Mark("simplex", simplex, now=f"{simplex:.3f}"),)
            if key == "class_mean" and record and "free_bound" in record:
                marks += (Mark("ReLU", ORTHOGONAL_SIMILARITY, "frame", now="0.5"),)
        mean = value(record, f"{key}_similarity.mean")
        histograms.append(Histogram(label, counts, marks, mean))
        if (seen := (geometry or {}).get(f"projection_{key}_histogram")) is not None:
            mean = value(record, f"projection.{key}_similarity.mean")
            histograms.append(Histogram(f"{label}, head", seen, marks[:1], mean))
    return HistogramSpec("Angular similarity γ", "γ, 0 opposite to 1 same direction", tuple(histograms))


def gram_matrices(geometry: dict[str, np.ndarray] | None) -> HeatMapSpec:
    """Cosines of the class means, uncentred and centred, with the mean off the diagonal."""
    means = (geometry or {}).get("class_means")
    if means is None or means.ndim != 2:
        return HeatMapSpec("Gram matrix of class means")
    pair = (("uncentred", cosines(means)), ("centred", cosines(means - means.mean(axis=0))))
    classes = len(means)
    offs = [(matrix.sum() - np.trace(matrix)) / max(classes * (classes - 1), 1) for _, matrix in pair]
    matrices = [Matrix(name, matrix, f"mean {off:+.3f}") for (name, matrix), off in zip(pair, offs, strict=True)]
    seen, best = (geometry or {}).get("projection_class_means"), own_optimum(geometry)
    if seen is not None:  # what is kept beside what the loss sees
        off = (cosines(seen).sum() - classes) / (classes * (classes - 1))
        kept = Matrix("encoder", matrices[0].values, matrices[0].now)
        matrices = [kept, Matrix("head", cosines(seen), f"mean {off:+.3f}")]
    elif best is not None:  # of unbalanced labels, whose angles differ: it takes the place of the centred one
        off = (cosines(best).sum() - classes) / (classes * (classes - 1))
        matrices[1] = Matrix("optimum", cosines(best), f"mean {off:+.3f}")
    return HeatMapSpec("Gram matrix of class means", tuple(matrices))


def confusion(geometry: dict[str, np.ndarray] | None) -> tuple[HeatMapSpec, str]:
    """Of the sampled points of each class, the share that is nearest to each class mean; and what stands out."""
    title, arrays = "Confusion: given class, nearest mean", geometry or {}
    means, sample, labels = (arrays.get(key) for key in ("class_means", "sample", "sample_labels"))
    if means is None or sample is None or labels is None or not len(sample) or means.ndim != 2:
        return HeatMapSpec(title, unit="share", low=0), "no points were recorded"
    classes = len(means)
    distances = (means**2).sum(axis=1) - 2 * sample.astype(np.float64) @ means.T.astype(np.float64)
    nearest = distances.argmin(axis=1)
    counts = np.zeros((classes, classes))
    np.add.at(counts, (labels.astype(int), nearest), 1)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    missed = float((nearest != labels).mean())
    words = f"{missed:.1%} of the {len(labels)} sampled points are nearest to the mean of another class"
    off = shares - np.diag(np.diag(shares))
    if off.max() > 0:
        row, column = np.unravel_index(off.argmax(), off.shape)
        words += f"; most often {row} is taken for {column} ({off.max():.0%})"
    return HeatMapSpec(title, (Matrix("given → nearest", shares, f"{missed:.1%} off"),), "share", 0), words


GROUP_TITLES = {"collapse": "Neural collapse", "spread": "Spread over the sphere", "own": "Own statistics"}


def groups_of(records: Records, rows: list[Statistic]) -> list[str]:
    """The groups of the catalogue that a chart over iterations shows, of which the records hold something."""
    found = {row.group for row in rows if len(column(records[-1:], key_of(records, row.key))[0])}
    return [group for group in GROUP_TITLES if group in found] or ["collapse"]


def log_text(lines: list[str]) -> Text:
    """The last lines of a log."""
    return Text("\n".join(lines) if lines else "this run has no log; one is kept of runs that are launched from here")


def cosines(rows: np.ndarray) -> np.ndarray:
    """Cosine of every pair of rows (K, h), shape (K, K); rows that are 0 have cosine 0 to all."""
    norms = np.linalg.norm(rows.astype(np.float64), axis=1, keepdims=True)
    unit = rows / np.where(norms > 0, norms, 1.0)
    return np.clip(unit @ unit.T, -1, 1)


def overlay(
    title: str,
    y_label: str,
    runs: list[tuple[str, Records]],
    key: str,
    log: bool | None = False,
    total: int | None = None,
    inks: Sequence[int | str] | None = None,
) -> ChartSpec:
    """One key of several runs over each other; the y axis is fitted to those that did not diverge, if there are any.

    Args:
        title, y_label: of the chart.
        runs: name and records of each.
        key: what is drawn; `how_far` is taken from the records by `records.how_far`.
        log: whether the y axis is logarithmic; None for where the runs are more than a decade apart.
        total: the last iteration of runs that go on.
        inks: colour of each run; by default its place in the list.
    """
    series = []
    marks: tuple[Mark, ...] = ()
    for index, (name, records) in enumerate(runs):
        x, y = far_column(records) if key == "how_far" else column(records, key)
        ink = index if inks is None else inks[index]
        diverged = divergence(records)
        marker = MARKERS[index % len(MARKERS)]
        series.append(Series(name, x, y, colour=ink, marker=marker, aside=bool(diverged)))
        marks += tuple(Mark("", mark.at, mark.colour) for mark in diverged if len(x))
    if log is None:
        last = np.array([one.y[-1] for one in series if len(one.y) and not one.aside])
        log = bool(len(last) and last.min() > 0 and last.max() > 10 * last.min())
    return ChartSpec(title, y_label=y_label, series=tuple(series), vertical=marks, log=log, x_limits=stretch(total))


def far_column(records: Records) -> tuple[np.ndarray, np.ndarray]:
    """Iterations and how far the class means are from their optimum, shapes (n,)."""
    pairs = [(record["iteration"], far) for record in records if (far := how_far(record)) is not None]
    x, y = np.array(pairs, float).reshape(-1, 2).T
    return x, y


MANY_LOSSES = 4
FITTED, CENSORED = "●◆■★", "△▷▽◁"


def fit_against_corruption(rows: list[tuple[str, float, int | None, int]]) -> ChartSpec:
    """Time to fit against corruption, one colour and marker a loss; marks that coincide stand side by side.

    Args:
        rows: (loss, corruption, time to fit or None, iterations done). A run that was never fitted is censored: it
            stands as a triangle at the iterations it was given. Of many losses each is named once.
    """
    series = []
    losses = sorted({row[0] for row in rows}, key=rank)
    for index, loss in enumerate(losses):
        ink, title = named(loss).colour, named(loss).title
        points = sorted((corrupt, fit) for name, corrupt, fit, _ in rows if name == loss and fit is not None)
        censored = sorted((corrupt, done) for name, corrupt, fit, done in rows if name == loss and fit is None)
        if len({corrupt for corrupt, _ in points}) > 1:
            xs = np.unique([corrupt for corrupt, _ in points])
            ys = np.array([np.mean([fit for corrupt, fit in points if corrupt == x]) for x in xs])
            series.append(Series("", xs, ys, colour=ink, marker="·"))
        hollow = f"{title} not fitted" if len(losses) <= MANY_LOSSES else "" if points else title
        for label, pairs, sign in ((title, points, FITTED), (hollow, censored, CENSORED)):
            if pairs:
                x, y = np.array(pairs, float).T
                series.append(Series(label, x, y, colour=ink, kind="points", marker=sign[index % len(sign)]))
    highest = max((row[2] if row[2] is not None else row[3] for row in rows), default=1)
    sides = {"x_limits": (-0.05, 1.05), "y_limits": (0.0, float(max(highest, 1)))}
    return ChartSpec("Time to fit", "corruption", "iterations", tuple(series), **sides)
