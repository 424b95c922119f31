"""Verdicts: what is compared, how a value is told, and the time limit."""

import threading
import time

import numpy as np
import pytest

from simplexlab.course.checking import Exercise, difference, examine, shown
from simplexlab.course.limit import TimeUp, time_limit


def half(generator) -> list[tuple]:
    return [(float(number),) for number in (4, 5, *generator.integers(6, 20, 2))]


EXERCISE = Exercise("half", lambda x: x / 2, half, "divide by 2", 1, "easy", tolerance=1e-3)


def test_verdicts_show_the_call_both_values_and_a_hint():
    assert examine("9a", EXERCISE, lambda x: x / 2 + 1e-4).right
    assert "half(4) = 2, and 3 more" in str(examine("9a", EXERCISE, lambda x: x / 2))
    wrong = str(examine("9a", EXERCISE, lambda x: x // 2))
    for words in ("half(5)", "yours     2", "expected  2.5", "hint: divide by 2"):
        assert words in wrong
    unsolved = examine("9a", EXERCISE, lambda x: ...)
    assert unsolved.state == "not solved yet"
    assert "divide by 2" not in str(unsolved)
    broken = examine("9a", EXERCISE, lambda x: x.half)
    assert broken.state == "error"
    assert "AttributeError" in str(broken)
    assert "is not a function" in str(examine("9a", EXERCISE, 2.0))


def test_the_value_shown_is_the_one_that_was_judged():
    answers = iter((2.0, 99.0, 1.0))
    wrong = str(examine("9a", EXERCISE, lambda x: next(answers)))
    assert "yours     99" in wrong


def test_arguments_are_copied_for_each_call():
    exercise = Exercise("total", np.sum, lambda generator: [(np.arange(3.0),)] * 2, "add", 1, "easy")

    def spoil(array):
        total = array.sum()
        array[:] = 0
        return total

    assert examine("9a", exercise, spoil).right


@pytest.mark.parametrize(
    ("value", "expected", "wrong"),
    [
        (np.nan, 1.0, "yours is NaN"),
        ([1.0, 2.0], np.array([1.0, 2.0]), ""),
        ([1.0], np.array([1.0, 2.0]), "1 numbers, shape (1,), 2 numbers, shape (2,) is expected"),
        (np.zeros((5, 4)), np.zeros((5, 5)), "yours is an array of shape (5, 4), an array of shape (5, 5) is expected"),
        ([[1.0], [1.0, 2.0]], np.zeros((2, 2)), "rows of different lengths"),
        (None, None, ""),
        (0, None, "yours is a whole number, None is expected"),
        (None, 0, "yours is None"),
        ("0.5", 0.5, "yours is text '0.5', a number is expected"),
        (True, 1.0, "yours is the truth value True"),
        (1.0, 1, "yours is a number, a whole number (int) is expected"),
        (np.array(1), 1, ""),
        (np.uint8(1), 1, ""),
        (10**30, 10**30, ""),
        (10**30 + 1, 10**30, "another number"),
        ([0.0, 1.0], np.array([0, 1]), "yours holds floats"),
        (np.array([True, False]), np.array([1, 0]), "is expected"),
        (1j, 1.0, "is expected"),
        (np.float32(0.1), 0.1, ""),
        (1e9 + 1, 1e9, ""),
        ({1.0}, 1.0, "is expected"),
        (lambda: 1.0, 1.0, "is expected"),
    ],
)
def test_values_are_compared_in_shape_and_kind(value, expected, wrong):
    told = difference(value, expected, 1e-6)
    assert (wrong in told) if wrong else told == ""


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (np.float64(1 / 3), "0.333333"),
        (np.int64(7), "7"),
        ("no", "'no'"),
        (10**40, "10000000… (41 characters)"),
        ([np.float64(0.1), 2], "[0.1, 2]"),
        (np.array([1 / 3, 2 / 3]), "[0.3333, 0.6667]"),
        (None, "None"),
    ],
)
def test_values_are_told_without_types_and_long_digits(value, text):
    assert shown(value) == text


def test_values_that_look_alike_get_more_digits():
    exercise = Exercise("third", lambda: 1 / 3, lambda generator: [()], "1 / 3", 1, "easy", tolerance=0)
    assert "yours     0.3333333\n" in str(examine("9a", exercise, lambda: 0.3333333)).replace(
        "0.3333333000", "0.3333333"
    )


def swallow_exceptions():
    while True:
        try:
            pass
        except Exception:
            continue


def swallow_all():
    while True:
        try:
            pass
        except:  # noqa: E722
            continue


def spin():
    while True:
        pass


@pytest.mark.parametrize("loop", [spin, swallow_exceptions, swallow_all])
@pytest.mark.parametrize("in_thread", [False, True])
def test_endless_loops_end(loop, in_thread):
    ended = []

    def limited():
        try:
            with time_limit(0.1):
                loop()
        except TimeUp:
            ended.append("time is up")

    began = time.monotonic()
    if in_thread:
        thread = threading.Thread(target=limited)
        thread.start()
        thread.join(20)
    else:
        limited()
    assert ended == ["time is up"]
    assert time.monotonic() - began < 20


def test_a_limit_that_is_kept_leaves_nothing_behind():
    import signal

    before = signal.getsignal(signal.SIGALRM)
    with time_limit(0.05):
        pass
    time.sleep(0.1)
    assert signal.getsignal(signal.SIGALRM) is before
