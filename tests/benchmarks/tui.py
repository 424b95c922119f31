"""How fast the terminal interface is: `python tests/benchmarks/tui.py [first-paint bytes ticks follow open thousand]`.

first-paint  from the command to the table of runs on a terminal of its own, best and median of 5
bytes        what goes to a terminal of 140 × 45: to open a run, and a step of its replay; seconds to the first picture
ticks        lateness of a 100 ms tick, newest run open, while two real trainings run on the same cores, 30 s
follow       processor time of the interface over 20 runs that write an evaluation a second, 20 s
open         from the key to the drawn screen of a run with 100,000 metric lines, best of 3
thousand     processor time of following a folder of 1,000 runs, 20 of which are written once a second, 20 s
"""

import asyncio
import contextlib
import fcntl
import json
import os
import pty
import select
import shutil
import struct
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tui"))

from tui_helpers import record, until, write_run

from simplexlab.tui.app import SimplexLab
from simplexlab.tui.demo import RUNS

WRITE_TWENTY = """
import sys, time
sys.path.insert(0, sys.argv[2])
from tui_helpers import arrays, record
from simplexlab.runs import RunWriter
config = {"kind": "train", "experiment": {"loss": "ce", "dataset": "digits", "corrupt": 0.2, "tolerance": 0.0}}
writers = [RunWriter.create(sys.argv[1], f"live-{index:02}", config, total=10**6) for index in range(20)]
iteration = 0
while True:
    for writer in writers:
        writer.log_metrics(record(iteration, 1 / (iteration + 1)))
        writer.save_geometry(iteration, **arrays())
        writer.set_status("running", iteration)
    iteration += 10
    time.sleep(1)
"""


COMPILED = tempfile.TemporaryDirectory()


