"""How fast the terminal interface is: `python tests/benchmarks/tui.py [first-paint ticks follow open]`.

first-paint  from the command to the table of runs on a terminal of its own, best and median of 5
ticks        lateness of a 100 ms tick, newest run open, while two real trainings run on the same cores, 30 s
follow       processor time of the interface over 20 runs that write an evaluation a second, 20 s
open         from the key to the drawn screen of a run with 100,000 metric lines, best of 3
"""

import asyncio
import json
import os
import pty
import select
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tui"))

from tui_helpers import record, until, write_run

from simplexlab.tui.app import SimplexLab

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


def first_paint() -> None:
    """Time the command until the table is on the terminal."""
    times = []
    for _ in range(5):
        with tempfile.TemporaryDirectory() as folder:
            write_run(folder, "one", [record(0)])
            began = time.perf_counter()
            pid, terminal = pty.fork()
            if pid == 0:
                os.environ["TERM"] = "xterm-256color"
                os.execv(sys.executable, [sys.executable, "-m", "simplexlab", "tui", "--run-dir", folder])
            seen = b""
            while b"sorted" not in seen:
                if select.select([terminal], [], [], 30)[0]:
                    seen += os.read(terminal, 65536)
            times.append(time.perf_counter() - began)
            os.write(terminal, b"q")
            while True:
                try:
                    if not os.read(terminal, 65536):
                        break
                except OSError:
                    break
            os.waitpid(pid, 0)
            os.close(terminal)
    print(f"first paint: best {min(times):.2f} s, median {np.median(times):.2f} s")


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
    chosen = {"first-paint": first_paint, "ticks": ticks, "follow": follow, "open": open_long}
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the start, Python {sys.version.split()[0]}")
    for name in sys.argv[1:] or chosen:
        chosen[name]()
