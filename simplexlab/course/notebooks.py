"""Lessons as notebooks: an install cell that works where nothing is installed, and answers that are folded."""

import re
from typing import Any

from simplexlab import __version__
from simplexlab.errors import UsageError

PACKAGE = f"simplexlab=={__version__}"
INSTALL = """\
# On a hosted notebook nothing is installed yet; here, this cell does nothing. No GPU is needed.
import importlib.util
import subprocess
import sys

if importlib.util.find_spec("simplexlab") is None:
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", {package!r}], check=True)"""


def as_notebook(source: str, package: str = PACKAGE) -> Any:
    """A lesson script as a notebook.

    Args:
        source: the script, in cells of `# %%`.
        package: what the install cell gives to pip: a name with its version, a wheel or an address.

    Returns:
        The notebook, of nbformat. Cells of text that begin with "**Answer:**" are folded.

    Raises:
        UsageError: jupytext is not installed.
    """
    try:
        import jupytext
        from nbformat.v4 import new_code_cell
    except ImportError:
        raise UsageError('notebooks need jupytext; pip install "simplexlab[lessons]" brings it') from None

    notebook = jupytext.reads(source, fmt="py:percent")
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number}"  # the same notebook from the same script, every time
        answer = re.match(r"\*\*Answer:\*\*\s*", cell.source)
        if answer:
            cell.source = f"<details><summary>Answer</summary>\n\n{cell.source[answer.end() :]}\n\n</details>"
    install = new_code_cell(INSTALL.format(package=package), id="install")
    notebook.cells.insert(1, install)
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return notebook
