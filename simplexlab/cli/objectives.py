"""`simplexlab objectives`: what `--loss` takes."""

from typing import Annotated, Any

from cyclopts import Parameter

from simplexlab import objectives as table
from simplexlab.cli.common import Json, print_json
from simplexlab.config import as_typed
from simplexlab.objectives import Objective


def objectives(
    *,
    loss: Annotated[
        str | None, Parameter(help="One of them only; or the path of a file with one of your own, which is executed.")
    ] = None,
    json: Json = False,
) -> None:
    """List the objectives: what each is, its own options, whether its floor is known, where it comes from."""
    if loss is not None:
        table.allow(loss)
    chosen = [table.get(loss)] if loss is not None else list(table.table().values())
    if json:
        print_json({"objectives": [objective.facts() for objective in chosen]})
        return
    from rich.table import Table
    from rich.text import Text

    from simplexlab.cli.tables import console

    out = console()
    for objective in chosen:
        out.print(Text.assemble((objective.name, f"bold {objective.colour}"), f"  {objective.title}"))
        grid = Table.grid(padding=(0, 2, 0, 0))
        grid.add_column(no_wrap=True)
        grid.add_column(overflow="fold")
        for name, words in _facts(objective):
            grid.add_row(f"  {name}", Text(words))
        out.print(grid)
        out.print()


def _facts(objective: Objective) -> list[tuple[str, Any]]:
    heads = {"learned": "learned, linear, without bias", "fixed": "fixed", "none": "none is trained"}
    floor = "known, so that runs tell their excess over it" if objective.floor is not None else "none is known"
    facts = [("what", objective.sentence or "–")]
    for option in objective.options:
        limits = ", ".join(f"{name} {as_typed(limit)}" for name, limit in option.limits.items())
        words = f"{option.help} Default {as_typed(option.default)}" + (f"; {limits}." if limits else ".")
        flag = "--" + option.name.replace("_", "-")
        facts.append((flag if objective.source is None else f"--option {option.name}", words))
    facts += [
        ("head", heads[objective.head]),
        ("judged", f"{objective.representation}; fit by {objective.judge.replace('-', ' ')}"),
        ("floor", floor),
        ("if it diverges", objective.remedy),
    ]
    return [*facts, ("reference", objective.reference)] if objective.reference else facts
