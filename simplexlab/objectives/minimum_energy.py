"""Cross-entropy and the hyperspherical energy of the classifier's directions, which spreads them apart."""

import math
from typing import TYPE_CHECKING, Any

from simplexlab.errors import UsageError
from simplexlab.objectives import cross_entropy
from simplexlab.objectives.objective import Known, Objective, Option

if TYPE_CHECKING:
    import numpy as np

    from simplexlab.theory import Floor


def penalty(rows: Any, energy_weight: float, energy_power: int) -> Any:
    """The weighted energy of the head's rows (K, h), a scalar."""
    from simplexlab.losses import hyperspherical_energy

    num_classes, dimension = rows.shape
    if dimension == 1 and num_classes > 2:
        raise UsageError(
            f"ce-mhe: of {num_classes} directions in dimension 1 some coincide, and their energy is infinite; take "
            "--dimension 2 or more"
        )
    return energy_weight * hyperspherical_energy(rows, energy_power)


def floor(known: Known) -> "Floor":
    """The floor of cross-entropy plus the weighted least energy, taken where one classifier reaches both."""
    from dataclasses import replace

    from simplexlab import theory

    weight, power = known.options["energy_weight"], known.options["energy_power"]
    entropy = cross_entropy.floor(known)
    least = theory.least_energy(known.num_classes, known.dimension, power)
    added = weight * least.bound
    floor = replace(
        entropy,
        value=entropy.value + added,
        certificate=entropy.certificate + added,
        collapsed=entropy.collapsed + added,
        best_known=None,
        attained=False,
        origin=f"{entropy.origin}; {least.origin}",
    )
    if entropy.weights is None or not entropy.weights.any():
        return floor
    reached = _energy(entropy.weights, known)
    if not math.isfinite(reached):  # two directions of that classifier are one
        return floor
    if entropy.best_known is None and reached <= added + 1e-9 * max(abs(added), entropy.value):
        return replace(floor, attained=entropy.attained, origin=entropy.origin)
    # What is best for one of the two is not best for the other: a classifier that is there, and the bound.
    return replace(floor, best_known=reached + (entropy.value if entropy.best_known is None else entropy.best_known))


def _energy(rows: "np.ndarray", known: Known) -> float:
    """The weighted energy of a classifier; infinite where two of its directions are one."""
    from simplexlab import theory

    weight = known.options["energy_weight"]
    return weight * theory.mean_energy(rows, known.options["energy_power"]) if weight else 0.0


def measure(
    values: "np.ndarray", labels: "np.ndarray", known: Known, floor: "Floor | None", generator: "np.random.Generator"
) -> tuple[float, float | None, float | None]:
    """Mean cross-entropy over the points, plus the weighted energy; it has no error of sampling."""
    from simplexlab import theory

    loss = theory.ce_loss(values, labels, known.weights) + _energy(known.weights, known)
    return loss, None if floor is None else loss - floor.value, None


OBJECTIVES = (
    Objective(
        name="ce-mhe",
        title="CE-MHE",
        sentence="Cross-entropy with a learned linear classifier whose directions are spread apart by their "
        "hyperspherical energy.",
        reference="Liu et al. 2018, with the energy of the classifier alone",
        colour="#999933",
        marker="*",
        options=(
            Option(
                name="energy_weight",
                default=1.0,
                help="Weight of the mean energy over the pairs of the classifier's directions.",
                minimum=0.0,
            ),
            Option(
                name="energy_power",
                default=2,
                help="Power s of the energy ‖ŵ_i − ŵ_j‖^(−s); 0 is −log‖ŵ_i − ŵ_j‖.",
                minimum=0,
                maximum=2,
            ),
        ),
        head="learned",
        make_loss=cross_entropy.make_loss,
        penalty=penalty,
        remedy="lower --learning-rate or --energy-weight",
        floor=floor,
        measure=measure,
    ),
)
