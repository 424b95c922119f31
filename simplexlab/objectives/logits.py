"""Losses of the logits beside cross-entropy, with a learned classifier: label smoothing, squared error."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from simplexlab.objectives.objective import Known, Objective, Option

if TYPE_CHECKING:
    import keras

    from simplexlab.theory import Floor


def smoothed(options: Mapping[str, Any], dtype: str) -> "keras.losses.Loss":
    """Cross-entropy to smoothed labels."""
    from simplexlab.losses import SmoothedCrossEntropy

    return SmoothedCrossEntropy(options["smoothing"], reduction=None, dtype=dtype)


def smoothed_floor(known: Known) -> "Floor":
    """The least value for these class counts under the largest norm of a representation and ‖W‖_F."""
    from simplexlab import theory

    shape = {"dimension": known.dimension, "features": known.features}
    return theory.smoothed_ce_floor(known.class_counts, known.radius, _norm(known), known.options["smoothing"], **shape)


def squared(options: Mapping[str, Any], dtype: str) -> "keras.losses.Loss":
    """Half of the squared distance from one-hot labels."""
    from simplexlab.losses import SquaredError

    return SquaredError(reduction=None, dtype=dtype)


def squared_floor(known: Known) -> "Floor":
    """The least value for these class counts under the largest norm of a representation and ‖W‖_F."""
    from simplexlab import theory

    shape = {"dimension": known.dimension, "features": known.features}
    return theory.mse_floor(known.class_counts, known.radius, _norm(known), **shape)


def _norm(known: Known) -> float:
    import numpy as np

    return float(np.linalg.norm(np.asarray(known.weights, np.float64)))


OBJECTIVES = (
    Objective(
        name="ce-smooth",
        title="CE-smooth",
        sentence="Cross-entropy to smoothed labels with a learned linear classifier without bias.",
        reference="Szegedy et al. 2016",
        colour="#6699CC",
        marker="X",
        options=(
            Option(
                name="smoothing",
                default=0.1,
                help="ε: the target is 1 − ε of the label and ε spread over all classes.",
                minimum=0.0,
                below=1.0,
            ),
        ),
        make_loss=smoothed,
        floor=smoothed_floor,
    ),
    Objective(
        name="mse",
        title="MSE",
        sentence="Half the squared error of the logits from one-hot labels, with a learned linear classifier without "
        "bias.",
        reference="Hui and Belkin 2021",
        colour="#E69F00",
        marker="d",
        make_loss=squared,
        floor=squared_floor,
    ),
)
