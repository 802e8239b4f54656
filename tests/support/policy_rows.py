"""Invented runs of the policy study."""

from __future__ import annotations

from benchmarks.policy_rows import THRESHOLDS, Row


def row(
    arm: str,
    accuracy: float,
    *,
    study: str = "budget",
    world: str = "default",
    seed: int = 1,
    budget: float = 0.2,
    start: float = 0.4,
    faults: str = "",
    onset: int | None = None,
    risk: float = 0.0,
) -> Row:
    """A run whose risk reached `risk` at step 7."""
    return Row(
        study=study,
        world=world,
        arm=arm,
        budget=budget,
        seed=seed,
        labels=100,
        accuracy_start=start,
        accuracy_end=accuracy,
        accuracy_best=max(start, accuracy),
        faults=faults,
        collapse_step=onset,
        hint_step=7 if risk >= 0.5 else None,
        risk_steps=" ".join("7" if risk >= bar else "-" for bar in THRESHOLDS),
        truncated_end=0.25,
        votes_right_start=0.5,
        seconds=36.0,
        machine="2 x somewhere",
    )
