r"""Signs beyond ASCII in LaTeX's spelling: full-width signs, `½`, `x²`, `√3`, `∅`, `≤`, `π`.

Letters of other scripts stay as they are.
"""

from __future__ import annotations

import re
import unicodedata

COMMANDS = {
    "α": "alpha",
    "β": "beta",
    "γ": "gamma",
    "δ": "delta",
    "ε": "epsilon",
    "θ": "theta",
    "λ": "lambda",
    "μ": "mu",
    "π": "pi",
    "ρ": "rho",
    "σ": "sigma",
    "τ": "tau",
    "φ": "phi",
    "ϕ": "phi",
    "ω": "omega",
    "\u03a9": "Omega",
    "Δ": "Delta",
    "∞": "infty",
    "×": "times",
    "✕": "times",
    "·": "cdot",
    "⋅": "cdot",
    "∙": "cdot",
    "•": "cdot",
    "≤": "le",
    "⩽": "le",
    "≦": "le",
    "≥": "ge",
    "⩾": "ge",
    "≧": "ge",
    "≠": "ne",
    "≈": "approx",
    "±": "pm",
    "∪": "cup",
    "∩": "cap",
    "∈": "in",
    "∖": "setminus",
    "∅": "varnothing",
    "Ø": "varnothing",
    "⌀": "varnothing",
    "∣": "mid",
    "∠": "angle",
    "∨": "lor",
    "∧": "land",
    "…": "ldots",
    "⋯": "ldots",
    "∴": "therefore",
    "⇒": "Rightarrow",
    "→": "to",
    "∛": "sqrt[3]",
    "∜": "sqrt[4]",
    "√": "sqrt",
}
"""Signs that are one command."""
PLAIN = {
    "°": r"^\circ ",
    "−": "-",
    "‐": "-",
    "‑": "-",
    "–": "-",
    "—": "-",
    "﹣": "-",
    "÷": "/",
    "⁄": "/",
    "∕": "/",
    "∶": ":",
    "、": ", ",
    "。": ".",
    "．": ".",
    "“": '"',
    "”": '"',
    "„": '"',
    "‘": "'",
    "’": "'",
    "′": "'",
    "「": "",
    "」": "",
    "『": "",
    "』": "",
    "【": "",
    "】": "",
    "〈": "(",
    "〉": ")",
    "ℝ": r"\mathbb{R}",
    "ℤ": r"\mathbb{Z}",
}
DROPPED = "º℃℉€£¥₹₽₩₺₫฿₱\u200b\u200c\u200d\u2060\ufeff\u00ad"
"""Units, currencies and characters without width."""
TABLE = (
    {ord(sign): f"\\{command} " for sign, command in COMMANDS.items()}
    | {ord(sign): text for sign, text in PLAIN.items()}
    | {ord(sign): "" for sign in DROPPED}
)
RAISED = re.compile(r"(?<=[^\s])((?:[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿⁱ])+)")
LOWERED = re.compile(r"([₀₁₂₃₄₅₆₇₈₉₊₋])+")
ROOT = re.compile(r"(√|∛|∜)\s*(\d+(?:\.\d+)?|[A-Za-z]|\([^()]*\))")


def plain_signs(text: str) -> str:
    """The text with the signs of `COMMANDS` and `PLAIN`, fractions, powers and digits in ASCII."""
    if text.isascii():
        return text
    text = ROOT.sub(_root, text)
    text = RAISED.sub(lambda found: f"^{{{_compatible(found[0])}}}", text)
    text = LOWERED.sub(lambda found: f"_{{{_compatible(found[0])}}}", text)
    text = "".join(c if c.isascii() or ord(c) in TABLE else _one(c) for c in text)
    return text.translate(TABLE)


def _root(found: re.Match[str]) -> str:
    sign = {"√": r"\sqrt", "∛": r"\sqrt[3]", "∜": r"\sqrt[4]"}[found[1]]
    content = found[2][1:-1] if found[2].startswith("(") else found[2]
    return f"{sign}{{{content}}}"


def _compatible(text: str) -> str:
    return unicodedata.normalize("NFKC", text).replace("−", "-")


def _one(character: str) -> str:
    """One character beyond ASCII: fractions and digits as LaTeX, full-width signs as plain ones."""
    number = unicodedata.decimal(character, None)
    if number is not None:
        return str(number)
    if unicodedata.decomposition(character).startswith(("<super>", "<sub>")):
        return character
    plain = unicodedata.normalize("NFKC", character)
    top, bar, bottom = plain.partition("⁄")
    if bar and top.isdigit() and bottom.isdigit():
        return rf"\frac{{{top}}}{{{bottom}}}"
    return " " if plain.isspace() else plain
