"""The form of the toy: texts in, checked toys out."""

import dataclasses
import itertools
import shlex
from pathlib import Path

from simplexlab.config import format_value
from simplexlab.errors import UsageError
from simplexlab.toy.settings import PAPER_TOYS, Toy
from simplexlab.tui.views.form import parse_word

FIELDS = {
    "loss": "CE in the unit disc with λ‖W‖², SC on the circle or sphere of radius 1/√τ.",
    "classes": "Number of classes K.",
    "dimension": "2: the plane; 3: space, which can be turned.",
    "points_per_class": "Free points of each class.",
    "counts": "Points of each class where they differ, 60,30,10, instead of the two above.",
    "weight_decay": "λ of CE.",
    "temperature": "τ of SC.",
    "batch_size": "Points a step; empty takes all points at every step.",
    "learning_rate": "Of gradient descent.",
    "steps": "Of gradient descent.",
    "seed": "Of the first configuration and of the batches.",
}
CHOICES = {"loss": PAPER_TOYS, "classes": ("2", "3", "4", "5"), "dimension": ("2", "3")}
# These belong to one loss; the other does without them.
OF_LOSS = {"weight_decay": "ce", "temperature": "sc"}


def default_text(name: str) -> str:
    """The default of a field; both where it differs between the losses."""
    if name == "loss":
        return ", ".join(CHOICES["loss"])
    if name == "counts":
        return "all classes alike"
    resolved = {loss: Toy(loss=loss).resolve() for loss in CHOICES["loss"]}
    found = {loss: getattr(toy, name) for loss, toy in resolved.items() if OF_LOSS.get(name) in (None, loss)}
    words = {loss: "all points" if value is None else format_value(value) for loss, value in found.items()}
    if len(set(words.values())) == 1:
        return next(iter(words.values()))
    return ", ".join(f"{loss} {word}" for loss, word in words.items())


def toys(texts: dict[str, str], run_dir: Path) -> list[Toy]:
    """Every combination of the values in the form, checked.

    Raises:
        UsageError: what is wrong, in one line.
    """
    fields = {field.name: field for field in dataclasses.fields(Toy)}
    values = {
        name: [parse_word(fields[name], word.strip()) for word in text.split(",") if word.strip()]
        for name, text in texts.items()
        if name != "counts"
    }
    if texts.get("counts", "").strip():
        values["counts"] = [Toy.parse_counts(texts["counts"])]
    values = {name: found for name, found in values.items() if found}
    values.setdefault("loss", list(PAPER_TOYS))
    made = []
    for chosen in itertools.product(*values.values()):
        options = dict(zip(values, chosen, strict=True))
        kept = {name: value for name, value in options.items() if OF_LOSS.get(name) in (None, options["loss"])}
        toy = Toy(**kept, run_dir=str(run_dir))
        toy.resolve()
        if toy not in made:
            made.append(toy)
    if not made:
        raise UsageError("choose a loss")
    return made


def arguments(toy: Toy) -> list[str]:
    """Words after `simplexlab` that start a toy."""
    return shlex.split(toy.command_line())[1:]
