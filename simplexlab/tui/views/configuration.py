"""The configuration view: class means, weights and representations projected so that a simplex looks like one."""

from dataclasses import dataclass, replace

import numpy as np

from simplexlab.geometry import align_procrustes, regular_simplex, simplex_projection
from simplexlab.geometry.similarity import pairwise_similarity
from simplexlab.tui.views.charts import ChartSpec, Series

INNER_POINTS = 0.9
TRAIL, FAR = 0.6, 0.55  # how strongly what is past, and what is far from the eye, stands out


@dataclass(frozen=True)
class Projected:
    """A configuration in the picture's own space.

    Attributes:
        means: class means, shape (K, d), d = 2 or 3.
        sample: representations, shape (n, d).
        labels: their classes, shape (n,).
        weights: classifier rows, scaled to the mean norm of the class means, shape (K, d), or None.
        ideal: optimal class means closest to those that there are, shape (K, d), or None where none exists.
        projection: from representations into the picture, shape (h, d).
    """

    means: np.ndarray
    sample: np.ndarray
    labels: np.ndarray
    weights: np.ndarray | None
    ideal: np.ndarray | None
    projection: np.ndarray


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
    ideal = ideal_of(geometry, means)
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
        projection=projection,
    )


def ideal_of(geometry: dict[str, np.ndarray], means: np.ndarray) -> np.ndarray | None:
    """The optimal class means, turned to lie closest to those that there are, shape (K, h); None where none exists.

    The regular simplex; for unbalanced labels, whose optimum has other angles, the one that the evaluation recorded.
    """
    classes, space = means.shape
    best = own_optimum(geometry)
    if best is not None and best.shape[1] <= space:
        return align_procrustes(np.pad(best, ((0, 0), (0, space - best.shape[1]))), means)
    return align_procrustes(regular_simplex(classes, space), means) if classes <= space + 1 else None


def own_optimum(geometry: dict[str, np.ndarray]) -> np.ndarray | None:
    """The optimal class means of unbalanced labels, shape (K, h′); None where all their angles are alike."""
    best, means = geometry.get("optimum_means"), geometry.get("class_means")
    if best is None or best.ndim != 2 or len(best) != len(means) or not np.isfinite(best).all():
        return None
    return best.astype(np.float64) if np.ptp(pairwise_similarity(best)) > 1e-4 else None


