"""The supervised contrastive loss."""

import math
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from simplexlab.objectives.objective import Known, Objective, Option

if TYPE_CHECKING:
    import keras
    import numpy as np

    from simplexlab.theory import Floor


def make_loss(options: Mapping[str, Any], dtype: str) -> "keras.losses.Loss":
    """The contrastive loss of representations that lie on the sphere of radius 1/√τ already."""
    from simplexlab.losses import SupervisedContrastive

    return SupervisedContrastive(reduction=None, dtype=dtype, positives=options["positives"] or None)


def radius(options: Mapping[str, Any]) -> float:
    """ρ = 1/√τ."""
    return 1 / math.sqrt(options["temperature"])


def refuses(options: Mapping[str, Any], views: int, balanced: bool) -> str | None:
    """Two views of an image have fixed places in a batch, so that the first positives are no uniform choice."""
    if options["positives"] and views > 1:
        return (
            f"--positives {options['positives']} goes with --views 1: with two views the first positives after an "
            "anchor are not drawn alike; take --positives 0 for all of them"
        )
    return None


def floor(known: Known) -> "Floor":
    """The least expected loss of a batch, summed over its anchors, by the law that these batches are drawn by.

    Fewer positives change neither it nor the loss that is measured: given the draws of a batch their order is uniform
    within classes, so the first M positives after an anchor are a uniform choice, and the mean over them has the
    expectation of the mean over all.
    """
    counts = tuple(map(int, known.class_counts))
    law = known.batch_size, known.views, known.composition
    return _floor(counts, *law, known.radius, known.dimension, known.features)


@lru_cache(maxsize=16)  # it is the same at every evaluation of a run
def _floor(
    counts: tuple[int, ...],
    batch_size: int,
    views: int,
    composition: tuple[int, ...] | None,
    radius: float,
    dimension: int,
    features: str,
) -> "Floor":
    import numpy as np

    from simplexlab import theory

    shape = {"radius": radius, "dimension": dimension, "features": features}
    if composition is not None:
        return theory.sc_floor_of_composition(composition, **shape)
    return theory.sc_floor(np.array(counts) / sum(counts), batch_size, views=views, **shape)


def measure(
    values: "np.ndarray",
    labels: "np.ndarray",
    known: Known,
    floor: "Floor",
    generator: "np.random.Generator",
    form: str = "out",
) -> tuple[float, float | None, float | None]:
    """Expected sum over the anchors of a batch: the floor and the paired excess of random batches.

    From each batch the loss of the optimal configuration at the batch's own label counts is subtracted. The mean of
    that difference has the expectation of loss − floor and a far smaller variance. `form` is as of
    `theory.sc_loss_batches`.
    """
    import numpy as np

    from simplexlab import theory

    indices = known.batches(labels, generator)
    losses = theory.sc_loss_batches(values, labels, indices, form=form)
    number = len(indices)
    offsets = known.num_classes * np.arange(number)[:, None]
    counts = np.bincount((labels[indices] + offsets).ravel(), minlength=number * known.num_classes)
    counts = counts.reshape(number, known.num_classes)
    reached = floor.value if floor.best_known is None else floor.best_known  # by the optimal configuration
    if floor.points is None:
        differences = losses - theory.composition_value(counts, known.radius, features=known.features)
    else:
        differences = losses - theory.sc_composition_value(counts, floor.points @ floor.points.T)
    loss = reached + float(differences.mean())
    return loss, loss - floor.value, float(differences.std(ddof=1) / np.sqrt(number))


OBJECTIVES = (
    Objective(
        name="sc",
        title="SC",
        sentence="Supervised contrastive loss of representations on a sphere; no classifier is trained.",
        reference="Definition 2 and Theorem 2 of Graf et al. 2021",
        colour="#D55E00",
        marker="s",
        options=(
            Option(
                name="temperature",
                default=0.1,
                help="Temperature τ; representations lie on the sphere of radius 1/√τ.",
                above=0.0,
            ),
            Option(
                name="positives",
                default=0,
                help="Positives of each anchor, the first so many after it in the batch; 0 takes all.",
                minimum=0,
            ),
        ),
        head="none",
        sphere=True,
        radius=radius,
        reduction="sum",
        make_loss=make_loss,
        remedy="lower --learning-rate or raise --temperature",
        floor=floor,
        measure=measure,
        refuses=refuses,
        in_paper=True,
    ),
)
