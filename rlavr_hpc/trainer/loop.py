"""The loop over a run's steps. What happens around a step is in `trainer/hooks/`."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import NoReturn

from tqdm import tqdm

from rlavr_hpc.config.warning import OnRisk
from rlavr_hpc.errors import LabelsPendingError, OutOfTimeError, RunStoppedError
from rlavr_hpc.rollout import global_random
from rlavr_hpc.runs.checkpoints import TrainingState
from rlavr_hpc.telemetry import names
from rlavr_hpc.telemetry.reduce import Metrics, as_row
from rlavr_hpc.trainer import distributed
from rlavr_hpc.trainer.components import Components
from rlavr_hpc.trainer.hooks.audit import audit_step
from rlavr_hpc.trainer.hooks.checkpoints import CheckpointSchedule, is_due
from rlavr_hpc.trainer.hooks.early_warning import WarningCheck
from rlavr_hpc.trainer.hooks.evaluation import evaluate, scored
from rlavr_hpc.trainer.hooks.examples import record_examples
from rlavr_hpc.trainer.hooks.first_step import check_first_step
from rlavr_hpc.trainer.hooks.progress import progress_bar, progress_text
from rlavr_hpc.trainer.hooks.record import RunRecord, restored_metrics, storable_metrics
from rlavr_hpc.trainer.step import run_step
from rlavr_hpc.types import StepKey


class LoopEnd(StrEnum):
    """How the loop ended, apart from errors and stops."""

    done = "done"
    rolled_back = "rolled_back"
    """The next attempt continues from an earlier step, on another branch."""


@dataclass(slots=True, kw_only=True)
class TrainingRun:
    """A run in progress on this rank."""

    components: Components
    run_dir: Path
    state: TrainingState
    """After the last finished step."""
    record: RunRecord
    checkpoints: CheckpointSchedule
    warning: WarningCheck
    fence: Callable[[], None]
    """Raises FencedError when a newer attempt owns the run folder."""
    profiled: Callable[[int], AbstractContextManager[object]] = nullcontext
    """Entered around every step with its number."""

    def fit(self) -> LoopEnd:
        """Run until `steps`, or until rolled back.

        Raises:
            RunStoppedError, LabelsPendingError, EarlyWarningError: a checkpoint is on disk.
        """
        try:
            rolled_back = self.catch_up() or self._take_steps()
        except OutOfTimeError:
            raise self._stopped() from None
        except LabelsPendingError:
            self._secure()
            raise
        self.checkpoints.finish()
        return LoopEnd.rolled_back if rolled_back else LoopEnd.done

    def catch_up(self) -> bool:
        """Do what the last attempt left undone; whether that rolls the run back."""
        if unrecorded := self.state.unrecorded_metrics:  # the step's evaluation was aborted
            return self._finish_step(self.state.step, restored_metrics(unrecorded))
        if self.state.step == 0:
            start = self._step_key(0)
            values = self.record.write(start, evaluate(self.components, start))
            self.state = scored(self.state, values, self.record.accuracy)
            if self.components.config.warning.action is OnRisk.rollback:
                self.checkpoints.save(self.state)
        self.state = replace(self.state, risk=self.warning.current_risk())
        return self.warning.check_warning(self.state, before=0.0)

    def _take_steps(self) -> bool:
        config = self.components.config
        with progress_bar(config, self.state.step, shown=self.record.recorder is not None) as bar:
            while self.state.step < config.steps:
                if self.take_step(self.state.step + 1, bar):
                    return True
                bar.update()
        return False

    def take_step(self, step: int, bar: tqdm[NoReturn]) -> bool:
        """One training step and everything after it; whether the run was rolled back."""
        components, step_key = self.components, self._step_key(step)
        before = global_random.get_states()
        try:
            with components.deadline.work("step"), self.profiled(step):
                quota = components.config.quota_at(self.state.risk)
                result = run_step(components, step_key, quota=quota)
        except (OutOfTimeError, LabelsPendingError):
            global_random.set_states(before)
            raise
        recorder, records, attempt = self.record.recorder, result.records, self.state.attempt
        config, metrics = components.config, result.metrics
        record_examples(recorder, records, step_key, tracking=config.tracking, attempt=attempt)
        check_first_step(recorder, records, step_key, metrics=metrics, config=config)
        metrics = {**metrics, **audit_step(components.audit, records, step_key)}
        bar.set_postfix_str(progress_text(as_row(metrics)), refresh=False)
        return self._finish_step(step, metrics)

    def _finish_step(self, step: int, metrics: Metrics) -> bool:
        """Everything after a step's updates: evaluation, record, checkpoint, warning."""
        config, step_key, before = self.components.config, self._step_key(step), self.state.risk
        unrecorded = storable_metrics(metrics)
        self.state = replace(self.state, step=step, unrecorded_metrics=unrecorded, score=None)
        due = is_due(step, every=config.eval_every, steps=config.steps)
        evaluated = evaluate(self.components, step_key) if due else {}
        values = self.record.write(step_key, {**metrics, **evaluated})
        state, risk = scored(self.state, values, self.record.accuracy), values[names.COLLAPSE_RISK]
        self.state = replace(state, unrecorded_metrics=None, risk=risk)
        asked, busy = distributed.anyone_each(
            self.components.deadline.stop.received is not None, self.checkpoints.writer.busy
        )
        self.checkpoints.finish_if_written(busy=busy)
        self.checkpoints.save_if_due(self.state)
        rolled_back = self.warning.check_warning(self.state, before=before)
        if asked and step < config.steps and not rolled_back:
            raise self._stopped()
        return rolled_back

    def _stopped(self) -> RunStoppedError:
        """Have the finished steps on disk; the error that ends the attempt."""
        step, steps = self.state.step, self.components.config.steps
        where = f"after step {step} of {steps}, checkpoint written"
        if not self._secure():
            where = f"before step 1 of {steps} was finished"
        return RunStoppedError(f"stopped {where}; start the same command again to continue")

    def _secure(self) -> bool:
        """Have the finished steps on disk; False where there are none."""
        if self.state.step:
            self.checkpoints.secure(self.state)
        return self.state.step > 0

    def _step_key(self, step: int) -> StepKey:
        return StepKey(seed=self.components.config.seed, step=step, branch=self.state.branch)
