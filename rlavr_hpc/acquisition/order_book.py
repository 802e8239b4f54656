"""The run's orders to a live source: asked once, awaited, and settled, all on the ledger first.

What the world answers, and in which step the run saw it, is on record before it is used. A step
that is done again after a kill sees the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol

from rlavr_hpc.acquisition.gold_orders import GoldOrders
from rlavr_hpc.acquisition.ledger import Ledger
from rlavr_hpc.acquisition.order_history import Intent, PlacedOrder, ReceivedAnswer
from rlavr_hpc.acquisition.order_lines import (
    EARLIER,
    OWN,
    ordered_line,
    received_line,
    seen_line,
    settled_line,
)
from rlavr_hpc.acquisition.order_maker import OrderMaker
from rlavr_hpc.config.labels import LabelsConfig
from rlavr_hpc.labels.mailbox import AnswersIn, OrdersOut
from rlavr_hpc.labels.orders import RIGHT, Order
from rlavr_hpc.labels.resolve import Opinion, Resolution, by_text, resolve
from rlavr_hpc.labels.sent import CallsIn
from rlavr_hpc.types import Group, Question, StepKey


class LabelJudge(Protocol):
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
    maker: OrderMaker
    mailbox: Mailbox
    rules: LabelJudge
    cap: float | None = None
    """Money over the run; None = no cap."""
    placed: Callable[[], None] = lambda: None
    """Called when there are new orders in the mailbox."""
    stopped: Callable[[], str] = lambda: ""
    """Why the source is not asked any more, where this process asks it; "" = it may be."""
    gold: GoldOrders
    """Questions with a known answer that may be mixed in."""

    def quote(self, groups: Sequence[Group]) -> float:
        """The most that one label of any of these may cost."""
        quotes = [self.maker.make(g.prompt.id, self.maker.shown(g), copy=0).price for g in groups]
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
        ledger.record(step_key, [*self._corrections(ledger), seen_line(EARLIER)])

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
        maker = self.maker.of_model(history.models)
        rows = [
            ordered_line(maker.make(prompt, shown, copy=copy), here, copy=copy, shown=shown)
            for prompt, shown in ((g.prompt.id, self.maker.shown(g)) for g in wanted)
            if (here, prompt) not in history.of_intent
            for copy in range(self.config.redundancy)
        ]
        gold = self._gold(rows, maker, ledger)
        rows += [ordered_line(order, here, gold=True) for order in gold]
        ledger.record(step_key, rows)
        self._place(ledger, [*((here, group.prompt.id) for group in wanted)])

    def close(self, step_key: StepKey, ledger: Ledger) -> None:
        """Put on record that this step waits no longer for its own orders."""
        here = (step_key.branch, step_key.step)
        if (here, OWN) not in ledger.state.orders.seen:
            ledger.record(step_key, [seen_line(OWN)])

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
        settled = [
            settled_line(intent, one, history.paid_for(intent))
            for intent, one in found.items()
            if one.is_final
        ]
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
            cost = answer.cost_at(order.price)
            if (calls := self.mailbox.calls.calls.get(order.key)) is not None:
                cost = calls.cost
                rows.append(
                    {"kind": "sent", "key": order.key, "calls": len(calls.begun), "cost": cost}
                )
            rows.append(received_line(answer, cost))
        return rows

    def _resolve(self, intent: Intent, ledger: Ledger) -> Resolution:
        history = ledger.state.orders
        placed = history.of_intent[intent]
        answers = [history.received[o.key] for o in placed if o.key in history.received]
        verdicts = self.maker.asks_verdict(placed[0].shown)
        question = self.maker.questions[intent[1]]
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
        further = range(len(placed), len(placed) + found.more)
        orders = [(copy, self.maker.make(intent[1], shown, copy=copy)) for copy in further]
        return [ordered_line(one, intent[0], copy=copy, shown=shown) for copy, one in orders]

    def _place(self, ledger: Ledger, intents: Sequence[Intent]) -> None:
        """Put the orders of these intents, and gold, into the mailbox where they are not yet."""
        history = ledger.state.orders
        placed = [order for intent in intents for order in history.of_intent.get(intent, ())]
        gold = history.gold.values()
        wanted = [
            replace(self.maker.make(order.prompt, order.shown, copy=order.copy), key=order.key)
            for order in ((*gold, *placed) if self.config.gold_first else (*placed, *gold))
            if order.key not in history.received and order.key not in self.mailbox.out.placed
        ]
        self.mailbox.out.place(wanted)
        if wanted:
            self.placed()

    def _gold(
        self, rows: Sequence[Mapping[str, Any]], maker: OrderMaker, ledger: Ledger
    ) -> list[Order]:
        """Questions with known answers that go with these lines of new orders."""
        beside = [row["prompt"] for row in rows]
        most = None
        if self.cap is not None and rows:
            left = self.cap - ledger.state.committed - sum(row["price"] for row in rows)
            price = max(row["price"] for row in rows)
            most = int(left / price + 1e-9) if price else None
        return self.gold.make(ledger.state.orders, maker, beside=beside, most=most)

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
            question = self.maker.questions[prompts[key]]
            if text is None or history.corrected.get(key) == text:
                continue
            if text == history.received[key].answer and key not in history.corrected:
                continue
            if not self.rules.fault(question, text):
                rows.append(
                    {"kind": "superseded", "prompt": question.id, "key": key, "label": text}
                )
        return rows
