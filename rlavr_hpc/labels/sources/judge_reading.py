"""What came back from a judge, before anybody looks at its text: the status, then the shape.

The text counts only behind status 200, `choices[0]`, `finish_reason` "stop" and a text as content.
All else is told with its reason; nothing is made of half a reply.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from rlavr_hpc.labels.http_call import Fetched
from rlavr_hpc.labels.sources.judge_text import without_thoughts

PURSE = (
    "insufficient_quota",
    "insufficient balance",
    "credit balance",
    "billing_hard_limit",
    "billing_not_active",
)
"""In an error's code or words: asking again is useless. Rate limits name quotas and bills too."""
TOO_LONG = ("context_length", "context length", "maximum context", "too long", "too many tokens")
FILTERED = ("content_filter", "content policy", "content_policy")
LIMITED = ("rate_limit", "rate limit", "too many requests")
STOPPING = {
    401: "the service refuses the key",
    402: "the service wants money",
    403: "the service refuses the key",
}
NO_MODEL = ("model", "deployment")
"""In an error's code or words, behind status 404: the address is right."""
END_UNKNOWN = (408, 504, 524)
"""Statuses of a service that may have worked on the request before it gave up."""
MAX_WORDS = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens as the service counts them."""

    prompt: int
    reply: int


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeSaid:
    """A whole reply."""

    text: str
    """Behind its thoughts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Nothing:
    """A reply that is no answer, and would not become one by asking again."""

    why: str
    spent: bool = True
    """Whether it was paid for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """No reply; asking again may help."""

    why: str
    spent: bool
    """Whether the call may have been paid for."""
    limited: bool = False
    """The service asks for fewer calls."""
    after: float | None = None
    """Seconds that it wants to be left alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped:
    """Asking again is useless."""

    why: str
    no_address: bool = False
    """Nothing answers under this path."""


Outcome = JudgeSaid | Nothing | Failed | Stopped


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What one call gave."""

    outcome: Outcome
    model: str = ""
    """As the service calls what answered."""
    fingerprint: str = ""
    usage: Usage | None = None


def read_reply(fetched: Fetched) -> Reply:
    """Take a response apart."""
    body = _object(fetched.body)
    error = _error(body)
    if fetched.status != 200:
        return Reply(outcome=_refused(fetched, error))
    if body is None:
        return Reply(outcome=Failed(why="status 200 with a body that is no JSON", spent=True))
    if error is not None:
        return Reply(outcome=_error_with_200(error), usage=_usage(body))
    return Reply(
        outcome=_choice(body),
        model=_name(body.get("model")),
        fingerprint=_name(body.get("system_fingerprint")),
        usage=_usage(body),
    )


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _error(body: Mapping[str, Any] | None) -> str | None:
    """The code and the words of an error in a body; None where there is none."""
    found = None if body is None else (body.get("error") or body.get("detail"))
    if not found and body is not None and body.get("object") == "error":
        found = body
    if not found:
        return None
    if not isinstance(found, Mapping):
        return _words(str(found)) or "an error"
    parts = [str(found[name]) for name in ("code", "type", "message") if found.get(name)]
    return _words(": ".join(dict.fromkeys(parts))) or "an error"


def _refused(fetched: Fetched, error: str | None) -> Outcome:
    """A status that is not 200."""
    status, low = fetched.status, (error or "").lower()
    why = f"status {status}" + (f": {error}" if error else "")
    if status == 429 and _says(low, PURSE):
        return Stopped(why=f"the service's purse is empty: {why}")
    if status == 429:
        return Failed(why=why, spent=False, limited=True, after=retry_after(fetched.headers))
    if status == 404:
        return _not_found(why, low)
    if status in STOPPING:
        return Stopped(why=f"{STOPPING[status]}: {why}")
    if status in (400, 413, 422) and _says(low, FILTERED):
        return Nothing(why=f"content_filter: {why}", spent=False)
    if status == 413 or (status in (400, 422) and _says(low, TOO_LONG)):
        return Nothing(why=f"too long for the service: {why}", spent=False)
    if 300 <= status < 400:
        return Stopped(why=f"the service sends elsewhere; labels.base_url is not its own: {why}")
    after = retry_after(fetched.headers) if status == 503 else None
    return Failed(why=why, spent=status in END_UNKNOWN, limited=after is not None, after=after)


def _not_found(why: str, low: str) -> Stopped:
    if _says(low, NO_MODEL):
        return Stopped(why=f"the service knows no such model (labels.model): {why}")
    return Stopped(why=f"the service knows no such address: {why}", no_address=True)


def _error_with_200(error: str) -> Outcome:
    low, why = error.lower(), f"status 200 with an error: {error}"
    if _says(low, PURSE):
        return Stopped(why=f"the service's purse is empty: {why}")
    if _says(low, LIMITED):
        return Failed(why=why, spent=False, limited=True)
    if _says(low, FILTERED):
        return Nothing(why=f"content_filter: {why}")
    return Failed(why=why, spent=True)


def _choice(body: Mapping[str, Any]) -> Outcome:
    choices = body.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    message = first.get("message") if isinstance(first, Mapping) else None
    if not isinstance(first, Mapping) or not isinstance(message, Mapping):
        return Failed(why="status 200 without choices", spent=True)
    if message.get("refusal"):
        return Nothing(why="refusal")
    finish = first.get("finish_reason")
    if finish == "length":
        return Nothing(why="cut off: finish_reason 'length'; labels.max_tokens may be too small")
    if finish != "stop":
        return Nothing(why=f"finish_reason {_words(str(finish))!r}")
    return _content(message)


def _content(message: Mapping[str, Any]) -> Outcome:
    content = message.get("content")
    if content is None:
        thoughts = message.get("reasoning") or message.get("reasoning_content")
        return Nothing(why="no content" + (", thoughts only" if thoughts else ""))
    if not isinstance(content, str):
        return Nothing(why="a content that is no text")
    text = without_thoughts(content)
    if text is None:
        return Nothing(why="a thought without an end")
    return JudgeSaid(text=text) if text.strip() else Nothing(why="an empty reply")


def _usage(body: Mapping[str, Any]) -> Usage | None:
    usage = body.get("usage")
    if not isinstance(usage, Mapping):
        return None
    prompt, reply = usage.get("prompt_tokens"), usage.get("completion_tokens")
    if type(prompt) is not int or type(reply) is not int or min(prompt, reply) < 0:
        return None
    return Usage(prompt=prompt, reply=reply) if max(prompt, reply) < 10**9 else None


def retry_after(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Seconds that a service wants to be left alone, at least; None where it does not say."""
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.replace(".", "", 1).isdigit() and len(text) < 10:
        return float(text)
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, TypeError):
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return max(0.0, (at - (now or datetime.now(UTC))).total_seconds())


def _says(text: str, words: tuple[str, ...]) -> bool:
    return any(word in text for word in words)


def _words(text: str) -> str:
    """A stranger's words on one line."""
    flat = " ".join("".join(c if c.isprintable() else " " for c in text[:1000]).split())
    return flat[:MAX_WORDS]


def _name(value: object) -> str:
    """A model's name, without blanks."""
    return "_".join(_words(value).split()) if isinstance(value, str) else ""
