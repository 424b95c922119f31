"""Jobs beside the training: their order, their errors, their end."""

import threading
import time

import pytest

from simplexlab.training.beside import Beside


def test_jobs_are_done_in_order_and_told_to_the_thread_that_gave_them():
    done, told = [], []
    gate = threading.Event()

    def job(number):
        assert gate.wait(20)
        done.append((number, threading.current_thread()))
        return number

    with Beside() as beside:
        jobs = [
            beside.submit(lambda n=n: job(n), lambda n: told.append((n, threading.current_thread()))) for n in range(4)
        ]
        beside.settle()
        assert told == []
        gate.set()
        beside.settle(jobs[1])
        assert [number for number, _ in told][:2] == [0, 1]
        beside.finish()
    assert [number for number, _ in done] == [number for number, _ in told] == [0, 1, 2, 3]
    assert {thread for _, thread in told} == {threading.main_thread()}
    assert len({thread for _, thread in done} - {threading.main_thread()}) == 1


def work(jobs, end):
    """Give jobs whose results are dropped, and end the block as `end` does."""
    with Beside() as beside:
        for job in jobs:
            beside.submit(job, lambda _: None)
        end(beside)


def fail(error):
    raise error


def test_after_a_job_that_failed_none_is_done():
    done = []
    with pytest.raises(ZeroDivisionError):
        work([lambda: 1 / 0, lambda: done.append("later")], Beside.finish)
    assert done == []


def test_an_error_of_the_caller_waits_for_what_was_given():
    done = []
    with pytest.raises(ZeroDivisionError):
        work([lambda: time.sleep(0.05), lambda: done.append(1)], lambda _: 1 / 0)
    assert done == [1]


def test_an_interrupt_ends_the_job_that_is_being_done_and_those_that_wait():
    started, done = threading.Event(), []

    def endless():
        started.set()
        try:
            while True:
                time.sleep(0.001)
        finally:
            done.append("tidied up")

    with pytest.raises(KeyboardInterrupt):
        work([endless, lambda: done.append("later")], lambda _: started.wait(20) and fail(KeyboardInterrupt()))
    assert done == ["tidied up"]
