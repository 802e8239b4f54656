"""The alarm's tests by hand, on the null where they are worst, and on votes that fall."""

from __future__ import annotations

import json
import math

import numpy as np
import numpy.typing as npt
import pytest

from rlavr_hpc.telemetry.collapse.alarm.alarm import CollapseAlarm
from rlavr_hpc.telemetry.collapse.alarm.best_so_far import GRID_C, BestSoFar
from rlavr_hpc.telemetry.collapse.alarm.certificate import Certificate, log_evidence
from rlavr_hpc.telemetry.collapse.alarm.floor import FloorTest
from rlavr_hpc.telemetry.collapse.alarm.pairs import PairsTest, reference_weights
from rlavr_hpc.telemetry.collapse.alarm.plan import AlarmBound, AlarmPlan
from rlavr_hpc.telemetry.collapse.alarm.wealth import beyond_plan, beyond_plan_until

RUNS, STEPS, LEVEL = 4000, 150, 0.05


def rng(stream: int) -> np.random.Generator:
    return np.random.default_rng([2203, 3532, stream])


def alarm_steps(
    right_RT: npt.NDArray[np.bool_], *, floor: float, level: float = LEVEL
) -> npt.NDArray[np.float64]:
    """(R,) the first step at which a floor's alarm is raised; inf = never."""
    test = FloorTest(planned=right_RT.shape[1])
    first_R = np.full(len(right_RT), np.inf)
    for step, right_R in enumerate(right_RT.T, start=1):
        test.bet(right_R, floor=floor)
        first_R = np.where((test.wealth >= 1 / level) & np.isinf(first_R), step, first_R)
    return first_R


def test_a_first_right_vote_costs_what_was_staked_on_it() -> None:
    test = FloorTest(planned=9)

    test.bet(True, floor=0.5)

    # 1/5 of 0.9/9 is staked at each t; a right vote leaves 1 - t of it: sum(1 - t) = 5 - 2.92
    assert float(test.wealth) == pytest.approx(0.9 + 0.1 * (5 - 2.92) / 5)


def test_a_wrong_vote_pays_by_the_floor() -> None:
    test = FloorTest(planned=9)

    test.bet(False, floor=0.8)

    assert float(test.wealth) == pytest.approx(0.9 + 0.02 * (5 + 2.92 * 0.8 / 0.2))


@pytest.mark.parametrize("planned", [0, 1, 7])
def test_the_shares_of_all_audits_add_up_to_no_more_than_one(planned: int) -> None:
    shares = [beyond_plan(i, planned=planned) for i in range(1, 40)]

    assert sum(shares) == pytest.approx(beyond_plan_until(39, planned=planned))
    assert beyond_plan_until(10**9, planned=planned) <= 1.0 + 1e-12


@pytest.mark.parametrize("floor", [0.5, 0.8])
def test_exactly_on_its_floor_a_run_is_called_at_most_as_often_as_promised(floor: float) -> None:
    right_RT = rng(int(10 * floor)).random((5 * RUNS, STEPS)) < floor

    share = np.isfinite(alarm_steps(right_RT, floor=floor)).mean()

    assert 0.005 < share <= LEVEL  # a test without power keeps the promise, too


@pytest.mark.slow
@pytest.mark.parametrize("floor", [0.5, 0.8])
def test_the_promise_holds_over_thousands_of_steps(floor: float) -> None:
    right_RT = rng(100 + int(10 * floor)).random((2 * RUNS, 5000)) < floor

    assert np.isfinite(alarm_steps(right_RT, floor=floor)).mean() <= LEVEL


@pytest.mark.parametrize(
    ("before", "after", "at", "floor", "median", "late"),
    [(0.6, 0.1, 40, 0.5, 17, 27), (0.6, 0.0, 75, 0.5, 13, 13), (0.9, 0.3, 60, 0.8, 12, 21)],
)
def test_a_fall_is_found_as_fast_as_the_design_says(
    before: float, after: float, at: int, floor: float, median: float, late: float
) -> None:
    chance_T = np.where(np.arange(1, STEPS + 1) > at, after, before)

    delay_R = alarm_steps(rng(at).random((RUNS, STEPS)) < chance_T, floor=floor) - at

    assert np.median(delay_R) == pytest.approx(median, abs=1.01)
    assert np.quantile(delay_R, 0.9) == pytest.approx(late, abs=1.01)


def test_the_best_so_far_is_seldom_overrated() -> None:
    best = BestSoFar(level=0.05)
    for _ in range(100):
        best.see(rng(7 + best.audits).random(400) < 0.6)

    assert (best.low > 0.6).mean() <= 0.05
    assert np.median(best.low) > 0.4


