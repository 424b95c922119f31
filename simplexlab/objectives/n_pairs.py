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


def compositions(known: Known) -> "np.ndarray":
    """Images of each class in the batches that the loss is measured on, int64, shape (R, K).

    Drawn once, from a fixed seed, by the law that training draws its batches by.
    """
    import numpy as np

    if known.per_class:
        return np.full((BATCHES, known.num_classes), known.per_class)
    shares = known.class_counts / known.class_counts.sum()
    return np.random.default_rng(0).multinomial(known.batch_size, shares, size=BATCHES)


def floor(known: Known) -> "Floor":
    """The least mean loss of the batches that it is measured on, whose label counts are fixed: certified for these."""
    counts = tuple(map(int, known.class_counts))
    return _floor(counts, known.batch_size, known.views, known.per_class, known.radius, known.dimension, known.features)


@lru_cache(maxsize=16)  # it is the same at every evaluation of a run
def _floor(
    counts: tuple[int, ...], batch_size: int, views: int, per_class: int, radius: float, dimension: int, features: str
) -> "Floor":
    import numpy as np

    from simplexlab import theory

    known = Known(np.array(counts), dimension, {}, batch_size, features, radius, views=views, per_class=per_class)
    return theory.n_pairs_floor(
        views * compositions(known), radius, dimension=dimension, features=features, exchangeable=are_alike(known)
    )


def are_alike(known: Known) -> bool:
    """Whether every class is drawn as every other, so that permutations of the classes have the same law."""
    return len(set(map(int, known.class_counts))) == 1


def measure(
    values: "np.ndarray", labels: "np.ndarray", known: Known, floor: "Floor", generator: "np.random.Generator"
) -> tuple[float, float | None, float | None]:
    """Mean over the samples of batches whose label counts are those of the floor, and whose points are random.

    Where all classes are drawn alike, so are the permutations of these counts over the classes.
    """
    import numpy as np

    from simplexlab import theory

    images = compositions(known)
    if are_alike(known):
        images = generator.permuted(images, axis=1)
    order, counts = np.argsort(labels, kind="stable"), np.bincount(labels)
    classes = np.stack([np.repeat(np.arange(known.num_classes), row) for row in images])
    within = generator.integers(0, counts[classes])
    indices = np.tile(order[(np.cumsum(counts) - counts)[classes] + within], (1, known.views))
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
    ),
)
