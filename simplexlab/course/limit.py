"""A time limit for a call, so that an endless loop of a student ends with a line."""

import ctypes
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class TimeUp(BaseException):
    """The time limit passed. Not an `Exception`, so that an `except Exception` in a student's loop does not hold it."""


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise `TimeUp` in the body once it has run that long, and again every 10 ms where something has caught it.

    In the main thread the system's timer does it, as in scripts and notebooks; in another thread, or on a system
    without that timer, a second thread. Neither interrupts one long call into a library before it returns.

    Args:
        seconds: limit by the clock, above 0.

    Raises:
        TimeUp: the body took longer.
    """
    in_main = threading.current_thread() is threading.main_thread()
    with _by_timer(seconds) if in_main and hasattr(signal, "setitimer") else _by_thread(seconds):
        yield


@contextmanager
def _by_timer(seconds: float) -> Iterator[None]:
    over = False

    def ring(number: int, frame: FrameType | None) -> None:
        if not over:
            raise TimeUp

    before = signal.signal(signal.SIGALRM, ring)
    try:
        signal.setitimer(signal.ITIMER_REAL, seconds, 0.01)
        yield
    finally:
        over = True
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def _by_thread(seconds: float) -> Iterator[None]:
    target = ctypes.c_ulong(threading.get_ident())
    raise_in = ctypes.pythonapi.PyThreadState_SetAsyncExc
    done, lock = threading.Event(), threading.Lock()

    def watch() -> None:
        wait = seconds
        while not done.wait(wait):
            with lock:
                if not done.is_set():
                    raise_in(target, ctypes.py_object(TimeUp))
            wait = 0.01

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        with lock:
            done.set()
            raise_in(target, None)  # one that was set and not yet raised
        watcher.join()
