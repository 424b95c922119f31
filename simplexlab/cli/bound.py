"""`simplexlab bound`: the proven lower bounds and certified floors, from the command line."""

import math
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, Parameter

from simplexlab.cli.common import Json, WholeNumber, print_json, usage_errors
from simplexlab.errors import UsageError

if TYPE_CHECKING:
    from simplexlab.theory import Floor

LARGEST_PROGRAM = 1000  # classes up to which a floor brings its configuration along
LARGEST_DIMENSION = 4096  # of a fixed head, whose rotation has as many rows and columns
COUNTS_ALONE = "--counts says the points of each class; --samples-per-class does not go with it"
VANISHING = 1e-150  # radius at which all inner products are 0

bound = App(
    name="bound",
    help_epilogue="Example: simplexlab bound sc --classes 10 --batch-size 256 --temperature 0.1 --sampling iid\n",
)

Classes = Annotated[
    WholeNumber | None, Parameter(help="Number of classes K, at least 2, all of one size; or --counts.")
]
Counts = Annotated[
    str | None, Parameter(help="Points of each class, such as 50,40,30, instead of --classes: their certified floor.")
]
Dimension = Annotated[
    WholeNumber | None,
    Parameter(help="Dimension h of the representations; the answer then says whether it is attained there."),
]
Features = Annotated[
    Literal["free", "nonnegative"],
    Parameter(help="nonnegative: representations of an encoder that ends in a ReLU, whose optimum is another one."),
]
Radius = Annotated[float, Parameter(help="Largest norm ρ of a representation.")]


@bound.command(help_epilogue="Example: simplexlab bound ce --counts 50,40,30,20,10 --radius 2 --frobenius 4\n")
@usage_errors
def ce(
    *,
    classes: Classes = None,
    counts: Counts = None,
    radius: Radius,
    frobenius: Annotated[float | None, Parameter(help="Frobenius norm of the weights: Theorem 1.")] = None,
    max_norm: Annotated[float | None, Parameter(help="Largest norm of a row of the weights: Corollary 1.")] = None,
    weight_decay: Annotated[
        float | None, Parameter(help="λ of the penalty λ‖W‖²_F, which is part of the loss: Corollary 2.")
    ] = None,
    features: Features = "free",
    dimension: Dimension = None,
    json: Json = False,
) -> None:
    """Bound cross-entropy from below: the theorems for classes of one size, a certified floor for any --counts.

    One of --frobenius, --max-norm and --weight-decay says what limits the weights.
    """
    from simplexlab import theory

    limits = {"frobenius": frobenius, "max_norm": max_norm, "weight_decay": weight_decay}
    given = [name for name, value in limits.items() if value is not None]
    if len(given) != 1:
        raise UsageError("bound ce takes one of --frobenius, --max-norm and --weight-decay")
    limit = given[0]
    sizes = _sizes(classes, counts)
    loss = "cross-entropy (mean over the points)" + (" plus λ‖W‖²" if limit == "weight_decay" else "")
    inputs = _inputs(classes, counts) | {"radius": radius, limit: limits[limit], "features": features}
    if limit == "frobenius":
        if sizes is None:
            _whole_classes(classes)
            sizes = None if classes > LARGEST_PROGRAM else [1] * classes
        if sizes is not None:
            floor = theory.ce_floor(sizes, radius, frobenius, dimension=_dimension(dimension), features=features)
            _answer_floor(floor, inputs, dimension, loss, "Theorem 1", json, closed=len(set(sizes)) == 1)
            return
    elif sizes is not None and len(set(sizes)) > 1:
        raise UsageError(f"--{limit.replace('_', '-')} bounds classes of one size; unequal --counts take --frobenius")
    classes = classes if sizes is None else len(sizes)
    function = {
        "frobenius": theory.ce_bound_frobenius,
        "max_norm": theory.ce_bound_max_norm,
        "weight_decay": theory.ce_bound_weight_decay,
    }[limit]
    record = _exact(function(classes, radius, limits[limit], features=features))
    if limit == "weight_decay":
        record["weight_norm"] = theory.optimal_weight_norm(radius, weight_decay, classes, features=features)
    record |= inputs | _tightness(classes, dimension, features)
    source = {"frobenius": "Theorem 1", "max_norm": "Corollary 1", "weight_decay": "Corollary 2"}[limit]
    _answer(record, _theorem(record, loss, source), json)


