r"""What a judge's text says: its part behind the thoughts, its answer, its verdict.

An answer is what stands in the place that was asked for; words elsewhere are never one. A verdict
is the last JSON object, at the very end, because a judge may quote what it judges before.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from rlavr_hpc.labels.declining import declines
from rlavr_hpc.labels.orders import VERDICTS, Order
from rlavr_hpc.labels.text import is_void

NAMES = r"(?:seed:)?(?:think|thinking|thought|thoughts|reasoning|reflection|scratchpad|analysis)"
OPENING = re.compile(
    rf"<{NAMES}>|\[THINK\]|\u25c1think\u25b7|<\|(?:begin_of_thought|think|START_THINKING)\|>"
    r"|<\|channel\|>(?:analysis|commentary)[^<]{0,80}<\|message\|>",
    re.IGNORECASE,
)
CLOSING = re.compile(
    rf"</{NAMES}>|\[/THINK\]|\u25c1/think\u25b7|<\|(?:end_of_thought|/think|END_THINKING)\|>"
    r"|<\|channel\|>final[^<]{0,80}<\|message\|>",
    re.IGNORECASE,
)
BOX = "\\boxed{"
MAX_TRIES = 200
"""Opening braces that are tried as the start of a JSON object, from the end."""
MAX_TAIL = 20_000
"""Characters, from the end, in which a JSON object is looked for."""
PLACEHOLDERS = frozenset({"answer", "your answer", "letter", "final answer", "value", "..."})
LAZY = frozenset({"", "...", "\\ldots", "\\dots", "\\cdots"})
AFTER_VERDICT = " \t\r\n`*."


def without_thoughts(text: str) -> str | None:
    """What is said behind the last thought; None where a thought has no end."""
    closed = list(CLOSING.finditer(text))
    rest = text[closed[-1].end() :] if closed else text
    return None if OPENING.search(rest) else rest


def stated_answer(text: str, order: Order) -> str | None:
    r"""The answer in the last JSON object or `\boxed{}`, whichever comes later; None = none."""
    boxed, box_end = _last_box(text)
    found, end = last_object(text)
    value = found.get("answer") if found is not None else None
    if type(value) in (str, int, float) and end > box_end:
        said = str(value)
        return said if said.isprintable() else None  # "\frac" in JSON is a form feed and "rac"
    return boxed


def usable(answer: str | None) -> str | None:
    """An answer as it may go on; None for an empty place, a placeholder and a refusal in it."""
    if answer is None:
        return None
    answer = answer.strip()
    low = answer.strip("<>[]()$ .").lower()
    if answer in LAZY or low in PLACEHOLDERS or is_void(answer):
        return None
    return None if declines(answer) else answer


def stated_verdict(text: str) -> str | None:
    """`right` or `wrong`: the `verdict` of a JSON object that ends the text; None = none."""
    found, end = last_object(text)
    if found is None or text[end:].strip(AFTER_VERDICT):
        return None
    verdict = found.get("verdict")
    return verdict if isinstance(verdict, str) and verdict in VERDICTS else None


def last_object(text: str) -> tuple[dict[str, Any] | None, int]:
    """The last JSON object that is in no other one, and where it ends; (None, -1) without one."""
    skipped = max(0, len(text) - MAX_TAIL)
    tail = text[skipped:]
    best: dict[str, Any] | None = None
    start = end = -1
    decoder = json.JSONDecoder(object_pairs_hook=_once)
    for at in _braces(tail):
        try:
            value, stop = decoder.raw_decode(tail, at)
        except (ValueError, RecursionError):
            continue
        if best is not None and stop <= start:
            break  # one before it
        if isinstance(value, dict):
            best, start, end = value, at, stop
    return (None, -1) if best is None else (best, skipped + end)


def _braces(text: str) -> Iterable[int]:
    at = len(text)
    for _ in range(MAX_TRIES):
        at = text.rfind("{", 0, at)
        if at < 0:
            return
        yield at


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object; ValueError where a name stands twice."""
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a name stands twice")
    return made


def _last_box(text: str) -> tuple[str | None, int]:
    r"""What the last `\boxed{}` holds, and where it ends; None where it has no end."""
    at = text.rfind(BOX)
    if at < 0:
        return None, -1
    depth, start = 1, at + len(BOX)
    for place in range(start, len(text)):
        sign = text[place]
        if sign in "{}" and text[place - 1] != "\\":
            depth += 1 if sign == "{" else -1
            if depth == 0:
                return text[start:place], place
    return None, len(text)
