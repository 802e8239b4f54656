"""What was really paid: every call and every answer once, whoever has a copy of it.

A run is charged as if it bought alone. Its purse may know better: a prompt that returns is answered
from the mailbox, runs with a bank share what they buy, and a copied folder has cost nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from rlavr_hpc.labels.line_files import LineFollower
from rlavr_hpc.labels.mailbox import ANSWERS, SENT
from rlavr_hpc.labels.orders import Answer, read_answer

Payments = dict[tuple[str, str, int], float]
"""Money by (start of a bridge or desk, key, number of the call; 0 = no call was logged)."""
BANK_SUFFIX = "-bank"
"""Ends the name of a start's file in a bank."""


def payments(folder: Path, prices: Mapping[str, float]) -> Payments:
    """All payments that a run's mailbox, or a bank, knows of.

    A call whose end is unknown counts in full. The same payment has the same name in a copy of the
    folder, so those of many folders may be joined.

    Args:
        folder: of the run, or of the bank.
        prices: by key, of an answer that says no cost and was given without a call.
    """
    paid: Payments = {}
    called: set[str] = set()
    for start, row in _rows(folder / SENT):
        with suppress(KeyError, TypeError, ValueError):  # of a stranger: no call of ours
            key, number = str(row["key"]), int(row["try"])
            paid[start, key, number] = float(row["cost"] if "ended" in row else row["price"])
            called.add(key)
    known = set(called)
    for start, row in _rows(folder / ANSWERS):
        answer = _answer(row)
        if answer is None or answer.key in known:
            continue
        known.add(answer.key)
        price = prices.get(answer.key, 0.0)
        paid[start, answer.key, 0] = answer.cost_at(price)
    return paid


def _rows(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Lines with the name of the start that wrote them."""
    for where, row in LineFollower(folder, nul_seconds=0.0).look():
        name = where.rpartition("/")[2].rpartition(".jsonl:")[0]
        yield name.removesuffix(BANK_SUFFIX), row


def _answer(row: Mapping[str, Any]) -> Answer | None:
    try:
        return read_answer(row)
    except ValueError:
        return None