@bound.command(
    name="ce-fix",
    help_epilogue="Example: simplexlab bound ce-fix --classes 10 --dimension 512 --radius 3 --features nonnegative\n",
)
@usage_errors
def ce_fix(
    *,
    classes: Classes = None,
    counts: Counts = None,
    dimension: Annotated[WholeNumber, Parameter(help="Dimension h of the representations, at least K − 1.")],
    radius: Radius,
    head_radius: Annotated[float, Parameter(help="Norm r of each row of the fixed classifier.")] = 1.0,
    head_alignment: Annotated[
        Literal["rotated", "aligned"],
        Parameter(help="The fixed simplex turned at random, or aligned with the orthant that a ReLU leaves."),
    ] = "rotated",
    features: Features = "free",
    seed: Annotated[WholeNumber, Parameter(help="Seed of the rotation.")] = 0,
    json: Json = False,
) -> None:
    """Bound the cross-entropy of a classifier that is fixed at a regular simplex from below, with a certificate."""
    import numpy as np

    from simplexlab import geometry, theory

    sizes = _sizes(classes, counts)
    if sizes is None:
        sizes = [1] * min(_whole_classes(classes), LARGEST_PROGRAM + 1)
    if len(sizes) > LARGEST_PROGRAM or dimension > LARGEST_DIMENSION:
        raise UsageError(
            f"bound ce-fix takes at most {LARGEST_PROGRAM} classes and a dimension of at most {LARGEST_DIMENSION}"
        )
    if not 0 <= seed < 2**32:
        raise UsageError(f"--seed {seed} must be from 0 to 2**32 − 1")
    if not head_radius > 0:
        raise UsageError(f"--head-radius {head_radius:g} must be greater than 0")
    rows = geometry.head_simplex(len(sizes), dimension, head_radius, alignment=head_alignment, seed=seed)
    if min(sizes) < 1:
        raise UsageError(f"--counts {counts}: each class needs a point")
    frequencies = np.array(sizes) / np.sum(sizes)
    floor = theory.fixed_head_floor(rows, radius, class_probabilities=frequencies, features=features)
    inputs = _inputs(classes, counts) | {
        "dimension": dimension,
        "radius": radius,
        "head_radius": head_radius,
        "head_alignment": head_alignment,
        "features": features,
    }
    if head_alignment == "rotated":
        inputs["seed"] = seed
    loss = "cross-entropy (mean over the points) with this fixed classifier"
    _answer_floor(floor, inputs, None, loss, "duality", json, closed=False)


