"""`simplexlab figure`: the paper's figures, each as PNG, SVG and the JSON of its numbers."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import App, Parameter, validators

from simplexlab.asides import notice
from simplexlab.cli.common import Json, WholeNumber, output_errors, print_json, usage_errors
from simplexlab.errors import UsageError

figure = App(name="figure", help_epilogue="Example: simplexlab figure 6 --style projector\n")

Output = Annotated[
    str, Parameter(help="Folder (it exists, or ends in /) or stem of the files: NAME gives NAME.png, .svg and .json.")
]
Style = Annotated[
    Literal["print", "projector"], Parameter(help="print: for a page; projector: larger letters and thicker lines.")
]
Seed = Annotated[WholeNumber, Parameter(help="Seed of the random starts.", validator=validators.Number(gte=0))]
RunDir = Annotated[str, Parameter(help="Folder that holds the runs.")]
Sources = Annotated[
    str, Parameter(help="Folders of sweeps or of runs, or single runs; without any, the runs in --run-dir.")
]
Clock = Annotated[
    Literal["iterations", "learning-rate"],
    Parameter(help="The clock of the time to fit: iterations, or steps counted by their learning rate, Σ lr/lr₀."),
]
Run = Annotated[str | None, Parameter(help="Name or path of a toy run in two dimensions, instead of running one.")]


@figure.command(name="1", help_epilogue="Example: simplexlab figure 1 --seed 3 --output slides/\n")
def toys(
    *,
    sc: Run = None,
    ce: Run = None,
    run_dir: RunDir = "runs",
    seed: Seed = 0,
    output: Output = "figures/",
    style: Style = "print",
    json: Json = False,
) -> None:
    """Two toy runs over time: the supervised contrastive loss above cross-entropy."""
    stem = stem_of(output, "figure-1")

    from simplexlab.figures import toy_rows
    from simplexlab.runs import find_run

    folders = [run if run is None else find_run(run, run_dir) for run in (sc, ce)]
    if None in folders:
        notice("Running the toys; this takes some ten seconds.")
    save(toy_rows.draw, toy_rows.toy_rows(*folders, seed=seed), stem, style, json)


@figure.command(name="3", help_epilogue="Example: simplexlab figure 3\n")
def simplices(*, output: Output = "figures/", style: Style = "print", json: Json = False) -> None:
    """The regular simplices of two, three and four classes on the sphere."""
    stem = stem_of(output, "figure-3")

    from simplexlab.figures import simplices

    save(simplices.draw, simplices.simplices(), stem, style, json)


@figure.command(name="4", help_epilogue="Example: simplexlab figure 4\n")
def weight_norm(*, seed: Seed = 0, output: Output = "figures/", style: Style = "print", json: Json = False) -> None:
    """The norm of the weights and the regularised cross-entropy over λ, theory against optimisation."""
    stem = stem_of(output, "figure-4")

    from simplexlab.figures import weight_norm

    save(weight_norm.draw, weight_norm.weight_norm(seed), stem, style, json)


@figure.command(name="5", help_epilogue="Example: simplexlab figure 5 --counts 4,4,1 --counts 3,3,3\n")
def batches(
    *,
    counts: Annotated[
        tuple[str, ...],
        Parameter(
            help="Points of each class in a batch, such as 4,4,1; repeat it for several batches.",
            negative="",
            show_default=lambda _: "the seven of the paper",
        ),
    ] = (),
    seed: Seed = 0,
    output: Output = "figures/",
    style: Style = "print",
    json: Json = False,
) -> None:
    """The configurations that minimise the loss of single batches, by the batch's label counts."""
    label_counts = [_label_counts(words) for words in counts]
    stem = stem_of(output, "figure-5")

    from simplexlab.figures import batches

    compute = usage_errors(batches.batches)
    save(batches.draw, compute(label_counts or batches.LABEL_COUNTS, seed), stem, style, json)


@figure.command(name="6", help_epilogue="Example: simplexlab figure 6 --json\n")
def all_batches(*, seed: Seed = 0, output: Output = "figures/", style: Style = "print", json: Json = False) -> None:
    """The exact loss over all 167,960 batches against Theorem 2, and the loss of every batch."""
    stem = stem_of(output, "figure-6")

    from simplexlab.figures import all_batches

    save(all_batches.draw, all_batches.all_batches(seed), stem, style, json)


@figure.command(name="2", help_epilogue="Example: simplexlab figure 2 sweeps/class\n")
def time_to_fit(
    *sources: Sources,
    clock: Clock = "iterations",
    run_dir: RunDir = "runs",
    output: Output = "figures/",
    style: Style = "print",
    json: Json = False,
) -> None:
    """Time to fit against label corruption for CE and SC, with the growth exponent of each."""
    _draw_time_to_fit(2, sources, clock, run_dir, output, style, json)


