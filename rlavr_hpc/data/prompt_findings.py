"""Findings about prompts: pictures that are not there, cut texts, answered or too long ones."""
# ruff: noqa: RUF001  ends of sentences in Chinese

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence

from rlavr_hpc.data.findings import NAMED, DataFinding, FindingLevel
from rlavr_hpc.data.templates import text_of
from rlavr_hpc.types import Prompt, Question

MEDIA_MARK = re.compile(
    r"<(?:image|video|audio)>|<\|(?:image|video|audio)(?:_pad|_1)?\|>|<\|vision_start\|>|"
    r"<start_of_image>|\[IMG\]|<image_placeholder>|<img\s[^>]{0,300}src="
)
"""What stands in a text for a picture, film or sound beside it."""
CUT_LENGTHS = 3
"""So many texts of one and the same greatest length, none with an end, have been cut."""
CUT_AT_LEAST = 200
"""Characters; shorter texts are alike in length by chance."""
END = re.compile(r"[.?!:;)\]}>$\"'`*|。？！：；）」』…]\s*\Z")


def name_of(question: Question) -> str:
    """A question's place in its file, else its id."""
    return question.where or f"prompt {question.id!r}"


def finding(
    kind: str, level: FindingLevel, text: str, questions: Sequence[Question]
) -> DataFinding:
    """A finding about these questions, the first of which it names."""
    rows = tuple(name_of(question) for question in questions[:NAMED])
    return DataFinding(kind=kind, level=level, text=text, count=len(questions), rows=rows)


def find_in_questions(questions: Sequence[Question]) -> list[DataFinding]:
    """What can be told from the questions alone, without a tokenizer."""
    total = len(questions)
    found = []
    media = [q for q in questions if MEDIA_MARK.search(text_of(q))]
    if media:
        level = FindingLevel.error if len(media) == total else FindingLevel.warning
        text = (
            f"{len(media)} of {total} prompts speak of a picture, film or sound ("
            f"{_first_match(MEDIA_MARK, media[0])}) that the model does not get; leave such rows "
            "out of the file"
        )
        found.append(finding("media_mark", level, text, media))
    cut = _cut(questions)
    if cut:
        text = (
            f"{len(cut)} of {total} prompts have exactly {len(cut[0].text):,} characters, the most "
            "of all, and break off: the file was probably written with a limit; write it again "
            "without one"
        )
        found.append(finding("cut_prompt", FindingLevel.warning, text, cut))
    answered = [q for q in questions if q.messages and q.messages[-1].role == "assistant"]
    if answered:
        text = (
            f"{len(answered)} of {total} prompts end with a message of the assistant, and the "
            "model is asked to answer after it; leave that message out, if it is the answer"
        )
        found.append(finding("answered_prompt", FindingLevel.warning, text, answered))
    return found


def _first_match(pattern: re.Pattern[str], question: Question) -> str:
    match = pattern.search(text_of(question))
    return match[0] if match else ""


def _cut(questions: Sequence[Question]) -> list[Question]:
    """Those that were cut at one length; empty where nothing speaks for it."""
    longest = max((len(q.text) for q in questions), default=0)
    if longest < CUT_AT_LEAST:
        return []
    same = [q for q in questions if len(q.text) == longest]
    if len(same) < CUT_LENGTHS:
        return []
    bounds = Counter(bool(END.search(q.text)) for q in same)
    return same if bounds[False] * 2 > len(same) else []


def find_too_long(
    questions: Sequence[Question], kept: Collection[str], *, max_tokens: int
) -> list[DataFinding]:
    """Questions that are left out for their length.

    Args:
        questions: all.
        kept: ids of those that are used.
        max_tokens: the limit.
    """
    long = [q for q in questions if q.id not in kept]
    if not long:
        return []
    text = (
        f"{len(long)} of {len(questions)} prompts are longer than rollout.max_prompt_tokens="
        f"{max_tokens} and left out; raise it to train on them, or make it an error with "
        "data.overlong=error"
    )
    return [finding("too_long", FindingLevel.warning, text, long)]


def find_dropped(questions: Sequence[Question], prompts: Sequence[Prompt]) -> list[DataFinding]:
    """Messages that the chat template leaves out without a word.

    What the assistant said is not looked at: templates leave out its earlier thoughts on purpose.
    """
    texts = {prompt.id: prompt.text for prompt in prompts}
    lost: dict[str, list[Question]] = {}
    for question in questions:
        text = texts.get(question.id)
        for message in question.messages:
            gone = text is not None and message.content.strip() not in text
            if gone and message.role != "assistant":
                lost.setdefault(message.role, []).append(question)
                break
    found = []
    for role, those in lost.items():
        level = (
            FindingLevel.error
            if role == "user" and len(those) == len(questions)
            else FindingLevel.warning
        )
        text = (
            f"in {len(those)} of {len(questions)} prompts the model's chat template leaves out or "
            f"rewrites the {role} message; look at the rendered prompt, and try "
            "data.system_role=merge or data.chat_template=none"
        )
        found.append(finding("dropped_message", level, text, those))
    return found
