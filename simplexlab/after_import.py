"""Call a function once a module that nobody has imported yet is imported; leave out what it would import in vain."""

import contextlib
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from importlib.machinery import ModuleSpec

# What Keras and TensorFlow import where it is installed, for adapters that no command uses: a third of their own time.
OPTIONAL = {
    "keras": ("pandas", "sklearn", "matplotlib"),  # and JAX only here: it may be Keras's backend
    "keras.src.callbacks.orbax_checkpoint": ("jax",),
    "tensorflow": ("pandas", "sklearn", "matplotlib", "jax"),
}

_functions: dict[str, list[Callable[[], object]]] = defaultdict(list)
_left_out: dict[str, tuple[str, ...]] = {}


def after_import(name: str, function: Callable[[], object]) -> None:
    """Call the function now where the module is loaded, and otherwise right after its first import.

    Args:
        name: name of a top-level module.
        function: called without arguments, in the order of these calls; what it raises ends the import.
    """
    if name in sys.modules:
        function()
        return
    _listen()
    _functions[name].append(function)


def import_without_optional() -> None:
    """Have the first import of Keras and TensorFlow in this process find none of what is `OPTIONAL` to them.

    For processes that are the package's own: Keras's adapters for pandas and scikit-learn do not work in them. From the
    end of that import on the modules are found as ever, and those that are loaded already always are.
    """
    _listen()
    _left_out.update({name: optional for name, optional in OPTIONAL.items() if name not in sys.modules})


def _listen() -> None:
    if _Finder not in sys.meta_path:
        sys.meta_path.insert(0, _Finder)


@contextlib.contextmanager
def _without(names: tuple[str, ...]) -> Iterator[None]:
    hidden = [name for name in names if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None: there is no such module
    try:
        yield
    finally:
        for name in hidden:
            sys.modules.pop(name, None)


class _Finder:
    """Has the other finders of `sys.meta_path` find a module and its loader call the functions."""

    @staticmethod
    def find_spec(name: str, path=None, target=None) -> ModuleSpec | None:
        if name not in _functions and name not in _left_out:
            return None
        finders = (finder for finder in sys.meta_path if finder is not _Finder and hasattr(finder, "find_spec"))
        spec = next(filter(None, (finder.find_spec(name, path, target) for finder in finders)), None)
        if spec is not None and spec.loader is not None:
            loader = spec.loader

            def exec_module(module):
                del loader.exec_module  # the loader's own is below it
                with _without(_left_out.pop(name, ())):
                    loader.exec_module(module)
                for function in _functions.pop(name, ()):
                    function()

            loader.exec_module = exec_module
        return spec
