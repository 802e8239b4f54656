"""Has a run collapsed, since when, how, and who could have known? By hand, and on real runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analysis.collapse.signals import BY_NAME, change_of, strength
from analysis.collapse.verdict import first_detection, judge, risk_of
from analysis.load.run import RunData
from analysis.run_findings import CollapseKind, CollapseVerdict
from rlavr_hpc.telemetry import names
from rlavr_hpc.telemetry.collapse.verdict import Fault
from tests.support.analysis_runs import make_run

DATA = Path(__file__).resolve().parents[1] / "data" / "collapse"
TRUTH, RATIO = names.ORACLE_TRUE_REWARD, names.COLLAPSE_MAJORITY_RATIO
HELD_OUT = names.eval_name("held_out", "mean", 8)
NAN = float("nan")


def wobbling(*parts: tuple[int, float]) -> list[float]:
    """Levels with a swing of 0.01 around them."""
    values = [level for count, level in parts for _ in range(count)]
    return [value + (0.01 if i % 2 else -0.01) for i, value in enumerate(values)]


def truth(*parts: tuple[int, float], **more: list[float]) -> CollapseVerdict:
    return judge(make_run(rows={TRUTH: wobbling(*parts), **more}))


def real(name: str, **facts: Any) -> RunData:  # noqa: ANN401
    """A run of the testbed, seed 3 (care 4, avg_prob 1)."""
    rows = pd.read_csv(DATA / f"{name}.csv", index_col="step")
    return RunData(name=name, folder=Path(name), rows=rows, policy=name, **facts)


def test_the_onset_is_where_the_level_falls_and_the_loss_is_a_share_of_the_best() -> None:
    verdict = truth((20, 0.4), (20, 0.5), (40, 0.2))
    assert (verdict.collapsed, verdict.onset, verdict.measured_by) == (True, 41, TRUTH)
    assert verdict.loss == pytest.approx(0.6, abs=0.01)
    assert verdict.defined_onset is not None
    assert verdict.defined_onset - 10 <= 41 <= verdict.defined_onset
    assert "Collapsed at step 41" in verdict.text
    assert "from 0.50 to 0.20" in verdict.text


def test_a_fall_to_four_fifths_is_none_and_below_it_is_one() -> None:
    assert truth((40, 0.50), (40, 0.41)).collapsed is False
    assert truth((40, 0.50), (40, 0.36)).onset == 41


def test_a_run_that_recovered_has_not_collapsed_and_the_dip_is_told() -> None:
    verdict = truth((30, 0.5), (30, 0.2), (30, 0.5))
    assert (verdict.collapsed, verdict.onset, verdict.kind, verdict.loss) == (
        False,
        None,
        None,
        None,
    )
    assert "low from step 31 and had recovered at 61" in verdict.text
    stairs = truth((30, 0.5), (30, 0.2), (30, 0.1), (30, 0.5))
    assert "low from step 31 and had recovered at 91" in stairs.text


def test_a_collapse_after_a_recovery_begins_after_it() -> None:
    assert truth((30, 0.5), (30, 0.2), (30, 0.5), (30, 0.1)).onset == 91


def test_a_run_that_never_learned_has_not_collapsed_and_it_is_said() -> None:
    for level in (0.0, 0.12):
        verdict = judge(make_run(rows={TRUTH: [level] * 60}))
        assert (verdict.collapsed, verdict.onset) == (False, None)
        assert "nothing was learned, nothing lost" in verdict.text
    assert "nothing was learned" not in truth((30, 0.2), (30, 0.5)).text


def test_a_run_with_too_few_steps_cannot_be_told() -> None:
    verdict = truth((9, 0.3))
    assert (verdict.collapsed, verdict.measured_by) == (None, None)
    assert verdict.text == "Cannot be judged yet: 9 steps, 20 are needed."
    assert judge(make_run()).collapsed is None
    assert truth((20, 0.3)).collapsed is False


def test_steps_without_the_truth_are_passed_over_and_the_onset_stays_a_step() -> None:
    values = wobbling((40, 0.5), (40, 0.2))
    gaps = [NAN if i % 4 == 0 else value for i, value in enumerate(values)]
    verdict = judge(make_run(rows={TRUTH: gaps, RATIO: [0.5] * 80}))
    assert verdict.onset in (41, 42)
    assert verdict.defined_onset is None


def test_a_line_that_begins_later_keeps_its_own_steps() -> None:
    verdict = judge(make_run(rows={TRUTH: wobbling((40, 0.5), (40, 0.2))}, first_step=101))
    assert verdict.onset == 141
    assert verdict.defined_onset is not None
    assert 141 <= verdict.defined_onset <= 151


def test_a_long_run_is_judged_on_means_of_neighbours() -> None:
    verdict = truth((1000, 0.5), (1000, 0.2))
    assert verdict.onset is not None
    assert abs(verdict.onset - 1001) <= 4


def evaluated(*accuracies: float) -> RunData:
    """Evaluated every 50 steps, without audit."""
    column = [NAN] * (50 * (len(accuracies) - 1) + 1)
    column[::50] = accuracies
    return make_run(rows={HELD_OUT: column, RATIO: [0.5] * len(column)}, first_step=0)


def test_without_the_truth_held_out_accuracy_decides_as_coarsely_as_it_is_known() -> None:
    verdict = judge(evaluated(0.42, 0.45, 0.20, 0.15))
    assert (verdict.onset, verdict.measured_by, verdict.defined_onset) == (100, HELD_OUT, None)
    assert "between steps 50 and 100" in verdict.text
    assert verdict.loss == pytest.approx(1 - 0.175 / 0.45)
    assert judge(evaluated(0.42, 0.45, 0.60)).collapsed is False
    assert judge(evaluated(0.42, 0.10)).collapsed is None


def test_bought_labels_decide_only_where_they_are_drawn_blindly() -> None:
    rows = {names.LABELS_VOTE_RIGHT: wobbling((40, 0.5), (40, 0.1)), RATIO: [0.5] * 80}
    blind = judge(make_run(rows=rows, policy="random"))
    assert (blind.onset, blind.measured_by) == (41, names.LABELS_VOTE_RIGHT)
    chosen = judge(make_run(rows=rows, policy="entropy"))
    assert chosen.collapsed is None
    assert "Cannot be judged" in chosen.text
    assert "audit=true" in chosen.text


LOST = {TRUTH: wobbling((40, 0.5), (40, 0.1))}
HEALTHY_ROWS = {
    RATIO: [0.5] * 80,
    names.COLLAPSE_SAMPLED_ENTROPY: [0.8] * 80,
    names.TRAIN_ENTROPY: [0.8] * 80,
    names.COLLAPSE_LENGTH_TOKENS: [200.0] * 80,
    names.COLLAPSE_TRUNCATED: [0.0] * 80,
    names.COLLAPSE_UNPARSABLE: [0.01] * 80,
}


def turning(before: float, after: float, at: int = 40) -> list[float]:
    return [before] * at + [after] * (80 - at)


BELIEF = {
    RATIO: turning(0.5, 0.8),
    names.COLLAPSE_PSEUDO_REWARD: turning(0.5, 0.8),
    names.COLLAPSE_SAMPLED_ENTROPY: turning(0.8, 0.3),
    names.TRAIN_ENTROPY: turning(0.8, 0.3),
}
KINDS = {
    "nothing parsable": ({names.COLLAPSE_UNPARSABLE: turning(0.01, 0.9)}, CollapseKind.silent),
    "into the limit": ({names.COLLAPSE_TRUNCATED: turning(0.0, 0.9)}, CollapseKind.length_hacking),
    "shrunk": ({names.COLLAPSE_LENGTH_TOKENS: turning(200.0, 20.0)}, CollapseKind.length_hacking),
    "longer, but long before": (
        {**BELIEF, names.COLLAPSE_LENGTH_TOKENS: turning(100.0, 200.0, at=10)},
        CollapseKind.wrong_belief,
    ),
    "partly unparsable": (
        {names.COLLAPSE_UNPARSABLE: turning(0.01, 0.3)},
        CollapseKind.format_hacking,
    ),
    "one answer under any text": ({RATIO: turning(0.5, 0.97)}, CollapseKind.format_hacking),
    "one answer, and the text with it": (
        {**BELIEF, RATIO: turning(0.5, 0.97)},
        CollapseKind.wrong_belief,
    ),
    "narrowed": ({**BELIEF, names.TRAIN_ENTROPY: turning(0.8, 0.05)}, CollapseKind.entropy),
    "wrong belief": (BELIEF, CollapseKind.wrong_belief),
    "no change": ({}, CollapseKind.other),
    "more agreement, and no gap": (
        {names.COLLAPSE_PSEUDO_REWARD: turning(0.5, 0.1), RATIO: turning(0.5, 0.55)},
        CollapseKind.other,
    ),
    "less agreement": (
        {names.COLLAPSE_PSEUDO_REWARD: turning(0.5, 0.45), RATIO: turning(0.5, 0.4)},
        CollapseKind.other,
    ),
}


@pytest.mark.parametrize("case", KINDS)
def test_the_kind_of_a_collapse_follows_from_its_signs(case: str) -> None:
    rows, kind = KINDS[case]
    verdict = judge(make_run(rows={**LOST, **HEALTHY_ROWS, **rows}))
    assert (verdict.onset, verdict.kind) == (41, kind)


def test_where_no_signal_tells_why_hopeless_labels_are_named() -> None:
    out_of_time = {names.LABELS_NONE_CORRECT: [0.9] * 80}
    verdict = judge(make_run(rows={**LOST, **HEALTHY_ROWS, **out_of_time}))
    assert verdict.kind is CollapseKind.other
    assert "90% of the bought prompts had no correct response" in verdict.text
    assert "no signal says why" in judge(make_run(rows={**LOST, **HEALTHY_ROWS})).text
    known = judge(make_run(rows={**LOST, **HEALTHY_ROWS, **BELIEF, **out_of_time}))
    assert "votes agree more and more on wrong answers" in known.text


def test_signs_are_told_strongest_first_with_the_early_warning_among_them() -> None:
    rows = {**LOST, **HEALTHY_ROWS, **BELIEF, names.COLLAPSE_RISK: turning(0.0, 0.9, at=45)}
    signals = judge(make_run(rows=rows)).signals
    order = [change.signal for change in signals]
    risk, ratio = signals[order.index(names.COLLAPSE_RISK)], signals[order.index(RATIO)]
    assert (risk.detected, risk.label_free) == (46, True)
    assert (ratio.step, ratio.detected) == (41, 43)
    assert [strength(change) for change in signals] == sorted(map(strength, signals), reverse=True)
    assert order.index(risk.signal) < order.index(RATIO)
    assert order.index(RATIO) < order.index(names.COLLAPSE_UNPARSABLE)


def watched(risk: list[float], *, bought: float, right: list[float] | None = None) -> int | None:
    rows = {
        RATIO: [0.5] * len(risk),
        names.COLLAPSE_RISK: risk,
        names.LABELS_BOUGHT: [bought] * len(risk),
    }
    if right is not None:
        rows[names.LABELS_VOTE_RIGHT] = right
    run = make_run(rows=rows)
    votes = change_of(BY_NAME[names.LABELS_VOTE_RIGHT], run, onset=None)
    return first_detection(run, risk_of(run), votes)


def test_risk_tells_sooner_where_hardly_any_label_could_confirm_the_votes() -> None:
    rising = [0.01 * i for i in range(60)]
    assert watched(rising, bought=0.0) == 21
    assert watched(rising, bought=1.0) == 21  # 10 labels in ten steps: few
    assert watched(rising, bought=4.0) == 51


def test_less_risk_tells_where_the_labels_doubt_the_votes_too() -> None:
    rising = [0.01 * i for i in range(60)]
    falling = wobbling((10, 0.5), (50, 0.2))
    assert watched(rising, bought=4.0, right=falling) == 26
    assert watched(rising, bought=4.0, right=wobbling((60, 0.5))) == 51
    late = wobbling((40, 0.5), (20, 0.2))
    told = watched([0.0] * 10 + [0.3] * 50, bought=4.0, right=late)
    assert told is not None
    assert 42 <= told <= 45
    assert watched([0.0] * 10 + [0.2] * 50, bought=4.0, right=late) is None


def test_the_lead_is_the_onset_less_the_step_at_which_one_was_told() -> None:
    rows = {**LOST, RATIO: [0.5] * 80, names.COLLAPSE_RISK: turning(0.0, 0.6, at=30)}
    verdict = judge(make_run(rows=rows))
    assert (verdict.detected, verdict.lead, verdict.warned) == (31, 10, 31)
    late = judge(make_run(rows={**rows, names.COLLAPSE_RISK: turning(0.0, 0.6, at=50)}))
    assert (late.detected, late.lead) == (51, -10)
    never = judge(make_run(rows={**rows, names.COLLAPSE_RISK: [0.0] * 80}))
    assert (never.detected, never.lead) == (None, None)


def agreeing(**facts: Any) -> RunData:  # noqa: ANN401
    share = np.linspace(0.0, 1.0, 60)
    rows = {
        RATIO: list(0.4 + 0.6 * share),
        names.COLLAPSE_ANSWER_ENTROPY: list(1.4 - 1.4 * share),
        names.COLLAPSE_DISTINCT_ANSWERS: list(5.0 - 4.0 * share),
        names.LABELS_VOTE_RIGHT: [NAN] * 60,
        names.LABELS_BOUGHT: [0.0] * 60,
    }
    return make_run(rows=rows, **facts)


def test_risk_that_was_not_recorded_is_computed_from_the_rows() -> None:
    risk = risk_of(agreeing())
    assert len(risk) == 60
    # the last 5 steps are 0.95 of the way, 0.4 of it is full risk; nothing before ten steps
    assert risk.iloc[:9].tolist() == [0.0] * 9
    assert risk.iloc[-1] == 1.0
    assert risk.loc[20] == pytest.approx((17 / 59 - 1 / 59) / (1 - 1 / 59) / 0.4, abs=1e-3)


def test_a_step_without_a_word_from_its_labels_does_not_silence_the_risk() -> None:
    right = wobbling((20, 0.6), (30, 0.1))
    right[35] = NAN
    rows = {
        RATIO: [0.5] * 50,
        names.COLLAPSE_ANSWER_ENTROPY: [1.0] * 50,
        names.COLLAPSE_DISTINCT_ANSWERS: [4.0] * 50,
        names.LABELS_VOTE_RIGHT: right,
        names.LABELS_BOUGHT: [13.0] * 50,
    }
    risk = risk_of(make_run(rows=rows))
    assert risk.loc[20] == 0.0
    assert risk.loc[36:45].tolist() == [1.0] * 10


def test_the_warning_is_at_the_run_s_own_threshold_with_its_reason() -> None:
    usual = judge(agreeing())
    assert usual.warned is not None
    assert "answers agree more" in usual.warning
    bold = judge(agreeing(config={"warning.threshold": 0.9}))
    assert bold.warned is not None
    assert bold.warned > usual.warned
    assert judge(agreeing(config={"warning.threshold": 1.1})).warned is None


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("none", CollapseKind.wrong_belief),
        ("care", CollapseKind.wrong_belief),
        ("random", CollapseKind.wrong_belief),
        ("avg_prob", CollapseKind.length_hacking),
    ],
)
def test_collapses_of_the_testbed_are_found_within_ten_steps(name: str, kind: CollapseKind) -> None:
    verdict = judge(real(name, selective=name == "care"))
    assert verdict.onset is not None
    assert verdict.defined_onset is not None
    assert abs(verdict.onset - verdict.defined_onset) <= 10
    assert verdict.kind is kind
    assert verdict.detected is not None


def test_a_run_with_every_label_is_never_called_collapsed_nor_warned_of() -> None:
    verdict = judge(real("full"))
    assert (verdict.collapsed, verdict.warned, verdict.detected) == (False, None, None)
    agreement = next(change for change in verdict.signals if change.signal == RATIO)
    assert agreement.detected is not None  # votes alone cannot tell learning from collapsing


def test_without_labels_votes_alone_tell_of_the_testbed_s_collapse_in_time() -> None:
    verdict = judge(real("none"))
    assert verdict.detected is not None
    assert verdict.defined_onset is not None
    assert verdict.detected < verdict.defined_onset


def test_the_definition_has_the_last_word_where_change_points_are_far_from_it() -> None:
    slow = judge(real("slow"))
    assert slow.change_point is not None
    assert slow.defined_onset is not None
    assert abs(slow.change_point - slow.defined_onset) > 10
    assert slow.onset == slow.defined_onset
    assert f"at step {slow.onset}" in slow.text


def test_a_collapse_that_only_the_definition_sees_is_one() -> None:
    run = make_run(rows={TRUTH: [0.5] * 60 + [0.42] * 40 + [0.395] * 40})
    verdict = judge(run)
    assert (verdict.change_point, verdict.collapsed, verdict.onset) == (None, True, 61)
    assert verdict.loss == pytest.approx(1 - 0.4075 / 0.5, abs=0.01)


def test_other_faults_stand_beside_the_verdict_with_the_step_of_each() -> None:
    truncated = [0.05] * 30 + [1.0] * 30
    verdict = truth((60, 0.5), **{names.COLLAPSE_TRUNCATED: truncated})
    assert verdict.collapsed is False
    assert [fault.fault for fault in verdict.faults] == [Fault.stopped_ending]
    assert "It stopped ending its responses from step" in verdict.text
    lost = truth((40, 0.47), (40, 0.41))
    assert [(fault.fault, fault.since) for fault in lost.faults] == [(Fault.lost_accuracy, 41)]
    assert "It lost accuracy from step 41 on: true reward 0.470 -> 0.410." in lost.text
    assert truth((40, 0.47), (40, 0.1)).faults == ()
