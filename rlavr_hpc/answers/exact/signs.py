r"""Signs beyond ASCII in LaTeX's spelling: full-width signs, `½`, `x²`, `√3`, `∅`, `≤`, `π`.

Letters of other scripts stay as they are.
"""

from __future__ import annotations

import re
import unicodedata

COMMANDS = {
    "\u03b1": "alpha",
    "\u03b2": "beta",
    "\u03b3": "gamma",
    "\u03b4": "delta",
    "\u03b5": "epsilon",
    "\u03b8": "theta",
    "\u03bb": "lambda",
    "\u03bc": "mu",
    "\u03c0": "pi",
    "\u03c1": "rho",
    "\u03c3": "sigma",
    "\u03c4": "tau",
    "\u03c6": "phi",
    "\u03d5": "phi",
    "\u03c9": "omega",
    "\u03a9": "Omega",
    "\u0394": "Delta",
    "\u221e": "infty",
    "\u00d7": "times",
    "\u2715": "times",
    "\u00b7": "cdot",
    "\u22c5": "cdot",
    "\u2219": "cdot",
    "\u2022": "cdot",
    "\u2264": "le",
    "\u2a7d": "le",
    "\u2266": "le",
    "\u2265": "ge",
    "\u2a7e": "ge",
    "\u2267": "ge",
    "\u2260": "ne",
    "\u2248": "approx",
    "\u00b1": "pm",
    "\u222a": "cup",
    "\u2229": "cap",
    "\u2208": "in",
    "\u2216": "setminus",
    "\u2205": "varnothing",
    "\u00d8": "varnothing",
    "\u2300": "varnothing",
    "\u2223": "mid",
    "\u2220": "angle",
    "\u2228": "lor",
    "\u2227": "land",
    "\u2026": "ldots",
    "\u22ef": "ldots",
    "\u2234": "therefore",
    "\u21d2": "Rightarrow",
    "\u2192": "to",
    "\u221b": "sqrt[3]",
    "\u221c": "sqrt[4]",
    "\u221a": "sqrt",
}
"""Signs that are one command."""
PLAIN = {
    "\u00b0": r"^\circ ",
    "\u2212": "-",
    "\u2010": "-",
    "\u2011": "-",
    "\u2013": "-",
    "\u2014": "-",
    "\ufe63": "-",
    "\u00f7": "/",
    "\u2044": "/",
    "\u2215": "/",
    "\u2236": ":",
    "\u3001": ", ",
    "\u3002": ".",
    "\uff0e": ".",
    "\u201c": '"',
    "\u201d": '"',
    "\u201e": '"',
    "\u2018": "'",
    "\u2019": "'",
    "\u2032": "'",
    "\u300c": "",
    "\u300d": "",
    "\u300e": "",
    "\u300f": "",
    "\u3010": "",
    "\u3011": "",
    "\u3008": "(",
    "\u3009": ")",
    "\u211d": r"\mathbb{R}",
    "\u2124": r"\mathbb{Z}",
}
DROPPED = (
    "\u00ba\u2103\u2109\u20ac\u00a3\u00a5\u20b9\u20bd\u20a9\u20ba\u20ab\u0e3f\u20b1"
    "\u200b\u200c\u200d\u2060\ufeff\u00ad"
)
"""Units, currencies and characters without width."""
TABLE = (
    {ord(sign): f"\\{command} " for sign, command in COMMANDS.items()}
    | {ord(sign): text for sign, text in PLAIN.items()}
    | {ord(sign): "" for sign in DROPPED}
)
RAISED = re.compile(
    r"(?<=[^\s])((?:[\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079\u207a\u207b\u207f\u2071])+)"
)
LOWERED = re.compile(
    r"([\u2080\u2081\u2082\u2083\u2084\u2085\u2086\u2087\u2088\u2089\u208a\u208b])+"
)
ROOT = re.compile(r"(\u221a|\u221b|\u221c)\s*(\d+(?:\.\d+)?|[A-Za-z]|\([^()]*\))")


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
    sign = {"\u221a": r"\sqrt", "\u221b": r"\sqrt[3]", "\u221c": r"\sqrt[4]"}[found[1]]
    content = found[2][1:-1] if found[2].startswith("(") else found[2]
    return f"{sign}{{{content}}}"


def _compatible(text: str) -> str:
    return unicodedata.normalize("NFKC", text).replace("\u2212", "-")


def _one(character: str) -> str:
    """One character beyond ASCII: fractions and digits as LaTeX, full-width signs as plain ones."""
    number = unicodedata.decimal(character, None)
    if number is not None:
        return str(number)
    if unicodedata.decomposition(character).startswith(("<super>", "<sub>")):
        return character
    plain = unicodedata.normalize("NFKC", character)
    top, bar, bottom = plain.partition("\u2044")
    if bar and top.isdigit() and bottom.isdigit():
        return rf"\frac{{{top}}}{{{bottom}}}"
    return " " if plain.isspace() else plain
