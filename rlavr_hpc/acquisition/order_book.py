"""The run's orders to a live source: asked once, awaited, and settled, all on the ledger first.

What the world answers, and in which step the run saw it, is on record before it is used. A step
that is done again after a kill sees the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol

from rlavr_hpc.acquisition.ledger import Ledger
from rlavr_hpc.acquisition.order_history import Intent, PlacedOrder, ReceivedAnswer
from rlavr_hpc.acquisition.purchase_history import Step
from rlavr_hpc.config.labels import Ask, LabelsConfig, Show
from rlavr_hpc.labels.mailbox import AnswersIn, OrdersOut
from rlavr_hpc.labels.orders import RIGHT, Answer, Order, SourceIdentity, order_key
from rlavr_hpc.labels.resolve import Opinion, Resolution, resolve
from rlavr_hpc.labels.sent import CallsIn
from rlavr_hpc.labels.source import LabelSource
from rlavr_hpc.types import Group, Message, Question, StepKey

EARLIER, OWN = "earlier", "step"
NOTHING_SHOWN: Mapping[str, Any] = {}


class AnswerRules(Protocol):
    """What the run's grader makes of an answer that is to become a label."""

    def fault(self, question: Question, text: str) -> str:
        """Why a text can be no label of the question; "" where it can."""

    def clusters(self, question: Question, texts: Sequence[str]) -> Sequence[Sequence[int]]:
        """Indices of equal texts, the larger cluster first."""


@dataclass(slots=True, kw_only=True)
class Mailbox:
    """The run's side of its mailbox."""

    out: OrdersOut
    answers: AnswersIn
    calls: CallsIn
    """Of the run, or of the bank that its bridge claims calls in."""


