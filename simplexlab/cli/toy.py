"""`simplexlab toy`: free points instead of an encoder, and where the losses put them."""

import dataclasses
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from simplexlab import objectives
from simplexlab.asides import progress_begins
from simplexlab.cli.common import Json, WholeNumber, print_json, whole_number
from simplexlab.cli.toy_labels import labels
from simplexlab.config import as_typed
from simplexlab.toy.ideal import POINTS, IdealToy
from simplexlab.toy.settings import PAPER_TOYS, Toy

if TYPE_CHECKING:
    from collections.abc import Iterator

toy = App(name="toy", help_epilogue="Example: simplexlab toy sc --classes 4 --dimension 3\n")
toy.command(labels, help_epilogue="Example: simplexlab toy labels --dataset fashion_mnist --output figures/\n")


def _option(help: str, default: str) -> Parameter:
    """A parameter whose default depends on the others."""
    return Parameter(help=help, show_default=lambda _: default)


Classes = Annotated[WholeNumber | None, _option("Number of classes K, 2 to 5.", "3")]
Dimension = Annotated[WholeNumber, Parameter(help="Dimension h of the space, 2 or 3.")]
Seed = Annotated[WholeNumber, Parameter(help="Seed of the first points and of the batches.")]
EvaluateEvery = Annotated[WholeNumber | None, _option("Steps between evaluations; each keeps a frame.", "10")]
RunDir = Annotated[str, Parameter(help="Folder that holds the runs.")]
COUNTS = "Points of each class where they differ, 60,30,10, in the place of the number of classes and their points."
Name = Annotated[str | None, Parameter(help="Name of this run's folder; by default made from the options.")]


@toy.command(help_epilogue="Example: simplexlab toy ce --classes 3 --weight-decay 0.01\n")
def ce(
    *,
    classes: Classes = Toy.classes,
    dimension: Dimension = Toy.dimension,
    points_per_class: Annotated[WholeNumber | None, _option("Points in each class.", "100")] = None,
    counts: Annotated[
        str | None,
        Parameter(help="Points of each class where they differ, 60,30,10, in the place of the two options above."),
    ] = None,
    weight_decay: Annotated[float | None, _option("λ of the penalty λ‖W‖²_F.", "0.01")] = None,
    learning_rate: Annotated[
        float | None,
        _option("Learning rate; the weights take at most 1/(2λ + ½).", "points a step / 30, at least 10"),
    ] = None,
    steps: Annotated[WholeNumber | None, _option("Steps of gradient descent.", "500")] = None,
    batch_size: Annotated[
        WholeNumber | None, _option("Points a step, drawn i.i.d. with replacement.", "all of them, once")
    ] = None,
    seed: Seed = Toy.seed,
    evaluate_every: EvaluateEvery = None,
    run_dir: RunDir = Toy.run_dir,
    name: Name = None,
    json: Json = False,
) -> int:
    """Minimise cross-entropy + λ‖W‖²_F over points in the unit disc (or ball) and weights W.

    Each step is gradient descent on Keras's cross-entropy; points that leave the
    ball return to its surface. The bound is Corollary 2.
    """
    return _run(
        Toy(
            loss="ce",
            classes=classes,
            dimension=dimension,
            points_per_class=points_per_class,
            counts=None if counts is None else Toy.parse_counts(counts),
            weight_decay=weight_decay,
            learning_rate=learning_rate,
            steps=steps,
            batch_size=batch_size,
            seed=seed,
            evaluate_every=evaluate_every,
            run_dir=run_dir,
            name=name,
        ),
        json,
    )


