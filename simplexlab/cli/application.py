"""The commands. The module of one is imported when the command is used, and imports what is heavy when it runs."""

from cyclopts import App

from simplexlab import __version__

app = App(
    name="simplexlab",
    help="See what supervised losses do to representations, beside their proven optima.",
    help_epilogue="Example: simplexlab train --loss ce --corrupt 0.2",
    version=__version__,
    version_flags=["--version"],
    suppress_keyboard_interrupt=False,  # `main` tells it
    help_format="plaintext",  # a renderer of Markdown takes a tenth of a second to import
)
# name: (where it is, what it does, an example; None for a group of commands, an App with examples of its own)
COMMANDS = {
    "train": ("train:train", "Train an encoder and write a run folder.", "simplexlab train --loss ce --corrupt 0.2"),
    "resume": (
        "resume:resume",
        "Go on with a run that was stopped or killed.",
        "simplexlab resume digits-ce-0.2-s0",
    ),
    "sweep": (
        "sweep:sweep",
        "Train a grid of losses, corruptions, seeds and other options.",
        "simplexlab sweep --preset class",
    ),
    "launch": (
        "launch:launch",
        "Train with several worker processes on this machine.",
        "simplexlab launch --workers 2 -- train --loss sc --corrupt 0.2",
    ),
    "evaluate": (
        "evaluate:evaluate",
        "Recompute the final numbers of a run from its model and the data.",
        "simplexlab evaluate digits-ce-0.2-s0",
    ),
    "bench": (
        "bench:bench",
        "Measure how fast an experiment trains on this machine.",
        "simplexlab bench --loss sc --batch-size 256",
    ),
    "doctor": (
        "doctor:doctor",
        "Show versions, devices, threads, data, and how to mend what is wrong.",
        "simplexlab doctor",
    ),
    "runs": (
        "runs:runs",
        "List the runs, or show one in full.",
        None,
    ),
    "objectives": (
        "objectives:objectives",
        "List what --loss takes: every objective, its options, its reference.",
        "simplexlab objectives",
    ),
    "report": (
        "report:report",
        "Write one HTML page of a sweep.",
        "simplexlab report sweeps/class",
    ),
    "lessons": ("lessons:lessons", "List, copy and run the lessons, and collect what a class answered.", None),
    "geometry": (
        "geometry:geometry",
        "Measure representations in a file beside their optimum.",
        "simplexlab geometry representations.npz",
    ),
    "bound": (
        "bound:bound",
        "Compute the proven lower bound of a loss.",
        None,
    ),
    "data": ("data:data", "List, check and import datasets.", None),
    "toy": ("toy:toy", "Optimise free points: the ideal encoder, in two or three dimensions.", None),
    "figure": ("figure:figure", "Draw a figure of the paper, with its numbers.", None),
    "tui": ("tui:tui", "Launch runs and watch their geometry in the terminal.", "simplexlab tui"),
}
for _name, (_path, _help, _example) in COMMANDS.items():
    _epilogue = {"help_epilogue": f"Example: {_example}\n"} if _example else {}
    app.command(f"simplexlab.cli.{_path}", name=_name, help=_help, **_epilogue)
