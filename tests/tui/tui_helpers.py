"""What the tests of the interface share beside fixtures."""

import asyncio
import json
import time

import numpy as np

from simplexlab.geometry import regular_simplex
from simplexlab.runs import RunWriter


def text(app):
    """The screen as lines of text."""
    return "\n".join("".join(part.text for part in strip).rstrip() for strip in app.screen._compositor.render_strips())


async def until(pilot, condition, seconds=60.0):
    """Wait until a condition holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds} s:\n{text(pilot.app)}"
        await pilot.pause(0.05)


def drive(run_dir, steps, size=(140, 45), **options):
    """Run the application over a folder and let `steps(pilot)` drive it."""

    from simplexlab.tui.app import SimplexLab  # here, as a process that only writes runs does without it

    async def main():
        app = SimplexLab(run_dir, **options)
        app.animation_level = "none"  # else a picture is taken in the middle of one where the machine is busy
        async with app.run_test(size=size, notifications=True) as pilot:
            await pilot.pause()
            await steps(pilot)

    asyncio.run(main())


async def open_run(pilot, name):
    """Open a run from the table and wait until it is drawn."""
    app = pilot.app
    await until(pilot, lambda: any(run.name == name for run in app.runs))
    app.open_run(next(run for run in app.runs if run.name == name))
    await until(pilot, lambda: is_drawn(app.screen))
    await pilot.pause(0.2)


def is_drawn(screen):
    """Whether a run's screen has read its geometry and drawn every panel."""
    reads = any(worker.group == "geometry" and not worker.is_finished for worker in screen.workers)
    return getattr(screen, "_drawn", None) is not None and not reads and not screen._drawing


def record(iteration, loss=1.0, error=0.5, **more):
    """One line of metrics with the keys that the interface reads."""
    spread = {"mean": 0.6, "q05": 0.5, "q95": 0.7, "minimum": 0.4, "maximum": 0.8}
    return {
        "iteration": iteration,
        "seconds": iteration / 10,
        "loss": loss,
        "bound": 0.1,
        "excess": loss - 0.1,
        "train_error": error,
        "test_error": error / 2,
        "num_classes": 3,
        "dimension": 4,
        "imbalance": 0.0,
        "bound_is_exact": True,
        "class_mean_similarity": spread,
        "weight_similarity": spread,
        "within_class_similarity": spread,
        "nc1": 0.5,
        "nc2": 0.4,
        "nc3": 0.3,
        "nc4": 0.2,
        **more,
    }


def arrays():
    """The geometry of one evaluation."""
    means = regular_simplex(3, 4).astype(np.float32)
    counts = np.zeros(50, int)
    counts[20] = 3
    return {
        "class_means": means,
        "weights": means,
        "sample": np.repeat(means, 5, axis=0),
        "sample_labels": np.repeat(np.arange(3), 5),
        "class_mean_histogram": counts,
        "within_class_histogram": counts,
        "weight_histogram": counts,
    }


def write_run(run_dir, name, records, *, state="finished", total=100, geometry=True, experiment=None):
    """Write a run folder as a training process does."""
    options = {"loss": "ce", "dataset": "digits", "corrupt": 0.2, "tolerance": 0.0, "iterations": total}
    config = {
        "kind": "train",
        "experiment": options | (experiment or {}),
        "command": "simplexlab train --loss ce --corrupt 0.2",
        "created": "2026-01-01T00:00:00+00:00",
    }
    with RunWriter.create(run_dir, name, config, total=total) as writer:
        for line in records:
            writer.log_metrics(line)
            if geometry:
                writer.save_geometry(line["iteration"], **arrays())
        writer.set_status(state, records[-1]["iteration"] if records else 0)
        return writer.path


WRITE_FOREVER = """
import sys, time
sys.path.insert(0, sys.argv[2])
from tui_helpers import arrays, record
from simplexlab.runs import RunWriter
config = {"kind": "train", "experiment": {"loss": "ce", "dataset": "digits", "corrupt": 0.2, "tolerance": 0.0}}
with RunWriter.create(sys.argv[1], "live", config, total=10**6) as writer:
    iteration = 0
    writer.log_path.write_text("the last words of the process\\n")
    while True:
        writer.log_metrics(record(iteration, 1 / (iteration + 1)))
        writer.save_geometry(iteration, **arrays())
        writer.set_status("running", iteration)
        iteration += 10
        time.sleep(0.2)
"""


def runs_show(run_dir, name, capsys):
    """What `simplexlab runs show --json` says."""
    from simplexlab.cli import main

    capsys.readouterr()
    assert main(["runs", "show", name, "--run-dir", str(run_dir), "--json"]) == 0
    return json.loads(capsys.readouterr().out)
