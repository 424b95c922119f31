"""The form of a new run, made from the fields of `Experiment`: texts in, checked experiments out."""

import dataclasses
import itertools
import shlex
from pathlib import Path
from typing import Any, Literal

from simplexlab import objectives
from simplexlab.config import (
    Experiment,
    as_typed,
    defaults_by_dataset,
    field_choices,
    field_type,
    flag,
    format_value,
)
from simplexlab.errors import UsageError, nearest
from simplexlab.objectives import own
from simplexlab.runs.folder import check_name


def _own_field(name: str, owners: list[tuple[objectives.Objective, objectives.Option]]) -> tuple[str, Any, Any]:
    words = tuple(dict.fromkeys(word for _, option in owners for word in option.choices))
    kind = Literal[words] if words else owners[0][1].type
    defaults = {objective.name: option.default for objective, option in owners}
    return name, kind | None, dataclasses.field(default=None, metadata={"defaults": defaults})


# Options of the objectives, which are left to each objective's default.
OWN = dataclasses.make_dataclass("OwnOptions", [_own_field(*named) for named in objectives.options().items()])
FILE = dataclasses.make_dataclass(
    "FileOptions",
    [
        (name, str, dataclasses.field(default="", metadata={"help": words}))
        for name, words in {
            "loss_file": "File of a loss of your own, my_loss.py.",
            "option": "Its options, NAME=VALUE, with spaces between those of one run.",
        }.items()
    ],
)
_LOSS, *_OTHERS = (field for field in dataclasses.fields(Experiment) if field.name not in ("run_dir", "options"))
FIELDS = {field.name: field for field in (_LOSS, *dataclasses.fields(OWN), *_OTHERS, *dataclasses.fields(FILE))}
# These hold one value: commas belong to it, or two runs cannot share it.
SINGLE = ("devices", "data_dir", "name", "dataset")
MOST_RUNS = 200

PRESETS: dict[str, dict[str, str]] = {
    "CE against SC on clean labels": {"loss": "ce, sc"},
    "CE against SC with 20 % flipped labels": {"loss": "ce, sc", "corrupt": "0.2"},
    "All three losses, 40 % flipped labels": {"loss": "ce, ce-fix, sc", "corrupt": "0.4"},
    "ReLU or no ReLU": {"loss": "sc", "encoder": "resnet-small, resnet-small-preact"},
    "When does SC give up? Time to fit over corruption": {
        "loss": "ce, sc",
        "corrupt": "0, 0.2, 0.4, 0.6, 0.8",
        "width": "8",
        "iterations": "2000",
        "evaluate_every": "50",
        "until_fit": "on",
    },
    "Temperature of SC": {"loss": "sc", "temperature": "0.05, 0.1, 0.5"},
    "A run of seconds": {"encoder": "mlp", "width": "8", "iterations": "200", "evaluate_every": "20"},
}


def options_of(name: str) -> tuple[str, ...]:
    """The words a field of the form can take, () where it takes numbers or free text."""
    return words_of(FIELDS[name])


def words_of(field: dataclasses.Field) -> tuple[str, ...]:
    """The words a field can take, () where it takes numbers or free text."""
    return ("on", "off") if field_type(field) is bool else field_choices(field)


def losses_of(text: str) -> tuple[str, ...]:
    """The objectives of the table that a text names; the default where it names none."""
    found = tuple(word for part in text.split(",") if (word := part.strip()) in objectives.names())
    return found or (Experiment().loss,)


def takes(name: str, losses: tuple[str, ...]) -> bool:
    """Whether a field is for the runs of one of these losses."""
    owners = objectives.options().get(name)
    return owners is None or any(objective.name in losses for objective, _ in owners)


def default_text(name: str, dataset: str, losses: tuple[str, ...] = ()) -> str:
    """The default of a field for a dataset, as text; "" where the default is none.

    Args:
        name: of the field.
        dataset: "" is the default one.
        losses: of the runs; () is the default one.
    """
    field = FIELDS[name]
    losses = losses or (Experiment().loss,)
    if field.default is not None:
        return as_text(field.default)
    if "defaults" in field.metadata:
        values = {loss: value for loss, value in field.metadata["defaults"].items() if loss in losses}
    else:
        experiment = Experiment(dataset=dataset or Experiment().dataset)
        values = {loss: experiment.defaults(objectives.get(loss)).get(name) for loss in losses}
    return joined({loss: "" if value is None else as_text(value) for loss, value in values.items()}, options_of(name))


def joined(words: dict[str, str], choices: tuple[str, ...]) -> str:
    """The words of several losses in one line: one where all are the same, else each with its loss before it.

    Args:
        words: by loss.
        choices: of the field; where there are any, the words stand without their losses, as a row of them marks them.
    """
    if choices or len(set(words.values())) <= 1:
        return ", ".join(dict.fromkeys(words.values()))
    return ", ".join(f"{loss} {word}" for loss, word in words.items())


def as_text(value: Any) -> str:
    """A value as the form shows it."""
    if isinstance(value, bool):
        return "on" if value else "off"
    return format_value(value)


def help_of(name: str, losses: tuple[str, ...] = ()) -> str:
    """What a field means, its limits and its defaults; an objective's own option as some losses have it."""
    field = FIELDS[name]
    owners = {
        owner.name: option.help
        for owner, option in objectives.options().get(name, ())
        if not losses or owner.name in losses
    }
    parts = [explained(owners) if owners else field.metadata["help"]]
    by_dataset = defaults_by_dataset(name)
    if by_dataset:
        parts.append(
            "Default: " + ", ".join(f"{recipe} {as_text(value)}" for recipe, value in by_dataset.items()) + "."
        )
    if options_of(name):
        parts.append("Space adds or takes away; several make one run each.")
    elif name not in SINGLE:
        parts.append("Several values with commas make one run each.")
    return " ".join(parts)


