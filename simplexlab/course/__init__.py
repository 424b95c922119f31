"""The lessons, and what they share: options, pictures, exercises that are checked, messages a student can use."""

from simplexlab.course.checking import Exercise, Verdict
from simplexlab.course.exercises import EXERCISES, QUESTIONS, judge
from simplexlab.course.lesson import Lesson

__all__ = ["EXERCISES", "QUESTIONS", "Exercise", "Lesson", "Verdict", "judge"]
