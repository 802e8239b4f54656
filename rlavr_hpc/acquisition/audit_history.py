"""What the ledger says of audits: whose vote was to be audited, and the label bought for it.

They stand apart from purchases: a policy neither chooses them nor sees what they cost, and a label
that is *kept* is never trained on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from rlavr_hpc.acquisition.purchase_history import Purchase, Step
from rlavr_hpc.errors import LedgerError


class AuditKind(StrEnum):
    """What an audit's label is for."""

    kept = "kept"
    """For evidence alone, at every visit of its prompt."""
    used = "used"
    """For evidence once, and then for training."""


@dataclass(slots=True)
class AuditHistory:
    """All audits of a run, by the step in which they were made."""

    drawn: dict[tuple[Step, AuditKind], tuple[str, ...]] = field(default_factory=dict)
    """Prompts, with repeats where one was drawn more than once."""
    bought: dict[tuple[Step, AuditKind], dict[str, Purchase]] = field(default_factory=dict)
    """Of these, those that nobody had paid for before."""

    def enter(self, step: Step, row: Mapping[str, Any], where: str) -> None:
        """Add a line.

        Raises:
            LedgerError: it contradicts the lines before it.
        """
        key, prompt = (step, AuditKind(row["use"])), row.get("prompt")
        if row["kind"] == "audit":
            if key in self.drawn:
                raise LedgerError(f"{where}: audits of step {step[1]} were drawn twice")
            self.drawn[key] = tuple(row["prompts"])
            return
        if prompt not in self.drawn.get(key, ()):
            raise LedgerError(f"{where}: prompt {prompt!r} was audited without an intent")
        labels = self.bought.setdefault(key, {})
        if prompt in labels:
            raise LedgerError(f"{where}: prompt {prompt!r} was audited twice in step {step[1]}")
        labels[str(prompt)] = Purchase(answer=row["label"], cost=float(row["cost"]))

    def labels(self, kind: AuditKind, *, until: Step) -> dict[str, Purchase]:
        """Labels bought for audits of a kind up to and with a step, by prompt."""
        known: dict[str, Purchase] = {}
        for (step, use), labels in self.bought.items():
            if use is kind and step <= until:
                known.update(labels)
        return {prompt: one for prompt, one in known.items() if one.answer is not None}

    def count(self, kind: AuditKind, *, after: Step = (-1, 0), until: Step | None = None) -> int:
        """Labels bought for audits of a kind after one step, up to and with another."""
        return sum(
            len(labels)
            for (step, use), labels in self.bought.items()
            if use is kind and after < step and (until is None or step <= until)
        )

    @property
    def total(self) -> int:
        """Labels bought for audits."""
        return sum(map(len, self.bought.values()))

    @property
    def words(self) -> str:
        """How many there are, for people; "" where there are none."""
        if not self.total:
            return ""
        kinds = ", ".join(f"{self.count(kind)} {kind}" for kind in AuditKind)
        return f"{self.total} labels more for audits of votes ({kinds}), for {self.cost:g}"

    @property
    def cost(self) -> float:
        """Sum of what was paid for them."""
        return sum(one.cost for labels in self.bought.values() for one in labels.values())
