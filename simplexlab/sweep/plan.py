"""What a sweep runs: a grid of losses, corruptions, seeds and further options, and the presets."""

import dataclasses
import itertools
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

from simplexlab import objectives
from simplexlab.config import Experiment, as_typed, field_type, format_value, parse_option
from simplexlab.errors import UsageError, nearest

# Where and how fast a run computes, not what it computes: the sweep decides these, and `--set` may not vary them.
PLACEMENT = ("devices", "threads", "run_dir", "name")
# These have flags of their own.
AXES = {"loss": "--losses", "corrupt": "--corruptions", "seed": "--seeds"}
MOST_RUNS = 100_000
FIELDS = {known.name for known in dataclasses.fields(Experiment)} - {"options"}  # of every experiment
TOGETHER = ":"  # between options that vary together, and between their values


@dataclass(frozen=True)
class Grid:
    """The grid of a sweep; its runs are the product of all its values.

    Attributes:
        losses: names of losses, or paths of files of one's own.
        corruptions: fractions of corrupted labels.
        seeds: seeds.
        options: the values of any other option of an experiment, or of an objective, one or several each; an
            objective's own options are varied only in the runs whose loss has them. Options that vary together have one
            key, `schedule:iterations`, and values that are tuples, `("constant", 4000)`.
    """

    losses: tuple[str, ...] = field(default_factory=objectives.paper)
    corruptions: tuple[float, ...] = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
    seeds: tuple[int, ...] = (0, 1, 2)
    options: dict[str, tuple[Any, ...]] = field(default_factory=dict)

    def experiments(self) -> list[Experiment]:
        """The resolved experiments, each with its name; seeds vary slowest, so that a cut sweep has whole curves.

        Raises:
            UsageError: an option of one of them is wrong.
        """
        count = len(self.losses) * len(self.corruptions) * len(self.seeds)
        for values in self.options.values():
            count *= len(values)
        if count > MOST_RUNS:
            raise UsageError(f"the grid holds {count} runs; a sweep takes at most {MOST_RUNS}")
        varied = [name for name in self._names() if len(set(self.values(name))) > 1]
        for name in self._names():
            if not any(has_option(loss, name) for loss in self.losses):
                owners = ", ".join(objective.name for objective, _ in objectives.options().get(name, ()))
                raise UsageError(
                    f"--set {name.replace('_', '-')}: it is an option of {owners or 'another loss'}, which is not "
                    f"among the losses, {', '.join(self.losses)}"
                )
        experiments: dict[str, Experiment] = {}
        for seed, *values, corrupt, loss in itertools.product(
            self.seeds, *self.options.values(), self.corruptions, self.losses
        ):
            options = {name: value for name, value in self._pairs(values) if has_option(loss, name)}
            settings = [f"{name.replace('_', '-')}={_in_a_name(options[name])}" for name in varied if name in options]
            name = "-".join([objectives.get(loss).name, format_value(corrupt), f"s{seed}", *settings])
            own = {key: options.pop(key) for key in options.keys() - FIELDS}
            experiment = Experiment(loss=loss, corrupt=corrupt, seed=seed, name=name, options=own, **options).resolve()
            # A loss is trained once over the values of an option that it does not have.
            if experiments.setdefault(name, experiment) != experiment:
                raise UsageError(f"two runs of the grid would be named {name}; give their files different names")
        return list(experiments.values())

    def values(self, name: str) -> tuple[Any, ...]:
        """The values of one option in the grid, () where it has none; one that varies with others may repeat."""
        for key, values in self.options.items():
            names = key.split(TOGETHER)
            if name in names:
                return tuple(value[names.index(name)] for value in values) if len(names) > 1 else values
        return ()

    def _names(self) -> list[str]:
        return [name for key in self.options for name in key.split(TOGETHER)]

    def _pairs(self, values: Sequence[Any]) -> Iterator[tuple[str, Any]]:
        """Each option's name with its value, those that vary together one by one."""
        for key, value in zip(self.options, values, strict=True):
            names = key.split(TOGETHER)
            yield from zip(names, value if len(names) > 1 else (value,), strict=True)

    def options_line(self) -> str:
        """The options of `simplexlab sweep` that give this grid."""
        words = ["--losses", ",".join(self.losses)]
        words += ["--corruptions", ",".join(map(format_value, self.corruptions))]
        words += ["--seeds", ",".join(map(str, self.seeds)) + ("," if len(self.seeds) == 1 else "")]
        for name, values in self.options.items():
            words += ["--set", f"{name.replace('_', '-')}={','.join(map(_typed, values))}"]
        return shlex.join(words)


