"""Functions that wait for a module."""

import importlib
import importlib.util
import sys

import pytest

from simplexlab.after_import import after_import, import_without_optional

machinery = sys.modules["simplexlab.after_import"]  # its own name in the package is the function


@pytest.fixture
def module(tmp_path, monkeypatch):
    """The name of a module that is not imported yet and counts how often its body ran."""
    (tmp_path / "awaited_module.py").write_text("runs = 1 + globals().get('runs', 0)\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield "awaited_module"
    sys.modules.pop("awaited_module", None)


def test_functions_are_called_in_their_order_once_the_module_is_whole(module):
    calls = []
    after_import(module, lambda: calls.append(sys.modules[module].runs))
    after_import(module, lambda: calls.append("second"))
    assert importlib.util.find_spec(module) is not None  # to look for a module is not to import it
    assert calls == []
    found = importlib.import_module(module)
    assert calls == [1, "second"]
    importlib.reload(found)
    assert calls == [1, "second"]
    after_import(module, lambda: calls.append("at once"))
    assert calls == [1, "second", "at once"]


def test_the_module_keeps_its_own_loader(module):
    after_import(module, list)
    loader = importlib.import_module(module).__loader__
    assert loader is sys.modules[module].__spec__.loader
    assert "exec_module" not in vars(loader)


def test_a_module_that_cannot_be_found_is_told_as_ever():
    calls = []
    after_import("simplexlab_awaits_nothing", lambda: calls.append(1))
    with pytest.raises(ModuleNotFoundError, match="simplexlab_awaits_nothing"):
        importlib.import_module("simplexlab_awaits_nothing")
    assert calls == []


def test_a_module_that_fails_calls_nothing_and_may_be_imported_again(module, tmp_path):
    calls = []
    after_import(module, lambda: calls.append(1))
    path = tmp_path / f"{module}.py"
    whole = path.read_text()
    path.write_text("raise ZeroDivisionError  # and a comment, so that the file has another size\n")
    importlib.invalidate_caches()
    with pytest.raises(ZeroDivisionError):
        importlib.import_module(module)
    assert calls == []
    path.write_text(whole)
    importlib.import_module(module)
    assert calls == [1]


def test_what_is_optional_to_a_module_is_absent_while_it_is_imported_alone(module, tmp_path, monkeypatch):
    (tmp_path / "optional_module.py").write_text("")
    (tmp_path / f"{module}.py").write_text(
        "import json\ntry:\n    import optional_module\nexcept ImportError:\n    optional_module = None\n"
    )
    monkeypatch.setattr(machinery, "OPTIONAL", {module: ("optional_module", "json"), "json": ("optional_module",)})
    import_without_optional()
    assert importlib.import_module(module).optional_module is None
    assert importlib.import_module("optional_module") is sys.modules["optional_module"]
    assert importlib.reload(sys.modules[module]).optional_module is sys.modules.pop("optional_module")
    assert module not in machinery._left_out
