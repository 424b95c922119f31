"""A guess before a run: which loss fits first, and when; kept in the run folder, and scored at the end."""

import contextlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from simplexlab.files import read_json, replace_file

FILE = "guess.json"


@dataclass(frozen=True)
class Guess:
    """What was guessed before a run began.

    Attributes:
        first: Name of the loss that was thought to fit first among those launched together, or None.
        iteration: Time to fit that was thought for the first, or None.
    """

    first: str | None = None
    iteration: int | None = None


def write_guess(run: Path, guess: Guess) -> None:
    """Keep a guess in a run folder; a folder that cannot be written keeps none."""
    with contextlib.suppress(OSError):
        replace_file(run / FILE, json.dumps(asdict(guess)).encode())


def read_guess(run: Path) -> Guess | None:
    """The guess of a run folder, None if it holds none that can be read."""
    try:
        found = read_json(run / FILE)
        first, iteration = found["first"], found["iteration"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return Guess(
        first if isinstance(first, str) else None,
        iteration if isinstance(iteration, int) and not isinstance(iteration, bool) and iteration >= 0 else None,
    )


def score(guess: Guess | None, fitted_at: int | None, ended: bool) -> str:
    """What became of a guessed time to fit, "" where none was guessed."""
    if guess is None or guess.iteration is None:
        return ""
    if fitted_at is None:
        return f"guessed {guess.iteration}" + (": it was not fitted" if ended else "")
    late = fitted_at - guess.iteration
    if not late:
        return f"guessed {guess.iteration}: exactly"
    return f"guessed {guess.iteration}: fitted {abs(late)} {'later' if late > 0 else 'earlier'}"


def verdict(names: list[str], fits: list[int | None], ended: list[bool], guess: Guess | None) -> str:
    """Which of some runs fitted first, and whether that was guessed.

    Args:
        names: of the losses.
        fits: their times to fit, None as long as they are not fitted.
        ended: whether each has ended.
        guess: what was guessed.
    """
    fitted = sorted((fit, name) for fit, name in zip(fits, names, strict=True) if fit is not None)
    if not fitted:
        return "neither has fitted its labels" + ("" if all(ended) else " yet")
    (first, name), rest = fitted[0], fitted[1:]
    if rest and rest[0][0] == first:
        words = f"all fitted at {first}"
        name = ""
    elif rest:
        words = f"{name} fitted first, at {first}; {rest[0][1]} at {rest[0][0]}"
    else:
        words = f"{name} fitted first, at {first}"
    if guess is None or guess.first is None:
        return words
    return f"{words}; you guessed {guess.first}: " + ("right" if guess.first == name else "wrong" if name else "a draw")
