"""How an exercise is checked: cases with expected values, a tolerance, a hint, and a verdict a student can read."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Case:
    """One question to the student's function.

    Attributes:
        shown: the call as it is shown.
        value: calls the function and returns the value that is compared.
        expected: what it must be; compared as it is where it is text, a truth value or None, else as numbers.
    """

    shown: str
    value: Callable[[Callable], Any]
    expected: Any


@dataclass(frozen=True)
class Exercise:
    """One exercise.

    Attributes:
        cases: makes its cases.
        hint: what helps where an answer is wrong.
        tolerance: largest difference to the expected value, relative where that is above 1.
    """

    cases: Callable[[], list[Case]]
    hint: str
    tolerance: float = 1e-6


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


def examine(name: str, exercise: Exercise, answer: Callable) -> Verdict:
    """Ask the student's function every case of an exercise, up to the first that is not right."""
    cases = exercise.cases()
    for case in cases:
        try:
            value = case.value(answer)
        except Unsolved:
            return Verdict(name, "not solved yet", f"hint: {exercise.hint}")
        except Exception as error:
            return Verdict(
                name, "error", f"{case.shown} raised {type(error).__name__}: {error}\n     hint: {exercise.hint}"
            )
        if not _agrees(value, case.expected, exercise.tolerance):
            return Verdict(
                name,
                "not right",
                f"{case.shown}\n     yours     {_shown(value)}\n     expected  {_shown(case.expected)}\n"
                f"     tolerance {exercise.tolerance:g}\n     hint: {exercise.hint}",
            )
    case = cases[0]
    return Verdict(
        name,
        "right",
        f"{case.shown}: yours {_shown(case.value(answer))}, expected {_shown(case.expected)}, "
        f"tolerance {exercise.tolerance:g}" + (f", and {len(cases) - 1} more" if len(cases) > 1 else ""),
    )


class Unsolved(Exception):
    """The function is still the stub."""


def ask(function: Callable, *arguments: Any) -> Any:
    """Call the student's function; raises `Unsolved` where it returns the stub's `...`."""
    value = function(*arguments)
    if value is Ellipsis:
        raise Unsolved
    return value


def _agrees(value: Any, expected: Any, tolerance: float) -> bool:
    if expected is None or isinstance(expected, str | bool):
        return type(value) is type(expected) and value == expected
    if value is None or isinstance(value, str | bool):
        return False
    try:
        value = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        return False
    expected = np.asarray(expected, dtype=np.float64)
    if value.shape != expected.shape:
        return False
    return bool(np.all(np.abs(value - expected) <= tolerance * np.maximum(1.0, np.abs(expected))))


def _shown(value: Any) -> str:
    if isinstance(value, float | np.floating):
        return f"{value:.8g}"
    if isinstance(value, np.ndarray):
        return np.array2string(value, precision=5, threshold=20).replace("\n", "\n               ")
    return str(value)


def calls(name: str, *pairs: tuple[tuple, Any]) -> list[Case]:
    """Cases that compare the function's own value, as (arguments, expected) pairs."""
    return [
        Case(
            f"{name}({', '.join(_argument(argument) for argument in arguments)})",
            lambda function, arguments=arguments: ask(function, *arguments),
            expected,
        )
        for arguments, expected in pairs
    ]


def _argument(value: Any) -> str:
    if isinstance(value, np.ndarray) and value.size > 6:
        return "…"
    return repr(value.tolist()) if isinstance(value, np.ndarray) else repr(value)
