"""Who answered a run's orders to a live label source, as its ledger tells it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from analysis.load.run import AnnotatorSpend, readable
from analysis.load.segments import Notes, segments
from rlavr_hpc.runs.attempts import Attempt

NAMED = 200
"""Annotators that are told apart."""


def read_annotators(
    folder: Path, attempts: Sequence[Attempt], notes: Notes
) -> tuple[AnnotatorSpend, ...]:
    """What each of them answered, in what time and for what money; most answers first."""
    found: dict[str, list[dict[str, Any]]] = {}
    for _, lines in segments(folder, "ledger", attempts, notes):
        for row in lines:
            if row.get("kind") == "received":
                name = readable(row.get("annotator") or "unnamed")[:80]
                found.setdefault(name if len(found) < NAMED else "others", []).append(row)
    spent = [_spend(name, rows) for name, rows in found.items()]
    return tuple(sorted(spent, key=lambda one: (-one.answers, one.annotator)))


def _spend(annotator: str, rows: Sequence[dict[str, Any]]) -> AnnotatorSpend:
    seconds = [row["seconds"] for row in rows if isinstance(row.get("seconds"), int | float)]
    costs = [row["cost"] for row in rows if isinstance(row.get("cost"), int | float)]
    return AnnotatorSpend(
        annotator=annotator,
        answers=sum(row.get("void") is None for row in rows),
        voids=sum(row.get("void") is not None for row in rows),
        median_seconds=float(median(seconds)) if seconds else None,
        cost=float(sum(costs)),
    )
