import json
import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simplexlab.runs import RunWriter, read_run, sound
from simplexlab.runs.record import (
    CONFIG,
    DATASET,
    EXPERIMENT,
    FILES,
    KINDS,
    METRICS,
    QUANTILES,
    RESULT,
    checked,
    diverged_line,
    final_result,
    flaw,
    metrics_line,
)

SPREAD = dict.fromkeys(("mean", *QUANTILES), 0.5)
EVALUATION = {
    "num_classes": 3,
    "dimension": 4,
    "nonnegative": True,
    "train_error": 0.25,
    "test_error": None,
    "loss": 1.5,
    "bound": 1.0,
    "class_mean_similarity": SPREAD,
    "my_statistic": 3.0,
}
EXPERIMENT_RECORD = {
    "loss": "ce",
    "corrupt": 0.2,
    "dataset": "digits",
    "seed": 0,
    "iterations": 20,
    "encoder": "mlp",
    "width": 8,
    "schedule": "constant",
    "tolerance": 0.0,
}
FACTS = {"run": "a", "state": "finished", "loss": "ce", "dataset": "digits", "corrupt": 0.2, "seed": 0}


def a_line(**more):
    times = {"time_to_fit": 20, "fit_lower": 10}
    return metrics_line({**EVALUATION, **more}, iteration=20, seconds=1.0, learning_rate=0.1, **times)


def a_result(line=None, **more):
    rest = {"iterations": 20, "time_to_fit": 20, "fit_lower": 10, "fit_policy": "head", "tolerance": 0.0}
    return final_result(a_line() if line is None else line, **{**FACTS, **rest, "seconds": 2.0, **more})


class TestStatement:
    def test_every_key_has_a_kind_and_a_sentence(self):
        for keys in (CONFIG, DATASET, EXPERIMENT, METRICS, RESULT):
            for name, key in keys.items():
                assert key.kind in KINDS, name
                assert key.meaning, name
        assert set(FILES) == {"config.json", "metrics.jsonl", "result.json"}

    def test_what_is_built_is_as_stated(self):
        assert checked(a_line(), METRICS) == (a_line(), [])
        assert checked(a_result(), RESULT) == (a_result(), [])
        assert checked({"iteration": 3, "seconds": 0.1, "loss": None, "diverged": True}, METRICS)[1] == []
        assert math.isnan(diverged_line(3, 0.1)["loss"])
        assert flaw({"experiment": EXPERIMENT_RECORD}, a_result(), "finished") is None

    def test_a_result_is_the_last_line_under_its_own_names(self):
        result = a_result(seconds=7.0)
        assert (result["final_loss"], result["evaluated_at"], result["seconds"]) == (1.5, 20, 7.0)
        assert result["my_statistic"] == 3.0
        assert result["loss"] == "ce"
        assert "iteration" not in result

    def test_a_run_without_an_evaluation_has_a_result(self):
        result = a_result({}, state="diverged")
        assert (result["final_loss"], result["evaluated_at"]) == (None, None)


def values():
    scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
    return st.recursive(
        scalars,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["mean", "q05", "x"]), inner),
        max_leaves=6,
    )


