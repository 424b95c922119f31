"""Runs the commands of docs/gallery.md and makes its pictures anew: some ten minutes on two cores.

python tests/benchmarks/gallery.py [--keep FOLDER]
"""

import argparse
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

PAGE = Path(__file__).parents[2] / "docs" / "gallery.md"
HERE = "run by tests/benchmarks/gallery.py"
WIDTH, COLOURS = 1400, 64  # what a page needs


def commands() -> list[list[str]]:
    """Words of every command of the page that is marked as run by this script, after `simplexlab`."""
    blocks = re.findall(r"^```sh\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines() if line.endswith(HERE)]
    return [shlex.split(line, comments=True)[1:] for line in lines]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", type=Path, help="folder in which the runs and figures stay")
    kept = parser.parse_args().keep
    with tempfile.TemporaryDirectory() as temporary:
        folder = kept or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        for words in commands():
            print("simplexlab", *words, flush=True)
            subprocess.run([sys.executable, "-m", "simplexlab", *words], cwd=folder, check=True)
        for path in sorted((folder / "figures").glob("*.png")):
            picture = Image.open(path).convert("RGB")
            picture.thumbnail((WIDTH, WIDTH))
            picture.quantize(COLOURS, dither=Image.Dither.NONE).save(PAGE.parent / "gallery" / path.name, optimize=True)
            print(PAGE.parent / "gallery" / path.name)


if __name__ == "__main__":
    main()
