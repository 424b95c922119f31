"""One line a panel: what its numbers mean now."""

import math
from typing import Any

from simplexlab.geometry import ORTHOGONAL_SIMILARITY, distance_from_optimum, simplex_similarity
from simplexlab.geometry.catalogue import Statistic
from simplexlab.tui.views.charts import number
from simplexlab.tui.views.records import (
    bar,
    distance_from_drawn,
    how_far,
    is_pinned,
    is_relu,
    optimum_name,
    projection_of,
    value,
)

Record = dict[str, Any]
COLLAPSED = 0.995
AT_OPTIMUM = 0.005  # largest deviation of γ, as a share of that of classes that coincide
ROUNDING = 1e-9  # of a loss: optimisers of free points stop within it of their bound
WAITING = "nothing was evaluated yet"
LOST = "the numbers of this iteration are not in metrics.jsonl"
FAR = "largest deviation of γ between class means from its optimum; 0: at it, 1: two class means coincide"
NOT_PINNED = "no single optimum is known for these runs"
NO_BOUND = "no bound is known for this loss"


def loss(record: Record | None) -> str:
    """Loss against its bound."""
    if record is None:
        return WAITING
    now, bound = value(record, "loss"), value(record, "bound")
    if now is None:
        return WAITING
    if math.isnan(now) or record.get("diverged"):
        return "the loss is not finite: training diverged; try a smaller learning rate"
    if bound is None:
        return f"loss {number(now, 5)}; {NO_BOUND}"
    if is_at_bound(now, bound):
        text = f"loss {number(now, 5)}, at its bound"
    else:
        text = f"loss {number(now, 5)}, {number(now - bound)} above its bound {number(bound, 5)}"
    return text if record.get("bound_is_exact", True) else f"{text} ({inexactness(record)})"


def is_at_bound(loss: float, bound: float) -> bool:
    """Whether a loss is its bound but for rounding, which leaves either of them the smaller one."""
    return abs(loss - bound) <= ROUNDING * max(abs(loss), abs(bound))


def inexactness(record: Record) -> str:
    """Why the bound is not attained, or by how much it may be off."""
    best, certificate = value(record, "bound_best_known"), value(record, "bound_certificate")
    if best is not None:
        return f"not attained in so few dimensions, the best known there is {number(best, 5)}"
    if record.get("bound_attained") is False:
        return "proven, but no configuration of this dimension is known to take it"
    if certificate is not None and certificate < (value(record, "bound") or 0.0):
        return f"proven from {number(certificate, 5)} on"
    return "approximate: representations of unequal norm"


def excess(record: Record | None) -> str:
    """Excess over the bound, which training leaves, and what part of the bound is the ReLU's."""
    now = value(record, "excess")
    if now is None:
        return WAITING if value(record, "loss") is None else NO_BOUND
    if math.isnan(now):
        return "the excess is not finite: training diverged"
    error = value(record, "excess_standard_error")
    spread = "" if error is None else f" ± {number(error, 2)}"
    cost = value(record, "gap_architecture")
    seen = projection_of(record)
    where = optimum_name(record) if seen is None else f"{optimum_name(seen)} of the head's output"
    text = f"excess {number(now)}{spread} is left to train: {zero_excess(record, where)}"
    if cost is None:
        return text
    return (
        f"{text}; the ReLU costs {number(cost)}, which is in the bound" if cost else f"{text}; the ReLU costs nothing"
    )


def zero_excess(record: Record, where: str) -> str:
    """Where the excess is 0, and whether it can be."""
    if record.get("bound_attained") is False:
        return "no configuration is known where it is 0"
    if (best := value(record, "bound_best_known")) is not None:
        return f"{number(best - (value(record, 'bound') or 0.0))} at the best that is known in so few dimensions"
    if record.get("optimum_is_unique") is False:
        return f"0 at the {where}, and at others"
    return f"0 at the {where}"


def errors(record: Record | None, fitted_at: int | None) -> str:
    """Train error on the given labels, test error on true ones."""
    train, test = value(record, "train_error"), value(record, "test_error")
    if train is None:
        return WAITING
    tail = "" if test is None else f"; test error {test:.2%}"
    if fitted_at is not None and fitted_at <= (value(record, "iteration") or 0):
        return f"the given labels are fitted since iteration {fitted_at}{tail}"
    return f"{train:.2%} of the given labels are not fitted{tail}"


