"""Run folders with orders and answers in them, made by the writers themselves, without a model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rlavr_hpc.acquisition.buy import buy_labels, find_candidates
from rlavr_hpc.acquisition.gold_orders import GoldOrders
from rlavr_hpc.acquisition.ledger import Ledger
from rlavr_hpc.acquisition.ledger_state import budget_rules
from rlavr_hpc.acquisition.order_book import Mailbox, OrderBook
from rlavr_hpc.acquisition.order_maker import OrderMaker
from rlavr_hpc.config.run import RunConfig
from rlavr_hpc.data.load_split import load_split
from rlavr_hpc.labels.identity import source_identity
from rlavr_hpc.labels.line_files import LinesOut
from rlavr_hpc.labels.mailbox import ANSWERS, AnswersIn, OrdersIn, OrdersOut
from rlavr_hpc.labels.orders import Order
from rlavr_hpc.labels.resolve import by_text
from rlavr_hpc.labels.sent import CallsIn
from rlavr_hpc.labels.sources.people import PeopleSource
from rlavr_hpc.runs.folder import open_run_folder
from rlavr_hpc.types import Question, Selection, StepKey
from tests.support.attempts import begin_attempt
from tests.support.groups import group


class PlainRules:
    """Takes every text for an answer; equal texts are equal answers."""

    def fault(self, question: Question, text: str) -> str:
        return ""

    def clusters(self, question: Question, texts: Sequence[str]) -> Sequence[Sequence[int]]:
        return by_text(texts)


class LiveFolder:
    """One run's ledger and mailbox; votes are always 1."""

    def __init__(self, folder: Path, config: RunConfig, *, gold: tuple[str, ...] = ()) -> None:
        open_run_folder(folder, config)
        attempt = begin_attempt(folder, resumed_from=0)
        self.folder, self.config = folder, config
        self.data = load_split(config.data).train
        self.ledger = Ledger(folder, attempt.number, fence=lambda: None)
        bank = config.labels.bank
        self.book = OrderBook(
            config=config.labels,
            maker=OrderMaker(
                config=config.labels,
                source=PeopleSource(),
                identity=source_identity(config.labels),
                questions={question.id: question for question in self.data.questions},
            ),
            mailbox=Mailbox(
                out=OrdersOut(folder, attempt.number),
                answers=AnswersIn(folder),
                calls=CallsIn(folder if bank is None else Path(bank)),
            ),
            rules=PlainRules(),
            gold=GoldOrders(config=config.labels, prompts=gold),
        )

    def buy(self, step: int, *prompts: str) -> None:
        """Order these prompts' labels, or see what has come of them."""
        step_key = StepKey(seed=1, step=step)
        offer = find_candidates(
            [group(["1", "2", "1"], name=prompt) for prompt in prompts],
            step_key=step_key,
            ledger=self.ledger,
            rules=budget_rules(self.config),
            quota=len(prompts),
            market=self.book,
        )
        buy_labels(
            Selection(selected=prompts),
            offer=offer,
            step_key=step_key,
            ledger=self.ledger,
            market=self.book,
        )

    def orders(self) -> dict[str, list[Order]]:
        """All orders by prompt."""
        found: dict[str, list[Order]] = {}
        for order in OrdersIn(self.folder).look():
            found.setdefault(order.prompt_id, []).append(order)
        return found

    def say(self, start: str, *rows: dict[str, Any]) -> None:
        """Rows of one start of a bridge."""
        LinesOut(self.folder / ANSWERS, start).append(rows)
