"""Every number in docs/theory.md is what the function or the command beside it gives."""

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from simplexlab import geometry, theory

PAGE = Path(__file__).parents[2] / "docs" / "theory.md"
CHECKED = re.findall(r"^- Checked: `(.+)` = (\S+)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
COMMANDS = re.findall(r"^- Command: `simplexlab (.+)` = (\S+)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)


def last_digit(number):
    """Half of the last decimal that is shown, and the rounding of a minimiser."""
    return pytest.approx(float(number), abs=0.6 * 10.0 ** -len(number.partition(".")[2]))


def cosine(points, first, second):
    units = points / np.linalg.norm(points, axis=1, keepdims=True)
    return units[first] @ units[second]


def test_the_page_has_a_number_for_every_floor():
    words = " ".join(code for code, _ in CHECKED)
    floors = [name for name in theory.__all__ if name.endswith(("_floor", "_of_composition", "_bound"))]
    untold = {"sc_floor_of_batches", "ce_bound_max_norm", "ce_bound_weight_decay"}
    untold |= {"alignment_uniformity_bound", "triplet_bound", "prototypes_floor"}
    assert not [name for name in floors if name not in words and name not in untold]
    assert len(COMMANDS) >= 7


@pytest.mark.parametrize(("code", "number"), CHECKED)
def test_a_checked_number(code, number):
    names = {name: getattr(theory, name) for name in theory.__all__}
    names |= {"head_simplex": geometry.head_simplex, "cosine": cosine}
    assert float(eval(code, names)) == last_digit(number)


@pytest.mark.parametrize(("command", "number"), COMMANDS)
def test_a_command_answers_what_the_page_says(command, number, simplexlab):
    code, out, _ = simplexlab(*shlex.split(command), "--json")
    assert code == 0
    assert json.loads(out)["bound"] == last_digit(number)
