"""An objective and a statistic in one file of one's own, found everywhere; written from docs/objectives.md alone."""

import base64
import csv
import json
import os
import re
import signal
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from simplexlab import objectives
from simplexlab.config import Experiment
from simplexlab.errors import UsageError
from simplexlab.geometry import regular_simplex, standard_optimum, statistics
from simplexlab.geometry.catalogue import CATALOGUE, rows_of
from simplexlab.objectives import Known, own
from simplexlab.runs import read_run
from simplexlab.training.commands import train
from simplexlab.training.progress import PlainLines
from simplexlab.training.progress import numbers as progress_numbers

sys.path.insert(0, str(Path(__file__).parents[1] / "tui"))

PAGE = Path(__file__).parents[2] / "docs" / "objectives.md"
BLOCKS = {
    block.split("\n", 1)[0].removeprefix("# "): block
    for block in re.findall(r"^```python\n(# \w+\.py\n.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
}
OPTIONS = {"encoder": "mlp", "width": 4, "batch_size": 12, "iterations": 40, "evaluate_every": 20, "corrupt": 0.4}


class StopAt(keras.callbacks.Callback):
    """Interrupts the run once it has come to iteration 20."""

    def on_train_batch_end(self, batch, logs=None):
        if batch >= 20:
            os.kill(os.getpid(), signal.SIGINT)


def call(*words):
    """The command line in this process, where `capsys` has no say: its exit code."""
    from simplexlab.cli import main

    return main([str(word) for word in words])


@pytest.fixture(scope="module")
def lab(tmp_path_factory, shared_npz):
    """A folder with the file, a run that was stopped and resumed, and a sweep of ce and the file."""
    folder = tmp_path_factory.mktemp("lab")
    file = folder / "my_loss.py"
    file.write_text(BLOCKS["my_loss.py"] + "\n\n" + BLOCKS["norms.py"])
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("XDG_STATE_HOME", str(folder / "state"))
        monkeypatch.chdir(folder)
        experiment = Experiment(
            loss="my_loss.py", dataset=str(shared_npz), run_dir="runs", name="mine", options={"margin": 1.0}, **OPTIONS
        )
        assert train(experiment, [StopAt()])["state"] == "stopped"
        own.forget()
        own._allowed.clear()  # as in a process of its own
        assert call("resume", "mine") == 0
        settings = {**OPTIONS, "dataset": str(shared_npz)}
        del settings["corrupt"]
        given = [word for name, value in settings.items() for word in ("--set", f"{name.replace('_', '-')}={value}")]
        grid = ("--losses", "ce,my_loss.py", "--corruptions", "0.4", "--seeds", "1", "--set", "margin=0.5,1")
        assert call("sweep", *grid, *given, "--run-dir", "sweep", "--jobs", 1) == 0
    own.forget()
    own._allowed.clear()
    return folder


@pytest.fixture
def here(lab, monkeypatch):
    """The folder as its user finds it in a new process."""
    monkeypatch.setenv("XDG_STATE_HOME", str(lab / "state"))
    monkeypatch.chdir(lab)
    return lab


def test_the_page_s_loss_takes_at_most_twenty_lines():
    assert len(BLOCKS["my_loss.py"].splitlines()) <= 20
    assert {"my_loss.py", "gram.py", "orthogonal.py", "margin_floor.py", "norms.py"} == set(BLOCKS)


@pytest.mark.parametrize("name", BLOCKS)
def test_every_block_of_the_page_runs(name, tmp_path):
    (tmp_path / name).write_text(BLOCKS[name])
    if "Objective(" not in BLOCKS[name]:
        exec(compile(BLOCKS[name], name, "exec"), {})
        return
    objectives.allow(str(tmp_path / name))
    entry = objectives.get(str(tmp_path / name))
    from simplexlab.training.function_loss import make_loss, try_out

    try_out(entry, entry.resolve({}), "float32", 4, 4 if entry.head != "none" else 6)
    if name == "my_loss.py":
        logits = np.array([[2.0, 1.0, 0.0], [0.0, 0.5, 0.0]])
        values = keras.ops.convert_to_numpy(make_loss(entry, {"margin": 1.0}, "float64")(np.array([0, 1]), logits))
        moved = logits - np.eye(3)[[0, 1]]
        expected = np.log(np.exp(moved).sum(axis=1)) - moved[[0, 1], [0, 1]]
        assert values == pytest.approx(expected, rel=1e-12)


def test_the_page_s_penalty_is_in_the_loss_of_training_and_of_evaluation_once(tmp_path, shared_npz):
    (tmp_path / "orthogonal.py").write_text(BLOCKS["orthogonal.py"])
    objectives.allow(str(tmp_path / "orthogonal.py"))
    losses = {}
    for strength in (0.0, 2.0):
        experiment = Experiment(
            loss=str(tmp_path / "orthogonal.py"),
            dataset=str(shared_npz),
            run_dir=str(tmp_path),
            name=f"run{strength:g}",
            options={"strength": strength},
            **{**OPTIONS, "iterations": 1, "evaluate_every": 1},
        )
        train(experiment)
        records = (tmp_path / f"run{strength:g}" / "metrics.jsonl").read_text().splitlines()
        first, last = map(json.loads, records)
        losses[strength] = np.array([first["loss"], last["batch_loss"]])
    with np.load(tmp_path / "run0" / "geometry" / "00000000.npz") as arrays:
        units = arrays["weights"] / np.linalg.norm(arrays["weights"], axis=1, keepdims=True)
    penalty = 2.0 * np.mean((units @ units.T - np.eye(len(units))) ** 2)
    assert losses[2.0] - losses[0.0] == pytest.approx([penalty, penalty], rel=1e-4)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("return rows", "the penalty must return one floating-point number"),
        ("return rows.nothing", "orthogonal.py, line {line}: AttributeError"),
        ("return strength / 0.0", "orthogonal.py, line {line}: ZeroDivisionError"),
        ("return ops.sum(rows) * float('inf')", "is .*inf|nan"),
    ],
)
def test_a_penalty_that_is_none_is_told_with_its_line(tmp_path, shared_npz, line, told):
    source = BLOCKS["orthogonal.py"].splitlines()
    place = next(number for number, text in enumerate(source) if text.startswith("    units = rows"))
    source[place] = "    " + line
    (tmp_path / "orthogonal.py").write_text("\n".join(source))
    objectives.allow(str(tmp_path / "orthogonal.py"))
    experiment = Experiment(
        loss=str(tmp_path / "orthogonal.py"), dataset=str(shared_npz), run_dir=str(tmp_path / "runs"), **OPTIONS
    )
    with pytest.raises(UsageError, match=told.format(line=place + 1)):
        train(experiment)


