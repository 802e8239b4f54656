"""The run's record: rank 0's files of an attempt, and the row of metrics after every step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite

from rlavr_hpc.runs.heartbeat import Heartbeat
from rlavr_hpc.telemetry import names
from rlavr_hpc.telemetry.collapse.alarm.alarm import CollapseAlarm
from rlavr_hpc.telemetry.collapse.early_warning import EarlyWarning
from rlavr_hpc.telemetry.examples.record import ExamplesFile
from rlavr_hpc.telemetry.learning_signal import GradingKeys
from rlavr_hpc.telemetry.reduce import Mean, Metrics, as_row
from rlavr_hpc.telemetry.sinks import MetricsFile, MetricsMirror
from rlavr_hpc.trainer import distributed
from rlavr_hpc.trainer.hooks.heartbeat import beat_running
from rlavr_hpc.trainer.hooks.mirror import mirror_row
from rlavr_hpc.trainer.reporting.memory import memory_metrics
from rlavr_hpc.types import StepKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorder:
    """Rank 0's writers of an attempt; the other ranks have none."""

    metrics: MetricsFile
    examples: ExamplesFile
    heartbeat: Heartbeat
    mirror: MetricsMirror | None
    warning: EarlyWarning


@dataclass(slots=True, kw_only=True)
class RunRecord:
    """Writes the row of every step, on rank 0; every rank gets its values."""

    recorder: Recorder | None
    accuracy: str
    """Metric that the heartbeat shows as the run's accuracy."""
    keys: GradingKeys = field(default_factory=GradingKeys)
    """Settings that the heartbeat names when a step teaches nothing."""
    alarm: CollapseAlarm | None = None
    """What audits say stands in the heartbeat; None without audits."""
    deferred_metrics: Metrics = field(default_factory=dict)
    """Measured after the row they belong to was written; they go into the next one."""

    def defer(self, metrics: Metrics) -> None:
        """Keep metrics for the next row."""
        self.deferred_metrics |= metrics

    def write(self, step_key: StepKey, metrics: Metrics) -> dict[str, float]:
        """Write a row; it is on disk on return. All ranks call this together.

        Returns:
            The row's values, `collapse/risk` included.
        """
        row = {**metrics, **self.deferred_metrics, **memory_metrics()}
        self.deferred_metrics = {}
        return distributed.on_main(lambda: self._write(step_key, row))

    def _write(self, step_key: StepKey, row: Metrics) -> dict[str, float]:
        recorder = self.recorder
        assert recorder is not None
        risk = recorder.warning.observe(as_row(row)).risk
        values = recorder.metrics.write(step_key, {**row, names.COLLAPSE_RISK: Mean(risk)})
        mirror_row(recorder.mirror, step_key, values)
        beat_running(
            recorder.heartbeat,
            step_key.step,
            values,
            accuracy=self.accuracy,
            keys=self.keys,
            audited="" if self.alarm is None else self.alarm.status,
        )
        return values


def storable_metrics(metrics: Metrics) -> dict[str, tuple[float, float]]:
    """Metrics not yet on record as a checkpoint stores them: name -> (total, count)."""
    return {name: (m.total, m.count) for name, m in metrics.items() if isfinite(m.total)}


def restored_metrics(stored: Mapping[str, tuple[float, float]]) -> Metrics:
    """The inverse of `storable_metrics`."""
    return {name: Mean(*pair) for name, pair in stored.items()}
