"""What a browser sends: the fields of a form, and the answer that they make."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from urllib.parse import parse_qsl

from rlavr_hpc.config.labels import Ask
from rlavr_hpc.labels.orders import VERDICTS, Answer, Order

CANNOT_SAY = "cannot say"
OTHER = "other"
"""The choice of an answer that the model did not give."""
MAX_FIELDS = 10
MAX_ANSWER, MAX_REMARK = 4_000, 500
"""Characters; whatever the writing, both fit into a form of 64 KiB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerForm:
    """What an annotator filled in."""

    key: str = ""
    answer: str = ""
    choice: str = ""
    """Number of an option as it was shown, or `other`."""
    verdict: str = ""
    remark: str = ""
    cannot: bool = False
    check: bool = False
    """Only the preview is wanted."""


def read_fields(body: bytes) -> Mapping[str, str]:
    """The fields of a form, each once.

    Raises:
        ValueError: there are too many.
    """
    text = body.decode("ascii", errors="replace")
    return dict(
        parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="replace")
    )


def read_form(fields: Mapping[str, str]) -> AnswerForm:
    """The answer's form; texts are cut at their limits."""
    action = fields.get("action", "")
    return AnswerForm(
        key=fields.get("key", ""),
        answer=fields.get("answer", "").strip()[: MAX_ANSWER + 1],
        choice=fields.get("choice", ""),
        verdict=fields.get("verdict", ""),
        remark=" ".join(fields.get("remark", "").split())[:MAX_REMARK],
        cannot=action == "cannot",
        check=action == "check",
    )


def options(order: Order) -> tuple[str, ...]:
    """The model's answers that an order lets its source see."""
    if order.ask is Ask.verdict:
        return ()
    if order.clusters is not None:
        return order.clusters
    return () if order.vote is None else (order.vote,)


def shuffled(order: Order, annotator: str) -> tuple[int, ...]:
    """The order in which an annotator sees the options: random, and the same at every look."""
    numbers = list(range(len(options(order))))
    Random(f"{order.key} {annotator}").shuffle(numbers)
    return tuple(numbers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Filled:
    """What a form says."""

    text: str = ""
    """An answer, which the grader has to read."""
    verdict: str = ""
    void: str = ""
    shown: str = ""
    """What the annotator saw besides the question."""
    problem: str = ""
    """Why it says nothing."""


def fill(order: Order, form: AnswerForm, annotator: str) -> Filled:
    """Take a form apart."""
    shown = _shown(order, annotator)
    if form.cannot:
        return Filled(void=CANNOT_SAY, shown=shown)
    if order.ask is Ask.verdict:
        known = form.verdict in VERDICTS
        return Filled(
            verdict=form.verdict if known else "",
            shown=shown,
            problem="" if known else "Choose right or wrong.",
        )
    seen = options(order)
    if form.choice in map(str, range(len(seen))):
        return _chosen(seen, int(form.choice), shown)
    if not form.answer:
        return Filled(problem="Choose an answer." if seen else "Type an answer.")
    if len(form.answer) > MAX_ANSWER:
        return Filled(problem=f"An answer has at most {MAX_ANSWER:,} characters.")
    return Filled(text=form.answer, shown=f"{shown}, typed another" if seen else "")


def _chosen(seen: Sequence[str], number: int, shown: str) -> Filled:
    if not seen[number].strip():
        return Filled(problem="This answer is empty; choose another, or type one.")
    return Filled(text=seen[number], shown=f"{shown}, chose {number + 1}")


def _shown(order: Order, annotator: str) -> str:
    """On record: what may have swayed the annotator, by the order's own numbering from 1."""
    if order.ask is Ask.verdict:
        return "saw the vote"
    placed = [str(number + 1) for number in shuffled(order, annotator)]
    return f"saw the model's answers {' '.join(placed)}" if placed else ""


def as_answer(
    order: Order, filled: Filled, annotator: str, *, seconds: float, remark: str
) -> Answer:
    """The line that goes to the run, when it is final."""
    return Answer(
        key=order.key,
        answer=filled.text or None,
        verdict=filled.verdict or None,
        void=filled.void or None,
        annotator=annotator,
        seconds=round(max(0.0, seconds), 1),
        note="; ".join(part for part in (filled.shown, remark) if part),
    )
