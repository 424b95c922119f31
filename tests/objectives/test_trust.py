"""What a run folder from somewhere else contains or points to is never executed, unless its user says `--trust`.

The file of the loss writes a line to a marker whenever it is executed.
"""

import json
import os
import shutil
import signal
import sys
from pathlib import Path

import keras
import pytest

from simplexlab.config import Experiment
from simplexlab.objectives import own
from simplexlab.runs import RunWriter
from simplexlab.training.commands import train

sys.path.insert(0, str(Path(__file__).parents[1] / "tui"))

OPTIONS = {"encoder": "mlp", "width": 4, "batch_size": 12, "iterations": 40, "evaluate_every": 20}


def content(marker):
    return f"""from pathlib import Path
from keras import ops
from simplexlab.objectives import Objective

with Path({str(marker)!r}).open("a") as file:
    print("executed", file=file)


def loss(labels, logits):
    return ops.logsumexp(logits, axis=1) - ops.sum(logits * ops.one_hot(labels, logits.shape[1]), axis=1)


marked = Objective(name="marked", loss=loss)
"""


class StopAt(keras.callbacks.Callback):
    """Interrupts the run once it has come to an iteration."""

    def on_train_batch_end(self, batch, logs=None):
        if batch >= 20:
            os.kill(os.getpid(), signal.SIGINT)


