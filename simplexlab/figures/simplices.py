"""Figure 3: the regular simplices of two, three and four classes on the sphere."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from matplotlib import rcParams
from matplotlib.figure import Figure

from simplexlab.figures.style import MUTED_COLOR, class_color, new_figure, thin
from simplexlab.geometry import regular_simplex, simplex_similarity

CLASSES = (2, 3, 4)
TITLE = "The optimum of both losses: regular simplices"
VIEW = {"elev": 18, "azim": -52}
TURNS = {2: 0, 3: 0, 4: 28}  # degrees about the vertical axis


def simplices() -> dict[str, Any]:
    """The vertices of each simplex on the unit sphere in three dimensions, their cosines and angles."""
    return {
        "figure": 3,
        "title": TITLE,
        "simplices": [
            {
                "classes": classes,
                "vertices": _upright(classes).tolist(),
                "inner_product": -1 / (classes - 1),
                "angle_degrees": float(np.degrees(np.arccos(-1 / (classes - 1)))),
                "angular_similarity": simplex_similarity(classes),
            }
            for classes in CLASSES
        ],
    }


def draw(numbers: dict[str, Any]) -> tuple[Figure, str]:
    """Draw `simplices`; returns the figure and its caption."""
    figure = new_figure(7.0, 2.7, numbers["title"])
    for column, simplex in enumerate(numbers["simplices"], start=1):
        axes = figure.add_subplot(1, 3, column, projection="3d", proj_type="ortho", computed_zorder=False)
        _draw_sphere(axes)
        _draw_simplex(axes, np.array(simplex["vertices"]))
        classes = simplex["classes"]
        cosine = "−1" if classes == 2 else f"−1/{classes - 1}"
        axes.set_title(f"K = {classes}: ⟨ζᵢ, ζⱼ⟩ = {cosine}, {simplex['angle_degrees']:.1f}°", loc="center")
    caption = (
        "Regular simplices of K = 2, 3, 4 vertices inscribed in the unit sphere of three dimensions: a segment, a "
        "triangle, a tetrahedron. Their centre is 0, all norms are ρ = 1 and all inner products are −ρ²/(K−1). At the "
        "minimum of cross-entropy and of the supervised contrastive loss every class collapses to one vertex."
    )
    return figure, caption


def _upright(classes: int) -> np.ndarray:
    """The regular simplex in three dimensions, turned so that it is well seen."""
    vertices = regular_simplex(classes, 3)
    if classes == 4:
        vertices = vertices[:, [1, 2, 0]]  # the first vertex up
    turn = np.radians(TURNS[classes])
    return vertices @ [[np.cos(turn), np.sin(turn), 0], [-np.sin(turn), np.cos(turn), 0], [0, 0, 1]]


def _draw_sphere(axes) -> None:
    """Circles of latitude and longitude, paler where the sphere hides them, and the outline."""
    angle = np.linspace(0, 2 * np.pi, 361)
    towards, right, up = _view()
    for circle in _graticule(angle):
        for is_shown, color, order in ((circle @ towards < 0, "#E6E6E6", 1), (circle @ towards >= 0, "#C4C4C4", 5)):
            axes.plot(*np.where(is_shown[:, None], circle, np.nan).T, color=color, linewidth=0.7 * thin(), zorder=order)
    outline = np.outer(np.cos(angle), right) + np.outer(np.sin(angle), up)
    axes.plot(*outline.T, color="#9A9A9A", linewidth=thin(), zorder=1)
    axes.set(xlim=(-1, 1), ylim=(-1, 1), zlim=(-1, 1))
    axes.set_box_aspect((1, 1, 1), zoom=1.3)
    axes.view_init(**VIEW)
    axes.set_axis_off()


def _graticule(angle: np.ndarray) -> Iterator[np.ndarray]:
    for height in np.sin(np.radians([-60, -30, 0, 30, 60])):
        ring = np.sqrt(1 - height**2)
        yield np.column_stack([ring * np.cos(angle), ring * np.sin(angle), np.full_like(angle, height)])
    for longitude in np.radians(np.arange(0, 180, 30)):
        yield np.column_stack([np.cos(angle) * np.cos(longitude), np.cos(angle) * np.sin(longitude), np.sin(angle)])


def _view() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Unit vectors towards the viewer, to the right and up on the page."""
    elevation, azimuth = np.radians(VIEW["elev"]), np.radians(VIEW["azim"])
    towards = np.array([np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)])
    right = np.array([-np.sin(azimuth), np.cos(azimuth), 0])
    return towards, right, np.cross(towards, right)


def _draw_simplex(axes, vertices: np.ndarray) -> None:
    from mpl_toolkits.mplot3d.art3d import Poly3DCollection

    if len(vertices) > 2:
        triangles = [np.delete(vertices, skip, axis=0) for skip in range(4)] if len(vertices) == 4 else [vertices]
        axes.add_collection3d(Poly3DCollection(triangles, facecolor="#8C8C8C", alpha=0.13, edgecolor="none", zorder=2))
    for first in range(len(vertices)):
        for second in range(first):
            axes.plot(*vertices[[first, second]].T, color="#555555", zorder=3)
        axes.plot(*np.stack([np.zeros(3), vertices[first]]).T, color=class_color(first), linestyle=":", zorder=3)
    axes.plot(0, 0, 0, "o", color=MUTED_COLOR, markersize=0.6 * rcParams["lines.markersize"], zorder=3)
    for label, vertex in enumerate(vertices):
        axes.plot(*vertex[:, None], "o", color=class_color(label), markeredgecolor="white", zorder=8)
        axes.text(*_beside(vertex), f"ζ{'₁₂₃₄'[label]}", color=class_color(label), ha="center", va="center", zorder=9)


def _beside(vertex: np.ndarray) -> np.ndarray:
    """Where the name of a vertex goes: outward on the page by a fixed step."""
    _, right, up = _view()
    across, upward = vertex @ right, vertex @ up
    return vertex + 0.22 / np.hypot(across, upward) * (across * right + upward * up)
