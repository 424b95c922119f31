"""The supervised contrastive loss as Khosla et al. ran it: two views, a projection head, a scale."""

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from simplexlab.objectives import contrastive
from simplexlab.objectives.objective import Known, Objective, Option

if TYPE_CHECKING:
    import keras
    import numpy as np

    from simplexlab.theory import Floor


def make_projection(options: Mapping[str, Any], dimension: int, seed: int) -> "keras.Model":
    """The head of two layers, h → h → width, between the encoder and the loss."""
    from simplexlab.models import projection_head

    return projection_head(dimension, options["head_width"], seed)


def make_loss(options: Mapping[str, Any], dtype: str) -> "keras.losses.Loss":
    """The loss of points that lie on the sphere of radius 1/√τ already."""
    from simplexlab.losses import SupCon

    base = options["base_temperature"] / options["temperature"]
    return SupCon(1.0, base, options["supcon_form"], reduction=None, dtype=dtype)


def floor(known: Known) -> "Floor":
    """That of the contrastive loss, times τ/τ_base; it is the same for both forms.

    In the form `in` an anchor's loss is log Σ_{k ≠ i} exp(s_ik) − log of the mean over positives of exp(s_ij), at least
    log(l_y − 1 + Σ exp(s_ik − ρ²)) over the points k of other classes. That is convex in the inner products, so that
    classes may collapse, and there both forms are equal.
    """
    found, scale = contrastive.floor(known), _scale(known)
    scaled = {name: getattr(found, name) for name in ("value", "certificate", "collapsed", "best_known")}
    return dataclasses.replace(found, **{name: scale * one for name, one in scaled.items() if one is not None})


def measure(
    values: "np.ndarray", labels: "np.ndarray", known: Known, floor: "Floor", generator: "np.random.Generator"
) -> tuple[float, float | None, float | None]:
    """Expected sum over the anchors of a batch, as of the contrastive loss, times τ/τ_base."""
    form = known.options["supcon_form"]
    found = contrastive.measure(values, labels, known, contrastive.floor(known), generator, form)
    loss, excess, error = (_scale(known) * one for one in found)
    return loss, excess, error


def _scale(known: Known) -> float:
    return known.options["temperature"] / known.options["base_temperature"]


OBJECTIVES = (
    Objective(
        name="supcon",
        title="SupCon",
        sentence="Supervised contrastive loss as it was first run: two views of each image, on a projection head that "
        "is not kept.",
        reference="Equations 2 and 3 of Khosla et al. 2020",
        colour="#882255",
        marker="p",
        options=(
            Option(
                name="temperature",
                default=0.07,
                help="Temperature τ; the head's output lies on the sphere of radius 1/√τ.",
                above=0.0,
            ),
            Option(
                name="base_temperature",
                default=0.07,
                help="The loss is multiplied by τ over this number.",
                above=0.0,
            ),
            Option(
                name="head_width",
                default=128,
                help="Dimension of the output of the projection head.",
                minimum=1,
                maximum=4096,
                of_projection=True,
            ),
            Option(
                name="supcon_form",
                default="out",
                help="out: the logarithm stands inside the mean over positives; in: outside it.",
                choices=("out", "in"),
            ),
        ),
        head="none",
        make_projection=make_projection,
        sphere=True,
        radius=contrastive.radius,
        reduction="sum",
        views=2,
        make_loss=make_loss,
        remedy="lower --learning-rate or raise --temperature",
        floor=floor,
        measure=measure,
        # At 0.07 two clusters of one class pull each other by e^(−14) only.
        toy={"temperature": 1.0, "base_temperature": 1.0},
    ),
)
