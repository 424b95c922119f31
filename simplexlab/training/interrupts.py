"""Ctrl-C and SIGTERM during a run: the first is noted, the second ends it."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def interrupts() -> Iterator[Callable[[], bool]]:
    """Let the first SIGINT or SIGTERM within the block only be noted, once the yielded function was asked for it.

    A second one, and one that comes while the run is still being prepared, raises KeyboardInterrupt.
    """
    asked = requested = False

    def note(number, frame):
        nonlocal requested
        if requested or not asked:
            raise KeyboardInterrupt
        requested = True

    def interrupted() -> bool:
        nonlocal asked
        asked = True
        return requested

    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    saved = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield interrupted
    finally:
        for number, handler in saved.items():
            signal.signal(number, handler)
