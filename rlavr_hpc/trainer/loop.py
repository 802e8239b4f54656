"""The run: steps, evaluations, checkpoints, the record, and stopping when asked."""

from __future__ import annotations

import logging
import resource
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from tqdm import tqdm

from rlavr_hpc.cluster.preemption import StopFlag
from rlavr_hpc.config_groups import OnRisk
from rlavr_hpc.errors import EarlyWarningError, RunStoppedError
from rlavr_hpc.run_folder import Heartbeat
from rlavr_hpc.telemetry import names
from rlavr_hpc.telemetry.early_warning import Alarm, EarlyWarning
from rlavr_hpc.telemetry.reduce import Mean, Metrics, as_row
from rlavr_hpc.telemetry.sinks import MetricsFile
from rlavr_hpc.telemetry.wandb_sink import WandbSink
from rlavr_hpc.trainer import ranks
from rlavr_hpc.trainer.checkpoint import State, save_checkpoint
from rlavr_hpc.trainer.evaluation import evaluate
from rlavr_hpc.trainer.parts import HELD_OUT, Parts
from rlavr_hpc.trainer.step import StepResult, run_step
from rlavr_hpc.types import Place

KIB_PER_GIB = 1 << 20

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorder:
    """Rank 0's writers; the other ranks have none."""

    metrics: MetricsFile
    heartbeat: Heartbeat
    mirror: WandbSink | None
    warning: EarlyWarning


@dataclass(slots=True, kw_only=True)
class Run:
    """A run in progress on this rank."""

    parts: Parts
    run_dir: Path
    state: State
    """After the last finished step."""
    recorder: Recorder | None
    stop: StopFlag
    fence: Callable[[], None]
    """Raises FencedError when a newer attempt owns the run folder."""
    risk: float = 0.0
    """`collapse/risk` after the last finished step."""
    late: Metrics = field(default_factory=dict)
    """Measured after the row it belongs to was written; goes into the next one."""

    def fit(self) -> None:
        """Run until `steps`, or until asked to stop.

        Raises:
            RunStoppedError: a signal came; a checkpoint of the last finished step is on disk.
            EarlyWarningError: the risk of collapse is high and `warning.action=stop`; likewise.
        """
        config = self.parts.config
        if self.state.step == 0:
            self._record(self._place(0), self._evaluate(0))
        self.risk = ranks.on_main(lambda: self._alarm().risk)
        feared = self.risk >= config.warning.threshold and self.state.step < config.steps
        if feared and config.warning.action is OnRisk.stop:
            self._stop_early()
        with tqdm(
            total=config.steps, initial=self.state.step, desc=config.name, unit="step",
            disable=self.recorder is None, mininterval=1.0,
        ) as bar:  # fmt: skip
            while self.state.step < config.steps:
                values = self._one_step(self.state.step + 1)
                bar.update()
                bar.set_postfix_str(_progress(values), refresh=False)

    def _one_step(self, step: int) -> dict[str, float]:
        config, place = self.parts.config, self._place(step)
        result = run_step(self.parts, place, quota=config.quota_at(self.risk))
        metrics = {**result.metrics, **self._audit(result, place), **_rates(result)}
        if self._due(step, config.eval_every):
            metrics |= self._evaluate(step)
        values = self._record(place, metrics)
        self.state = replace(self.state, step=step)
        alarmed = self._heed(values[names.COLLAPSE_RISK])
        asked = ranks.anyone(self.stop.received is not None)
        if asked or alarmed or self._due(step, config.save_every):
            self._save()
        if alarmed and step < config.steps:
            self._stop_early()
        if asked and step < config.steps:
            raise RunStoppedError(
                f"stopped after step {step} of {config.steps}, checkpoint written; start the same "
                "command again to continue"
            )
        return values

    def _heed(self, risk: float) -> bool:
        """Say what is feared when it begins; whether to stop for it."""
        warning, before = self.parts.config.warning, self.risk
        self.risk = risk
        if warning.action is OnRisk.none or risk < warning.threshold:
            return False
        if before < warning.threshold and self.recorder is not None:
            log.warning(
                "early warning at step %d: collapse/risk %.2f: %s",
                self.state.step, risk, self._alarm().reason,
            )  # fmt: skip
        return warning.action is OnRisk.stop

    def _alarm(self) -> Alarm:
        assert self.recorder is not None
        return self.recorder.warning.alarm

    def _stop_early(self) -> None:
        reason = ranks.on_main(lambda: self._alarm().reason)
        raise EarlyWarningError(
            f"stopped by the early warning after step {self.state.step}, checkpoint written: "
            f"collapse/risk {self.risk:.2f}: {reason}. To go on all the same: warning.action=warn "
            "allow_change=[warning]"
        )

    def _place(self, step: int) -> Place:
        return Place(seed=self.parts.config.seed, step=step, branch=self.state.branch)

    def _due(self, step: int, every: int) -> bool:
        return step == self.parts.config.steps or (every > 0 and step % every == 0)

    def _evaluate(self, step: int) -> Metrics:
        start = time.perf_counter()
        metrics = evaluate(self.parts, self._place(step))
        return {**metrics, names.TIME_EVALUATE: Mean(time.perf_counter() - start)}

    def _audit(self, result: StepResult, place: Place) -> Metrics:
        """Oracle diagnostics, after the step and for the record alone."""
        if self.recorder is None or self.parts.audit is None:
            return {}
        return self.parts.audit.measure(
            result.groups, place, choice=result.choice, quota=result.quota
        )

    def _record(self, place: Place, metrics: Metrics) -> dict[str, float]:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / KIB_PER_GIB
        row = {**metrics, **self.late, names.SYS_MEMORY_GIB: Mean(peak)}
        self.late = {}
        return ranks.on_main(lambda: self._write(place, row))

    def _write(self, place: Place, row: Metrics) -> dict[str, float]:
        assert self.recorder is not None
        risk = self.recorder.warning.observe(as_row(row)).risk
        values = self.recorder.metrics.write(place, {**row, names.COLLAPSE_RISK: Mean(risk)})
        if self.recorder.mirror is not None:
            self.recorder.mirror.write(place, values)
        self._beat("running", values, step=place.step)
        return values

    def _beat(self, state: str, values: Mapping[str, float], *, step: int | None = None) -> None:
        assert self.recorder is not None
        self.recorder.heartbeat.beat(
            state,
            step=self.state.step if step is None else step,
            labels_bought=values.get(names.LABELS_TOTAL),
            accuracy=values.get(self._accuracy),
        )

    @property
    def _accuracy(self) -> str:
        return names.eval_name(HELD_OUT, "mean", self.parts.config.eval.samples)

    def _save(self) -> None:
        start = time.perf_counter()
        save_checkpoint(
            self.run_dir, self.parts.policy, self.parts.learner, self.state, fence=self.fence
        )
        self.late = {names.TIME_SAVE: Mean(time.perf_counter() - start)}


def _rates(result: StepResult) -> Metrics:
    tokens = sum(group.tokens for group in result.groups)
    return {names.PERF_TOKENS_PER_SECOND: Mean(tokens, result.metrics[names.TIME_STEP].total)}


def _progress(values: Mapping[str, float]) -> str:
    shown = {
        "majority": values.get(names.COLLAPSE_MAJORITY_RATIO),
        "correct": values.get(names.ORACLE_TRUE_REWARD),
        "labels": values.get(names.LABELS_TOTAL),
    }
    return " ".join(f"{k}={v:.3g}" for k, v in shown.items() if v is not None)
