"""Cross-entropy with a learned classifier, and with a fixed one at the vertices of a regular simplex."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from simplexlab.objectives.objective import Known, Objective, Option

if TYPE_CHECKING:
    import keras
    import numpy as np

    from simplexlab.theory import Floor


def make_loss(options: Mapping[str, Any], dtype: str) -> "keras.losses.Loss":
    """Keras's own cross-entropy of logits, one value per sample."""
    import keras

    return keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction=None, dtype=dtype)


def floor(known: Known) -> "Floor":
    """The least cross-entropy for these class counts under the largest norm of a representation and ‖W‖_F."""
    import numpy as np

    from simplexlab import theory

    norm = float(np.linalg.norm(np.asarray(known.weights, np.float64)))
    return theory.ce_floor(known.class_counts, known.radius, norm, dimension=known.dimension, features=known.features)


def fixed_floor(known: Known) -> "Floor":
    """The least cross-entropy under this very head and the largest norm of a representation."""
    from simplexlab import theory

    shares = known.class_counts / known.class_counts.sum()
    return theory.fixed_head_floor(known.weights, known.radius, class_probabilities=shares, features=known.features)


def measure(
    values: "np.ndarray", labels: "np.ndarray", known: Known, floor: "Floor | None", generator: "np.random.Generator"
) -> tuple[float, float | None, float | None]:
    """Mean over the points; it has no error of sampling."""
    from simplexlab import theory

    loss = theory.ce_loss(values, labels, known.weights)
    return loss, None if floor is None else loss - floor.value, None


def make_simplex_head(options: Mapping[str, Any], num_classes: int, dimension: int, seed: int) -> "keras.layers.Layer":
    """The fixed classifier whose rows are a regular simplex, randomly rotated or aligned with the orthant."""
    from simplexlab.models import simplex_head

    return simplex_head(num_classes, dimension, options["head_radius"], seed, options["head_alignment"])


OBJECTIVES = (
    Objective(
        name="ce",
        title="CE",
        sentence="Cross-entropy with a learned linear classifier without bias.",
        reference="Definition 1 and Theorem 1 of Graf et al. 2021",
        colour="#0072B2",
        marker="o",
        head="learned",
        make_loss=make_loss,
        floor=floor,
        measure=measure,
        in_paper=True,
    ),
    Objective(
        name="ce-fix",
        title="CE-fix",
        sentence="Cross-entropy with a classifier that stays at the vertices of a regular simplex.",
        reference="Section 5 and Theorem 1 of Graf et al. 2021",
        colour="#009E73",
        marker="^",
        options=(
            Option(
                name="head_radius", default=1.0, help="Radius of the fixed classifier: the norm of its rows.", above=0.0
            ),
            Option(
                name="head_alignment",
                default="rotated",
                help="How the fixed simplex lies: randomly rotated, or aligned with the orthant, where an encoder that "
                "ends in a ReLU reaches the orthogonal frame.",
                choices=("rotated", "aligned"),
            ),
        ),
        head="fixed",
        make_head=make_simplex_head,
        least_dimension=lambda classes: classes - 1,
        make_loss=make_loss,
        remedy="lower --learning-rate or --head-radius",
        floor=fixed_floor,
        measure=measure,
        in_paper=True,
    ),
)
