"""Fail where a page of the built site would load a font, a script, a style or a picture from another machine."""

import re
import sys
from html.parser import HTMLParser
from pathlib import Path

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


if __name__ == "__main__":
    found = foreign(Path(sys.argv[1]))
    print("\n".join(found) or "the site loads nothing from elsewhere")
    sys.exit(bool(found))
