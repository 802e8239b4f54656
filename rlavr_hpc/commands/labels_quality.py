"""`rlavr labels quality DIR`: how good the annotators of runs are, and what they cost."""

from __future__ import annotations

import argparse
import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path

from rlavr_hpc.acquisition.ledger import read_ledger
from rlavr_hpc.acquisition.ledger_state import LedgerState
from rlavr_hpc.acquisition.order_history import PlacedOrder, ReceivedAnswer
from rlavr_hpc.answers.build_verifier import build_verifier
from rlavr_hpc.answers.label_rules import LabelRules
from rlavr_hpc.answers.verifier import Verifier
from rlavr_hpc.cluster.topology import available_cores
from rlavr_hpc.config.run import RunConfig
from rlavr_hpc.data.load_split import load_split
from rlavr_hpc.errors import ExitCode, RlavrError, UserError
from rlavr_hpc.io import canonical_json
from rlavr_hpc.labels.mailbox import OrdersIn
from rlavr_hpc.labels.orders import RIGHT
from rlavr_hpc.labels.quality import Said, annotator_figures, by_stripped, void_reasons
from rlavr_hpc.runs.find import FoundFolder, find_runs
from rlavr_hpc.runs.folder import read_config
from rlavr_hpc.runs.identity import to_dict
from rlavr_hpc.spending.annotator_report import QualityReport, quality_text, quality_values
from rlavr_hpc.spending.live_spend import LiveSpend, all_orders, joined_payments, live_spend
from rlavr_hpc.spending.verify_ledger import readable
from rlavr_hpc.types import Question

