"""What happens around a training step: the record, checkpoints, and the check of a warning."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch.distributed as dist

from rlavr_hpc.errors import EarlyWarningError
from rlavr_hpc.runs.checkpoints import TrainingState
from rlavr_hpc.telemetry import names
from rlavr_hpc.telemetry.collapse.alarm.alarm import CollapseAlarm
from rlavr_hpc.telemetry.collapse.alarm.plan import AlarmBound, AlarmPlan, RaisedAlarm
from rlavr_hpc.telemetry.collapse.early_warning import Alarm
from rlavr_hpc.telemetry.reduce import Mean, Metrics, as_row
from rlavr_hpc.trainer.hooks.checkpoints import CheckpointSchedule, is_due
from rlavr_hpc.trainer.hooks.early_warning import WarningCheck
from rlavr_hpc.trainer.hooks.record import (
    Recorder,
    RunRecord,
    restored_metrics,
    storable_metrics,
)
from rlavr_hpc.types import StepKey
from tests.support.configs import composed
from tests.unit.test_checkpoints import STATE


@pytest.fixture(scope="module", autouse=True)
def one_rank(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    store = tmp_path_factory.mktemp("ranks") / "store"
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=0, world_size=1)
    yield
    dist.destroy_process_group()


@dataclass
class Writers:
    """Stands for rank 0's files, and remembers what they were given."""

    rows: list[dict[str, float]] = field(default_factory=list)
    beats: list[dict[str, Any]] = field(default_factory=list)
    alarm: Alarm = field(default_factory=lambda: Alarm(risk=0.75, reason="the votes agree"))

    def write(self, step_key: StepKey, row: Metrics) -> dict[str, float]:
        self.rows.append(as_row(row))
        return self.rows[-1]

    def observe(self, row: dict[str, float]) -> Alarm:
        return self.alarm

    def beat(self, state: str, **facts: Any) -> None:  # noqa: ANN401
        self.beats.append({"state": state, **facts})

    def recorder(self) -> Recorder:
        """All of them are this one."""
        parts = SimpleNamespace(metrics=self, heartbeat=self, warning=self, mirror=None)
        return cast(Recorder, parts)


@dataclass
class Checkpoints:
    """Stands for the schedule, and remembers what it was told to do."""

    calls: list[str] = field(default_factory=list)

    def secure(self, state: TrainingState) -> None:
        self.calls.append(f"secure {state.step}")

    def finish(self) -> None:
        self.calls.append("finish")


@pytest.mark.parametrize(
    ("step", "every", "due"), [(4, 4, True), (5, 4, False), (9, 4, True), (5, 0, False)]
)
def test_something_is_due_every_so_many_steps_and_at_the_end(
    step: int, every: int, due: bool
) -> None:
    assert is_due(step, every=every, steps=9) is due


def test_metrics_come_back_from_a_checkpoint_without_what_is_no_number() -> None:
    metrics = {"a": Mean(3.0, 2.0), "b": Mean(float("nan")), "c": Mean(float("inf"))}
    assert restored_metrics(storable_metrics(metrics)) == {"a": Mean(3.0, 2.0)}


def test_deferred_metrics_go_into_the_next_row_and_into_no_other() -> None:
    writers = Writers()
    record = RunRecord(recorder=writers.recorder(), accuracy="eval/held_out/mean@2")
    record.defer({names.TIME_SAVE: Mean(1.5)})
    for step, accuracy in ((1, 0.25), (2, 0.5)):
        metrics = {"eval/held_out/mean@2": Mean(accuracy), names.LABELS_TOTAL: Mean(7)}
        values = record.write(StepKey(seed=1, step=step), metrics)
        assert values[names.COLLAPSE_RISK] == 0.75
    assert [row.get(names.TIME_SAVE) for row in writers.rows] == [1.5, None]
    assert writers.beats[-1] == {
        "state": "running",
        "step": 2,
        "labels_bought": 7.0,
        "accuracy": 0.5,
        "risk": 0.75,
        "note": "",
    }


def raised_alarm() -> CollapseAlarm:
    plan = AlarmPlan(
        false_alarm=0.05,
        begin=0,
        steps=9,
        steps_per_pass=3,
        kept_per_step=1.0,
        used_per_step=0.0,
        trust_floor=0.8,
    )
    alarm = CollapseAlarm(plan=plan)
    alarm.raised = RaisedAlarm(step=3, bound=AlarmBound.pairs, reason="fewer votes are right")
    return alarm


def check(
    *,
    action: str,
    risk: float,
    step: int = 3,
    before: float = 0.0,
    branch: int = 0,
    alarm: CollapseAlarm | None = None,
) -> tuple[bool, list[str]]:
    """Whether the run was rolled back, and what was done with its checkpoints; 9 steps, 0.5."""
    checkpoints = Checkpoints()
    found = WarningCheck(
        config=composed(
            f"warning.action={action}", "warning.act_on=hint", "warning.max_rollbacks=1", "steps=9"
        ),
        run_dir=Path(),
        recorder=Writers().recorder(),
        checkpoints=cast(CheckpointSchedule, checkpoints),
        alarm=alarm,
    )
    assert alarm is None or found.current_risk() == alarm.evidence
    state = replace(STATE, step=step, risk=risk, branch=branch)
    return found.check_warning(state, before=before), checkpoints.calls


@pytest.mark.parametrize(
    ("action", "risk", "step"), [("stop", 0.4, 3), ("warn", 0.9, 3), ("none", 0.9, 3)]
)
def test_a_run_goes_on_below_the_threshold_or_where_nothing_is_to_be_done(
    action: str, risk: float, step: int
) -> None:
    assert check(action=action, risk=risk, step=step) == (False, [])


def test_a_warning_after_the_last_step_stops_nothing() -> None:
    assert check(action="stop", risk=0.9, step=9) == (False, [])


@pytest.mark.parametrize(("action", "branch"), [("stop", 0), ("rollback", 1)])
def test_a_run_stops_when_told_to_or_after_its_last_roll_back(action: str, branch: int) -> None:
    with pytest.raises(EarlyWarningError, match=r"after step 3, .*risk 0.90: the votes agree"):
        check(action=action, risk=0.9, branch=branch)


@pytest.mark.parametrize(("before", "logged"), [(0.4, True), (0.6, False)])
def test_a_warning_is_logged_when_it_begins(
    before: float, logged: bool, caplog: pytest.LogCaptureFixture
) -> None:
    check(action="warn", risk=0.9, before=before)
    assert (
        "hint of collapse at step 3, by no label: collapse/risk 0.90: the votes agree"
        in caplog.text
    ) is logged


def test_where_votes_are_audited_the_alarm_is_acted_on_and_says_which_bound_fell(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with pytest.raises(EarlyWarningError, match=r"by the collapse alarm after step 3.*fewer votes"):
        check(action="stop", risk=1.0, alarm=raised_alarm())
    assert "collapse alarm at step 3: fewer votes are right" in caplog.text
    assert "with chance 0.05 at most" in caplog.text


def test_evidence_short_of_an_alarm_stops_nothing() -> None:
    assert check(action="stop", risk=0.99, alarm=raised_alarm()) == (False, [])


def test_the_heartbeat_tells_what_audits_say() -> None:
    writers = Writers()
    record = RunRecord(recorder=writers.recorder(), accuracy="a", alarm=raised_alarm())
    record.write(StepKey(seed=1, step=4), {})
    assert writers.beats[-1]["note"] == "collapse alarm at step 3: fewer votes are right"
