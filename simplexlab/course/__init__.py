"""What the lessons share: options, pictures, exercises that are checked, and messages a student can use."""

from simplexlab.course.checking import Exercise, Verdict
from simplexlab.course.exercises import EXERCISES, judge
from simplexlab.course.lesson import Lesson

__all__ = ["EXERCISES", "Exercise", "Lesson", "Verdict", "judge"]
