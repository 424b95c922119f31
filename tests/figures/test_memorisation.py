"""The figure of what is memorised: the shares of the runs' records, by loss and corruption."""

import json

from simplexlab.config import Experiment
from simplexlab.evaluation import MEMORISATION
from simplexlab.figures import memorisation
from simplexlab.figures.style import styled
from simplexlab.runs import RunWriter, read_run

SHARES = {  # iteration: as given, as true, as another, right ones fitted, test error
    0: (0.1, 0.1, 0.8, 0.1, 0.9),
    10: (0.1, 0.7, 0.2, 0.9, 0.2),
    40: (0.9, 0.05, 0.05, 1.0, 0.3),
}


def write(run_dir, name, loss="ce", corrupt=0.2, seed=0, noisy=True):
    experiment = Experiment(loss=loss, corrupt=corrupt, seed=seed).resolve()
    with RunWriter.create(run_dir, name, {"kind": "train", "experiment": experiment.to_dict()}, total=40) as writer:
        for iteration, shares in SHARES.items():
            keys = (*MEMORISATION, "test_error") if noisy else ()
            writer.log_metrics({"iteration": iteration, "loss": 1.0, **dict(zip(keys, shares, strict=False))})
    return read_run(run_dir / name)


def test_curves_are_those_of_the_records(tmp_path):
    runs = [
        write(tmp_path, "b", "sc"),
        write(tmp_path, "a"),
        write(tmp_path, "c", seed=1),
        write(tmp_path, "d", "sc", 0.4),
    ]
    runs.append(write(tmp_path, "clean", corrupt=0, noisy=False))
    numbers = memorisation.memorisation(runs)
    named = [(panel["corrupt"], panel["loss"], [run["run"] for run in panel["runs"]]) for panel in numbers["panels"]]
    assert named == [(0.2, "ce", ["a", "c"]), (0.2, "sc", ["b"]), (0.4, "sc", ["d"])]
    run = numbers["panels"][1]["runs"][0]
    assert run["iterations"] == [0, 10, 40]
    assert run["flipped_as_given"] == [0.1, 0.1, 0.9]
    assert run["clean_fitted"] == [0.1, 0.9, 1.0]
    assert (run["least_test_error"], run["least_test_error_at"], run["last_test_error"]) == (0.2, 10, 0.3)
    with styled("print"):
        figure, caption = memorisation.draw(numbers)
    shown = figure.axes[:-1]  # the last one holds the legend
    assert [axes.get_title("left") for axes in shown] == ["CE", "SC", "SC"]
    assert len(shown[0].lines) == 2 * len(memorisation.CURVES)
    assert list(shown[1].lines[0].get_ydata()) == [0.1, 0.1, 0.9]
    assert "SC at 0.4 20.0% and 30.0%" in caption


def test_the_command(simplexlab, tmp_path):
    write(tmp_path / "runs", "a")
    options = ("--run-dir", tmp_path / "runs", "--output", f"{tmp_path}/out/", "--json")
    code, out, _ = simplexlab("figure", "memorisation", "a", *options)
    assert code == 0
    assert [path.rsplit("/", 1)[1] for path in json.loads(out)["files"]] == [
        f"figure-memorisation.{suffix}" for suffix in ("png", "svg", "json")
    ]


def test_runs_without_wrong_labels(simplexlab, tmp_path):
    write(tmp_path / "runs", "clean", corrupt=0, noisy=False)
    code, out, err = simplexlab(
        "figure", "memorisation", "--run-dir", tmp_path / "runs", "--output", f"{tmp_path}/out/"
    )
    assert (code, out) == (2, "")
    assert "takes runs with wrong labels (--corrupt); there is none" in err
    assert not (tmp_path / "out").exists()


def test_a_run_without_test_errors(tmp_path):
    run = write(tmp_path, "a")
    numbers = memorisation.memorisation([run])
    numbers["panels"][0]["runs"][0] |= {"test_error": [None] * 3, "least_test_error": None, "last_test_error": None}
    with styled("print"):
        assert "Test error" not in memorisation.draw(numbers)[1]
