"""What a person sees while a run trains: a progress bar on a terminal, plain lines elsewhere; both on stderr."""

import sys

import keras
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from simplexlab import text
from simplexlab.asides import progress_begins


def progress_callback(total: int) -> keras.callbacks.Callback:
    """The callback that shows the progress of a run of `total` iterations on stderr."""
    console = text.console(stderr=True)
    return ProgressBar(console, total) if console.is_terminal else PlainLines(total)


class ProgressBar(keras.callbacks.Callback):
    """A rich progress bar with iteration, loss, excess, train error and the time left."""

    reads_logs_only = True

    def __init__(self, console: Console, total: int):
        super().__init__()
        self.progress = Progress(
            TextColumn("training"),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TextColumn("{task.fields[numbers]}"),
            TimeRemainingColumn(compact=True),
            console=console,
            expand=True,
        )
        self.task = self.progress.add_task("", total=total, numbers="first evaluation")

    def on_train_begin(self, logs=None):
        """Show the bar, from the iteration where a resumed run goes on."""
        progress_begins()
        self.progress.reset(self.task, completed=logs["iteration"])
        self.progress.start()

    def on_train_batch_end(self, batch, logs=None):
        """Move the bar to the iteration reached."""
        self.progress.update(self.task, completed=batch)

    def on_epoch_end(self, epoch, logs=None):
        """Show the numbers of the evaluation."""
        self.progress.update(self.task, numbers=numbers(logs))

    def on_train_end(self, logs=None):
        """Take the bar down; the final table follows."""
        self.progress.stop()


class PlainLines(keras.callbacks.Callback):
    """One plain line an evaluation."""

    reads_logs_only = True

    def __init__(self, total: int):
        super().__init__()
        self.total = total

    def on_epoch_end(self, epoch, logs=None):
        """Print the evaluation."""
        progress_begins()
        line = f"iteration {logs['iteration']:.0f}/{self.total}  {numbers(logs)}  {logs['seconds']:.1f} s"
        print(line, file=sys.stderr, flush=True)


def numbers(logs: dict) -> str:
    """Loss, excess over the bound and train error of one evaluation, in a few words."""
    excess = f"  excess {logs['excess']:.3g}" if "excess" in logs else ""  # an objective may have no floor
    return f"loss {logs['loss']:.4g}{excess}  train error {logs['train_error']:.1%}"
