"""The options of a toy run."""

import dataclasses
import shlex
from dataclasses import dataclass
from typing import Any, Literal

from simplexlab.config import flag, format_value
from simplexlab.errors import UsageError
from simplexlab.geometry.checks import choice, whole

CLASSES, MOST_CLASSES = 3, 5
SMALLEST, LARGEST = 1e-12, 1e6  # λ, τ and learning rates with which float64 can neither overflow nor divide by 0
MOST_POINTS = 20_000
MOST_POINTS_A_STEP = 2000  # of sc, which holds the square of it in inner products

PAPER_TOYS = ("ce", "sc")
"""Losses of the toys that the paper draws, `Toy`; every other objective has an `IdealToy`."""

MISPLACED = {"ce": ("temperature", "all_batches"), "sc": ("weight_decay",)}  # options that belong to the other one


@dataclass(frozen=True, kw_only=True)
class Toy:
    """N = K·n free points that are optimised themselves, as an ideal encoder could place them.

    Where an option is None, `resolve` gives it the value that goes with the loss; the defaults of ce and sc are those
    of Fig. 1, those of `all_batches` those of Fig. 6.

    Attributes:
        loss: `ce`: mean cross-entropy + λ‖W‖²_F over points ‖z‖ ≤ 1 and weights W; `sc`: over points ‖z‖ = 1/√τ.
        classes: K, 2 to 5; by default 3, or as many as there are counts.
        dimension: h of the space, 2 or 3.
        points_per_class: n, 100; with `all_batches` 4.
        counts: points of each class where they differ, in the place of `classes` and `points_per_class`.
        weight_decay: λ of ce, 0.01.
        temperature: τ of sc, 0.3; with `all_batches` 1.
        batch_size: points a step, drawn i.i.d. with replacement; None takes all points at every step. With
            `all_batches`, the size b of the batches, 9.
        all_batches: minimise the exact mean loss of sc over all multisets of b points, by L-BFGS.
        learning_rate: of gradient descent on the mean loss of a step of b points; by default b·τ/9 for sc, which is 10
            for Fig. 1, and b/30, at least 10, for ce. The weights of ce take at most 1/(2λ + ½), the inverse of the
            largest curvature of their loss. Not used with `all_batches`.
        steps: of gradient descent, 500; with `all_batches` the most iterations of L-BFGS, 200.
        evaluate_every: steps between evaluations, 10. With `all_batches` every iteration is evaluated.
        seed: of the first configuration and of the batches.
        run_dir: folder that holds the runs.
        name: of this run's folder; by default made from the options.
    """

    loss: Literal["ce", "sc"]
    classes: int | None = None
    dimension: int = 2
    points_per_class: int | None = None
    counts: tuple[int, ...] | None = None
    weight_decay: float | None = None
    temperature: float | None = None
    batch_size: int | None = None
    all_batches: bool = False
    learning_rate: float | None = None
    steps: int | None = None
    evaluate_every: int | None = None
    seed: int = 0
    run_dir: str = "runs"
    name: str | None = None

    @property
    def num_points(self) -> int:
        """N of a resolved toy."""
        return sum(self.class_counts)

    @property
    def class_counts(self) -> tuple[int, ...]:
        """Points of each class of a resolved toy."""
        return self.counts or (self.points_per_class,) * self.classes

    @property
    def radius(self) -> float:
        """ρ of a resolved toy: 1 for ce, 1/√τ for sc."""
        return 1.0 if self.loss == "ce" else self.temperature**-0.5

    @property
    def has_weights(self) -> bool:
        """Whether a classifier is optimised beside the points."""
        return self.loss == "ce"

    @property
    def weights_learning_rate(self) -> float:
        """Learning rate of the weights of a resolved ce: at most the inverse of the largest curvature, 2λ + ρ²/2."""
        return min(self.learning_rate, 1 / (2 * self.weight_decay + 0.5))

    @property
    def is_tight(self) -> bool:
        """Whether the bound can be reached: a regular simplex of K vertices needs K ≤ h + 1."""
        return self.classes <= self.dimension + 1

    @property
    def theorem(self) -> str | None:
        """What states the bound of a resolved toy in the paper; None where the classes differ or no simplex exists."""
        if len(set(self.class_counts)) > 1 or not self.is_tight:
            return None
        return "Corollary 2" if self.loss == "ce" else "Theorem 2"

    def resolve(self) -> "Toy":
        """Return the toy with its defaults filled in and every value checked.

        Raises:
            UsageError: an option is out of range or does not go with another one.
        """
        try:
            choice("loss", self.loss, PAPER_TOYS)
            self._check_combination()
            defaults: dict[str, Any] = (
                {"points_per_class": 4, "batch_size": 9, "steps": 200}
                if self.all_batches
                else {"points_per_class": 100, "steps": 500, "evaluate_every": 10}
            )
            if self.loss == "ce":
                defaults["weight_decay"] = 0.01
            else:
                defaults["temperature"] = 1.0 if self.all_batches else 0.3
            if self.counts is not None:
                defaults |= {"classes": len(self.counts)}
                defaults.pop("points_per_class")
            chosen = {name: value for name, value in defaults.items() if getattr(self, name) is None}
            if self.classes is None and self.counts is None:
                chosen["classes"] = CLASSES
            toy = dataclasses.replace(self, **chosen)
            toy._check_ranges()
        except ValueError as error:
            raise UsageError(str(error)) from None
        if toy.learning_rate is None and not toy.all_batches:
            points_a_step = toy.batch_size or toy.num_points
            rate = max(points_a_step / 30, 10.0) if toy.loss == "ce" else points_a_step * toy.temperature / 9
            toy = dataclasses.replace(toy, learning_rate=rate)
        return toy

    @staticmethod
    def parse_counts(text: str) -> tuple[int, ...]:
        """Read `60,30,10`.

        Raises:
            UsageError: it is not a whole number of at least 1 for each of several classes.
        """
        words = [word.strip() for word in text.split(",")]
        if len(words) < 2 or not all(word.isdecimal() and int(word) for word in words):
            raise UsageError(
                f"--counts {text} is not a whole number of at least 1 for each of several classes: 60,30,10"
            )
        return tuple(map(int, words))

    def command_line(self) -> str:
        """The shell command that repeats this toy, not resolved: every option that differs from its default."""
        words = ["simplexlab", "toy", self.loss]
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.name == "loss" or value == field.default:
                continue
            shown = ",".join(map(str, value)) if isinstance(value, tuple) else format_value(value)
            words += [flag(field.name)] if value is True else [flag(field.name), shown]
        return shlex.join(words)

    def _check_combination(self) -> None:
        for name in MISPLACED[self.loss]:
            if getattr(self, name) not in (None, False):
                raise UsageError(f"{flag(name)} does not go with the toy of {self.loss}")
        if self.counts is not None and self.points_per_class is not None:
            raise UsageError("--counts says how many points each class has; leave --points-per-class out")
        if self.counts is not None and self.classes not in (None, len(self.counts)):
            raise UsageError(f"--classes {self.classes} does not go with {len(self.counts)} --counts")
        for name in ("learning_rate", "evaluate_every"):
            if self.all_batches and getattr(self, name) is not None:
                raise UsageError(f"{flag(name)} does not go with --all-batches, which L-BFGS minimises")

    def _check_ranges(self) -> None:
        if whole("number of classes", self.classes, 2) > MOST_CLASSES:
            raise UsageError(f"the number of classes must be at most {MOST_CLASSES}, got {self.classes}")
        if self.dimension not in (2, 3):
            raise UsageError(f"the dimension must be 2 or 3, got {self.dimension}")
        for name in ("weight_decay", "temperature", "learning_rate"):
            value = getattr(self, name)
            if value is not None and not SMALLEST <= value <= LARGEST:
                raise UsageError(f"{flag(name)} {value:g} must be from {SMALLEST:g} to {LARGEST:g}")
        for count in self.class_counts:
            whole("number of points per class", count, 1)
        whole("number of steps", self.steps, 1)
        if not self.all_batches:
            whole("number of steps between evaluations", self.evaluate_every, 1)
        whole("seed", self.seed, 0)
        if self.batch_size is not None:
            whole("batch size", self.batch_size, 3)
        if self.num_points > MOST_POINTS:
            raise UsageError(f"{self.num_points} points are too many for a toy; at most {MOST_POINTS}")
        points_a_step = self.batch_size or self.num_points
        if self.loss == "sc" and points_a_step > MOST_POINTS_A_STEP:
            raise UsageError(
                f"a step of sc over {points_a_step} points is too large; at most {MOST_POINTS_A_STEP}: take fewer "
                "points per class, or a smaller batch"
            )
        if self.loss == "sc" and self.batch_size is None and max(self.class_counts) < 2:
            raise UsageError("one point per class gives sc no positives; take at least 2, or draw batches")
