r"""In which form a prompt asks for its answer: a box, a line `Answer: ...`, an `<answer>` block."""

from __future__ import annotations

import re
from enum import StrEnum

from rlavr_hpc.types import Question


class AskedForm(StrEnum):
    """How a prompt says that the answer is to be written."""

    boxed = "boxed"
    r"""In `\boxed{...}`."""
    line = "line"
    """On a line `Answer: ...`."""
    block = "block"
    """In `<answer>...</answer>`."""
    hashes = "hashes"
    """Behind `####`."""
    stated = "stated"
    """In a sentence: the answer is ...."""
    nothing = "nothing"
    """It does not say."""


SHOWN = {
    AskedForm.boxed: "\\boxed{...}",
    AskedForm.line: "a line `Answer: ...`",
    AskedForm.block: "<answer>...</answer>",
    AskedForm.hashes: "#### ...",
    AskedForm.stated: "the answer is ...",
    AskedForm.nothing: "in no form that is named",
}
"""As a sentence names it."""
HASHES = re.compile(
    r"[^\s#][^\n#]{0,80}####|^####\s*(?:[<\[{$\\\d]|(?:final|the|your)?\s*answer)",
    re.IGNORECASE | re.MULTILINE,
)
"""In a sentence, or before a value or its placeholder; `#### Problem 3` is a heading."""
PATTERNS = (
    (AskedForm.boxed, re.compile(r"\\f?box(?:ed)?\b|\bboxed\b")),
    (AskedForm.block, re.compile(r"<answer>|</answer>")),
    (AskedForm.hashes, HASHES),
    (AskedForm.line, re.compile("\\banswer\\**\\s?[:\N{FULLWIDTH COLON}]", re.IGNORECASE)),
    (AskedForm.stated, re.compile(r"\bfinal answer is\b|[\"'`“]the answer is\b", re.IGNORECASE)),
)
OPEN_END = re.compile("\\banswer\\**\\s?[:\N{FULLWIDTH COLON}]\\s*\\Z", re.IGNORECASE)
"""A text that the model has to continue behind `Answer:` asks for no line of that kind."""
LONGEST = 20_000
"""Characters looked at, from either end: instructions stand there."""


def asked_forms(question: Question, system_prompt: str | None = None) -> frozenset[AskedForm]:
    """The forms that a prompt asks for, or `nothing` alone.

    Args:
        question: what the assistant said in it is passed over.
        system_prompt: that of the config.
    """
    said = [m.content for m in question.messages if m.role != "assistant"] or [question.text]
    text = "\n\n".join([*([system_prompt] if system_prompt else []), *said])
    if len(text) > 2 * LONGEST:
        text = f"{text[:LONGEST]}\n{text[-LONGEST:]}"
    text = OPEN_END.sub("", text)
    found = frozenset(form for form, pattern in PATTERNS if pattern.search(text))
    return found or frozenset({AskedForm.nothing})
