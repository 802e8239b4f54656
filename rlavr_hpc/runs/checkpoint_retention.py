"""Which checkpoints stay when a newer one is complete."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rlavr_hpc.runs.checkpoints import TrainingState
from rlavr_hpc.runs.healthy_steps import healthy_steps


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionPolicy:
    """Which checkpoints stay when a newer one is complete."""

    last: int = 2
    """Newest ones."""
    every: int = 0
    """Those of steps that are multiples of this; 0 = none."""
    best: bool = True
    """The one with the highest held-out accuracy."""
    healthy_below: float = 0.25
    """The newest healthy one, with a risk below this: a roll-back needs it."""


def steps_to_keep(states: Iterable[TrainingState], keep: RetentionPolicy) -> set[int]:
    """Steps of the checkpoints that stay, of those a run may continue from."""
    ordered = sorted(states, key=lambda state: state.step, reverse=True)
    kept = {state.step for state in ordered[: keep.last]}
    kept |= {s.step for s in ordered if keep.every and s.step % keep.every == 0}
    scored = [s for s in ordered if s.score is not None]
    if keep.best and scored:  # of equal ones the newest
        kept.add(max(scored, key=lambda state: (state.score, state.step)).step)
    return kept | set(healthy_steps(ordered, below=keep.healthy_below)[:1])
