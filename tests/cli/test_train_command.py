"""`simplexlab train` and `evaluate` as a user types them, on a tiny data set."""

import json
import math
import shutil
import subprocess
import sys

import keras
import numpy as np
import pytest

from simplexlab.schedule import learning_rate_time

TINY = {"--encoder": "mlp", "--width": 4, "--batch-size": 12, "--iterations": 40, "--evaluate-every": 20}
METRICS = {"iteration", "seconds", "learning_rate", "loss", "bound", "excess", "train_error", "test_error"} | {
    "class_mean_similarity",
    "weight_similarity",
    "within_class_similarity",
    *("nc1", "nc2", "nc3", "nc4"),
}
RESULT = {"run", "loss", "dataset", "corrupt", "seed", "iterations", "train_error", "test_error", "time_to_fit"} | {
    "fit_lower",
    "final_loss",
    "bound",
    "excess",
    "seconds",
}


@pytest.fixture
def train(simplexlab, tiny_npz, tmp_path):
    def call(*words):
        options = {"--dataset": tiny_npz, "--run-dir": tmp_path / "runs", **TINY}
        given = [word for pair in options.items() if pair[0] not in words for word in pair]
        return simplexlab("train", *given, *words)

    return call


@pytest.fixture(scope="module")
def finished(shared_npz, tmp_path_factory):
    """A run of ce on the images of `tiny_npz`, not to be changed."""
    from simplexlab.cli import main

    folder = tmp_path_factory.mktemp("finished")
    options = {"--dataset": shared_npz, "--run-dir": folder, "--name": "run", "--loss": "ce", **TINY}
    assert main(["train", *(str(word) for pair in options.items() for word in pair)]) == 0
    return folder / "run"


@pytest.fixture
def run(finished, tmp_path):
    """A copy of it, in `tmp_path / "runs"`."""
    return shutil.copytree(finished, tmp_path / "runs" / "run")


@pytest.mark.parametrize("loss", ["ce", "ce-fix", "sc"])
def test_a_run_leaves_everything_in_its_folder(train, simplexlab, tiny_npz, tmp_path, loss):
    code, out, _ = train("--loss", loss, "--corrupt", 0.2, "--name", "run", "--json")
    assert code == 0
    result = json.loads(out)
    folder = tmp_path / "runs" / "run"
    assert json.loads((folder / "result.json").read_text()) == result
    assert set(result) >= RESULT
    assert result["run"] == "run"
    assert result["loss"] == loss
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [line["iteration"] for line in lines] == [0, 20, 40]
    assert all(set(line) >= METRICS for line in lines)
    assert lines[-1]["loss"] == result["final_loss"]
    assert lines[-1]["excess"] == pytest.approx(lines[-1]["loss"] - lines[-1]["bound"], rel=1e-6, abs=1e-9)
    labels = np.load(folder / "labels.npz")
    assert len(labels["flipped"]) == 12
    with np.load(tiny_npz) as data:
        assert labels["clean"].tolist() == data["y_train"].tolist()
    assert np.flatnonzero(labels["labels"] != labels["clean"]).tolist() == labels["flipped"].tolist()
    assert all(
        line["flipped_as_given"] + line["flipped_as_true"] + line["flipped_as_other"] == pytest.approx(1)
        for line in lines
    )
    missed = 12 * (1 - result["flipped_as_given"]) + 48 * (1 - result["clean_fitted"])
    assert missed == pytest.approx(60 * result["train_error"])
    assert json.loads((folder / "status.json").read_text())["state"] == "finished"
    assert json.loads((folder / "config.json").read_text())["experiment"]["loss"] == loss
    assert sorted(path.name for path in (folder / "geometry").iterdir()) == [
        "00000000.npz",
        "00000020.npz",
        "00000040.npz",
    ]
    assert {path.name for path in (folder / "tb").iterdir()} == {"train", "validation"}

    code, out, err = simplexlab("evaluate", "run", "--run-dir", tmp_path / "runs", "--json")
    assert (code, err) == (0, "")
    again = json.loads(out)
    assert again["differences"] == {}
    assert again["train_error"] == result["train_error"]
    assert again["excess"] == pytest.approx(result["excess"], rel=1e-3)


@pytest.mark.parametrize("corrupt", [0, 0.2])
def test_noise_of_ones_own(train, simplexlab, tiny_npz, tmp_path, corrupt):
    with np.load(tiny_npz) as data:
        arrays = dict(data)
    noisy = arrays["y_train"].copy()
    noisy[:15] = (noisy[:15] + 1) % 3
    np.savez(tmp_path / "noisy.npz", **arrays | {"y_train": noisy, "y_train_clean": arrays["y_train"]})
    code, out, _ = train("--dataset", tmp_path / "noisy.npz", "--corrupt", corrupt, "--name", "run", "--json")
    assert code == 0
    labels = np.load(tmp_path / "runs" / "run" / "labels.npz")
    np.testing.assert_array_equal(labels["clean"], arrays["y_train"])
    np.testing.assert_array_equal(labels["flipped"], np.flatnonzero(labels["labels"] != arrays["y_train"]))
    assert len(labels["flipped"]) == 15 if corrupt == 0 else len(labels["flipped"]) > 15
    assert 0 <= json.loads(out)["flipped_as_given"] <= 1
    code, out, err = simplexlab("evaluate", "run", "--run-dir", tmp_path / "runs", "--json")
    assert (code, err) == (0, "")
    assert json.loads(out)["differences"] == {}