def turned(points: np.ndarray, yaw: float, pitch: float) -> np.ndarray:
    """Points (n, d) turned about the vertical axis by `yaw`, then about the horizontal one by `pitch`, in radians.

    Returns:
        Right, up and towards the eye, shape (n, 3); points in the plane or on a line are not turned.
    """
    if points.shape[1] < 3:
        return np.pad(points, ((0, 0), (0, 3 - points.shape[1])))
    x, y, z = points.T
    x, z = x * np.cos(yaw) + z * np.sin(yaw), z * np.cos(yaw) - x * np.sin(yaw)
    return np.column_stack([x, y * np.cos(pitch) - z * np.sin(pitch), y * np.sin(pitch) + z * np.cos(pitch)])


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
    geometry: dict[str, np.ndarray] | None,
    yaw: float = 0.0,
    pitch: float = 0.0,
    most_edges: int = 4,
    reach: float | None = None,
    trail: list[dict[str, np.ndarray]] = (),
    pinned: bool = True,
) -> ChartSpec:
    """The configuration as a chart with equal axes; what is far from the eye is dimmer.

    Args:
        geometry: arrays of one evaluation, or None.
        yaw, pitch: how far the picture is turned, in radians.
        most_edges: up to this many classes the edges of the ideal simplex are drawn, beyond it spokes.
        reach: how far other evaluations of the same run reach (`reach_of`), so that a replay keeps its scale.
        trail: arrays of the evaluations before, oldest first: the way that the class means have come.
        pinned: whether the ideal class means are the only ones that are optimal; else they are called a guide.
    """
    picture = project(geometry) if geometry else None
    if picture is None:
        return ChartSpec("Configuration", "", "", equal=True)
    series = []
    seen = {
        name: turned(points, yaw, pitch)
        for name in ("means", "sample", "weights", "ideal")
        if (points := getattr(picture, name)) is not None
    }
    if "ideal" in seen:
        ideal = seen["ideal"][:, :2]
        lines = ideal[edges(len(ideal))] if len(ideal) <= most_edges else spokes(ideal)
        series.append(Series("", *lines.T, colour="muted", marker="."))
        series.append(Series("ideal" if pinned else "guide", *ideal.T, colour="ideal", kind="points", marker="[]"))
    for label, way in enumerate(_ways(picture, trail, yaw, pitch)):
        series.append(Series("", *way.T, colour=label, marker=".", strength=TRAIL))
    reach = 1.08 * max(reach or 0.0, _reach(picture)) or 1.0
    for label in np.unique(picture.labels):
        points = seen["sample"][picture.labels == label]
        near = points[:, 2] > -reach / 4 if points[:, 2].any() else np.ones(len(points), bool)
        for part, strength in ((points[~near], FAR), (points[near], 1.0)):
            if len(part):
                series.append(Series("", *part[:, :2].T, int(label), "points", "·", strength=strength))
    for name, label in (("weights", "weights"), ("means", "means")):
        if name in seen:
            order = np.argsort(seen[name][:, 2], kind="stable")  # the nearest last, above the others
            for index in order:
                x, y, depth = seen[name][index]
                marker = "+" if name == "weights" else class_marker(int(index))
                point = Series(label if not index else "", np.array([x]), np.array([y]), int(index), "points", marker)
                series.append(replace(point, strength=FAR if depth < -reach / 4 else 1.0))
    if len(seen["sample"]):
        series.append(Series("points", np.empty(0), np.empty(0), "muted", "points", "·"))
    return ChartSpec(
        shadow_title(geometry), "", "", tuple(series), x_limits=(-reach, reach), y_limits=(-reach, reach), equal=True
    )


def _ways(picture: Projected, trail: list[dict[str, np.ndarray]], yaw: float, pitch: float) -> list[np.ndarray]:
    """Where each class mean came from, shapes (t + 1, 2)."""
    shape = (len(picture.means), len(picture.projection))
    before = [means for arrays in trail if (means := arrays.get("class_means")) is not None and means.shape == shape]
    before = [means.astype(np.float64) @ picture.projection for means in before if np.isfinite(means).all()]
    if not before:
        return []
    path = np.stack([*before, picture.means])
    flat = turned(path.reshape(-1, path.shape[-1]), yaw, pitch)[:, :2].reshape(*path.shape[:2], 2)
    return list(flat.transpose(1, 0, 2))


def shadow_title(geometry: dict[str, np.ndarray]) -> str:
    """The title, which tells where the picture is a shadow of more dimensions than it has."""
    classes, space = geometry["class_means"].shape
    shown, held = min(space, 2 if classes <= 3 else 3), min(space, classes - 1)
    return f"Configuration: shadow of {held} dimensions" if held > shown else "Configuration"


def depth_of(geometry: dict[str, np.ndarray] | None) -> int:
    """Dimensions of the picture: 3 where it can be turned, 0 where there is none."""
    means = (geometry or {}).get("class_means")
    if means is None or means.ndim != 2:
        return 0
    return min(means.shape[1], 2 if len(means) <= 3 and means.shape[1] != 3 else 3)


def reach_of(geometry: dict[str, np.ndarray]) -> float:
    """The largest distance from the centre of what the picture of one evaluation has to show, however it is turned."""
    picture = project(geometry)
    return 0.0 if picture is None else _reach(picture)


def _reach(picture: Projected) -> float:
    """The reach of everything but the points farthest out, which would make all others small."""
    parts = [part for part in (picture.means, picture.weights, picture.ideal) if part is not None]
    norms = np.linalg.norm(picture.sample, axis=1)
    inner = float(np.quantile(norms, INNER_POINTS)) if len(norms) else 0.0
    return max(inner, *(float(np.linalg.norm(part, axis=1).max()) for part in parts))


def class_marker(label: int) -> str:
    """The character of a class: its digit, then letters; a dot beyond those."""
    characters = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
    return characters[label] if label < len(characters) else "●"
