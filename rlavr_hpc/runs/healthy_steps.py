"""Which checkpoints a roll-back may choose by itself."""

from __future__ import annotations

from collections.abc import Iterable
from math import hypot

from rlavr_hpc.runs.checkpoints import TrainingState

UNSURE = 0.1
"""Difference of accuracies that says nothing where their standard errors are not known."""


def healthy_steps(states: Iterable[TrainingState], *, below: float) -> list[int]:
    """Steps, newest first, that a roll-back may choose by itself.

    Their risk is below `below`, they were not made because of a stop, and their held-out accuracy
    lies within two standard errors of the best one, whatever the risk says. One that was not
    evaluated needs that of its evaluated neighbours, as far as it has any.
    """
    ordered = sorted(states, key=lambda state: state.step)
    scored = [state for state in ordered if state.score is not None]
    best = max(scored, key=lambda state: state.score or 0.0, default=None)
    sound = {state.step: best is None or _as_good(state, best) for state in scored}

    def neighbours(step: int) -> list[bool]:
        before = [ok for known, ok in sound.items() if known < step]
        after = [ok for known, ok in sound.items() if known > step]
        return [*before[-1:], *after[:1]]

    return [
        state.step
        for state in reversed(ordered)
        if state.risk < below
        and state.scheduled
        and state.unrecorded_metrics is None
        and (sound[state.step] if state.step in sound else all(neighbours(state.step)))
    ]


def _as_good(state: TrainingState, best: TrainingState) -> bool:
    """Whether its accuracy lies within the noise of the best."""
    noise = UNSURE
    if state.score_error is not None and best.score_error is not None:
        noise = 2.0 * hypot(state.score_error, best.score_error)
    return (state.score or 0.0) >= (best.score or 0.0) - noise