@bound.command(
    help_epilogue="Example: simplexlab bound sc --classes 10 --samples-per-class 5000 --batch-size 256 "
    "--temperature 0.1\n"
)
@usage_errors
def sc(
    *,
    classes: Classes = None,
    counts: Counts = None,
    composition: Annotated[
        str | None, Parameter(help="Label counts of one batch, such as 4,4,1, instead of --classes and --batch-size.")
    ] = None,
    batch_size: Annotated[WholeNumber | None, Parameter(help="Batch size b, at least 3.")] = None,
    samples_per_class: Annotated[
        WholeNumber | None, Parameter(help="Points n of each class; iid sampling does without it.")
    ] = None,
    temperature: Annotated[float | None, Parameter(help="Temperature τ, the same as --radius 1/√τ.")] = None,
    radius: Annotated[float | None, Parameter(help="Norm ρ of the representations.")] = None,
    sampling: Annotated[
        Literal["multiset", "iid", "without-replacement"] | None,
        Parameter(
            help="Law of the batches: every multiset alike (the paper), with or without replacement. By default "
            "multiset with --classes and iid with --counts."
        ),
    ] = None,
    features: Features = "free",
    reduction: Annotated[
        Literal["sum", "mean"], Parameter(help="Sum (the paper) or mean over the anchors of a batch.")
    ] = "sum",
    loss_value: Annotated[
        float | None,
        Parameter(help="A loss that was reached: how far it is on the way from one point for all to the floor."),
    ] = None,
    dimension: Dimension = None,
    json: Json = False,
) -> None:
    """Bound the supervised contrastive loss of a batch from below: its mean over batches, or one --composition.

    One of --temperature and --radius gives the sphere of the representations.
    """
    from simplexlab import theory

    sphere = {"temperature": temperature, "radius": radius}
    if (temperature is None) == (radius is None):
        raise UsageError("bound sc takes one of --temperature and --radius")
    shape = {"features": features, "dimension": _dimension(dimension)}
    inputs: dict[str, Any] = {}
    theorem = "Theorem 2"
    if composition is not None:
        others = {
            "--classes": classes,
            "--counts": counts,
            "--batch-size": batch_size,
            "--samples-per-class": samples_per_class,
            "--sampling": sampling,
        }
        for name, value in others.items():
            if value is not None:
                raise UsageError(f"--composition is one batch; {name} does not go with it")
        label_counts = _numbers("--composition", composition)
        floor = theory.sc_floor_of_composition(label_counts, **sphere, **shape)
        inputs = {"composition": label_counts}
        batch_size, loss, theorem = sum(label_counts), "loss of this batch", "convexity in the Gram matrix"
    else:
        if batch_size is None:
            raise UsageError("bound sc takes --batch-size, or one batch by --composition")
        sizes = _sizes(classes, counts)
        if sizes is None:
            sampling = sampling or "multiset"
            if sampling != "iid" and samples_per_class is None:
                raise UsageError(
                    f"--sampling {sampling} takes the points of each class, --samples-per-class; --sampling iid does "
                    "without them"
                )
        elif samples_per_class is not None:
            raise UsageError(COUNTS_ALONE)
        elif sampling in (None, "iid"):
            sampling = "iid"
        elif len(set(sizes)) > 1:
            raise UsageError(f"unequal --counts take --sampling iid; {sampling} is for classes of one size")
        inputs = _inputs(classes, counts) | {"samples_per_class": samples_per_class, "batch_size": batch_size}
        loss = "mean loss of a batch"
        if sizes is not None and sampling == "iid":
            import numpy as np

            from simplexlab.theory.floor import shares

            floor = theory.sc_floor(shares(np.array(sizes)), batch_size, **sphere, **shape)
        else:
            floor = _theorem_2(
                len(sizes) if sizes else _whole_classes(classes),
                batch_size,
                samples_per_class=sizes[0] if sizes else samples_per_class,
                sampling=sampling,
                sphere=sphere,
                shape=shape,
            )
        inputs["sampling"] = sampling
    tight = None
    closed = features == "nonnegative"
    if composition is None and (sizes is None or len(set(sizes)) == 1):
        closed, tight = True, _tightness(len(sizes or []) or classes, dimension, features).get("tight")
    anchors = batch_size if reduction == "mean" else 1
    inputs |= sphere | {"features": features, "reduction": reduction}
    inputs = {name: value for name, value in inputs.items() if value is not None}
    loss += f" ({reduction} over its anchors)"
    told = {"tight": tight, "closed": closed, "anchors": anchors, "loss_value": loss_value}
    _answer_floor(floor, inputs, dimension, loss, theorem, json, **told)


@bound.command(help_epilogue="Example: simplexlab bound ufm --classes 10 --samples-per-class 100 "
    "--weight-decay 1e-3 --feature-decay 1e-4\n")  # fmt: skip