class Terminal:
    """The interface in a terminal of its own, whose modules are compiled after the first one, as an installer does.

    Args:
        arguments: after `simplexlab tui`.
    """

    def __init__(self, *arguments: str):
        self.pid, self.descriptor = pty.fork()
        if self.pid == 0:
            os.environ |= {"TERM": "xterm-256color", "COLORTERM": "truecolor", "PYTHONPYCACHEPREFIX": COMPILED.name}
            os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
            os.execv(sys.executable, [sys.executable, "-m", "simplexlab", "tui", *arguments])
        fcntl.ioctl(self.descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", 45, 140, 0, 0))

    def read(self, until: bytes | None, quiet: float = 0.7, longest: float = 30.0) -> tuple[bytes, float]:
        """What it writes until some words were seen, or until it is quiet; and seconds to the last of it."""
        began = last = time.perf_counter()
        seen = b""
        while time.perf_counter() - began < longest and (until is None or until not in seen):
            if select.select([self.descriptor], [], [], quiet)[0]:
                seen += os.read(self.descriptor, 1 << 20)
                last = time.perf_counter()
            elif until is None:
                break
        return seen, last - began

    def press(self, keys: bytes) -> None:
        """Press keys."""
        os.write(self.descriptor, keys)

    def close(self) -> None:
        """Quit and wait."""
        self.press(b"q")
        with contextlib.suppress(OSError):
            while os.read(self.descriptor, 65536):
                pass
        os.waitpid(self.pid, 0)
        os.close(self.descriptor)


def first_paint() -> None:
    """Time the command until the table is on the terminal, after one that compiles."""
    times = []
    for _ in range(6):
        with tempfile.TemporaryDirectory() as folder:
            write_run(folder, "one", [record(0)])
            began = time.perf_counter()
            terminal = Terminal("--run-dir", folder)
            terminal.read(b"sorted")
            times.append(time.perf_counter() - began)
            terminal.close()
    del times[0]
    print(f"first paint: best {min(times):.2f} s, median {np.median(times):.2f} s")


def terminal_bytes() -> None:
    """Count what goes to the terminal when a recorded run is opened and replayed, and time its first picture."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(RUNS / "sc-40-flipped", Path(folder, "sc-40-flipped"))
        opened, times, steps = [], [], []
        for _ in range(3):
            terminal = Terminal("--run-dir", folder)
            terminal.read(b"sorted")
            terminal.read(None, quiet=1.5, longest=8)
            terminal.press(b"\r")
            first, seconds = terminal.read(b"means")  # in the legend of the configuration, which is drawn with the rest
            rest, _ = terminal.read(None)
            opened.append(len(first) + len(rest))
            times.append(seconds)
            for _ in range(5):
                terminal.press(b",")
                steps.append(len(terminal.read(None)[0]))
            terminal.close()
    print(f"opening a run: {max(opened) / 1000:.0f} kB at most, first picture best {min(times):.2f} s")
    print(f"a step of a replay: {max(steps) / 1000:.1f} kB at most, median {np.median(steps) / 1000:.1f} kB")


def ticks() -> None:
    """Time the ticks of the interface beside two trainings."""

    async def main(folder: str) -> None:
        app = SimplexLab(Path(folder), jobs=2)
        async with app.run_test(size=(140, 45)) as pilot:
            words = "--encoder resnet-small --width 16 --iterations 100000 --evaluate-every 50 --threads 1 --run-dir"
            app.launch([["train", "--loss", loss, *words.split(), folder] for loss in ("ce", "sc")])
            await until(pilot, lambda: sum(run.metrics is not None for run in app.runs) == 2, 180)
            app.open_run(app.runs[0])
            await asyncio.sleep(2)
            late = []
            due = time.perf_counter() + 0.1
            for _ in range(300):
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                late.append(time.perf_counter() - due)
                due = max(due, time.perf_counter()) + 0.1
            app.stop_runs(app.runs)
            await pilot.pause(1)
            await pilot.press("y")
            await until(pilot, lambda: all(run.status.state != "running" for run in app.runs), 60)
        p50, p99 = np.quantile(late, [0.5, 0.99]) * 1000
        print(f"ticks beside two trainings: {p50:.0f} ms late at the median, {p99:.0f} ms at p99 of {len(late)}")

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(main(folder))


def follow() -> None:
    """Measure the processor time of following twenty runs that are written."""

    async def main(folder: str) -> None:
        app = SimplexLab(Path(folder))
        async with app.run_test(size=(140, 45)) as pilot:
            await until(pilot, lambda: len(app.runs) == 20)
            await asyncio.sleep(3)
            began, used = time.perf_counter(), time.process_time()
            await asyncio.sleep(20)
            share = (time.process_time() - used) / (time.perf_counter() - began)
        print(f"following 20 live runs: {share:.1%} of one core")

    with tempfile.TemporaryDirectory() as folder:
        helpers = str(Path(__file__).parents[1] / "tui")
        process = subprocess.Popen([sys.executable, "-c", WRITE_TWENTY, folder, helpers])
        try:
            asyncio.run(main(folder))
        finally:
            process.kill()
            process.wait()


def thousand() -> None:
    """Measure the processor time of following twenty live runs among a thousand."""

    async def main(folder: str) -> None:
        app = SimplexLab(Path(folder))
        async with app.run_test(size=(200, 60)) as pilot:
            await until(pilot, lambda: len(app.runs) == 1000)
            await asyncio.sleep(3)
            began, used = time.perf_counter(), time.process_time()
            await asyncio.sleep(20)
            share = (time.process_time() - used) / (time.perf_counter() - began)
        print(f"following 20 live runs among 1,000: {share:.1%} of one core")

    with tempfile.TemporaryDirectory() as folder:
        first = write_run(folder, "run-000", [record(0), record(10)], geometry=False)
        for index in range(1, 980):
            shutil.copytree(first, Path(folder, f"run-{index:03}"))
        process = subprocess.Popen([sys.executable, "-c", WRITE_TWENTY, folder, str(Path(__file__).parents[1] / "tui")])
        try:
            asyncio.run(main(folder))
        finally:
            process.kill()
            process.wait()


def open_long() -> None:
    """Time the opening of a run with 100,000 lines."""

    async def main(folder: str) -> None:
        app = SimplexLab(Path(folder))
        async with app.run_test(size=(140, 45)) as pilot:
            await until(pilot, lambda: app.runs)
            times = []
            for _ in range(3):
                began = time.perf_counter()
                app.open_run(app.runs[0])
                while getattr(app.screen, "_drawn", None) is None or not app.screen.feed.records:
                    await asyncio.sleep(0.005)
                times.append(time.perf_counter() - began)
                await pilot.press("escape")
        print(f"opening 100,000 metric lines: best {min(times):.2f} s, median {np.median(times):.2f} s")

    with tempfile.TemporaryDirectory() as folder:
        path = write_run(folder, "long", [record(0)], total=100_000)
        line = json.dumps(record(0, 0.5))
        with open(path / "metrics.jsonl", "w") as file:
            for index in range(100_000):
                file.write(line.replace('"iteration": 0', f'"iteration": {index}') + "\n")
        asyncio.run(main(folder))


if __name__ == "__main__":
    chosen = {"first-paint": first_paint, "bytes": terminal_bytes, "ticks": ticks, "follow": follow}
    chosen |= {"open": open_long, "thousand": thousand}
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the start, Python {sys.version.split()[0]}")
    for name in sys.argv[1:] or chosen:
        chosen[name]()
