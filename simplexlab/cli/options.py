"""The flags of a training run, made from the fields of `Experiment` and the options of the objectives."""

import dataclasses
from typing import Annotated, Any

from cyclopts import Parameter

from simplexlab import objectives
from simplexlab.cli.common import whole_number
from simplexlab.config import RECIPES, Experiment, as_typed, defaults_by_dataset, field_type, parse_option
from simplexlab.errors import UsageError
from simplexlab.objectives import own

OPTION_HELP = "NAME=VALUE: an option of a loss of your own; several may be given."


def experiment_options(without: tuple[str, ...] = ()) -> type[Experiment]:
    """`Experiment` with the help of each field where cyclopts finds it, and a field for each option of an objective.

    Args:
        without: fields that get no flag.
    """
    fields = [field for field in dataclasses.fields(Experiment) if field.name != "options"]
    return dataclasses.make_dataclass(
        "ExperimentOptions",
        [
            *((field.name, _annotation(field, parse=field.name not in without), _copy(field)) for field in fields),
            *((name, _own_annotation(name), None) for name in objectives.options()),
            ("option", Annotated[tuple[str, ...], Parameter(help=OPTION_HELP, negative="", show_default=False)], ()),
            ("options", Annotated[dict, Parameter(parse=False)], dataclasses.field(default_factory=dict)),
        ],
        bases=(Experiment,),
        namespace={"__module__": __name__},  # without it cyclopts takes the class for a builtin
        frozen=True,
        kw_only=True,
    )


def as_experiment(options: Experiment) -> Experiment:
    """The plain `Experiment` of parsed options; a file that `--loss` names is trusted from here on.

    Raises:
        UsageError: `--option` is not NAME=VALUE of an option that the loss has.
    """
    names = [field.name for field in dataclasses.fields(Experiment) if field.name != "options"]
    given = {name: value for name in objectives.options() if (value := getattr(options, name)) is not None}
    objectives.allow(options.loss)
    return Experiment(
        **{name: getattr(options, name) for name in names}, options=given | read_options(options.loss, options.option)
    )


def read_options(loss: str, texts: tuple[str, ...]) -> dict[str, Any]:
    """The options in `--option NAME=VALUE`.

    Raises:
        UsageError: one of them is not that, or the objective does not have it.
    """
    known = {option.name: option for option in objectives.get(loss).options} if texts else {}
    found: dict[str, Any] = {}
    for text in texts:
        word, equals, value = text.partition("=")
        name = word.strip().removeprefix("--").replace("-", "_")
        if not equals:
            raise UsageError(f"--option {text} has no value; it takes NAME=VALUE")
        if name in found:
            raise UsageError(f"--option {word} is given twice")
        if name not in known:
            there = ", ".join(known) or "none"
            raise UsageError(f"--option {word}: {own.name_of(loss)} has no such option; it has {there}")
        try:
            found[name] = parse_option(value.strip(), known[name].type)
        except ValueError:
            wanted = {bool: "on or off", int: "a whole number", float: "a number"}.get(known[name].type, "a word")
            raise UsageError(f'--option {word}: "{value}" is not {wanted}') from None
    return found


def _copy(field: dataclasses.Field) -> Any:
    return dataclasses.field(default=field.default, metadata=dict(field.metadata))


def _annotation(field: dataclasses.Field, parse: bool) -> Any:
    if not parse:
        return Annotated[field.type, Parameter(parse=False)]
    settings: dict[str, Any] = {"help": field.metadata["help"]}
    if field_type(field) is int:
        settings["converter"] = whole_number
    by_dataset = defaults_by_dataset(field.name)
    if by_dataset:
        shown = ", ".join(f"{recipe} {_shown(by_dataset[recipe])}" for recipe in RECIPES)
        settings["show_default"] = lambda _: shown
    return Annotated[field.type, Parameter(**settings)]


def _own_annotation(name: str) -> Any:
    """The flag of an option that some objectives have: what it is for each of them, and its default there."""
    owners = objectives.options()[name]
    kind = owners[0][1].type
    texts: dict[str, list[str]] = {}
    for objective, option in owners:
        texts.setdefault(option.help, []).append(objective.name)
    settings: dict[str, Any] = {"help": " ".join(f"{', '.join(names)}: {text}" for text, names in texts.items())}
    if kind is int:
        settings["converter"] = whole_number
    shown = ", ".join(f"{objective.name} {as_typed(option.default)}" for objective, option in owners)
    settings["show_default"] = lambda _: shown
    return Annotated[kind | None, Parameter(**settings)]


def _shown(value: Any) -> str:
    return {True: "on", False: "off"}.get(value, str(value)) if isinstance(value, bool) else str(value)
