"""Ctrl-C and SIGTERM during a run: the first is noted, the second ends it."""

import contextlib
import logging
import os
import select
import signal
import threading
import time
from collections.abc import Callable, Iterator

from simplexlab.asides import AT_ONCE
from simplexlab.memory import end_is_meant

logger = logging.getLogger(__name__)

GRACE_SECONDS = 1.5
TELL_SECONDS = 10.0


@contextlib.contextmanager
def answered(meanwhile: str = "") -> Iterator[None]:
    """Within the block SIGINT and SIGTERM end the process within two seconds, also where a library does not return.

    Python's own handler waits until the call that goes on returns, which for TensorFlow's, while other workers do not
    answer, may take an hour. Only the main thread may call this; elsewhere it does nothing.

    Args:
        meanwhile: what is told every ten seconds.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    left = threading.Event()

    def watch() -> None:
        began = time.monotonic()
        while not select.select([reader], [], [], TELL_SECONDS)[0]:
            if meanwhile:
                logger.warning("%s, since %.0f s", meanwhile, time.monotonic() - began, extra=AT_ONCE)
        if os.read(reader, 1) and not left.wait(GRACE_SECONDS):
            os.write(2, b"simplexlab: interrupted\n")
            end_is_meant()
            os._exit(130)
        os.close(reader)

    saved = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        left.set()
        signal.set_wakeup_fd(saved)
        os.close(writer)


@contextlib.contextmanager
def deferred() -> Iterator[None]:
    """Within the block the first SIGINT or SIGTERM is only noted, and raises KeyboardInterrupt at its end.

    For the import of TensorFlow, some seconds: an exception that comes while its extensions are being set up can end
    the process by a segmentation fault. A second signal raises at once.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    noted = False

    def note(number, frame):
        nonlocal noted
        if noted:
            raise KeyboardInterrupt
        noted = True

    saved = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    # A signal that is ignored, or ends the process without Python's help, stays as it is.
    saved = {number: handler for number, handler in saved.items() if callable(handler)}
    for number in saved:
        signal.signal(number, note)
    try:
        yield
    finally:
        for number, handler in saved.items():
            signal.signal(number, handler)
    if noted:
        raise KeyboardInterrupt


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
