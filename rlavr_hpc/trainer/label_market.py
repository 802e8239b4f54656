"""Builds the place where a run buys its labels, on rank 0."""

from __future__ import annotations

import hashlib
from pathlib import Path

from rlavr_hpc.acquisition.answered_orders import answered_orders
from rlavr_hpc.acquisition.gold_check import GoldCheck
from rlavr_hpc.acquisition.gold_orders import GoldOrders
from rlavr_hpc.acquisition.market import DatasetMarket, LabelMarket
from rlavr_hpc.acquisition.order_book import Mailbox, OrderBook
from rlavr_hpc.acquisition.order_maker import OrderMaker
from rlavr_hpc.answers.label_rules import LabelRules, read_reply
from rlavr_hpc.answers.verifier import Verifier
from rlavr_hpc.config.run import RunConfig
from rlavr_hpc.data.dataset import Dataset
from rlavr_hpc.labels.dataset import DatasetLabels
from rlavr_hpc.labels.identity import source_identity
from rlavr_hpc.labels.inline_bridge import InlineBridge
from rlavr_hpc.labels.load import load_source
from rlavr_hpc.labels.mailbox import AnswersIn, OrdersOut
from rlavr_hpc.labels.sent import CallsIn
from rlavr_hpc.trainer.known_answers import known_answers


def build_market(
    config: RunConfig, train: Dataset, verifier: Verifier, *, run_dir: Path, attempt: int
) -> LabelMarket:
    """The data set's own labels, or the run's mailbox to a live source.

    Args:
        config: of the run.
        train: the training prompts.
        verifier: judges what may be a label.
        run_dir: the run's folder.
        attempt: number of the attempt, which writes a file of orders of its own.

    Raises:
        UserError: there is no such source, or it refuses a setting.
    """
    labels = config.labels
    if not labels.live:
        return DatasetMarket(labels=DatasetLabels(answers=train.answers))
    inline = None
    if labels.inline:
        asked = load_source(labels, reader=read_reply, linger=labels.poll)
        check = GoldCheck(open_known=lambda run_dir: known_answers(config, train))
        inline = InlineBridge(run_dir, labels, asked, watch=check, settled=answered_orders)
    calls = CallsIn(run_dir if labels.bank is None else Path(labels.bank))
    return OrderBook(
        config=labels,
        maker=OrderMaker(
            config=labels,
            source=load_source(labels),
            identity=source_identity(labels),
            questions={question.id: question for question in train.questions},
        ),
        mailbox=Mailbox(out=OrdersOut(run_dir, attempt), answers=AnswersIn(run_dir), calls=calls),
        rules=LabelRules(verifier=verifier),
        cap=config.budget_cost,
        placed=inline.placed if inline else do_nothing,
        stopped=(lambda: inline.stopped) if inline else lambda: "",
        gold=GoldOrders(config=labels, prompts=tuple(sorted(train.answers, key=_shuffled))),
    )


def do_nothing() -> None:
    """Nobody in this process waits for orders."""


def _shuffled(prompt: str) -> str:
    return hashlib.sha256(prompt.encode(errors="surrogatepass")).hexdigest()
