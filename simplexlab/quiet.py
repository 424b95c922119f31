"""Hold back what the C++ libraries under TensorFlow say when they start, and what TFDS logs and prints."""

import contextlib
import io
import logging
import os
import sys
import tempfile
from collections.abc import Iterator

from simplexlab.errors import RunError, UsageError


@contextlib.contextmanager
def quiet_stderr() -> Iterator[None]:
    """Hold back what C++ libraries write to file descriptor 2; show it if the block raises."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    sys.stderr.flush()
    saved = os.dup(2)
    with tempfile.TemporaryFile() as held:
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
