"""Free points under any objective of the table, the ideal encoder, minimised to its floor.

`Toy` holds the two toys of the paper, ce with weight decay and sc; here every objective is minimised as it trains
encoders: its own Keras loss, in float64, over all points at once.
"""

import dataclasses
import math
import shlex
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from simplexlab import objectives
from simplexlab.config import Experiment, as_typed, flag, format_value
from simplexlab.errors import UsageError
from simplexlab.evaluation import Criterion, Representations
from simplexlab.geometry.checks import whole
from simplexlab.objectives import Known, Objective
from simplexlab.toy.configurations import Configuration, labels_of, uniform_in_ball, uniform_on_sphere
from simplexlab.toy.evaluation import beside, describe
from simplexlab.toy.run import check_place, describe_toy, record_toy
from simplexlab.toy.settings import LARGEST, MOST_CLASSES, SMALLEST

POINTS = 10  # of each class
MOST_POINTS = 600
PLANE, SPACE = 2, 3  # dimensions that can be drawn


@dataclass(frozen=True, kw_only=True)
class IdealToy:
    """N free points, and a classifier where the objective learns one, minimised by L-BFGS over all points at once.

    Points lie on the objective's sphere, or in the unit ball where it has none; a learned classifier has at most the
    norm ‖W‖_F of `head_norm`, a fixed one is the objective's own. So the floor is that of these norms and of this one
    batch.

    Attributes:
        loss: an objective of the table.
        classes: K, 2 to 5.
        dimension: h of the space, 2 or 3; None takes the plane, or space where the plane has no room for the fixed
            classifier of the objective.
        points_per_class: n.
        counts: points of each class where they differ, in the place of `classes` and `points_per_class`.
        head_norm: largest ‖W‖_F of a learned classifier; None takes √K, rows of norm 1.
        steps: the most iterations; each is evaluated and keeps a frame.
        seed: of the first configuration.
        run_dir: folder that holds the runs.
        name: of this run's folder; by default made from the options.
        options: the objective's own options; the others keep their defaults, or those of its `toy`.
    """

    loss: str
    classes: int | None = None
    dimension: int | None = None
    points_per_class: int | None = None
    counts: tuple[int, ...] | None = None
    head_norm: float | None = None
    steps: int = 500
    seed: int = 0
    run_dir: str = "runs"
    name: str | None = None
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def objective(self) -> Objective:
        """The entry of the table."""
        return objectives.get(self.loss)

    @property
    def class_counts(self) -> tuple[int, ...]:
        """Points of each class of a resolved toy."""
        return self.counts or (self.points_per_class,) * self.classes

    @property
    def radius(self) -> float:
        """Radius of the sphere, or of the ball, of a resolved toy."""
        return self.objective.radius(self.options) if self.objective.sphere else 1.0

    @property
    def is_tight(self) -> bool:
        """Whether a regular simplex of K vertices exists, K ≤ h + 1."""
        return self.classes <= self.dimension + 1

    def resolve(self) -> "IdealToy":
        """Return the toy with its defaults filled in and every value checked.

        Raises:
            UsageError: an option is out of range or does not go with another one.
        """
        objective = self.objective
        if self.counts is not None and (self.classes, self.points_per_class) != (None, None):
            raise UsageError("--counts says how many points each class has; leave --classes and --points-per-class out")
        if self.head_norm is not None and objective.head != "learned":
            raise UsageError(f"--head-norm does not go with the toy of {self.loss}, which learns no classifier")
        for option in objective.options:
            if option.of_projection and option.name in self.options:
                raise UsageError(
                    f"{flag(option.name)} does not go with the toy of {self.loss}, whose points are the output of the "
                    "projection head"
                )
        defaults = dict(objective.toy)
        points = defaults.pop("points_per_class", POINTS)
        toy = dataclasses.replace(
            self,
            classes=len(self.counts) if self.counts is not None else 3 if self.classes is None else self.classes,
            points_per_class=None if self.counts is not None else self.points_per_class or points,
            options=objective.resolve({**defaults, **self.options}),
        )
        try:
            if whole("number of classes", toy.classes, 2) > MOST_CLASSES:
                raise ValueError(f"the number of classes must be at most {MOST_CLASSES}, got {toy.classes}")
            if toy.dimension not in (None, PLANE, SPACE):
                raise ValueError(f"the dimension must be 2 or 3, got {toy.dimension}")
            if self.points_per_class is not None:
                whole("number of points per class", self.points_per_class, 1)
            whole("number of steps", toy.steps, 1)
            whole("seed", toy.seed, 0)
        except ValueError as error:
            raise UsageError(str(error)) from None
        least = objective.least_dimension(toy.classes)
        if (toy.dimension or SPACE) < least:
            raise UsageError(
                f"the classifier of {self.loss} for {toy.classes} classes needs a dimension of at least {least}"
            )
        toy = dataclasses.replace(toy, dimension=toy.dimension or max(PLANE, least))
        if sum(toy.class_counts) > MOST_POINTS:
            raise UsageError(f"{sum(toy.class_counts)} points are too many for this toy; at most {MOST_POINTS}")
        if objective.head == "none" and max(toy.class_counts) < 2:
            raise UsageError(f"one point per class gives {self.loss} no positives; take at least 2")
        if objective.head == "learned":
            toy = dataclasses.replace(toy, head_norm=toy.head_norm or math.sqrt(toy.classes))
            if not SMALLEST <= toy.head_norm <= LARGEST:
                raise UsageError(f"--head-norm {toy.head_norm:g} must be from {SMALLEST:g} to {LARGEST:g}")
        return toy

    def command_line(self) -> str:
        """The shell command that repeats this toy, not resolved: every option that differs from its default."""
        words = ["simplexlab", "toy", self.loss]
        for known in dataclasses.fields(self):
            value = getattr(self, known.name)
            if known.name in ("loss", "options") or value == known.default:
                continue
            shown = ",".join(map(str, value)) if isinstance(value, tuple) else format_value(value)
            words += [flag(known.name), shown]
        for name, value in self.options.items():
            words += [flag(name, negative=value is False)] if isinstance(value, bool) else [flag(name), as_typed(value)]
        return shlex.join(words)


