"""What is said beside a result waits until no error can be all that there is to say."""

import logging
import time
import warnings

import pytest

from simplexlab import asides as module
from simplexlab.asides import AT_ONCE, asides, notice, progress_begins
from simplexlab.quiet import quiet_stderr

logger = logging.getLogger("simplexlab.test")


@pytest.fixture
def said(capsys):
    return lambda: capsys.readouterr().err.splitlines()


def test_a_warning_is_told_at_the_end(said):
    with asides():
        logger.warning("left out %s", "a")
        assert said() == []
    assert said() == ["left out a"]


def test_an_error_is_told_alone(said):
    def fail():
        with asides():
            logger.warning("left out a")
            notice("preparing")
            raise ValueError("wrong")

    with pytest.raises(ValueError, match="wrong"):
        fail()
    assert said() == []


def test_what_a_library_warns_of_is_told_at_the_end_or_not_at_all(said):
    def compute(end):
        with asides():
            warnings.warn("overflow encountered", RuntimeWarning, stacklevel=1)
            end()

    with quiet_stderr():
        compute(lambda: None)
    assert said() == []
    compute(lambda: None)
    assert "RuntimeWarning: overflow encountered" in said()[0]
    with pytest.raises(ZeroDivisionError):
        compute(lambda: 1 / 0)
    assert said() == []


@pytest.fixture(autouse=True)
def every_warning_is_shown():
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        yield


def test_progress_comes_after_what_waited_and_nothing_waits_after_it(said):
    with asides():
        logger.warning("left out a")
        progress_begins()
        assert said() == ["left out a"]
        logger.warning("slow")
        assert said() == ["slow"]
    assert said() == []


def test_what_cannot_wait_lets_out_what_waited(said):
    with asides():
        logger.warning("left out a")
        logger.warning("interrupted", extra=AT_ONCE)
        assert said() == ["left out a", "interrupted"]


def test_a_notice_is_seen_while_the_work_lasts_though_a_library_is_being_silenced(said, monkeypatch):
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.01)
    with asides() as held_back:
        logger.warning("left out a")
        with quiet_stderr():
            notice("preparing")
            time.sleep(0.05)
            assert held_back.held == ["left out a", "preparing"]
        while held_back.held is not None:
            time.sleep(0.01)
        assert said() == ["left out a", "preparing"]


def test_outside_a_command_a_notice_is_said_at_once(said):
    notice("preparing")
    assert said() == ["preparing"]
