"""What a label source is asked, and what it replies: one JSON line each, the same for all sources.

Replies are text of strangers. `read_answer` takes a line apart without trusting it; whether a text
can be a label at all is decided where it is used.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rlavr_hpc.config.labels import Ask
from rlavr_hpc.io import canonical_json
from rlavr_hpc.types import Message

KEY_CHARS = 32
MAX_TEXT = 20_000
"""Characters of an answer; a longer one is void."""
MAX_NOTE = 2_000
RIGHT, WRONG = "right", "wrong"
VERDICTS = (RIGHT, WRONG)


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceIdentity:
    """Who is asked. Another version is another source: its answers are bought anew."""

    name: str
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One question to a label source."""

    key: str
    """Of the question's content, of what is asked, and of the source."""
    prompt_id: str
    messages: tuple[Message, ...]
    ask: Ask
    task: str
    price: float
    """What the answer may cost."""
    vote: str | None = None
    """The model's majority answer, where it is shown."""
    clusters: tuple[str, ...] | None = None
    """The model's competing answers, in an order that says nothing, where they are shown."""

    @property
    def question(self) -> str:
        """The last turn."""
        return self.messages[-1].content if self.messages else ""

    @property
    def content(self) -> str:
        """The same for all orders of one question, whoever is asked."""
        return _digest({"messages": _plain(self.messages), "task": self.task})

    def to_row(self) -> dict[str, Any]:
        """As a line."""
        row: dict[str, Any] = {
            "key": self.key,
            "prompt_id": self.prompt_id,
            "messages": _plain(self.messages),
            "ask": str(self.ask),
            "task": self.task,
            "price": self.price,
        }
        if self.vote is not None:
            row["vote"] = self.vote
        if self.clusters is not None:
            row["clusters"] = list(self.clusters)
        return row


def read_order(row: Mapping[str, Any]) -> Order:
    """An order from its line.

    Raises:
        ValueError: it is none.
    """
    try:
        clusters = row.get("clusters")
        order = Order(
            key=row["key"],
            prompt_id=row["prompt_id"],
            messages=tuple(Message(role=m["role"], content=m["content"]) for m in row["messages"]),
            ask=Ask(row["ask"]),
            task=row["task"],
            price=float(row["price"]),
            vote=row.get("vote"),
            clusters=None if clusters is None else tuple(clusters),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not an order: {error!r}") from error
    texts = (order.key, order.prompt_id, order.task, *(order.clusters or ()))
    parts = [part for message in order.messages for part in (message.role, message.content)]
    if not all(isinstance(text, str) for text in (*texts, *parts, order.vote or "")):
        raise ValueError("not an order: a field is no text")
    return order


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a source said of an order: exactly one of answer, verdict and void."""

    key: str
    answer: str | None = None
    verdict: str | None = None
    """`right` or `wrong`, of the vote."""
    void: str | None = None
    """Why there is no answer: a refusal, a time-out, `cannot say`."""
    annotator: str = ""
    """Who said it: a person, or a service's model."""
    seconds: float | None = None
    """That it took."""
    cost: float | None = None
    """None = the order's price, or nothing where it is void."""
    note: str = ""
    model: str = ""
    """As the service calls what answered."""
    corrects: bool = False
    """Whether it takes the place of an earlier answer to this key by the same source."""

    def cost_at(self, price: float) -> float:
        """What it costs where an answer has this price: a void one nothing, unless it says so."""
        if self.cost is not None:
            return self.cost
        return price if self.void is None else 0.0

    def to_row(self) -> dict[str, Any]:
        """As a line."""
        row: dict[str, Any] = {"key": self.key}
        for name in ("answer", "verdict", "void", "seconds", "cost"):
            if (value := getattr(self, name)) is not None:
                row[name] = value
        for name in ("annotator", "note", "model"):
            if value := getattr(self, name):
                row[name] = value
        if self.corrects:
            row["corrects"] = True
        return row


def read_answer(row: Mapping[str, Any]) -> Answer:
    """An answer from a stranger's line.

    Raises:
        ValueError: it is none; the message says why and quotes nothing of it.
    """
    key = row.get("key")
    if not isinstance(key, str) or not key or len(key) > 4 * KEY_CHARS:
        raise ValueError("it has no key")
    given = [name for name in ("answer", "verdict", "void") if row.get(name) is not None]
    if len(given) != 1:
        raise ValueError("it has not exactly one of answer, verdict and void")
    text = row[given[0]]
    if not isinstance(text, str):
        raise ValueError(f"its {given[0]} is no text")
    if given[0] == "verdict" and text not in VERDICTS:
        raise ValueError("its verdict is neither right nor wrong")
    values: dict[str, str] = {given[0]: text}
    if given[0] == "answer" and len(text) > MAX_TEXT:
        values = {"void": f"an answer of {len(text)} characters"}
    return Answer(
        key=key,
        **values,
        annotator=_text(row, "annotator"),
        seconds=_number(row, "seconds"),
        cost=_number(row, "cost"),
        note=_text(row, "note"),
        model=_text(row, "model"),
        corrects=row.get("corrects") is True,
    )


def _text(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ValueError(f"its {name} is no text")
    return value[:MAX_NOTE]


def _number(row: Mapping[str, Any], name: str) -> float | None:
    value = row.get(name)
    if value is None:
        return None
    if type(value) not in (int, float) or not math.isfinite(value) or value < 0:
        raise ValueError(f"its {name} is no number of at least 0")
    return float(value)


def order_key(
    messages: Sequence[Message],
    *,
    task: str,
    ask: Ask,
    source: SourceIdentity,
    shown: Mapping[str, Any] | None = None,
    copy: int = 0,
) -> str:
    """The key of a question: of its content, whatever run, folder or day asks it.

    Args:
        messages: the question.
        task: which answers are expected.
        ask: whether its answer is asked for, or a verdict.
        source: who is asked.
        shown: what the source sees besides the question; None = nothing.
        copy: how many were asked for the same before, where several answers are wanted.
    """
    content: dict[str, Any] = {
        "messages": _plain(messages),
        "task": task,
        "ask": str(ask),
        "source": [source.name, source.version],
    }
    if shown:
        content["shown"] = dict(shown)
    if copy:
        content["copy"] = copy
    return _digest(content)


def _plain(messages: Sequence[Message]) -> list[dict[str, str]]:
    return [{"role": message.role, "content": message.content} for message in messages]


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(canonical_json(content).encode()).hexdigest()[:KEY_CHARS]
