"""How an exercise is checked: cases drawn anew, values judged as they came, and a verdict a student can read."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np

from simplexlab.course.limit import TimeUp, time_limit

SECONDS = 10.0


@dataclass(frozen=True)
class Exercise:
    """One exercise.

    Attributes:
        function: name of the function that the student writes.
        reference: what it must return, from the package or in closed form, never from the solutions: each tests the
            other. Later lessons use it where the student has not solved the exercise.
        draw: makes the arguments of several calls, other ones each time.
        hint: what helps where an answer is wrong.
        minutes: how long a student may take.
        difficulty: easy, medium or hard.
        tolerance: largest difference to the expected value, relative where that is above 1; 0: exactly equal.
        judged: what is compared in place of the value itself, from the value and the arguments; it may raise
            ValueError for a value of which nothing can be computed.
        told: how `judged` is called in a verdict, "" without it.
        kept: whether later lessons run the student's function.
    """

    function: str
    reference: Callable
    draw: Callable[[np.random.Generator], list[tuple]]
    hint: str
    minutes: int
    difficulty: str
    tolerance: float = 1e-5
    judged: Callable[[Any, tuple], Any] | None = None
    told: str = ""
    kept: bool = False


@dataclass(frozen=True)
class Verdict:
    """What became of an answer; `str` tells it to the student."""

    exercise: str
    state: str
    message: str

    @property
    def right(self) -> bool:
        """Whether every case came out right."""
        return self.state == "right"

    def __str__(self) -> str:
        return f"[{self.exercise}] {self.state}: {self.message}"


def examine(name: str, exercise: Exercise, answer: Callable, seconds: float = SECONDS) -> Verdict:
    """Ask the student's function every case of an exercise, up to the first that is not right.

    Args:
        name: of the exercise.
        exercise: what is asked.
        answer: the student's function. It gets copies of the arguments, so that it may work in place.
        seconds: limit for all calls together.
    """
    hint = f"\n     hint: {exercise.hint}"
    if not callable(answer):
        return Verdict(name, "not right", f"{shown(answer)} is not a function; give the name without brackets{hint}")
    cases = exercise.draw(np.random.default_rng())
    first = ""
    shown_call = f"{exercise.function}(…)"
    try:
        with time_limit(seconds):
            for arguments in cases:
                shown_call = f"{exercise.function}({', '.join(map(_argument, arguments))})"
                value = answer(*copy.deepcopy(arguments))
                if value is Ellipsis:
                    return Verdict(name, "not solved yet", f'lesson.hint("{name}") gives a hint')
                expected = exercise.reference(*copy.deepcopy(arguments))
                if exercise.judged is not None:
                    shown_call = f"{exercise.told} of {shown_call}"
                    value, expected = (exercise.judged(it, copy.deepcopy(arguments)) for it in (value, expected))
                wrong = difference(value, expected, exercise.tolerance)
                if wrong:
                    yours, right = _told_apart(value, expected)
                    told = f"{shown_call}: {wrong}\n     yours     {yours}\n     expected  {right}{hint}"
                    return Verdict(name, "not right", told)
                first = first or f"{shown_call} = {shown(value)}"
    except TimeUp:
        return Verdict(
            name, "too slow", f"{shown_call} did not end within {seconds:g} s; is there an endless loop?{hint}"
        )
    except _Wrong as error:
        return Verdict(name, "not right", f"{shown_call}: {error}{hint}")
    except Exception as error:
        return Verdict(name, "error", f"{shown_call} raised {type(error).__name__}: {error}{hint}")
    more = f", and {len(cases) - 1} more" if len(cases) > 1 else ""
    return Verdict(name, "right", f"{first}{more}")


class _Wrong(ValueError):
    """A value of which nothing can be computed."""


def reject(message: str) -> None:
    """Say in `Exercise.judged` that nothing can be computed of a value.

    Raises:
        ValueError: always.
    """
    raise _Wrong(message)


def difference(value: Any, expected: Any, tolerance: float) -> str:
    """What is wrong with a value, "" if nothing is.

    A whole number must be an `int` (or numpy's), an array of whole numbers must hold such; a number or an array may be
    of any type that holds numbers, a list included.
    """
    if expected is None or value is None:
        return "" if value is expected else f"yours is {kind(value)}, {kind(expected)} is expected"
    if isinstance(expected, Integral):
        value = value[()] if isinstance(value, np.ndarray) and value.shape == () else value
        if not isinstance(value, Integral) or isinstance(value, bool | np.bool_):
            return f"yours is {kind(value)}, a whole number (int) is expected"
        return "" if int(value) == int(expected) else "another number"
    if isinstance(value, str | bytes | bool | np.bool_ | dict | set) or callable(value):
        return f"yours is {kind(value)}, {kind(expected)} is expected"
    try:
        found = np.asarray(float(value) if isinstance(value, Real) else value)
    except (TypeError, ValueError):
        return f"yours is {kind(value)}, {kind(expected)} is expected"
    if found.dtype.kind not in "fiu":
        return f"yours is {kind(value)}, {kind(expected)} is expected"
    numbers = found.astype(np.float64)
    wanted = np.asarray(expected)
    if numbers.shape != wanted.shape:
        return f"yours is {kind(value)}, {kind(expected)} is expected"
    if wanted.dtype.kind in "iu" and found.dtype.kind not in "iu":
        return "yours holds floats, whole numbers (int) are expected"
    if np.isnan(numbers).any() and not np.isnan(wanted).any():
        return "yours holds NaN" if numbers.ndim else "yours is NaN"
    off = np.abs(numbers - wanted) > tolerance * np.maximum(1.0, np.abs(wanted))
    if not off.any():
        return ""
    return "another number" if off.ndim == 0 else f"{off.sum()} of {off.size} numbers differ"


def kind(value: Any) -> str:
    """What a value is, in words: a number, text, an array of shape (3, 2)."""
    if value is None:
        return "None"
    if isinstance(value, str | bytes):
        return f"text {value!r}" if len(value) < 40 else "text"
    if isinstance(value, bool | np.bool_):
        return f"the truth value {bool(value)}"
    if isinstance(value, Integral):
        return "a whole number"
    if isinstance(value, Real):
        return "a number"
    try:
        array = np.asarray(value)
    except ValueError:
        return f"a {type(value).__name__} of rows of different lengths"
    if array.dtype.kind in "cfiu" and array.shape == ():
        return f"a {type(value).__name__}"
    if array.dtype.kind in "cfiub" and array.ndim == 1:
        return f"{len(array)} numbers, shape ({len(array)},)"
    return f"an array of shape {array.shape}" if array.dtype.kind in "cfiub" else f"a {type(value).__name__}"


def shown(value: Any, digits: int = 6) -> str:
    """A value as a student reads it: few digits, no type names, large arrays by their corners."""
    if isinstance(value, str):
        return repr(value)
    if value is None or isinstance(value, bool | np.bool_):
        return str(value)
    if isinstance(value, Integral):
        text = str(int(value))
        return text if len(text) <= 16 else f"{text[:8]}… ({len(text)} characters)"
    if isinstance(value, Real):
        return f"{float(value):.{digits}g}"
    try:
        array = np.asarray(value)
    except ValueError:
        return repr(value)[:80]
    if array.dtype.kind not in "fiu":
        return repr(value)[:80]
    if array.shape == ():
        return f"{float(array):.{digits}g}"
    text = np.array2string(
        array, formatter={"float_kind": lambda x: f"{x:.{digits - 2}g}"}, threshold=24, separator=", "
    )
    return text.replace("\n", "\n               ")


def _told_apart(value: Any, expected: Any) -> tuple[str, str]:
    """Both with as many digits as it takes to see that they differ."""
    for digits in (6, 10):
        both = shown(value, digits), shown(expected, digits)
        if both[0] != both[1]:
            break
    return both


def _argument(value: Any) -> str:
    if isinstance(value, np.ndarray) and value.size > 6:
        return f"array {value.shape}"
    if isinstance(value, list | tuple) and len(value) > 8:
        return f"{len(value)} numbers"
    if isinstance(value, list | tuple):
        return f"({', '.join(map(shown, value))})"
    return shown(value)
