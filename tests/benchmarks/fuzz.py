"""Many bad command lines and damaged folders, with a table of how the commands ended.

    python tests/benchmarks/fuzz.py --cases 2000

A third of the cases are command lines, the others commands that read or write a run folder that was damaged: a value
of another type, a key dropped, a file cut, emptied, removed, or replaced by a link, a pipe or a folder. A fault is a
traceback, a hang, a write outside the folder, an exit code that is none of 0, 1, 2 and 130, wrong usage that is not
told in one line, or output that a terminal would obey. The exit code is 1 where there is one.
"""

import argparse
import collections
import os
import shutil
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[1] / "fuzz"))
import commands

KINDS = ("command line", "damaged folder, read", "damaged folder, written")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kind", choices=KINDS, action="append", help="this kind only; may be repeated")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    kinds = arguments.kind or KINDS
    table: collections.Counter = collections.Counter()
    with tempfile.TemporaryDirectory() as folder:
        world = commands.make_world(Path(folder))
        shutil.copytree(world, world.parent / "pristine")
        (world / "file").write_text("x")
        (world / "loop").symlink_to(world / "loop")
        os.mkfifo(world / "pipe")
        for index, kind in enumerate(kinds):
            cases = cases_of(world, kind, table)
            limits = settings(
                max_examples=arguments.cases // len(kinds),
                deadline=None,
                database=None,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            seed(arguments.seed + index)(limits(cases))()
    for (kind, end), count in sorted(table.items()):
        print(f"{count:6d}  {kind}: {end}")
    faults = sum(count for (_, end), count in table.items() if not end.startswith("exit code"))
    print(f"{faults} faults in {sum(table.values())} cases")
    return 1 if faults else 0


def cases_of(world: Path, kind: str, table: collections.Counter) -> Callable[[], None]:
    """A test of all cases of a kind."""

    @given(data=st.data())
    def cases(data):
        record_one(world, kind, table, data)

    return cases


def record_one(world: Path, kind: str, table: collections.Counter, data: st.DataObject) -> None:
    """Do one case and count how it ended."""
    outcome = one(world, kind, data)
    table.update((kind, end) for end in outcome.faults or (f"exit code {outcome.code}",))
    if outcome.faults:
        print(outcome.faults, outcome.words, outcome.err[-300:], file=sys.stderr, flush=True)


def one(world: Path, kind: str, data: st.DataObject) -> commands.Outcome:
    """One case of a kind."""
    if kind == "command line":
        return commands.run(data.draw(commands.command_lines()), world)
    choices = commands.READERS if kind.endswith("read") else commands.WRITERS
    mutation, command = data.draw(commands.mutations()), data.draw(st.sampled_from(choices))
    return commands.damaged(world, mutation, command, data.draw(st.sampled_from(["ce-0", "sc-0.2"])))


if __name__ == "__main__":
    sys.exit(main())
