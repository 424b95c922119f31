"""The form of the toy: texts in, checked toys out."""

import dataclasses
import itertools
import shlex
from functools import cache
from pathlib import Path
from typing import Any

from simplexlab import objectives
from simplexlab.config import flag
from simplexlab.errors import UsageError
from simplexlab.toy.ideal import IdealToy
from simplexlab.toy.settings import MISPLACED, PAPER_TOYS, Toy
from simplexlab.tui.views import form

HELP = {
    "loss": "Of free points; several make one toy each.",
    "classes": "Number of classes K.",
    "dimension": "2: the plane; 3: space, which can be turned.",
    "points_per_class": "Free points of each class.",
    "counts": "Points of each class where they differ, 60,30,10, instead of the two above.",
    **{name: "" for name in objectives.options()},  # told by their owners
    "weight_decay": "λ of the penalty λ‖W‖²_F of ce.",
    "head_norm": "Largest ‖W‖_F of the classifier.",
    "batch_size": "Points a step; empty takes all points at every step.",
    "learning_rate": "Of gradient descent.",
    "steps": "Of gradient descent for ce and sc; of the others the most iterations of L-BFGS.",
    "seed": "Of the first configuration and of the batches.",
}
FIELDS = tuple(HELP)
DEFAULT_LOSSES = PAPER_TOYS
MOST_TOYS = 50
_KNOWN = {field.name: field for field in (*dataclasses.fields(IdealToy), *dataclasses.fields(Toy))}


def words_of(name: str) -> tuple[str, ...]:
    """The words that a field takes, () where it takes numbers."""
    fixed = {"loss": objectives.names(), "classes": ("2", "3", "4", "5"), "dimension": ("2", "3")}
    return fixed.get(name) or (form.options_of(name) if name in objectives.options() else ())


def losses_of(text: str) -> tuple[str, ...]:
    """The losses that a text names, those that the form begins with where it is empty.

    Raises:
        UsageError: it names one that is not in the table.
    """
    found = tuple(form.parse_word(_KNOWN["loss"], word.strip()) for word in text.split(",") if word.strip())
    return found or DEFAULT_LOSSES


@cache
def defaults(loss: str) -> dict[str, Any]:
    """The fields that the toy of a loss takes, with their defaults."""
    if loss in PAPER_TOYS:
        values = vars(Toy(loss=loss).resolve())
        return {name: values[name] for name in FIELDS if name in values and name not in MISPLACED[loss]}
    toy = IdealToy(loss=loss).resolve()
    own = {option.name: toy.options[option.name] for option in toy.objective.options if not option.of_projection}
    values = vars(toy) | own
    without = () if toy.objective.head == "learned" else ("head_norm",)
    return {name: values[name] for name in FIELDS if name in values and name not in without}


def default_texts(made: list[Toy | IdealToy]) -> dict[str, str]:
    """What the fields are for some toys, as text; that of each loss where they differ.

    It is what a field that is empty stands for; some follow from others, such as a learning rate from the points.
    """
    found: dict[str, dict[str, dict[str, None]]] = {}
    for toy in made:
        resolved = toy.resolve()
        values = vars(resolved) | getattr(resolved, "options", {})
        for name in defaults(toy.loss):
            found.setdefault(name, {}).setdefault(toy.loss, {})[_text(values[name])] = None
    texts = {
        name: form.joined({loss: " or ".join(words) for loss, words in of_loss.items()}, words_of(name))
        for name, of_loss in found.items()
    }
    return texts | {"counts": "all classes alike"}


def _text(value: Any) -> str:
    if value is None:
        return "all points"
    return f"{value:.4g}" if isinstance(value, float) else form.as_text(value)


def help_of(name: str, losses: tuple[str, ...] = DEFAULT_LOSSES) -> str:
    """What a field means for some losses."""
    if HELP[name]:
        return HELP[name]
    owners = {owner.name: option.help for owner, option in objectives.options()[name] if owner.name in losses}
    return form.explained(owners)


def toys(texts: dict[str, str], run_dir: Path) -> list[Toy | IdealToy]:
    """Every combination of the values in the form, checked; each toy has those that its loss takes.

    Args:
        texts: text of each field; missing or empty ones keep their default.
        run_dir: folder that will hold the runs.

    Raises:
        UsageError: what is wrong, in one line.
    """
    losses = losses_of(texts.get("loss", ""))
    values: dict[str, list[Any]] = {}
    for name, text in texts.items():
        field = form.FIELDS[name] if name in objectives.options() else _KNOWN[name]
        if name == "counts" and text.strip():
            values[name] = [Toy.parse_counts(text)]
        elif name not in ("loss", "counts"):
            values[name] = [form.parse_word(field, word.strip()) for word in text.split(",") if word.strip()]
    values = {name: found for name, found in values.items() if found}
    for name in values:
        if not any(name in defaults(loss) for loss in losses):
            raise UsageError(f"{flag(name)} does not go with the toy of {' or '.join(losses)}")
    made: list[Toy | IdealToy] = []
    for loss, *chosen in itertools.product(losses, *values.values()):
        kept = {name: value for name, value in zip(values, chosen, strict=True) if name in defaults(loss)}
        toy = _toy(loss, kept, str(run_dir))
        toy.resolve()
        if toy not in made:
            made.append(toy)
        if len(made) > MOST_TOYS:
            raise UsageError(f"these are more than {MOST_TOYS} toys, the most that a form starts")
    return made


def _toy(loss: str, given: dict[str, Any], run_dir: str) -> Toy | IdealToy:
    if loss in PAPER_TOYS:
        return Toy(loss=loss, run_dir=run_dir, **given)
    own = {option.name for option in objectives.get(loss).options}
    options = {name: value for name, value in given.items() if name in own}
    return IdealToy(
        loss=loss, run_dir=run_dir, options=options, **{name: value for name, value in given.items() if name not in own}
    )


def arguments(toy: Toy | IdealToy) -> list[str]:
    """Words after `simplexlab` that start a toy."""
    return shlex.split(toy.command_line())[1:]