PRESETS = {
    # The paper's contrast in minutes on two cores; docs/sweeps.md says how it was chosen and what it shows.
    "class": Grid(
        options={
            "dataset": ("digits",),
            "encoder": ("resnet-small",),
            "width": (8,),
            "batch_size": (128,),
            "iterations": (4000,),
            "evaluate_every": (20,),
            "checkpoint_every": (4000,),
            "until_fit": (True,),
            "tolerance": (0.001,),  # one of the 1,400 images
        }
    ),
    # Every objective of the table; an encoder without a last ReLU, so that the simplex can be reached.
    "objectives": Grid(
        losses=objectives.names(),
        corruptions=(0.0, 0.4),
        options={
            "dataset": ("digits",),
            "encoder": ("resnet-small-preact",),
            "width": (8,),
            "batch_size": (128,),
            "iterations": (800,),
            "evaluate_every": (50,),
            "evaluate_at": ("interval",),
            "checkpoint_every": (800,),
            "tolerance": (0.001,),
        },
    ),
    # SC superlinear on real images, CE not, and a wall within the budget; docs/sweeps.md says how it was chosen.
    "fashion": Grid(
        corruptions=tuple(step / 10 for step in range(10)),
        options={
            "dataset": ("fashion_mnist",),
            "train_size": (2000,),
            "encoder": ("mlp",),
            "width": (16,),
            "batch_size": (512,),
            "schedule": ("constant",),
            "iterations": (2000,),
            "evaluate_every": (20,),
            "checkpoint_every": (2000,),
            "until_fit": (True,),
            "tolerance": (0.001,),  # two images
        },
    ),
    # The same network and data at three budgets of the paper's annealing and at one constant rate.
    "budget": Grid(
        losses=("ce", "sc"),
        options={
            "dataset": ("digits",),
            "encoder": ("resnet-small",),
            "width": (8,),
            "batch_size": (128,),
            "schedule:iterations": (
                ("polynomial", 1000),
                ("polynomial", 2000),
                ("polynomial", 4000),
                ("constant", 4000),
            ),
            "evaluate_every": (20,),
            "checkpoint_every": (4000,),
            "until_fit": (True,),
            "tolerance": (0.001,),
        },
    ),
    # Figures 2 and 8 of the paper: its recipe, without augmentation, one run a point.
    "paper": Grid(
        corruptions=tuple(step / 10 for step in range(11)),
        seeds=(0,),
        options={"dataset": ("cifar10", "cifar100"), "augment": (False,)},
    ),
}
"""The grids that `sweep --preset` knows, by name."""


def has_option(loss: str, option: str) -> bool:
    """Whether an option is one of every experiment, or one of this loss's own."""
    return option in FIELDS or any(option == one.name for one in objectives.get(loss).options)


def parse_losses(text: str) -> tuple[str, ...]:
    """Read `ce,sc` or `ce,my_loss.py`; files of one's own are trusted from here on.

    Raises:
        UsageError: a loss is unknown or named twice, or its file is wrong.
    """
    losses = _values("loss", text, "--losses")
    for loss in losses:
        objectives.allow(loss)
        objectives.get(loss, "--losses")
    return losses


def parse_corruptions(text: str) -> tuple[float, ...]:
    """Read fractions, `0,0.2,0.5`, or a range with both ends, `0:1:0.1`.

    Raises:
        UsageError: it is neither, or a fraction is not between 0 and 1.
    """
    if ":" not in text:
        fractions = _values("corrupt", text, "--corruptions")
        for fraction in fractions:
            if not 0 <= fraction <= 1:
                raise UsageError(f"--corruptions {format_value(fraction)} must be between 0 and 1")
        return fractions
    try:
        start, stop, step = (Decimal(part) for part in text.split(":"))
        if not (step > 0 and 0 <= start <= stop <= 1):
            raise ValueError
    except (ValueError, InvalidOperation):
        raise UsageError(
            f"--corruptions {text} is not a range; 0:1:0.1 takes 0 to 1, both with it, in steps of 0.1"
        ) from None
    count = int((stop - start) / step) + 1
    if count > MOST_RUNS:
        raise UsageError(f"--corruptions {text} are {count} fractions; a sweep takes at most {MOST_RUNS} runs")
    return tuple(float(start + index * step) for index in range(count))


def parse_seeds(text: str) -> tuple[int, ...]:
    """Read how many seeds, `3` for 0, 1 and 2, or the seeds themselves, `0,4` or `7,`.

    Raises:
        UsageError: it is neither.
    """
    if "," in text:
        return _values("seed", text.removesuffix(","), "--seeds")
    if not (text.isdecimal() and 0 < int(text) <= MOST_RUNS):
        raise UsageError(f"--seeds {text} is neither a number of seeds, such as 3, nor a list of seeds, such as 0,4")
    return tuple(range(int(text)))


