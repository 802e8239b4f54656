"""`labels=judge`: a model behind an OpenAI-compatible address solves a question or judges a vote.

Each call is claimed and logged right before it is sent, ends at one wall clock, and is never
repeated by itself: what failed stays open, and is tried again at a later look.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, wait
from dataclasses import dataclass, field

from rlavr_hpc.labels.http_call import Request, begin
from rlavr_hpc.labels.orders import Answer, Order
from rlavr_hpc.labels.secret import read_key
from rlavr_hpc.labels.sent import ANSWERED, FAILED, LATER, CallLog
from rlavr_hpc.labels.sources.judge_address import Address, address_of, pause
from rlavr_hpc.labels.sources.judge_draws import Draw, read_draw, settle
from rlavr_hpc.labels.sources.judge_look import JudgedOrder, Look, reply_of
from rlavr_hpc.labels.sources.judge_reading import Failed, Reply, Stopped
from rlavr_hpc.labels.sources.judge_request import not_to_be_judged
from rlavr_hpc.labels.sources.judge_settings import JudgeSettings


@dataclass(kw_only=True)
class JudgeSource(JudgeSettings):
    """Asks a model."""

    clock: Callable[[], float] = field(default=time.monotonic, repr=False)
    _address: Address = field(init=False, repr=False)
    _works: dict[str, JudgedOrder] = field(init=False, repr=False, default_factory=dict)
    _ready: dict[str, Answer] = field(init=False, repr=False, default_factory=dict)
    """Answers that are not known to be written."""
    _voids: int = field(init=False, repr=False, default=0)
    _last_model: str = field(init=False, repr=False, default="")

    def __post_init__(self) -> None:
        """Refuse settings that cannot work."""
        super().__post_init__()
        self._address = address_of(self.base_url or "")

    def remember(self, answers: Iterable[Answer]) -> None:
        """Earlier answers of this source: another model than theirs is told."""
        for answer in answers:
            if answer.model:
                self._last_model = answer.model.split(" ")[0]

    def order(self, orders: Sequence[Order], log: CallLog) -> Iterator[Answer]:
        """Ask about all of them, as many at a time as the address may be, and yield what comes.

        Raises:
            SourceError: calls failed; their orders stay open.
            SourceStoppedError: no key, an empty purse, no such model, or no answers any more.
        """
        key = read_key(self.key_variable)
        wanted = {order.key for order in orders}
        self._forget(wanted)
        yield from list(self._ready.values())
        ends = None if self.linger is None else self.clock() + self.linger
        look = Look(log=log, key=key, wanted=wanted, queue=deque(self._by_failures(orders)))
        over = False
        while not over:
            yield from self._send(look)
            flying = {work.call: work for work in self._works.values() if work.call is not None}
            patience = None if ends is None or look.stop else max(0.0, ends - self.clock())
            for call in wait(flying, timeout=patience, return_when=FIRST_COMPLETED).done:
                yield from self._take(flying[call], look)
            over = not flying or patience == 0.0
        look.tell(f"{self.base_url}")

    def withdraw(self, keys: Sequence[str]) -> None:
        """Draw no more replies for these; calls in flight are logged when they end."""
        for key in keys:
            work = self._works.get(key)
            if work is not None and work.call is None:
                del self._works[key]

    def _by_failures(self, orders: Sequence[Order]) -> list[Order]:
        """Those that fail again and again come last."""
        works = self._works
        return sorted(orders, key=lambda o: works[o.key].failures if o.key in works else 0)

    def _forget(self, wanted: set[str]) -> None:
        """Drop what is written, or not wanted any more."""
        for key in [key for key in self._ready if key not in wanted]:
            del self._ready[key]
        for key in [k for k, w in self._works.items() if k not in wanted and w.call is None]:
            del self._works[key]

    def _send(self, look: Look) -> Iterator[Answer]:
        """Start calls until the address has enough of them, or the queue is empty."""
        unread = sum(work.call is not None for work in self._works.values())
        while look.queue and not look.stop:
            now = self.clock()
            busy = max(self._address.in_flight, unread)  # one that has ended may have failed
            if busy >= self.concurrency or now < self._address.not_before:
                return
            order = look.queue.popleft()
            work = self._works.setdefault(order.key, JudgedOrder(order))
            if order.key in self._ready or work.call is not None or now < work.not_before:
                continue
            if look.log.in_flight(order.key):
                continue  # another bridge asks, and what that call costs is not known yet
            if (void := self._unasked(order, look)) is not None:
                yield void
            elif not look.stop:
                self._call(work, look, now)
                unread += work.call is not None

    def _unasked(self, order: Order, look: Look) -> Answer | None:
        """A void answer for an order that no call is spent on."""
        if self.verifies(order) and (why := not_to_be_judged(order.vote or "")):
            return self._put(Answer(key=order.key, void=f"not asked: {why}", cost=0.0))
        calls = look.log.known.calls.get(order.key)
        spent, bound = 0.0 if calls is None else calls.cost, self.bound(order)
        if not self.prices.known or spent + bound <= order.price * (1 + 1e-9):
            return None
        if not spent:
            look.stop = (
                f"a call may cost {bound:g} and an answer {order.price:g} at most: lower "
                "labels.max_tokens, or allow a higher price"
            )
            return None
        why = f"its calls have cost {spent:g} of {order.price:g}: too little is left for another"
        return self._put(Answer(key=order.key, void=why, cost=spent))

    def _put(self, answer: Answer) -> Answer:
        self._ready[answer.key] = answer
        return answer

    def _call(self, work: JudgedOrder, look: Look, now: float) -> None:
        bound = self.bound(work.order)
        reverse = len(work.draws) % 2 == 1
        body = self.asker.request(work.order, reverse=reverse)
        claimed = look.log.claim([work.order], at_risk=bound)
        if not claimed:
            return  # another bridge is asking
        work.number, work.begun = claimed[0][1], now
        headers = {"Authorization": f"Bearer {look.key}"} if look.key else {}
        url = f"{self.base_url}/chat/completions"
        request = Request(method="POST", url=url, headers=headers, body=body)
        self._address.begin()
        work.call = begin(request, seconds=self.timeout, at_end=self._address.end)

    def _take(self, work: JudgedOrder, look: Look) -> Iterator[Answer]:
        """Log the end of a call; yield the answer where it settles the order."""
        assert work.call is not None
        reply = reply_of(work.call, look.key)
        work.call = None
        seconds, order = max(0.0, self.clock() - work.begun), work.order
        cost = self.prices.cost(reply, self.bound(order))
        answer, how = None, LATER
        if isinstance(reply.outcome, Failed):
            self._failed(work, reply.outcome)
            look.failures.append(reply.outcome.why)
            how = f"{FAILED}{reply.outcome.why}"
        elif isinstance(reply.outcome, Stopped):
            look.stop = reply.outcome.why
            look.no_address = reply.outcome.no_address
        else:
            answer = self._drawn(work, reply, seconds=seconds, cost=cost)
            if answer is None and order.key in look.wanted:
                look.queue.appendleft(order)
            how = LATER if answer is None else ANSWERED
        if answer is not None and order.key in look.wanted:
            self._put(answer)
        look.log.ended(order.key, work.number, how, cost=cost)
        if self._voids >= self.void_limit and not look.stop:
            why = answer.void if answer is not None else ""
            look.stop, self._voids = f"{self._voids} orders in a row without an answer: {why}", 0
        if answer is not None and order.key in look.wanted:
            yield answer

    def _drawn(
        self, work: JudgedOrder, reply: Reply, *, seconds: float, cost: float
    ) -> Answer | None:
        """Add a reply to the draws; the answer where they settle the order."""
        self._address.answers()
        work.failures = 0
        self._check_model(reply)
        verdict = self.verifies(work.order)
        text, why = read_draw(reply, work.order, self.reader, verdict=verdict)
        model = " ".join(part for part in (reply.model, reply.fingerprint) if part)
        work.draws.append(
            Draw(text=text, why=why, model=model, usage=reply.usage, seconds=seconds, cost=cost)
        )
        settled = settle(work.draws, work.order, self.plan(work.order), self.clusters)
        if settled is None:
            return None
        nothing = all(draw.text is None for draw in work.draws)
        self._voids = self._voids + 1 if nothing else 0
        draws, work.draws = work.draws, []
        return Answer(
            key=work.order.key,
            answer=None if verdict else settled.text,
            verdict=settled.text if verdict else None,
            void=settled.void or None,
            annotator=self.model or "",
            seconds=sum(draw.seconds for draw in draws),
            cost=sum(draw.cost for draw in draws),
            note=self.prices.note([draw.usage for draw in draws]),
            model=draws[-1].model,
        )

    def _failed(self, work: JudgedOrder, failed: Failed) -> None:
        now = self.clock()
        work.failures += 1
        if failed.limited:
            self._address.limits(now, failed.after)
            return
        work.not_before = now + pause(work.failures - 1)
        self._address.fails(now, allowed=self.concurrency)

    def _check_model(self, reply: Reply) -> None:
        if self._last_model and reply.model and reply.model != self._last_model:
            self.complaints.append(
                f"THE JUDGE HAS CHANGED: labels.model={self.model} was answered by "
                f"{self._last_model} and is now answered by {reply.model}, which is another "
                "source: set another labels.version"
            )
        self._last_model = reply.model or self._last_model
