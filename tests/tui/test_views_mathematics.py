"""Formulas of the lessons come out as text that a terminal has."""

import re
from pathlib import Path

import pytest

from simplexlab.course.scripts import cells
from simplexlab.tui.views.mathematics import as_text, unicode


@pytest.mark.parametrize(
    ("formula", "shown"),
    [
        (r"\rho", "ρ"),
        (r"-\rho^2/(K-1)", "−ρ²/(K − 1)"),
        (r"\|W\|_F \le \sqrt K\,r", "‖W‖_F ≤ √K r"),
        (r"\sum_{k \ne i} p_k\,z_k", "Σ_(k ≠ i) pₖ zₖ"),
        (r"m \le \rho\,\frac{\sqrt K}{K-1}\,\|W\|_F", "m ≤ ρ √K/(K − 1) ‖W‖_F"),
        (r"\log\Big(1 + e^{-K\rho^2/(K-1)}\Big)", "log(1 + e^(−Kρ²/(K − 1)))"),
        (r"w_{K-1} = \bar\mu", "w_(K − 1) = μ\u0304"),
        (r"\binom{N+b-1}{b}", "C(N+b − 1, b)"),
        (r"\gamma(x, y) = 1 - \arccos(\cos(x, y))/\pi", "γ(x, y) = 1 − arccos(cos(x, y))/π"),
        (r"p = \mathrm{softmax}(Wz)", "p = softmax(Wz)"),
        (r"\#\{B : l_y = l\}", "#{B : l_y = l}"),
    ],
)
def test_formulas(formula, shown):
    assert unicode(formula) == shown


def test_only_what_stands_between_dollars_is_read():
    text = as_text("the bound $\\rho^2$ of `$x^2$` and\n\n$$\\sum_i z_i = 0$$\n\n```python\ncost = '$a_1$'\n```\n")
    assert text == "the bound ρ² of `$x^2$` and\n\n\n> Σᵢ zᵢ = 0\n\n\n```python\ncost = '$a_1$'\n```\n"


def lessons():
    folder = next(path for path in Path(__file__).parents if (path / "pyproject.toml").exists())
    return list(folder.glob("simplexlab/course/lessons/[0-9]*.py"))


@pytest.mark.parametrize("path", lessons(), ids=lambda path: path.stem)
def test_no_lesson_shows_latex(path):
    words = "\n".join(text for is_text, text in cells(path.read_text(encoding="utf-8")) if is_text)
    shown = re.sub(r"```.*?```|`[^`\n]*`", "", as_text(words), flags=re.DOTALL)
    assert not re.search(r"\\[A-Za-z]+|\$[^$\n]+\$|\^\{|_\{", shown), shown
