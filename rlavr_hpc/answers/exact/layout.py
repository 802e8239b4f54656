r"""How an answer is laid out: tidied text, a name it is assigned to, brackets, and its parts.

Knows LaTeX's spelling and no arithmetic; the texts are short, see `exact.MAX_CHARS`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from rlavr_hpc.answers.exact.polynomial import NotReadError

ALPHABET = str.maketrans(
    {
        "\u2212": "-",
        "\u2013": "-",
        "\u00b0": "",
        "\u20ac": "",
        "\u00a3": "",
        "\u00d7": r"\times ",
        "\u00b7": r"\cdot ",
        "\u03c0": r"\pi ",
        "\u221e": r"\infty ",
        "\u00a0": " ",
    }
)
"""Signs that models write instead of LaTeX."""
FRAMES = (("$", "$"), (r"\[", r"\]"), (r"\(", r"\)"))
TEXT = r"\\(?:text|mathrm|textbf|textit|textrm|textsf|mbox|mathbf)"
NOISE = re.compile(
    r"\\(?:textdollar|displaystyle|bf|rm|it|large|Large|boldsymbol)(?![a-zA-Z])|(?<!\\)\\\$"
)
LEADING = re.compile(r"(?:=|\\approx|\\therefore|\\Rightarrow|\\implies)\s*")
TRAILING = re.compile(r"(?:\s|(?<!\\)[.,;])+$")
FRAMED_NUMBER = re.compile(TEXT + r"\{\s*([0-9][^{}\\]*)\}")
PERCENT_TEXT = re.compile(TEXT + r"\{\s*\\?%\s*\}")
IMAGINARY = re.compile(TEXT + r"\{\s*i\s*\}")
GROUPED = re.compile(r"([+-]?)([1-9][0-9]{0,2}(?:,[0-9]{3})+)(\.[0-9]+)?")
AMBIGUOUS_COMMA = re.compile(r"[0-9],[0-9]{3}(?![0-9])")
REPEATING = re.compile(r"([0-9]*)\.([0-9]*)\\(?:overline|bar|dot)\{([0-9]+)\}")
BASED = re.compile(r"\(?([0-9A-F]+)\)?_\{?(?:\\text\{)?([0-9]{1,2})\}{0,2}")
ASSIGNED = re.compile(r"\s*([A-Za-z](?:_\{?[0-9A-Za-z]\}?)?|[A-Za-z]\([a-z]\))\s*=(.+)", re.DOTALL)
UNIT = re.compile(TEXT + r"\{([A-Za-z./ ]*)\}(?:\^\{?[0-9]\}?)?\s*$")
PLAIN_UNIT = re.compile(
    r"(?<=[0-9}])\s*(?:(?:sq\.?|square|cubic)\s+)?(?:cm|mm|km|in|ft|inch(?:es)?|feet|units?|meters?"
    r"|miles?|hours?|minutes?|seconds?|days?|years?|degrees?|dollars?)(?:\^\{?[23]\}?)?$"
)
MIXED = re.compile(r"(-?[0-9]+)\s+([0-9]+)/([0-9]+)")
SPACED_GROUPS = re.compile(r"-?[1-9][0-9]{0,2}(?:\s[0-9]{3})+")
WRAPPED_WORD = re.compile(TEXT + r"\{\s*\(?([A-Za-z][A-Za-z.' -]*)\)?\s*\}")
MATRIX = re.compile(r"\\begin\{([pb]?matrix)\}(.*)\\end\{\1\}", re.DOTALL)
DROPPED = re.compile(
    r"\\(?:left|right|q?quad|degree|[bB]igg?[lr]?)(?![a-z])|(?<!\\)\\[!,;: ]|~"
    r"|\^\\circ(?![a-z])|\^\{\s*\\circ\s*\}"
)
FACTORS = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9, "dozen": 12}
NOT_A_UNIT = frozenset({"and", "or", "if", "to", "i", "e", "none", "no", "pi", "x", "y", "z", "n"})
SAYS_MORE = frozenset(
    {
        "am",
        "pm",
        "is",
        "are",
        "even",
        "odd",
        "increase",
        "decrease",
        "more",
        "less",
        "profit",
        "loss",
        "gain",
        "north",
        "south",
        "east",
        "west",
        "above",
        "below",
        "before",
        "after",
    }
)
"""An answer with one of these is compared as text: they are no units."""
SCALAR, SET, LIST, WORD, PLUS_MINUS, UNION = "", "{}", "list", "word", "+-", "union"
"""Shapes, besides the two brackets of a tuple or an interval, and "2x1" for a matrix."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """An answer taken apart."""

    shape: str
    parts: tuple[str, ...] = ()
    """Texts of its values; of a union, of its intervals."""
    name: str = ""
    """What it is assigned to, `x` in `x = 5`."""
    word: str = ""
    percent: bool = False
    factor: int = 1
    """What a word multiplies it by: `million`."""


def unwrap(text: str) -> str:
    """An answer without the frames, dollars, words of style and full stops around it."""
    text = NOISE.sub("", text.translate(ALPHABET)).strip()
    for opening, closing in FRAMES:
        text = text.removeprefix(opening).removeprefix(opening).strip()
        text = text.removesuffix(closing).removesuffix(closing).strip()
    found = FRAMED_NUMBER.fullmatch(text)
    text = found[1] if found else text
    text = PERCENT_TEXT.sub(r"\\%", IMAGINARY.sub("i", text))
    leading = LEADING.match(text)
    text = text[leading.end() :] if leading else text
    return TRAILING.sub("", text)


def lay_out(text: str) -> Layout:
    """Take an answer apart.

    Raises:
        NotReadError: it is laid out in a doubtful or unknown way.
    """
    text = _tidy(unwrap(text))
    if not text.isascii():
        raise NotReadError
    word = _word(text)
    if word:
        return Layout(shape=WORD, word=word)
    based = BASED.fullmatch(text)
    if based:
        return Layout(shape=f"base {based[2]}", parts=(str(int(based[1], 16)),))
    name, text = _split_name(text)
    text, factor = _without_unit(text)
    percent = text.endswith("%")
    text = text.removesuffix("%").strip()
    if GROUPED.fullmatch(text):
        text = text.replace(",", "")
    shape, parts = find_shape(text)
    if shape != SCALAR and (percent or factor != 1 or AMBIGUOUS_COMMA.search(text)):
        raise NotReadError
    return Layout(shape=shape, parts=tuple(parts), name=name, percent=percent, factor=factor)


def _tidy(text: str) -> str:
    text = re.sub(r"(?<=[0-9])(?:,\\!\s*|\{,\})(?=[0-9]{3})", "", text)
    text = re.sub(r"([0-9])\\[,;: ]\s*(?=[0-9]{3}(?![0-9]))", r"\1", text)
    text = DROPPED.sub("", text)
    text = re.sub(r"\\\\\[[0-9.]+[a-z]+\]", r"\\\\", text)  # rows set apart
    text = re.sub(r"\\[dtc]frac(?![a-z])", r"\\frac", text)
    text = re.sub(r"\\(?:cdot|times)(?![a-z])", "*", text)
    text = REPEATING.sub(_fraction, text.replace("\\%", "%")).strip()
    if SPACED_GROUPS.fullmatch(text):
        return re.sub(r"\s", "", text)
    mixed = MIXED.fullmatch(text)
    return rf"{mixed[1]}\frac{{{mixed[2]}}}{{{mixed[3]}}}" if mixed else PLAIN_UNIT.sub("", text)


def _fraction(repeating: re.Match[str]) -> str:
    r"""`0.1\overline{6}` as a fraction: (16 - 1) / 90."""
    whole, fixed, again = repeating[1] or "0", repeating[2], repeating[3]
    top = int(whole + fixed + again) - int(whole + fixed)
    return rf"\frac{{{top}}}{{{(10 ** len(again) - 1) * 10 ** len(fixed)}}}"


def _word(text: str) -> str:
    """The text of an answer that is words, or that says more than a value; else empty."""
    rest = text.split("=", 1)[1].strip() if ASSIGNED.fullmatch(text) else text
    found = WRAPPED_WORD.fullmatch(rest)
    if found:
        return " ".join(found[1].lower().rstrip(". ").split())
    texts = re.findall(TEXT + r"\{([^{}]*)\}", text)
    words = {word for part in texts for word in part.lower().replace(".", "").split()}
    if words & SAYS_MORE or (len(texts) > 1 and any(c.isdigit() for c in text)):
        return re.sub(TEXT + r"|[\s{}.]", "", text).lower()
    return ""


def _split_name(text: str) -> tuple[str, str]:
    name, found = "", ASSIGNED.fullmatch(text)
    if found:
        name, text = found[1].replace("{", "").replace("}", ""), found[2].strip()
    if "=" in text:
        raise NotReadError
    return name, text


def _without_unit(text: str) -> tuple[str, int]:
    found = UNIT.search(text)
    if not found or found.start() == 0:
        return text, 1
    value, words = text[: found.start()].strip(), found[1].lower().replace(".", " ").split()
    if words[:1] == ["percent"]:
        return f"{value}%", 1
    if NOT_A_UNIT & set(words):
        raise NotReadError
    return value, FACTORS.get(words[0], 1) if words else 1


def find_shape(text: str) -> tuple[str, list[str]]:
    """The shape of an answer and the texts of its values."""
    if not text:
        raise NotReadError
    matrix = MATRIX.fullmatch(text)
    if matrix:
        rows = [row.split("&") for row in matrix[2].strip().removesuffix("\\\\").split("\\\\")]
        if len({len(row) for row in rows}) != 1:
            raise NotReadError
        return f"{len(rows)}x{len(rows[0])}", [cell for row in rows for cell in row]
    if "\\cup" in text:
        return UNION, text.split("\\cup")
    if text.startswith("\\{") and text.endswith("\\}"):
        return SET, _split(text[2:-2])
    if text[0] in "([" and text[-1] in ")]":
        parts = _split(text[1:-1], tolerant=True)
        if len(parts) > 1:
            return text[0] + text[-1], parts
    parts = _split(text)
    return (SCALAR, parts) if len(parts) == 1 else (LIST, parts)


def _split(text: str, *, tolerant: bool = False) -> list[str]:
    """Parts between commas outside of all brackets; braces of commands count as brackets."""
    parts, depth, start = [], 0, 0
    for index, character in enumerate(text):
        if character in "([{":
            depth += 1
        elif character in ")]}":
            depth -= 1
            if depth < 0:
                if tolerant:  # `(1)(2)`: the outer brackets are no pair
                    return [text]
                raise NotReadError
        elif character == "," and depth == 0:
            parts.append(text[start:index])
            start = index + 1
    return [*parts, text[start:]]
