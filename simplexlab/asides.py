"""What a command says on stderr beside its result, held back while an error may still be all that there is to say."""

import contextlib
import logging
import sys
import threading
from collections.abc import Iterator

from simplexlab.quiet import stderr_is_quiet

PATIENCE_SECONDS = 2.0  # a command that fails within them has said nothing of what it was about to do
LIBRARIES = "py.warnings"  # to which `logging.captureWarnings` gives what libraries warn of
AT_ONCE = {"at_once": True}
"""`extra` of a log record that cannot wait, such as the answer to Ctrl-C."""


class Asides(logging.Handler):
    """Holds back warnings of the package until progress is shown or the command has ended well; an error drops them.

    A notice, `notice`, lets everything out once it has waited `PATIENCE_SECONDS`: from then on people see what goes on.
    """

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.held: list[str] | None = []  # None: everything is said at once
        self.timer: threading.Timer | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the message of a warning, or print it; what a library warns of while it is silenced is not said."""
        if record.name == LIBRARIES and stderr_is_quiet():
            return
        self.add(self.format(record).strip())
        if getattr(record, "at_once", False):
            self.let_out()

    def add(self, text: str) -> None:
        """Keep a line, or print it where nothing is held back any more."""
        with self.lock:
            if self.held is None:
                print(text, file=sys.stderr, flush=True)
            else:
                self.held.append(text)

    def patiently(self) -> None:
        """Let everything out in a moment."""
        with self.lock:
            if self.held is not None and self.timer is None:
                self.timer = threading.Timer(PATIENCE_SECONDS, self._time_is_up)
                self.timer.daemon = True
                self.timer.start()

    def _time_is_up(self) -> None:
        with self.lock:
            self.timer = None
            if stderr_is_quiet():
                self.patiently()
            else:
                self.let_out()

    def let_out(self) -> None:
        """Print what was held back, and from now on everything at once."""
        with self.lock:
            held, self.held = self.held or [], None
            for text in held:
                print(text, file=sys.stderr, flush=True)

    def drop(self) -> None:
        """Forget what is held back: an error is told instead."""
        with self.lock:
            self.held = None
            if self.timer is not None:
                self.timer.cancel()


_current: Asides | None = None


@contextlib.contextmanager
def asides() -> Iterator[Asides]:
    """Within the block warnings and notices are held back, see `Asides`; at its end they are printed.

    Warnings are those of the package and those that libraries give through `warnings`.
    """
    global _current
    loggers = [logging.getLogger(name) for name in ("simplexlab", LIBRARIES)]
    before, _current = _current, Asides()
    logging.captureWarnings(True)
    for logger in loggers:
        logger.addHandler(_current)
    try:
        yield _current
        _current.let_out()
    except BaseException:
        _current.drop()
        raise
    finally:
        for logger in loggers:
            logger.removeHandler(_current)
        logging.captureWarnings(before is not None)
        _current = before


def notice(text: str) -> None:
    """Say on stderr what is about to take long; within a command only once it has taken a moment."""
    if _current is None:
        print(text, file=sys.stderr, flush=True)
    else:
        _current.add(text)
        _current.patiently()


def progress_begins() -> None:
    """Print what was held back before the first line, or the bar, of progress."""
    if _current is not None:
        _current.let_out()
