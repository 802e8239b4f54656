"""The run: steps, evaluations, checkpoints, the record, and stopping when asked."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from enum import StrEnum
from math import isfinite
from pathlib import Path
from typing import NoReturn

from tqdm import tqdm

from rlavr_hpc.config.warning import OnRisk
from rlavr_hpc.errors import EarlyWarningError, ExitCode, OutOfTimeError, RunStoppedError
from rlavr_hpc.rollout import global_random
from rlavr_hpc.runs.branches import roll_back
from rlavr_hpc.runs.checkpoints import TrainingState
from rlavr_hpc.runs.heartbeat import Heartbeat
from rlavr_hpc.telemetry import names
from rlavr_hpc.telemetry.collapse.early_warning import Alarm, EarlyWarning
from rlavr_hpc.telemetry.examples.record import ExamplesFile, choose_examples, is_due
from rlavr_hpc.telemetry.reduce import Mean, Metrics, as_row
from rlavr_hpc.telemetry.sinks import MetricsFile
from rlavr_hpc.telemetry.wandb.sink import WandbSink
from rlavr_hpc.trainer import distributed
from rlavr_hpc.trainer.checkpoint.write import CheckpointWriter
from rlavr_hpc.trainer.components import HELD_OUT, Components
from rlavr_hpc.trainer.evaluation import evaluate
from rlavr_hpc.trainer.reporting.memory import memory_metrics
from rlavr_hpc.trainer.step import StepResult, run_step
from rlavr_hpc.types import StepKey

log = logging.getLogger(__name__)


class LoopEnd(StrEnum):
    """How a run came out of its loop, errors and stops apart."""

    done = "done"
    rolled_back = "rolled_back"
    """The next attempt goes on from an earlier step, on another branch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorder:
    """Rank 0's writers; the other ranks have none."""

    metrics: MetricsFile
    examples: ExamplesFile
    heartbeat: Heartbeat
    mirror: WandbSink | None
    warning: EarlyWarning


