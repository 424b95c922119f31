import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from simplexlab.cli.data import WELL_KNOWN
from simplexlab.data import load
from simplexlab.data.tfds_source import TfdsSet


def test_list_says_what_is_here(simplexlab, small_cifar10):
    code, out, _ = simplexlab("data", "list", "--data-dir", small_cifar10.data_dir, "--json")
    assert code == 0
    record = json.loads(out)
    assert record["data_dir"] == str(small_cifar10.data_dir)
    states = {entry["name"]: entry["state"] for entry in record["datasets"]}
    assert states["digits"] == "embedded"
    assert states["cifar10"] == "prepared"
    assert states["mnist"] == "missing"


def test_list_as_a_table_of_80_columns(simplexlab, tmp_path):
    code, out, _ = simplexlab("data", "list", "--data-dir", tmp_path / "none")
    assert code == 0
    table = out.split("\n\n")[0].splitlines()
    assert table[1].split() == ["digits", "embedded", "1,400", "397", "10", "8×8×1"]
    assert max(map(len, table)) <= 80
    assert not (tmp_path / "none").exists()


def test_well_known_sets_are_as_listed(tmp_path):
    digits = load("digits")
    assert WELL_KNOWN["digits"] == (len(digits.y_train), len(digits.y_test), 10, digits.image_shape)
    for name, (_, _, num_classes, image_shape) in WELL_KNOWN.items():
        if name != "digits":
            source = TfdsSet(name, tmp_path)
            assert (source.num_classes, source.image_shape) == (num_classes, image_shape)
            assert all(archive.sha256 for archive in source.archives)


def test_check_names_what_is_missing_and_where_to_put_it(simplexlab, tmp_path):
    code, out, _ = simplexlab("data", "check", "cifar10", "--data-dir", tmp_path, "--json")
    assert code == 1
    record = json.loads(out)
    assert record["state"] == "missing"
    assert record["manual_folder"] == f"{tmp_path}/downloads/manual"
    assert record["archives"] == [
        {
            "filename": "cifar-10-binary.tar.gz",
            "url": "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
            "size": 170052171,
            "sha256": "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
            "path": None,
        }
    ]
    code, out, _ = simplexlab("data", "check", "cifar10", "--data-dir", tmp_path)
    assert code == 1
    assert out.startswith("cifar10 cannot be used (missing)\n")
    assert "170,052,171 bytes, sha256 c4a38c50a1bc" in out
    assert f"Put it into {tmp_path}/downloads/manual, or run\n" in out
    assert "  simplexlab data import cifar10 cifar-10-binary.tar.gz\n" in out


def test_check_names_a_file_that_is_not_the_archive(simplexlab, tmp_path):
    manual = tmp_path / "downloads" / "manual"
    manual.mkdir(parents=True)
    (manual / "cifar-10-binary.tar.gz").write_bytes(b"short")
    code, out, _ = simplexlab("data", "check", "cifar10", "--data-dir", tmp_path, "--json")
    assert code == 1
    assert "has 5 bytes, cifar-10-binary.tar.gz has 170,052,171" in json.loads(out)["problems"][0]


def test_import_check_and_load_with_no_network(simplexlab, small_cifar10, tmp_path, monkeypatch):
    small_cifar10.register(monkeypatch)
    options = ("--data-dir", tmp_path, "--json")
    code, out, err = simplexlab("data", "import", "cifar10", small_cifar10.archive, *options)
    assert code == 0
    assert json.loads(out) == {
        "name": "cifar10",
        "folder": f"{tmp_path}/cifar10/3.0.2",
        "splits": {"test": 50, "train": 200},
    }
    assert [line.split()[0] for line in err.splitlines()] == ["checked", "preparing"]
    code, out, _ = simplexlab("data", "check", "cifar10", *options)
    assert code == 0
    record = json.loads(out)
    assert record["usable"]
    assert record["state"] == "prepared"
    assert record["train_counts"] == [20] * 10
    assert record["class_names"][0] == "airplane"
    assert len(load("cifar10", tmp_path).y_train) == 200


def test_check_of_an_archive_that_waits_to_be_prepared(simplexlab, small_cifar10, tmp_path, monkeypatch):
    small_cifar10.register(monkeypatch)
    manual = tmp_path / "downloads" / "manual"
    manual.mkdir(parents=True)
    (manual / small_cifar10.archive.name).symlink_to(small_cifar10.archive)
    code, out, _ = simplexlab("data", "check", "cifar10", "--data-dir", tmp_path, "--json")
    assert code == 0
    record = json.loads(out)
    assert record["state"] == "archives here"
    assert record["archives"][0]["path"] == str(manual / small_cifar10.archive.name)


