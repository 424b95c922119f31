"""Time every lesson: `python tests/benchmarks/lessons.py [--fast]`.

Prints the minutes by the clock and of processor time; those by the clock belong in the heads of the lessons.
"""

import resource
import subprocess
import sys
import tempfile
import time

from simplexlab.course.scripts import SHIPPED

LESSONS = sorted(SHIPPED.glob("[1-9]_*.py"))


def main() -> None:
    """Run each lesson in a process of its own and print a line of a Markdown table."""
    print("| lesson | by the clock (min) | processor time (min) | exit code |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for path in LESSONS:
            began, before = time.perf_counter(), processor_seconds()
            ended = subprocess.run([sys.executable, path, "--output", folder, *sys.argv[1:]], capture_output=True)
            clock, processor = time.perf_counter() - began, processor_seconds() - before
            print(f"| {path.stem} | {clock / 60:.1f} | {processor / 60:.1f} | {ended.returncode} |", flush=True)


def processor_seconds() -> float:
    """Processor time of all processes that have ended below this one."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main()
