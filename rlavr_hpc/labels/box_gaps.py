"""What may stand between two boxes that are one answer."""

from __future__ import annotations

import re

MAX_GAP_CHARS = 60
"""Between two boxes that are one answer."""
GAP_WORD = re.compile(r"\\?[A-Za-z]+")
GAP_SIGNS = re.compile(r"[\s$,;:=&~*(){}\[\]\\+_0-9.\u3001\uff0c\u548c\u6216\u53ca\u4e0e\u3068|-]*")
JOINS = frozenset(
    {"and", "or", "as", "well", "also", "und", "et", "y", "\\land", "\\lor", "finally"}
)
SPACES = frozenset(
    [
        "\\quad",
        "\\qquad",
        "\\text",
        "\\textrm",
        "\\mathrm",
        "\\",
        "\\cup",
        "\\in",
        "\\left",
        "\\right",
        "\\textbf",
    ]
)
FITS = frozenset(
    [
        "is",
        "are",
        "equals",
        "the",
        "other",
        "another",
        "second",
        "third",
        "fourth",
        "last",
        "one",
        "root",
        "roots",
        "solution",
        "solutions",
        "value",
        "values",
        "answer",
        "part",
        "either",
        "both",
        "at",
        "in",
        "angle",
        "side",
        "length",
        "width",
        "with",
    ]
)
ENDS = frozenset(
    [
        "no",
        "not",
        "wait",
        "but",
        "actually",
        "instead",
        "so",
        "then",
        "thus",
        "hence",
        "therefore",
        "since",
        "because",
        "which",
        "that",
        "gives",
        "implies",
        "check",
        "twice",
        "half",
        "sum",
        "total",
        "correct",
        "wrong",
        "sorry",
        "hmm",
        "final",
        "however",
        "if",
        "where",
        "step",
        "first",
        "recall",
        "when",
        "we",
        "i",
        "it",
        "this",
        "giving",
        "getting",
        "yields",
        "yield",
        "leading",
        "making",
        "becomes",
        "simplifies",
        "equivalently",
        "approximately",
        "about",
        "roughly",
        "simply",
        "namely",
        "ie",
    ]
)
SENTENCE_END = re.compile(r"[.!?]\s")


def are_neighbours(gap: str) -> bool:
    """Whether boxes with this between them are one answer.

    Spaces, a comma, `and`, `or`, `or $x=`, a noun before and a name behind these; not what goes on
    with the reasoning, or takes the first box back.
    """
    if len(gap) > MAX_GAP_CHARS or SENTENCE_END.search(gap):
        return False
    words = [word.lower() for word in GAP_WORD.findall(gap)]
    if not GAP_SIGNS.fullmatch(GAP_WORD.sub("", gap)) or set(words) & ENDS:
        return False
    plain = [word for word in words if word not in SPACES and len(word) > 1]
    joins = [i for i, word in enumerate(plain) if word in JOINS]
    unknown = [word for word in plain if word not in JOINS | FITS]
    if not plain:
        return "=" not in gap or "," in gap or "x" in words or bool(words)
    if not joins and "," not in gap and ";" not in gap:
        return False
    before = plain[: joins[0]] if joins else []
    return len(unknown) <= 2 and len(before) <= 2
