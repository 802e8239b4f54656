"""The heartbeat after every row: status.json says that the run is alive and how far it is."""

from __future__ import annotations

from collections.abc import Mapping

from rlavr_hpc.runs.heartbeat import Heartbeat
from rlavr_hpc.telemetry import names
from rlavr_hpc.telemetry.learning_signal import GradingKeys, describe_losses, losses_of, mend


def beat_running(
    heartbeat: Heartbeat,
    step: int,
    values: Mapping[str, float],
    *,
    accuracy: str,
    keys: GradingKeys,
    audited: str = "",
) -> None:
    """Write status.json, on rank 0.

    Args:
        heartbeat: its writer.
        step: the last step on record.
        values: the row of that step.
        accuracy: name of the metric shown as the run's accuracy; most rows have none.
        keys: settings that mend a step that teaches nothing.
        audited: what audits of votes say; "" = nothing yet.
    """
    heartbeat.beat(
        "running",
        step=step,
        labels_bought=values.get(names.LABELS_TOTAL),
        accuracy=values.get(accuracy),
        risk=values.get(names.COLLAPSE_RISK),
        note="; ".join(filter(None, (_note(step, values, keys), audited))),
    )


def _note(step: int, values: Mapping[str, float], keys: GradingKeys) -> str:
    losses = losses_of(values)
    return f"{describe_losses(losses)} in step {step}; {mend(losses, keys)}" if losses else ""
