"""The exercises and questions of the lessons, a module for each."""

from collections.abc import Callable

from simplexlab.course.checking import Exercise, Verdict, examine
from simplexlab.course.exercises import (
    lesson_1,
    lesson_2,
    lesson_3,
    lesson_4,
    lesson_5,
    lesson_6,
    lesson_7,
    lesson_8,
    lesson_9,
)
from simplexlab.course.questions import Choice, Open

_LESSONS = (lesson_1, lesson_2, lesson_3, lesson_4, lesson_5, lesson_6, lesson_7, lesson_8, lesson_9)
EXERCISES: dict[str, Exercise] = {name: it for lesson in _LESSONS for name, it in lesson.EXERCISES.items()}
QUESTIONS: dict[str, Choice | Open] = {name: it for lesson in _LESSONS for name, it in lesson.QUESTIONS.items()}


def judge(name: str, answer: Callable) -> Verdict:
    """Check the answer to an exercise.

    Args:
        name: of the exercise, such as "1a".
        answer: the function that the student wrote.

    Raises:
        ValueError: there is no such exercise.
    """
    if name not in EXERCISES:
        raise ValueError(f"there is no exercise {name}; there are {', '.join(EXERCISES)}")
    return examine(name, EXERCISES[name], answer)
