import hashlib
import subprocess
import sys

import numpy as np
import pytest
from sklearn.datasets import load_digits

from simplexlab.data import availability, load
from simplexlab.errors import RunError


@pytest.fixture(scope="module")
def digits():
    return load("digits")


def test_digits_are_balanced_and_split_once_and_for_all(digits):
    assert digits.x_train.shape == (1400, 8, 8, 1)
    assert digits.x_test.shape == (397, 8, 8, 1)
    assert np.bincount(digits.y_train).tolist() == [140] * 10
    contents = b"".join(part.tobytes() for part in (digits.x_train, digits.y_train, digits.x_test, digits.y_test))
    assert hashlib.sha256(contents).hexdigest() == "d9c03485649cd0936dd46e8b2535a93e96c04562b2064045e3acc2b8dbc5f9b9"


def test_digits_are_those_of_scikit_learn(digits):
    bunch = load_digits()
    assert digits.x_train.max() == 255
    images = np.concatenate([digits.x_train, digits.x_test]).reshape(-1, 64)
    labels = np.concatenate([digits.y_train, digits.y_test])
    levels = np.round(images / 255 * 16)  # back to 0 … 16
    ours = np.column_stack([levels, labels])
    theirs = np.column_stack([bunch.data, bunch.target])
    np.testing.assert_array_equal(ours[np.lexsort(ours.T)], theirs[np.lexsort(theirs.T)])


def test_own_data_need_no_tensorflow(tmp_path):
    from PIL import Image

    np.savez(tmp_path / "d.npz", x_train=np.zeros((2, 4, 4)), y_train=[0, 1], x_test=np.zeros((2, 4, 4)), y_test=[0, 1])
    for name in ("a", "b"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for index in range(2):
            Image.new("L", (4, 4)).save(tmp_path / "photos" / name / f"{index}.png")
    code = """if True:
        import sys
        from simplexlab.data import availability, corrupt_labels, load, require
        for name in ("digits", "d.npz", "./photos"):
            require(name)
            corrupt_labels(load(name).y_train, 0.5)
        assert availability("digits") == "embedded"
        sys.exit("tensorflow" in sys.modules or "tensorflow_datasets" in sys.modules)
    """
    assert subprocess.run([sys.executable, "-c", code], cwd=tmp_path).returncode == 0


def test_a_set_beside_a_folder_of_its_name_is_told(tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "digits").mkdir()
    assert len(load("digits").y_train) == 1400
    assert caplog.messages == ["digits is the embedded set here; the folder of that name is written ./digits"]
    caplog.clear()
    (tmp_path / "cifar10" / "3.0.2").mkdir(parents=True)
    with pytest.raises(RunError, match="prepared data of cifar10 are damaged"):
        load("cifar10", tmp_path)
    assert caplog.messages == ["cifar10 is the TFDS set here; the folder of that name is written ./cifar10"]


def test_availability(tmp_path):
    assert availability("digits") == "embedded"
    assert availability("cifar10", tmp_path) == "missing"
    (tmp_path / "cifar10" / "3.0.2").mkdir(parents=True)
    assert availability("cifar10", tmp_path) == "damaged"


def test_digits_do_not_import_scikit_learn():
    """Which takes longer than all else that a run does before TensorFlow is imported."""
    code = "import sys; from simplexlab.data import load; load('digits'); print('sklearn' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=100)
    assert done.stdout == "False\n"
