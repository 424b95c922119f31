"""`simplexlab bound`: the proven lower bounds, from the command line."""

from typing import Annotated, Any, Literal

from cyclopts import App, Parameter

from simplexlab.cli.common import Json, WholeNumber, print_json, usage_errors
from simplexlab.errors import UsageError

bound = App(
    name="bound",
    help_epilogue="Example: simplexlab bound sc --classes 10 --batch-size 256 --temperature 0.1 --sampling iid\n",
)

Classes = Annotated[WholeNumber, Parameter(help="Number of classes K, at least 2.")]
Dimension = Annotated[
    WholeNumber | None, Parameter(help="Dimension h of the representations; the answer then says whether it is tight.")
]
Features = Annotated[
    Literal["free", "nonnegative"],
    Parameter(help="nonnegative: representations of an encoder that ends in a ReLU, whose optimum is another one."),
]


@bound.command(help_epilogue="Example: simplexlab bound ce --classes 10 --radius 2 --frobenius 3\n")
@usage_errors
def ce(
    *,
    classes: Classes,
    radius: Annotated[float, Parameter(help="Largest norm ρ of a representation.")],
    frobenius: Annotated[float | None, Parameter(help="Frobenius norm of the weights: Theorem 1.")] = None,
    max_norm: Annotated[float | None, Parameter(help="Largest norm of a row of the weights: Corollary 1.")] = None,
    weight_decay: Annotated[
        float | None, Parameter(help="λ of the penalty λ‖W‖²_F, which is part of the loss: Corollary 2.")
    ] = None,
    features: Features = "free",
    dimension: Dimension = None,
    json: Json = False,
) -> None:
    """Bound the cross-entropy of balanced labels from below.

    One of --frobenius, --max-norm and --weight-decay says what limits the weights.
    """
    from simplexlab import theory

    limits = {"frobenius": frobenius, "max_norm": max_norm, "weight_decay": weight_decay}
    given = [name for name, value in limits.items() if value is not None]
    if len(given) != 1:
        raise UsageError("bound ce takes one of --frobenius, --max-norm and --weight-decay")
    limit = given[0]
    function = {
        "frobenius": theory.ce_bound_frobenius,
        "max_norm": theory.ce_bound_max_norm,
        "weight_decay": theory.ce_bound_weight_decay,
    }[limit]
    record: dict[str, Any] = {"bound": function(classes, radius, limits[limit], features=features)}
    if limit == "weight_decay":
        record["weight_norm"] = theory.optimal_weight_norm(radius, weight_decay, classes, features=features)
    record |= {"classes": classes, "radius": radius, limit: limits[limit], "features": features}
    record |= _tightness(classes, dimension, features)
    source = {"frobenius": "Theorem 1", "max_norm": "Corollary 1", "weight_decay": "Corollary 2"}[limit]
    penalty = " plus λ‖W‖²" if limit == "weight_decay" else ""
    _answer(record, f"cross-entropy (mean over the points){penalty}", source, json)


@bound.command(
    help_epilogue="Example: simplexlab bound sc --classes 10 --samples-per-class 5000 --batch-size 256 "
    "--temperature 0.1\n"
)
@usage_errors
def sc(
    *,
    classes: Classes,
    batch_size: Annotated[WholeNumber, Parameter(help="Batch size b, at least 3.")],
    samples_per_class: Annotated[
        WholeNumber | None, Parameter(help="Points n of each class; iid sampling does without it.")
    ] = None,
    temperature: Annotated[float | None, Parameter(help="Temperature τ, the same as --radius 1/√τ.")] = None,
    radius: Annotated[float | None, Parameter(help="Norm ρ of the representations.")] = None,
    sampling: Annotated[
        Literal["multiset", "iid", "without-replacement"],
        Parameter(help="Law of the batches: every multiset alike (the paper), with or without replacement."),
    ] = "multiset",
    features: Features = "free",
    reduction: Annotated[
        Literal["sum", "mean"], Parameter(help="Sum (the paper) or mean over the anchors of a batch.")
    ] = "sum",
    dimension: Dimension = None,
    json: Json = False,
) -> None:
    """Bound the mean supervised contrastive loss of a batch from below, for balanced labels.

    One of --temperature and --radius gives the sphere of the representations.
    """
    from simplexlab import theory

    value = theory.sc_bound(
        classes,
        batch_size,
        radius=radius,
        temperature=temperature,
        samples_per_class=samples_per_class,
        sampling=sampling,
        features=features,
        reduction=reduction,
    )
    inputs = {
        "classes": classes,
        "samples_per_class": samples_per_class,
        "batch_size": batch_size,
        "temperature": temperature,
        "radius": radius,
        "sampling": sampling,
        "features": features,
        "reduction": reduction,
    }
    record = {"bound": value} | {name: value for name, value in inputs.items() if value is not None}
    record |= _tightness(classes, dimension, features)
    _answer(record, f"mean loss of a batch ({reduction} over its anchors)", "Theorem 2", json)


def _tightness(classes: int, dimension: int | None, features: str) -> dict[str, Any]:
    if dimension is None:
        return {}
    if dimension < 1:
        raise UsageError(f"--dimension {dimension} must be at least 1")
    return {"dimension": dimension, "tight": classes <= (dimension + 1 if features == "free" else dimension)}


def _answer(record: dict[str, Any], loss: str, source: str, json: bool) -> None:
    if json:
        print_json(record)
        return

    from rich.table import Table

    from simplexlab.cli.tables import console

    free = record["features"] == "free"
    table = Table(box=None, show_header=False, pad_edge=False)
    for name, value in record.items():
        if name == "tight":
            value = "yes" if value else "no"
        table.add_row(name.replace("_", " "), f"{value:.12g}" if isinstance(value, float) else str(value))
    configuration, needed = ("regular simplex", "K ≤ h + 1") if free else ("orthogonal frame", "K ≤ h")
    if "tight" not in record:
        reached = f"The {configuration} reaches it where it exists, {needed}."
    elif record["tight"]:
        reached = f"The {configuration} reaches it."
    else:
        reached = f"No configuration reaches it: {configuration}s need {needed}."
    origin = source if free else f"{source}, for non-negative representations"
    sentence = f"With balanced labels no configuration has a smaller {loss}: {origin}. {reached}"
    if "weight_norm" in record:
        sentence += " Every row of the optimal weights has the weight norm."
    out = console()
    out.print(table)
    out.print()
    out.print(sentence)
