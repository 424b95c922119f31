"""The command line: what happens before a command, and how each of its ends is told."""

import gc
import re
import signal
import sys

from simplexlab.after_import import after_import, import_without_optional
from simplexlab.asides import asides
from simplexlab.errors import RunError, UsageError
from simplexlab.files import is_working_folder_gone, reason
from simplexlab.memory import has_address_limit
from simplexlab.text import one_line, open_standard_streams, printable_output

MEMORY = "there is not enough memory for this; take a smaller batch, encoder or data set, or free some memory"

NO_MEMORY_FOR_LIBRARY = ("failed to map segment", "annot allocate memory")


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code: 0 done, 1 failed, 2 wrong usage, 130 interrupted."""
    with printable_output():
        try:
            with asides() as held_back:
                code = _command(sys.argv[1:] if arguments is None else arguments)
                if code in (2, 130):
                    held_back.drop()
                return code
        except UsageError as error:
            return _fail(str(error), 2)
        except RunError as error:
            return _fail(str(error), 1)
        except KeyboardInterrupt as error:
            return _fail(f"interrupted; {error}" if str(error) else "interrupted", 130)
        except BrokenPipeError:
            sys.stderr.close()
            return 1
        except OSError as error:
            return _fail(tell(error), 1)
        except (MemoryError, SystemError) as error:
            if isinstance(error, SystemError) and not has_address_limit():
                raise  # CPython's own fault, not that of an allocation inside an extension
            return _fail(MEMORY, 1)
        except ImportError as error:
            if not any(words in str(error) for words in NO_MEMORY_FOR_LIBRARY):
                raise
            return _fail(MEMORY, 1)


def run() -> None:
    """Entry point of the `simplexlab` command."""
    open_standard_streams()
    # The end that a job scheduler or `kill` asks for is Ctrl-C's: what was begun is tidied up.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # Tracing and building make objects by the hundred thousand; searching them for reference cycles after every 700 new
    # ones costs a run of ResNet-18 a second of its start. A notebook's process is not ours and keeps its setting.
    gc.set_threshold(20_000, 20, 20)
    import_without_optional()
    after_import("keras", gc.freeze)  # TensorFlow's and Keras's own objects stay to the end
    code = main()
    # Where Ctrl-C came while Python was inside exec() of a string, as dataclasses do at import, CPython keeps a mark by
    # which `python -m` ends by the signal whatever its exit code; the next exec() takes the mark away.
    exec("")
    sys.exit(code)


def tell(error: OSError) -> str:
    """What the operating system refused, in one line: the file, and why."""
    if is_working_folder_gone(error):
        return reason(error)
    file = error.filename.decode(errors="replace") if isinstance(error.filename, bytes) else error.filename
    return (f"{file}: " if file is not None else "") + reason(error)


def _command(arguments: list[str]) -> int:
    from cyclopts import CycloptsError, UnusedCliTokensError

    from simplexlab.cli.application import app

    _refuse_empty(arguments)
    try:
        result = app(arguments, exit_on_error=False, print_error=False, result_action="return_value")
    except UnusedCliTokensError as error:
        raise UsageError(f"unexpected {' '.join(error.unused_tokens or [])}; every option starts with --") from None
    except CycloptsError as error:
        raise UsageError(str(error)) from None
    return result if isinstance(result, int) else 0


def _refuse_empty(arguments: list[str]) -> None:
    """An empty word is an unset variable of a shell script, never a wish: `--shard ""` is not the whole sweep."""
    for before, word in zip(["", *arguments], arguments, strict=False):
        if not word.strip():
            what = before if before.startswith("--") and "=" not in before else "an argument"
        elif re.fullmatch(r"--[\w-]+=\s*", word):
            what = word.partition("=")[0]
        else:
            continue
        raise UsageError(f"{what} is empty; give it a value or leave it out")


def _fail(message: str, code: int) -> int:
    print(f"simplexlab: {one_line(message)}", file=sys.stderr)
    return code
