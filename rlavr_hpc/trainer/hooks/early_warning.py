"""What a run does about an early warning of collapse: warn, stop, or roll back.

All ranks call these methods together; rank 0 has the detector.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from rlavr_hpc.config.run import RunConfig
from rlavr_hpc.config.warning import OnRisk
from rlavr_hpc.errors import EarlyWarningError, ExitCode
from rlavr_hpc.runs.branches import roll_back
from rlavr_hpc.runs.checkpoints import TrainingState
from rlavr_hpc.telemetry.collapse.early_warning import Alarm
from rlavr_hpc.trainer import distributed
from rlavr_hpc.trainer.hooks.checkpoints import CheckpointSchedule
from rlavr_hpc.trainer.hooks.mirror import close_mirror
from rlavr_hpc.trainer.hooks.record import Recorder

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class WarningCheck:
    """Compares the risk of collapse with the threshold after every step."""

    config: RunConfig
    run_dir: Path
    recorder: Recorder | None
    checkpoints: CheckpointSchedule

    def current_risk(self) -> float:
        """The risk of collapse by the record until now."""
        return distributed.on_main(lambda: self._alarm().risk)

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
        if warning.action is OnRisk.none or state.risk < warning.threshold:
            return False
        if before < warning.threshold and self.recorder is not None:
            log.warning(
                "early warning at step %d: collapse/risk %.2f: %s",
                state.step,
                state.risk,
                self._alarm().reason,
            )
        if state.step >= self.config.steps:
            return False
        if warning.action is OnRisk.rollback and state.branch < warning.max_rollbacks:
            self._roll_back(state)
            return True
        if warning.action in (OnRisk.stop, OnRisk.rollback):
            self._stop(state)
        return False

    def _alarm(self) -> Alarm:
        assert self.recorder is not None
        return self.recorder.warning.alarm

    def _stop(self, state: TrainingState) -> NoReturn:
        self.checkpoints.secure(state)
        reason = distributed.on_main(lambda: self._alarm().reason)
        raise EarlyWarningError(
            f"stopped by the early warning after step {state.step}, checkpoint written: "
            f"collapse/risk {state.risk:.2f}: {reason}. To continue all the same, add "
            "warning.action=warn allow_change=[warning] to the command"
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
