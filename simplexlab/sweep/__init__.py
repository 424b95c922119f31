"""Sweeps: many runs from one command, each once, whatever happens to the others. Nothing here imports TensorFlow.

`Grid` says what is run, `SweepFolder` is the sweep on disk, `execute` runs it, `rows` makes its table,
`growth.fit_growth` fits how the time to fit grows with the corruption.
"""

from simplexlab.sweep.folder import SweepFolder
from simplexlab.sweep.plan import PRESETS, Grid
from simplexlab.sweep.pool import Event, Placement, execute, place
from simplexlab.sweep.table import collect, rows, runs_of, varied_options

__all__ = [
    "PRESETS",
    "Event",
    "Grid",
    "Placement",
    "SweepFolder",
    "collect",
    "execute",
    "place",
    "rows",
    "runs_of",
    "varied_options",
]
