"""Unit representations beside fixed directions: orthonormal rows with a learned scale, spread prototypes."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from simplexlab.errors import UsageError
from simplexlab.objectives import cross_entropy
from simplexlab.objectives.objective import Known, Objective, Option

if TYPE_CHECKING:
    import keras

    from simplexlab.theory import Floor


def make_orthonormal_head(
    options: Mapping[str, Any], num_classes: int, dimension: int, seed: int
) -> "keras.layers.Layer":
    """Orthonormal rows, drawn once, times one scale."""
    from simplexlab.models import OrthonormalHead

    if num_classes > dimension:
        raise UsageError(
            f"no {num_classes} orthonormal rows exist in dimension {dimension}: ce-orthonormal needs a dimension of at "
            f"least {num_classes}"
        )
    head = OrthonormalHead(num_classes, options["scale"], options["learned_scale"], seed)
    head.build((None, dimension))
    return head


def make_prototypes(options: Mapping[str, Any], num_classes: int, dimension: int, seed: int) -> "keras.layers.Layer":
    """Prototypes whose largest cosine is least, rotated at random."""
    from simplexlab import theory
    from simplexlab.geometry import random_rotation
    from simplexlab.models import fixed_head

    try:
        directions, _ = theory.spread_directions(num_classes, dimension)
    except ValueError as error:
        raise UsageError(str(error)) from None
    return fixed_head(directions @ random_rotation(dimension, seed))


def make_prototype_loss(options: Mapping[str, Any], dtype: str) -> "keras.losses.Loss":
    """The squared cosine distance to the own prototype."""
    from simplexlab.losses import PrototypeDistance

    return PrototypeDistance(reduction=None, dtype=dtype)


def prototypes_floor(known: Known) -> "Floor":
    """0 at the prototypes themselves; under a ReLU each class ends at the positive part of its prototype.

    It is the floor for these prototypes, wherever they come from; the name of the optimum says it.
    """
    from dataclasses import replace

    import numpy as np

    from simplexlab import theory

    rows = np.asarray(known.weights, np.float64)
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    shares = known.class_counts / known.class_counts.sum()
    _, origin = theory.spread_directions(known.num_classes, known.dimension)
    found = theory.prototypes_optimum(rows, shares, features=known.features)
    return replace(found, origin=f"prototypes at the {origin}")


OBJECTIVES = (
    Objective(
        name="ce-orthonormal",
        title="CE-orthonormal",
        sentence="Cross-entropy of unit representations with fixed orthonormal rows and one scale.",
        reference="Hoffer et al. 2018, without the bias",
        colour="#44AA99",
        marker="h",
        options=(
            Option(name="scale", default=10.0, help="Scale of the logits at the start.", above=0.0),
            Option(name="learned_scale", default=True, help="Whether the scale is trained."),
        ),
        head="fixed",
        make_head=make_orthonormal_head,
        least_dimension=lambda classes: classes,
        sphere=True,
        make_loss=cross_entropy.make_loss,
        remedy="lower --learning-rate or --scale",
        floor=cross_entropy.fixed_floor,
        measure=cross_entropy.measure,
    ),
    Objective(
        name="prototypes",
        title="Prototypes",
        sentence="Squared cosine distance of unit representations to prototypes that were spread first and stay.",
        reference="Mettes et al. 2019",
        colour="#661100",
        marker="P",
        head="fixed",
        make_head=make_prototypes,
        sphere=True,
        make_loss=make_prototype_loss,
        floor=prototypes_floor,
    ),
)
