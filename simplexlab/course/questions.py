"""Questions to explain: with choices that are graded with a reason, or open with a rubric for the teacher."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Option:
    """One choice: what it says, and why it is right or wrong."""

    text: str
    reason: str


@dataclass(frozen=True)
class Choice:
    """A question with choices, by their letters."""

    text: str
    options: dict[str, Option]
    right: str


@dataclass(frozen=True)
class Open:
    """A question that is answered in a sentence or two; the rubric names the points that a good answer makes."""

    text: str
    rubric: tuple[str, ...]
