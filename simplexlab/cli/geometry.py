"""`simplexlab geometry`: the statistics of anyone's representations, each beside its optimum."""

import zipfile
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from simplexlab.cli.common import Json, print_json, usage_errors
from simplexlab.errors import UsageError


@usage_errors
def geometry(
    file: Annotated[
        Path, Parameter(help="An .npz with z (N, h), y (N,) in 0 … K−1 and, if there are, weights w (K, h).")
    ],
    /,
    *,
    json: Json = False,
) -> None:
    """Measure the representations in an .npz file, from any framework, beside the optimum."""
    from simplexlab.geometry import optimum, statistics

    arrays = _load(file)
    found = statistics(arrays["z"], arrays["y"], arrays.get("w"))
    record = found.to_dict()
    if json:
        frame = optimum(found.num_classes, "nonnegative")
        print_json(record | {"optimum": optimum(found.num_classes), "orthogonal_frame": frame})
        return

    from simplexlab.cli.tables import console, statistics_table

    out = console()
    out.print(statistics_table(record, title=_title(record)))


def _title(record: dict[str, Any]) -> str:
    return (
        f"{record['num_points']} representations of {record['num_classes']} classes in {record['dimension']} dimensions"
    )


def _load(file: Path) -> dict[str, Any]:
    import numpy as np

    if not file.is_file():
        raise UsageError(f"no file {file}")
    try:
        with np.load(file, allow_pickle=False) as archive:
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise UsageError(f"{file} is not an .npz file with the arrays z, y and, if there are, w")
            missing = [key for key in ("z", "y") if key not in archive.files]
            if missing:
                raise UsageError(f"{file} has no array {' and no array '.join(missing)}; it needs z (N, h) and y (N,)")
            return {key: archive[key] for key in ("z", "y", "w") if key in archive.files}
    except (OSError, EOFError, zipfile.BadZipFile) as error:
        raise UsageError(f"{file} cannot be read as an .npz file: {error}") from error
    except ValueError as error:
        if isinstance(error, UsageError):
            raise
        raise UsageError(f"{file} holds pickled objects; z, y and w must be plain arrays of numbers") from error
