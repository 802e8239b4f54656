r"""What a judge's text says: its part behind the thoughts, its answer, its verdict, a refusal.

An answer is what stands in the place that was asked for; words elsewhere are never one. A verdict
is the last JSON object, at the very end, because a judge may quote what it judges before.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

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
REFUSALS = re.compile(
    r"\bI(?:'|\u2019)?\s?(?:m|am)\s+(?:sorry|unable|not able|not permitted)\b"
    r"|\bI\s*(?:cannot|can(?:'|\u2019)?t|can not|won(?:'|\u2019)?t|will not|must decline|decline)\b"
    r"|\bas an ai\b|\bunable to (?:help|assist|answer|comply)\b"
    r"|\bje ne (?:peux|puis)\b|\bd\u00e9sol\u00e9e?\b|\bno puedo\b|\blo siento\b"
    r"|\bich kann\b[^.]{0,60}\bnicht\b|\bleider\b|\btut mir leid\b"
    r"|\bnon posso\b|\bmi dispiace\b|\bn\u00e3o posso\b|\bdesculpe\b|\blamento\b"
    r"|\u043d\u0435 \u043c\u043e\u0433\u0443|\u0438\u0437\u0432\u0438\u043d\u0438\u0442\u0435"
    r"|\u65e0\u6cd5|\u7121\u6cd5|\u4e0d\u80fd|\u62b1\u6b49|\u5bf9\u4e0d\u8d77"
    r"|\u3067\u304d\u307e\u305b\u3093|\u7533\u3057\u8a33|\u304a\u7b54\u3048\u3067\u304d"
    r"|\uc8c4\uc1a1|\ud560 \uc218 \uc5c6"
    r"|\u0644\u0627 \u0623\u0633\u062a\u0637\u064a\u0639|\u0622\u0633\u0641",
    re.IGNORECASE,
)
"""How models decline, in the languages that they speak most."""
DECLINES = (
    "sorry|d\u00e9sol\u00e9|d\u00e9sol\u00e9e|je suis d\u00e9sol\u00e9"
    "|je suis d\u00e9sol\u00e9e|lo siento|tut mir leid|es tut mir leid|leider kann ich"
    "|mi dispiace|desculpe|sinto muito|lamento|helaas|tyv\u00e4rr|beklager|undskyld"
    "|valitettavasti|przykro mi|przepraszam|niestety|omlouv\u00e1m se|bohu\u017eel"
    "|sajn\u00e1lom|\u00eemi pare r\u0103u|\u03bb\u03c5\u03c0\u03ac\u03bc\u03b1\u03b9"
    "|\u03c3\u03c5\u03b3\u03b3\u03bd\u03ce\u03bc\u03b7"
    "|\u0438\u0437\u0432\u0438\u043d\u0438\u0442\u0435"
    "|\u043a \u0441\u043e\u0436\u0430\u043b\u0435\u043d\u0438\u044e"
    "|\u0432\u0438\u0431\u0430\u0447\u0442\u0435|\u043d\u0430 \u0436\u0430\u043b\u044c"
    "|\u00fczg\u00fcn\u00fcm|maaf|xin l\u1ed7i|samahani"
    "|\u092e\u0941\u091d\u0947 \u0916\u0947\u0926"
    "|\u0915\u094d\u0937\u092e\u093e \u0915\u0930\u0947\u0902"
    "|\u092e\u093e\u092b\u093c \u0915\u0930\u0947\u0902"
    "|\u0986\u09ae\u09bf \u09a6\u09c1\u0983\u0996\u09bf\u09a4"
    "|\u0e02\u0e2d\u0e2d\u0e20\u0e31\u0e22|\u0e02\u0e2d\u0e42\u0e17\u0e29|\u0622\u0633\u0641"
    "|\u0645\u062a\u0623\u0633\u0641\u0645|\u05d0\u05e0\u05d9 \u05de\u05e6\u05d8\u05e2\u05e8"
    "|\u62b1\u6b49|\u5bf9\u4e0d\u8d77|\u5c0d\u4e0d\u8d77|\u5f88\u9057\u61be|\u7533\u3057\u8a33"
    "|\u3059\u307f\u307e\u305b\u3093|\uc8c4\uc1a1|\u0639\u0630\u0631\u0627"
    "|\u05e1\u05dc\u05d9\u05d7\u05d4|I cannot|I can't|I can\u2019t|I am unable|I'm unable"
    "|I\u2019m unable|as an ai|je ne peux pas r\u00e9pondre|je ne peux pas aider"
    "|no puedo responder|no puedo ayudar|das kann ich nicht|ich kann nicht|ich kann das nicht"
    "|ich kann diese frage nicht|non posso rispondere|non posso aiutare"
    "|n\u00e3o posso responder|n\u00e3o posso ajudar"
    "|\u043d\u0435 \u043c\u043e\u0433\u0443 \u043e\u0442\u0432\u0435\u0442\u0438\u0442\u044c"
    "|\u043d\u0435 \u043c\u043e\u0433\u0443 \u043f\u043e\u043c\u043e\u0447\u044c"
    "|\u6211\u65e0\u6cd5\u56de\u7b54|\u6211\u4e0d\u80fd\u56de\u7b54"
    "|\u304a\u7b54\u3048\u3067\u304d\u307e\u305b\u3093"
)
"""How a refusal begins, in some thirty languages."""
DECLINED = re.compile(rf"\s*(?:\\text\{{)?\s*(?:{DECLINES})(?![a-z])", re.IGNORECASE)
"""A refusal in the place of an answer; `cannot be determined` is an answer."""
AFTER_VERDICT = " \t\r\n`*."


def without_thoughts(text: str) -> str | None:
    """What is said behind the last thought; None where a thought has no end."""
    closed = list(CLOSING.finditer(text))
    rest = text[closed[-1].end() :] if closed else text
    return None if OPENING.search(rest) else rest


def refuses(text: str) -> bool:
    """Whether a text declines, in words; asked only of a text without an answer."""
    return REFUSALS.search(text[:2000]) is not None


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
    return None if DECLINED.match(answer) else answer


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