def test_check_in_a_process_of_its_own_prints_nothing_else(small_cifar10):
    command = [sys.executable, "-c", "from simplexlab.cli import run; run()", "data", "check", "cifar10", "--data-dir"]
    done = subprocess.run([*command, small_cifar10.data_dir], capture_output=True, text=True)
    assert done.returncode == 0
    assert done.stdout.startswith("cifar10 can be used (prepared)\n200 training and 50 test images of 32×32×3\n")
    assert done.stderr == ""


def test_check_of_damaged_data(simplexlab, tmp_path):
    (tmp_path / "cifar10" / "3.0.2").mkdir(parents=True)
    code, out, _ = simplexlab("data", "check", "cifar10", "--data-dir", tmp_path, "--json")
    assert code == 1
    record = json.loads(out)
    assert record["state"] == "damaged"
    assert "delete" in record["problems"][0]
    code, out, err = simplexlab("data", "check", "cifar10", "--data-dir", tmp_path)
    assert (code, out) == (1, "")
    assert err == f"simplexlab: {record['problems'][0]}\n"


def test_check_of_an_npz(simplexlab, tiny_npz, tmp_path):
    code, out, _ = simplexlab("data", "check", tiny_npz, "--json")
    assert code == 0
    record = json.loads(out)
    assert (record["kind"], record["train_counts"], record["test_counts"]) == ("npz", [20] * 3, [10] * 3)
    np.savez(tmp_path / "bad.npz", x_train=np.zeros(3))
    code, out, err = simplexlab("data", "check", tmp_path / "bad.npz")
    assert (code, out) == (1, "")
    assert "lacks y_train, x_test, y_test" in err
    assert err.count("\n") == 1


def test_check_of_a_folder_with_odd_names(simplexlab, tmp_path):
    from PIL import Image

    for name in ("[red]", "b"):
        (tmp_path / name).mkdir()
        for index in range(5):
            Image.new("L", (4, 4)).save(tmp_path / name / f"{index}.png")
    code, out, _ = simplexlab("data", "check", tmp_path)
    assert code == 0
    assert "[red]      4     1" in out


def test_check_of_digits(simplexlab):
    code, out, _ = simplexlab("data", "check", "digits")
    assert code == 0
    assert "1,400 training and 397 test images of 8×8×1" in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["check", "ciphar10"], "did you mean cifar10"),
        (["check", "nothing.npz"], "nothing.npz does not exist"),
        (["check", "./nothing"], "./nothing does not exist in "),
        (["check"], "requires an argument"),
        (["import", "digits", "x.gz"], "digits needs no import"),
        (["import", "cifar10", "x.gz"], "x.gz does not exist"),
        (["import", "cifar10"], "requires an argument"),
        (["import", "nowhere", "x.gz"], "'nowhere' is unknown"),
        (["list", "--nothing"], "--nothing"),
    ],
)
def test_wrong_use_is_told_in_one_line(simplexlab, tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    code, out, err = simplexlab("data", *words, "--data-dir", tmp_path / "none")
    assert code == 2
    assert out == ""
    assert message in err
    assert len(err.splitlines()) == 1
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("damage", ["truncated", "changed"])
def test_import_of_a_damaged_archive(simplexlab, small_cifar10, tmp_path, monkeypatch, damage):
    small_cifar10.register(monkeypatch)
    contents = small_cifar10.archive.read_bytes()
    archive = tmp_path / "cifar-10-binary.tar.gz"
    archive.write_bytes(contents[:-1] + (b"" if damage == "truncated" else bytes([contents[-1] ^ 1])))
    code, _, err = simplexlab("data", "import", "cifar10", archive, "--data-dir", tmp_path / "data")
    assert code == 2
    assert err.startswith(f"simplexlab: {archive} has ")
    assert len(err.splitlines()) == 1
    assert os.listdir(tmp_path) == [archive.name]


def test_import_into_a_folder_that_cannot_be_written(simplexlab, small_cifar10, tmp_path, monkeypatch):
    small_cifar10.register(monkeypatch)
    # File modes do not bind root, but the kernel's own folder takes nothing from anyone.
    folder = Path("/sys") if os.geteuid() == 0 else tmp_path
    tmp_path.chmod(0o500)
    code, _, err = simplexlab("data", "import", "cifar10", small_cifar10.archive, "--data-dir", folder / "data")
    tmp_path.chmod(0o700)
    assert code == 1
    assert "could not be prepared" in err
    assert os.strerror(errno.EPERM if folder != tmp_path else errno.EACCES) in err


def test_import_where_the_data_folder_is_a_file(simplexlab, small_cifar10, tmp_path, monkeypatch):
    small_cifar10.register(monkeypatch)
    (tmp_path / "data").write_text("a file")
    code, _, err = simplexlab("data", "import", "cifar10", small_cifar10.archive, "--data-dir", tmp_path / "data")
    assert (code, err) == (2, f"simplexlab: --data-dir {tmp_path / 'data'} is a file and not a folder\n")
