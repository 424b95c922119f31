"""`simplexlab bound`: the numbers of the theory, in JSON and as a table, and wrong use told in one line."""

import json
import math
import subprocess
import sys

import pytest

from simplexlab import geometry, theory


def test_theorem_1(simplexlab):
    code, out, err = simplexlab("bound", "ce", "--classes", 10, "--radius", 2, "--frobenius", 3, "--json")
    assert (code, err) == (0, "")
    assert json.loads(out) == {
        "bound": theory.ce_bound_frobenius(10, 2.0, 3.0),
        "certificate": theory.ce_bound_frobenius(10, 2.0, 3.0),
        "gap": 0.0,
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


def test_unequal_classes_of_cross_entropy(simplexlab):
    words = ("bound", "ce", "--counts", "50,40,30,20,10", "--radius", 2, "--frobenius", 4)
    code, out, err = simplexlab(*words, "--json")
    record = json.loads(out)
    floor = theory.ce_floor([50, 40, 30, 20, 10], 2.0, 4.0)
    assert (code, err) == (0, "")
    assert record == {
        "bound": floor.value,
        "certificate": floor.certificate,
        "gap": floor.gap,
        "counts": [50, 40, 30, 20, 10],
        "radius": 2.0,
        "frobenius": 4.0,
        "features": "free",
    }
    assert record["gap"] <= 1e-6 * record["bound"]
    _, out, _ = simplexlab(*words)
    assert "50,40,30,20,10" in out
    assert "certificate, which is computed apart" in " ".join(out.split())


def test_unequal_classes_of_the_contrastive_loss(simplexlab):
    words = ("bound", "sc", "--counts", "70,10,10,10", "--batch-size", 128, "--temperature", 0.1, "--json")
    _, out, _ = simplexlab(*words)
    record = json.loads(out)
    assert record["bound"] == pytest.approx(498.063265, abs=6e-7)
    assert record["sampling"] == "iid"
    assert 0 <= record["gap"] <= 1e-6 * record["bound"]
    _, out, _ = simplexlab(*words, "--reduction", "mean")
    assert json.loads(out)["bound"] == pytest.approx(record["bound"] / 128)


def test_equal_counts_are_classes_of_one_size(simplexlab):
    few = ("--batch-size", 16, "--radius", 2, "--json")
    for law in ("iid", "multiset", "without-replacement"):
        by_counts = simplexlab("bound", "sc", "--counts", "20,20,20", "--sampling", law, *few)[1]
        by_classes = simplexlab("bound", "sc", "--classes", 3, "--samples-per-class", 20, "--sampling", law, *few)[1]
        assert json.loads(by_counts)["bound"] == pytest.approx(json.loads(by_classes)["bound"], rel=1e-12)
    _, out, _ = simplexlab("bound", "ce", "--counts", "20,20,20", "--radius", 2, "--max-norm", 3, "--json")
    assert json.loads(out)["bound"] == theory.ce_bound_max_norm(3, 2.0, 3.0)


def test_one_composition(simplexlab):
    _, out, _ = simplexlab("bound", "sc", "--composition", "4,4,1", "--radius", 1, "--dimension", 2, "--json")
    record = json.loads(out)
    assert record["bound"] == theory.sc_floor_of_composition([4, 4, 1], radius=1.0).value
    assert record["composition"] == [4, 4, 1]
    assert record["tight"] is True


@pytest.mark.parametrize(
    ("loss_value", "share"), [(5.541263545, 0.0), (3.220563813, 1.0), ((5.541263545 + 3.220563813) / 2, 0.5)]
)
def test_a_loss_between_the_collapse_of_everything_and_the_floor(simplexlab, loss_value, share):
    words = (*SC, "--sampling", "iid", "--reduction", "mean", "--loss-value", loss_value)
    record = json.loads(simplexlab(*words, "--json")[1])
    assert record["share_of_the_way"] == pytest.approx(share, abs=1e-8)
    assert record["collapsed"] == pytest.approx(5.541263545)
    assert f"{share:.1%} of the way" in " ".join(simplexlab(*words)[1].split())


def test_collapse_of_everything_by_every_law(simplexlab):
    for law in ("iid", "multiset", "without-replacement"):
        words = ("bound", "sc", "--classes", 3, "--samples-per-class", 4, "--batch-size", 9, "--radius", 1)
        record = json.loads(simplexlab(*words, "--sampling", law, "--loss-value", 14, "--json")[1])
        expected = theory.sc_bound(3, 9, radius=1e-140, samples_per_class=4, sampling=law)
        assert record["collapsed"] == pytest.approx(expected)


def test_fixed_simplex_under_a_relu(simplexlab):
    words = (
        "bound",
        "ce-fix",
        "--classes",
        10,
        "--dimension",
        64,
        "--radius",
        3,
        "--features",
        "nonnegative",
        "--json",
    )
    rotated = json.loads(simplexlab(*words)[1])
    rows = geometry.head_simplex(10, 64)
    assert rotated["bound"] == theory.fixed_head_floor(rows, 3.0, features="nonnegative").value
    assert rotated["gap"] <= 1e-6 * rotated["bound"]
    aligned = json.loads(simplexlab(*words, "--head-alignment", "aligned")[1])
    assert aligned["bound"] == pytest.approx(0.32278, abs=6e-6)
    assert aligned["bound"] < rotated["bound"]
    free = json.loads(simplexlab("bound", "ce-fix", "--classes", 10, "--dimension", 64, "--radius", 3, "--json")[1])
    assert free["bound"] == pytest.approx(theory.ce_bound_max_norm(10, 3.0, 1.0), rel=1e-9)


def test_the_penalised_model(simplexlab):
    words = ("bound", "ufm", "--classes", 10, "--samples-per-class", 100, "--weight-decay", "1e-3")
    words += ("--feature-decay", "1e-4", "--json")
    assert json.loads(simplexlab(*words)[1])["bound"] == theory.ufm_ce_floor([100] * 10, 1e-3, 1e-4).value
    smooth = json.loads(simplexlab(*words, "--smoothing", 0.1)[1])
    assert smooth["bound"] == theory.ufm_ce_floor([100] * 10, 1e-3, 1e-4, smoothing=0.1).value
    squared = json.loads(simplexlab(*words, "--loss", "mse")[1])
    assert squared["bound"] == theory.ufm_mse_floor([100] * 10, 1e-3, 1e-4).value
    counts = ("bound", "ufm", "--counts", "30,5,1", "--weight-decay", "1e-3", "--feature-decay", "1e-4", "--json")
    unequal = json.loads(simplexlab(*counts)[1])
    assert 0 <= unequal["gap"] <= 1e-6 * unequal["bound"]


def test_few_dimensions_tell_the_best_known_value(simplexlab):
    words = ("bound", "ce", "--classes", 7, "--radius", 1, "--frobenius", 5, "--dimension", 2)
    record = json.loads(simplexlab(*words, "--json")[1])
    assert record["tight"] is False
    assert record["best_known_from"] == "regular polygon"
    assert record["best_known"] > record["bound"]
    assert "least value known is" in " ".join(simplexlab(*words)[1].split())


@pytest.mark.parametrize(
    "words",
    [
        ("ce", "--counts", "500,40,30,20,10", "--radius", 2, "--frobenius", 4),
        ("sc", "--counts", "70,10,10,10", "--batch-size", 128, "--temperature", 0.1),
    ],
)
def test_a_floor_is_found_without_scipy(words):
    script = (
        "import sys; from simplexlab.cli import main;"
        f"main({list(map(str, ('bound', *words, '--json')))!r});"
        "print(sorted({'tensorflow', 'keras', 'scipy', 'matplotlib'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


EQUAL = ("sc", "--counts", "5,5", "--batch-size", 9, "--radius", 1)
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
    assert record.pop("certificate") == pytest.approx(expected, abs=5e-6)
    assert record == {
        "gap": 0.0,
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
        (("sc", "--classes", 10, "--batch-size", 8, "--sampling", "iid"), "one of --temperature and --radius"),
        ((*SC[1:], "--radius", 1, "--sampling", "iid"), "one of --temperature and --radius"),
        (("sc", "--composition", "4,4,1"), "one of --temperature and --radius"),
        (("sc", "--classes", 10, "--batch-size", 8, "--temperature", 1), "--samples-per-class; --sampling iid"),
        ((*TINY, "--sampling", "without-replacement"), "--samples-per-class; --sampling iid does without them"),
        ((*EQUAL, "--sampling", "multiset", "--samples-per-class", 9), "--samples-per-class does not go with it"),
        ((*TINY, "--samples-per-class", 4, "--sampling", "without-replacement"), "size 9 must be at most N = 8"),
        ((*TINY, "--sampling", "shuffled"), "without-replacement"),
        (("ce", "--counts", "3,0", "--radius", 1, "--frobenius", 1), "count of class 2 must be at least 1, got 0"),
        (("ce", "--counts", "3,-2", "--radius", 1, "--frobenius", 1), "count of class 2 must be at least 1, got -2"),
        (("ce", "--counts", "3", "--radius", 1, "--frobenius", 1), "number of classes must be at least 2, got 1"),
        (("ce", "--counts", "3,1.5", "--radius", 1, "--frobenius", 1), "whole numbers with commas"),
        (("ce", "--counts", "3,,2", "--radius", 1, "--frobenius", 1), "whole numbers with commas"),
        (("ce", "--counts", "3,2", "--classes", 2, "--radius", 1, "--frobenius", 1), "give --classes"),
        (("ce", "--radius", 1, "--frobenius", 1), "give --classes"),
        (("ce", "--counts", "3,2", "--radius", 1, "--max-norm", 1), "unequal --counts take --frobenius"),
        (("ce", "--counts", ",".join(["1"] * 10_001), "--radius", 1, "--frobenius", 1), "at most 10000, got 10001"),
        (("ce", "--counts", ",".join(map(str, range(1, 2001))), "--radius", 1, "--frobenius", 1), "unknowns"),
        (("sc", "--counts", "3,0", "--batch-size", 8, "--radius", 1), "count of class 2 must be at least 1, got 0"),
        (("sc", "--counts", "3,2", "--batch-size", 8, "--radius", 1, "--sampling", "multiset"), "take --sampling iid"),
        (("sc", "--counts", "3,2", "--radius", 1), "takes --batch-size"),
        (("sc", "--composition", "3,2", "--batch-size", 5, "--radius", 1), "--batch-size does not go with it"),
        (("sc", "--composition", "3,-2", "--radius", 1), "whole numbers of at least 0"),
        (("sc", "--composition", "1,1", "--radius", 1), "batch size must be at least 3"),
        (("sc", "--composition", "4,4,1", "--radius", 1, "--loss-value", "nan"), "must be a finite number"),
        (("ce-fix", "--classes", 10, "--dimension", 8, "--radius", 1), "no regular simplex exists"),
        (("ce-fix", "--classes", 10, "--dimension", 9, "--radius", 1, "--head-alignment", "aligned"), "at least 10"),
        (("ce-fix", "--classes", 10, "--dimension", 10**6, "--radius", 1), "a dimension of at most 4096"),
        (("ce-fix", "--counts", "3,0,1", "--dimension", 4, "--radius", 1), "each class needs a point"),
        (("ce-fix", "--classes", 3, "--dimension", 4, "--radius", 1, "--head-radius", 0), "--head-radius 0 must be"),
        (("ufm", "--classes", 3, "--weight-decay", 1, "--feature-decay", 1), "--samples-per-class"),
        (("ufm", "--counts", "3,1", "--weight-decay", 0, "--feature-decay", 1), "weight decay must be greater than 0"),
        (
            ("ufm", "--counts", "3,1", "--weight-decay", 1, "--feature-decay", 1, "--loss", "mse", "--smoothing", 0.1),
            "--smoothing is of the cross-entropy",
        ),
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


def test_a_loss_outside_of_what_is_possible_is_told(simplexlab):
    words = (*SC, "--sampling", "iid", "--reduction", "mean", "--loss-value")
    assert "above 5.54126, where all points are one" in " ".join(simplexlab(*words, 6.9)[1].split())
    assert "below the bound" in " ".join(simplexlab(*words, 3.2)[1].split())
    stuck = ("bound", "sc", "--classes", 10, "--batch-size", 1024, "--temperature", 0.1, "--sampling", "iid")
    record = json.loads(simplexlab(*stuck, "--reduction", "mean", "--loss-value", 6.9, "--json")[1])
    assert record["collapsed"] == pytest.approx(math.log(1023), abs=1e-9)  # 512 images in two views, all points one
    assert record["share_of_the_way"] == pytest.approx(
        (record["collapsed"] - 6.9) / (record["collapsed"] - record["bound"])
    )