@usage_errors
def ufm(
    *,
    classes: Classes = None,
    samples_per_class: Annotated[WholeNumber | None, Parameter(help="Points n of each class, with --classes.")] = None,
    counts: Counts = None,
    weight_decay: Annotated[float, Parameter(help="λ_W of the penalty λ_W/2·‖W‖²_F.")],
    feature_decay: Annotated[float, Parameter(help="λ_H of the penalty λ_H/2·Σ‖z‖² over all points.")],
    loss: Annotated[
        Literal["ce", "mse"], Parameter(help="Cross-entropy, or half of the squared distance from one-hot targets.")
    ] = "ce",
    smoothing: Annotated[float, Parameter(help="Label smoothing ε of the cross-entropy.")] = 0.0,
    dimension: Dimension = None,
    json: Json = False,
) -> None:
    """Bound the loss of the unconstrained-features model from below: penalties on the classifier and on all points."""
    from simplexlab import theory

    sizes = _sizes(classes, counts)
    if sizes is None:
        if samples_per_class is None:
            raise UsageError("bound ufm takes --samples-per-class with --classes, or --counts")
        if samples_per_class < 1:
            raise UsageError(f"--samples-per-class {samples_per_class} must be at least 1")
        sizes = [samples_per_class] * min(_whole_classes(classes), 10**4 + 1)
    elif samples_per_class is not None:
        raise UsageError(COUNTS_ALONE)
    inputs = _inputs(classes, counts) | {"samples_per_class": samples_per_class}
    inputs |= {"weight_decay": weight_decay, "feature_decay": feature_decay, "loss": loss}
    if loss == "mse":
        if smoothing:
            raise UsageError("--smoothing is of the cross-entropy; it does not go with --loss mse")
        floor = theory.ufm_mse_floor(sizes, weight_decay, feature_decay, dimension=_dimension(dimension))
    else:
        inputs["smoothing"] = smoothing
        floor = theory.ufm_ce_floor(
            sizes, weight_decay, feature_decay, smoothing=smoothing, dimension=_dimension(dimension)
        )
    inputs = {name: value for name, value in inputs.items() if value is not None}
    closed = loss == "mse" or len(set(sizes)) == 1
    told = {"ce": "mean cross-entropy", "mse": "mean squared error"}[loss] + " with its penalties"
    _answer_floor(floor, inputs, dimension, told, "the penalised model", json, closed=closed)


def _theorem_2(
    classes: int,
    batch_size: int,
    *,
    samples_per_class: int | None,
    sampling: str,
    sphere: dict[str, Any],
    shape: dict[str, Any],
) -> "Floor":
    """The bound of Theorem 2 as a floor; in too few dimensions only iid batches have a best known value."""
    from simplexlab import theory

    options = {"samples_per_class": samples_per_class, "sampling": sampling}
    value = theory.sc_bound(classes, batch_size, **sphere, **options, features=shape["features"])
    collapsed = theory.sc_bound(classes, batch_size, radius=VANISHING, **options)
    if sampling == "iid" and classes <= LARGEST_PROGRAM:
        floor = theory.sc_floor([1 / classes] * classes, batch_size, **sphere, **shape)
        return theory.Floor(value, value, collapsed, best_known=floor.best_known, origin=floor.origin)
    origin = "regular simplex" if shape["features"] == "free" else "orthogonal frame"
    return theory.Floor(value, value, collapsed, origin=origin)


def _numbers(option: str, words: str) -> list[int]:
    try:
        return [int(word) for word in words.split(",")]
    except ValueError:
        raise UsageError(
            f"{option} {words}: it takes whole numbers with commas between them, such as 50,40,30"
        ) from None


def _sizes(classes: int | None, counts: str | None) -> list[int] | None:
    """Points of each class from --counts, None with --classes."""
    if (classes is None) == (counts is None):
        raise UsageError("give --classes for classes of one size, or --counts with the points of each class")
    return None if counts is None else _numbers("--counts", counts)


def _whole_classes(classes: int) -> int:
    from simplexlab.geometry.checks import whole

    return whole("number of classes", classes, 2)


def _inputs(classes: int | None, counts: str | None) -> dict[str, Any]:
    return {"classes": classes} if counts is None else {"counts": _numbers("--counts", counts)}


def _dimension(dimension: int | None) -> int | None:
    if dimension is not None and dimension < 1:
        raise UsageError(f"--dimension {dimension} must be at least 1")
    return dimension


def _tightness(classes: int, dimension: int | None, features: str) -> dict[str, Any]:
    if _dimension(dimension) is None:
        return {}
    return {"dimension": dimension, "tight": classes <= (dimension + 1 if features == "free" else dimension)}


def _exact(value: float) -> dict[str, float]:
    return {"bound": value, "certificate": value, "gap": 0.0}