@dataclass(slots=True, kw_only=True)
class TrainingRun:
    """A run in progress on this rank."""

    components: Components
    run_dir: Path
    state: TrainingState
    """After the last finished step."""
    recorder: Recorder | None
    saver: CheckpointWriter
    fence: Callable[[], None]
    """Raises FencedError when a newer attempt owns the run folder."""
    profiled: Callable[[int], AbstractContextManager[object]] = nullcontext
    """Entered around every step with its number."""
    late: Metrics = field(default_factory=dict)
    """Measured after the row it belongs to was written; goes into the next one."""

    def fit(self) -> LoopEnd:
        """Run until `steps`, until asked to stop, or until rolled back.

        Raises:
            RunStoppedError: a signal came; a checkpoint of the last finished step is on disk.
            EarlyWarningError: the risk of collapse is high and `warning.action` says stop;
                likewise.
        """
        try:
            ended = self._catch_up() or self._go_on()
        except OutOfTimeError:
            raise self._stopped() from None
        self.late |= self.saver.finish()
        return ended

    def _catch_up(self) -> LoopEnd | None:
        """What the attempt before left to do: the first evaluation, one it owed, or a fear."""
        if self.state.owed is not None:
            owed = {name: Mean(*pair) for name, pair in self.state.owed.items()}
            return self._settle(self.state.step, owed)
        if self.state.step == 0:
            values = self._record(self._step_key(0), self._evaluate(0))
            self.state = replace(self.state, score=values.get(self._accuracy))
            if self.components.config.warning.action is OnRisk.rollback:
                self._save()
        self.state = replace(self.state, risk=distributed.on_main(lambda: self._alarm().risk))
        return self._heed(before=0.0)

    def _go_on(self) -> LoopEnd:
        config = self.components.config
        with tqdm(
            total=config.steps,
            initial=self.state.step,
            desc=config.name,
            unit="step",
            disable=self.recorder is None,
            mininterval=1.0,
        ) as bar:
            while self.state.step < config.steps:
                if ended := self._one_step(self.state.step + 1, bar):
                    return ended
                bar.update()
        return LoopEnd.done

    def _one_step(self, step: int, bar: tqdm[NoReturn]) -> LoopEnd | None:
        step_key, quota = self._step_key(step), self.components.config.quota_at(self.state.risk)
        before = global_random.get_states()
        try:
            with self.components.deadline.work("step"), self.profiled(step):
                result = run_step(self.components, step_key, quota=quota)
        except OutOfTimeError:
            global_random.set_states(before)
            raise
        if is_due(step, every=self.components.config.tracking.examples_every):
            distributed.on_main(lambda: self._write_examples(result, step_key))
        metrics = {**result.metrics, **self._audit(result, step_key)}
        bar.set_postfix_str(_progress(as_row(metrics)), refresh=False)
        return self._settle(step, metrics)

    def _settle(self, step: int, metrics: Metrics) -> LoopEnd | None:
        """Everything after a step's updates: evaluation, record, checkpoint, warning."""
        config, before = self.components.config, self.state.risk
        owed = {
            name: (mean.total, mean.count) for name, mean in metrics.items() if isfinite(mean.total)
        }
        self.state = replace(self.state, step=step, owed=owed, score=None)
        evaluated = self._evaluate(step) if self._due(step, config.eval_every) else {}
        values = self._record(self._step_key(step), {**metrics, **evaluated})
        self.state = replace(
            self.state,
            owed=None,
            risk=values[names.COLLAPSE_RISK],
            score=values.get(self._accuracy),
        )
        asked, busy = distributed.anyone_each(
            self.components.deadline.stop.received is not None, self.saver.busy
        )
        if not busy:
            self.late |= self.saver.finish()
            self.components.deadline.save_seconds = self.saver.seconds
        if self._due(step, config.save_every):
            self._save()
        ended = self._heed(before)
        if asked and step < config.steps and ended is None:
            raise self._stopped()
        return ended

    def _stopped(self) -> RunStoppedError:
        """Secure what is finished; the error that ends the attempt."""
        step, steps = self.state.step, self.components.config.steps
        if step == 0:
            return RunStoppedError(
                f"stopped before step 1 of {steps} was finished; start the same command again"
            )
        self._secure()
        return RunStoppedError(
            f"stopped after step {step} of {steps}, checkpoint written; start the same command "
            "again to continue"
        )

    def _heed(self, before: float) -> LoopEnd | None:
        """Say what is feared when it begins, and do what is to be done about it.

        Args:
            before: the risk when it was heeded last.
        """
        config, risk = self.components.config.warning, self.state.risk
        if config.action is OnRisk.none or risk < config.threshold:
            return None
        if before < config.threshold and self.recorder is not None:
            log.warning(
                "early warning at step %d: collapse/risk %.2f: %s",
                self.state.step,
                risk,
                self._alarm().reason,
            )
        if self.state.step >= self.components.config.steps:
            return None
        if config.action is OnRisk.rollback and self.state.branch < config.max_rollbacks:
            return self._roll_back()
        if config.action in (OnRisk.stop, OnRisk.rollback):
            self._stop_early()
        return None

    def _alarm(self) -> Alarm:
        assert self.recorder is not None
        return self.recorder.warning.alarm

    def _stop_early(self) -> NoReturn:
        self._secure()
        reason = distributed.on_main(lambda: self._alarm().reason)
        raise EarlyWarningError(
            f"stopped by the early warning after step {self.state.step}, checkpoint written: "
            f"collapse/risk {self.state.risk:.2f}: {reason}. To go on all the same: "
            "warning.action=warn allow_change=[warning]"
        )

    def _roll_back(self) -> LoopEnd:
        self.late |= self.saver.finish()
        healthy = self.components.config.warning.healthy
        back = distributed.on_main(lambda: roll_back(self.run_dir, healthy_below=healthy))
        log.warning(
            "rolled back from step %d to step %d; branch %d goes on from there with other noise",
            self.state.step,
            back.step,
            back.branch,
        )
        if self.recorder is not None and self.recorder.mirror is not None:
            self.recorder.mirror.close(ExitCode.STOPPED)
        return LoopEnd.rolled_back

    def _step_key(self, step: int) -> StepKey:
        return StepKey(seed=self.components.config.seed, step=step, branch=self.state.branch)

    def _due(self, step: int, every: int) -> bool:
        return step == self.components.config.steps or (every > 0 and step % every == 0)

    def _evaluate(self, step: int) -> Metrics:
        start = time.perf_counter()
        with self.components.deadline.work("evaluation"):
            metrics = evaluate(self.components, self._step_key(step))
        return {**metrics, names.TIME_EVALUATE: Mean(time.perf_counter() - start)}

    def _audit(self, result: StepResult, step_key: StepKey) -> Metrics:
        """Oracle diagnostics, after the step and for the record alone."""
        audit = self.components.audit
        if audit is None:
            return {}
        return distributed.on_main(
            lambda: audit.measure(
                result.groups, step_key, selection=result.selection, quota=result.quota
            )
        )

    def _write_examples(self, result: StepResult, step_key: StepKey) -> None:
        """Before the step's row, so that a row is never there without them."""
        assert self.recorder is not None
        examples = choose_examples(
            result.signals,
            result.labels,
            step_key=step_key,
            attempt=self.state.attempt,
            prompts=self.components.config.tracking.examples_prompts,
        )
        self.recorder.examples.write(examples)
        if self.recorder.mirror is not None:
            self.recorder.mirror.show(examples)

    def _record(self, step_key: StepKey, metrics: Metrics) -> dict[str, float]:
        row = {**metrics, **self.late, **memory_metrics()}
        self.late = {}
        return distributed.on_main(lambda: self._write(step_key, row))

    def _write(self, step_key: StepKey, row: Metrics) -> dict[str, float]:
        assert self.recorder is not None
        risk = self.recorder.warning.observe(as_row(row)).risk
        values = self.recorder.metrics.write(step_key, {**row, names.COLLAPSE_RISK: Mean(risk)})
        if self.recorder.mirror is not None:
            self.recorder.mirror.write(step_key, values)
        self._beat("running", values, step=step_key.step)
        return values

    def _beat(self, state: str, values: Mapping[str, float], *, step: int | None = None) -> None:
        assert self.recorder is not None
        self.recorder.heartbeat.beat(
            state,
            step=self.state.step if step is None else step,
            labels_bought=values.get(names.LABELS_TOTAL),
            accuracy=values.get(self._accuracy),
            risk=values.get(names.COLLAPSE_RISK),
        )

    @property
    def _accuracy(self) -> str:
        return names.eval_name(HELD_OUT, "mean", self.components.config.eval.samples)

    def _save(self) -> None:
        """Have a checkpoint of the present state written."""
        self.late |= self.saver.begin(distributed.on_main(self._state_to_save))

    def _secure(self) -> None:
        """Have a checkpoint of the last finished step on disk on return."""
        if self.saver.newest != self.state.step:
            self._save()
        self.late |= self.saver.finish()

    def _state_to_save(self) -> TrainingState:
        assert self.components.ledger is not None
        book, step, every = (
            self.components.ledger.book,
            self.state.step,
            self.components.config.save_every,
        )
        scheduled = step == 0 or (every > 0 and step % every == 0)
        return replace(
            self.state, scheduled=scheduled, ledger_lines=book.lines, ledger_head=book.head
        )


def _progress(values: Mapping[str, float]) -> str:
    shown = {
        "majority": values.get(names.COLLAPSE_MAJORITY_RATIO),
        "correct": values.get(names.ORACLE_TRUE_REWARD),
        "labels": values.get(names.LABELS_TOTAL),
    }
    return " ".join(f"{k}={v:.3g}" for k, v in shown.items() if v is not None)