def test_a_run_on_clean_labels_has_nothing_memorised(train):
    code, out, _ = train("--json", "--iterations", 1)
    assert code == 0
    assert "flipped_as_given" not in json.loads(out)


LOAD_BY_KERAS_ALONE = """
import sys
sys.modules.update(dict.fromkeys(["pandas", "sklearn", "jax"]))  # which Keras would import in vain, for seconds
import keras
import numpy as np
data, folder, *runs = sys.argv[1:]
images = np.load(data)["x_test"][..., None]
for run in runs:
    model = keras.models.load_model(f"{folder}/{run}/model.keras")
    np.save(f"{folder}/{run}-logits.npy", model(images))
assert not [name for name in sys.modules if name.startswith("simplexlab")]
"""


def test_the_kept_model_is_loaded_by_keras_alone_takes_raw_images_and_gives_logits(train, tiny_npz, tmp_path):
    policies = {"ce-fix": "head", "sc": "class_means"}
    results = {loss: json.loads(train("--loss", loss, "--name", loss, "--json")[1]) for loss in policies}
    words = [sys.executable, "-c", LOAD_BY_KERAS_ALONE, tiny_npz, tmp_path / "runs", *policies]
    done = subprocess.run(list(map(str, words)), cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    for loss, policy in policies.items():
        predicted = np.load(tmp_path / "runs" / f"{loss}-logits.npy").argmax(axis=1)
        error = np.mean(predicted != np.load(tiny_npz)["y_test"])
        assert error == pytest.approx(results[loss][f"test_error_{policy}"])


def test_every_loss_sees_the_same_corrupted_labels(train, tmp_path):
    for loss in ("ce", "sc"):
        train("--loss", loss, "--corrupt", 0.3, "--seed", 5, "--name", loss, "--iterations", 1)
    first, second = (np.load(tmp_path / "runs" / loss / "labels.npz") for loss in ("ce", "sc"))
    np.testing.assert_array_equal(first["labels"], second["labels"])
    np.testing.assert_array_equal(first["flipped"], second["flipped"])


def test_fewer_positives_train_otherwise_under_the_same_bound(train):
    results = []
    for positives in (0, 1):
        code, out, _ = train("--loss", "sc", "--positives", positives, "--iterations", 20, "--json")
        assert code == 0
        results.append(json.loads(out))
    assert results[0]["bound"] == results[1]["bound"]
    assert results[0]["final_loss"] != results[1]["final_loss"]
    code, _, err = train("--loss", "sc", "--positives", -1)
    assert code == 2
    assert "--positives -1 must be at least 0" in err


def test_until_fit_stops_at_the_fit_and_names_its_interval(train):
    words = ("--loss", "sc", "--until-fit", "--iterations", 400, "--evaluate-every", 5, "--json")
    code, out, _ = train(*words)
    result = json.loads(out)
    assert code == 0
    assert result["train_error"] == 0
    assert result["time_to_fit"] == result["iterations"] < 400
    assert result["fit_lower"] == result["time_to_fit"] - 5
    for key in ("time_to_fit", "fit_lower"):
        assert result[f"{key}_lr"] == learning_rate_time("polynomial", 400, result[key])
    assert result["fit_policy"] == "class-means"
    assert result["train_error_probe"] is not None


def test_labels_that_are_never_fitted(train):
    code, out, _ = train("--loss", "ce", "--corrupt", 0.5, "--iterations", 2)
    assert code == 0
    assert "not within 2 iterations" in out


def test_the_table_and_the_lines_a_person_sees(train):
    code, out, err = train("--loss", "ce", "--corrupt", 0.2)
    assert code == 0
    for words in (
        "error by own head",
        "time to fit",
        "bound",
        "exact for these labels",
        "γ between class means",
        "NC4",
    ):
        assert words in out
    assert "iteration 20/40" in err
    assert max(map(len, out.splitlines()[:-1])) <= 80
    assert "I0000" not in err


def test_a_diverging_loss_ends_the_run_and_keeps_the_last_numbers(train, tmp_path):
    code, out, err = train("--loss", "ce", "--learning-rate", 1e30, "--name", "wild", "--json")
    folder = tmp_path / "runs" / "wild"
    status = json.loads((folder / "status.json").read_text())
    assert (code, status["state"]) == (1, "diverged")
    assert "non-finite" in status["message"]
    assert "non-finite" in err
    result = json.loads(out)
    assert result["state"] == "diverged"
    assert result["evaluated_at"] == 0
    assert math.isfinite(result["final_loss"])
    last = json.loads((folder / "metrics.jsonl").read_text().splitlines()[-1])
    assert last["loss"] is None
    assert last["diverged"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--corrupt", "1.5"), "--corrupt 1.5 must be between 0 and 1"),
        (("--corrupt", "-0.1"), "must be between 0 and 1"),
        (("--corrupt", "nan"), "not a finite number"),
        (("--loss", "c"), "--loss c: did you mean sc? Known: ce, ce-fix, sc"),
        (("--encoder", "resnet81"), "Did you mean"),
        (("--dataset", "cifar11"), "cifar10"),
        (("--dataset", "nowhere.npz"), "nowhere.npz"),
        (("--loss", "ce-fix", "--dimension", "1"), "dimension of at least 2"),
        (("--batch-size", "2"), "at least 3"),
        (("--batch-size", "9", "--devices", "cpu:2"), "does not divide among 2 replicas"),
        (("--loss", "sc", "--temperature", "0"), "greater than 0"),
        (("--temperature", "0.1"), "--temperature does not belong to ce, which has no options of its own"),
        (("--devices", "gpu:0"), "GPU"),
        (("--name", "../elsewhere"), "name"),
        (("--iterations", "2.5"), "not a whole number"),
        (("--width", "0"), "at least 1"),
        (("--jit", "--devices", "cpu:2", "--batch-size", "12"), "--jit"),
        (("extra",), "unexpected extra"),
        (("--los", "ce"), "--loss"),
    ],
)
def test_bad_input_is_told_in_one_line_and_leaves_no_folder(train, tmp_path, words, told):
    code, out, err = train(*words)
    assert code == 2
    assert out == ""
    assert told in err
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "runs").exists() or not list((tmp_path / "runs").iterdir())


