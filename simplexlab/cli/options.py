"""The flags of a training run, made from the fields of `Experiment`."""

import dataclasses
from typing import Annotated, Any

from cyclopts import Parameter

from simplexlab.cli.common import whole_number
from simplexlab.config import RECIPES, Experiment, defaults_by_dataset, field_type


def experiment_options(without: tuple[str, ...] = ()) -> type[Experiment]:
    """`Experiment` with the help of each field where cyclopts finds it; the fields in `without` get no flag."""
    return dataclasses.make_dataclass(
        "ExperimentOptions",
        [
            (field.name, _annotation(field, parse=field.name not in without), _copy(field))
            for field in dataclasses.fields(Experiment)
        ],
        bases=(Experiment,),
        namespace={"__module__": __name__},  # without it cyclopts takes the class for a builtin
        frozen=True,
        kw_only=True,
    )


def as_experiment(options: Experiment) -> Experiment:
    """The plain `Experiment` of parsed options."""
    return Experiment.from_dict(dataclasses.asdict(options))


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


def _shown(value: Any) -> str:
    return {True: "on", False: "off"}.get(value, str(value)) if isinstance(value, bool) else str(value)
