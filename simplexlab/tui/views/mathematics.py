"""LaTeX formulas of the lessons as text, for a terminal has no other."""

import re

SIGNS = {
    "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "epsilon": "ε", "zeta": "ζ", "eta": "η",
    "theta": "θ", "lambda": "λ", "mu": "μ", "nu": "ν", "pi": "π", "rho": "ρ", "sigma": "σ",
    "tau": "τ", "phi": "φ", "chi": "χ", "psi": "ψ", "omega": "ω", "Gamma": "Γ", "Delta": "Δ",
    "Theta": "Θ", "Lambda": "Λ", "Pi": "Π", "Sigma": "Σ", "Phi": "Φ", "Omega": "Ω",
    "sum": "Σ", "prod": "Π", "int": "∫", "partial": "∂", "infty": "∞", "nabla": "∇",
    "le": "≤", "leq": "≤", "ge": "≥", "geq": "≥", "ne": "≠", "neq": "≠", "approx": "≈", "propto": "∝", "sim": "∼",
    "in": "∈", "to": "→", "mapsto": "↦", "cdot": "·", "times": "×", "pm": "±", "dots": "…", "ldots": "…", "cdots": "…",
    "langle": "⟨", "rangle": "⟩", "lfloor": "⌊", "rfloor": "⌋", "lceil": "⌈", "rceil": "⌉", "top": "ᵀ", "circ": "∘",
    "quad": "  ", "qquad": "   ", "log": "log", "exp": "exp", "cos": "cos", "sin": "sin", "arccos": "arccos",
    "max": "max", "min": "min", "ln": "ln", "lim": "lim", "star": "*", "forall": "∀", "exists": "∃", "succeq": "⪰",
}  # fmt: skip
FUNCTIONS = ("log", "exp", "cos", "sin", "arccos", "max", "min", "ln", "lim", "sum")
DROPPED = r"\\(?:[bB]igg?[lr]?|left|right|displaystyle|limits)\b"
LOWERED = dict(zip("0123456789+-=()aehijklmnoprstuvxβγρφχ", "₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓᵦᵧᵨᵩᵪ", strict=True))
RAISED = dict(
    zip("0123456789+-=()abcdefghijklmnoprstuvwxyzKTβγ", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ᵃᵇᶜᵈᵉᶠᵍʰⁱʲᵏˡᵐⁿᵒᵖʳˢᵗᵘᵛʷˣʸᶻᴷᵀᵝᵞ", strict=True)
)
HELD = {"_": "\ue000", "^": "\ue001"}
GROUP = r"\{((?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*)\}"  # with groups in it, two deep
ARGUMENT = rf"(?:{GROUP}|\s*(\\[A-Za-z]+|[^\s\\{{}}]))"


def as_text(markdown: str) -> str:
    """Markdown with its formulas, between $ or $$, as Unicode text; code stays as it is."""
    parts = re.split(r"(```.*?```|`[^`\n]*`)", markdown, flags=re.DOTALL)
    return "".join(part if index % 2 else _formulas(part) for index, part in enumerate(parts))


def _formulas(text: str) -> str:
    text = re.sub(r"\$\$(.+?)\$\$", lambda found: f"\n> {unicode(found[1])}\n", text, flags=re.DOTALL)
    return re.sub(r"\$([^$\n]+(?:\n[^$\n]+)?)\$", lambda found: unicode(found[1]), text)


def unicode(formula: str) -> str:
    """A formula in LaTeX as Unicode text: \\rho^2/(K-1) becomes ρ²/(K − 1)."""
    text = re.sub(DROPPED, "", " ".join(formula.split()))
    text = text.replace("\\|", "‖").replace("\\{", "❴").replace("\\}", "❵").replace("\\!", "")
    text = re.sub(r"\\[,;: ]", " ", text)
    text = re.sub(rf"\\(?:mathrm|text|mathbf|mathcal|operatorname){GROUP}", r"\1", text)
    for name, made in (("binom", "C({}, {})"), ("frac", None), ("tfrac", None)):
        text = _replace(text, rf"\\{name}{ARGUMENT}{ARGUMENT}", lambda a, b, made=made: _fraction(a, b, made))
    text = _replace(text, rf"\\sqrt{ARGUMENT}", lambda inner, _: "√" + (inner if _is_short(inner) else f"({inner})"))
    text = _replace(text, rf"\\(?:bar|overline){ARGUMENT}", lambda inner, _: inner + "\u0304")
    text = _replace(text, rf"\\hat{ARGUMENT}", lambda inner, _: inner + "\u0302")
    text = re.sub(r"\\([A-Za-z]+) ?", lambda found: _sign(found[1]), text)
    text = _replace(text, rf"_{ARGUMENT}", lambda inner, _: _script(inner, LOWERED, "_"))
    text = _replace(text, rf"\^{ARGUMENT}", lambda inner, _: _script(inner, RAISED, "^"))
    text = text.replace("{", "").replace("}", "").replace("❴", "{").replace("❵", "}").replace("\\#", "#")
    text = re.sub(r"\s*([≤≥≠≈∝→∈=])\s*", r" \1 ", text)
    text = re.sub(rf"\b({'|'.join(FUNCTIONS)}) \(", r"\1(", text)
    text = re.sub(r"(?<=[\w)⟩‖]) ?- ?(?=[\w(⟨‖√Σ])", " − ", text).replace("-", "−")
    text = text.replace(HELD["_"], "_").replace(HELD["^"], "^")
    return re.sub(r" (?=[),.])|(?<=\() ", "", " ".join(text.split()))


def _replace(text: str, pattern: str, made) -> str:
    """Replace a command with its arguments, inner ones first, by what is made of them."""
    while True:
        again = re.sub(pattern, lambda found: made(*_arguments(found)), text)
        if again == text:
            return text
        text = again


def _arguments(found: re.Match) -> tuple[str, str]:
    parts = [part for part in found.groups() if part is not None]
    return (unicode(parts[0]), unicode(parts[1]) if len(parts) > 1 else "")


def _fraction(above: str, below: str, made: str | None) -> str:
    if made is not None:
        return made.format(above, below)
    above, below = (part if _is_short(part) else f"({part})" for part in (above, below))
    return f" {above}/{below} "


def _is_short(text: str) -> bool:
    return len(text) <= 2 or not re.search(r"[\s+\-−/=]", text)


def _sign(name: str) -> str:
    made = SIGNS.get(name, name)
    return f"{made} " if name in FUNCTIONS and name != "sum" else made


def _script(inner: str, letters: dict[str, str], sign: str) -> str:
    plain = inner.replace("−", "-").replace(" ", "")
    if all(letter in letters for letter in plain):
        return "".join(letters[letter] for letter in plain)
    held = HELD[sign]  # else it would be read once more
    return f"{held}{inner}" if len(inner) == 1 else f"{held}({inner})"
