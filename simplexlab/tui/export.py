"""Charts as PNG, drawn by matplotlib from the same description as in the terminal."""

from pathlib import Path

import numpy as np

from simplexlab.files import replacing
from simplexlab.tui.views.charts import ChartSpec, HeatMapSpec, HistogramSpec, Spec
from simplexlab.tui.widgets.palette import colour

MARKERS = dict(zip([*"●◆■★△▷▽◁·+", "[]"], "oDs*^>v<.Ps", strict=True))
HOLLOW = ("[]", *"△▷▽◁")


def save_png(spec: Spec, path: Path, caption: str = "") -> Path:
    """Draw a description and write it as PNG, 1600 × 1000 pixels.

    Args:
        spec: what the panel shows.
        path: the file.
        caption: a line under the picture: what the panel means.

    Returns:
        The file.

    Raises:
        OSError: it cannot be written.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), layout="constrained")
    if isinstance(spec, HeatMapSpec):
        _heat_maps(figure, spec)
    elif isinstance(spec, HistogramSpec):
        _histograms(figure, spec)
    else:
        _chart(figure.subplots(), spec)
    figure.suptitle(spec.title)
    if caption:
        figure.supxlabel(caption, fontsize=8, wrap=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=200)
    return path


def _chart(axes, spec: ChartSpec) -> None:
    if spec.log:
        axes.set_yscale("log", nonpositive="clip")
    for series in spec.series:
        ink = colour(series.colour, dark=False)
        finite = np.isfinite(series.x) & np.isfinite(series.y)
        label = series.label or None
        if series.kind == "line":
            axes.plot(
                series.x, np.where(finite, series.y, np.nan), "--" if series.dashed else "-", color=ink, label=label
            )
        elif series.marker.isalnum():
            axes.plot([], [], "o", color=ink, label=label)
            for x, y in zip(series.x, series.y, strict=True):
                axes.text(x, y, series.marker, color=ink, weight="bold", ha="center", va="center")
        else:
            size = 8 if series.marker == "·" else 36
            hollow = {"facecolors": "none", "edgecolors": ink} if series.marker in HOLLOW else {"color": ink}
            sign = MARKERS.get(series.marker, "o")
            axes.scatter(series.x[finite], series.y[finite], size, marker=sign, label=label, **hollow)
        lost = np.isfinite(series.x) & (np.isnan(series.y) | np.isposinf(series.y))
        for x in series.x[lost]:
            axes.plot(
                [x], [1], "x", color=colour("warning", False), transform=axes.get_xaxis_transform(), clip_on=False
            )
    for mark in spec.horizontal:
        axes.axhline(
            mark.at, color=colour(mark.colour, False), label=f"{mark.label} {mark.now}".strip() or None, linewidth=1
        )
    for mark in spec.vertical:
        axes.axvline(
            mark.at,
            color=colour(mark.colour, False),
            label=f"{mark.label} {mark.now}".strip() or None,
            linewidth=1,
            linestyle="--",
        )
    axes.set(xlabel=spec.x_label, ylabel=spec.y_label)
    if spec.x_limits:
        axes.set_xlim(*spec.x_limits)
    if spec.y_limits:
        axes.set_ylim(*spec.y_limits)
    if spec.equal:
        axes.set_aspect("equal")
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=8)


def _histograms(figure, spec: HistogramSpec) -> None:
    rows = figure.subplots(max(len(spec.histograms), 1), sharex=True, squeeze=False)[:, 0]
    for index, (axes, histogram) in enumerate(zip(rows, spec.histograms, strict=False)):
        edges = np.linspace(0, 1, len(histogram.counts) + 1)
        axes.stairs(histogram.counts, edges, fill=True, color=colour(index, False))
        for mark in histogram.marks:
            axes.axvline(
                mark.at, color=colour(mark.colour, False), label=f"{mark.label} {mark.now}".strip(), linewidth=1
            )
        axes.set_ylabel(histogram.label)
        axes.legend(fontsize=8)
    rows[-1].set(xlabel=spec.x_label, xlim=(0, 1.005))


def _heat_maps(figure, spec: HeatMapSpec) -> None:
    columns = figure.subplots(1, max(len(spec.matrices), 1), squeeze=False)[0]
    for axes, matrix in zip(columns, spec.matrices, strict=False):
        image = axes.imshow(matrix.values, vmin=-1, vmax=1, cmap="PuOr_r")
        axes.set(title=f"{matrix.name}, {matrix.now}", xlabel="class", ylabel="class")
    if spec.matrices:
        figure.colorbar(image, ax=list(columns), shrink=0.8, label=spec.unit)