def explained(helps: dict[str, str]) -> str:
    """What an option is for several losses, told once where it is the same."""
    if len(set(helps.values())) == 1:
        return next(iter(helps.values()))
    return " ".join(f"{loss}: {words}" for loss, words in helps.items())


def texts_of(experiment: dict[str, Any]) -> dict[str, str]:
    """The form filled with the options of a run; its name stays free.

    A loss of one's own whose file was never run here by its user is left out: a form that is sent executes it.
    """
    loss = experiment.get("loss")
    experiment = dict(experiment)
    if isinstance(loss, str) and own.is_path(loss):
        known = {field.name for field in dataclasses.fields(Experiment)}
        options = {name: experiment.pop(name) for name in experiment.keys() - known}
        if own.is_allowed(experiment.pop("loss")):
            experiment["loss_file"] = loss
            experiment["option"] = " ".join(f"{name}={as_typed(value)}" for name, value in sorted(options.items()))
    return {
        name: as_text(value)
        for name, value in experiment.items()
        if name in FIELDS
        and name != "name"
        and value is not None
        and value != FIELDS[name].default
        and value != FIELDS[name].metadata.get("defaults", {}).get(experiment.get("loss"))
    }


def parse(name: str, text: str) -> list[Any]:
    """The values of one field; [] where it is left to its default.

    Raises:
        UsageError: a value is of the wrong kind.
    """
    text = text.strip()
    words = [text] if name in SINGLE else [word.strip() for word in text.split(",")]
    return [parse_word(FIELDS[name], word) for word in words if word]


def parse_word(field: dataclasses.Field, word: str) -> Any:
    """One value of a field.

    Raises:
        UsageError: it is none of the field's words, or no number.
    """
    kind, choices = field_type(field), words_of(field)
    if field.name == "loss_file" and not own.is_path(word):
        raise UsageError(f"loss file {word} is not the path of a Python file, my_loss.py or my_loss.py:NAME")
    if choices:
        if word not in choices:
            raise UsageError(f"{flag(field.name)} {word}: {nearest(word, choices)}")
        return word == "on" if kind is bool else word
    try:
        return kind(word)
    except ValueError:
        wanted = "a whole number" if kind is int else "a number"
        raise UsageError(f'{flag(field.name)} "{word}" is not {wanted}') from None


def experiments(texts: dict[str, str], run_dir: Path) -> list[Experiment]:
    """Every combination of the values in the form, checked.

    Args:
        texts: Text of each field; missing or empty ones keep their default.
        run_dir: Folder that will hold the runs.

    Returns:
        One experiment a run, as it was asked for: defaults of the dataset are left open.

    Raises:
        UsageError: what is wrong, in one line.
    """
    values = {name: found for name, text in texts.items() if (found := parse(name, text))}
    if files := values.pop("loss_file", ()):
        values["loss"] = [*values.get("loss", ()), *files]
    combinations = 1
    for found in values.values():
        combinations *= len(found)
    if combinations > MOST_RUNS:
        raise UsageError(f"these are {combinations} runs; a form starts at most {MOST_RUNS}")
    losses = [known(loss) for loss in values.get("loss", [Experiment().loss])]
    if "option" in values and not any(own.is_path(loss) for loss in values.get("loss", ())):
        raise UsageError("option: it goes with a loss of your own; give its loss file")
    taken = {option.name for objective in losses for option in objective.options}
    for name in values.keys() & objectives.options().keys() - taken:
        losses[0].resolve({name: values[name][0]})  # tells whose option it is not
    made = []
    for chosen in itertools.product(*values.values()):
        # An objective's own option is varied only in the runs whose loss has it.
        record = {**dict(zip(values, chosen, strict=True)), "run_dir": str(run_dir)}
        options = own_options(record.pop("option", ""))
        stand_in = None
        if own.is_path(record.get("loss", "")):
            record = {name: value for name, value in record.items() if name not in objectives.options()} | options
            stand_in = known(record["loss"])
        experiment = Experiment.from_dict(record)
        if experiment not in made:
            experiment.resolve(stand_in)
            made.append(experiment)
    name = made[0].name
    if name is not None:
        check_name(name)
        if len(made) > 1:
            raise UsageError(f"--name {name} names one run and these are {len(made)}; leave it empty")
        if (run_dir / name).exists():
            raise UsageError(f"a run named {name} exists already in {run_dir}; choose another name")
    return made


def known(loss: str) -> objectives.Objective:
    """The objective that a loss names, known by its name alone where it is a file: the run that starts executes it.

    Raises:
        UsageError: there is none.
    """
    if not own.is_path(loss):
        return objectives.get(loss)
    own.source_facts(loss)  # tells a file that cannot be read
    return objectives.named(loss)


def own_options(text: str) -> dict[str, str]:
    """Options of a loss of one's own, `margin=1 scale=2`; their values are read by the run that starts.

    Raises:
        UsageError: a word is not NAME=VALUE.
    """
    options = {}
    for word in text.split():
        name, equals, value = word.partition("=")
        if not (equals and name and value):
            raise UsageError(f"option {word} is not NAME=VALUE")
        options[name.removeprefix("--").replace("-", "_")] = value
    return options


def arguments(experiment: Experiment) -> list[str]:
    """Words after `simplexlab` that start an experiment."""
    return shlex.split(experiment.command_line())[1:]