QUALITY = (
    "Tell how good the annotators of the runs in DIR are: answers, agreement with each other, "
    "errors on known answers, pace and money. Answers are compared by the runs' own grader."
)
QUALITY_EPILOG = """\
Examples:
  rlavr labels quality runs/study
  rlavr labels quality runs/study --json

Exit codes: 0 shown, 1 a ledger cannot be read, 2 no run with a live source.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `rlavr labels quality`."""
    parser.add_argument(
        "folder", type=Path, metavar="DIR", help="a run, a sweep, or a folder with runs below"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(given: argparse.Namespace) -> int:
    """Show the figures; returns the exit code."""
    report = read_quality(given.folder)
    lines = [json.dumps(quality_values(report))] if given.json else quality_text(report)
    print("\n".join(lines))
    return ExitCode.DONE


@dataclass(slots=True, kw_only=True)
class _Gathered:
    """What was read of all runs."""

    said: list[Said] = field(default_factory=list)
    spends: list[LiveSpend] = field(default_factory=list)
    states: list[LedgerState] = field(default_factory=list)
    rules: dict[str, tuple[LabelRules, Question]] = field(default_factory=dict)
    """By content of a question: what compares its answers."""
    remarks: list[str] = field(default_factory=list)

    def clusters(self, content: str, texts: Sequence[str]) -> Sequence[Sequence[int]]:
        """Equal answers to a question; without its data, equal texts."""
        if (known := self.rules.get(content)) is None:
            return by_stripped(content, texts)
        return known[0].clusters(known[1], texts)


def read_quality(folder: Path) -> QualityReport:
    """The figures of all live runs at or below a folder.

    Raises:
        UserError: there is no such folder, or no run there has a live source.
        RlavrError: a ledger is damaged.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} is no folder; name a run, a sweep, or a folder of runs")
    gathered = _Gathered()
    with ExitStack() as stack:
        verifiers: dict[str, Verifier] = {}
        for found, config in _live_runs(folder, gathered.remarks):
            key = canonical_json([to_dict(config)["grading"], to_dict(config)["task"]])
            if key not in verifiers:
                cores = available_cores(os.environ)
                verifier = build_verifier(config.grading, config.task, workers=cores)
                verifiers[key] = stack.enter_context(closing(verifier))
            with readable(found.folder):
                _gather(found, config, LabelRules(verifier=verifiers[key]), gathered)
        if not gathered.states:
            raise UserError(
                f"{folder}: no run here takes labels from outside; start one with labels=command, "
                "labels=judge or labels=people"
            )
        return _report(gathered)


def _report(gathered: _Gathered) -> QualityReport:
    said = list(dict.fromkeys(gathered.said))
    return QualityReport(
        runs=len(gathered.states),
        annotators=annotator_figures(said, gathered.clusters),
        ordered=sum(one.ordered for one in gathered.spends),
        answered=sum(one.text is not None for one in said),
        pending=sum(one.pending for one in gathered.spends),
        void_answers=void_reasons(said),
        labels=sum(state.bought for state in gathered.states),
        void_labels=_void_labels(gathered.states),
        charged=sum(state.cost for state in gathered.states),
        paid=sum(joined_payments(gathered.spends).values()),
        remarks=tuple(gathered.remarks),
    )


def _live_runs(folder: Path, remarks: list[str]) -> Iterator[tuple[FoundFolder, RunConfig]]:
    for found in find_runs(folder) if folder.is_dir() else []:
        if found.foreign or found.problem or not found.started:
            continue
        try:
            config = read_config(found.folder)
        except RlavrError as error:
            remarks.append(str(error))
            continue
        if config.labels.live:
            yield found, config


def _gather(found: FoundFolder, config: RunConfig, rules: LabelRules, gathered: _Gathered) -> None:
    """Add one run."""
    state = read_ledger(found.folder)
    spend = live_spend(found.folder, config.labels, state)
    assert spend is not None
    gathered.states.append(state)
    gathered.spends.append(spend)
    orders = OrdersIn(found.folder)
    orders.look()
    questions, truths = _data(found, config, gathered.remarks)
    placed = {order.key: order for order in all_orders(state.orders)}
    for key, answer in state.orders.received.items():
        order = placed[key]
        asked = orders.orders.get(key)
        content = asked.content if asked else f"{found.name}/{order.prompt}"
        question = questions.get(order.prompt)
        if question is not None:
            gathered.rules.setdefault(content, (rules, question))
        truth = truths.get(order.prompt)
        gathered.said.append(_said(order, answer, content, rules, question, truth))


def _data(
    found: FoundFolder, config: RunConfig, remarks: list[str]
) -> tuple[Mapping[str, Question], Mapping[str, str]]:
    """The run's questions and known answers by prompt; none where its data is gone."""
    try:
        train = load_split(config.data, task=config.task_name).train
    except UserError as error:
        remarks.append(
            f"{found.name}: its data cannot be read ({error}); answers are compared by their "
            "text, and none is known to be wrong"
        )
        return {}, {}
    return {question.id: question for question in train.questions}, train.answers


def _said(
    order: PlacedOrder,
    answer: ReceivedAnswer,
    content: str,
    rules: LabelRules,
    question: Question | None,
    truth: str | None,
) -> Said:
    text, why, verdict = answer.answer, answer.void or "", answer.verdict is not None
    if verdict:
        text = answer.verdict
    elif text is not None and question is not None and (fault := rules.fault(question, text)):
        text, why = None, fault
    right = None
    if text is not None and truth is not None and question is not None:
        right = judged(rules, question, text, truth, vote=order.shown.get("vote"), verdict=verdict)
    return Said(
        key=order.key,
        question=f"{content} {order.shown.get('vote')}" if verdict else content,
        annotator=answer.annotator or answer.model,
        text=text,
        why=why,
        verdict=verdict,
        seconds=answer.seconds,
        cost=answer.cost,
        gold=order.gold,
        right=right,
    )


def judged(
    rules: LabelRules, question: Question, text: str, truth: str, *, vote: str | None, verdict: bool
) -> bool | None:
    """Whether an answer, or a verdict of the vote, is right; None of a verdict without a vote."""
    if not verdict:
        return rules.equals(question, text, truth)
    return None if vote is None else (text == RIGHT) == rules.equals(question, vote, truth)


def _void_labels(states: Sequence[LedgerState]) -> dict[str, int]:
    """Questions without a label, by reason; a vote that is known to be wrong is something."""
    reasons = Counter(
        purchase.why or "no reason given"
        for state in states
        for step in state.purchases.values()
        for purchase in step.values()
        if purchase.answer is None and purchase.wrong is None
    )
    return dict(sorted(reasons.items(), key=lambda pair: (-pair[1], pair[0])))