def run_ideal(toy: IdealToy, report: Callable[[dict[str, Any]], None] | None = None) -> dict[str, Any]:
    """Minimise a toy and write its run folder, with a frame of all points an iteration.

    Args:
        toy: the options; `resolve` is called on them.
        report: called with the metrics line of each iteration.

    Returns:
        The final summary, the content of `result.json`; its key `state` is finished, or stopped by an interrupt.

    Raises:
        UsageError: the options are wrong; no run folder is left behind.
        RunError: the run folder could not be written.
    """
    resolved = toy.resolve()
    check_place(toy)
    labels = labels_of(resolved.class_counts)

    def optimise(visit: Callable[..., None]) -> None:
        minimise_ideal(resolved, labels, visit)

    from simplexlab.training import runtime

    runtime.start(Experiment().resolve(), pixels=0)
    options = vars(resolved) | resolved.options
    del options["options"]
    config = describe_toy(options, toy.command_line(), labels, ("numpy", "scipy", "tensorflow", "keras"))
    stem = toy.name or f"toy-{toy.loss}-s{toy.seed}"
    return record_toy(
        (resolved.run_dir, stem, toy.name is None),
        config,
        labels,
        optimise,
        lambda configuration, iteration, loss: evaluate_ideal(resolved, labels, configuration, loss),
        report,
    )


def evaluate_ideal(
    toy: IdealToy, labels: np.ndarray, configuration: Configuration, loss: float
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The keys of a metrics line that come from a configuration, and the arrays of its geometry file.

    Args:
        toy: resolved options.
        labels: y, shape (N,).
        configuration: points, and the rows of the classifier.
        loss: of all points.
    """
    points, weights = configuration
    floor = floor_of(toy, weights)
    judge = "class-means" if weights is None else "head"
    criterion = Criterion(toy.objective, len(labels), False, judge, options=toy.options)
    return describe(Representations(points, labels), weights, criterion, beside(loss, floor), floor)


def floor_of(toy: IdealToy, weights: np.ndarray | None) -> Any:
    """The floor of a resolved toy: of all points as one batch, and under the largest norms; None where none is known.

    Args:
        toy: resolved options.
        weights: rows of the classifier, of which a learned one counts by its largest norm alone.
    """
    objective = toy.objective
    if objective.floor is None:
        return None
    if objective.head == "learned":
        weights = weights * (toy.head_norm / np.linalg.norm(weights))
    counts = np.array(toy.class_counts)
    return objective.floor(
        Known(counts, toy.dimension, toy.options, int(counts.sum()), "free", toy.radius, weights, whole=True)
    )


def minimise_ideal(toy: IdealToy, labels: np.ndarray, visit: Callable[..., None]) -> Configuration:
    """Minimise a resolved toy by L-BFGS with the gradient of its Keras loss, on the CPU in float64.

    Free numbers stand for the configuration: points of a sphere are ρ·u/‖u‖, those of a ball the first h coordinates of
    such points in h + 1 dimensions, and so is a learned classifier in its ball.

    Args:
        toy: resolved options.
        labels: y, shape (N,).
        visit: called with iteration, configuration and loss, at the start and after each iteration.

    Returns:
        The last configuration.
    """
    from scipy.optimize import minimize

    from simplexlab.toy.keras_objective import KerasObjective

    generator = np.random.default_rng(toy.seed)
    size, dimension = len(labels), toy.dimension
    if toy.objective.sphere:
        start = uniform_on_sphere(generator, size, dimension)
    else:
        start = uniform_in_ball(generator, size, dimension)
        start = np.column_stack([start, np.sqrt(1 - np.sum(start**2, axis=1))])
    objective = KerasObjective(toy, labels)
    free = np.concatenate([start.ravel(), objective.first_weights(generator)])
    iteration = 0

    def count(intermediate_result) -> None:
        nonlocal iteration
        iteration += 1
        visit(iteration, objective.configuration(intermediate_result.x), float(intermediate_result.fun))

    visit(0, objective.configuration(free), objective.value_and_gradient(free)[0])
    found = minimize(
        objective.value_and_gradient,
        free,
        jac=True,
        method="L-BFGS-B",
        callback=count,
        options={"maxiter": toy.steps, "maxfun": 20 * toy.steps, "ftol": 0.0, "gtol": 1e-9, "maxcor": 30},
    )
    return objective.configuration(found.x)
