"""`simplexlab report`: one page of a sweep."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from simplexlab.cli.common import Json, output_errors, print_json
from simplexlab.files import check_replaceable, replace_file


def report(
    sweep: Annotated[Path, Parameter(help="Folder of a sweep.")],
    /,
    *,
    output: Annotated[
        Path | None, Parameter(help="The file to write.", show_default=lambda _: "report.html in the folder")
    ] = None,
    json: Json = False,
) -> None:
    """Write one self-contained HTML page of a sweep: settings, figures, tables, loss against theory, commands."""
    from simplexlab.report import report as page
    from simplexlab.sweep import SweepFolder

    folder = SweepFolder(sweep)
    path = output or sweep / "report.html"
    with output_errors(path, "a file in a folder that exists"):
        check_replaceable(path)
    text = page(folder)
    with output_errors(path, "a file in a folder that exists"):
        replace_file(path, text.encode(errors="replace"))
    if json:
        print_json({"report": str(path), "bytes": path.stat().st_size})
    else:
        print(path)
