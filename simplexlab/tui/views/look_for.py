"""What to look for in a panel: three sentences, with the numbers of the run that is shown."""

from typing import Any

from simplexlab.geometry import ORTHOGONAL_SIMILARITY, simplex_similarity
from simplexlab.geometry.catalogue import Statistic
from simplexlab.tui.views.charts import number
from simplexlab.tui.views.explain import inexactness, unpinned, zero_excess
from simplexlab.tui.views.records import (
    distance_from_drawn,
    how_far,
    is_pinned,
    is_relu,
    key_of,
    optimum_name,
    projection_of,
    value,
)

Record = dict[str, Any]
CLASSIFIERS = {
    "head": "by the head that was trained",
    "class_means": "by the nearest class mean",
    "probe": "by a linear map fitted afterwards",
}
LOG = (
    "These are the last lines that the process of the run wrote. Where a run failed, the reason is at their end. "
    "L shows the numbers again."
)


def look_for(panel: str, record: Record | None, fitted_at: int | None, unit: str, rows: list[Statistic] = ()) -> str:
    """Three sentences on a panel.

    Args:
        panel: loss, excess, configuration, errors, memorisation, similarities, gram, confusion, facts, log, or a group
            of statistics.
        record: the metrics line that is shown.
        fitted_at: time to fit, None as long as it is not known.
        unit: what one value of the loss is.
        rows: the statistics of the group.
    """
    if panel == "log":
        return LOG
    if record is None or value(record, "loss") is None:
        return (
            "Nothing was evaluated yet. As soon as it is, this tells what to look for. Wait for the first evaluation."
        )
    if value(record, "train_error") is None:
        return "Training diverged. Nothing was measured there. Go back to an evaluation before it."
    make = {
        "loss": _loss,
        "excess": _excess,
        "configuration": _configuration,
        "errors": _errors,
        "memorisation": _memorisation,
        "similarities": _similarities,
        "gram": _gram,
        "confusion": _confusion,
        "facts": _facts,
    }.get(panel)
    return make(record, fitted_at, unit) if make else _statistics(record, rows)


def _loss(record: Record, fitted_at: int | None, unit: str) -> str:
    loss, bound = value(record, "loss"), value(record, "bound")
    first = f"The solid line is the loss ({unit}), now {number(loss, 5)}."
    if bound is None:
        return f"{first} No bound is known for it, so there is no dashed line. Look whether it still falls."
    exact = record.get("bound_is_exact", True)
    last = "The loss can come as close as one likes, never below." if exact else f"Note: {inexactness(record)}."
    dashed = f"The dashed line, {number(bound, 5)}, is proven to be the least it can be with the norms it has."
    return f"{first} {dashed} {last}"


def _excess(record: Record, fitted_at: int | None, unit: str) -> str:
    now, cost = value(record, "excess"), value(record, "gap_architecture")
    if now is None:
        return "Excess is loss less bound. No bound is known for this loss. So there is nothing to see here."
    first = f"This is what is left above the bound, in powers of ten: {number(now)}."
    second = "A straight line downwards is a fixed factor an iteration."
    if not cost:
        where = zero_excess(record, optimum_name(record))
        return f"{first} {second} {where[0].upper()}{where[1:]}."
    return f"{first} {second} What the ReLU costs, {number(cost)}, is in the bound already: no training goes below it."


def _configuration(record: Record, fitted_at: int | None, unit: str) -> str:
    far, classes = how_far(record), int(value(record, "num_classes") or 0)
    name = optimum_name(record)
    first = (
        "Digits are class means, dots are images, brackets the vertices of the ideal simplex, turned to lie closest."
    )
    if far is None and not is_pinned(record) and (drawn := distance_from_drawn(record)) is not None:
        why = unpinned(record)
        return (
            f"{first} {why[0].upper()}{why[1:]}; the {name} in the picture, from which they are {drawn:.0%} away, is "
            "only a guide, so there is no bar. The excess says how far the loss still has to go."
        )
    if far is None:
        return f"{first} {classes} classes have no simplex in so few dimensions. Look how they share the room."
    best = ORTHOGONAL_SIMILARITY if is_relu(record) else simplex_similarity(classes)
    return (
        f"{first} The bar says how far the class means are from the {name}: the largest |γ − {number(best)}| over all "
        f"pairs, as a share of {number(1 - best)}, now {far:.0%}. 0 % is the {name}, at 100 % two class means point "
        "the same way or are as wrong; the mean of γ would say nothing, for centring alone sets it."
    )


