r"""Which words can be the label of a mathematical question, where somebody from outside gives it.

The grader compares words letter by letter, so prose would never meet a response and each of them
would earn 0. A name (`Monday`, `New York`), a phrase of mathematics (`no real solution`) and what
is marked as words, `\text{twice as old}`, are answers; a sentence is none. The labels of a data set
are not asked.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from rlavr_hpc.answers.equivalence import ParsedAnswer
from rlavr_hpc.answers.tasks.protocol import label_mode
from rlavr_hpc.answers.verifier import Verifier
from rlavr_hpc.labels.declining import declines

MAX_NAME = 2
"""Words of a name; more are a sentence, unless they are marked as words."""
MARKED = re.compile(r"\\(?:text|textbf|textit|mathrm)\{[^{}]*\w[^{}]*\}\.?")
PARTS = re.compile(r"\s*[,;]\s*|\s+(?:and|or)\s+")
NAME = re.compile(r"[^\W\d_][^\W_]*(?:[-'\u2019.][^\W_]+)*\.?")
PHRASE = re.compile(
    r"(?:it )?(?:cannot|can ?not|can't) be (?:determined|decided|solved|found|done)"
    r"|(?:it )?does not exist|(?:it is )?not (?:enough|sufficient) information"
    r"|not possible to (?:tell|determine|decide)|all (?:real|complex|positive|negative) numbers"
    r"|(?:there (?:is|are) )?(?:no|one|two|infinitely many|exactly one) (?:[a-z]+ ){0,2}"
    r"(?:solutions?|roots?|values?|answers?|numbers?|integers?|triangles?)"
    r"|neither [a-z]+ nor [a-z]+|none of (?:these|the above|them)|all of (?:these|the above|them)",
    re.IGNORECASE,
)
"""What is said of a problem in mathematics, rather than of the one who solves it."""


def says_nothing(task: str, text: str) -> bool:
    """Whether a text declines in the place of an answer of this task."""
    return declines(text, words=task not in ("math", "choice", "knights"))


def read_accepted(
    verifier: Verifier, task: str, question: str, text: str
) -> Sequence[ParsedAnswer | None]:
    """What the grader reads in each of a label's accepted answers.

    Raises:
        RlavrError: the task's own class failed.
        ValueError: the text is no label of the task.
    """
    rules = verifier.tasks[task]
    raw = [(label_mode(rules.mode), accepted) for accepted in rules.accepted(text, question)]
    parsed = verifier.own.get(task, verifier.equality).read(raw)
    return [parsed[one] for one in raw]


def is_prose(answer: ParsedAnswer) -> bool:
    """Whether a mathematical answer can only be compared as words and is no name."""
    if not compares_as_words(answer):
        return False
    text = answer.raw[1].strip()
    return not (MARKED.fullmatch(text) or all(map(_is_named, PARTS.split(text))))


def compares_as_words(answer: ParsedAnswer) -> bool:
    """Whether only the same words are the same answer."""
    return answer.literal or not answer.comparable


def _is_named(part: str) -> bool:
    if MARKED.fullmatch(part) or PHRASE.fullmatch(part.rstrip(".")):
        return True
    words = part.split()
    if any(character.isdigit() for character in part):  # a date, a time, a code
        return len(words) <= MAX_NAME + 1
    return 0 < len(words) <= MAX_NAME and all(map(NAME.fullmatch, words))
