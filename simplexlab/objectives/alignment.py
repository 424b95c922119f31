"""Alignment and uniformity with labels: samples of one class pulled together, all samples spread over the sphere."""

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from simplexlab.objectives.objective import Known, Objective, Option

if TYPE_CHECKING:
    import keras
    import numpy as np

    from simplexlab.theory import Floor


def make_loss(options: Mapping[str, Any], dtype: str) -> "keras.losses.Loss":
    """Alignment and uniformity of a batch, one value per sample."""
    from simplexlab.losses import AlignmentUniformity

    return AlignmentUniformity(options["weight"], options["uniformity_scale"], reduction=None, dtype=dtype)


def floor(known: Known) -> "Floor":
    """The least value over all pairs of as many points as the data have; batches do not enter it."""
    counts = tuple(map(int, known.class_counts))
    options = known.options
    return _floor(counts, options["weight"], options["uniformity_scale"], known.dimension, known.features)


@lru_cache(maxsize=16)  # it is the same at every evaluation of a run
def _floor(counts: tuple[int, ...], weight: float, scale: float, dimension: int, features: str) -> "Floor | None":
    from simplexlab import theory

    if max(counts) < 2:
        return None
    return theory.alignment_uniformity_floor(counts, weight, scale=scale, dimension=dimension, features=features)


def measure(
    values: "np.ndarray",
    labels: "np.ndarray",
    known: Known,
    floor: "Floor | None",
    generator: "np.random.Generator",
) -> tuple[float, float | None, float | None]:
    """The loss of all data as one batch: over all pairs, as it is defined.

    The loss of batches, of which training takes the mean, is lower in expectation: the logarithm stands outside the
    mean over pairs.
    """
    from simplexlab import theory

    options = known.options
    loss, error = theory.alignment_uniformity_loss(
        values, labels, options["weight"], scale=options["uniformity_scale"], generator=generator
    )
    return loss, None if floor is None else loss - floor.value, error


OBJECTIVES = (
    Objective(
        name="align-uniform",
        title="Align-uniform",
        sentence="Alignment of the samples of a class and uniformity of all samples on the unit sphere; no classifier "
        "is trained.",
        reference="Wang and Isola 2020, with the samples of a class as positives",
        colour="#332288",
        marker="D",
        options=(
            Option(
                name="weight",
                default=1.0,
                help="Weight a of the alignment; from a threshold on, which depends on the classes, they collapse.",
                minimum=0.0,
            ),
            Option(
                name="uniformity_scale",
                default=2.0,
                help="Scale t of the uniformity, log E exp(−t·‖u − v‖²).",
                above=0.0,
            ),
        ),
        head="none",
        sphere=True,
        make_loss=make_loss,
        remedy="lower --learning-rate or --weight",
        floor=floor,
        measure=measure,
    ),
)
