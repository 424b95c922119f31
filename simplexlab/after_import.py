"""Call a function once a module that nobody has imported yet is imported."""

import sys
from collections import defaultdict
from collections.abc import Callable
from importlib.machinery import ModuleSpec

_functions: dict[str, list[Callable[[], object]]] = defaultdict(list)


def after_import(name: str, function: Callable[[], object]) -> None:
    """Call the function now where the module is loaded, and otherwise right after its first import.

    Args:
        name: name of a top-level module.
        function: called without arguments, in the order of these calls; what it raises ends the import.
    """
    if name in sys.modules:
        function()
        return
    if _Finder not in sys.meta_path:
        sys.meta_path.insert(0, _Finder)
    _functions[name].append(function)


class _Finder:
    """Has the other finders of `sys.meta_path` find a module and its loader call the functions."""

    @staticmethod
    def find_spec(name: str, path=None, target=None) -> ModuleSpec | None:
        if name not in _functions:
            return None
        finders = (finder for finder in sys.meta_path if finder is not _Finder and hasattr(finder, "find_spec"))
        spec = next(filter(None, (finder.find_spec(name, path, target) for finder in finders)), None)
        if spec is not None and spec.loader is not None:
            loader = spec.loader

            def exec_module(module):
                del loader.exec_module  # the loader's own is below it
                loader.exec_module(module)
                for function in _functions.pop(name, ()):
                    function()

            loader.exec_module = exec_module
        return spec
