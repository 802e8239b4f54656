"""Lines of the ledger about orders to a live source; `ledger_lines.FIELDS` says what they mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rlavr_hpc.acquisition.order_history import Intent
from rlavr_hpc.acquisition.purchase_history import Step
from rlavr_hpc.labels.orders import Answer, Order
from rlavr_hpc.labels.resolve import Resolution

EARLIER, OWN = "earlier", "step"
NOTHING_SHOWN: Mapping[str, Any] = {}


def ordered_line(
    order: Order,
    decided: Step,
    *,
    copy: int = 0,
    gold: bool = False,
    shown: Mapping[str, Any] = NOTHING_SHOWN,
) -> dict[str, Any]:
    """A question to the source.

    Args:
        order: the question.
        decided: (branch, step) of the intent it belongs to.
        copy: how many were asked for the same label before it.
        gold: whether its answer is known.
        shown: what the source sees besides the question.
    """
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


def received_line(answer: Answer, cost: float) -> dict[str, Any]:
    """An answer, with what it cost."""
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


def settled_line(intent: Intent, found: Resolution, cost: float) -> dict[str, Any]:
    """What the answers to an intent come to, and what they cost together."""
    return {
        "kind": "settled",
        "prompt": intent[1],
        "decided": list(intent[0]),
        "label": found.text,
        "wrong": found.wrong,
        "void": found.void,
        "cost": cost,
    }


def seen_line(part: str) -> dict[str, Any]:
    """The end of what a step sees of `earlier` orders, or of those of the `step` itself."""
    return {"kind": "seen", "of": part}
