"""What is wrong with a run besides a collapse, by the same rules as at the run's own end."""

from __future__ import annotations

from analysis.load.run import HELD_OUT, HELD_OUT_ERROR, RunData
from rlavr_hpc.telemetry import names
from rlavr_hpc.telemetry.collapse.verdict import Fault, FoundFault, faults_of

READ = (
    names.ORACLE_TRUE_REWARD,
    names.ORACLE_TRUE_REWARD_VARIANCE,
    names.COLLAPSE_UNPARSABLE,
    names.COLLAPSE_TRUNCATED,
)
"""Metrics that tell it, beside the held-out accuracy."""


def other_faults(run: RunData) -> tuple[FoundFault, ...]:
    """Faults of a run that could learn, but for a collapse."""
    evaluated = [name for name in run.rows.columns if name.startswith(HELD_OUT)]
    samples = int(evaluated[0].removeprefix(HELD_OUT)) if evaluated else 0
    errors = [name for name in run.rows.columns if name.startswith(HELD_OUT_ERROR)]
    frame = run.rows.reindex(columns=[*READ, *evaluated[:1], *errors[:1]])
    rows = [
        {"step": int(step), **{k: v for k, v in zip(frame.columns, values, strict=True) if v == v}}
        for step, values in zip(frame.index.tolist(), frame.to_numpy().tolist(), strict=True)
    ]
    found = faults_of(rows, samples=samples)
    return tuple(fault for fault in found if fault.fault is not Fault.collapsed)