def _answer_floor(
    floor: "Floor",
    inputs: dict[str, Any],
    dimension: int | None,
    loss: str,
    source: str,
    json: bool,
    *,
    closed: bool = True,
    tight: bool | None = None,
    anchors: int = 1,
    loss_value: float | None = None,
) -> None:
    """Print a floor, divided by the number of anchors where the loss is a mean over them.

    Args:
        floor: what was found.
        inputs: what was asked for, by its names in the record.
        dimension: h, if it was given.
        loss: what is bounded, in words.
        source: the theorem or argument.
        json: whether to print JSON.
        closed: whether the floor has a closed form.
        tight: whether h dimensions attain the bound, where the floor does not know it.
        anchors: divisor of the loss.
        loss_value: a loss to place between the collapse of everything and the floor.
    """
    record: dict[str, Any] = {
        "bound": floor.value / anchors,
        "certificate": floor.certificate / anchors,
        "gap": floor.gap / anchors,
    }
    record |= inputs
    if dimension is not None:
        record |= {"dimension": dimension, "tight": floor.best_known is None if tight is None else tight}
    if floor.best_known is not None:
        record |= {"best_known": floor.best_known / anchors, "best_known_from": floor.origin}
    if not floor.converged:
        record["converged"] = False
    sentences = []
    if closed:
        sentences.append(_theorem(record, loss, source))
    else:
        sentences.append(f"No configuration has a smaller {loss} than the certificate, which is computed apart.")
        if floor.best_known is None:
            sentences.append("The bound is the least value found; the program's configuration takes it.")
    if floor.best_known is not None:
        sentences.append(
            f"In {dimension} dimensions the least value known is {record['best_known']:.9g} ({floor.origin}); no "
            "configuration is known to reach the bound."
        )
    if not floor.converged:
        sentences.append("The minimiser stopped before the two met; both hold all the same.")
    if loss_value is not None:
        if not math.isfinite(loss_value):
            raise UsageError(f"--loss-value {loss_value} must be a finite number")
        share = floor.collapsed - loss_value * anchors
        way = floor.collapsed - floor.value
        record |= {
            "loss_value": loss_value,
            "collapsed": floor.collapsed / anchors,
            "share_of_the_way": share / way if way > 0 else None,
        }
        if way > 0:
            sentences.append(_place(loss_value, floor.collapsed / anchors, share / way))
    _answer(record, " ".join(sentences), json)


def _place(loss_value: float, collapsed: float, share: float) -> str:
    """Where a loss stands between the collapse of everything and the floor."""
    told = f"A loss of {loss_value:g} is"
    if share < 0:
        other = "or of another batch, temperature or reduction."
        return f"{told} above {collapsed:.6g}, where all points are one: worse than no representation, {other}"
    if share > 1 + 1e-9:
        return f"{told} below the bound: it is of another batch, temperature or reduction, or of a single batch."
    return f"{told} {share:.1%} of the way from {collapsed:.6g}, where all points are one, down to the bound."


def _theorem(record: dict[str, Any], loss: str, source: str) -> str:
    """What a bound in closed form means."""
    if record.get("loss") == "mse":
        return f"No configuration has a smaller {loss}: {source}. It is attained."
    free = record.get("features", "free") == "free"
    configuration, needed = ("regular simplex", "K ≤ h + 1") if free else ("orthogonal frame", "K ≤ h")
    if "tight" not in record:
        reached = f"The {configuration} reaches it where it exists, {needed}."
    elif record["tight"]:
        reached = f"The {configuration} reaches it."
    else:
        reached = f"No configuration reaches it: {configuration}s need {needed}."
    source = source if free else f"{source}, for non-negative representations"
    labels = "With balanced labels no" if "classes" in record else "No"
    sentence = f"{labels} configuration has a smaller {loss}: {source}. {reached}"
    if "weight_norm" in record:
        sentence += " Every row of the optimal weights has the weight norm."
    return sentence


def _answer(record: dict[str, Any], sentence: str, json: bool) -> None:
    if json:
        print_json(record)
        return

    from rich.table import Table

    from simplexlab.cli.tables import console

    table = Table(box=None, show_header=False, pad_edge=False)
    for name, value in record.items():
        if isinstance(value, bool):
            value = "yes" if value else "no"
        elif isinstance(value, list):
            value = ",".join(map(str, value))
        table.add_row(name.replace("_", " "), f"{value:.12g}" if isinstance(value, float) else str(value))
    out = console()
    out.print(table)
    out.print()
    out.print(sentence)
