"""The multi-class N-pair loss, of batches with any label counts."""

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from simplexlab.objectives.contrastive import radius
from simplexlab.objectives.objective import BATCHES, Known, Objective, Option

if TYPE_CHECKING:
    import keras
    import numpy as np

    from simplexlab.theory import Floor


def make_loss(options: Mapping[str, Any], dtype: str) -> "keras.losses.Loss":
    """The N-pair loss of representations that lie on the sphere of radius 1/√τ already."""
    from simplexlab.losses import NPairs

    return NPairs(reduction=None, dtype=dtype)


def floor(known: Known) -> "Floor":
    """The least mean loss of the batches that it is measured on, whose label counts are fixed: certified for these."""
    if known.whole:
        from simplexlab import theory

        shape = {"dimension": known.dimension, "features": known.features}
        return theory.n_pairs_floor_of_batch(known.composition, known.radius, **shape)
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
    from simplexlab import theory

    shape = {"dimension": dimension, "features": features}
    if composition is not None:
        return theory.n_pairs_floor([composition], radius, **shape)
    drawn = views * _drawn(counts, batch_size)
    return theory.n_pairs_floor(drawn, radius, exchangeable=len(set(counts)) == 1, **shape)


def _drawn(counts: tuple[int, ...], batch_size: int) -> "np.ndarray":
    """Images of each class in the batches that the loss is measured on, drawn once from a fixed seed, (R, K)."""
    import numpy as np

    shares = np.array(counts) / sum(counts)
    return np.random.default_rng(0).multinomial(batch_size, shares, size=BATCHES)


def measure(
    values: "np.ndarray", labels: "np.ndarray", known: Known, floor: "Floor", generator: "np.random.Generator"
) -> tuple[float, float | None, float | None]:
    """Mean over the samples of batches whose label counts are those of the floor, and whose points are random.

    Where all classes are drawn alike, so are the permutations of these counts over the classes.
    """
    import numpy as np

    from simplexlab import theory

    counts = np.bincount(labels)
    if known.composition is not None:
        images = np.tile(known.composition, (BATCHES, 1)) // known.views
    else:
        images = _drawn(tuple(map(int, known.class_counts)), known.batch_size)
        if len(set(counts.tolist())) == 1:  # the floor is that of all permutations
            images = generator.permuted(images, axis=1)
    classes = np.stack([np.repeat(np.arange(known.num_classes), row) for row in images])
    within = generator.integers(0, counts[classes])
    indices = np.argsort(labels, kind="stable")[(np.cumsum(counts) - counts)[classes] + within]
    indices = np.tile(indices, (1, known.views))
    losses = theory.n_pairs_losses(values, labels, indices)
    optimum = 0.0
    if floor.points is not None:  # what the batches' label counts explain of the spread of their losses
        optimum = theory.n_pairs_values(known.views * images, floor.points @ floor.points.T)
    loss = float(losses.mean())
    return loss, loss - floor.value, float((losses - optimum).std(ddof=1) / np.sqrt(len(losses)))


OBJECTIVES = (
    Objective(
        name="n-pairs",
        title="N-pairs",
        sentence="Each sample finds its partner among one sample of every other class, on a sphere; no classifier is "
        "trained.",
        reference="Sohn 2016, with representations on a sphere in the place of a penalty on their norms",
        colour="#117733",
        marker="v",
        options=(
            Option(
                name="temperature",
                default=0.1,
                help="Temperature τ; representations lie on the sphere of radius 1/√τ.",
                above=0.0,
            ),
        ),
        head="none",
        sphere=True,
        radius=radius,
        make_loss=make_loss,
        remedy="lower --learning-rate or raise --temperature",
        floor=floor,
        measure=measure,
        toy={"temperature": 1.0, "points_per_class": 2},  # more of them make tuplets that nothing draws together
    ),
)