def test_the_best_so_far_stays_when_votes_fall() -> None:
    best = BestSoFar(level=0.05)
    for _ in range(40):
        best.see(True)
    high = float(best.low)
    for _ in range(40):
        best.see(False)

    assert float(best.low) == high > 0.7


def test_one_right_vote_says_little_about_the_best() -> None:
    best = BestSoFar(level=0.05)

    best.see(True)

    # 3/4 / 3 * sum(1 - h + h / c) + 1/4: 34.4 at c = 0.01, which reaches 20, 17.5 at c = 0.02
    assert float(best.low) == GRID_C[0]


def test_references_are_the_first_pass_and_the_last_eight() -> None:
    assert reference_weights(2) == {1: 1.0}
    assert reference_weights(3) == {1: 0.75, 2: 0.25}
    weights = reference_weights(12)
    assert sorted(weights) == [1, *range(4, 12)]
    assert weights[1] == 0.5
    assert weights[4] == pytest.approx(0.5 / 8)


def test_a_pair_pays_what_its_fall_is_worth() -> None:
    test = PairsTest(pass_number=2, steps=10)

    test.begin_step()
    test.bet(1, before_M=[1.0], now_M=[0.0])

    begun = 0.5 + 0.05
    assert float(test.wealth) == pytest.approx(begun * (1 + 0.9 * (1.65 / 4)) + 1 - begun)


def pair_alarms(now_RP: npt.NDArray[np.bool_], then_RP: npt.NDArray[np.bool_]) -> float:
    """Share of runs with an alarm at 0.05 within one pass of 15 steps."""
    test, raised = PairsTest(pass_number=2, steps=15), np.zeros(len(now_RP), bool)
    for part in np.array_split(np.arange(now_RP.shape[1]), 15):
        test.begin_step()
        test.bet(1, before_M=then_RP[:, part], now_M=now_RP[:, part])
        raised |= test.wealth >= 1 / LEVEL
    return float(raised.mean())


def test_pairs_are_silent_where_votes_only_waver_or_keep_nine_tenths() -> None:
    then_RP, now_RP = (rng(stream).random((RUNS, 98)) < 0.6 for stream in (11, 12))
    less_RP = then_RP & (rng(13).random((RUNS, 98)) < 0.9)

    assert pair_alarms(now_RP, then_RP) <= LEVEL
    assert pair_alarms(less_RP, then_RP) <= LEVEL
    assert pair_alarms(now_RP & (rng(14).random((RUNS, 98)) < 1 / 6), then_RP) > 0.99