@pytest.mark.parametrize("margin", [0.0, 0.7])
def test_the_page_s_floor_is_the_least_value(tmp_path, margin):
    (tmp_path / "margin_floor.py").write_text(BLOCKS["margin_floor.py"])
    objectives.allow(str(tmp_path / "margin_floor.py"))
    entry = objectives.get(str(tmp_path / "margin_floor.py"))
    weights = 3 * regular_simplex(4, 5)
    known = Known(np.full(4, 25), 5, {"margin": margin}, 16, "free", 2.0, weights)
    floor = entry.floor(known)
    separation = 2.0 * np.linalg.norm(weights) * np.sqrt(4) / 3  # Theorem 1's exponent, the own logit less the others'
    exact = np.log1p(3 * np.exp(margin - separation))
    assert floor.value == pytest.approx(exact, rel=1e-6)
    assert exact * (1 - 1e-6) <= floor.value
    assert floor.certificate <= exact * (1 + 1e-12)
    logits = 2.0 * regular_simplex(4, 5) @ weights.T
    from simplexlab.training.function_loss import make_loss

    values = make_loss(entry, {"margin": margin}, "float64")(np.arange(4), logits)
    assert keras.ops.convert_to_numpy(values) == pytest.approx(exact, rel=1e-9)


def test_the_run_that_was_stopped_and_resumed(here):
    run = read_run("runs/mine")
    assert run.status.state == "finished"
    lines = [json.loads(line) for line in (here / "runs/mine/metrics.jsonl").read_text().splitlines()]
    assert [line["iteration"] for line in lines] == [0, 20, 40]
    for line in lines:
        assert (line["bound"], line["excess"]) == (None, None)
        with np.load(here / "runs/mine/geometry" / f"{line['iteration']:08d}.npz") as arrays:
            norms = np.linalg.norm(arrays["class_means"], axis=1)
        assert line["class_mean_norm"] == pytest.approx(norms.mean(), rel=1e-6)
    assert run.config["experiment"]["margin"] == 1.0
    assert (here / "runs/mine/loss.py").read_bytes() == (here / "my_loss.py").read_bytes()
    assert [row.key for row in rows_of(run.config)] == [*CATALOGUE, "class_mean_norm"]
    assert run.result["loss"] == "margin"
    assert "--option margin=1" in run.config["command"]