@toy.command(help_epilogue="Example: simplexlab toy sc --all-batches\n")
def sc(
    *,
    classes: Classes = Toy.classes,
    dimension: Dimension = Toy.dimension,
    points_per_class: Annotated[
        WholeNumber | None, _option("Points in each class.", "100; with --all-batches 4")
    ] = None,
    counts: Annotated[
        str | None,
        Parameter(help="Points of each class where they differ, 60,30,10, in the place of the two options above."),
    ] = None,
    temperature: Annotated[
        float | None,
        _option("Temperature τ; the points lie on the sphere of radius 1/√τ.", "0.3; with --all-batches 1"),
    ] = None,
    learning_rate: Annotated[float | None, _option("Learning rate.", "points a step · τ / 9")] = None,
    steps: Annotated[
        WholeNumber | None,
        _option("Steps of gradient descent, or most iterations of L-BFGS.", "500; with --all-batches 200"),
    ] = None,
    batch_size: Annotated[
        WholeNumber | None,
        _option(
            "Points a step, drawn i.i.d. with replacement; with --all-batches, the size of the batches.",
            "all of them, once; with --all-batches 9",
        ),
    ] = None,
    all_batches: Annotated[
        bool, Parameter(negative="", help="Minimise the exact mean loss over all batches, by L-BFGS (Fig. 6).")
    ] = False,
    seed: Seed = Toy.seed,
    evaluate_every: EvaluateEvery = None,
    run_dir: RunDir = Toy.run_dir,
    name: Name = None,
    json: Json = False,
) -> int:
    """Minimise the supervised contrastive loss over points on the circle (or sphere).

    Each step is gradient descent on the Keras loss SupervisedContrastive; points
    return to the sphere after it. The bound is Theorem 2 for the batches that are
    drawn; a batch's loss is the sum over its anchors.
    """
    return _run(
        Toy(
            loss="sc",
            classes=classes,
            dimension=dimension,
            points_per_class=points_per_class,
            counts=None if counts is None else Toy.parse_counts(counts),
            temperature=temperature,
            learning_rate=learning_rate,
            steps=steps,
            batch_size=batch_size,
            all_batches=all_batches,
            seed=seed,
            evaluate_every=evaluate_every,
            run_dir=run_dir,
            name=name,
        ),
        json,
    )


def _ideal(name: str) -> None:
    """Add the command of an objective that is not one of the paper's toys."""
    objective = objectives.get(name)
    defaults = {option.name: option.default for option in objective.options} | dict(objective.toy)
    points = objective.toy.get("points_per_class", POINTS)
    dimension = str(IdealToy(loss=name).resolve().dimension)
    own = [
        (option.name, Annotated[option.type | None, _own(option, defaults[option.name])], None)
        for option in objective.options
        if not option.of_projection
    ]
    norm = [("head_norm", Annotated[float | None, _option("Largest ‖W‖_F of the classifier.", "√K")], None)]
    IdealOptions = dataclasses.make_dataclass(
        "IdealOptions",
        [
            ("classes", Classes, None),
            ("dimension", Annotated[WholeNumber | None, _option("Dimension h of the space, 2 or 3.", dimension)], None),
            ("points_per_class", Annotated[WholeNumber | None, _option("Points in each class.", str(points))], None),
            ("counts", Annotated[str | None, Parameter(help=COUNTS)], None),
            *(norm if objective.head == "learned" else []),
            *own,
            ("steps", Annotated[WholeNumber, Parameter(help="Most iterations of L-BFGS.")], IdealToy.steps),
            ("seed", Annotated[WholeNumber, Parameter(help="Seed of the first points.")], IdealToy.seed),
            ("run_dir", RunDir, IdealToy.run_dir),
            ("name", Name, None),
        ],
        namespace={"__module__": __name__},  # without it cyclopts takes the class for a builtin
        frozen=True,
        kw_only=True,
    )

    def command(
        options: Annotated[IdealOptions, Parameter(name="*")] = IdealOptions(),  # noqa: B008
        *,
        json: Json = False,
    ) -> int:
        given = vars(options).copy()
        chosen = {name: value for name, _, _ in own if (value := given.pop(name)) is not None}
        if given["counts"] is not None:
            given["counts"] = Toy.parse_counts(given["counts"])
        return _run(IdealToy(loss=name, options=chosen, **given), json)

    where = "on its sphere" if objective.sphere else "in the unit ball"
    command.__doc__ = (
        f"{objective.sentence}\n\nMinimise it over free points {where}, all of them in one batch, by L-BFGS\n"
        "with the gradient of its Keras loss in float64; each iteration is a frame."
    )
    toy.command(command, name=name, help_epilogue=f"Example: simplexlab toy {name} --classes 4 --dimension 3\n")


def _own(option: objectives.Option, default: Any) -> Parameter:
    converter = {"converter": whole_number} if option.type is int else {}
    return Parameter(help=option.help, show_default=lambda _: as_typed(default), **converter)


for _name in objectives.names():
    if _name not in PAPER_TOYS:
        _ideal(_name)


