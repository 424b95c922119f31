"""`simplexlab bound`: the numbers of the theory, in JSON and as a table, and wrong use told in one line."""

import json
import subprocess
import sys

import pytest

from simplexlab import theory


def test_theorem_1(simplexlab):
    code, out, err = simplexlab("bound", "ce", "--classes", 10, "--radius", 2, "--frobenius", 3, "--json")
    assert (code, err) == (0, "")
    assert json.loads(out) == {
        "bound": theory.ce_bound_frobenius(10, 2.0, 3.0),
        "classes": 10,
        "radius": 2.0,
        "frobenius": 3.0,
        "features": "free",
    }


def test_corollary_1(simplexlab):
    _, out, _ = simplexlab("bound", "ce", "--classes", 10, "--radius", 2, "--max-norm", 3, "--json")
    assert json.loads(out)["bound"] == theory.ce_bound_max_norm(10, 2.0, 3.0)


def test_corollary_2_gives_the_weight_norm(simplexlab):
    words = ("bound", "ce", "--classes", 10, "--radius", 2, "--weight-decay", "1e-4", "--features", "nonnegative")
    _, out, _ = simplexlab(*words, "--json")
    record = json.loads(out)
    assert record["bound"] == theory.ce_bound_weight_decay(10, 2.0, 1e-4, features="nonnegative")
    assert record["weight_norm"] == theory.optimal_weight_norm(2.0, 1e-4, 10, features="nonnegative")
    assert record["weight_decay"] == 1e-4
    code, out, _ = simplexlab(*words)
    assert code == 0
    assert "weight norm" in out
    assert "orthogonal frame" in out


TINY = ("sc", "--classes", 2, "--batch-size", 9, "--radius", 1)
SC = ("bound", "sc", "--classes", 10, "--batch-size", 256, "--temperature", 0.1)


@pytest.mark.parametrize(
    ("sampling", "expected"), [("multiset", 824.48734), ("iid", 824.46434), ("without-replacement", 824.44133)]
)
def test_theorem_2(simplexlab, sampling, expected):
    code, out, _ = simplexlab(*SC, "--samples-per-class", 5000, "--sampling", sampling, "--json")
    record = json.loads(out)
    assert code == 0
    assert record.pop("bound") == pytest.approx(expected, abs=5e-6)
    assert record == {
        "classes": 10,
        "samples_per_class": 5000,
        "batch_size": 256,
        "temperature": 0.1,
        "sampling": sampling,
        "features": "free",
        "reduction": "sum",
    }


def test_theorem_2_by_radius_as_a_mean(simplexlab):
    words = ("bound", "sc", "--classes", 3, "--batch-size", 9, "--radius", 1, "--samples-per-class", 4)
    _, out, _ = simplexlab(*words, "--reduction", "mean", "--json")
    assert json.loads(out)["bound"] == pytest.approx(12.120150 / 9, abs=1e-7)


def test_dimension_says_whether_the_bound_is_tight(simplexlab):
    for features, dimension, tight in (("free", 9, True), ("free", 8, False), ("nonnegative", 9, False)):
        words = (*SC, "--sampling", "iid", "--features", features, "--dimension", dimension)
        _, out, _ = simplexlab(*words, "--json")
        assert json.loads(out)["tight"] is tight
        _, out, _ = simplexlab(*words)
        assert ("No configuration reaches it" in " ".join(out.split())) is not tight


def test_a_person_reads_a_table_and_what_it_means(simplexlab):
    code, out, _ = simplexlab(*SC, "--samples-per-class", 5000)
    assert code == 0
    assert "824.487338" in out
    assert "no configuration has a smaller mean loss of a batch" in out
    assert "regular simplex reaches it" in " ".join(out.split())
    assert max(map(len, out.splitlines())) <= 80


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("ce", "--classes", 1, "--radius", 1, "--frobenius", 1), "number of classes must be at least 2, got 1"),
        (("ce", "--classes", 0, "--radius", 1, "--frobenius", 1), "number of classes must be at least 2, got 0"),
        (("ce", "--classes", "2.5", "--radius", 1, "--frobenius", 1), '"2.5" is not a whole number'),
        (("ce", "--classes", 10, "--radius", -1, "--frobenius", 1), "radius must be at least 0, got -1"),
        (("ce", "--classes", 10, "--radius", "nan", "--frobenius", 1), "radius must be at least 0, got nan"),
        (("ce", "--classes", 10, "--radius", 1, "--weight-decay", 0), "weight decay λ must be greater than 0"),
        (("ce", "--classes", 10, "--radius", 1, "--weight-decay", -1), "weight decay λ must be greater than 0"),
        (("ce", "--classes", 10, "--radius", 1), "one of --frobenius, --max-norm and --weight-decay"),
        (("ce", "--classes", 10, "--radius", 1, "--frobenius", 1, "--max-norm", 1), "one of --frobenius"),
        (("ce", "--classes", 10, "--frobenius", 1), "--radius"),
        (("ce", "--classes", 10, "--radius", 1, "--frobenius", 1, "--features", "relu"), "nonnegative"),
        (("ce", "--classes", 10, "--radius", 1, "--frobenius", 1, "--dimension", 0), "dimension"),
        (("sc", "--classes", 10, "--batch-size", 2, "--temperature", 1, "--sampling", "iid"), "three points"),
        (("sc", "--classes", 10, "--batch-size", 1, "--temperature", 1, "--sampling", "iid"), "at least 3, got 1"),
        (("sc", "--classes", 10, "--batch-size", 8, "--temperature", 0, "--sampling", "iid"), "temperature must be"),
        (("sc", "--classes", 10, "--batch-size", 8, "--radius", -2, "--sampling", "iid"), "radius must be"),
        (("sc", "--classes", 10, "--batch-size", 8, "--sampling", "iid"), "radius or the temperature"),
        (("sc", "--classes", 10, "--batch-size", 8, "--temperature", 1), "needs the number of samples per class"),
        ((*TINY, "--samples-per-class", 4, "--sampling", "without-replacement"), "size 9 must be at most N = 8"),
        ((*TINY, "--sampling", "shuffled"), "without-replacement"),
    ],
)
def test_wrong_use_is_told_in_one_line(simplexlab, words, message):
    code, out, err = simplexlab("bound", *words)
    assert code == 2
    assert out == ""
    assert message in err
    assert err.count("\n") == 1


def test_nothing_heavy_is_imported():
    script = (
        "import sys; from simplexlab.cli import main;"
        "main('bound sc --classes 10 --batch-size 256 --temperature 0.1 --sampling iid --json'.split());"
        "print(sorted({'tensorflow', 'keras', 'scipy', 'matplotlib'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
