"""The run folder: the one place where a training process and everything that looks at it meet.

`RunWriter` writes a run folder, `read_run` and its companions read one, `MetricsFollower` and `RunsFollower` follow
what is being written without reading it again. Nothing here imports TensorFlow.
"""

from simplexlab.runs.folder import FORMAT, STATES, default_name
from simplexlab.runs.follow import MetricsFollower, RunsFollower, read_metrics
from simplexlab.runs.read import (
    LeftOut,
    Run,
    Status,
    find_run,
    first_metrics,
    list_geometry,
    list_runs,
    read_geometry,
    read_labels,
    read_log,
    read_run,
    sound,
)
from simplexlab.runs.summary import latest, summarise
from simplexlab.runs.write import RunWriter

__all__ = [
    "FORMAT",
    "STATES",
    "LeftOut",
    "MetricsFollower",
    "Run",
    "RunWriter",
    "RunsFollower",
    "Status",
    "default_name",
    "find_run",
    "first_metrics",
    "latest",
    "list_geometry",
    "list_runs",
    "read_geometry",
    "read_labels",
    "read_log",
    "read_metrics",
    "read_run",
    "sound",
    "summarise",
]
