"""Every key of a run's records with its type and what it says: how they are built, and how they are checked.

`metrics_line` and `final_result` build a line of `metrics.jsonl` and `result.json`, for trained and toy runs alike;
`checked` holds what was read against the same statement, and `flaw` says why a run cannot stand beside others.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from simplexlab.geometry.catalogue import BUILT_IN, CATALOGUE

QUANTILES = ("q05", "q25", "q50", "q75", "q95")
SHOWN = ("mean", "q05", "q95")  # of a distribution, in tables and charts
MOST_CLASSES = 2**15  # readers make a simplex of so many vertices
LARGEST_WHOLE, LARGEST_NUMBER = 2**53, 1e300  # beyond them other programs read other numbers
PLAIN = {"whole": int, "number": float, "truth": bool}  # what values of these kinds mostly are


class Key(NamedTuple):
    """A key of a record: the kind of its value, what it says, its limits, and whether it may be null or missing."""

    kind: str
    meaning: str
    minimum: float = -1e300
    maximum: float = 1e300
    optional: bool = False


COUNT, SHARE = {"minimum": 0}, {"minimum": 0, "maximum": 1}

# What an evaluation says; the statistics, which a guest may add to, are numbers, distributions or null.
MEASURED = {
    "learning_rate": Key("number", "learning rate of the step that comes next", optional=True),
    "batch_loss": Key("number", "mean loss of the steps since the evaluation before", optional=True),
    "time_to_fit": Key("whole", "first evaluation at which the given labels were fitted", **COUNT, optional=True),
    "fit_lower": Key("whole", "last evaluation at which they were not fitted yet", **COUNT, optional=True),
    "time_to_fit_lr": Key(
        "number", "steps until then, each counted by its learning rate over the first one's", **COUNT, optional=True
    ),
    "fit_lower_lr": Key("number", "the same for fit_lower", **COUNT, optional=True),
    "num_points": Key("whole", "number of training points", minimum=1, optional=True),
    "num_classes": Key("whole", "number of classes", minimum=1, maximum=MOST_CLASSES),
    "dimension": Key("whole", "dimension of the representation", minimum=1),
    "nonnegative": Key("truth", "whether no coordinate of a representation is negative, as after a ReLU"),
    "imbalance": Key("number", "largest over smallest class count, minus 1", **COUNT, optional=True),
    "train_error": Key("number", "share of the given labels that the judging classifier misses", **SHARE),
    "test_error": Key("number", "share of the test labels that it misses", **SHARE, optional=True),
    "flipped_as_given": Key("number", "share of wrong labels that are predicted, memorised", **SHARE, optional=True),
    "flipped_as_true": Key("number", "share of them whose true label is predicted", **SHARE, optional=True),
    "flipped_as_other": Key("number", "share of them where neither is predicted", **SHARE, optional=True),
    "clean_fitted": Key("number", "share of the right labels that are predicted", **SHARE, optional=True),
    "bound": Key("number", "floor of the loss for the labels, norms, head and ReLU of the run", optional=True),
    "excess": Key("number", "loss less its floor", optional=True),
    "excess_standard_error": Key("number", "standard error of the excess, where it is estimated", optional=True),
    "bound_is_exact": Key("truth", "whether the assumptions of the floor's theorem hold", optional=True),
    "bound_certificate": Key("number", "rigorous lower bound of the floor", optional=True),
    "bound_best_known": Key("number", "best known value where h is too small to attain the floor", optional=True),
    "bound_attained": Key("truth", "false where no configuration is known to take the bound", optional=True),
    "optimum_is_unique": Key("truth", "false where class means at other angles take the bound, too", optional=True),
    "free_bound": Key("number", "floor without the ReLU that the encoder ends in", optional=True),
    "gap_architecture": Key("number", "what the ReLU costs: bound less free_bound", optional=True),
    "gap_optimisation": Key("number", "what training leaves: loss less bound", optional=True),
    "probe_converged": Key("truth", "whether the linear probe reached its tolerance", optional=True),
    **{
        row.key: Key("spread" if row.spread else "number", row.meaning, optional=True)
        for row in CATALOGUE.values()
        if row.key in BUILT_IN
    },
    "norms": Key("numbers", "norms of the representations", optional=True),
    "simplex_deviation": Key("numbers", "how far the class means are from a simplex", optional=True),
    "conditions": Key("numbers", "how far the equality conditions of the theorem are from holding", optional=True),
    "optimum": Key("numbers", "value of each statistic at the optimum", optional=True),
    "optimum_name": Key("text", "what that configuration is", optional=True),
}
# Of the output of a projection head, which the loss sees; the keys outside are of the encoder, which is kept.
OF_POINTS = ("num_points", "num_classes", "dimension", "nonnegative", "imbalance", "norms", "simplex_deviation")
PROJECTION = {name: MEASURED[name] for name in (*OF_POINTS, *sorted(BUILT_IN), "optimum", "optimum_name")}
MEASURED["projection"] = Key("record", "statistics of the projection head's output, which the loss sees", optional=True)
METRICS = {
    "iteration": Key("whole", "iterations done when it was evaluated", **COUNT),
    "seconds": Key("number", "time that the run had taken", **COUNT),
    "loss": Key("number", "loss on all training data", optional=True),
    **MEASURED,
    "diverged": Key("truth", "that the loss or a representation is no longer finite", optional=True),
    "non_finite": Key("texts", "keys of this line whose number was not finite and is null", optional=True),
}
RESULT = {
    "run": Key("text", "name of the run"),
    "state": Key("text", "finished, stopped or diverged"),
    "loss": Key("text", "name of the objective"),
    "dataset": Key("text", "name of the dataset"),
    "corrupt": Key("number", "fraction of the training labels that were corrupted", **SHARE),
    "seed": Key("whole", "seed of the run"),
    "iterations": Key("whole", "iterations done", **COUNT),
    "fit_policy": Key("text", "classifier that judges the fit: head, class-means or probe"),
    "tolerance": Key("number", "train error that counts as fitted", **SHARE),
    "final_loss": Key("number", "loss on all training data at the last evaluation", optional=True),
    "evaluated_at": Key("whole", "iteration of the last evaluation", **COUNT, optional=True),
    **MEASURED,
    "seconds": Key("number", "time that the run took", **COUNT),
}
NEEDED_RESULT = frozenset(
    [name for name, key in RESULT.items() if not key.optional] + ["time_to_fit", "fit_lower", "final_loss"]
)
"""What the result of a run that has finished cannot do without."""
EXPERIMENT = {
    "loss": Key("text", "name of the objective, or the path of its file"),
    "corrupt": Key("number", "fraction of the training labels that are corrupted", **SHARE),
    "dataset": Key("text", "name or path of the dataset"),
    "seed": Key("whole", "seed of labels, weights, batches and augmentation", **COUNT),
    "iterations": Key("whole", "training steps", minimum=1),
    "encoder": Key("text", "encoder"),
    "width": Key("whole", "channels of the encoder's first stage", minimum=1),
    "dimension": Key("whole", "dimension of the representation", minimum=1, optional=True),
    "batch_size": Key("whole", "images a step", minimum=1, optional=True),
    "views": Key("whole", "points that each image gives to a batch", minimum=1, optional=True),
    "learning_rate": Key("number", "learning rate at the first step", **COUNT, optional=True),
    "schedule": Key("text", "annealing of the learning rate"),
    "evaluate_every": Key("whole", "iterations between evaluations", minimum=1, optional=True),
    "tolerance": Key("number", "train error that counts as fitted", **SHARE),
    "weight_decay": Key("number", "L2 term on every trained parameter", **COUNT, optional=True),
    "temperature": Key("number", "temperature of sc", **COUNT, optional=True),
    "head_radius": Key("number", "radius of a fixed classifier", **COUNT, optional=True),
}
EXPERIMENT |= {
    **{
        name: Key("truth", "see `simplexlab train --help`", optional=True)
        for name in ("balanced", "balanced_batches", "augment", "until_fit", "jit")
    },
    **{
        name: Key("text", "see `simplexlab train --help`", optional=True)
        for name in ("corruption", "data_dir", "fit_policy", "precision", "devices", "run_dir", "name", "labels")
    },
    **{
        name: Key("whole", "see `simplexlab train --help`", optional=True)
        for name in ("checkpoint_every", "threads", "train_size", "image_size")
    },
    "momentum": Key("number", "momentum of SGD", **SHARE, optional=True),
}
OTHER_OPTION = Key("scalar", "an option of the objective, of a toy or of another version", optional=True)
DATASET = {
    "name": Key("text", "name of the dataset"),
    "num_classes": Key("whole", "number of classes", minimum=1, maximum=MOST_CLASSES),
    "train_size": Key("whole", "number of training points", **COUNT),
    "test_size": Key("whole", "number of test points", **COUNT),
    "class_names": Key("texts", "names of the classes"),
    "class_counts": Key("wholes", "training points of each class"),
    "image_shape": Key("wholes", "height, width and channels", optional=True),
    "checksum": Key("text", "CRC-32 of the images and labels", optional=True),
}
CONFIG = {
    "format": Key("whole", "format of the run folder"),
    "kind": Key("text", "train or toy"),
    "experiment": Key("record", "every option of the run by its name"),
    "objective": Key("object", "facts of the objective, for readers that do not have it", optional=True),
    "statistics": Key("any", "facts of statistics of one's own, for readers that do not have them", optional=True),
    "command": Key("text", "the command that repeats it"),
    "versions": Key("texts by name", "versions of the packages"),
    "host": Key("any", "the machine", optional=True),
    "dataset": Key("record", "facts of the data", optional=True),
    "created": Key("text", "when it was begun, ISO time"),
}
PARTS = {"experiment": EXPERIMENT, "dataset": DATASET, "projection": PROJECTION}  # records within records
FILES = {"config.json": CONFIG, "metrics.jsonl": METRICS, "result.json": RESULT}


def metrics_line(
    evaluation: Mapping[str, Any],
    *,
    iteration: int,
    seconds: float,
    learning_rate: float,
    time_to_fit: int | None,
    fit_lower: int | None,
    **more: Any,
) -> dict[str, Any]:
    """A line of `metrics.jsonl`: what one evaluation says, and when it was made.

    Args:
        evaluation: keys of `MEASURED` and further statistics, and `loss`.
        iteration, seconds, learning_rate, time_to_fit, fit_lower: see `METRICS`.
        more: further keys of `METRICS`.
    """
    return {
        "iteration": iteration,
        "seconds": seconds,
        "learning_rate": learning_rate,
        **more,
        "time_to_fit": time_to_fit,
        "fit_lower": fit_lower,
        **evaluation,
    }


def diverged_line(iteration: int, seconds: float) -> dict[str, Any]:
    """A line of `metrics.jsonl` that says that the loss or a representation is no longer finite."""
    return {"iteration": iteration, "seconds": seconds, "loss": math.nan, "diverged": True}


def final_result(
    last: Mapping[str, Any],
    *,
    run: str,
    state: str,
    loss: str,
    dataset: str,
    corrupt: float,
    seed: int,
    iterations: int,
    time_to_fit: int | None,
    fit_lower: int | None,
    fit_policy: str,
    tolerance: float,
    seconds: float,
) -> dict[str, Any]:
    """The content of `result.json`: what the run was, how it ended, and the numbers of its last evaluation.

    Args:
        last: the last line of `metrics.jsonl` that was measured, {} without one; its `loss` becomes `final_loss`, its
            `iteration` `evaluated_at`.
        run, state, loss, dataset, corrupt, seed, iterations, time_to_fit, fit_lower, fit_policy, tolerance, seconds:
            see `RESULT`.
    """
    measured = dict(last)
    facts = {
        "run": run,
        "state": state,
        "loss": loss,
        "dataset": dataset,
        "corrupt": corrupt,
        "seed": seed,
        "iterations": iterations,
        "time_to_fit": time_to_fit,
        "fit_lower": fit_lower,
        "fit_policy": fit_policy,
        "tolerance": tolerance,
        "final_loss": measured.pop("loss", None),
        "evaluated_at": measured.pop("iteration", None),
        "seconds": seconds,
    }
    return facts | {key: value for key, value in measured.items() if key not in facts}


def checked(record: Mapping[str, Any], keys: Mapping[str, Key], within: str = "") -> tuple[dict[str, Any], list[str]]:
    """What of a record is as it is stated, and what is wrong with the rest.

    Args:
        record: what was read.
        keys: the statement, one of `FILES`. Keys that it does not know are kept: a number, a distribution, or what a
            newer version adds.
        within: where the record stands in its file.

    Returns:
        The record without the values that are wrong, and a few words on each of those.
    """
    kept, wrong = {}, []
    other = OTHER_OPTION if keys is EXPERIMENT else None
    for name, value in record.items():
        key = keys.get(name, other)
        # What thousands of runs are full of is looked at without a call.
        if key is None or (value is None and key.optional) or (key.kind == "text" and type(value) is str):
            pass
        elif not (
            type(value) is PLAIN.get(key.kind)
            and key.minimum <= value <= key.maximum
            and (key.kind != "whole" or -LARGEST_WHOLE <= value <= LARGEST_WHOLE)
        ):
            problem = _problem(key, value)
            if problem:
                wrong.append(f"{within}{name} {problem}")
                continue
            if key.kind == "record":
                value, more = checked(value, PARTS[name], f"{name}.")
                wrong += more
        kept[name] = value
    return kept, wrong


def flaw(config: Mapping[str, Any], result: Mapping[str, Any] | None, state: str) -> str | None:
    """Why a run cannot stand beside others in a figure, a table or a report; None where it can.

    Args:
        config, result: what `checked` kept of the files.
        state: the run's; of a finished one the result must be whole.
    """
    experiment = config.get("experiment", {})
    needed = [name for name, key in EXPERIMENT.items() if not key.optional]
    if lacking := [name for name in needed if name not in experiment]:
        return f"config.json lacks {lacking[0]}"
    if state != "finished":
        return None
    if result is None:
        return "result.json is missing"
    if lacking := [name for name in RESULT if name in NEEDED_RESULT and name not in result]:
        return f"result.json lacks {lacking[0]}"
    fitted, lower = result["time_to_fit"], result["fit_lower"]
    if fitted is not None and lower is not None and not lower < fitted:
        return f"result.json has a time_to_fit of {fitted}, which is not after its fit_lower of {lower}"
    if fitted is None and lower is None:
        return "result.json has neither a time_to_fit nor a fit_lower"
    for name, key in RESULT.items():
        if key.kind == "spread" and (spread := result.get(name)) is not None:
            missing = [quantile for quantile in QUANTILES if not _is_number(spread.get(quantile))]
            if missing:
                return f"result.json lacks {name}.{missing[0]}"
    return None


def _problem(key: Key, value: Any) -> str | None:
    if not KINDS[key.kind](value):
        return f"is {_kind_of(value)}, not {NAMES[key.kind]}"
    if key.kind in ("whole", "number") and not key.minimum <= value <= key.maximum:
        limit = f"at least {key.minimum:g}" if value < key.minimum else f"at most {key.maximum:g}"
        return f"is {value:g}, which must be {limit}"
    return None


def _kind_of(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return {str: "text", list: "a list", dict: "an object"}.get(type(value)) or f"{value!r:.12}"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= LARGEST_NUMBER


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= LARGEST_WHOLE


def _are_numbers(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    for number in value.values():
        if type(number) is float and -LARGEST_NUMBER <= number <= LARGEST_NUMBER:
            continue
        if number is not None and not _is_number(number):
            return False
    return True


def _is_scalar(value: Any) -> bool:
    return value is None or isinstance(value, str | bool) or _is_number(value)


def _list_of(fits: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and all(map(fits, value))


def _named(fits: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, dict) and all(map(fits, value.values()))


KINDS: dict[str, Callable[[Any], bool]] = {
    "text": lambda value: isinstance(value, str),
    "whole": _is_whole,
    "number": _is_number,
    "truth": lambda value: isinstance(value, bool),
    "texts": _list_of(lambda value: isinstance(value, str)),
    "wholes": _list_of(_is_whole),
    "texts by name": _named(lambda value: isinstance(value, str)),
    "numbers": _are_numbers,
    "spread": lambda value: _are_numbers(value) and all(value.get(name) is not None for name in SHOWN),
    "scalar": _is_scalar,
    "record": lambda value: isinstance(value, dict),
    "object": lambda value: isinstance(value, dict),
    "any": lambda value: True,
}
NAMES = {
    "text": "text",
    "whole": "a whole number",
    "number": "a number",
    "truth": "true or false",
    "texts": "a list of texts",
    "wholes": "a list of whole numbers",
    "texts by name": "texts by their names",
    "numbers": "numbers by their names",
    "spread": "the mean and quantiles of a distribution",
    "scalar": "a single value",
    "record": "an object",
    "object": "an object",
}
