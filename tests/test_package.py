"""What importing the package does, in processes of their own; what it says of itself, and that it is one version."""

import importlib
import inspect
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

import simplexlab

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())

REGISTERED = """
import gc
import keras
names = [f"simplexlab>{name}" for name in
         ("SupervisedContrastive", "FastConvolution", "FusedBatchNormalization", "Momentum")]
print([keras.saving.get_registered_object(name) is not None for name in names], gc.get_freeze_count())
"""


def python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_the_package_alone_imports_nothing_heavy():
    heavy = python(
        "import simplexlab, sys; print([name for name in ('keras', 'numpy', 'asyncio') if name in sys.modules])"
    )
    assert heavy == "[]"


@pytest.mark.parametrize("part", ["geometry", "theory"])
def test_what_is_numpy_alone_brings_no_framework_and_no_pictures(part):
    heavy = "('tensorflow', 'keras', 'jax', 'torch', 'matplotlib', 'pandas', 'sklearn', 'rich', 'scipy.optimize')"
    found = python(f"import simplexlab.{part}, sys; print([name for name in {heavy} if name in sys.modules])")
    assert found == "[]"


def test_its_keras_objects_are_registered_after_keras_and_the_process_is_left_alone(forked):
    """In a process that has imported Keras, and seems not to have imported the package."""
    code = """
import sys, keras
keras.saving.get_custom_objects().clear()
for name in [name for name in sys.modules if name.partition(".")[0] == "simplexlab"]:
    del sys.modules[name]
import simplexlab
"""
    assert forked(code + REGISTERED).splitlines()[-1] == "[True, True, True, True] 0"


def test_its_keras_objects_are_registered_before_keras_and_what_keras_imports_in_vain_is_left_out():
    optional = "('pandas', 'sklearn', 'jax', 'matplotlib')"
    code = f"""
import sys
from simplexlab.after_import import import_without_optional
import_without_optional()
import keras
print([name for name in {optional} if name in sys.modules])
import matplotlib
"""
    assert python(code + REGISTERED).splitlines()[-2:] == ["[]", "[True, True, True, True] 0"]


def test_a_process_of_its_own_leaves_tensorflow_s_objects_out_of_the_search_for_cycles(forked):
    code = """
import gc, sys
sys.argv = ["simplexlab", "--version"]
from simplexlab.cli import run
try:
    run()
finally:
    print(gc.get_freeze_count())
"""
    assert int(forked(code).splitlines()[-1]) > 100_000


class TestTheVersion:
    def test_it_stands_in_one_place(self, capsys):
        from simplexlab.cli import main

        assert PROJECT["project"]["dynamic"] == ["version"]
        assert PROJECT["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "simplexlab.__version__"}
        assert main(["--version"]) == 0
        assert capsys.readouterr().out.strip() == simplexlab.__version__

    def test_the_change_log_and_the_citation_speak_of_it(self):
        newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)[1]
        assert newest == simplexlab.__version__ == citation()["version"]


def citation():
    return yaml.safe_load((ROOT / "CITATION.cff").read_text())


class TestTheCitation:
    """The shape that version 1.2.0 of the Citation File Format asks for."""

    def test_the_software(self):
        given = citation()
        assert given["cff-version"] == "1.2.0"
        assert given["type"] == "software"
        assert {"title", "message", "authors", "abstract", "keywords"} <= set(given)
        assert given["license"] == PROJECT["project"]["license"] == "Apache-2.0"
        assert {type(word) for word in given["keywords"]} == {str}
        assert given["authors"] == PROJECT["project"]["authors"] == [{"name": "The simplexlab authors"}]

    def test_the_paper(self):
        (paper,) = citation()["references"]
        assert paper["type"] == "conference-paper"
        assert set(paper) <= {
            *("type", "title", "authors", "collection-title", "conference", "publisher", "volume", "start", "end"),
            *("year", "url"),
        }
        assert [author["family-names"] for author in paper["authors"]] == ["Graf", "Hofer", "Niethammer", "Kwitt"]
        assert all(set(author) == {"family-names", "given-names"} for author in paper["authors"])
        assert (paper["conference"]["name"], paper["year"]) == ("International Conference on Machine Learning", 2021)

    def test_the_licence_is_the_one_that_is_named(self):
        text = (ROOT / "LICENSE").read_text()
        assert re.match(r"\s+Apache License\n\s+Version 2\.0, January 2004\n", text)
        assert "END OF TERMS AND CONDITIONS" in text
        assert "Apache-2.0" in (ROOT / "README.md").read_text()


@pytest.mark.parametrize("part", ["geometry", "theory", "objectives", "losses", "callbacks"])
def test_public_functions_say_the_types_of_what_they_take_and_give(part):
    module = importlib.import_module(f"simplexlab.{part}")
    public = {name: getattr(module, name) for name in getattr(module, "__all__", ["Geometry"])}
    bare = []
    for name, it in public.items():
        members = [it] if inspect.isfunction(it) else []
        if inspect.isclass(it):
            members = [member for key, member in vars(it).items() if inspect.isfunction(member) and key[0] != "_"]
            members = [member for member in members if member.__name__ != "<lambda>"]  # a field's default
            members += [it.__init__] if "__init__" in vars(it) and not getattr(it, "_is_protocol", False) else []
        for member in members:
            signature = inspect.signature(member)
            untyped = [
                key for key, given in signature.parameters.items() if given.annotation is inspect.Parameter.empty
            ]
            returns = signature.return_annotation is not inspect.Signature.empty or member.__name__ == "__init__"
            if set(untyped) - {"self", "cls"} or not returns:
                bare.append(f"{name}.{member.__name__}")
    assert bare == []


def test_what_is_used_of_tfds_beyond_its_public_names_is_there():
    """The names that docs/architecture.md lists; the version is pinned in pyproject.toml for their sake."""
    import tensorflow_datasets as tfds

    page = (ROOT / "docs" / "architecture.md").read_text()
    section = page.partition("## What is used beyond public names")[2]
    names = re.findall(r"`(core\.[\w.]+)`", section)
    assert len(names) >= 4
    for name in names:
        module, _, attribute = f"tensorflow_datasets.{name}".rpartition(".")
        try:
            found = importlib.import_module(module)
        except ModuleNotFoundError:
            module, _, owner = module.rpartition(".")
            found = getattr(importlib.import_module(module), owner)
        assert hasattr(found, attribute), name
    requirement = next(word for word in PROJECT["project"]["dependencies"] if word.startswith("tensorflow-datasets"))
    assert re.search(r"<\d", requirement)
    assert tfds.__version__.startswith("4.9.")
