"""What a run does about a warning of collapse: say so, stop, or roll back.

A warning is the collapse alarm where votes are audited, and the label-free hint where it is asked
for or nothing else is there. All ranks call these methods together; rank 0 has the hint's detector,
the alarm is the same on every rank.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from rlavr_hpc.config.run import RunConfig
from rlavr_hpc.config.warning import OnRisk
from rlavr_hpc.errors import EarlyWarningError, ExitCode
from rlavr_hpc.runs.branches import roll_back
from rlavr_hpc.runs.checkpoints import TrainingState
from rlavr_hpc.telemetry import names
from rlavr_hpc.telemetry.collapse.alarm.alarm import CollapseAlarm
from rlavr_hpc.telemetry.collapse.early_warning import Alarm
from rlavr_hpc.trainer import distributed
from rlavr_hpc.trainer.hooks.checkpoints import CheckpointSchedule
from rlavr_hpc.trainer.hooks.mirror import close_mirror
from rlavr_hpc.trainer.hooks.record import Recorder

RAISED = 1.0
"""Evidence at which the alarm is raised."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class WarningCheck:
    """Compares what is watched with its threshold after every step."""

    config: RunConfig
    run_dir: Path
    recorder: Recorder | None
    checkpoints: CheckpointSchedule
    alarm: CollapseAlarm | None = None
    """None where no vote is audited, or the hint is acted on."""

    def risk_in(self, row: Mapping[str, float]) -> float:
        """What is compared with the threshold; 0 in a row without audits."""
        hint, alarm = names.COLLAPSE_RISK, names.COLLAPSE_ALARM_EVIDENCE
        return row.get(hint if self.alarm is None else alarm, 0.0)

    @property
    def threshold(self) -> float:
        """Where a warning begins."""
        return self.config.warning.threshold if self.alarm is None else RAISED

    def current_risk(self) -> float:
        """What is watched, by the record until now."""
        if self.alarm is not None:
            return self.alarm.evidence
        return distributed.on_main(lambda: self._hint().risk)

    def check_warning(self, state: TrainingState, *, before: float) -> bool:
        """Log a warning when it begins, and do what `warning.action` says.

        Args:
            state: after the last step.
            before: the risk at the last check.

        Returns:
            Whether the run was rolled back.

        Raises:
            EarlyWarningError: the run stops; a checkpoint is on disk.
        """
        warning = self.config.warning
        if warning.action is OnRisk.none or state.risk < self.threshold:
            return False
        if before < self.threshold and self.recorder is not None:
            log.warning("%s", self._words(state))
        if state.step >= self.config.steps:
            return False
        if warning.action is OnRisk.rollback and state.branch < warning.max_rollbacks:
            self._roll_back(state)
            return True
        if warning.action in (OnRisk.stop, OnRisk.rollback):
            self._stop(state)
        return False

    def _hint(self) -> Alarm:
        assert self.recorder is not None
        return self.recorder.warning.alarm

    def _words(self, state: TrainingState) -> str:
        """What is said when a warning begins, on rank 0."""
        if self.alarm is None:
            return (
                f"hint of collapse at step {state.step}, by no label: collapse/risk "
                f"{state.risk:.2f}: {self._hint().reason}"
            )
        rate = self.alarm.plan.false_alarm
        return (
            f"{self.alarm.told} (where votes are sound it is raised with chance {rate:g} at most)"
        )

    def _reason(self, state: TrainingState) -> str:
        if self.alarm is None:
            return f"collapse/risk {state.risk:.2f}: {self._hint().reason}"
        assert self.alarm.raised is not None
        return self.alarm.raised.reason

    def _stop(self, state: TrainingState) -> NoReturn:
        self.checkpoints.secure(state)
        reason = distributed.on_main(lambda: self._reason(state))
        what = "hint of collapse" if self.alarm is None else "collapse alarm"
        raise EarlyWarningError(
            f"stopped by the {what} after step {state.step}, checkpoint written: {reason}. To "
            "continue all the same, add warning.action=warn allow_change=[warning] to the command"
        )

    def _roll_back(self, state: TrainingState) -> None:
        self.checkpoints.finish()
        healthy = self.config.warning.healthy
        target = distributed.on_main(lambda: roll_back(self.run_dir, healthy_below=healthy))
        log.warning(
            "rolled back from step %d to step %d; branch %d continues from there with other random "
            "draws",
            state.step,
            target.step,
            target.branch,
        )
        if self.recorder is not None:
            close_mirror(self.recorder.mirror, ExitCode.STOPPED)
