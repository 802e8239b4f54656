"""The part of a response that is no thought: a draft in a thought is no answer.

Models mark what they think with tags such as `<think>`. Where a chat template opens the thought in
the prompt, the response holds the closing tag only.
"""

from __future__ import annotations

import re

NAMES = r"(?:seed:)?(?:think|thinking|thought|thoughts|reasoning|reflection|scratchpad|analysis)"
OPENING = re.compile(
    rf"<{NAMES}>|\[THINK\]|\u25c1think\u25b7|<\|begin_of_thought\|>|<\|think\|>|<\|START_THINKING\|>"
    r"|<\|channel\|>(?:analysis|commentary)(?:[^<]{0,80})<\|message\|>",
    re.IGNORECASE,
)
CLOSING = re.compile(
    rf"</{NAMES}>|\[/THINK\]|\u25c1/think\u25b7|<\|end_of_thought\|>|<\|/think\|>|<\|END_THINKING\|>"
    r"|<\|channel\|>final(?:[^<]{0,80})<\|message\|>",
    re.IGNORECASE,
)
WORDS = ("think", "thought", "reason", "reflect", "scratchpad", "analysis", "channel")
"""One of these is in every tag."""
TAIL_CHARS = 200
"""Of a prompt, where a template opens a thought."""


def final_part(response: str, question: str = "") -> str:
    """What a response says after its last thought; empty when the thought was cut off.

    Args:
        response: what the model wrote.
        question: what it read; a thought that is open at its end goes on in the response.
    """
    if not _may_hold_a_thought(response):
        return "" if _is_open(question[-TAIL_CHARS:]) else response
    closed = _last(CLOSING, response)
    rest = response if closed is None else response[closed.end() :]
    opened = OPENING.search(rest)
    if opened is not None:
        return rest[: opened.start()]
    if closed is None and _is_open(question[-TAIL_CHARS:]):
        return ""
    return rest


def _may_hold_a_thought(text: str) -> bool:
    if "<" not in text and "[" not in text and "\u25c1" not in text:
        return False
    lowered = text.lower()
    return any(word in lowered for word in WORDS)


def _is_open(text: str) -> bool:
    opened = _last(OPENING, text)
    return opened is not None and not text[opened.end() :].strip()


def _last(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    last = None
    for found in pattern.finditer(text):
        last = found
    return last