def parse_settings(settings: Sequence[str], losses: Sequence[str] = ()) -> dict[str, tuple[Any, ...]]:
    """Read `--set` options: `temperature=0.05,0.1`, `until-fit=on`, `schedule:iterations=cosine:2000,constant:4000`.

    Returns:
        What `Grid.options` takes.

    Args:
        settings: what was given.
        losses: the losses of the grid, whose own options may be set too.

    Raises:
        UsageError: a name is unknown, set twice or not for `--set`, or a value is wrong.
    """
    kinds = _kinds(losses)
    options: dict[str, tuple[Any, ...]] = {}
    seen: set[str] = set()
    for setting in settings:
        words, equals, text = setting.partition("=")
        if not equals:
            raise UsageError(f"--set {setting} has no value; it takes NAME=VALUE or NAME=VALUE,VALUE…")
        names = [_option_name(word, kinds) for word in words.split(TOGETHER)]
        for name in names:
            if name in seen:
                word = name.replace("_", "-")
                raise UsageError(f"--set {word} is given twice; give all its values at once, {word}=A,B")
            seen.add(name)
        key = TOGETHER.join(names)
        options[key] = _values(key, text, f"--set {words}=", kinds)
    return options


def replace_options(options: dict[str, tuple[Any, ...]], others: dict[str, tuple[Any, ...]]) -> dict[str, Any]:
    """The options of a grid with others in the place of those of the same names.

    Raises:
        UsageError: one of them varies together with an option that is not replaced.
    """
    given = {name for key in others for name in key.split(TOGETHER)}
    kept = {}
    for key, values in options.items():
        names = set(key.split(TOGETHER))
        if not names & given:
            kept[key] = values
        elif left := names - given:
            words, rest = (", ".join(sorted(part)).replace("_", "-") for part in (names & given, left))
            raise UsageError(f"--set {words}: the preset varies it together with {rest}; set both")
    return kept | others


def _option_name(word: str, kinds: dict[str, Any]) -> str:
    """The option of an experiment or of an objective that a word of `--set` names."""
    name = word.strip().removeprefix("--").replace("-", "_")
    if name in AXES:
        raise UsageError(f"--set {word}: it has an option of its own, {AXES[name]}")
    if name in PLACEMENT:
        raise UsageError(f"--set {word}: a sweep decides that itself, see --jobs, --devices, --threads, --run-dir")
    if name not in kinds:
        takes = sorted(name.replace("_", "-") for name in kinds.keys() - AXES.keys() - set(PLACEMENT))
        raise UsageError(f"--set {word}: no such option; {nearest(word, takes)}")
    return name


def parse_shard(text: str) -> tuple[int, int]:
    """Read `i/n`: the i-th of n parts of a sweep, i from 1 to n.

    Raises:
        UsageError: it is not that.
    """
    part, slash, parts = text.partition("/")
    if slash and part.isdecimal() and parts.isdecimal() and 1 <= int(part) <= int(parts):
        return int(part), int(parts)
    raise UsageError(f"--shard {text} is not i/n with i from 1 to n, such as 2/8")


def _kinds(losses: Sequence[str]) -> dict[str, Any]:
    """The type of every option of an experiment and of the objectives, by name."""
    kinds = {known.name: field_type(known) for known in dataclasses.fields(Experiment) if known.name in FIELDS}
    kinds |= {name: owners[0][1].type for name, owners in objectives.options().items()}
    return kinds | {option.name: option.type for loss in losses for option in objectives.get(loss).options}


def _values(key: str, text: str, shown: str, known: dict[str, Any] | None = None) -> tuple[Any, ...]:
    kinds = [(known or _kinds(()))[name] for name in key.split(TOGETHER)]
    values = []
    for word in text.split(","):
        parts = word.split(TOGETHER) if len(kinds) > 1 else [word]
        if len(parts) != len(kinds):
            raise UsageError(f'{shown} "{word}" is not {len(kinds)} values with {TOGETHER} between them')
        value = tuple(_value(kind, part.strip(), shown) for kind, part in zip(kinds, parts, strict=True))
        values.append(value if len(kinds) > 1 else value[0])
    if len(set(values)) < len(values):
        raise UsageError(f"{shown} {text} names a value twice")
    return tuple(values)


def _value(kind: Any, word: str, shown: str) -> Any:
    try:
        if not word:
            raise ValueError
        return parse_option(word, kind) if kind in (bool, int, float) else word
    except ValueError:
        wanted = {bool: "on or off", int: "a whole number", float: "a number"}.get(kind, "a value")
        raise UsageError(f'{shown} "{word}" is not {wanted}') from None


def _in_a_name(value: Any) -> str:
    return value.rstrip("/").rsplit("/", 1)[-1] if isinstance(value, str) else _typed(value)


def _typed(value: Any) -> str:
    return TOGETHER.join(map(as_typed, value)) if isinstance(value, tuple) else as_typed(value)
