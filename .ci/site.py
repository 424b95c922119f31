"""Fail where the built site would load something from another machine, or its reference lacks a public name."""

import importlib
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType

LOADS = {"script": "src", "img": "src", "iframe": "src", "source": "src", "link": "href", "object": "data"}
NAMES_ONLY = {"canonical", "prev", "next", "edit"}  # links that a browser does not follow by itself


class Page(HTMLParser):
    """Collects the addresses that a browser loads with the page."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag in LOADS and given.get("rel") not in NAMES_ONLY and (address := given.get(LOADS[tag])):
            self.loaded.append(address)


def foreign(site: Path) -> list[str]:
    """`file: address` of everything that is loaded from elsewhere by the pages and styles of a site."""
    found = []
    for path in sorted(site.rglob("*.html")):
        page = Page()
        page.feed(path.read_text(encoding="utf-8"))
        found += [f"{path.relative_to(site)}: {it}" for it in page.loaded if re.match(r"(https?:)?//", it)]
    for path in sorted(site.rglob("*.css")):
        loaded = re.findall(r"(?:url\(\s*['\"]?|@import\s+['\"])((?:https?:)?//[^'\")\s]+)", path.read_text("utf-8"))
        found += [f"{path.relative_to(site)}: {it}" for it in loaded]
    return found


def missing(site: Path) -> list[str]:
    """Public names, those in `__all__` of the parts that the reference lists, which it does not describe."""
    page = (site / "api.html").read_text(encoding="utf-8")
    names = []
    for part in re.findall(r'<h2 id="simplexlab(\w+)"', page):
        module = importlib.import_module(f"simplexlab.{part}")
        public = getattr(module, "__all__", [])
        names += [f"simplexlab.{part}.{it}" for it in public if not isinstance(getattr(module, it), ModuleType)]
    if not names:
        return ["the reference has no part"]
    # A function that is named as the module which holds it stands under its whole path.
    described = {name: (name, f"{name}.{name.rpartition('.')[2]}") for name in names}
    found = set(re.findall(r'id="([\w.]+)"', page))
    return [f"api.html: {name} is missing" for name, ids in described.items() if not found & set(ids)]


if __name__ == "__main__":
    wrong = foreign(Path(sys.argv[1])) + missing(Path(sys.argv[1]))
    print("\n".join(wrong) or "the site loads nothing from elsewhere, and its reference is complete")
    sys.exit(bool(wrong))
