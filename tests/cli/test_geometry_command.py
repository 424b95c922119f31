"""`simplexlab geometry`: statistics of a file of representations, and files that are none told in one line."""

import json

import numpy as np
import pytest

from simplexlab.geometry import optimum, orthogonal_frame, regular_simplex, statistics
from simplexlab.theory import conditions_ce

LABELS = np.arange(60) % 6


@pytest.fixture
def save(tmp_path):
    def write(**arrays):
        path = tmp_path / "representations.npz"
        np.savez(path, **arrays)
        return path

    return write


def test_statistics_and_optimum_as_json(simplexlab, save):
    generator = np.random.default_rng(0)
    z, w = generator.standard_normal((60, 8)).astype(np.float32), generator.standard_normal((6, 8))
    code, out, err = simplexlab("geometry", save(z=z, y=LABELS, w=w), "--json")
    assert (code, err) == (0, "")
    record = json.loads(out)
    assert record.pop("optimum") == optimum(6)
    assert record.pop("features") == "free"
    conditions = conditions_ce(z, LABELS, w, np.linalg.norm(z.astype(float), axis=1).max())
    assert record.pop("conditions") == pytest.approx(conditions)
    assert record == statistics(z, LABELS, w).to_dict()


def test_a_person_sees_each_statistic_beside_its_optimum(simplexlab, save):
    vertices = regular_simplex(6, 8, 2.0)
    code, out, _ = simplexlab("geometry", save(z=vertices[LABELS], y=LABELS, w=vertices))
    assert code == 0
    lines = {line.split("  ")[0]: line.split() for line in out.splitlines() if line}
    for name, value in (("γ between class means", "0.4359"), ("uniformity", f"{optimum(6)['uniformity']:.4f}")):
        assert lines[name][-1] == value
        assert value in lines[name][:-1]
    assert "centre 0.0000" in out
    assert "Theorem 1" in out
    assert "C3 0.0000" in out
    assert max(map(len, out.splitlines())) <= 80


def test_without_weights(simplexlab, save):
    code, out, _ = simplexlab("geometry", save(z=regular_simplex(6, 8)[LABELS], y=LABELS))
    assert code == 0
    assert "NC2" in out
    assert "NC3" not in out
    assert "Theorem 2" in out


def test_nonnegative_representations_are_held_against_the_orthogonal_frame(simplexlab, save):
    path = save(z=orthogonal_frame(6, 8)[LABELS], y=LABELS)
    assert "ReLU optimum" in simplexlab("geometry", path)[1]
    record = json.loads(simplexlab("geometry", path, "--json")[1])
    assert record["features"] == "nonnegative"
    assert record["optimum"]["class_mean_similarity"] == 0.5


def test_remarks(simplexlab, save):
    labels = np.array([0, 0, 0, 1, 2])
    _, out, _ = simplexlab("geometry", save(z=np.arange(5.0)[:, None], y=labels))
    assert "no regular simplex exists" in out
    assert "200% more points" in out


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"z": np.ones((60, 3))}, "lacks y"),
        ({"x": np.ones((60, 3)), "labels": LABELS}, "lacks z, y; it must hold z (N, h), y (N,) or (N, 1)"),
        ({"z": np.full((60, 3), np.nan), "y": LABELS}, "finite"),
        ({"z": np.ones((60, 3)), "y": LABELS, "w": np.full((6, 3), np.inf)}, "finite"),
        ({"z": np.ones(60), "y": LABELS}, "matrix"),
        ({"z": np.ones((50, 3)), "y": LABELS}, "one number for each of 50 points"),
        ({"z": np.ones((60, 3)), "y": LABELS + 1}, "no point has label 0"),
        ({"z": np.ones((60, 3)), "y": 0 * LABELS}, "single class"),
        ({"z": np.ones((60, 3)), "y": LABELS + 0.5}, "whole numbers"),
        ({"z": np.ones((60, 3)), "y": LABELS, "w": np.ones((5, 3))}, "(6, 3)"),
        ({"z": np.array([{"a": 1}] * 60), "y": LABELS}, "z holds pickled objects"),
        ({"z": np.array(["a"] * 60).reshape(60, 1), "y": LABELS}, "real numbers"),
    ],
)
def test_a_bad_file_is_told_in_one_line(simplexlab, save, arrays, message):
    code, out, err = simplexlab("geometry", save(**arrays))
    assert (code, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1


def test_what_is_no_npz_file(simplexlab, save, tmp_path):
    whole = save(z=np.ones((60, 3)), y=LABELS)
    contents = whole.read_bytes()
    cut, flipped = tmp_path / "cut.npz", tmp_path / "flipped.npz"
    cut.write_bytes(contents[: len(contents) // 2])
    damaged = bytearray(contents)
    damaged[600] ^= 255
    flipped.write_bytes(damaged)
    np.save(tmp_path / "array.npy", np.ones(3))
    for name, message in (
        ("missing.npz", "missing.npz does not exist"),
        ("cut.npz", "it is not a .npz archive"),
        ("flipped.npz", "z is damaged"),
        ("array.npy", "it is not a .npz archive"),
        (".", "it is not a file"),
    ):
        code, out, err = simplexlab("geometry", tmp_path / name)
        assert (code, out) == (2, "")
        assert message in err
        assert err.count("\n") == 1


@pytest.mark.parametrize("labels", [LABELS.astype(float), LABELS[:, None], LABELS.astype(np.float32)[:, None]])
def test_labels_that_are_whole_numbers_are_taken(simplexlab, save, labels):
    generator = np.random.default_rng(0)
    z, w = generator.normal(size=(60, 8)), generator.normal(size=(6, 8))
    expected = simplexlab("geometry", save(z=z, y=LABELS, w=w), "--json")
    assert expected[0] == 0
    assert simplexlab("geometry", save(z=z, y=labels, w=w), "--json") == expected
