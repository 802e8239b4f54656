"""The heartbeat after every row: status.json says that the run is alive and how far it is."""

from __future__ import annotations

from collections.abc import Mapping

from rlavr_hpc.runs.heartbeat import Heartbeat
from rlavr_hpc.telemetry import names


def beat_running(
    heartbeat: Heartbeat, step: int, values: Mapping[str, float], *, accuracy: str
) -> None:
    """Write status.json, on rank 0.

    Args:
        heartbeat: its writer.
        step: the last step on record.
        values: the row of that step.
        accuracy: name of the metric shown as the run's accuracy; most rows have none.
    """
    heartbeat.beat(
        "running",
        step=step,
        labels_bought=values.get(names.LABELS_TOTAL),
        accuracy=values.get(accuracy),
        risk=values.get(names.COLLAPSE_RISK),
    )
