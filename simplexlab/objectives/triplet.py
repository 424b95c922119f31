"""The triplet loss over all triplets of a batch."""

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from simplexlab.objectives.objective import Known, Objective, Option

if TYPE_CHECKING:
    import keras
    import numpy as np

    from simplexlab.theory import Floor

MEASURED = 32  # batches: each has many triplets


def make_loss(options: Mapping[str, Any], dtype: str) -> "keras.losses.Loss":
    """The triplet loss of representations that lie on the unit sphere already."""
    from simplexlab.losses import Triplet

    return Triplet(options["margin"], reduction=None, dtype=dtype)


def floor(known: Known) -> "Floor":
    """The least expected loss of a batch, the mean over its anchors, by the law that these batches are drawn by."""
    counts = tuple(map(int, known.class_counts))
    law = known.batch_size, known.views, known.composition
    return _floor(counts, *law, known.options["margin"], known.dimension, known.features)


@lru_cache(maxsize=16)  # it is the same at every evaluation of a run
def _floor(
    counts: tuple[int, ...],
    batch_size: int,
    views: int,
    composition: tuple[int, ...] | None,
    margin: float,
    dimension: int,
    features: str,
) -> "Floor":
    import numpy as np

    from simplexlab import theory

    shape = {"dimension": dimension, "features": features}
    if composition is not None:
        return theory.triplet_floor_of_composition(composition, margin, **shape)
    return theory.triplet_floor(np.array(counts) / sum(counts), batch_size, margin, views=views, **shape)


def measure(
    values: "np.ndarray", labels: "np.ndarray", known: Known, floor: "Floor", generator: "np.random.Generator"
) -> tuple[float, float | None, float | None]:
    """Mean over the anchors of random batches, paired with the optimum at each batch's own label counts."""
    import numpy as np

    from simplexlab import theory

    margin = known.options["margin"]
    indices = known.batches(labels, generator, MEASURED)
    losses = theory.triplet_losses(values, labels, indices, margin)
    if floor.points is None or not floor.attained:
        loss, differences = float(losses.mean()), losses
    else:
        counts = np.stack([np.bincount(row, minlength=known.num_classes) for row in labels[indices]])
        differences = losses - theory.triplet_values(counts, floor.points @ floor.points.T, margin)
        loss = floor.value + float(differences.mean())
    return loss, loss - floor.value, float(differences.std(ddof=1) / np.sqrt(len(losses)))


OBJECTIVES = (
    Objective(
        name="triplet",
        title="Triplet",
        sentence="Each sample is closer to its own class than to any other by a margin, on the unit sphere; no "
        "classifier is trained.",
        reference="Schroff et al. 2015, over all triplets of a batch",
        colour="#CC6677",
        marker="<",
        options=(
            Option(
                name="margin",
                default=0.2,
                help="Margin m between squared distances; the simplex has the margin 2K/(K−1).",
                minimum=0.0,
            ),
        ),
        head="none",
        sphere=True,
        make_loss=make_loss,
        floor=floor,
        measure=measure,
    ),
)
