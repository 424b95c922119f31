"""Figure 4: the norm of the weights and the regularised cross-entropy over λ, theory against optimisation."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from simplexlab.figures.style import CLASS_COLORS, MUTED_COLOR, PALE_COLOR, THEORY_LINE, new_figure, scientific, thin
from simplexlab.theory import ce_bound_weight_decay, optimal_weight_norm
from simplexlab.toy import minimise_cross_entropy

TITLE = "How weight decay sets the norm of the weights"
CLASSES, POINTS_PER_CLASS, DIMENSION, RADIUS = 3, 3, 2, 1.0


def weight_norm(seed: int = 0, starts: int = 3, strengths: int = 13) -> dict[str, Any]:
    """Corollary 2 over λ from 10⁻⁴ to 1, and numerical minima of CE + λ‖W‖²_F over points and weights.

    Args:
        seed: of the first random start; the others follow.
        starts: random starts at each λ, of which the best end counts.
        strengths: how many λ are optimised.
    """
    curve = np.geomspace(1e-4, 1, 201)
    optimised = []
    for weight_decay in np.geomspace(1e-4, 1, strengths):
        ends = [
            minimise_cross_entropy(CLASSES, POINTS_PER_CLASS, DIMENSION, weight_decay, seed=seed + start)
            for start in range(starts)
        ]
        _, weights, loss = min(ends, key=lambda end: end[2])
        norms = np.linalg.norm(weights, axis=1)
        optimised.append(
            {
                "weight_decay": float(weight_decay),
                "weight_norms": norms.tolist(),
                "mean_weight_norm": float(norms.mean()),
                "optimal_weight_norm": optimal_weight_norm(RADIUS, weight_decay, CLASSES),
                "loss": loss,
                "bound": ce_bound_weight_decay(CLASSES, RADIUS, weight_decay),
            }
        )
    return {
        "figure": 4,
        "title": TITLE,
        "classes": CLASSES,
        "points_per_class": POINTS_PER_CLASS,
        "dimension": DIMENSION,
        "radius": RADIUS,
        "seed": seed,
        "starts": starts,
        "theory": {
            "weight_decay": curve.tolist(),
            "weight_norm": [optimal_weight_norm(RADIUS, value, CLASSES) for value in curve],
            "bound": [ce_bound_weight_decay(CLASSES, RADIUS, value) for value in curve],
        },
        "optimised": optimised,
        "largest_norm_difference": max(
            abs(norm - row["optimal_weight_norm"]) for row in optimised for norm in row["weight_norms"]
        ),
        "largest_excess": max(row["loss"] - row["bound"] for row in optimised),
    }


def draw(numbers: dict[str, Any]) -> tuple[Figure, str]:
    """Draw `weight_norm`; returns the figure and its caption."""
    figure = new_figure(7.0, 2.8, numbers["title"])
    left, right = figure.subplots(1, 2)
    theory, optimised = numbers["theory"], numbers["optimised"]
    decays = [row["weight_decay"] for row in optimised]
    found = {"linestyle": "none", "marker": "o", "color": CLASS_COLORS[1], "label": "found by optimisation"}
    left.plot(theory["weight_decay"], theory["weight_norm"], label="theory: $r_W$(ρ, λ)", **THEORY_LINE)
    left.plot(decays, [row["mean_weight_norm"] for row in optimised], **found)
    left.set(title="Norm of the weights", ylabel="mean norm ‖w‖", ylim=(0, None))
    right.plot(theory["weight_decay"], theory["bound"], label="theory: Corollary 2", **THEORY_LINE)
    right.plot(decays, [row["loss"] for row in optimised], **found)
    limit = np.log(numbers["classes"])
    right.set(title="Regularised cross-entropy", ylabel="CE + λ‖W‖² (nats)", ylim=(0, 1.15 * limit))
    right.axhline(limit, color=PALE_COLOR, linewidth=thin(), zorder=0)
    right.annotate(
        f"log {numbers['classes']}: W = 0", (1e-4, limit), xytext=(0, 3), textcoords="offset points", color=MUTED_COLOR
    )
    for axes in (left, right):
        axes.set(xscale="log", xlabel="regularisation strength λ")
    left.legend(loc="upper right")
    right.legend(loc="upper left", bbox_to_anchor=(0, 0.86))
    caption = (
        f"Corollary 2 for K = {numbers['classes']} classes and points in the unit disc (ρ = {numbers['radius']:g}), "
        "over the strength λ of the penalty λ‖W‖²: the norm of every weight at the minimum (left) and the minimum "
        f"itself (right). Dots: numerical minima over the weights and {numbers['points_per_class']} points a class, "
        f"best of {numbers['starts']} random starts. No weight's norm is off by more than "
        f"{scientific(numbers['largest_norm_difference'])}, no loss is above its bound by more than "
        f"{scientific(numbers['largest_excess'])}."
    )
    return figure, caption