@dataclass(slots=True, kw_only=True)
class OrderBook:
    """Buys labels from a source that may need time; on rank 0."""

    config: LabelsConfig
    source: LabelSource
    """For quotes alone."""
    identity: SourceIdentity
    mailbox: Mailbox
    questions: Mapping[str, Question]
    """By prompt id."""
    rules: AnswerRules
    cap: float | None = None
    """Money over the run; None = no cap."""
    placed: Callable[[], None] = lambda: None
    """Called when there are new orders in the mailbox."""
    gold: tuple[str, ...] = ()
    """Prompts with a known answer that may be mixed in, in the order in which they are used."""

    def quote(self, groups: Sequence[Group]) -> float:
        """The most that one label of any of these may cost."""
        quotes = [self._new(g.prompt.id, self._shown(g), copy=0).price for g in groups]
        return max(quotes, default=0.0) * self.config.most_answers

    def see_earlier(self, step_key: StepKey, ledger: Ledger) -> None:
        """Put on record what has come of earlier steps' orders; done once a step."""
        history, here = ledger.state.orders, (step_key.branch, step_key.step)
        if (here, EARLIER) in history.seen:
            return
        self._look()
        earlier = [intent for intent in history.unsettled if intent[0] != here]
        gold = [order for key, order in history.gold.items() if key not in history.received]
        self._settle(step_key, earlier, ledger, besides=gold)
        ledger.record(step_key, [*self._corrections(ledger), _seen(EARLIER)])

    def buy(self, step_key: StepKey, wanted: Sequence[Group], ledger: Ledger) -> None:
        """Ask about what was not asked about, and put on record what is known by now."""
        here = (step_key.branch, step_key.step)
        self._order(step_key, wanted, ledger)
        if (here, OWN) not in ledger.state.orders.seen:
            self._look()
            self._settle(step_key, [(here, group.prompt.id) for group in wanted], ledger)

    def _order(self, step_key: StepKey, wanted: Sequence[Group], ledger: Ledger) -> None:
        """Orders for prompts that nobody was asked about in this step; on the ledger first."""
        history, here = ledger.state.orders, (step_key.branch, step_key.step)
        new = [
            (self._new(group.prompt.id, self._shown(group), copy=copy), copy, self._shown(group))
            for group in wanted
            if (here, group.prompt.id) not in history.of_intent
            for copy in range(self.config.redundancy)
        ]
        rows = [_ordered(o, here, copy=copy, shown=shown) for o, copy, shown in new]
        gold = self._gold(len(rows), ledger) if rows else []
        rows += [_ordered(order, here, gold=True) for order in gold]
        ledger.record(step_key, rows)
        self._place(ledger, [*((here, group.prompt.id) for group in wanted)])

    def close(self, step_key: StepKey, ledger: Ledger) -> None:
        """Put on record that this step waits no longer for its own orders."""
        here = (step_key.branch, step_key.step)
        if (here, OWN) not in ledger.state.orders.seen:
            ledger.record(step_key, [_seen(OWN)])

    def _look(self) -> None:
        self.mailbox.answers.look()
        self.mailbox.calls.look()

    def _settle(
        self,
        step_key: StepKey,
        intents: Sequence[Intent],
        ledger: Ledger,
        *,
        besides: Sequence[PlacedOrder] = (),
    ) -> None:
        """Record new answers and what they come to; order more where they disagree."""
        history = ledger.state.orders
        intents = [intent for intent in intents if intent in history.unsettled]
        placed = [order for intent in intents for order in history.of_intent[intent]]
        ledger.record(step_key, self._arrived([*placed, *besides], ledger))
        found = {intent: self._resolve(intent, ledger) for intent in intents}
        settled = [_settled(i, one, ledger) for i, one in found.items() if one.is_final]
        further = [row for intent, one in found.items() for row in self._more(intent, one, ledger)]
        ledger.record(step_key, settled + further)
        self._place(ledger, [intent for intent in intents if found[intent].more])

    def _arrived(self, placed: Iterable[PlacedOrder], ledger: Ledger) -> list[dict[str, Any]]:
        """Lines for answers that the ledger does not know yet."""
        rows: list[dict[str, Any]] = []
        known = set(ledger.state.orders.received)
        for order in placed:
            answer = self.mailbox.answers.first.get(order.key)
            if answer is None or order.key in known:
                continue
            known.add(order.key)
            cost = order.price if answer.cost is None else answer.cost
            if (calls := self.mailbox.calls.calls.get(order.key)) is not None:
                cost = calls.cost
                rows.append(
                    {"kind": "sent", "key": order.key, "calls": len(calls.begun), "cost": cost}
                )
            rows.append(_received(answer, cost))
        return rows

    def _resolve(self, intent: Intent, ledger: Ledger) -> Resolution:
        history = ledger.state.orders
        placed = history.of_intent[intent]
        answers = [history.received[o.key] for o in placed if o.key in history.received]
        verdicts = self._asks_verdict(placed[0].shown)
        question = self.questions[intent[1]]
        found = resolve(
            [self._opinion(question, answer, verdicts=verdicts) for answer in answers],
            ordered=len(placed),
            redundancy=self.config.redundancy,
            most=self.config.most_answers,
            rule=self.config.resolve,
            clusters=by_text if verdicts else partial(self.rules.clusters, question),
        )
        if found.more and not self._affords(found.more, placed[0].price, ledger):
            return Resolution(void="the answers disagree, and budget_cost allows no further one")
        if verdicts and found.text is not None:
            vote = placed[0].shown["vote"]
            return Resolution(text=vote) if found.text == RIGHT else Resolution(wrong=vote)
        return found

    def _affords(self, count: int, price: float, ledger: Ledger) -> bool:
        return self.cap is None or ledger.state.committed + count * price <= self.cap + 1e-9

    def _opinion(self, question: Question, answer: ReceivedAnswer, *, verdicts: bool) -> Opinion:
        if answer.void is not None:
            return Opinion(text=None, why=answer.void)
        said = answer.verdict if verdicts else answer.answer
        if said is None:
            return Opinion(text=None, why="an answer of the other kind than was asked for")
        fault = "" if verdicts else self.rules.fault(question, said)
        return Opinion(text=None, why=fault) if fault else Opinion(text=said)

    def _more(self, intent: Intent, found: Resolution, ledger: Ledger) -> list[dict[str, Any]]:
        """Lines for further orders of an intent."""
        placed = ledger.state.orders.of_intent[intent]
        shown = placed[0].shown
        return [
            _ordered(self._new(intent[1], shown, copy=copy), intent[0], copy=copy, shown=shown)
            for copy in range(len(placed), len(placed) + found.more)
        ]

    def _place(self, ledger: Ledger, intents: Sequence[Intent]) -> None:
        """Put the orders of these intents, and gold, into the mailbox where they are not yet."""
        history = ledger.state.orders
        placed = [order for intent in intents for order in history.of_intent.get(intent, ())]
        wanted = [
            self._new(order.prompt, order.shown, copy=order.copy)
            for order in (*placed, *history.gold.values())
            if order.key not in history.received and order.key not in self.mailbox.out.placed
        ]
        self.mailbox.out.place(wanted)
        if wanted:
            self.placed()

    def _new(self, prompt_id: str, shown: Mapping[str, Any], *, copy: int) -> Order:
        question = self.questions[prompt_id]
        messages = question.messages or (Message(role="user", content=question.text),)
        ask = Ask.verdict if self._asks_verdict(shown) else Ask.answer
        clusters = shown.get("clusters")
        key = order_key(
            messages, task=question.task, ask=ask, source=self.identity, shown=shown, copy=copy
        )
        order = Order(
            key=key,
            prompt_id=prompt_id,
            messages=messages,
            ask=ask,
            task=question.task,
            price=self.config.price,
            vote=shown.get("vote"),
            clusters=None if clusters is None else tuple(clusters),
        )
        return replace(order, price=self.source.quote(order))

    def _asks_verdict(self, shown: Mapping[str, Any]) -> bool:
        """Whether a verdict is asked for; without a vote there is nothing to judge."""
        return self.config.ask is Ask.verdict and "vote" in shown

    def _shown(self, group: Group) -> dict[str, Any]:
        """What the source sees besides the question."""
        vote, votes = group.vote.winner, self.config.show is Show.votes
        if vote is None or not (votes or self.config.ask is Ask.verdict):
            return {}
        if not votes:
            return {"vote": vote}
        texts = [group.vote.answers[members[0]] or "" for members in group.vote.clusters]
        return {"vote": vote, "clusters": sorted(texts, key=_shuffled)}

    def _gold(self, new: int, ledger: Ledger) -> list[Order]:
        """Questions with known answers that go with so many new ones."""
        if not self.config.gold:
            return []
        history = ledger.state.orders
        asked = history.ordered - len(history.gold) + new
        wanted = int(self.config.gold / (1 - self.config.gold) * asked + 1e-9)
        used = {order.prompt for order in history.gold.values()}
        free = [prompt for prompt in self.gold if prompt not in used]
        return [
            self._new(prompt, {}, copy=0) for prompt in free[: max(0, wanted - len(history.gold))]
        ]

    def _corrections(self, ledger: Ledger) -> list[dict[str, Any]]:
        """Lines for labels that their source has corrected since."""
        history, rows = ledger.state.orders, []
        prompts = {
            order.key: intent[1]
            for intent, placed in history.of_intent.items()
            if intent not in history.unsettled
            for order in placed
        }
        for key in self.mailbox.answers.corrected & prompts.keys():
            text = self.mailbox.answers.latest(key).answer
            question = self.questions[prompts[key]]
            if text is None or history.corrected.get(key) == text:
                continue
            if text == history.received[key].answer and key not in history.corrected:
                continue
            if not self.rules.fault(question, text):
                rows.append(
                    {"kind": "superseded", "prompt": question.id, "key": key, "label": text}
                )
        return rows


