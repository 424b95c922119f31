"""The table of objectives: every module of this package that has `OBJECTIVES`, and files of one's own."""

import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache
from typing import Any

from simplexlab.errors import UsageError, nearest
from simplexlab.objectives.objective import Objective, Option
from simplexlab.objectives.own import is_path, load, name_of

UNKNOWN_COLOUR = "#767676"


@cache
def table() -> dict[str, Objective]:
    """The package's objectives by name: the paper's first, then the others by name."""
    import simplexlab.objectives as package

    found: dict[str, Objective] = {}
    for module in pkgutil.iter_modules(package.__path__):
        for objective in getattr(importlib.import_module(f"{package.__name__}.{module.name}"), "OBJECTIVES", ()):
            if objective.name in found:
                raise ValueError(f"two objectives are named {objective.name}")
            found[objective.name] = objective
    options: dict[str, Option] = {}
    for option in (option for objective in found.values() for option in objective.options):
        if options.setdefault(option.name, option).type is not option.type:
            raise ValueError(f"the option {option.name} is of two types")
    return dict(sorted(found.items(), key=lambda item: (not item[1].in_paper, item[0])))


def get(loss: str, flag: str = "--loss") -> Objective:
    """The objective that `--loss` names: an entry of the table, or one of one's own by `path.py` or `path.py:name`.

    Raises:
        UsageError: there is none of that name; or the file is wrong, or not one that its user has run (see `own`).
    """
    if is_path(loss):
        return load(loss, taken=table())
    if loss not in table():
        raise UsageError(f"{flag} {loss}: {nearest(loss, table())}; or the path of a file, my_loss.py")
    return table()[loss]


def names() -> tuple[str, ...]:
    """The names of the table."""
    return tuple(table())


def paper() -> tuple[str, ...]:
    """The names of the paper's objectives."""
    return tuple(name for name, objective in table().items() if objective.in_paper)


def options() -> dict[str, list[tuple[Objective, Option]]]:
    """Every own option in the table by name, with the objectives that have it and what it is there."""
    found: dict[str, list[tuple[Objective, Option]]] = {}
    for objective in table().values():
        for option in objective.options:
            found.setdefault(option.name, []).append((objective, option))
    return found


def of_run(config: Mapping[str, Any] | None) -> Objective:
    """The objective of a run by its config.json, for readers; nothing is executed.

    An entry of the table as it is now; else what the folder says of a loss of one's own; else its name alone.
    """
    config = config if isinstance(config, Mapping) else {}
    experiment = config.get("experiment")
    loss = experiment.get("loss") if isinstance(experiment, Mapping) else None
    if loss in table():
        return table()[loss]
    try:
        return Objective.from_facts(config["objective"])
    except (KeyError, TypeError, ValueError):
        return named(loss if isinstance(loss, str) else "unknown")


def named(loss: str) -> Objective:
    """An objective for readers by what `--loss` says alone."""
    if loss in table():
        return table()[loss]
    name = "".join(letter if letter.isalnum() or letter in "_.+-" else "-" for letter in name_of(loss)).lstrip("_.+-")
    return Objective(name=name or "unknown", loss=_unknown, colour=UNKNOWN_COLOUR)


def _unknown(*_: Any, **__: Any) -> Any:
    raise UsageError("this loss is known by its name alone")


def rank(name: str) -> tuple[int, str]:
    """Sorts objectives in the order of the table, those of one's own after it."""
    order = names()
    return (order.index(name) if name in order else len(order), name)