@figure.command(name="7", help_epilogue="Example: simplexlab figure 7 sweeps/paper --corrupt 0\n")
def distributions(
    *sources: Sources,
    corrupt: Annotated[
        float | None,
        Parameter(help="Take the runs of this label corruption.", show_default=lambda _: "the smallest there is"),
    ] = None,
    run_dir: RunDir = "runs",
    output: Output = "figures/",
    style: Style = "print",
    json: Json = False,
) -> None:
    """Angular similarities between class means, between weights and within classes, and the test error, by loss."""
    stem = stem_of(output, "figure-7")

    from simplexlab.figures import distributions
    from simplexlab.sweep import collect

    numbers = distributions.distributions(collect(sources or (run_dir,), run_dir), corrupt)
    save(distributions.draw, numbers, stem, style, json)


@figure.command(name="8", help_epilogue="Example: simplexlab figure 8 sweeps/class\n")
def time_to_fit_by_loss(
    *sources: Sources,
    clock: Clock = "iterations",
    run_dir: RunDir = "runs",
    output: Output = "figures/",
    style: Style = "print",
    json: Json = False,
) -> None:
    """Time to fit against label corruption for every loss, dataset and budget, with the growth exponent of each."""
    _draw_time_to_fit(8, sources, clock, run_dir, output, style, json)


@figure.command(help_epilogue="Example: simplexlab figure memorisation digits-ce-0.2-s0 digits-sc-0.2-s0\n")
def memorisation(
    *sources: Sources,
    run_dir: RunDir = "runs",
    output: Output = "figures/",
    style: Style = "print",
    json: Json = False,
) -> None:
    """How images with wrong labels are predicted over training: as given, as true, as another class; by loss."""
    stem = stem_of(output, "figure-memorisation")

    from simplexlab.figures import memorisation
    from simplexlab.sweep import collect

    save(memorisation.draw, memorisation.memorisation(collect(sources or (run_dir,), run_dir)), stem, style, json)


@figure.command(help_epilogue="Example: simplexlab figure objectives sweeps/objectives --style projector\n")
def objectives(
    *sources: Sources,
    run_dir: RunDir = "runs",
    output: Output = "figures/",
    style: Style = "print",
    json: Json = False,
) -> None:
    """Every objective of a sweep beside the others: who collapses, who reaches the simplex, who does not and why."""
    stem = stem_of(output, "figure-objectives")

    from simplexlab.figures import objectives
    from simplexlab.sweep import collect

    numbers = objectives.objectives(collect(sources or (run_dir,), run_dir))
    save(objectives.draw, numbers, stem, style, json)
    if not json:
        for panel in numbers["panels"]:
            print(*panel["words"], sep="\n")


def _draw_time_to_fit(
    number: int, sources: tuple[str, ...], clock: str, run_dir: str, output: str, style: str, json: bool
) -> None:
    stem = stem_of(output, f"figure-{number}")

    from simplexlab.figures.time_to_fit import draw
    from simplexlab.sweep import collect
    from simplexlab.sweep.curves import time_to_fit

    save(draw, time_to_fit(collect(sources or (run_dir,), run_dir), number, clock), stem, style, json)


def stem_of(output: str, name: str) -> Path:
    """Where the files of a figure go, named so in a folder; checked before anything is computed."""
    path = Path(output)
    if output.endswith(("/", os.sep)) or path.is_dir():
        path = path / name
    elif path.suffix in (".png", ".svg", ".json"):
        path = path.with_suffix("")
    elif path.exists() and not path.is_file():
        raise UsageError(f"--output {output}: it is neither a folder nor a file; give a folder or a stem of files")
    folder = path.parent
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    if not folder.is_dir() or not os.access(folder, os.W_OK) or not path.name:
        raise UsageError(f"--output {output}: cannot write in {folder}; give a folder or a stem that can be written")
    return path


def _label_counts(words: str) -> list[int]:
    try:
        return [int(word) for word in words.split(",")]
    except ValueError:
        raise UsageError(f"--counts {words}: it takes whole numbers with commas between them, such as 4,4,1") from None


def save(draw: Callable, numbers: dict[str, Any], stem: Path, style: str, json: bool) -> None:
    """Draw a figure, write its files, and tell of them."""
    from simplexlab.figures.style import save_figure, styled

    with styled(style):
        picture, caption = draw(numbers)
        with output_errors(stem, "a folder or a stem of files"):
            paths = save_figure(picture, stem, numbers, caption)
    if json:
        print_json({**numbers, "caption": caption, "files": [str(path) for path in paths]})
        return
    print(f"Figure {numbers['figure']}: {numbers['title']}")
    print(caption)
    for path in paths:
        print(path)