@pytest.mark.parametrize(("chance", "median", "late"), [(1.0, 19, 19), (0.95, 31, 76)])
def test_a_certificate_comes_as_fast_as_the_design_says(
    chance: float, median: float, late: float
) -> None:
    right_RN = (rng(21).random((RUNS // 4, 300)) < chance).cumsum(1)
    audits_RN = np.broadcast_to(np.arange(1, 301), right_RN.shape)

    certified_RN = log_evidence(right_RN, audits_RN, np.full(right_RN.shape, 0.8)) >= math.log(20)
    first_R = certified_RN.argmax(1) + 1

    assert np.median(first_R) == pytest.approx(median, abs=1.01)
    assert np.quantile(first_R, 0.9) == pytest.approx(late, abs=9)


def test_a_certificate_is_seldom_false_whenever_it_is_read() -> None:
    right_RN = (rng(22).random((RUNS // 4, 400)) < 0.8).cumsum(1)
    audits_RN = np.broadcast_to(np.arange(1, 401), right_RN.shape)

    evidence_RN = log_evidence(right_RN, audits_RN, np.full(right_RN.shape, 0.8))

    assert (evidence_RN >= math.log(20)).any(1).mean() <= LEVEL


def test_nineteen_right_votes_certify_four_fifths() -> None:
    certificate = Certificate()
    for _ in range(18):
        certificate.see(True)
    assert certificate.share(level=0.05) < 0.8

    certificate.see(True)

    assert certificate.share(level=0.05) >= 0.8
    assert Certificate().share(level=0.05) == 0.0


PLAN = AlarmPlan(
    false_alarm=0.05,
    begin=0,
    steps=150,
    steps_per_pass=15,
    kept_per_step=4.0,
    used_per_step=0.5,
    trust_floor=0.8,
)


def watch(alarm: CollapseAlarm, steps: range, *, kept: bool, trusted: bool) -> None:
    """Four kept prompts a step, the same ones in each pass, and a trusted vote every other step."""
    for step in steps:
        prompts = {f"{step % 15}/{i}": kept for i in range(4)}
        alarm.observe(step, kept=prompts, used=[trusted] if step % 2 == 0 else [])


def test_the_levels_add_up_to_the_promised_rate() -> None:
    assert PLAN.levels == {
        AlarmBound.first: 0.0125,
        AlarmBound.pairs: 0.025,
        AlarmBound.trust: 0.0125,
    }
    assert sum(PLAN.level_of_pass(number) for number in range(2, 11)) == pytest.approx(0.0225)
    assert sum(PLAN.level_of_pass(number) for number in range(2, 4000)) < 0.025


@pytest.mark.parametrize(
    ("good", "bad", "bound", "words"),
    [
        (range(1, 11), range(11, 16), AlarmBound.first, "votes fell below 0.9 of their best"),
        (range(1, 40), range(40, 46), AlarmBound.pairs, "fewer votes are right than in pass 1"),
    ],
)
def test_the_alarm_says_which_bound_fell(
    good: range, bad: range, bound: AlarmBound, words: str
) -> None:
    alarm = CollapseAlarm(plan=PLAN)
    watch(alarm, good, kept=True, trusted=True)
    assert alarm.raised is None
    assert alarm.evidence < 0.25

    watch(alarm, bad, kept=False, trusted=True)

    assert alarm.raised is not None
    assert alarm.raised.bound is bound
    assert words in alarm.raised.reason
    assert alarm.evidence == 1.0


def test_votes_that_rose_after_the_first_pass_are_compared_with_later_ones() -> None:
    alarm = CollapseAlarm(plan=PLAN)
    watch(alarm, range(1, 16), kept=False, trusted=True)
    watch(alarm, range(16, 61), kept=True, trusted=True)
    assert alarm.raised is None

    watch(alarm, range(61, 76), kept=False, trusted=True)

    assert alarm.raised is not None
    assert "than in pass 2" in alarm.raised.reason


def test_wrong_trusted_votes_raise_the_alarm_by_themselves() -> None:
    alarm = CollapseAlarm(plan=PLAN)

    watch(alarm, range(1, 30), kept=True, trusted=False)

    assert alarm.raised is not None
    assert alarm.raised.bound is AlarmBound.trust
    assert "trust_floor=0.8: right on 0 of the last" in alarm.raised.reason


def test_the_first_reason_stays() -> None:
    alarm = CollapseAlarm(plan=PLAN)
    watch(alarm, range(1, 30), kept=True, trusted=False)
    raised = alarm.raised

    watch(alarm, range(30, 60), kept=False, trusted=False)

    assert alarm.raised == raised


def test_evidence_of_the_last_pass_is_not_forgotten_when_a_new_one_begins() -> None:
    alarm = CollapseAlarm(plan=PLAN)
    watch(alarm, range(1, 29), kept=True, trusted=True)
    watch(alarm, range(29, 31), kept=False, trusted=True)
    before = alarm.evidence

    watch(alarm, range(31, 32), kept=True, trusted=True)

    assert 0.1 < before < 1.0
    assert alarm.evidence == pytest.approx(before)


def test_a_restored_alarm_goes_on_bit_for_bit() -> None:
    draws = rng(31).random((150, 5)) < 0.7

    def feed(alarm: CollapseAlarm, steps: range) -> None:
        for step in steps:
            kept = {f"{step % 15}/{i}": bool(draws[step - 1, i]) for i in range(4)}
            alarm.observe(step, kept=kept, used=[bool(draws[step - 1, 4])])

    whole, parts = CollapseAlarm(plan=PLAN), CollapseAlarm(plan=PLAN)
    feed(whole, range(1, 151))
    for begin in range(1, 151, 10):
        feed(parts, range(begin, begin + 10))
        parts = CollapseAlarm.load(json.loads(json.dumps(parts.state())))

    assert parts.state() == whole.state()


def test_a_pass_is_counted_from_where_auditing_begins() -> None:
    plan = AlarmPlan(
        false_alarm=0.05,
        begin=50,
        steps=150,
        steps_per_pass=15,
        kept_per_step=1.0,
        used_per_step=0.0,
        trust_floor=0.8,
    )

    assert [plan.pass_of(step) for step in (51, 60, 61, 75, 76)] == [1, 1, 2, 2, 3]
    assert plan.planned_first == 10
    assert plan.levels == {
        AlarmBound.first: pytest.approx(0.05 / 3),
        AlarmBound.pairs: pytest.approx(0.1 / 3),
    }