def test_evaluate_finds_the_same_numbers(here, simplexlab):
    code, out, err = simplexlab("evaluate", "mine")
    assert code == 0, err
    assert "Every number agrees with result.json." in out
    assert "norm of the class means" in out
    code, out, _ = simplexlab("evaluate", "mine", "--json")
    assert json.loads(out)["differences"] == {}


def test_event_files_and_callbacks_have_the_statistic(here):
    import tensorflow as tf

    found = {
        value.tag
        for path in (here / "runs/mine/tb/train").iterdir()
        for event in tf.compat.v1.train.summary_iterator(str(path))
        for value in event.summary.value
    }
    assert {"class_mean_norm", "nc1", "loss"} <= found
    assert not {"bound", "excess"} & found


def test_runs_and_runs_show(here, simplexlab):
    code, out, _ = simplexlab("runs")
    assert code == 0
    assert "margin" in out
    code, out, _ = simplexlab("runs", "--json")
    rows = json.loads(out)
    row = (rows["runs"] if isinstance(rows, dict) else rows)[0]
    assert (row["loss"], row["bound"], row["excess"]) == ("margin", None, None)
    code, out, err = simplexlab("runs", "show", "mine")
    assert code == 0, err
    for words in ("norm of the class means", "margin", "none is known for this objective"):
        assert words in out


def test_the_sweep_s_table_has_both_losses_the_option_and_the_statistic(here):
    with open("sweep/table.csv") as file:
        rows = {row["run"]: row for row in csv.DictReader(file)}
    assert set(rows) == {"ce-0.4-s0", "margin-0.4-s0-margin=0.5", "margin-0.4-s0-margin=1"}
    same = rows["margin-0.4-s0-margin=1"]
    line = json.loads((here / "runs/mine/result.json").read_text())
    assert float(same["final_loss"]) == pytest.approx(line["final_loss"], rel=1e-4)
    assert float(same["class_mean_norm"]) == pytest.approx(line["class_mean_norm"], rel=1e-4)
    assert (same["bound"], same["excess"], same["margin"]) == ("", "", "1.0")
    ce = rows["ce-0.4-s0"]
    assert ce["margin"] == ""
    assert ce["class_mean_norm"] == ""  # the row goes with its file
    assert float(ce["excess"]) > 0
    assert json.loads((here / "sweep" / "ce-0.4-s0" / "config.json").read_text())["statistics"] == []


def test_a_sweep_that_goes_on_finds_nothing_to_do(here, simplexlab):
    code, out, err = simplexlab("sweep", "--run-dir", "sweep", "--json")
    assert code == 0, err
    assert json.loads(out)["finished"] == 3


