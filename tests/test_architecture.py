"""The arrows between the parts of the package are those of docs/architecture.md, and none runs in a circle."""

import ast
import functools
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "simplexlab"
PAGE = ROOT / "docs" / "architecture.md"
HEAVY = {"tensorflow", "keras", "jax", "torch", "tensorflow_datasets"}


def modules(package: Path) -> dict[str, Path]:
    """Every module of a package by its full name."""
    found = {}
    for path in package.rglob("*.py"):
        parts = (package.name, *path.relative_to(package).with_suffix("").parts)
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(tree: ast.AST, when: str = "at import") -> Iterator[tuple[str, list[str], str]]:
    """Each import: module, names taken from it, and when: at import, when used, or for types alone."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, [], when) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are written in full"
            yield node.module, [alias.name for alias in node.names], when
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            yield from imports(node, "for types")
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) and when == "at import":
            yield from imports(node, "when used")
        else:
            yield from imports(node, when)


@functools.cache
def imports_of(package: Path) -> dict[str, list[tuple[str, list[str], str]]]:
    """The imports of every module of a package."""
    return {module: list(imports(ast.parse(path.read_text()))) for module, path in modules(package).items()}


def part_of(module: str) -> str:
    """The part that a module belongs to: the second word of its name, or the package for its `__init__`."""
    return module.split(".")[1] if "." in module else module


def arrows(package: Path = PACKAGE) -> dict[str, dict[tuple[str, str], str]]:
    """`at import` and `when used`: (part, part that it stands on) → a module that has the import."""
    found: dict[str, dict[tuple[str, str], str]] = defaultdict(dict)
    known = imports_of(package)
    for module, taken in known.items():
        for imported, names, when in taken:
            if imported.split(".")[0] != package.name or when == "for types":
                continue
            targets = {f"{imported}.{name}" if f"{imported}.{name}" in known else imported for name in names}
            for target in targets or {imported}:
                if part_of(module) != part_of(target):
                    found[when].setdefault((part_of(module), part_of(target)), module)
    return found


def page() -> dict[str, tuple[set[str], set[str]]]:
    """The table of the page: part → parts that it stands on at import, and those that it takes when it is used."""
    rows: dict[str, tuple[set[str], set[str]]] = {}
    ground: set[str] = set()
    for line in PAGE.read_text().split("\n## ")[1].splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not line.startswith("| `"):
            continue
        parts, what, *below = cells
        named = re.findall(r"`(\w+)`", parts)
        if what.startswith("ground:"):
            ground |= set(named)
        at_import, when_used = (
            set(re.findall(r"`(\w+)`", cell)) | (ground if cell.startswith("ground") else set()) for cell in below
        )
        rows |= {part: (at_import, when_used) for part in named}
    return rows


def circle(edges: set[tuple[str, str]]) -> list[str]:
    """Parts that stand on each other in a circle, [] where there is none."""
    below = defaultdict(set)
    for above, part in edges:
        below[above].add(part)
    done: set[str] = set()

    def walk(part: str, path: list[str]) -> list[str]:
        if part in path:
            return [*path[path.index(part) :], part]
        if part not in done:
            for other in sorted(below[part]):
                if found := walk(other, [*path, part]):
                    return found
            done.add(part)
        return []

    return next((found for part in sorted(below) if (found := walk(part, []))), [])


def broken(found: dict[str, dict[tuple[str, str], str]], table: dict[str, tuple[set[str], set[str]]]) -> list[str]:
    """The arrows that the table does not have."""
    told = []
    for (part, below), module in found["at import"].items():
        if below not in table.get(part, (set(), set()))[0]:
            told.append(f"{module} imports {below} at its import; {part} does not stand on it")
    for (part, below), module in found["when used"].items():
        if below not in set().union(*table.get(part, (set(), set()))):
            told.append(f"{module} imports {below} when it is used; {part} does not take it")
    return told


def test_every_arrow_is_on_the_page():
    assert broken(arrows(), page()) == []


def test_the_page_has_every_part_and_no_other():
    assert set(page()) == {part_of(module) for module in modules(PACKAGE)}
    named = {part for below in page().values() for part in set().union(*below)}
    assert named <= set(page())


def test_nothing_runs_in_a_circle():
    table = page()
    assert circle({(part, below) for part, parts in table.items() for below in set().union(*parts)}) == []
    found = arrows()
    assert circle({*found["at import"], *found["when used"]}) == []


def test_no_module_imports_itself_in_a_circle():
    known = modules(PACKAGE)
    edges = set()
    for module, taken in imports_of(PACKAGE).items():
        for imported, names, when in taken:
            targets = {f"{imported}.{name}" if f"{imported}.{name}" in known else imported for name in names}
            edges |= {(module, target) for target in targets or {imported} if target in known and when == "at import"}
    # A package whose __init__ shows what its modules have is not above them.
    edges = {(a, b) for a, b in edges if known[a].name != "__init__.py" and known[b].name != "__init__.py"}
    assert circle(edges) == []


@pytest.mark.parametrize(
    "part", ["geometry", "theory", "objectives", "evaluation", "runs", "config", "cli", "tui", "sweep", "report"]
)
def test_these_import_nothing_heavy_at_their_import(part):
    """Neither TensorFlow nor Keras, themselves or by what they import."""
    known = imports_of(PACKAGE)
    taken: dict[str, set[str]] = {}
    for module, found in known.items():
        taken[module] = {module.rpartition(".")[0]} - {""}
        for imported, names, when in found:
            if when == "at import":
                taken[module] |= {imported, *(f"{imported}.{name}" for name in names if f"{imported}.{name}" in known)}
    standing = {module for module in known if part_of(module) == part}
    while more := {name for module in standing for name in taken.get(module, ())} - standing:
        standing |= more
    assert not {name.split(".")[0] for name in standing} & HEAVY


def test_the_page_names_every_file_of_a_run_folder():
    from simplexlab.runs import folder

    files = {getattr(folder, name) for name in vars(folder) if name.endswith(("_FILE", "_FOLDER"))}
    contract = PAGE.read_text().split("\n## ")[2]
    assert files - set(re.findall(r"^\| `([\w.]+)` \|", contract, re.MULTILINE)) == {folder.LOCK_FILE}
    assert f"`format` is {folder.FORMAT};" in contract.replace("\n", " ")


def test_what_the_page_says_to_touch_is_there():
    for path in re.findall(r"`((?:simplexlab|tests)/[\w/.]+)`", PAGE.read_text()):
        assert (ROOT / path).exists(), path


@pytest.fixture
def small(tmp_path):
    """A package of three parts; returns its folder."""
    folder = tmp_path / "small"
    (folder / "low").mkdir(parents=True)
    (folder / "__init__.py").touch()
    (folder / "low" / "__init__.py").touch()
    (folder / "middle.py").write_text("from small import low\n")
    (folder / "high.py").write_text("def f():\n    from small.middle import g\n    return lambda: g\n")
    return folder


TABLE = {"small": (set(), set()), "low": (set(), set()), "middle": ({"low"}, set()), "high": (set(), {"middle"})}


class TestTheWalk:
    def test_it_finds_arrows_and_when_they_are_gone(self, small):
        found = arrows(small)
        assert found == {
            "at import": {("middle", "low"): "small.middle"},
            "when used": {("high", "middle"): "small.high"},
        }
        assert broken(found, TABLE) == []

    @pytest.mark.parametrize(
        ("code", "told"),
        [
            ("import small.high\n", "small.low.new imports high at its import"),
            ("from small import high\n", "small.low.new imports high at its import"),
            ("class A:\n    from small.high import f\n", "small.low.new imports high at its import"),
            ("async def f():\n    import small.middle\n", "small.low.new imports middle when it is used"),
            ("try:\n    import small.middle\nexcept ImportError:\n    pass\n", "small.low.new imports middle at its"),
            ("if TYPE_CHECKING:\n    import small.middle\n", None),
        ],
    )
    def test_it_tells_one_that_runs_up(self, small, code, told):
        (small / "low" / "new.py").write_text(code)
        found = broken(arrows(small), TABLE)
        assert found == [] if told is None else len(found) == 1 and found[0].startswith(told)

    def test_an_arrow_for_use_may_not_be_taken_at_import(self, small):
        (small / "high.py").write_text("from small.middle import g\n")
        assert len(broken(arrows(small), TABLE)) == 1

    def test_it_finds_circles(self):
        assert circle({("a", "b"), ("b", "c"), ("a", "c")}) == []
        assert circle({("a", "b"), ("b", "c"), ("c", "a"), ("z", "a")}) == ["a", "b", "c", "a"]
        assert circle({("a", "a")}) == ["a", "a"]


def undescribed(part: Path) -> list[str]:
    """Constants in `__all__` of a part without a docstring, which the reference therefore leaves out."""
    trees = {path: ast.parse(path.read_text()) for path in part.rglob("*.py")}
    public = {
        element.value
        for node in trees[part / "__init__.py"].body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
        for element in ast.walk(node.value)
        if isinstance(element, ast.Constant)
    }
    bare = []
    for tree in trees.values():
        for node, after in zip(tree.body, [*tree.body[1:], None], strict=True):
            if isinstance(node, ast.Assign | ast.AnnAssign):
                (target,) = [node.target] if isinstance(node, ast.AnnAssign) else node.targets[:1]
                told = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
                bare += [ast.unparse(target)] * (ast.unparse(target) in public and not told)
    return bare


@pytest.mark.parametrize("part", re.findall(r"^## simplexlab\.(\w+)", (ROOT / "docs" / "api.md").read_text(), re.M))
def test_the_reference_describes_each_public_constant(part):
    if (PACKAGE / part).is_dir():
        assert undescribed(PACKAGE / part) == []


def test_a_public_constant_without_a_docstring_is_found(tmp_path):
    (tmp_path / "__init__.py").write_text('from it import FEW, MANY\n__all__ = ["FEW", "MANY"]\n')
    (tmp_path / "it.py").write_text('FEW = 1\nMANY = 3\n"""More than two."""\n')
    assert undescribed(tmp_path) == ["FEW"]
