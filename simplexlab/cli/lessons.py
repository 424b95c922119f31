"""`simplexlab lessons`: list, copy and run the lessons, and collect what a class answered."""

import subprocess
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from simplexlab.cli.common import Json, WholeNumber, output_errors, print_json
from simplexlab.errors import UsageError
from simplexlab.files import replace_file, why_no_folder

lessons = App(name="lessons", help_epilogue="Example: simplexlab lessons copy my-course --notebooks\n")


@lessons.default
@lessons.command(name="list", help_epilogue="Example: simplexlab lessons list\n")
def list_(*, json: Json = False) -> None:
    """List the lessons that ship with the package."""
    from simplexlab.course.scripts import SHIPPED, list_lessons

    scripts = list_lessons(SHIPPED)
    if json:
        print_json(
            {
                "folder": str(SHIPPED),
                "lessons": [
                    {
                        "number": int(script.path.name[0]),
                        "title": script.title,
                        "goal": script.goal,
                        "minutes": script.minutes,
                        "file": script.path.name,
                    }
                    for script in scripts
                ],
            }
        )
        return
    from rich.table import Table

    from simplexlab.cli.tables import console

    table = Table(box=None, pad_edge=False)
    for heading in ("lesson", "computing", "goal"):
        table.add_column(heading)
    for script in scripts:
        table.add_row(script.title, f"{script.minutes.split()[0]} min", script.goal)
    out = console()
    out.print(table)
    out.print("\nsimplexlab lessons run 1 runs one here; lessons copy FOLDER makes copies to work on")


@lessons.command(help_epilogue="Example: simplexlab lessons copy my-course --notebooks\n")
def copy(
    folder: Annotated[Path, Parameter(help="Where the lessons go.")],
    /,
    *,
    notebooks: Annotated[bool, Parameter(negative="", help="Notebooks in place of scripts.")] = False,
    teacher: Annotated[bool, Parameter(negative="", help="With the teacher's plan and the solutions.")] = False,
    package: Annotated[
        str | None,
        Parameter(
            help="What the install cell of a notebook gives to pip.", show_default=lambda _: "this version, by its name"
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Copy the lessons to a folder, for students to work on; files that are there are never overwritten."""
    if package is not None and not notebooks:
        raise UsageError("--package is for notebooks; give --notebooks too")
    from simplexlab.course import copies

    if why := why_no_folder(folder):
        raise UsageError(f"{folder} {why}")
    files = copies.copy(folder, notebooks=notebooks, teacher=teacher, package=package or copies.PACKAGE)
    if json:
        print_json({"files": [str(path) for path in files]})
        return
    print(f"{len(files)} files in {folder}")


@lessons.command(help_epilogue="Example: simplexlab lessons run 5 --fast\n")
def run(
    number: Annotated[WholeNumber, Parameter(help="Number of the lesson, 1 to 9.")],
    /,
    *,
    fast: Annotated[bool, Parameter(negative="", help="Everything as small as can be, under a minute.")] = False,
    output: Annotated[Path, Parameter(help="Folder of pictures, answers and runs.")] = Path("lessons-output"),
    student: Annotated[str | None, Parameter(help="A name for the report of a class.")] = None,
) -> int:
    """Run a lesson of the package from top to bottom, in a process of its own."""
    from simplexlab.course.scripts import SHIPPED, list_lessons

    paths = {int(script.path.name[0]): script.path for script in list_lessons(SHIPPED)}
    if number not in paths:
        raise UsageError(f"there is no lesson {number}; there are {min(paths)} to {max(paths)}")
    if why := why_no_folder(output):
        raise UsageError(f"--output {output} {why}")
    words = [sys.executable, str(paths[number]), "--output", str(output)]
    words += ["--fast"] * fast + (["--student", student] if student else [])
    process = subprocess.Popen(words)
    try:
        code = process.wait()
    except KeyboardInterrupt:  # from the terminal the lesson got it too, and ends in its own way
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.terminate()
            process.wait()
        return 130
    return 1 if code < 0 else code


@lessons.command(help_epilogue="Example: simplexlab lessons report class-of-may\n")
def report(
    folder: Annotated[Path, Parameter(help="Folder that holds the output folders of the students.")],
    /,
    *,
    output: Annotated[
        Path | None, Parameter(help="The file to write.", show_default=lambda _: "report.html in the folder")
    ] = None,
    json: Json = False,
) -> None:
    """Collect what a class predicted, answered and solved into one HTML page."""
    from simplexlab.course.class_report import collect, page, summarise

    records = collect(folder)
    path = output or folder / "report.html"
    with output_errors(path, "a file in a folder that exists"):
        replace_file(path, page(records, f"Lessons: {folder.resolve().name}").encode(errors="replace"))
    if json:
        print_json({"report": str(path), "lessons": summarise(records)})
    else:
        print(path)
