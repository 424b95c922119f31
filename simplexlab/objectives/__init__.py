"""The table of objectives: what `--loss` names, one module for each objective or close family.

An entry states what every other part needs to know of an objective: names, colour, options, head, floor, and how its
Keras parts are made. Nothing here imports TensorFlow or Keras before a part is made. `docs/objectives.md` shows how to
add one, in the package or in a file of one's own.
"""

from simplexlab.objectives.objective import Known, Objective, Option, logit_floor
from simplexlab.objectives.own import allow
from simplexlab.objectives.table import get, named, names, of_run, options, paper, rank, table

__all__ = [
    "Known",
    "Objective",
    "Option",
    "allow",
    "get",
    "logit_floor",
    "named",
    "names",
    "of_run",
    "options",
    "paper",
    "rank",
    "table",
]
