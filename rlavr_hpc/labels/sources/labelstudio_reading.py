"""What annotators have said in a Label Studio project: its tasks, and which annotation counts.

An import makes new tasks each time, so several may hold one key: their annotations are one list.
Drafts are other objects and no answers. The first annotation of a key counts; one by a person who
has answered another copy of the question does not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from rlavr_hpc.labels.orders import VERDICTS, Answer, Order

KEY, CONTENT = "key", "content"
"""In a task's data: the order's key, and what is the same in all copies of a question."""
ANSWER, VERDICT, CANNOT = "answer", "verdict", "cannot"
"""Names of the tags in the labelling interface."""
SKIPPED = "skipped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotation:
    """One person's finished work on a task."""

    id: int
    person: str
    created: str
    """UTC; sorts by time."""
    updated: str
    seconds: float | None
    cancelled: bool
    result: tuple[Mapping[str, Any], ...] = field(repr=False)


@dataclass(slots=True)
class AskedTask:
    """One key in the project."""

    key: str
    content: str
    annotations: list[Annotation] = field(default_factory=list)
    untouched: list[int] = field(default_factory=list)
    """Numbers of its tasks on which nobody has worked."""


@dataclass(slots=True)
class Counted:
    """Which annotation counts for which key, and which do not."""

    of: dict[str, Annotation] = field(default_factory=dict)
    extra: dict[int, str] = field(default_factory=dict)
    """Annotation -> why it does not count."""


def task_data(order: Order) -> dict[str, Any]:
    """The data of an order's task."""
    several = len(order.messages) > 1
    turns = [f"[{m.role}]\n{m.content}" if several else m.content for m in order.messages]
    data: dict[str, Any] = {
        KEY: order.key,
        CONTENT: order.content,
        "question": "\n\n".join(turns),
        "ask": str(order.ask),
        "vote": order.vote or "",
        "votes": "\n".join(order.clusters or ()),
    }
    return data


def read_tasks(rows: Iterable[object]) -> dict[str, AskedTask]:
    """The project's tasks by key; those of others are left out."""
    asked: dict[str, AskedTask] = {}
    for row in rows:
        data = row.get("data") if isinstance(row, Mapping) else None
        key = data.get(KEY) if isinstance(data, Mapping) else None
        if (
            not isinstance(row, Mapping)
            or not isinstance(data, Mapping)
            or not isinstance(key, str)
        ):
            continue
        one = asked.setdefault(key, AskedTask(key, str(data.get(CONTENT) or key)))
        for raw in row.get("annotations") or ():
            if (annotation := _annotation(raw)) is not None:
                one.annotations.append(annotation)
        if type(row.get("id")) is int and not row.get("annotations") and not row.get("drafts"):
            one.untouched.append(row["id"])
    return asked


def _annotation(raw: object) -> Annotation | None:
    if not isinstance(raw, Mapping) or type(raw.get("id")) is not int:
        return None
    person = raw.get("completed_by")
    if isinstance(person, Mapping):
        person = person.get("id")
    result = raw.get("result")
    seconds = raw.get("lead_time")
    return Annotation(
        id=raw["id"],
        person=f"label-studio:{person}",
        created=str(raw.get("created_at") or ""),
        updated=str(raw.get("updated_at") or ""),
        seconds=float(seconds) if isinstance(seconds, int | float) and seconds >= 0 else None,
        cancelled=raw.get("was_cancelled") is True,
        result=tuple(r for r in result if isinstance(r, Mapping))
        if isinstance(result, list)
        else (),
    )


def count(asked: Mapping[str, AskedTask]) -> Counted:
    """Decide by the order in which annotations were made."""
    made = sorted(
        ((one, annotation) for one in asked.values() for annotation in one.annotations),
        key=lambda pair: (pair[1].created, pair[1].id),
    )
    counted = Counted()
    people: set[tuple[str, str]] = set()
    for one, annotation in made:
        if one.key in counted.of:
            counted.extra[annotation.id] = "the key is answered"
        elif (one.content, annotation.person) in people:
            counted.extra[annotation.id] = "its annotator has answered the same question before"
        else:
            counted.of[one.key] = annotation
            people.add((one.content, annotation.person))
    return counted


def answer_of(key: str, annotation: Annotation, *, cost: float | None) -> Answer:
    """What an annotation says."""
    said = {"void": SKIPPED} if annotation.cancelled else _outcome(_values(annotation))
    return Answer(
        key=key,
        answer=said.get("answer"),
        verdict=said.get("verdict"),
        void=said.get("void"),
        annotator=annotation.person,
        seconds=annotation.seconds,
        cost=cost,
        note=f"annotation {annotation.id}, {annotation.updated}",
    )


def _values(annotation: Annotation) -> dict[str, list[str]]:
    """Tag -> what is entered there."""
    values: dict[str, list[str]] = {}
    for region in annotation.result:
        value = region.get("value")
        entered = value if isinstance(value, Mapping) else {}
        texts = entered.get("text") or entered.get("choices") or entered.get("number")
        texts = texts if isinstance(texts, list) else [texts]
        values.setdefault(str(region.get("from_name")), []).extend(
            str(text).strip() for text in texts if type(text) in (str, int, float)
        )
    return {name: [text for text in texts if text] for name, texts in values.items()}


def _outcome(said: Mapping[str, list[str]]) -> dict[str, str]:
    if said.get(CANNOT):
        return {"void": "cannot answer"}
    for name in (ANSWER, VERDICT):
        texts = said.get(name) or []
        if len(texts) > 1:
            return {"void": f"several values in {name}"}
        if texts and name == VERDICT and texts[0] not in VERDICTS:
            return {"void": "a verdict that is neither right nor wrong"}
        if texts:
            return {name: texts[0]}
    return {"void": "an annotation without an answer"}
