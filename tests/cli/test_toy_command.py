"""`simplexlab toy` as a user types it."""

import json
import re

import pytest

from simplexlab import objectives


def test_json_is_the_result_and_nothing_else(simplexlab, tmp_path):
    code, out, err = simplexlab(
        *("toy", "sc", "--points-per-class", 5, "--steps", 20, "--run-dir", tmp_path, "--name", "toy", "--json")
    )
    assert code == 0
    result = json.loads(out)
    assert out.count("\n") == 1
    assert result == json.loads((tmp_path / "toy" / "result.json").read_text())
    assert [line.split()[1] for line in err.splitlines() if line.startswith("step")] == ["0/20", "10/20", "20/20"]


def test_the_table_sets_every_number_beside_its_optimum(simplexlab, tmp_path):
    code, out, _ = simplexlab("toy", "ce", "--points-per-class", 10, "--run-dir", tmp_path)
    assert code == 0
    for words in ("Corollary 2", "excess over it", "r_W = 2.06657", "deviation from C3wd", "γ between class means"):
        assert words in out
    assert str(tmp_path / "toy-ce-s0") in out
    assert max(map(len, out.splitlines()[:-1])) <= 80


def test_where_no_simplex_exists_the_run_says_so(simplexlab, tmp_path):
    code, out, _ = simplexlab(
        *("toy", "sc", "--all-batches", "--classes", 4, "--points-per-class", 2, "--batch-size", 4),
        *("--run-dir", tmp_path),
    )
    assert code == 0
    assert "No regular simplex of 4 vertices exists in 2 dimensions" in " ".join(out.split())
    assert "mean over all batches" in out


def test_where_the_bound_is_out_of_reach_the_excess_over_the_best_known_is_told(simplexlab, tmp_path):
    code, out, _ = simplexlab(
        *("toy", "align-uniform", "--weight", 1, "--points-per-class", 3, "--seed", 1, "--run-dir", tmp_path),
        *("--name", "spread"),
    )
    assert code == 0
    result = json.loads((tmp_path / "spread" / "result.json").read_text())
    words = " ".join(out.split())
    assert f"the best known there has {result['bound_best_known']:.9g}" in words
    above = float(re.search(r"excess over it \S+; (\S+) over the best known", words)[1])
    assert above == pytest.approx(result["final_loss"] - result["bound_best_known"], rel=1e-2, abs=1e-12)
    assert abs(above) < 1e-6


def test_a_bound_that_is_reached_without_a_simplex_is_not_called_out_of_reach(simplexlab, tmp_path):
    code, out, _ = simplexlab("toy", "prototypes", "--classes", 5, "--dimension", 3, "--run-dir", tmp_path)
    assert code == 0
    assert "exact for these labels and norms" in out
    assert "no configuration reaches it" not in " ".join(out.split())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("ce", "--classes", "1"), "at least 2"),
        (("ce", "--classes", "0"), "at least 2"),
        (("ce", "--classes", "3.5"), "not a whole number"),
        (("ce", "--weight-decay", "0"), "--weight-decay 0"),
        (("ce", "--temperature", "1"), "--temperature"),
        (("sc", "--temperature", "0"), "--temperature 0"),
        (("sc", "--batch-size", "2"), "at least 3"),
        (("sc", "--dimension", "4"), "2 or 3"),
        (("sc", "--name", "../away"), "path separator"),
        (("nothing",), "ce, sc"),
    ],
)
def test_bad_input_is_one_line_and_leaves_no_folder(simplexlab, tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    code, out, err = simplexlab("toy", *words)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert message in err
    assert list(tmp_path.iterdir()) == []


def test_labels_prints_the_growth_of_both_losses_and_draws_it(simplexlab, tmp_path):
    words = ("--train-size", 50, "--features", 200, "--corruptions", "0,0.3,0.6", "--seeds", 2, "--iterations", 1500)
    code, out, err = simplexlab("toy", "labels", *words, "--output", tmp_path / "picture")
    assert code == 0
    assert "Growth T(p) = T(0) + a·pᵏ" in out
    assert err.count("\n") == 12
    assert {path.name for path in tmp_path.iterdir()} == {"picture.png", "picture.svg", "picture.json"}
    code, out, _ = simplexlab("toy", "labels", *words, "--losses", "sc", "--positives", 1, "--json")
    assert code == 0
    (curve,) = json.loads(out)["panels"][0]["curves"]
    assert (curve["label"], len(curve["runs"])) == ("SC", 6)
    code, out, err = simplexlab("toy", "labels", "--losses", "ce-fix")
    assert (code, out) == (2, "")
    assert "this toy knows ce and sc" in err


def test_every_objective_has_a_toy_with_its_own_options(simplexlab, tmp_path):
    for name, objective in objectives.table().items():
        code, out, _ = simplexlab("toy", name, "--help")
        assert code == 0
        for option in objective.options:
            has_it = (name, option.name) != ("sc", "positives") and not option.of_projection
            assert ("--" + option.name.replace("_", "-") in out) == has_it
    words = ("toy", "align-uniform", "--points-per-class", 3, "--run-dir", tmp_path)
    code, out, err = simplexlab(*words, "--weight", 3)
    assert code == 0
    assert "exact for these labels and norms" in out
    assert "step 1/500" in err
    code, out, _ = simplexlab(*words, "--weight", 1, "--json")
    assert json.loads(out)["bound_best_known"] > json.loads(out)["bound"] + 0.5
