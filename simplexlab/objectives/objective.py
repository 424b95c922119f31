"""What an objective is: its facts, its options, its floor, and how its Keras parts are made."""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from simplexlab.errors import UsageError

if TYPE_CHECKING:
    import numpy as np

    from simplexlab.theory import Floor, LogitLoss

Head = Literal["learned", "fixed", "none"]
JUDGES = ("head", "class-means")
MARKERS = "osD^v<>ph*PXd"
LARGEST_COUNT = 2**31 - 1  # TensorFlow counts in int32
SMALLEST, LARGEST = 1e-30, 1e30  # of float32, with room for a product
BATCHES = 128  # that a loss which couples the samples of a batch is measured on


@dataclass(frozen=True, kw_only=True)
class Option:
    """One option of an objective.

    Attributes:
        name: as in config.json; the flag is `--name` with hyphens.
        default: its value where none is given; its type is the option's: bool, int, float or str.
        help: what it is, without its default and its limits.
        minimum, maximum, above, below: limits of a number.
        choices: the words it takes.
        of_projection: whether it shapes the projection head alone, which free points do not have.
    """

    name: str
    default: bool | int | float | str
    help: str
    minimum: float | None = None
    maximum: float | None = None
    above: float | None = None
    below: float | None = None
    choices: tuple[str, ...] = ()
    of_projection: bool = False

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z][a-z0-9_]*", self.name):
            raise ValueError(f"the name of an option is lower-case letters, digits and _, got {self.name!r}")
        if not isinstance(self.default, bool | int | float | str):
            raise ValueError(f"the default of option {self.name} must be a number, a word, True or False")

    @property
    def type(self) -> type:
        """bool, int, float or str."""
        return type(self.default)

    @property
    def limits(self) -> dict[str, float]:
        """The limits that it has, by name."""
        found = {name: getattr(self, name) for name in ("minimum", "maximum", "above", "below")}
        return {name: limit for name, limit in found.items() if limit is not None}

    def facts(self) -> dict[str, Any]:
        """Name, default, help, limits and choices, ready for JSON."""
        return {
            "name": self.name,
            "default": self.default,
            "help": self.help,
            **self.limits,
            **({"choices": list(self.choices)} if self.choices else {}),
            **({"of_projection": True} if self.of_projection else {}),
        }


@dataclass(frozen=True)
class Known:
    """What an evaluation knows when it asks for a floor.

    Attributes:
        class_counts: points of each class with the labels given, int64, shape (K,).
        dimension: h of the representations that are judged.
        options: the objective's own options.
        batch_size: images of a batch.
        features: `free`, or `nonnegative` where the encoder ends in a ReLU.
        radius: largest norm of a representation, or the radius of their sphere.
        weights: rows of the head, shape (K, h), or None without one.
        views: points that each image gives to the batch, such as two augmentations.
        per_class: images of each class in a batch, drawn with replacement within the class; 0 where all images are
            drawn alike, with replacement.
        whole: whether every batch is all points, once, whatever `batch_size` and `per_class` say.
    """

    class_counts: "np.ndarray"
    dimension: int
    options: Mapping[str, Any]
    batch_size: int
    features: Literal["free", "nonnegative"]
    radius: float
    weights: "np.ndarray | None" = None
    views: int = 1
    per_class: int = 0
    whole: bool = False

    @property
    def num_classes(self) -> int:
        """K."""
        return len(self.class_counts)

    @property
    def composition(self) -> tuple[int, ...] | None:
        """Points of each class in every batch, where all batches have the same; None where they differ."""
        if self.whole:
            return tuple(self.views * int(count) for count in self.class_counts)
        return (self.views * self.per_class,) * self.num_classes if self.per_class else None

    def batches(self, labels: "np.ndarray", generator: "np.random.Generator", number: int = BATCHES) -> "np.ndarray":
        """Draw random batches by the law that training draws them by.

        The views of an image are the same point here: representations are those of images without augmentation.

        Args:
            labels: of all points, each class with one, shape (N,).
            generator: source of the draws.
            number: of batches.

        Returns:
            Indices of the points of each batch, int64, shape (number, views·batch_size).
        """
        import numpy as np

        shape = (number, self.batch_size)
        if self.per_class:
            counts, classes = np.bincount(labels), np.arange(self.batch_size) % self.num_classes
            within = generator.integers(0, counts[classes], size=shape)
            indices = np.argsort(labels, kind="stable")[(np.cumsum(counts) - counts)[classes] + within]
        else:
            indices = generator.integers(0, len(labels), size=shape)
        return np.tile(indices, (1, self.views))


