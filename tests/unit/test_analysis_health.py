"""What a run cost and what it lost: every figure worked out by hand."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pandas as pd
import pytest

from analysis.compare.health import run_health
from analysis.load.rows import WRITTEN
from analysis.load.run import JobStop, RunData
from analysis.run_findings import Health
from rlavr_hpc.runs.attempts import Attempt
from tests.support.analysis_runs import make_run

NAN = float("nan")


def begun(number: int, second: float, *, pid: int = 0, **facts: Any) -> Attempt:  # noqa: ANN401
    started = datetime.fromtimestamp(second, UTC).isoformat(timespec="seconds")
    told: dict[str, Any] = {
        "number": number,
        "resumed_from": 0,
        "seals": {},
        "host": "n1",
        "pid": pid or number,
        "started": started,
        **facts,
    }
    return Attempt(**told)


def written(*rows: tuple[int, int, int, float, float]) -> pd.DataFrame:
    """(attempt, branch, step, time, time/step) of every row."""
    return pd.DataFrame(rows, columns=WRITTEN).astype({"time": float, "time/step": float})


def run_of(*attempts: Attempt, **facts: Any) -> RunData:  # noqa: ANN401
    return make_run(attempts=attempts, **facts)


TWICE = written(
    (1, 0, 0, 1002.0, NAN),
    (1, 0, 1, 1010.0, 8.0),
    (1, 0, 2, 1018.0, 7.0),
    (1, 0, 3, 1025.0, 6.0),
    (2, 0, 2, 1110.0, 9.0),
    (2, 0, 3, 1120.0, 9.0),
)
"""Attempt 1 reached step 3, attempt 2 went on from step 1."""


def test_steps_that_a_later_attempt_did_again_are_lost_with_their_seconds() -> None:
    health = run_health(run_of(begun(1, 1000), begun(2, 1100), written=TWICE))
    assert health.starts == 2
    assert health.steps_redone == 2
    assert health.seconds_lost == 13.0


def test_running_ends_with_a_starts_last_row_and_waiting_with_the_next_token() -> None:
    health = run_health(run_of(begun(1, 1000), begun(2, 1100), written=TWICE))
    assert health.seconds_running == 25.0 + 20.0
    assert health.seconds_waiting == 75.0


def test_device_hours_are_of_gpus_where_there_are_some_else_of_ranks() -> None:
    rows = written((1, 0, 1, 1000.0 + 1800, 1.0))
    gpu = run_health(run_of(begun(1, 1000), written=rows, ranks=4, accelerators=4))
    assert (gpu.device_hours, gpu.device) == (2.0, "GPU")
    cpu = run_health(run_of(begun(1, 1000), written=rows, ranks=2))
    assert (cpu.device_hours, cpu.device) == (1.0, "CPU rank")


def test_without_a_record_of_stops_every_start_but_the_first_follows_a_preemption() -> None:
    health = run_health(run_of(begun(1, 1000), begun(2, 1100), begun(3, 1200)))
    assert (health.starts, health.preemptions, health.crashes) == (3, 2, 0)


def test_a_stop_on_record_says_why_a_start_ended() -> None:
    attempts = (begun(1, 1000), begun(2, 1100), begun(3, 1200), begun(4, 1300))
    stops = (
        JobStop(cause="preempted", time=1050),
        JobStop(cause="crashed", time=1150),
        JobStop(cause="time_limit", time=1310),
    )
    health = run_health(run_of(*attempts, stops=stops))
    # one told between 1 and 2, one untold between 3 and 4, one behind the last
    assert (health.preemptions, health.crashes) == (3, 1)


def test_a_stop_during_start_up_counts_though_no_attempt_began() -> None:
    health = run_health(run_of(begun(1, 1000), stops=(JobStop(cause="requeued", time=900),)))
    assert (health.starts, health.preemptions) == (1, 1)


def test_time_between_the_end_of_a_run_and_its_extension_is_not_waited() -> None:
    stops = (JobStop(cause="done", time=1030),)
    health = run_health(run_of(begun(1, 1000), begun(2, 90_000), written=TWICE, stops=stops))
    assert (health.preemptions, health.seconds_waiting) == (0, 0.0)


def test_a_roll_back_is_no_preemption_and_its_steps_are_left_behind() -> None:
    attempts = (
        begun(1, 1000, pid=7),
        begun(2, 1030, branch=1, reason="rollback", pid=7),
        begun(3, 1031, branch=1, pid=7),
    )
    rows = written(
        (1, 0, 1, 1010.0, 5.0),
        (1, 0, 2, 1020.0, 5.0),
        (1, 0, 3, 1030.0, 5.0),
        (3, 1, 2, 1040.0, 5.0),
    )
    run = run_of(*attempts, rows={"time/step": [5.0, 5.0]}, written=rows)
    run.rows["branch"] = [0, 1]
    health = run_health(run)
    assert (health.starts, health.rollbacks, health.preemptions) == (1, 1, 0)
    assert (health.steps_left_behind, health.steps_redone) == (2, 0)
    assert (health.seconds_running, health.seconds_waiting) == (40.0, 0.0)


def test_a_roll_back_by_hand_is_followed_by_a_start_of_its_own() -> None:
    back = begun(2, 1040, branch=1, reason="rollback")
    health = run_health(run_of(begun(1, 1000), back, begun(3, 1060, branch=1)))
    assert (health.starts, health.preemptions, health.seconds_waiting) == (2, 0, 60.0)


def test_a_roll_back_that_was_undone_never_was() -> None:
    back = begun(2, 1040, branch=1, reason="rollback")
    undone = begun(3, 1050, reason="undo")
    health = run_health(run_of(begun(1, 1000), back, undone, written=TWICE))
    assert (health.starts, health.rollbacks, health.steps_left_behind) == (1, 0, 0)


def test_a_row_that_stands_twice_in_one_attempt_was_done_once() -> None:
    rows = written((1, 0, 1, 1010.0, 5.0), (1, 0, 1, 1010.0, 5.0), (2, 0, 2, 1050.0, 5.0))
    health = run_health(run_of(begun(1, 1000), begun(2, 1040), written=rows))
    assert (health.steps_redone, health.seconds_lost) == (0, 0.0)


def test_measuring_again_before_training_is_no_step_done_again() -> None:
    rows = written((1, 0, 0, 1010.0, NAN), (2, 0, 0, 1050.0, NAN))
    assert run_health(run_of(begun(1, 1000), begun(2, 1040), written=rows)).steps_redone == 0


def test_starts_are_told_by_the_rows_where_tokens_cannot_be_used() -> None:
    health = run_health(run_of(written=TWICE))
    assert (health.starts, health.seconds_running) == (2, 23.0 + 10.0)
    damaged = begun(1, 1000, started="yesterday")
    assert run_health(run_of(damaged, written=TWICE[:4])).seconds_running == 23.0


def test_speed_is_the_median_step_and_memory_the_largest_peak() -> None:
    rows = {
        "time/step": [NAN, 1.0, 2.0, 90.0],
        "perf/tokens_per_second": [NAN, 10, 30, 20],
        "sys/memory_gib": [5.0, 2.0, 3.0, 4.0],
    }
    health = run_health(make_run(rows=rows, first_step=0))
    assert (health.seconds_per_step, health.tokens_per_second) == (2.0, 20.0)
    assert health.memory_gib == 5.0


def test_phases_share_the_steps_time_and_sum_to_one() -> None:
    rows = {
        "time/generate": [1.0, 2.0],
        "time/train": [NAN, 4.0],
        "time/buy": [0.0, 0.0],
        "time/other": [1.0, 0.0],
        "time/evaluate": [9.0, 9.0],
    }
    phases = run_health(make_run(rows=rows)).phases
    assert phases == {"generate": 3 / 8, "train": 4 / 8, "other": 1 / 8}
    assert sum(phases.values()) == pytest.approx(1.0)


def test_a_run_that_has_not_begun_has_cost_nothing() -> None:
    assert run_health(make_run()) == Health()
