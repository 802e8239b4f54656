"""The ledger: every purchase of a label, on disk before the label is used.

A step's purchase is one `intent` line (the decision, written at once or not at all), then one
`commit` line per label or `void` line per prompt that has none. Lines are chained by hash across
attempts, so that no line can be changed, dropped or added unseen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlavr_hpc.acquisition.ledger_lines import (
    chain_line,
    check_fields,
    check_spelling,
)
from rlavr_hpc.acquisition.ledger_state import LedgerState
from rlavr_hpc.acquisition.purchase_history import Purchase
from rlavr_hpc.errors import LedgerError
from rlavr_hpc.io import LineWriter, make_folder
from rlavr_hpc.runs.attempts import accepted_lines, segment
from rlavr_hpc.types import Label, StepKey

FOLDER = "ledger"


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerPosition:
    """How far a ledger had come when a checkpoint was taken."""

    lines: int
    head: str
    """Hash of the last of them."""


def read_ledger(run_dir: Path, *, past: LedgerPosition | None = None) -> LedgerState:
    """Everything that counts in a run's ledger.

    Args:
        run_dir: the run's folder.
        past: where the ledger must have been.

    Raises:
        LedgerError: a line is damaged or contradicts the others; the message names it.
    """
    ledger_state = LedgerState()
    try:
        for _, path, line in accepted_lines(run_dir, FOLDER):
            where = f"{path}:{line.number}"
            check_spelling(line, where)
            ledger_state.enter(line.row, where)
            if (
                past is not None
                and ledger_state.lines == past.lines
                and ledger_state.head != past.head
            ):
                raise LedgerError(
                    f"{path}:{line.number}: the checkpoint was taken after another line"
                )
    except ValueError as error:
        raise LedgerError(f"{error}; the ledger was damaged") from error
    if past is not None and ledger_state.lines < past.lines:
        raise LedgerError(
            f"{run_dir}/{FOLDER} has {ledger_state.lines} lines, the checkpoint was taken after "
            f"{past.lines}: some are lost; restore the files"
        )
    return ledger_state


class Ledger:
    """The writer of one attempt's segment, on top of all that was bought before."""

    def __init__(self, run_dir: Path, attempt: int, *, fence: Callable[[], None]) -> None:
        """Read the accepted segments and open a new one.

        Args:
            run_dir: the run's folder.
            attempt: this attempt's number; its token is published already.
            fence: raises FencedError when a newer attempt owns the folder.

        Raises:
            LedgerError: the record is damaged or cannot be written.
        """
        self.state = read_ledger(run_dir)
        self._fence = fence
        make_folder(run_dir / FOLDER)
        self._writer = LineWriter(segment(run_dir, FOLDER, attempt))

    def decide(
        self, step_key: StepKey, selected: Iterable[str], *, quota: int, always: bool = False
    ) -> tuple[str, ...]:
        """Record what this step buys of `quota`; a step decided before keeps its decision.

        Args:
            step_key: the step.
            selected: prompt ids, no more than the quota.
            quota: of the step; to buy nothing of it is a decision, too.
            always: also where the quota is 0.
        """
        key = (step_key.branch, step_key.step)
        prompts = tuple(selected)
        if len(prompts) > quota:
            raise LedgerError(
                f"step {step_key.step}: {len(prompts)} labels wanted, {quota} allowed"
            )
        if key not in self.state.decisions and (quota or always):
            self._append(step_key, [{"kind": "intent", "prompts": list(prompts), "quota": quota}])
        return self.state.decisions.get(key, ())

    def outcome(self, step_key: StepKey, prompt_id: str) -> Purchase | None:
        """What became of an intent; None while it is open."""
        return self.state.purchases[step_key.branch, step_key.step].get(prompt_id)

    def commit(self, step_key: StepKey, purchases: Mapping[str, Purchase]) -> None:
        """Record labels, all in one durable write."""
        rows: list[dict[str, Any]] = []
        for prompt, purchase in purchases.items():
            row: dict[str, Any] = {"prompt": prompt, "cost": purchase.cost, "kind": "void"}
            if purchase.answer is not None:
                row |= {"kind": "commit", "label": purchase.answer}
            rows.append(row)
        self._append(step_key, rows)

    def record(self, step_key: StepKey, rows: list[dict[str, Any]]) -> None:
        """Record lines about a live source's orders, all in one durable write."""
        if rows:
            self._append(step_key, rows)

    def _append(self, step_key: StepKey, rows: list[dict[str, Any]]) -> None:
        self._fence()
        chained = chain_line(rows, step_key, head=self.state.head, number=self.state.lines)
        for row in chained:
            check_fields(row, f"step {step_key.step}")
        try:
            self._writer.append(chained)
        except OSError as error:
            raise LedgerError(
                f"{self._writer.path}: cannot be written ({error.strerror}); no label of step "
                f"{step_key.step} was used. Make room and start the same command again"
            ) from error
        if not self._writer.is_in_place():
            raise LedgerError(
                f"{self._writer.path} was deleted while the run writes it; no label of step "
                f"{step_key.step} was used. Restore the ledger from a copy, or begin another run"
            )
        for row in chained:
            self.state.enter(row, str(self._writer.path))


def as_label(prompt_id: str, purchase: Purchase, *, reused: bool = False) -> Label | None:
    """The label of a purchase; None for a void one."""
    if purchase.answer is None:
        return None
    cost = 0.0 if reused else purchase.cost
    return Label(prompt_id=prompt_id, answer=purchase.answer, cost=cost, reused=reused)
