"""Going on with a run, or evaluating one, whose folder is damaged: told in one line, before anything starts."""

import json
import os

import pytest

from simplexlab.config import Experiment
from simplexlab.errors import RunError
from simplexlab.runs import RunWriter, read_run
from simplexlab.training.description import tell_other_versions

DATASET = {"name": "digits", "num_classes": 10, "checksum": "0"}


@pytest.fixture
def run(tmp_path):
    experiment = Experiment(width=2, iterations=10).resolve()
    config = {"kind": "train", "experiment": experiment.to_dict(), "dataset": DATASET}
    with RunWriter.create(tmp_path / "runs", "a", config, total=10) as writer:
        writer.log_metrics({"iteration": 0})
        writer.save_result({"run": "a", "evaluated_at": [3]})
        writer.save_model(lambda path: path.write_bytes(b"no model"))
        writer.set_status("stopped", 0)
    return tmp_path / "runs" / "a"


@pytest.mark.parametrize("words", [("resume",), ("evaluate",)])
@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"experiment": [1]}, "experiment is a list"),
        ({"experiment": {"loss": 3}}, "experiment.loss is 3, not text"),
        ({"experiment": {"loss": "ce", "momentum": "much"}}, "experiment.momentum is text"),
        ({"experiment": {"loss": "ce", "width": {"a": 1}}}, "experiment.width is an object"),
        ({"dataset": "digits"}, "dataset is text"),
        ({"kind": "toy"}, "is not the folder of a training run"),
        (None, "is empty"),
    ],
)
def test_a_damaged_config_is_told(simplexlab, run, words, change, told):
    config = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text("" if change is None else json.dumps(config | change))
    before = sorted(os.listdir(run))
    code, out, error = simplexlab(*words, run)
    assert (code, out, error.count("\n")) == (2, "", 1)
    assert told in error
    assert sorted(os.listdir(run)) == before


def test_a_damaged_result_is_not_evaluated(simplexlab, run):
    code, _, error = simplexlab("evaluate", run)
    assert code == 2
    assert "result.json: evaluated_at is a list" in error


def test_a_finished_run_whose_result_is_damaged_is_not_told_as_whole(simplexlab, run):
    (run / "status.json").write_text(json.dumps({"state": "finished", "iteration": 10, "total": 10}))
    for words in (("--json",), ()):
        code, out, error = simplexlab("resume", run, *words)
        assert (code, out, error.count("\n")) == (1, "", 1)
        assert "is finished, but result.json: evaluated_at is a list" in error
    (run / "result.json").write_text('{"run": "a"}')
    assert "result.json lacks state" in simplexlab("resume", run)[2]


@pytest.mark.parametrize("versions", [{}, {"python": "3.0"}, {"keras": ""}])
def test_versions_that_a_folder_does_not_tell_are_unknown(run, versions, caplog):
    config = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(json.dumps(config | {"versions": versions}))
    tell_other_versions(read_run(run))
    assert "numbers may differ: simplexlab unknown → " in caplog.text


def test_code_in_a_model_is_not_run(tmp_path):
    import keras

    from simplexlab.training import reevaluation

    inputs = keras.Input((3,))
    keras.Model(inputs, keras.layers.Lambda(lambda x: x)(inputs)).save(tmp_path / "model.keras")
    with pytest.raises(RunError, match=r"holds code of its own \(a Lambda, .*\), which is not run"):
        reevaluation._load(tmp_path / "model.keras")
    (tmp_path / "model.keras").write_bytes(b"PK")
    with pytest.raises(RunError, match="is damaged"):
        reevaluation._load(tmp_path / "model.keras")