def _errors(record: Record, fitted_at: int | None, unit: str) -> str:
    train, test = value(record, "train_error"), value(record, "test_error")
    first = "Train error counts the labels that were given, flipped ones included; test error counts true ones."
    is_fitted = fitted_at is not None and fitted_at <= (value(record, "iteration") or 0)
    fit = f"They are fitted since iteration {fitted_at}." if is_fitted else f"Now {train:.1%} are not fitted."
    if test is None or train is None:
        return f"{first} {fit} There are no test images here."
    if value(record, "flipped_as_given") is None:
        return f"{first} {fit} No label was flipped: what lies between the two is how much worse new images are known."
    last = (
        "A test error that rises while the train error falls is memorisation."
        if test > train
        else "As long as the test error is below the train error, flipped labels are seen through."
    )
    return f"{first} {fit} {last}"


def _memorisation(record: Record, fitted_at: int | None, unit: str) -> str:
    given, true = (value(record, f"flipped_as_{key}") for key in ("given", "true"))
    if given is None or true is None:
        return "No label was flipped here. So none can be memorised. A run with --corrupt 0.4 shows how that goes."
    return (
        "These are the images whose label was flipped: as what are they classified? "
        f"As given: {given:.1%}, which is memorised; as their true class: {true:.1%}, which is seen through. "
        "Look where the two cross: there memorising begins to win."
    )


def _similarities(record: Record, fitted_at: int | None, unit: str) -> str:
    classes = int(value(record, "num_classes") or 2)
    least, most = (value(record, f"class_mean_similarity.{end}") for end in ("minimum", "maximum"))
    within = value(record, "within_class_similarity.mean")
    return (
        f"γ is 1 for the same direction, 0.5 at a right angle, 0 for opposite ones; at the simplex every pair of class "
        f"means has {simplex_similarity(classes):.3f}. Now they run from {number(least)} to {number(most)}: look how "
        f"narrow that is, not where its middle lies. Within classes γ goes to 1 as they collapse, now {number(within)}."
    )


def _gram(record: Record, fitted_at: int | None, unit: str) -> str:
    classes = int(value(record, "num_classes") or 2)
    return (
        f"A cell is the cosine of two class means; at the simplex all off the diagonal are {-1 / (classes - 1):.3f}. "
        "Cells that stand out are classes that are too close or too far. "
        + (
            "Centring takes the common part away, and with it what a ReLU does: compare the two."
            if projection_of(record) is None
            else "Compare the two: the loss pins the head's output, the encoder's is what is kept."
        )
    )


def _confusion(record: Record, fitted_at: int | None, unit: str) -> str:
    return (
        "A row is the class of a point by its given label, a column the class mean it is nearest to. "
        "The diagonal is 1 where every point is nearest to its own. "
        "With flipped labels a row is spread evenly as long as they are not memorised."
    )


def _facts(record: Record, fitted_at: int | None, unit: str) -> str:
    judged = [name for name in CLASSIFIERS if value(record, f"train_error_{name}") is not None]
    errors = ", ".join(f"{value(record, f'train_error_{name}'):.2%} {CLASSIFIERS[name]}" for name in judged)
    several = f"The same representations are judged by several classifiers, which miss: {errors}."
    one = f"The classifier that judges misses {value(record, 'train_error'):.2%} of the given labels."
    return (
        f"These are the numbers of iteration {value(record, 'iteration'):.0f}, which the slider chooses. "
        f"{several if len(judged) > 1 else one} Further down is the command that repeats the run; y copies it."
    )


def _statistics(record: Record, rows: list[Statistic]) -> str:
    sentences = []
    for row in rows:
        now, best = value(record, key_of([record], row.key)), value(record, f"optimum.{row.key}")
        if now is not None:
            at = "" if best is None else f", {number(best)} at the optimum"
            sentences.append(f"{row.short}, now {number(now)}{at}: {row.meaning}")
    return " ".join(sentences[:3]) or "Nothing of this was measured here."
