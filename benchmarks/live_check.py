"""What must hold of a run with live labels that has ended, however often it was killed."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.sameness import first_difference
from rlavr_hpc.acquisition.ledger import read_ledger
from rlavr_hpc.labels.mailbox import AnswersIn, OrdersIn
from rlavr_hpc.labels.sent import CallsIn
from rlavr_hpc.telemetry import names

STEPS = 20
CAP = 70.0
"""Money: less than these steps would spend without it."""
ONLY_LIVE = (names.LABELS_PENDING, names.ORACLE_LABEL_WRONG)
"""Metrics that only a run with a live source has."""


def check_ended(
    folder: Path, reference: Path, asked_file: Path
) -> tuple[dict[str, Any], list[str]]:
    """The figures of a run that has ended, and all that is wrong with it.

    Args:
        folder: of the run.
        reference: of an undisturbed one with the data set's labels.
        asked_file: a line for each time that the program was asked a key.
    """
    wrong = []
    difference = first_difference(folder, reference, step=STEPS, besides=ONLY_LIVE)
    if difference is not None:
        wrong.append(difference)
    verified = subprocess.run(
        [sys.executable, "-m", "rlavr_hpc", "ledger", "verify", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if verified.returncode:
        wrong.append(f"ledger verify: {verified.stdout} {verified.stderr}")
    state, calls = read_ledger(folder), CallsIn(folder)
    calls.look()
    asked = Counter(asked_file.read_text().split())
    on_record = {key: count for key, (count, _) in state.orders.calls.items()}
    wrong += asked_too_often(asked, on_record, "the ledger")
    wrong += asked_too_often(asked, {k: len(c.begun) for k, c in calls.calls.items()}, "the log")
    wrong += unlike_in_money(state.cost, read_ledger(reference).cost, committed=state.committed)
    if left := orders_in_flight(folder):
        wrong.append(f"{left} orders were lost: they have no answer")
    facts = {
        "keys": len(asked),
        "calls": asked.total(),
        "calls_on_record": sum(on_record.values()),
        "labels": state.bought,
        "charged": state.cost,
        "cap": CAP,
    }
    return facts, wrong


def asked_too_often(asked: Mapping[str, int], recorded: Mapping[str, int], where: str) -> list[str]:
    """Keys that the program saw more often than `where` says that they were sent."""
    return [
        f"{key} was asked {count} times, {where} says {recorded.get(key, 0)}"
        for key, count in asked.items()
        if count > recorded.get(key, 0)
    ]


def unlike_in_money(charged: float, reference: float, *, committed: float) -> list[str]:
    """Labels charged twice, or not at all, and money above the cap."""
    wrong = []
    if charged != reference:
        wrong.append(f"{charged:g} charged, undisturbed {reference:g}")
    if committed > CAP:
        wrong.append(f"{committed:g} spent or in flight, budget_cost={CAP:g}")
    return wrong


def orders_in_flight(folder: Path) -> int:
    """Orders of a run without an answer."""
    orders, answers = OrdersIn(folder), AnswersIn(folder)
    orders.look()
    answers.look()
    return len(orders.orders.keys() - answers.first.keys())
