"""Losses of the logits beside cross-entropy, with a learned classifier: label smoothing, squared error."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from simplexlab.objectives.objective import Objective, Option, logit_floor

if TYPE_CHECKING:
    import keras

    from simplexlab.theory import LogitLoss


def smoothed(options: Mapping[str, Any], dtype: str) -> "keras.losses.Loss":
    """Cross-entropy to smoothed labels."""
    from simplexlab.losses import SmoothedCrossEntropy

    return SmoothedCrossEntropy(options["smoothing"], reduction=None, dtype=dtype)


def smoothed_of_classes(options: Mapping[str, Any]) -> "LogitLoss":
    """The same of K collapsed classes, for the floor."""
    from simplexlab import theory

    return theory.SmoothedCrossEntropy(options["smoothing"])


def squared(options: Mapping[str, Any], dtype: str) -> "keras.losses.Loss":
    """Half of the squared distance from one-hot labels."""
    from simplexlab.losses import SquaredError

    return SquaredError(reduction=None, dtype=dtype)


def squared_of_classes(options: Mapping[str, Any]) -> "LogitLoss":
    """The same of K collapsed classes, for the floor."""
    from simplexlab import theory

    return theory.SquaredError()


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
        floor=logit_floor(smoothed_of_classes),
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
        floor=logit_floor(squared_of_classes),
    ),
)