def _run(options: Toy | IdealToy, json: bool) -> int:
    resolved = options.resolve()

    with _progress(resolved.steps) as report:
        if isinstance(options, Toy):
            from simplexlab.toy.run import run_toy

            result = run_toy(options, report)
        else:
            from simplexlab.toy.ideal import run_ideal

            result = run_ideal(options, report)
    if json:
        print_json(result)
    else:
        _print_result(resolved, result)
    return 130 if result["state"] == "stopped" else 0


@contextmanager
def _progress(total: int) -> "Iterator[Callable[[dict[str, Any]], None]]":
    """Show each evaluation on stderr: a bar on a terminal, plain lines elsewhere."""
    import sys

    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    from simplexlab.text import console as console_of

    console = console_of(stderr=True)
    if not console.is_terminal:

        def line(record: dict[str, Any]) -> None:
            progress_begins()
            print(f"step {record['iteration']}/{total}  {_numbers(record)}", file=sys.stderr, flush=True)

        yield line
        return
    columns = (BarColumn(bar_width=None), MofNCompleteColumn(), TextColumn("{task.fields[numbers]}"))
    with Progress(*columns, console=console, expand=True, transient=True) as progress:
        task = progress.add_task("", total=total, numbers="starting")
        yield lambda record: progress.update(task, completed=record["iteration"], numbers=_numbers(record))


def _numbers(record: dict[str, Any]) -> str:
    excess = "" if record["excess"] is None else f"  excess {record['excess']:.3g}"
    return f"loss {record['loss']:.6g}{excess}"


def _print_result(options: Toy | IdealToy, result: dict[str, Any]) -> None:
    from rich.table import Table

    from simplexlab.cli.tables import console, statistics_table

    out = console()
    out.print(f"{result['run']}: {result['state']} after {result['iterations']} steps, {result['seconds']:.1f} s\n")
    head = Table(box=None, show_header=False, pad_edge=False)
    for name, value in (_summary if isinstance(options, Toy) else _ideal_summary)(options, result):
        head.add_row(name, value)
    out.print(head)
    out.print()
    out.print(statistics_table(result))
    if not options.is_tight and result["bound"] is not None and not result["bound_is_exact"]:
        out.print(
            f"\nNo regular simplex of {options.classes} vertices exists in {options.dimension} dimensions (K > h + 1): "
            "the bound holds, but no configuration reaches it."
        )
    out.print(f"\nRun folder: {Path(options.run_dir, result['run'])}", soft_wrap=True)


def _ideal_summary(options: IdealToy, result: dict[str, Any]) -> "Iterator[tuple[str, str]]":
    """Loss and bound, and whether the classes collapsed."""
    from simplexlab.cli.tables import bound_words, excess_words

    kind = "sum over all points" if options.objective.reduction == "sum" else "mean over all points"
    yield "loss", f"{result['final_loss']:.9g}  ({kind})"
    if result["bound"] is not None:
        yield "bound", bound_words(result, digits=9)
        yield "excess over it", excess_words(result)


def _summary(options: Toy, result: dict[str, Any]) -> "Iterator[tuple[str, str]]":
    """Loss and bound, then the deviation from each equality condition of the theorem."""
    from simplexlab.cli.tables import bound_words, excess_words

    objective = (
        "mean cross-entropy + λ‖W‖²"
        if options.has_weights
        else "mean over all batches, sum over anchors"
        if options.all_batches
        else "batch of all points, sum over anchors"
        if options.batch_size is None
        else "expected batch, sum over anchors"
    )
    yield "loss", f"{result['final_loss']:.9g}  ({objective})"
    yield "bound", f"{result['bound']:.9g}  ({options.theorem})" if options.theorem else bound_words(result, digits=9)
    yield "excess over it", excess_words(result)
    if "weight_norm" in result:
        yield "mean norm of a weight", f"{result['weight_norm']:.6g}  (r_W = {result['optimal_weight_norm']:.6g})"
    for name, meaning in (
        ("C1", "classes collapsed"),
        ("C2", "class means at a regular simplex"),
        ("C3wd", "weights at r_W/ρ times the class means"),
    ):
        if name in result["conditions"]:
            yield f"deviation from {name}", f"{result['conditions'][name]:.3g}  ({meaning})"