@pytest.fixture(scope="module")
def made(tmp_path_factory, shared_npz):
    """A folder with a file, a run of it that was stopped, and one that has ended; what was executed is forgotten."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "marked.py").write_text(content(folder / "marker"))
    options = {"loss": str(folder / "marked.py"), "dataset": str(shared_npz), "run_dir": str(folder / "runs")}
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("XDG_STATE_HOME", str(folder / "state"))
        train(Experiment(**options, **OPTIONS, name="stopped"), [StopAt()])
        train(Experiment(**options, **OPTIONS, name="ended"))
    own.forget()
    own._allowed.clear()
    return folder


@pytest.fixture
def received(made, tmp_path, monkeypatch):
    """The file and the runs as their own user has them in `tmp_path`, in a new process; nothing was executed yet."""
    marker = tmp_path / "marker"
    (tmp_path / "marked.py").write_text(content(marker))
    shutil.copytree(made / "runs", tmp_path / "runs")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    for run in (tmp_path / "runs").iterdir():
        (run / "loss.py").write_text(content(marker))
        change(run, loss=str(tmp_path / "marked.py"))
    own.allow(str(tmp_path / "marked.py"))
    own._allowed.clear()
    return tmp_path


def change(run, loss):
    """Have a run folder point to another file, with the checksum that this file has."""
    config = json.loads((run / "config.json").read_text())
    config["experiment"]["loss"] = loss
    config["objective"] |= own.source_facts(loss)
    (run / "config.json").write_text(json.dumps(config))


def runs_in(folder):
    return [path for path in (folder / "runs").iterdir() if (path / "config.json").exists()]


def executed(folder):
    return (folder / "marker").exists()


def never_run(folder, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(folder / "nothing"))


def changed(folder, monkeypatch):
    (folder / "marked.py").write_text(content(folder / "marker") + "# changed\n")
    own.allow(str(folder / "marked.py"))  # its user has run the changed one too
    own._allowed.clear()


def deleted(folder, monkeypatch):
    (folder / "marked.py").unlink()


def other_file(folder, monkeypatch):
    (folder / "evil.py").write_text(content(folder / "marker") + "# evil\n")
    for run in runs_in(folder):
        change(run, str(folder / "evil.py"))


def damaged_facts(folder, monkeypatch):
    for run in runs_in(folder):
        config = json.loads((run / "config.json").read_text())
        (run / "config.json").write_text(json.dumps(config | {"objective": ["marked"]}))


WAYS = {
    "was never run here by its user": never_run,
    "has changed since the run was started": changed,
    "is not there any more": deleted,
    "evil.py, was never run here by its user": other_file,
    "is damaged: config.json: objective is a list, not an object": damaged_facts,
}


@pytest.mark.parametrize("told", WAYS)
@pytest.mark.parametrize(("command", "run"), [("resume", "stopped"), ("evaluate", "ended")])
def test_it_is_not_executed_and_why_is_told(received, simplexlab, monkeypatch, command, run, told):
    WAYS[told](received, monkeypatch)
    before = sorted(path.read_bytes() for path in (received / "runs" / run).glob("*.json*"))
    code, out, err = simplexlab(command, run, "--run-dir", received / "runs")
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert told in err
    assert "--trust goes on with the copy in its folder" in err or WAYS[told] is damaged_facts
    assert not executed(received)
    assert sorted(path.read_bytes() for path in (received / "runs" / run).glob("*.json*")) == before


@pytest.mark.parametrize(("command", "run"), [("resume", "stopped"), ("evaluate", "ended")])
def test_trust_takes_no_copy_that_is_another_file(received, simplexlab, command, run):
    deleted(received, None)
    (received / "runs" / run / "loss.py").write_text(content(received / "marker") + "# evil\n")
    code, _, err = simplexlab(command, run, "--run-dir", received / "runs", "--trust")
    assert code == 2
    assert "is not the file that the run was started with; its loss is lost" in err
    assert not executed(received)


def test_nor_a_link_in_its_place(received, simplexlab):
    deleted(received, None)
    copy = received / "runs" / "ended" / "loss.py"
    copy.rename(received / "elsewhere.py")
    copy.symlink_to(received / "elsewhere.py")
    code, _, err = simplexlab("evaluate", "ended", "--run-dir", received / "runs", "--trust")
    assert code == 2
    assert "it is a link" in err
    assert not executed(received)


def test_the_original_where_its_user_has_run_it_and_with_trust_the_copy(received, simplexlab, monkeypatch):
    code, _, err = simplexlab("resume", "stopped", "--run-dir", received / "runs")
    assert code == 0, err
    assert executed(received)
    (received / "marker").unlink()
    own.forget()
    own._allowed.clear()
    never_run(received, monkeypatch)
    deleted(received, monkeypatch)
    code, out, err = simplexlab("evaluate", "stopped", "--run-dir", received / "runs", "--trust")
    assert code == 0, err
    assert "Every number agrees" in out
    assert executed(received)
    assert not (received / "nothing").exists()  # the copy is trusted this once


def test_train_resume_tells_a_file_that_has_changed(received, simplexlab, shared_npz):
    (received / "marked.py").write_text(content(received / "marker") + "# changed\n")
    flags = [word for name, value in OPTIONS.items() for word in ("--" + name.replace("_", "-"), value)]
    place = ("--dataset", shared_npz, "--run-dir", received / "runs", "--name", "stopped", "--resume")
    code, _, err = simplexlab("train", "--loss", received / "marked.py", *flags, *place)
    assert code == 2
    assert "has changed since stopped was started; `simplexlab resume stopped --trust`" in err


class TestASweep:
    @pytest.fixture
    def sweep(self, received, simplexlab, shared_npz):
        """A sweep of ce and the file whose runs all are missing; the file was executed and is forgotten."""
        from simplexlab.sweep.folder import SweepFolder
        from simplexlab.sweep.plan import Grid

        own.allow(str(received / "marked.py"))
        options = {name: (value,) for name, value in {**OPTIONS, "dataset": str(shared_npz)}.items()}
        grid = Grid(("ce", str(received / "marked.py")), (0.0,), (0,), options)
        folder = SweepFolder.write(received / "sweep", grid.experiments(), "simplexlab sweep")
        own.forget()
        own._allowed.clear()
        (received / "marker").unlink()
        return folder

    @pytest.mark.parametrize("way", [never_run, changed, deleted])
    def test_that_was_received_does_not_begin(self, received, sweep, simplexlab, monkeypatch, way):
        if way is changed:
            (received / "marked.py").write_text(content(received / "marker") + "# changed\n")
        else:
            way(received, monkeypatch)
        code, _, err = simplexlab("sweep", "--run-dir", sweep.path, "--jobs", 1)
        assert code == 2, err
        assert err.count("\n") == 1
        told = {never_run: "was never run here by its user", changed: "has changed since", deleted: "no such file"}
        assert told[way] in err
        assert not executed(received)

    def test_takes_no_further_runs_of_a_file_that_has_changed(self, received, sweep, simplexlab, shared_npz):
        (received / "marked.py").write_text(content(received / "marker") + "# changed\n")
        words = ("--losses", received / "marked.py", "--corruptions", "0.2", "--set", f"dataset={shared_npz}")
        code, _, err = simplexlab("sweep", *words, "--run-dir", sweep.path)
        assert code == 2
        assert f"marked.py has changed since the sweep {sweep.path} was begun" in err
        assert len(json.loads((sweep.path / "sweep.json").read_text())["runs"]) == 2

    def test_whose_run_points_to_another_file_fails_in_that_run_alone(self, received, sweep, monkeypatch):
        from simplexlab.sweep import execute, place

        (received / "evil.py").write_text(content(received / "marker") + "# evil\n")
        name, experiment = next((n, e) for n, e in sweep.experiments.items() if e.loss == "ce")
        shutil.copytree(received / "runs" / "stopped", sweep.path / name)
        change(sweep.path / name, str(received / "evil.py"))
        events = execute(sweep, [experiment], place("cpu", 1, 1))
        assert [event.state for event in events] == ["failed"]
        assert "evil.py, was never run here by its user" in events[0].message
        assert not executed(received)


READERS = [
    ("runs", "--run-dir", "RUNS"),
    ("runs", "--run-dir", "RUNS", "--json"),
    ("runs", "show", "ended", "--run-dir", "RUNS"),
    ("runs", "show", "stopped", "--run-dir", "RUNS", "--json"),
    ("figure", "7", "RUNS", "--output", "PICTURES/"),
    ("figure", "8", "RUNS", "--output", "PICTURES/"),
]


@pytest.mark.parametrize(
    ("words", "way"),
    [
        pytest.param(words, way, id=f"{way.__name__}-{' '.join(words[:2])}")
        for words in READERS
        for way in (never_run, deleted, other_file, damaged_facts)
        if words[1] != "7" or way in (other_file, damaged_facts)  # it takes seconds to draw
    ],
)
def test_readers_execute_nothing(received, simplexlab, monkeypatch, words, way):
    way(received, monkeypatch)
    (received / "pictures").mkdir()
    places = {"RUNS": str(received / "runs"), "PICTURES/": f"{received / 'pictures'}/"}
    code, out, err = simplexlab(*(places.get(word, word) for word in words))
    if way is damaged_facts and words[0] == "figure":  # it is left out, and no other is there
        assert (code, err.count("\n")) == (2, 1)
        assert "ended: config.json: objective is a list, not an object" in err
    else:
        assert code == 0, err
        assert words[0] == "figure" or "stopped" in out or "ended" in out
    assert not executed(received)


@pytest.mark.parametrize("way", [never_run, other_file])
def test_a_report_executes_nothing(received, simplexlab, monkeypatch, way):
    from simplexlab.sweep.folder import SweepFolder

    experiment = json.loads((received / "runs" / "ended" / "config.json").read_text())["experiment"]
    SweepFolder.write(received / "runs", [Experiment.from_dict(experiment | {"name": "ended"})], "simplexlab sweep")
    way(received, monkeypatch)
    code, _, err = simplexlab("report", received / "runs", "--output", received / "report.html")
    assert code == 0, err
    assert "marked" in (received / "report.html").read_text()
    assert not executed(received)


@pytest.mark.parametrize("way", [never_run, deleted, other_file])
def test_the_interface_executes_nothing_and_starts_nothing_from_a_form_that_it_fills(received, monkeypatch, way):
    from tui_helpers import drive, open_run, text

    from simplexlab.tui.views.form import texts_of

    way(received, monkeypatch)

    async def steps(pilot):
        assert "marked" in text(pilot.app) or await pilot.pause(1) is None
        await open_run(pilot, "ended")
        assert "loss" in text(pilot.app).lower()

    drive(received / "runs", steps)
    assert not executed(received)
    experiment = json.loads((received / "runs" / "ended" / "config.json").read_text())["experiment"]
    assert "loss_file" not in texts_of(experiment)
    assert "loss" not in texts_of(experiment)


def test_a_form_is_filled_with_a_file_that_its_user_has_run(received):
    from simplexlab.tui.views.form import arguments, experiments, texts_of

    experiment = json.loads((received / "runs" / "ended" / "config.json").read_text())["experiment"]
    texts = texts_of(experiment)
    assert texts["loss_file"] == str(received / "marked.py")
    made = experiments(texts | {"loss": "ce", "option": "margin=1, margin=2 scale=3"}, received / "new")
    commands = [" ".join(arguments(one)) for one in made]
    assert len(commands) == 3
    assert sum("marked.py --" in command for command in commands) == 2
    assert commands[-1].endswith("--option margin=2 --option scale=3")
    assert not executed(received)


def test_a_writer_keeps_the_copy_whole(tmp_path):
    with RunWriter.create(tmp_path, "run", {"kind": "train", "experiment": {}}, total=1) as writer:
        writer.save_loss("# é\n".encode())
    assert (tmp_path / "run" / "loss.py").read_text(encoding="utf-8") == "# é\n"
