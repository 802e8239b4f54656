r"""Where a response states its answer: boxes, an `Answer:` line, an `<answer>` block, `####`.

Text is taken line by line and mark by mark from the end, so that the work is linear in its length.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from rlavr_hpc.labels.boxes import boxed_answer, is_placeholder
from rlavr_hpc.labels.extract import MAX_ANSWER_CHARS, last_answer_block, stated_answer

MAX_LINES = 400
"""Lines that are looked at, from the end."""
HEAD_CHARS = 100
"""Of a line, where the word "answer" and its colon stand."""
NAMES = (
    r"(?:(?:so|thus|hence|therefore|and),?\s{1,3})?(?:the|my|our|your)?\s{0,3}"
    r"(?:final|correct|right|numerical|exact)?\s{0,3}"
    r"(?:answers?(?:\s{1,3}(?:to|for)\s[^:\n]{0,40})?|ans|solution|result|r\u00e9ponse|respuesta|resposta|antwort"
    r"|risposta|\u043e\u0442\u0432\u0435\u0442|\u7b54\u6848|\u7b54|\u6700\u7ec8\u7b54\u6848|\u6700\u7d42\u7b54\u6848|\ub2f5|\uc815\ub2f5|\u7b54\u3048)"
)
NAMED = ("answer", "ans", "solution", "result", "respuesta", "resposta", "antwort", "risposta")
"""Without one of these in it, an ASCII text has no `Answer:` line."""
MARKUP = r"[>*_#`~(\[$ -]{0,6}(?:\\(?:text|textbf|mathbf|mathrm|textit)\s{0,3}\{\s{0,3})?"
ANSWER_LINE = re.compile(
    rf"{MARKUP}(?:[0-9]{{1,2}}[.)]\s{{0,3}})?{MARKUP}{NAMES}\s{{0,3}}(?:\([^()\n]{{0,30}}\)\s{{0,3}})?"
    r"([*_`}\]]*)\s{0,3}(?:\s(?:is|ist|est|es)\s{0,3})?\s{0,3}(?:\\?[:\uff1a]|=|\u662f|\u4e3a)\s{0,3}(?:\}\s{0,3})?",
    re.IGNORECASE,
)
LEAD = " \t>*_#`~([$-"
"""Signs before the word."""
HEADINGS = frozenset({"answer", "final answer", "the answer", "the final answer"})
AROUND = " \t\r>*_#`:.}"
WEAK = re.compile(r"solution|result", re.IGNORECASE)
"""Words that name an answer, and a section of prose as well."""
HASHES = re.compile(r"\s*(?:>\s*)?#{4}(?!#)\s*(.+)")
VALUE = re.compile(
    r"[\s*$_`]*(?:\\?[$\u20ac\u00a3])?\s*[-+]?(?:[0-9.\\(\[{]|[A-Za-z](?![A-Za-z ]))"
)
STEP = re.compile(r"[\s*_]*(?:step|case|part|method|approach|solution|\u6b65)", re.IGNORECASE)
SAID = re.compile(
    r"(?:the\s+)?(?:final\s+|correct\s+)?answer\s+(?:is|to .{0,60}? is)\s*:?\s*", re.IGNORECASE
)
FORMULA = re.compile(r"\$\$([^$]+)\$\$|\$([^$]+)\$|\\\((.+?)\\\)|\\\[(.+?)\\\]", re.DOTALL)
BETWEEN = re.compile(r"[\s,;.*_]*(?:and|or)?[\s,;.*_]*")
SENTENCE = re.compile(
    r"(?<=[^\s.])[.!]\s+(?=[A-Z(\"*])|\s+(?:because|since|as we|which|where)\s|\s\u2014\s|\u3002"
)
BOLD = re.compile(r"(?<![\w)])\*\*|\*\*(?![\w(])")
ASIDE = re.compile(r"(?<=\S)\s+\((?=[^()]*[a-z]{3})[^()]*\)[\s.]*$")
OPENED = {"$$": "$$", "\\[": "\\]", "```": "```", "\\(": "\\)", "$": "$"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stated:
    """An answer, and where it ends."""

    at: int
    """Of its mark, in characters."""
    text: str | None
    """None for a mark without an answer: a cut-off box."""


Finder = Callable[[str], Stated | None]


def find_answer(text: str) -> str | None:
    """What the last mark says; without a mark what "the answer is" introduces."""
    marked = find_marked(text)
    return stated(text) if marked is None else marked.text


def find_marked(text: str) -> Stated | None:
    """The answer behind the last explicit mark; None without one."""
    if "####" in text or "</answer>" in text or (not text.isascii()) or _names_an_answer(text):
        places = (box, line, block, hashes)
        found = [stated for place in places if (stated := place(text)) is not None]
    else:  # most responses
        stated_in_box = box(text)
        found = [] if stated_in_box is None else [stated_in_box]
    return max(found, key=lambda stated: stated.at) if found else None


def _names_an_answer(text: str) -> bool:
    lowered = text.lower()
    return any(word in lowered for word in NAMED)


def box(text: str) -> Stated | None:
    r"""The last `\boxed{}` that holds something, with the boxes beside it."""
    found = boxed_answer(text)
    return None if found is None else Stated(at=found.end, text=found.text)


def block(text: str) -> Stated | None:
    """The last closed `<answer>...</answer>`."""
    content = last_answer_block(text)
    if content is None or is_placeholder(content):
        return None
    return Stated(at=text.rfind("</answer>"), text=_inner(content))


def line(text: str) -> Stated | None:
    """What the last line that begins with `Answer:` says, or the line after it."""
    for start, content in _lines(text):
        lead = len(content) - len(content.lstrip(LEAD))
        found = ANSWER_LINE.match(content[: lead + HEAD_CHARS], lead)
        if found is None and content.strip(AROUND)[:HEAD_CHARS].lower() not in HEADINGS:
            continue
        rest = text[start + (found.end() if found else len(content)) :]
        said = _value_of(rest)
        if found is not None and WEAK.search(found[0]) and not VALUE.match(said or ""):
            continue
        if said and len(said) <= MAX_ANSWER_CHARS and not is_placeholder(said):
            return Stated(at=start, text=_inner(said))
    return None


def hashes(text: str) -> Stated | None:
    """What stands behind the last `####`, where it is no heading."""
    for start, content in _lines(text):
        found = HASHES.match(content, max(0, content.rfind("####")))
        if found is None or STEP.match(found[1]):
            continue
        said = _of_line(found[1].strip().strip("*# "))
        last = not text[start + len(content) :].strip()
        if said and (VALUE.match(said) or last) and len(said) <= MAX_ANSWER_CHARS:
            return Stated(at=start, text=_inner(said))
    return None


def stated(text: str) -> str | None:
    """What "the answer is" introduces."""
    said = stated_answer(text)
    return None if said is None or is_placeholder(said) else _inner(said)


def _lines(text: str) -> list[tuple[int, str]]:
    """Starts and texts of the last lines, from the end."""
    found, end = list[tuple[int, str]](), len(text)
    while end >= 0 and len(found) < MAX_LINES:
        start = text.rfind("\n", 0, end) + 1
        found.append((start, text[start:end]))
        end = start - 1
    return found


def _value_of(rest: str) -> str | None:
    """The value at the beginning of what follows a colon."""
    rest = rest[: 2 * MAX_ANSWER_CHARS].lstrip(" \t*_`:\uff1a\r\n#>")
    for opening, closing in OPENED.items():
        if (
            rest.startswith(opening)
            and "\n" in rest.split(closing, 2)[1 if opening == closing else 0]
        ):
            inner = rest[len(opening) :].split(closing, 1)[0].strip()
            return inner or None
    first = rest.split("\n", 1)[0].strip()
    said = SAID.match(first)
    first = first[said.end() :] if said else first
    return _of_line(first) or None


def _of_line(said: str) -> str:
    """A line's value: its formulas where only these and joins stand there, else its sentence."""
    said = BOLD.sub("", said.strip()[: 2 * MAX_ANSWER_CHARS])
    formulas = [next(filter(None, mark.groups())).strip() for mark in FORMULA.finditer(said)]
    if formulas:
        first, *between = FORMULA.split(said)[0 :: FORMULA.groups + 1]
        tail = between.pop().lstrip(" *_`")
        prose = len(first.split()) > 1 or len(tail.split()) > 4
        if all(map(BETWEEN.fullmatch, between)) and (prose or not (first + tail).strip(" *_`:,.;")):
            return ", ".join(formulas)
    said = ASIDE.sub("", SENTENCE.split(said, maxsplit=1)[0]).strip(" *_`\t").rstrip(".*_` ")
    return said if "(" in said or "[" in said else said.rstrip(")]")


def _inner(content: str) -> str | None:
    """What the box in an answer holds, where there is one."""
    found = boxed_answer(content)
    return content if found is None else found.text


def marked_text(text: str) -> str | None:
    """The answer behind the last explicit mark, without where it stands."""
    found = find_marked(text)
    return None if found is None else found.text
