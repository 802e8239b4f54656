"""What the owner's page shows: what is pending, how fast it goes, who agrees with whom."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import combinations
from statistics import median

from rlavr_hpc.config.labels import Pending
from rlavr_hpc.labels.desk.desk import Desk
from rlavr_hpc.labels.desk.mailboxes import Mailboxes
from rlavr_hpc.labels.desk.reading import Preview
from rlavr_hpc.labels.orders import Answer, Order
from rlavr_hpc.labels.served_run import ServedRun

PACE_SECONDS = 3_600.0
"""The pace is that of so long a time."""
Needed = Callable[[ServedRun], int]
"""Answers that a waiting run lacks before it goes on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunProgress:
    """One run."""

    name: str
    pending: str
    ordered: int
    answered: int
    void: int
    open: int
    needed: int | None
    """Answers until it goes on; None = it does not wait."""
    hours: float | None
    """That they take at the present pace; None = nobody answers."""
    cost: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnotatorProgress:
    """One annotator, over all runs; a question that several runs share counts once."""

    name: str
    answered: int
    void: int
    held: bool
    agreed: int
    """Pairs of answers, this one's and another's to one question, that say the same."""
    compared: int
    seconds: float | None
    """Median."""
    cost: float
    left: int
    """Questions that could be asked now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeskProgress:
    """All of it."""

    runs: tuple[RunProgress, ...]
    annotators: tuple[AnnotatorProgress, ...]
    per_hour: int
    """Answers in the last hour."""
    open: int
    stuck: int
    """Open orders that none of the annotators may be given: all have answered their question."""
    claim_minutes: float


def lacking(run: ServedRun) -> int:
    """The share `labels.enough` of what is open: the most that can still be needed."""
    return math.ceil(run.config.enough * len(run.open))


def desk_progress(desk: Desk, now: float, *, needed: Needed = lacking) -> DeskProgress:
    """Read everything off; takes the lock, and leaves it before anything is graded."""
    with desk.lock:
        mail, at_desk = desk.mail, desk.assignments
        pairs = _pairs(desk)
        names = {who for who in mail.seen if who} | desk.access.annotators | set(at_desk.held)
        left = {who: at_desk.left(who, now) for who in sorted(names)}
        may = {who for who in left if who in desk.access.annotators}
        pace = sum(now - at <= PACE_SECONDS for at in at_desk.sent_at.values())
        runs = tuple(_runs(mail, pace, needed))
        answers = list(mail.answers.values())
        prices = {o.key: o.price for run in mail.runs for o in run.orders.orders.values()}
        held = {who for who in left if at_desk.holding(who) is not None}
        waiting = len(mail.open)
        stuck = sum(
            all(mail.content(key) in mail.seen.get(who, ()) for who in may) for key in mail.open
        )
        claim = at_desk.claim_seconds / 60.0
    same = [({given[2].annotator for given in pair}, _same(desk.preview, pair)) for pair in pairs]
    return DeskProgress(
        runs=runs,
        annotators=tuple(
            _annotator(
                who,
                [a for a in answers if a.annotator == who],
                [equal for both, equal in same if who in both],
                prices,
                held=who in held,
                left=left[who],
            )
            for who in left
        ),
        per_hour=pace,
        open=waiting,
        stuck=stuck if may else 0,
        claim_minutes=claim,
    )


def _runs(mail: Mailboxes, pace: int, needed: Needed) -> Iterable[RunProgress]:
    """In the order in which their questions are asked, so that what one lacks adds up."""
    before = 0
    for run in sorted(mail.runs, key=lambda run: len(mail.open_of(run))):
        answers, orders = run.answers.first, run.orders.orders
        still_open = len(mail.open_of(run))
        waits = run.config.pending is not Pending.go_on and still_open > 0
        lacks = needed(run) if waits else None
        yield RunProgress(
            name=run.run_dir.name,
            pending=str(run.config.pending),
            ordered=len(orders),
            answered=sum(key in orders and a.void is None for key, a in answers.items()),
            void=sum(key in orders and a.void is not None for key, a in answers.items()),
            open=still_open,
            needed=lacks,
            hours=(before + lacks) / pace if pace and lacks is not None else None,
            cost=sum(_cost(a, orders[k].price) for k, a in answers.items() if k in orders),
        )
        before += still_open


Given = tuple[ServedRun, Order, Answer]


def _pairs(desk: Desk) -> list[tuple[Given, Given]]:
    """Answers of two people to one question; what several runs share counts once."""
    of_content: dict[str, dict[str, Given]] = {}
    for run in desk.mail.runs:
        for key, answer in run.answers.first.items():
            order = run.orders.orders.get(key)
            if order is not None and answer.void is None and answer.annotator:
                by_key = of_content.setdefault(desk.mail.content(key), {})
                by_key.setdefault(key, (run, order, answer))
    return [
        (one, other)
        for by_key in of_content.values()
        for one, other in combinations(by_key.values(), 2)
        if one[2].annotator != other[2].annotator and one[1].ask == other[1].ask
    ]


def _same(preview: Preview, pair: tuple[Given, Given]) -> bool:
    (run, order, answer), (other_run, other_order, other) = pair
    if answer.verdict is not None or other.verdict is not None:
        return answer.verdict == other.verdict and order.vote == other_order.vote
    one, two = answer.answer or "", other.answer or ""
    if one == two:
        return True
    key = preview(run, order, one).key
    return bool(key) and key == preview(other_run, other_order, two).key


def _annotator(
    name: str,
    answers: list[Answer],
    equal: list[bool],
    prices: dict[str, float],
    *,
    held: bool,
    left: int,
) -> AnnotatorProgress:
    took = [a.seconds for a in answers if a.seconds is not None and a.void is None]
    return AnnotatorProgress(
        name=name,
        answered=sum(a.void is None for a in answers),
        void=sum(a.void is not None for a in answers),
        held=held,
        agreed=sum(equal),
        compared=len(equal),
        seconds=median(took) if took else None,
        cost=sum(_cost(a, prices.get(a.key, 0.0)) for a in answers),
        left=left,
    )


def _cost(answer: Answer, price: float) -> float:
    return answer.cost_at(price)