@dataclass(frozen=True, kw_only=True)
class Objective:
    """One objective. An entry of the table, or the content of a file of one's own (`--loss my_loss.py`).

    A plain loss needs `name` and `loss` alone.

    Attributes:
        name: what `--loss` takes and files are named by.
        title: what pictures and tables call it; by default the name.
        sentence: what it does, in one sentence.
        loss: `loss(labels, outputs, **options)` of integer labels (b,) and of logits (b, K), or of representations
            (b, h) where `head` is none, made of `keras.ops`; returns one value per sample, shape (b,). Or instead
        make_loss: (options, dtype) → Keras loss without reduction.
        reference: paper, theorem, equation.
        colour: of everything that shows it, #rrggbb.
        marker: of its points, one of Matplotlib's.
        options: its own options.
        head: what stands on the representation: a `learned` linear classifier, a `fixed` one, or `none`.
        sphere: whether representations are projected onto a sphere; else they are free.
        radius: options → radius of that sphere.
        judge: the classifier that judges the fit: the own `head`, or the `class-means`.
        remedy: what to try when it diverges.
        reduction: what its loss is in metrics: `mean` over points, or `sum` over the anchors of a batch.
        in_paper: whether it is one of the paper's three, which sweeps take by default.
        floor: what an evaluation knows → `simplexlab.theory.Floor`, the least value of the loss with its certificate;
            None where none is known. `logit_floor` makes one of a convex loss of the logits.
        measure: representations, labels, what is known, floor, generator → (loss, excess, standard error); None for
            the mean over all points (head) or over the anchors of random batches (no head).
        make_head: (options, K, h, seed) → Keras layer from representations to logits, for a fixed head.
        least_dimension: K → the least h in which the rows of a fixed head exist.
        penalty: `penalty(rows, **options)` of the rows (K, h) of a learned head, made of `keras.ops`: a scalar that is
            added to the loss, in training once a step. A `measure` of its own holds it too.
        make_projection: (options, h, seed) → Keras model from representations to what the loss takes, a projection head
            that is trained and not kept; the representation that is judged stays the encoder's output, and `sphere` is
            of the projection. Only where `head` is none.
        views: points that each image gives to a batch by default: 1, or 2 augmentations of it.
        refuses: (options, views, whether batches are balanced) → why they do not go together; None where they do.
        toy: defaults of `simplexlab toy`, where points in the plane cannot pass each other: of own options, and of
            `points_per_class`.
        source: the file that it came from, None for an entry of the table.
    """

    name: str
    title: str = ""
    sentence: str = ""
    loss: Callable[..., Any] | None = field(default=None, repr=False)
    make_loss: Callable[[Mapping[str, Any], str], Any] | None = field(default=None, repr=False)
    reference: str = ""
    colour: str = "#CC79A7"
    marker: str = "p"
    options: tuple[Option, ...] = ()
    head: Head = "learned"
    sphere: bool = False
    radius: Callable[[Mapping[str, Any]], float] = field(default=lambda options: 1.0, repr=False)
    judge: str = ""
    remedy: str = "lower --learning-rate"
    reduction: Literal["mean", "sum"] = "mean"
    in_paper: bool = False
    floor: Callable[[Known], "Floor"] | None = field(default=None, repr=False)
    measure: Callable[..., tuple[float, float | None, float | None]] | None = field(default=None, repr=False)
    make_head: Callable[..., Any] | None = field(default=None, repr=False)
    least_dimension: Callable[[int], int] = field(default=lambda classes: 1, repr=False)
    penalty: Callable[..., Any] | None = field(default=None, repr=False)
    make_projection: Callable[..., Any] | None = field(default=None, repr=False)
    views: int = 1
    refuses: Callable[[Mapping[str, Any], int, bool], str | None] | None = field(default=None, repr=False)
    toy: Mapping[str, Any] = field(default_factory=dict, repr=False)
    source: str | None = None

    def __post_init__(self) -> None:
        if not self.title:
            object.__setattr__(self, "title", self.name)
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.+-]*", self.name):
            raise ValueError(f"name {self.name!r}: a name is letters, digits and any of _ . + -")
        if not re.fullmatch(r"#[0-9A-Fa-f]{6}", self.colour):
            raise ValueError(f"colour {self.colour!r} is not of the form #rrggbb")
        if len(self.marker) != 1 or self.marker not in MARKERS:
            raise ValueError(f"marker {self.marker!r} is none of {' '.join(MARKERS)}")
        if self.head not in ("learned", "fixed", "none"):
            raise ValueError(f"head {self.head!r} is none of learned, fixed, none")
        if not self.judge:
            object.__setattr__(self, "judge", "class-means" if self.head == "none" else "head")
        if self.judge not in JUDGES or (self.judge == "head" and self.head == "none"):
            raise ValueError(f"judge {self.judge!r} does not go with head {self.head!r}")
        if (self.head == "fixed") != (self.make_head is not None):
            raise ValueError("a fixed head needs make_head, and no other head takes it")
        if self.penalty is not None and (self.head != "learned" or self.reduction != "mean"):
            raise ValueError("a penalty is of a learned head, beside a loss that is a mean")
        if self.make_projection is not None and self.head != "none":
            raise ValueError(f"a projection head does not go with head {self.head!r}")
        if (self.loss is None) == (self.make_loss is None):
            raise ValueError("an objective has either loss or make_loss")
        if self.views not in (1, 2):
            raise ValueError(f"views {self.views!r} is neither 1 nor 2")

    @property
    def representation(self) -> str:
        """Which representation is judged, in words."""
        if self.make_projection is not None:
            return "the encoder's output, as it gives it; the loss is of its projection head's"
        end = "projected onto its sphere" if self.sphere else "as the encoder gives it"
        return f"the encoder's output, {end}"

    def resolve(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Every own option with its value.

        Args:
            given: the options that differ from their defaults.

        Raises:
            UsageError: an option is not one of this objective's, or its value is of the wrong kind or out of range.
        """
        known = {option.name: option for option in self.options}
        for name in given:
            if name not in known:
                own = ", ".join("--" + name.replace("_", "-") for name in known)
                raise UsageError(
                    f"--{name.replace('_', '-')} does not belong to {self.name}, "
                    + (f"whose own options are {own}" if own else "which has no options of its own")
                )
        return {name: _checked(option, given.get(name, option.default)) for name, option in known.items()}

    def facts(self) -> dict[str, Any]:
        """What readers need to know of it, ready for JSON."""
        return {
            "name": self.name,
            "title": self.title,
            "sentence": self.sentence,
            "reference": self.reference,
            "colour": self.colour,
            "marker": self.marker,
            "options": [option.facts() for option in self.options],
            "head": self.head,
            "sphere": self.sphere,
            "projection": self.make_projection is not None,
            "views": self.views,
            "representation": self.representation,
            "judge": self.judge,
            "remedy": self.remedy,
            "reduction": self.reduction,
            "floor": self.floor is not None,
        }

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any]) -> "Objective":
        """An objective for readers, which cannot be trained.

        Raises:
            ValueError, KeyError, TypeError: the facts are not those of an objective.
        """
        if not isinstance(facts, Mapping):
            raise TypeError("the facts of an objective have names")
        texts = ("name", "title", "sentence", "reference", "colour", "marker", "head", "judge", "remedy", "reduction")
        options = tuple(
            Option(**{**entry, "choices": tuple(entry.get("choices", ()))}) for entry in facts.get("options", ())
        )
        found: dict[str, Any] = {name: str(facts[name]) for name in texts}
        parts = {"make_head": found["head"] == "fixed", "make_projection": bool(facts.get("projection"))}
        return cls(
            **(found | {name: _only_facts for name, is_there in parts.items() if is_there}),
            options=options,
            sphere=bool(facts["sphere"]),
            views=facts.get("views", 1),
            loss=_only_facts,
        )


def logit_floor(loss: Callable[[Mapping[str, Any]], "LogitLoss"]) -> Callable[[Known], "Floor"]:
    """The certified floor of a convex loss of the logits under the run's norms, for an objective with a learned head.

    Args:
        loss: the objective's own options → the loss as `simplexlab.theory.LogitLoss` states it.
    """

    def floor(known: Known) -> "Floor":
        import numpy as np

        from simplexlab import theory

        norm = float(np.linalg.norm(np.asarray(known.weights, np.float64)))
        stated = loss(known.options)
        return theory.ce_floor(
            known.class_counts, known.radius, norm, dimension=known.dimension, features=known.features, loss=stated
        )

    return floor


def _only_facts(*_: Any, **__: Any) -> Any:
    raise UsageError("this loss is known by its name alone; its file is needed to compute it")


def _checked(option: Option, value: Any) -> Any:
    flag = "--" + option.name.replace("_", "-")
    if option.type is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if type(value) is not option.type:
        wanted = {bool: "on or off", int: "a whole number", float: "a number", str: "a word"}[option.type]
        raise UsageError(f"{flag} {value!r} is not {wanted}")
    if option.choices and value not in option.choices:
        raise UsageError(f"{flag} {value}: known are {', '.join(option.choices)}")
    if isinstance(value, int | float) and not isinstance(value, bool):
        check_limits(flag, value, option.limits)
    return value


def check_limits(flag: str, value: float, limits: Mapping[str, float], reason: str = "") -> None:
    """Raise a UsageError where a number is not finite or outside `minimum`, `maximum`, `above` or `below`.

    No number may be so large, or no positive one so small, that a run could only overflow.

    Args:
        flag: what the value was given to.
        value: the number.
        limits: limits by name.
        reason: put after the limit, to say why.
    """
    if isinstance(value, int) and value > LARGEST_COUNT:
        raise UsageError(f"{flag} {value} must be at most {LARGEST_COUNT}")
    if not math.isfinite(value):
        raise UsageError(f"{flag} {value} is not a finite number")
    if limits.get("minimum") == 0 and limits.get("maximum") == 1 and not 0 <= value <= 1:
        wanted = "between 0 and 1"
    elif "minimum" in limits and value < limits["minimum"]:
        wanted = f"at least {format_value(limits['minimum'])}"
    elif "maximum" in limits and value > limits["maximum"]:
        wanted = f"at most {format_value(limits['maximum'])}"
    elif "above" in limits and value <= limits["above"]:
        wanted = f"greater than {format_value(limits['above'])}"
    elif "below" in limits and value >= limits["below"]:
        wanted = f"less than {format_value(limits['below'])}"
    elif isinstance(value, float) and (value > LARGEST or ("above" in limits and value < SMALLEST)):
        wanted = f"from {SMALLEST:g} to {LARGEST:g}" if "above" in limits else f"at most {LARGEST:g}"
    else:
        return
    raise UsageError(f"{flag} {format_value(value)} must be {wanted}{reason}")


def format_value(value: Any) -> str:
    """A value as one types it, exact and without zeros that it does not need: 0.1, 0, 100000, ce."""
    if isinstance(value, float):
        return f"{value:g}" if float(f"{value:g}") == value else repr(value)
    return str(value)