def test_a_taken_name_is_refused_and_the_run_kept(train, run):
    before = (run / "result.json").read_bytes()
    code, _, err = train("--name", "run")
    assert code == 2
    assert "run-2" in err
    assert (run / "result.json").read_bytes() == before


def test_evaluate_tells_a_changed_model(run, simplexlab, tmp_path):
    path = run / "model.keras"
    model = keras.models.load_model(path)
    model.layers[-1].set_weights([2 * model.layers[-1].get_weights()[0]])
    model.save(path)
    code, _, err = simplexlab("evaluate", "run", "--run-dir", tmp_path / "runs")
    assert code == 1
    assert "final_loss is" in err


@pytest.mark.parametrize(
    ("shape", "layers", "message"),
    [
        (
            (6, 8, 1),
            [keras.layers.Flatten(), keras.layers.Dense(3)],
            "takes 6×8×1 where the data of the run have 8×8×1",
        ),
        ((8, 8, 1), [keras.layers.Flatten(), keras.layers.Dense(4)], "gives 4 where the data of the run have 3"),
        (
            (8, 8, 1),
            [keras.layers.Flatten(), keras.layers.Dense(3), keras.layers.ReLU()],
            "no linear classifier (ReLU)",
        ),
    ],
)
def test_evaluate_tells_what_does_not_fit_of_another_model(run, simplexlab, tmp_path, shape, layers, message):
    keras.Sequential([keras.Input(shape), *layers]).save(run / "model.keras")
    code, out, err = simplexlab("evaluate", "run", "--run-dir", tmp_path / "runs")
    assert (code, out) == (1, "")
    assert message in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("labels", "message"), [(np.zeros(59, int), "has 59 labels and "), (np.full(60, 3), "has labels from 3 to 3 for 3")]
)
def test_evaluate_tells_labels_of_another_run(run, simplexlab, tmp_path, labels, message):
    path = run / "labels.npz"
    with np.load(path) as arrays:
        kept = dict(arrays)
    np.savez(path, **{**kept, "labels": labels})
    code, _, err = simplexlab("evaluate", "run", "--run-dir", tmp_path / "runs")
    assert code == 1
    assert f"{path} {message}" in err
    assert err.count("\n") == 1


def test_a_damaged_model_is_told_in_one_line(run, simplexlab, tmp_path):
    path = run / "model.keras"
    for content in (b"x", path.read_bytes()[:-1000]):
        path.write_bytes(content)
        code, _, err = simplexlab("evaluate", "run", "--run-dir", tmp_path / "runs")
        assert code == 1
        assert f"{path} is damaged" in err
        assert err.count("\n") == 1


def test_help_lists_the_options_with_their_defaults_by_dataset(simplexlab, capsys):
    code, out, _ = simplexlab("train", "--help")
    assert code == 0
    assert "paper 100000" in out
    assert "Example: simplexlab train" in out