@pytest.mark.parametrize("keys", [CONFIG, METRICS, RESULT], ids=["config", "metrics", "result"])
@settings(deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_what_is_kept_is_as_stated_and_the_rest_is_named(keys, data):
    names = st.sampled_from([*keys, "my_statistic"])
    record = json.loads(json.dumps(data.draw(st.dictionaries(names, values(), max_size=6))))
    kept, wrong = checked(record, keys)
    assert checked(kept, keys) == (kept, [])
    named = {words.split()[0].split(".")[0] for words in wrong}
    for name in record:
        assert (name in kept) != (name in named) or name in ("experiment", "dataset")


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("train_error", [0.5], "train_error is a list, not a number"),
        ("train_error", True, "train_error is true, not a number"),
        ("train_error", None, "train_error is null, not a number"),
        ("train_error", 1.5, "train_error is 1.5, which must be at most 1"),
        ("corrupt", "much", "corrupt is text, not a number"),
        ("time_to_fit", 2.5, "time_to_fit is 2.5, not a whole number"),
        ("time_to_fit", -1, "time_to_fit is -1, which must be at least 0"),
        ("final_loss", 10**400, "final_loss is 100000000000, not a number"),
        ("final_loss", math.nan, "final_loss is nan, not a number"),
        ("class_mean_similarity", {"mean": 0.5}, "class_mean_similarity is an object, not the mean and"),
        ("loss", 3, "loss is 3, not text"),
    ],
)
def test_what_is_wrong_is_told(name, value, told):
    kept, wrong = checked({**a_result(), name: value}, RESULT)
    assert name not in kept
    assert len(wrong) == 1
    assert wrong[0].startswith(told)


class TestSound:
    @pytest.fixture
    def path(self, tmp_path):
        config = {"kind": "train", "experiment": EXPERIMENT_RECORD, "command": "simplexlab train", "created": "now"}
        with RunWriter.create(tmp_path, "a", config, total=20) as writer:
            writer.log_metrics(a_line())
            writer.save_result(a_result())
            writer.set_status("finished", 20)
        return tmp_path / "a"

    def why(self, path):
        kept, left_out = sound([read_run(path)])
        assert len(kept) + len(left_out) == 1
        return left_out[0].why if left_out else None

    def test_a_whole_run_is(self, path):
        assert self.why(path) is None
        assert read_run(path).damage == ()

    @pytest.mark.parametrize("file", ["config.json", "result.json"])
    @pytest.mark.parametrize(
        ("content", "told"),
        [(b"", "is empty"), (b"  ", "is empty"), (b"{", "is damaged"), (b"[]", "no JSON object"), (b"\xff", "damaged")],
    )
    def test_a_damaged_file_is_named(self, path, file, content, told):
        (path / file).write_bytes(content)
        assert self.why(path).startswith(file)
        assert told in self.why(path)

    def test_what_cannot_be_read_is_not_damaged(self, path, tmp_path):
        (path / "result.json").rename(tmp_path / "result.json")
        (path / "result.json").symlink_to(tmp_path / "result.json")
        assert "cannot be read: it is a link" in self.why(path)

    @pytest.mark.parametrize("name", [name for name, key in RESULT.items() if not key.optional])
    def test_a_finished_run_has_every_number(self, path, name):
        result = json.loads((path / "result.json").read_text())
        del result[name]
        (path / "result.json").write_text(json.dumps(result))
        assert self.why(path) == f"result.json lacks {name}"

    @pytest.mark.parametrize("name", [name for name, key in EXPERIMENT.items() if not key.optional])
    @pytest.mark.parametrize("value", [[1], {"a": 1}, None])
    def test_an_option_is_a_value(self, path, name, value):
        config = json.loads((path / "config.json").read_text())
        config["experiment"][name] = value
        (path / "config.json").write_text(json.dumps(config))
        assert self.why(path).startswith(f"config.json: experiment.{name} is ")
        assert name not in read_run(path).config["experiment"]

    def test_times_are_in_order(self, path):
        result = json.loads((path / "result.json").read_text())
        for fitted, lower, told in ((10, 10, "not after"), (5, 10, "not after"), (None, None, "neither")):
            (path / "result.json").write_text(json.dumps({**result, "time_to_fit": fitted, "fit_lower": lower}))
            assert told in self.why(path)

    def test_a_run_that_goes_on_needs_no_result(self, tmp_path):
        with RunWriter.create(tmp_path, "b", {"experiment": EXPERIMENT_RECORD}, total=1) as writer:
            assert self.why(writer.path) is None

    def test_another_version_is_not_guessed_at(self, path):
        config = json.loads((path / "config.json").read_text())
        (path / "config.json").write_text(json.dumps({**config, "format": 99}))
        assert "newer simplexlab" in self.why(path)
