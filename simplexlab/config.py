"""The experiment: every option of a training run, defined once.

The command line, the form of the terminal interface and `config.json` are made from the fields of `Experiment`. Fields
whose default is None take their value from the recipe of the dataset (`RECIPES`) when `resolve` is called.
"""

import dataclasses
import math
import shlex
import types
import typing
from dataclasses import dataclass
from typing import Any, Literal

from simplexlab import objectives
from simplexlab.dataset_name import as_path, dataset_kind, tfds_base
from simplexlab.encoder_name import EncoderName
from simplexlab.errors import UsageError, nearest
from simplexlab.objectives import own
from simplexlab.objectives.objective import check_limits, format_value

# The recipes: `digits` ends in well under a minute on two cores, `paper` is how the authors trained on CIFAR, `small`
# stands between them for images of up to 28×28 pixels and for a user's own files.
RECIPES: dict[str, dict[str, Any]] = {
    "digits": {
        "encoder": "resnet-small",
        "width": 16,
        "iterations": 800,
        "batch_size": 128,
        "evaluate_every": 100,
        "evaluate_at": "dense",
        "augment": False,
    },
    "small": {
        "encoder": "resnet-small",
        "width": 32,
        "iterations": 10_000,
        "batch_size": 128,
        "evaluate_every": 250,
        "evaluate_at": "interval",
        "augment": False,
    },
    "paper": {
        "encoder": "resnet18",
        "width": 64,
        "iterations": 100_000,
        "batch_size": 256,
        "evaluate_every": 500,
        "evaluate_at": "interval",
        "augment": True,
    },
}
SMALL_DATASETS = ("mnist", "fashion_mnist", "kmnist", "emnist")