def similarities(record: Record | None) -> str:
    """Angular similarities against the simplex and the floor of a ReLU encoder."""
    least, most = (value(record, f"class_mean_similarity.{key}") for key in ("minimum", "maximum"))
    within = value(record, "within_class_similarity.mean")
    if within is None:
        return WAITING
    words = f"within classes γ is {number(within)} (1: collapsed)"
    if least is None or most is None:
        return words
    if (seen := projection_of(record)) is not None:
        return f"γ kept: {_ranges(record)}; γ that the loss sees: {_ranges(seen)}"
    return f"between class means γ runs from {number(least)} to {number(most)}; {words}"


def _ranges(record: Record) -> str:
    """Angular similarities in few words, for two outputs in one line."""
    keys = ("class_mean_similarity.minimum", "class_mean_similarity.maximum", "within_class_similarity.mean")
    least, most, within = (number(found) if (found := value(record, key)) is not None else "–" for key in keys)
    return f"{least} to {most} between class means, {within} within"


def gram(record: Record | None) -> str:
    """Class-mean cosines against those of the simplex."""
    classes, nc2 = value(record, "num_classes"), value(record, "nc2")
    if classes is None or nc2 is None:
        return WAITING
    relu = "; a ReLU keeps uncentred cosines ≥ 0" if is_relu(record) else ""
    return f"at the simplex every off-diagonal cosine is {-1 / (classes - 1):.3f}; NC2 {number(nc2)}{relu}"


def collapse(record: Record | None) -> str:
    """The four numbers of neural collapse in words."""
    nc1 = value(record, "nc1")
    if nc1 is None:
        return WAITING
    words = "classes have collapsed" if nc1 < 0.005 else "classes are tight" if nc1 < 0.5 else "classes are spread"
    nc4 = value(record, "nc4")
    agreement = "" if nc4 is None else f"; {nc4:.2%} of points: classifier ≠ nearest mean"
    return f"NC1 {number(nc1)}: {words}{agreement}"


def group(rows: list[Statistic], record: Record | None) -> str:
    """The numbers of a group of statistics, each beside its value at the optimum."""
    parts = []
    for row in rows:
        found = value(record, row.key) if value(record, row.key) is not None else value(record, f"{row.key}.mean")
        if found is not None:
            best = value(record, f"optimum.{row.key}")
            parts.append(f"{row.short} {number(found)}" + ("" if best is None else f" (optimum {number(best)})"))
    return "; ".join(parts) or WAITING


def memorisation(record: Record | None) -> str:
    """What the encoder says of the flipped labels."""
    given, true = value(record, "flipped_as_given"), value(record, "flipped_as_true")
    if given is None or true is None:
        return "no labels were flipped"
    return f"of the flipped labels {given:.1%} are learned as given, {true:.1%} are seen through to the true class"


def distance(record: Record | None) -> str:
    """How far the class means are from their optimum, as a bar and a share."""
    share = how_far(record)
    if share is None:
        return ""
    return f"{bar(share)} {share:.0%} from the {optimum_name(record)}" + (" (at it)" if share <= AT_OPTIMUM else "")


def unpinned(record: Record) -> str:
    """Why no bar says how far the class means are."""
    if record.get("optimum_is_unique") is False:
        return "many angles are optimal"
    return "the optimal angles are not known"


def configuration(record: Record | None) -> str:
    """How far the configuration is from the optimum, and why."""
    within, classes = value(record, "within_class_similarity.mean"), value(record, "num_classes")
    if within is None or classes is None:
        return WAITING
    spread = "classes have collapsed" if within >= COLLAPSED else f"classes are spread (γ within {number(within)})"
    if (value(record, "class_mean_similarity.mean") or 0.0) >= COLLAPSED:
        spread = "all points have one direction"
    far = how_far(record)
    if far is None and not is_pinned(record) and (drawn := distance_from_drawn(record)) is not None:
        return f"{spread}; {unpinned(record)}; the {optimum_name(record)} drawn is {drawn:.0%} away"
    if far is None:
        dimension = value(record, "dimension")
        if dimension is not None and classes > dimension:
            return f"{spread}; {classes:.0f} classes have no {optimum_name(record)} in {dimension:.0f} dimensions"
        return spread
    text = f"{spread}; {distance(record)}"
    if (seen := projection_of(record)) is not None:
        return f"kept: {text}; the loss sees: {distance(seen) or 'no optimum in so few dimensions'}"
    if is_relu(record):
        floor = distance_from_optimum([ORTHOGONAL_SIMILARITY], simplex_similarity(int(classes)))
        text += f", which a ReLU keeps {floor:.0%} from the simplex"
    return text


def run(record: Record | None, state: str, message: str | None, fitted_at: int | None) -> str:
    """A run in one line."""
    if state in ("failed", "missing", "unknown version"):
        return message or state
    if state == "diverged":
        return message or "the loss became non-finite"
    if record is None:
        return message or WAITING
    return f"{errors(record, fitted_at)}; {configuration(record)}"
