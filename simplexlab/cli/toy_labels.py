"""`simplexlab toy labels`: corrupted labels fitted by a linear map on fixed random features."""

import itertools
import sys
import time
from typing import Annotated, Any

from cyclopts import Parameter

from simplexlab.asides import progress_begins
from simplexlab.cli.common import Json, WholeNumber, print_json
from simplexlab.errors import UsageError
from simplexlab.toy.labels import LOSSES, LabelToy


def labels(
    *,
    dataset: Annotated[str, Parameter(help="digits, or whatever simplexlab train takes.")] = LabelToy.dataset,
    data_dir: Annotated[str | None, Parameter(help="Folder of prepared TFDS data; without it, TFDS's own.")] = None,
    train_size: Annotated[WholeNumber, Parameter(help="Images, as many of each class.")] = LabelToy.train_size,
    features: Annotated[WholeNumber, Parameter(help="Random Fourier features of an image.")] = LabelToy.features,
    dimension: Annotated[WholeNumber, Parameter(help="Dimension h of the representation of sc.")] = LabelToy.dimension,
    batch_size: Annotated[WholeNumber, Parameter(help="Images a step.")] = LabelToy.batch_size,
    temperature: Annotated[float, Parameter(help="Temperature τ of sc.")] = LabelToy.temperature,
    positives: Annotated[
        WholeNumber, Parameter(help="Positives of each anchor of sc, the first so many after it; 0 takes all.")
    ] = LabelToy.positives,
    learning_rate: Annotated[
        float, Parameter(help="Constant learning rate, in units of 30 for ce and of 0.3·τ for sc.")
    ] = LabelToy.learning_rate,
    iterations: Annotated[WholeNumber, Parameter(help="Budget of a run; it ends once it has fitted.")] = (
        LabelToy.iterations
    ),
    evaluate_every: Annotated[WholeNumber, Parameter(help="Iterations between evaluations.")] = LabelToy.evaluate_every,
    losses: Annotated[str, Parameter(help="ce, sc or both.")] = ",".join(LOSSES),
    corruptions: Annotated[str, Parameter(help="Fractions of flipped labels: a list, or a range.")] = "0:0.9:0.1",
    seeds: Annotated[str, Parameter(help="How many seeds, or the seeds, 0,4.")] = "3",
    output: Annotated[
        str | None, Parameter(help="Folder or stem of a figure to write, as PNG, SVG and JSON.", show_default=False)
    ] = None,
    json: Json = False,
) -> None:
    """Fit corrupted labels of real images without a network: time to fit by loss.

    A linear map on fixed random Fourier features, in numpy: cross-entropy against
    the supervised contrastive loss on the same images, labels and kind of batches,
    with the growth exponent of each.
    """
    from simplexlab.cli.figure import save, stem_of
    from simplexlab.dataset_name import dataset_title
    from simplexlab.sweep.curves import at_constant_rate
    from simplexlab.sweep.plan import parse_corruptions, parse_losses, parse_seeds
    from simplexlab.toy.labels import fit_labels

    chosen = parse_losses(losses)
    for loss in chosen:
        if loss not in LOSSES:
            raise UsageError(f"--losses {loss}: this toy knows {' and '.join(LOSSES)}")
    options = LabelToy(
        dataset=dataset,
        data_dir=data_dir,
        train_size=train_size,
        features=features,
        dimension=dimension,
        batch_size=batch_size,
        temperature=temperature,
        positives=positives,
        learning_rate=learning_rate,
        iterations=iterations,
        evaluate_every=evaluate_every,
    )
    levels, every_seed = parse_corruptions(corruptions), parse_seeds(seeds)
    stem = None if output is None else stem_of(output, "toy-labels")
    began = time.monotonic()
    total, done = len(levels) * len(every_seed) * len(chosen), itertools.count(1)

    def tell(row: dict[str, Any]) -> None:
        fit = "never" if row["censored"] else row["time_to_fit"]
        progress_begins()
        print(f"{next(done)}/{total} {row['run']}: {fit}", file=sys.stderr, flush=True)

    rows = fit_labels(options, chosen, levels, every_seed, tell)
    told = (
        f"{train_size} images, a linear map of {features} random Fourier features (sc: to {dimension} dimensions, "
        f"τ = {temperature:g}{f', {positives} positives an anchor' if positives else ''}), batches of "
        f"{batch_size}, constant learning rate, budget {iterations}, evaluated every {evaluate_every}; fitted means no "
        "train error"
    )
    numbers = at_constant_rate(rows, title=dataset_title(dataset), budget=iterations, told=told)
    if stem is not None:
        from simplexlab.figures.time_to_fit import draw

        save(draw, numbers, stem, "print", json)
    if json:
        if stem is None:
            print_json({**numbers, "seconds": time.monotonic() - began})
        return
    from simplexlab.cli.tables import console, growth_tables

    out = console()
    out.print(f"{len(rows)} runs, {time.monotonic() - began:.0f} s: {told}.\n", soft_wrap=True)
    for table in growth_tables(numbers["panels"][0]):
        out.print(table)
        out.print()
