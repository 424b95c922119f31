"""The soft nearest neighbour loss."""

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from simplexlab.objectives.objective import Known, Objective, Option

if TYPE_CHECKING:
    import keras
    import numpy as np

    from simplexlab.theory import Floor


def make_loss(options: Mapping[str, Any], dtype: str) -> "keras.losses.Loss":
    """The soft nearest neighbour loss of representations that lie on the unit sphere already."""
    from simplexlab.losses import SoftNearestNeighbour

    return SoftNearestNeighbour(options["temperature"], reduction=None, dtype=dtype)


def floor(known: Known) -> "Floor":
    """The least expected loss of a batch, the mean over its anchors, by the law that these batches are drawn by."""
    counts = tuple(map(int, known.class_counts))
    temperature = known.options["temperature"]
    law = known.batch_size, known.views, known.composition
    return _floor(counts, *law, temperature, known.dimension, known.features)


@lru_cache(maxsize=16)  # it is the same at every evaluation of a run
def _floor(
    counts: tuple[int, ...],
    batch_size: int,
    views: int,
    composition: tuple[int, ...] | None,
    temperature: float,
    dimension: int,
    features: str,
) -> "Floor":
    import numpy as np

    from simplexlab import theory

    shape = {"dimension": dimension, "features": features}
    if composition is not None:
        found = theory.soft_nearest_neighbour_floor_of_composition(composition, temperature, **shape)
    else:
        shares = np.array(counts) / sum(counts)
        found = theory.soft_nearest_neighbour_floor(shares, batch_size, temperature, views=views, **shape)
    anchors = views * batch_size if composition is None else sum(composition)
    return replace(
        found,
        value=found.value / anchors,
        certificate=found.certificate / anchors,
        collapsed=found.collapsed / anchors,
        best_known=None if found.best_known is None else found.best_known / anchors,
    )


def measure(
    values: "np.ndarray", labels: "np.ndarray", known: Known, floor: "Floor", generator: "np.random.Generator"
) -> tuple[float, float | None, float | None]:
    """Mean over the anchors of random batches, paired with the optimum at each batch's own label counts."""
    import numpy as np

    from simplexlab import theory

    temperature = known.options["temperature"]
    indices = known.batches(labels, generator)
    losses = theory.soft_nearest_neighbour_losses(values, labels, indices, temperature)
    if floor.points is None:
        loss, differences = float(losses.mean()), losses
    else:
        counts = np.stack([np.bincount(row, minlength=known.num_classes) for row in labels[indices]])
        optimum = theory.soft_nearest_neighbour_values(counts, floor.points @ floor.points.T, temperature)
        differences = losses - optimum / indices.shape[1]
        reached = floor.value if floor.best_known is None else floor.best_known  # by the optimal configuration
        loss = reached + float(differences.mean())
    return loss, loss - floor.value, float(differences.std(ddof=1) / np.sqrt(len(losses)))


OBJECTIVES = (
    Objective(
        name="soft-nn",
        title="Soft-NN",
        sentence="Each sample has its nearest neighbours, softly, in its own class, on the unit sphere; no classifier "
        "is trained.",
        reference="Frosst et al. 2019",
        colour="#AA4499",
        marker=">",
        options=(
            Option(
                name="temperature",
                default=0.2,
                help="Temperature T, which divides squared distances on the unit sphere: that of sc at τ = T/2.",
                above=0.0,
            ),
        ),
        head="none",
        sphere=True,
        make_loss=make_loss,
        remedy="lower --learning-rate or raise --temperature",
        floor=floor,
        measure=measure,
        toy={"temperature": 2.0},
    ),
)
