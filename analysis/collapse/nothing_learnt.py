"""Runs that had nothing to learn from in any step: neither healthy nor collapsed."""

from __future__ import annotations

from collections.abc import Sequence

from analysis.load.run import RunData, readable
from rlavr_hpc.telemetry import names
from rlavr_hpc.telemetry.learning_signal import (
    ENDING_CHARACTERS,
    ENDINGS,
    GradingKeys,
    LostSignal,
    describe_lost,
    lost_signal,
    mend,
)

READ = (
    names.COLLAPSE_UNPARSABLE,
    names.COLLAPSE_TRUNCATED,
    names.COLLAPSE_ZERO_ADVANTAGE,
    names.COLLAPSE_UNANIMOUS,
    names.TRAIN_ALL_RIGHT,
    names.TRAIN_ALL_WRONG,
)
"""Metrics that tell it."""


def nothing_learnt(run: RunData) -> LostSignal | None:
    """What kept every step of the run from teaching anything; None for most runs."""
    frame = run.rows.loc[run.rows.index > 0].reindex(columns=list(READ))
    rows = (
        {"step": float(step), **dict(zip(READ, values, strict=True))}
        for step, values in zip(frame.index.tolist(), frame.to_numpy().tolist(), strict=True)
    )
    lost = lost_signal(rows)
    return lost if lost is not None and lost.nothing_learnt else None


def explain_lost(run: RunData, lost: LostSignal) -> str:
    """What happened, what mends it, and how some responses ended, as far as that is on record."""
    puzzles = _text(run, "data.kind") in ("knights", "reasoning")
    keys = GradingKeys(
        extract=_text(run, "grading.extract"),
        max_response_tokens=_whole(run, "rollout.max_response_tokens"),
        mathematics=not puzzles and _text(run, "data.task") in (None, "math"),
        chooses_task=not puzzles,
        reads=("<answer>...</answer>",) if puzzles else (),
    )
    text = f"Nothing was learnt: {describe_lost(lost)}. To change it: {mend(lost.losses, keys)}."
    endings = _endings(run)
    return f"{text} Responses end like this: {', '.join(endings)}." if endings else text


def _endings(run: RunData) -> Sequence[str]:
    recorded = run.summary.get("lost_signal")
    found = recorded.get("endings") if isinstance(recorded, dict) else None
    if not isinstance(found, list):
        return ()
    texts = [text for text in found[:ENDINGS] if isinstance(text, str)]
    return [f'"{readable(text[-ENDING_CHARACTERS - 1 :])}"' for text in texts]


def _text(run: RunData, key: str) -> str | None:
    value = run.config.get(key)
    return readable(value) if isinstance(value, str) else None


def _whole(run: RunData, key: str) -> int | None:
    value = run.config.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) else None
