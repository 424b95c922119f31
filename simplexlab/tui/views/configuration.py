"""The configuration view: class means, weights and representations projected so that a simplex looks like one."""

from dataclasses import dataclass

import numpy as np

from simplexlab.geometry import align_procrustes, regular_simplex, simplex_projection
from simplexlab.tui.views.charts import ChartSpec, Series


@dataclass(frozen=True)
class Projected:
    """A configuration in the picture's own space.

    Attributes:
        means: class means, shape (K, d), d = 2 or 3.
        sample: representations, shape (n, d).
        labels: their classes, shape (n,).
        weights: classifier rows, scaled to the mean norm of the class means, shape (K, d), or None.
        ideal: vertices of the regular simplex closest to the class means, shape (K, d), or None where none exists.
    """

    means: np.ndarray
    sample: np.ndarray
    labels: np.ndarray
    weights: np.ndarray | None
    ideal: np.ndarray | None


def project(geometry: dict[str, np.ndarray]) -> Projected | None:
    """Project the arrays of one evaluation.

    Representations of at most three dimensions are shown as they are. Of more, K = 2 or 3 are seen in the plane of
    the simplex, and more classes in three dimensions, in which K = 4 is the tetrahedron and K > 4 a shadow of their
    simplex, the ideal one a regular polygon from the front.

    Returns:
        The picture, or None if the arrays hold no finite class means.
    """
    means = geometry.get("class_means")
    if means is None or means.ndim != 2 or not np.isfinite(means).all() or len(means) < 2:
        return None
    means = means.astype(np.float64)
    classes, space = means.shape
    wanted = 2 if classes <= 3 else 3
    ideal = align_procrustes(regular_simplex(classes, space), means) if classes <= space + 1 else None
    # Seen from where the ideal simplex looks like one: it stands still, and the class means move to it.
    projection = np.eye(space) if space <= 3 else simplex_projection(means if ideal is None else ideal, wanted)
    weights = geometry.get("weights")
    if weights is not None:
        size = np.linalg.norm(weights, axis=1).mean() or 1.0
        weights = weights * (np.linalg.norm(means, axis=1).mean() / size) @ projection
    sample = geometry.get("sample", np.empty((0, space)))
    labels = geometry.get("sample_labels", np.empty(0, int))
    return Projected(
        means=means @ projection,
        sample=sample[np.isfinite(sample).all(axis=1)] @ projection,
        labels=labels[np.isfinite(sample).all(axis=1)],
        weights=weights,
        ideal=None if ideal is None else ideal @ projection,
    )


def rotate(points: np.ndarray, yaw: float, pitch: float) -> np.ndarray:
    """Turn points (n, 3) about the vertical axis by `yaw`, then about the horizontal one by `pitch`, in radians.

    Returns:
        What the eye sees, shape (n, 2); points in the plane or on a line, shape (n, 2) or (n, 1), are not turned.
    """
    if points.shape[1] == 1:
        return np.column_stack([points[:, 0], np.zeros(len(points))])
    if points.shape[1] == 2:
        return points
    x, y, z = points.T
    x, z = x * np.cos(yaw) + z * np.sin(yaw), z * np.cos(yaw) - x * np.sin(yaw)
    return np.column_stack([x, y * np.cos(pitch) - z * np.sin(pitch)])


def edges(count: int) -> np.ndarray:
    """An order of the vertices of a complete graph that runs along every edge."""
    path = [0]
    for first in range(count):
        for second in range(first + 1, count):
            path += [second, first]
        path.append(first + 1 if first + 1 < count else first)
    return np.array(path)


def spokes(points: np.ndarray) -> np.ndarray:
    """A path from the origin to each point (K, d) and back, shape (2K + 1, d)."""
    path = np.zeros((2 * len(points) + 1, points.shape[1]))
    path[1::2] = points
    return path


def configuration_chart(
    geometry: dict[str, np.ndarray] | None, yaw: float = 0.0, pitch: float = 0.0, most_edges: int = 4
) -> ChartSpec:
    """The configuration as a chart with equal axes.

    Args:
        geometry: arrays of one evaluation, or None.
        yaw, pitch: how far the picture is turned, in radians.
        most_edges: up to this many classes the edges of the ideal simplex are drawn, beyond it spokes.
    """
    picture = project(geometry) if geometry else None
    if picture is None:
        return ChartSpec("Configuration", "", "", equal=True)
    series = []
    flat = {
        name: rotate(points, yaw, pitch)
        for name in ("means", "sample", "weights", "ideal")
        if (points := getattr(picture, name)) is not None
    }
    if "ideal" in flat:
        ideal = flat["ideal"]
        lines = ideal[edges(len(ideal))] if len(ideal) <= most_edges else spokes(ideal)
        series.append(Series("", *lines.T, colour="muted", marker="."))
        series.append(Series("ideal simplex", *ideal.T, colour="ideal", kind="points", marker="□"))
    for label in np.unique(picture.labels):
        points = flat["sample"][picture.labels == label]
        series.append(Series("", *points.T, colour=int(label), kind="points", marker="·"))
    if "weights" in flat:
        for label, (x, y) in enumerate(flat["weights"]):
            series.append(_point("weights" if not label else "", x, y, label, "+"))
    for label, (x, y) in enumerate(flat["means"]):
        series.append(_point("class means" if not label else "", x, y, label, class_marker(label)))
    if len(flat["sample"]):
        series.append(Series("points", np.empty(0), np.empty(0), "muted", "points", "·"))
    reach = 1.08 * max(np.abs(points).max(initial=0.0) for points in flat.values()) or 1.0
    return ChartSpec(
        "Configuration", "", "", tuple(series), x_limits=(-reach, reach), y_limits=(-reach, reach), equal=True
    )


def class_marker(label: int) -> str:
    """The character of a class: its digit, then letters; a dot beyond those."""
    characters = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
    return characters[label] if label < len(characters) else "●"


def _point(label: str, x: float, y: float, colour: int, marker: str) -> Series:
    return Series(label, np.array([x]), np.array([y]), colour, "points", marker)
