"""What a dataset's name means is decided once: the same for defaults, titles, run names and the loader."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simplexlab.config import Experiment
from simplexlab.dataset_name import as_path, dataset_kind, dataset_stem, dataset_title
from simplexlab.training.description import run_stem


@pytest.mark.parametrize(
    ("name", "kind", "recipe", "title", "stem"),
    [
        ("digits", "digits", "digits", "digits", "digits"),
        ("./digits", "folder", "small", "digits", "digits"),
        ("cifar10", "tfds", "paper", "cifar10", "cifar10"),
        ("./cifar10", "folder", "small", "cifar10", "cifar10"),
        ("cifar10/", "folder", "small", "cifar10", "cifar10"),
        ("/data/cifar10", "folder", "small", "cifar10", "cifar10"),
        ("~/mnist", "folder", "small", "mnist", "mnist"),
        ("mnist:3.0.1", "tfds", "small", "mnist:3.0.1", "mnist-3.0.1"),
        ("emnist/balanced", "tfds", "small", "emnist/balanced", "emnist-balanced"),
        ("photos/of/cats", "folder", "small", "cats", "cats"),
        ("imagenet_resized/32x32", "tfds", "paper", "imagenet_resized/32x32", "imagenet_resized-32x32"),
        ("no_such_set", "tfds", "paper", "no_such_set", "no_such_set"),
        ("my images.npz", "npz", "small", "my images.npz", "my images"),
        ("a/cifar10.npz", "npz", "small", "cifar10.npz", "cifar10"),
        ("./.hidden", "folder", "small", ".hidden", "hidden"),
    ],
)
@pytest.mark.parametrize("beside_folders", [False, True])
def test_kind_recipe_title_and_run_name(tmp_path, monkeypatch, name, kind, recipe, title, stem, beside_folders):
    monkeypatch.chdir(tmp_path)
    if beside_folders:  # of every name that TFDS has too
        for folder in ("digits", "cifar10", "mnist:3.0.1", "emnist/balanced"):
            (tmp_path / folder).mkdir(parents=True)
    assert dataset_kind(name) == kind
    assert Experiment(dataset=name).recipe == recipe
    assert dataset_title(name) == title
    assert run_stem(Experiment(dataset=name)) == f"{stem}-ce-0-s0"


def test_a_folder_that_tfds_has_no_set_for_needs_no_dot(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, title in (("photos", "photos"), ("data/photos", "photos")):
        assert dataset_kind(name) == "tfds"
        (tmp_path / name).mkdir(parents=True)
        assert dataset_kind(name) == "folder"
        experiment = Experiment(dataset=name).resolve()
        assert experiment.width == 32  # of the recipe small
        # From here on it means the folder wherever one stands.
        assert experiment.dataset == as_path(name) == f"./{name}"
        assert dataset_title(name) == dataset_title(f"./{name}") == title


@pytest.mark.parametrize("name", [".", "./", "..", "../"])
def test_a_folder_without_a_name_of_its_own_takes_that_of_where_one_stands(tmp_path, monkeypatch, name):
    (tmp_path / "photos" / "in").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "photos" / ("in" if ".." in name else ""))
    assert dataset_stem(name) == "photos"


@given(st.text(min_size=1, max_size=20))
def test_no_name_ends_in_a_traceback(name):
    assert dataset_kind(name) in ("digits", "npz", "folder", "tfds")
    assert isinstance(dataset_stem(name), str)
    assert dataset_kind(as_path(name)) == dataset_kind(name)