def _ordered(
    order: Order,
    decided: Step,
    *,
    copy: int = 0,
    gold: bool = False,
    shown: Mapping[str, Any] = NOTHING_SHOWN,
) -> dict[str, Any]:
    return {
        "kind": "ordered",
        "prompt": order.prompt_id,
        "decided": list(decided),
        "key": order.key,
        "price": order.price,
        "copy": copy,
        "gold": gold,
        "shown": dict(shown),
    }


def _received(answer: Answer, cost: float) -> dict[str, Any]:
    return {
        "kind": "received",
        "key": answer.key,
        "answer": answer.answer,
        "verdict": answer.verdict,
        "void": answer.void,
        "annotator": answer.annotator,
        "model": answer.model,
        "cost": cost,
        "seconds": answer.seconds,
    }


def _settled(intent: Intent, found: Resolution, ledger: Ledger) -> dict[str, Any]:
    return {
        "kind": "settled",
        "prompt": intent[1],
        "decided": list(intent[0]),
        "label": found.text,
        "wrong": found.wrong,
        "void": found.void,
        "cost": ledger.state.orders.paid_for(intent),
    }


def _seen(part: str) -> dict[str, Any]:
    return {"kind": "seen", "of": part}


def _shuffled(text: str) -> str:
    """Sorts in an order that says nothing of the sizes of clusters."""
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


def by_text(texts: Sequence[str]) -> list[list[int]]:
    """Clusters of equal texts, the larger first."""
    found: dict[str, list[int]] = {}
    for index, text in enumerate(texts):
        found.setdefault(text, []).append(index)
    return sorted(found.values(), key=lambda members: (-len(members), members[0]))
