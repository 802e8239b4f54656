"""What runs have spent: per run, per policy, and over the steps. Nothing here prints."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rlavr_hpc.acquisition.ledger import LedgerState, read_ledger
from rlavr_hpc.config.run import RunConfig
from rlavr_hpc.errors import RlavrError
from rlavr_hpc.runs.attempts import read_attempts
from rlavr_hpc.runs.find import FoundRecord
from rlavr_hpc.runs.folder import read_config
from rlavr_hpc.runs.identity import hash_of_folder
from rlavr_hpc.spending.verification import Proof, prove, readable

POINTS = 10
"""How many steps the spend over time is told at."""
NOT_STARTED = "not started"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSpend:
    """What one run has spent so far."""

    acquisition: str
    budget: float | None
    seed: int
    status: str
    """As the run last told itself: done, running, stopped, failed ...; or "not started"."""
    step: int
    """The last one that it told of, or bought for."""
    steps: int
    bought: int
    allowed: int
    """New labels that its config allows until `step`."""
    void: int
    cost: float
    open_intents: int
    lines: int
    by_step: dict[int, int] = field(default_factory=dict)
    """Labels bought in each step, over all branches."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of a report on many runs."""

    found: FoundRecord
    run_id: str | None = None
    spend: RunSpend | None = None
    """None: not started, or unreadable."""
    proof: Proof | None = None
    """None: not asked for, or it failed."""
    error: str | None = None

    @property
    def what(self) -> str:
        """What tells this run from the others."""
        if self.found.overrides or self.spend is None:
            return " ".join(self.found.overrides)
        spend = self.spend
        return f"acquisition={spend.acquisition} budget={spend.budget:g} seed={spend.seed}"

    @property
    def waits(self) -> bool:
        """Planned or made, and not started yet."""
        if self.spend is None:
            return self.error is None
        return self.spend.status == NOT_STARTED


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicySpend:
    """All runs of one policy at one budget."""

    acquisition: str
    budget: float | None
    runs: int
    labels: int
    cost: float
    by_step: tuple[int, ...]
    """Labels bought until each of the report's steps, over all these runs."""

    @property
    def mean(self) -> float:
        """Labels per run."""
        return self.labels / self.runs


def read_entry(found: FoundRecord, *, proving: bool = False) -> Entry:
    """What one run has spent; whatever is wrong with it becomes the entry's error."""
    if found.problem or not found.started:
        return Entry(found=found, run_id=found.run_id, error=found.problem)
    run_id = found.run_id
    try:
        with readable(found.folder):
            config = read_config(found.folder)
            run_id = run_id or hash_of_folder(config, found.folder)
            proof = prove(found.folder, config) if proving else None
            book = proof.book if proof else read_ledger(found.folder)
            spend = run_spend(found.folder, config, book)
    except RlavrError as error:
        return Entry(found=found, run_id=run_id, error=str(error))
    return Entry(found=found, run_id=run_id, spend=spend, proof=proof)


def run_spend(run_dir: Path, config: RunConfig, book: LedgerState) -> RunSpend:
    """The figures of one run.

    Raises:
        RlavrError: a token is damaged.
    """
    status, told = _status(run_dir)
    step = max([told, *(key[1] for key in book.decisions)])
    walked = max(step, len(book.decisions))  # also steps of branches that were rolled back
    cap, allowed = config.budget_total, config.quota_at(1.0) * walked
    by_step: dict[int, int] = {}
    for (_, at), purchases in book.purchases.items():
        bought = sum(p.answer is not None for p in purchases.values())
        by_step[at] = by_step.get(at, 0) + bought
    return RunSpend(
        acquisition=config.acquisition.name,
        budget=config.budget,
        seed=config.seed,
        status=status,
        step=step,
        steps=config.steps,
        bought=book.bought,
        allowed=allowed if cap is None else min(allowed, cap),
        void=book.void,
        cost=book.cost,
        open_intents=book.open_intents,
        lines=book.lines,
        by_step=by_step,
    )


def _status(run_dir: Path) -> tuple[str, int]:
    """(status, step) as the run's heartbeat tells; it may have died since."""
    if not read_attempts(run_dir):
        return NOT_STARTED, 0
    try:
        told: Any = json.loads((run_dir / "status.json").read_bytes())
        state, step = told["state"], told["step"]
        if not isinstance(state, str) or type(step) is not int:
            raise TypeError(f"state {state!r}, step {step!r}")
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return "unknown", 0
    return "done" if (run_dir / "DONE.json").exists() else state, step


def report_steps(entries: Iterable[Entry]) -> tuple[int, ...]:
    """A handful of evenly spaced steps, the last of them the furthest that any run came to."""
    last = max((entry.spend.step for entry in entries if entry.spend), default=0)
    return tuple(sorted({math.ceil(last * i / POINTS) for i in range(1, POINTS + 1)} - {0}))


def by_policy(entries: Iterable[Entry], steps: Sequence[int]) -> list[PolicySpend]:
    """Totals per (policy, budget), by name; runs that cannot be read are in none."""
    groups: dict[tuple[str, float], list[RunSpend]] = {}
    for entry in entries:
        if spend := entry.spend:
            groups.setdefault((spend.acquisition, spend.budget or 0.0), []).append(spend)
    return [
        PolicySpend(
            acquisition=name,
            budget=budget,
            runs=len(runs),
            labels=sum(run.bought for run in runs),
            cost=sum(run.cost for run in runs),
            by_step=tuple(sum(_until(run, step) for run in runs) for step in steps),
        )
        for (name, budget), runs in sorted(groups.items())
    ]


def _until(run: RunSpend, step: int) -> int:
    return sum(labels for at, labels in run.by_step.items() if at <= step)
