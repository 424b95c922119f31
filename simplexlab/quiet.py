"""Hold back what the C++ libraries under TensorFlow say when they start, and what TFDS logs and prints."""

import contextlib
import io
import logging
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from simplexlab.errors import RunError, UsageError

# Reads a line that never comes where the process dies, then keeps or shows what was held back: $1, for the log $2.
WATCH = """
read -r line && exit
test -s "$1" || exit
if test -n "$2" && cat "$1" 2>/dev/null >>"$2"; then
  echo "simplexlab: the process ended inside a library: $(tail -n 1 "$1"); all that it said is in $2" >&2
else
  cat "$1" >&2
fi
rm -f "$1"
"""


_quiet = 0  # how many blocks hold back what is written to stderr


def stderr_is_quiet() -> bool:
    """Whether what is written to stderr now is held back."""
    return _quiet > 0


@contextlib.contextmanager
def quiet_stderr(*, watched: bool = False, log: Path | None = None) -> Iterator[None]:
    """Hold back what C++ libraries write to file descriptor 2; show it if the block raises.

    Args:
        watched: show it also where a library ends the process, as CUDA does by abort().
        log: then append it to this file instead, and tell its path.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    sys.stderr.flush()
    global _quiet
    saved = os.dup(2)
    _quiet += 1
    with contextlib.ExitStack() as stack:
        held = stack.enter_context(tempfile.NamedTemporaryFile())
        if watched:
            stack.enter_context(_watch(held.name, log))
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException as error:
            os.dup2(saved, 2)
            if not isinstance(error, UsageError | RunError | KeyboardInterrupt | MemoryError):
                held.seek(0)
                os.write(2, held.read())
            raise
        finally:
            os.dup2(saved, 2)
            os.close(saved)
            _quiet -= 1


@contextlib.contextmanager
def _watch(held: str, log: Path | None) -> Iterator[None]:
    """Have a shell wait for the end of the block or of this process."""
    watcher = subprocess.Popen(
        ["sh", "-c", WATCH, "sh", held, "" if log is None else os.path.abspath(log)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C is not meant for it
    )
    try:
        yield
    finally:
        with contextlib.suppress(BrokenPipeError):
            watcher.communicate(b"\n")


@contextlib.contextmanager
def quiet_logs() -> Iterator[None]:
    """Silence TFDS's and TensorFlow's logs and prints."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    disabled = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.disable(disabled)