def test_figure_7_and_the_report_show_it_in_its_own_colour(here, simplexlab, tmp_path):
    code, _out, err = simplexlab("figure", "7", "sweep", "--output", f"{tmp_path}/")
    assert code == 0, err
    picture = next(tmp_path.glob("*.svg")).read_text()
    colour = objectives.of_run(read_run("runs/mine").config).colour
    assert colour.lower() in picture.lower()
    assert "CE + margin" in picture
    code, _, err = simplexlab("report", "sweep", "--output", tmp_path / "report.html")
    assert code == 0, err
    report = (tmp_path / "report.html").read_text()
    assert "CE + margin" in report
    assert "norm of the class means" in report
    pictures = [
        base64.b64decode(data).decode() for data in re.findall(r"data:image/svg\+xml;base64,([\w+/=]+)", report)
    ]
    assert any(colour.lower() in one.lower() and "CE + margin" in one for one in pictures)


def test_the_form_and_the_panels_of_the_interface(here):
    from tui_helpers import drive, open_run, text, until

    from simplexlab.tui.views import form

    experiment = read_run("runs/mine").config["experiment"]
    texts = form.texts_of(experiment)
    assert texts["loss_file"] == str(here / "my_loss.py")
    assert texts["option"] == "margin=1"
    made = form.experiments(texts | {"loss": "ce"}, here / "runs")
    assert [one.loss for one in made] == ["ce", str(here / "my_loss.py")]
    assert form.arguments(made[1])[-2:] == ["--option", "margin=1"]
    assert own._loaded == {}  # nothing was executed

    async def steps(pilot):
        await until(pilot, lambda: "margin" in text(pilot.app))
        await open_run(pilot, "mine")
        await until(pilot, lambda: "‖μ‖" in text(pilot.app))
        assert "train" in text(pilot.app)

    drive(here / "runs", steps, size=(180, 60))
    assert own._loaded == {}


def test_the_interface_sets_it_beside_ce(here):
    """Compare, a duel and the form, with a loss without a floor beside one with a floor."""
    from tui_helpers import drive, text, until

    from simplexlab.tui.views import form

    texts = form.texts_of(read_run("runs/mine").config["experiment"])

    async def steps(pilot):
        app = pilot.app
        await until(pilot, lambda: len(app.runs) == 3)
        app.compare(app.runs)
        await until(pilot, lambda: "margin=1" in text(app) and "ce-0.4" in text(app))
        await pilot.press("escape")
        app.duel([run for run in app.runs if run.name in ("ce-0.4-s0", "margin-0.4-s0-margin=1")])
        await until(pilot, lambda: "margin" in text(app) and "ce" in text(app))
        await pilot.press("escape")
        app.action_new_run(texts)
        await until(pilot, lambda: "--option margin=1" in text(app))
        assert "my_loss.py" in text(app)

    drive(here / "sweep", steps, size=(180, 60))
    assert own._loaded == {}


def test_what_the_form_cannot_start_is_told(here):
    from simplexlab.errors import UsageError
    from simplexlab.tui.views import form

    for texts, told in (
        ({"loss_file": "nowhere.py"}, "there is no such file"),
        ({"loss_file": "mine"}, "is not the path of a Python file"),
        ({"option": "margin=1"}, "it goes with a loss of your own"),
        ({"loss_file": "my_loss.py", "option": "margin"}, "option margin is not NAME=VALUE"),
    ):
        with pytest.raises(UsageError, match=told):
            form.experiments(texts, here / "runs")


def test_a_line_of_progress_without_a_floor(capsys):
    logs = {"iteration": 20.0, "seconds": 1.0, "loss": 0.5, "train_error": 0.25}
    assert progress_numbers(logs) == "loss 0.5  train error 25.0%"
    assert progress_numbers(logs | {"excess": 0.1}) == "loss 0.5  excess 0.1  train error 25.0%"
    PlainLines(40).on_epoch_end(0, logs)
    assert capsys.readouterr().err == "iteration 20/40  loss 0.5  train error 25.0%  1.0 s\n"


@pytest.mark.parametrize("key", CATALOGUE)
def test_a_row_says_whether_it_is_a_distribution(key):
    found = statistics(3 * regular_simplex(4, 4)[np.arange(40) % 4], np.arange(40) % 4, regular_simplex(4, 4))
    value = CATALOGUE[key].value(found, standard_optimum(4, dimension=4))
    assert isinstance(value, dict) == CATALOGUE[key].spread