def option(default: Any, help: str, **limits: float) -> Any:
    """A field of `Experiment` with its help and its limits (`minimum`, `maximum`, `above`, `below`)."""
    return dataclasses.field(default=default, metadata={"help": help, **limits})


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """Every option of a training run; `resolve` fills in the dataset's defaults and checks the values."""

    loss: str = option(
        "ce",
        "Objective: "
        + "; ".join(f"{name}: {entry.sentence.rstrip('.')}" for name, entry in objectives.table().items())
        + ". Or the path of a file with one of your own, my_loss.py or my_loss.py:NAME.",
    )
    corrupt: float = option(
        0.0, "Fraction of the training labels that are corrupted, 0 to 1.", minimum=0.0, maximum=1.0
    )
    corruption: Literal["flip", "uniform"] = option(
        "flip", "flip: to a different class; uniform: resampled over all classes (Zhang et al. 2017)."
    )
    balanced: bool = option(False, "Flip labels so that every class keeps its count.")
    dataset: str = option(
        "digits",
        "digits, a TFDS image classification set by name (cifar10, …), a .npz file, a folder of class folders or of "
        "MNIST's idx files (./photos where TFDS has a set of its name). It chooses the defaults: 'digits'; 'small' for "
        f"{', '.join(SMALL_DATASETS)}, files and folders; 'paper', as the authors trained, for cifar10 and all others.",
    )
    data_dir: str | None = option(None, "Folder of prepared TFDS data; without it, TFDS's own.")
    labels: str | None = option(None, "Label field of a TFDS set to train on, as worse_label of cifar10_n.")
    train_size: int | None = option(
        None, "Training images: a fixed subset with the shares of the classes; without it, all.", minimum=2
    )
    image_size: int | None = option(
        None, "Pixels of the shorter side, to which images shrink by area averages; without it, as they are.", minimum=1
    )
    encoder: EncoderName | None = option(None, "Encoder; the -preact variants end without a ReLU.")
    width: int | None = option(None, "Channels of the encoder's first stage (mlp: units / 4).", minimum=1, maximum=4096)
    dimension: int | None = option(
        None, "Dimension of the representation, by a final linear map; without it, the encoder's own.", minimum=1
    )
    iterations: int | None = option(None, "Training steps.", minimum=1, maximum=2**31 - 1)  # an int32 counts them
    batch_size: int | None = option(None, "Images a step over all replicas, drawn with replacement.", minimum=3)
    views: int | None = option(
        None,
        "Points that each drawn image gives to the batch: itself, or 2 augmentations of it. By default "
        + "".join(f"{name} {entry.views}, " for name, entry in objectives.table().items() if entry.views > 1)
        + "else 1.",
        minimum=1,
        maximum=2,
    )
    balanced_batches: bool = option(
        False,
        "As many images of each class in every batch, drawn with replacement within the class; the batch size is a "
        "multiple of the number of classes.",
    )
    learning_rate: float = option(0.1, "Learning rate at the first step.", above=0.0)
    schedule: Literal["polynomial", "cosine", "constant"] = option(
        "polynomial", "Annealing: polynomial of power 5 (the authors'), cosine, constant."
    )
    weight_decay: float = option(
        1e-4, "L2 term on every trained parameter: weight_decay/2 · ‖θ‖² in the objective.", minimum=0.0
    )
    momentum: float = option(0.9, "Momentum of SGD.", minimum=0.0, below=1.0)
    augment: bool | None = option(
        None,
        "Random crop after padding and horizontal flip, each with probability ½; on by default where the objective "
        "takes two views.",
    )
    evaluate_every: int | None = option(None, "Iterations between evaluations.", minimum=1)
    evaluate_at: Literal["interval", "dense"] | None = option(
        None, "interval: at every interval; dense: also at 1, 2, 5, 10, 20, 50 and 100, when the simplex forms."
    )
    checkpoint_every: int | None = option(
        None, "Iterations between checkpoints; by default one before every evaluation.", minimum=1
    )
    until_fit: bool = option(False, "Stop at the first evaluation that is fitted.")
    tolerance: float = option(
        0.0, "Train error at or below which the given labels count as fitted, 0 to 1.", minimum=0.0, below=1.0
    )
    fit_policy: Literal["auto", "head", "class-means", "probe"] = option(
        "auto", "Classifier that judges the fit; auto: the own head, or the class means where the loss trains none."
    )
    seed: int = option(0, "Seed of labels, weights, batches and augmentation.", minimum=0, maximum=2**31 - 1)
    precision: Literal["float32", "tf32", "bfloat16", "float64"] = option(
        "float32",
        "Arithmetic of the encoder. tf32: a GPU rounds the factors of float32 products to 10 bits, which is faster; "
        "bfloat16 keeps float32 parameters.",
    )
    devices: str = option("auto", "auto, cpu, cpu:N (N logical replicas), gpu:0, gpu:0,gpu:1 or all.")
    jit: bool | None = option(None, "Compile the steps with XLA; by default on one GPU, for runs that repay it.")
    deterministic: bool = option(False, "Bit for bit the same numbers on a GPU too, where that takes slower kernels.")
    overlap: bool | None = option(
        None,
        "Evaluate and write checkpoints while the next steps are computed; by default where a GPU or several threads "
        "compute them.",
    )
    threads: int | None = option(None, "CPU threads; by default every core.", minimum=1, maximum=1024)
    run_dir: str = option("runs", "Folder that holds the runs.")
    name: str | None = option(None, "Name of this run's folder; by default made from the options.")
    options: dict[str, Any] = dataclasses.field(
        default_factory=dict, metadata={"help": "The objective's own options by name; the others keep their defaults."}
    )

    @property
    def objective(self) -> objectives.Objective:
        """The objective that `loss` names; a file of one's own is executed for it.

        Raises:
            UsageError: there is none, or its file is wrong.
        """
        return objectives.get(self.loss)

    @property
    def recipe(self) -> str:
        """Name of the recipe that gives the dataset's defaults."""
        kind = dataset_kind(self.dataset)
        if kind == "digits":
            return "digits"
        return "small" if kind != "tfds" or tfds_base(self.dataset) in SMALL_DATASETS else "paper"

    def defaults(self, objective: objectives.Objective) -> dict[str, Any]:
        """The defaults that dataset and objective give: those of the recipe, and the views with their augmentation."""
        augment = {"augment": True} if objective.views > 1 else {}
        return RECIPES[self.recipe] | {"views": objective.views} | augment

    @property
    def points(self) -> int:
        """Points of a batch that the encoder and the loss see, over all replicas: each image as often as its views."""
        return self.batch_size * (self.views or 1)  # runs of earlier versions say nothing of views

    @property
    def policy(self) -> str:
        """The classifier that judges the fit, `auto` resolved: head, class-means or probe."""
        return self.objective.judge if self.fit_policy == "auto" else self.fit_policy

    def resolve(self, stand_in: objectives.Objective | None = None) -> "Experiment":
        """Return the experiment with the dataset's defaults filled in and every value checked.

        Args:
            stand_in: stands for the objective of a file that is not to be executed now; its options are not checked.

        Raises:
            UsageError: an option is out of range or does not go with another one.
        """
        objective = self.objective if stand_in is None else stand_in
        defaults = self.defaults(objective)
        chosen = {name: value for name, value in defaults.items() if getattr(self, name) is None}
        chosen |= {"dataset": as_path(self.dataset), "loss": own.absolute(self.loss)}
        options = objective.resolve(self.options) if stand_in is None else self.options
        experiment = dataclasses.replace(self, **chosen, options=options)
        experiment._check(objective)
        return experiment

    def _check(self, objective: objectives.Objective) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            choices = () if field.name == "loss" else field_choices(field)
            if choices and value is not None and value not in choices:
                raise UsageError(f"{flag(field.name)} {value}: {nearest(str(value), choices)}")
            if isinstance(value, int | float) and not isinstance(value, bool):
                reason = ": the supervised contrastive loss and its theory need three points"
                check_limits(flag(field.name), value, field.metadata, reason if field.name == "batch_size" else "")
        for name in ("dataset", "run_dir", "name", "data_dir", "labels"):
            if getattr(self, name) == "":
                raise UsageError(f"{flag(name)} is empty")
        if objective.head == "none" and self.fit_policy == "head":
            raise UsageError(f"--fit-policy head: {objective.name} trains no head; take class-means or probe")
        if self.balanced and self.corruption != "flip":
            raise UsageError("--balanced goes with --corruption flip: uniform resampling does not keep class counts")
        if self.views > 1 and not self.augment:
            raise UsageError(
                f"--views {self.views} goes with --augment: without augmentation the views of an image are the same; "
                "take --augment or --views 1"
            )
        if objective.refuses and (reason := objective.refuses(self.options, self.views, self.balanced_batches)):
            raise UsageError(reason)
        if self.overlap and self.until_fit:
            raise UsageError(
                "--overlap: a run --until-fit waits for each evaluation, which may end it; take one of them"
            )
        replicas = replicas_of(self.devices)
        check_batch(self.batch_size, replicas)
        if self.jit and replicas > 1:
            raise UsageError("--jit works on one device: TensorFlow cannot compile the collectives between replicas")

    def to_dict(self) -> dict[str, Any]:
        """The fields as a dict for `config.json`; the objective's own options stand beside them."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return fields | fields.pop("options")

    @classmethod
    def from_dict(cls, record: dict[str, Any]) -> "Experiment":
        """Rebuild an experiment from `to_dict`; nothing is executed.

        Keys that are no fields are the objective's own options. For an entry of the table, those that it does not have
        are passed over: they are of another version.
        """
        names = {field.name for field in dataclasses.fields(cls)} - {"options"}
        rest = {key: value for key, value in record.items() if key not in names}
        if (entry := objectives.table().get(record.get("loss", "ce"))) is not None:
            rest = {option.name: rest[option.name] for option in entry.options if option.name in rest}
        return cls(**{key: value for key, value in record.items() if key in names}, options=rest)

    def command_line(self) -> str:
        """The shell command that repeats this experiment: every option that differs from its default."""
        words = ["simplexlab", "train"]
        objective = objectives.named(self.loss)
        by_default = self.defaults(objective)
        for field in dataclasses.fields(self):
            if field.name == "options":
                continue
            value = getattr(self, field.name)
            default = by_default.get(field.name, field.default) if field.default is None else field.default
            if value is None or (value == default and field.name != "loss"):
                continue
            if isinstance(value, bool):
                words.append(flag(field.name) if value else flag(field.name, negative=True))
            else:
                words += [flag(field.name), format_value(value)]
        defaults = {option.name: option.default for option in objective.options}
        for name, value in self.options.items():
            if name not in defaults:  # of a file of one's own
                words += ["--option", f"{name}={as_typed(value)}"]
            elif value != defaults[name]:
                words += [flag(name, negative=True)] if value is False else [flag(name)]
                words += [] if isinstance(value, bool) else [format_value(value)]
        return shlex.join(words)


def flag(name: str, negative: bool = False) -> str:
    """The command-line flag of a field: `batch_size` → `--batch-size` (negative: `--no-…`)."""
    return ("--no-" if negative else "--") + name.replace("_", "-")


def as_typed(value: Any) -> str:
    """A value as `--set` and `--option` take it: on, off, or as `format_value` gives it."""
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else format_value(value)


def parse_option(text: str, kind: type) -> Any:
    """Read a value of a type, bool, int, float or str, as one types it.

    Raises:
        ValueError: it is none.
    """
    if kind is bool:
        words = {"on": True, "true": True, "off": False, "false": False}
        if text.lower() not in words:
            raise ValueError(text)
        return words[text.lower()]
    return kind(text)


def field_type(field: dataclasses.Field) -> Any:
    """The type of a field without the `| None` of a dataset default."""
    if isinstance(field.type, types.UnionType) or typing.get_origin(field.type) is typing.Union:
        return next(part for part in typing.get_args(field.type) if part is not type(None))
    return field.type


def field_choices(field: dataclasses.Field) -> tuple[str, ...]:
    """The allowed values of a choice field, or () for any other field; a loss may also be the path of a file."""
    if field.name == "loss":
        return objectives.names()
    kind = field_type(field)
    return typing.get_args(kind) if typing.get_origin(kind) is Literal else ()


def defaults_by_dataset(name: str) -> dict[str, Any]:
    """The default of a field in each recipe, or {} when it does not depend on the dataset."""
    return {recipe: values[name] for recipe, values in RECIPES.items() if name in values}


def parse_devices(text: str) -> tuple[str, list[int] | int | None]:
    """Read `--devices`.

    Returns:
        `("auto", None)`, `("all", None)`, `("cpu", replicas)` or `("gpu", [indices])`.

    Raises:
        UsageError: the text is none of auto, all, cpu, cpu:N, gpu:0, gpu:0,gpu:1.
    """
    known = "takes auto, cpu, cpu:N, gpu:0, gpu:0,gpu:1 or all"
    if text in ("auto", "all"):
        return text, None
    if text == "cpu":
        return "cpu", 1
    kind, _, number = text.partition(":")
    if kind == "cpu" and number.isdecimal() and 1 <= int(number) <= 64:
        return "cpu", int(number)
    parts = [part.strip().partition(":") for part in text.split(",")]
    if all(kind == "gpu" and number.isdecimal() for kind, _, number in parts):
        indices = [int(number) for _, _, number in parts]
        if len(set(indices)) == len(indices):
            return "gpu", indices
        raise UsageError(f"--devices {text} names a GPU twice")
    raise UsageError(f"--devices {text!r} is not understood; it {known}")


def replicas_of(text: str) -> int:
    """How many replicas `--devices` asks for; 1 where it leaves that to the machine.

    Raises:
        UsageError: as of `parse_devices`.
    """
    kind, devices = parse_devices(text)
    return {"cpu": lambda: devices, "gpu": lambda: len(devices)}.get(kind, lambda: 1)()


def check_batch(batch_size: int, replicas: int) -> None:
    """Raise a UsageError where the global batch does not divide among the replicas."""
    if batch_size % replicas:
        lower = batch_size - batch_size % replicas
        near = f"{lower} or {lower + replicas}" if lower else f"{replicas}"
        raise UsageError(f"--batch-size {batch_size} does not divide among {replicas} replicas; take {near}")


def class_share(experiment: Experiment, num_classes: int) -> int:
    """Images of each class in a batch: m where batches are balanced, 0 where all images are drawn alike.

    Raises:
        UsageError: the batch does not divide among the classes, or no point would have a positive.
    """
    if not experiment.balanced_batches:
        return 0
    unit = math.lcm(num_classes, replicas_of(experiment.devices))
    least = 2 * num_classes if experiment.views == 1 and experiment.objective.head == "none" else num_classes
    if experiment.batch_size % num_classes or experiment.batch_size < least:
        lower = experiment.batch_size - experiment.batch_size % unit
        near = sorted({max(size, unit * -(-least // unit)) for size in (lower, lower + unit)})
        reason = (
            f"does not divide among the {num_classes} classes"
            if experiment.batch_size % num_classes
            else "has one image of each class, so that none has a positive"
        )
        raise UsageError(
            f"--balanced-batches: --batch-size {experiment.batch_size} {reason}; take {' or '.join(map(str, near))}"
        )
    return experiment.batch_size // num_classes
