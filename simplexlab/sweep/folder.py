"""The sweep folder: `sweep.json` says what it holds, its runs are run folders in it, and claims share them out."""

import contextlib
import csv
import datetime
import errno
import fcntl
import io
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from simplexlab import __version__
from simplexlab.config import Experiment, flag, format_value
from simplexlab.errors import RunError, UsageError
from simplexlab.files import is_temporary, make_folder, open_file, read_json, reason, replace_file
from simplexlab.objectives import own
from simplexlab.runs.folder import check_name
from simplexlab.sweep.plan import PLACEMENT

FORMAT = 1
SWEEP_FILE = "sweep.json"
TABLE_CSV, TABLE_JSON = "table.csv", "table.json"
CLAIMS_FOLDER = ".claims"
LOGS_FOLDER = "logs"
HOLDER_LENGTH = 32


class SweepFolder:
    """A sweep on disk.

    Attributes:
        path: the folder.
        experiments: every run of the sweep, by its name, in the order in which they are run.
        commands: the commands that made it.
        created: when it was made.
        sources: files of losses of one's own, each with its checksum.
    """

    def __init__(self, path: str | Path):
        """Read `sweep.json` in `path`.

        Raises:
            UsageError: there is none, or it is not one that this version reads.
        """
        self.path = Path(path)
        file = self.path / SWEEP_FILE
        try:
            record = read_json(file)
            if record["format"] > FORMAT:
                raise UsageError(
                    f"{file} was made by a newer simplexlab: format {record['format']}, this one reads {FORMAT}"
                )
            self.commands: list[str] = record["commands"]
            self.created: str = record.get("created", "")
            self.sources: dict[str, str] = dict(record.get("sources", {}))
            self.experiments = {
                name: Experiment.from_dict({**record["common"], **own, "name": name, "run_dir": str(self.path)})
                for name, own in record["runs"].items()
            }
            for name in self.experiments:
                check_name(name, f"{file}: the name")
        except FileNotFoundError:
            raise UsageError(f"{self.path} is no sweep folder: it holds no {SWEEP_FILE}") from None
        except NotADirectoryError:
            raise UsageError(f"{self.path} is not a folder") from None
        except OSError as error:
            raise RunError(f"cannot read {file}: {reason(error)}") from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            if isinstance(error, UsageError):
                raise
            raise UsageError(f"{file} is damaged or no sweep's: it does not list runs and their options") from error

    @classmethod
    def write(cls, path: str | Path, experiments: Sequence[Experiment], command: str) -> "SweepFolder":
        """Make the sweep folder `path`, or add to it the runs that it does not hold yet.

        Args:
            path: the folder.
            experiments: resolved experiments, each with its name.
            command: the command line that asks for them.

        Raises:
            UsageError: the folder holds one of these runs with other options, or under another name.
            RunError: it cannot be written.
        """
        path = Path(path)
        try:
            path.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            raise UsageError(f"--run-dir {path} is not a folder") from None
        except OSError as error:
            raise RunError(f"cannot make the sweep folder {path}: {reason(error)}") from error
        try:
            with _lock(path, SWEEP_FILE, wait=True):
                return cls._merge(path, experiments, command)
        except OSError as error:
            part = path if error.filename is None or is_temporary(Path(error.filename).name) else error.filename
            raise RunError(f"cannot write {part}: {reason(error)}") from error

    @classmethod
    def _merge(cls, path: Path, experiments: Sequence[Experiment], command: str) -> "SweepFolder":
        held, commands, sources = {}, [], {}
        created = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        if (path / SWEEP_FILE).exists():
            before = cls(path)
            held = {name: _options(experiment) for name, experiment in before.experiments.items()}
            commands, sources, created = before.commands, before.sources, before.created or created
            before.check_sources()
        for experiment in experiments:
            if facts := own.source_facts(experiment.loss):
                sources[facts["file"]] = facts["checksum"]
        names = {_identity(options): name for name, options in held.items()}
        for experiment in experiments:
            check_name(experiment.name)
            wanted = _options(experiment)
            name = names.get(_identity(wanted), experiment.name)
            if name != experiment.name:
                raise UsageError(
                    f"{path} holds the run {experiment.name} as {name}, since other options vary in its grid; "
                    "choose another folder with --run-dir"
                )
            for option, value in held.setdefault(experiment.name, wanted).items():
                if option != "data_dir" and value != wanted.get(option, value):
                    raise UsageError(
                        f"{path} holds {experiment.name} with {flag(option)} {format_value(value)}, not "
                        f"{format_value(wanted[option])}; choose another folder with --run-dir"
                    )
        first = next(iter(held.values()))
        common = {key: first[key] for key in first if all(run.get(key) == first[key] for run in held.values())}
        record = {
            "format": FORMAT,
            "kind": "sweep",
            "simplexlab": __version__,
            "created": created,
            "commands": commands if command in commands else [*commands, command],
            **({"sources": sources} if sources else {}),
            "common": common,
            "runs": {
                name: {key: value for key, value in run.items() if key not in common} for name, run in held.items()
            },
        }
        replace_file(path / SWEEP_FILE, _json(record))
        return cls(path)

    def check_sources(self) -> None:
        """Raise a UsageError where the file of a loss is another one than that with which the sweep was begun."""
        for path, checksum in self.sources.items():
            if own.source_facts(path).get("checksum") != checksum:
                raise UsageError(
                    f"{path} has changed since the sweep {self.path} was begun; choose another folder with --run-dir"
                )

    @contextlib.contextmanager
    def claim(self, name: str, holder: str = "") -> Iterator["Claim"]:
        """Within the block the run `name` is this process's, unless another process has claimed it.

        The kernel frees the claim when its process ends, however it ends. On a file system without locks every claim
        is granted, and the exclusive creation of the run folder alone keeps two processes apart.

        Args:
            name: the run.
            holder: written into the claim, for the next one to read: a word of `HOLDER_LENGTH` characters, or nothing.
        """
        with _lock(self.path, name, wait=False) as (granted, file):
            before = os.pread(file.fileno(), HOLDER_LENGTH, 0).decode(errors="replace")
            if granted and holder:
                os.pwrite(file.fileno(), holder.encode(), 0)  # at once, as it is read without the lock too
            yield Claim(granted, before)

    def log_path(self, name: str) -> Path:
        """Where the output of a run's process goes."""
        return self.path / LOGS_FOLDER / f"{name}.txt"

    def open_log(self, name: str) -> int:
        """Open the log of a run to append to it, and return its descriptor.

        Raises:
            OSError: it cannot be written.
        """
        make_folder(self.path / LOGS_FOLDER)
        return open_file(self.log_path(name), os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def write_tables(self, rows: list[dict[str, Any]]) -> None:
        """Write `table.csv` and `table.json`; without rows they stay as they are.

        Raises:
            RunError: they cannot be written.
        """
        if not rows:
            return
        text = io.StringIO()
        writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        try:
            replace_file(self.path / TABLE_CSV, text.getvalue().encode(errors="replace"))
            replace_file(self.path / TABLE_JSON, _json(rows))
        except OSError as error:
            raise RunError(f"cannot write the tables in {self.path}: {reason(error)}") from error


class Claim(NamedTuple):
    """Whether the claim of a run was granted, and who wrote into it last, which is its holder where it was not."""

    granted: bool
    holder: str


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode(errors="replace")


def _options(experiment: Experiment) -> dict[str, Any]:
    return {key: value for key, value in experiment.to_dict().items() if key not in PLACEMENT}


def _identity(options: dict[str, Any]) -> str:
    """What two runs that compute the same have in common; the data may have moved."""
    return json.dumps({**options, "data_dir": None}, sort_keys=True)


@contextlib.contextmanager
def _lock(path: Path, name: str, *, wait: bool) -> Iterator[tuple[bool, BinaryIO]]:
    """Lock the file that stands for `name`; yields whether it could, False where it is held already, and the file."""
    folder = path / CLAIMS_FOLDER
    make_folder(folder)
    # It stays: who removed it could remove it from under the next holder.
    with os.fdopen(open_file(folder / name, os.O_RDWR | os.O_CREAT), "r+b", buffering=0) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False, file
            return
        except OSError as error:  # a file system without locks
            if error.errno not in (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL):
                raise
        yield True, file
