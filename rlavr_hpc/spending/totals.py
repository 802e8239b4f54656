"""What runs have spent: per run, per policy, and over the steps. Nothing here prints."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from rlavr_hpc.acquisition.ledger import read_ledger
from rlavr_hpc.acquisition.ledger_state import LedgerState
from rlavr_hpc.config.run import RunConfig
from rlavr_hpc.errors import RlavrError
from rlavr_hpc.runs.find import FoundFolder
from rlavr_hpc.runs.folder import read_config
from rlavr_hpc.runs.identity import hash_of_folder
from rlavr_hpc.runs.states import RunState, State
from rlavr_hpc.spending.live_spend import LiveSpend, live_spend
from rlavr_hpc.spending.verify_ledger import LedgerProof, prove, readable

POINTS = 10
"""How many steps the spend over time is reported at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSpend:
    """What one run has spent so far."""

    acquisition: str
    budget: float | None
    seed: int
    status: State
    """Where the run stands, as every command tells it."""
    step: int
    """The last one of its heartbeat, or that it bought for."""
    steps: int
    bought: int
    allowed: int
    """New labels that its config allows until `step`."""
    void: int
    audited: int = 0
    """Labels bought to audit votes, which `bought` leaves out and `cost` does not."""
    cost: float
    open_intents: int
    lines: int
    by_step: dict[int, int] = field(default_factory=dict)
    """Labels bought in each step, over all branches."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpendEntry:
    """One line of a report on many runs."""

    found: FoundFolder
    state: RunState | None = None
    """None of a foreign folder."""
    run_id: str | None = None
    spend: RunSpend | None = None
    """None: not started, or unreadable."""
    proof: LedgerProof | None = None
    """None: not requested, or it failed."""
    error: str | None = None
    live: LiveSpend | None = None
    """Of a run with a live label source."""

    @property
    def label(self) -> str:
        """What tells this run from the others: its overrides, or its policy, budget and seed."""
        if self.found.overrides or self.spend is None:
            return " ".join(self.found.overrides)
        spend = self.spend
        return f"acquisition={spend.acquisition} budget={spend.budget:g} seed={spend.seed}"

    @property
    def status(self) -> str:
        """Where the run stands."""
        return State.unknown if self.state is None else self.state.state

    @property
    def has_no_ledger(self) -> bool:
        """Planned or made, and no attempt has begun yet."""
        if self.spend is None:
            return self.error is None
        return self.state is not None and self.state.attempts == 0


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


def read_entry(found: FoundFolder, state: RunState, *, proving: bool = False) -> SpendEntry:
    """What one run has spent; whatever is wrong with it becomes the entry's error.

    Args:
        found: the run.
        state: where it stands.
        proving: also prove the ledger.
    """
    if found.problem or not found.started:
        return SpendEntry(found=found, state=state, run_id=found.run_id, error=found.problem)
    run_id = found.run_id
    try:
        with readable(found.folder):
            config = read_config(found.folder)
            run_id = run_id or hash_of_folder(config, found.folder)
            proof = prove(found.folder, config) if proving else None
            ledger_state = proof.ledger_state if proof else read_ledger(found.folder)
            spend = run_spend(config, ledger_state, state)
            live = live_spend(found.folder, config.labels, ledger_state)
    except RlavrError as error:
        return SpendEntry(found=found, state=state, run_id=run_id, error=str(error))
    return SpendEntry(found=found, state=state, run_id=run_id, spend=spend, proof=proof, live=live)


def run_spend(config: RunConfig, ledger_state: LedgerState, state: RunState) -> RunSpend:
    """The figures of one run."""
    step = max([state.step, *(key[1] for key in ledger_state.decisions)])
    steps_paid = max(
        step, len(ledger_state.decisions)
    )  # also steps of branches that were rolled back
    cap, allowed = config.budget_total, config.quota_at(1.0) * steps_paid
    by_step: dict[int, int] = {}
    for (_, at), purchases in ledger_state.purchases.items():
        bought = sum(p.answer is not None for p in purchases.values())
        by_step[at] = by_step.get(at, 0) + bought
    return RunSpend(
        acquisition=config.acquisition.name,
        budget=config.budget,
        seed=config.seed,
        status=state.state,
        step=step,
        steps=config.steps,
        bought=ledger_state.bought,
        allowed=allowed if cap is None else min(allowed, cap),
        void=ledger_state.void,
        audited=ledger_state.audits.total,
        cost=ledger_state.cost,
        open_intents=ledger_state.open_intents,
        lines=ledger_state.lines,
        by_step=by_step,
    )


def report_steps(entries: Iterable[SpendEntry]) -> tuple[int, ...]:
    """A handful of evenly spaced steps, the last of them the furthest that any run came to."""
    last = max((entry.spend.step for entry in entries if entry.spend), default=0)
    return tuple(sorted({math.ceil(last * i / POINTS) for i in range(1, POINTS + 1)} - {0}))


def by_policy(entries: Iterable[SpendEntry], steps: Sequence[int]) -> list[PolicySpend]:
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
            by_step=tuple(sum(_labels_until(run, step) for run in runs) for step in steps),
        )
        for (name, budget), runs in sorted(groups.items())
    ]


def _labels_until(run: RunSpend, step: int) -> int:
    return sum(labels for at, labels in run.by_step.items() if at <= step)
