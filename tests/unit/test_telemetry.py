from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from rlavr_hpc.acquisition.cag import true_cag
from rlavr_hpc.telemetry import names
from rlavr_hpc.telemetry.audit import Audit
from rlavr_hpc.telemetry.reduce import Mean, as_row, mean_of, merge
from rlavr_hpc.telemetry.response_metrics import group_metrics
from rlavr_hpc.telemetry.sinks import MetricsFile, read_metrics
from rlavr_hpc.telemetry.step_metrics import StepSpend, Update, label_metrics, update_metrics
from rlavr_hpc.training_types import TrainingGroup
from rlavr_hpc.types import Label, LabelledGroup, Selection, StepKey
from tests.support.attempts import begin_attempt
from tests.support.groups import PLACE, group


def test_means_merge_by_their_counts_and_not_by_their_number() -> None:
    merged = merge([{"a": mean_of([1, 1, 1])}, {"a": mean_of([5]), "b": Mean(2.0)}])
    assert as_row(merged) == {"a": 2.0, "b": 2.0}


def test_a_mean_over_nothing_or_without_a_finite_value_is_left_out_of_the_row() -> None:
    assert as_row({"a": mean_of([]), "b": Mean(math.inf), "c": Mean(math.nan)}) == {}


def test_group_metrics_describe_votes_without_labels() -> None:
    groups = [
        group(["1", "1", None]),
        group(["2", "2", "2"], name="q"),
        group([None] * 3, name="r"),
    ]
    signals = [
        TrainingGroup(group=g, rewards=(1.0, 0.0, 0.0), weight=1.0, bought=False) for g in groups
    ]
    row = as_row(group_metrics(groups, signals))
    assert row[names.COLLAPSE_MAJORITY_RATIO] == pytest.approx((2 / 3 + 1 + 0) / 3)
    assert row[names.COLLAPSE_UNPARSABLE] == pytest.approx(4 / 9)
    assert row[names.COLLAPSE_UNANIMOUS] == pytest.approx(1 / 3)
    assert row[names.COLLAPSE_NOTHING_PARSABLE] == pytest.approx(1 / 3)
    assert row[names.COLLAPSE_DISTINCT_ANSWERS] == pytest.approx(2 / 3)
    assert row[names.COLLAPSE_SAMPLED_ENTROPY] == pytest.approx(0.5)


def test_update_sums_become_means_over_tokens() -> None:
    sums = dict.fromkeys(
        (
            "entropy",
            "clip_low",
            "clip_high",
            "update_kl",
            "sampler_gap",
            "sampler_kl",
            "sampler_truncated",
        ),
        2.0,
    )
    sums |= {"tokens": 4.0, "loss": 0.3, "sampler_ratio": 4.0, "sampler_ratio_squared": 4.0}
    update = Update(sums=sums, grad_norm=1.5, lr=0.01, rank_tokens=(4,))
    row = as_row(update_metrics(update))
    assert (row[names.TRAIN_ENTROPY], row[names.TRAIN_LOSS]) == (0.5, 0.3)
    assert row[names.TRAIN_SAMPLER_ESS] == 1.0


def test_the_audit_measures_what_only_labels_can_tell() -> None:
    verdicts = {"p1": (True, True, False), "q": (False, False, True)}
    audit = Audit(judge=lambda _groups, _step_key: verdicts, gap=true_cag)
    groups = [group(["1", "1", "2"]), group(["1", "1", "9"], name="q"), group(["4"], name="none")]
    row = as_row(audit.measure(groups, PLACE, selection=Selection(selected=()), quota=1))
    assert row == {
        names.ORACLE_VOTE_ACCURACY: 0.5,
        names.ORACLE_TRUE_REWARD: 0.5,
        names.ORACLE_TRUE_REWARD_VARIANCE: pytest.approx(1 / 36),  # of 2/3 and 1/3, halved
        names.ORACLE_PASS: 1.0,
        names.ORACLE_REWARD_ACCURACY: 0.5,
        names.ORACLE_REWARD_GAP: pytest.approx(1 / 6),  # 4 of 6 agree with a vote, 3 are right
    }


def test_a_step_done_again_is_read_from_the_later_attempt(tmp_path: Path) -> None:
    for number, values in ((1, [1.0, 2.0, 3.0]), (2, [20.0])):
        begin_attempt(tmp_path, resumed_from=0)
        file = MetricsFile(tmp_path, number, fence=lambda: None)
        for step, value in enumerate(values, start=number):
            file.write(StepKey(seed=1, step=step), {"x": Mean(value)})
    rows = [(row["step"], row["attempt"], row["x"]) for row in read_metrics(tmp_path)]
    assert rows == [(1, 1, 1.0), (2, 2, 20.0), (3, 1, 3.0)]


def test_the_audit_measures_what_a_policy_made_of_its_step_by_hand() -> None:
    votes = {
        "a": ["1", "1", "1", "2"],
        "b": ["1", "1", "1", "2"],
        "c": ["1", "1", "2", "3"],
        "d": ["1", "1", "2", "3"],
        "e": ["1", "2", "3", "4"],
    }
    verdicts = {
        "a": (True, True, True, False),
        "b": (False, False, False, True),
        "c": (False, False, True, False),
        "d": (True, True, False, False),
        "e": (False, False, False, False),
    }
    groups = [group(answers, name=name) for name, answers in votes.items()]
    selection = Selection(
        selected=("c", "e"),
        gate=("a", "c"),
        trusted=("a",),
        correct_elsewhere={"a": 3, "b": 1, "c": 0, "d": 0, "e": 0},
    )
    audit = Audit(judge=lambda _groups, _step_key: verdicts, gap=true_cag)
    row = as_row(audit.measure(groups, PLACE, selection=selection, quota=2))
    assert row[names.ORACLE_TRUSTED_PRECISION] == 1.0
    assert row[names.ORACLE_GATE_PRECISION] == 0.5  # a is right, c is not
    assert row[names.ORACLE_GATE_RECALL] == 0.5  # of a and d
    assert row[names.ORACLE_GATE_F1] == 0.5
    # a is trusted and does not count; of class 0 d and e are hit, of class 1 b is and c is not
    assert row[names.ORACLE_COUNT_RECALL] == pytest.approx((1.0 + 0.5) / 2)
    # gaps: b largest, then c, just inside; e's vote is wrong and nothing is right: sqrt(4)
    assert row[names.ORACLE_SELECTION_PRECISION] == 0.5
    owned = replace(
        selection, selected=("e",), scores={"a": 1.0, "e": 2.0}
    )  # b, c and d are not on offer
    offered = as_row(audit.measure(groups, PLACE, selection=owned, quota=1))
    assert offered[names.ORACLE_SELECTION_PRECISION] == 1.0


def test_labels_are_told_as_shares_of_the_newly_bought() -> None:
    wasted, useful, out_of_time = (group(["1", "1", "2", "3"], name=n) for n in "abc")
    lessons = [
        LabelledGroup(group=wasted, correct=(True, True, False, False)),
        LabelledGroup(group=useful, correct=(False, False, True, False)),
        LabelledGroup(group=out_of_time, correct=(False,) * 4),
    ]
    labels = {n: Label(prompt_id=n, answer="x", cost=1.0) for n in "abc"}
    labels["old"] = Label(prompt_id="old", answer="x", cost=0.0, reused=True)
    spend = StepSpend(quota=5, bought=3, cost=3.0, void=1, total=7, asked=9, cap=12)
    row = as_row(label_metrics(labels, lessons, spend))
    assert (row[names.LABELS_BOUGHT], row[names.LABELS_REUSED], row[names.LABELS_TOTAL]) == (
        3,
        1,
        7,
    )
    assert row[names.LABELS_VOTE_RIGHT] == pytest.approx(1 / 3)
    assert row[names.LABELS_NONE_CORRECT] == pytest.approx(1 / 3)
    assert row[names.LABELS_REWARD_GAP] == pytest.approx((0.0 + 0.25 + 0.5) / 3)
    assert (row[names.LABELS_QUOTA], row[names.LABELS_VOID], row[names.LABELS_COST]) == (5, 1, 3.0)
    assert row[names.LABELS_BUDGET_USED] == 0.75
    without_cap = as_row(label_metrics(labels, lessons, replace(spend, cap=None)))
    assert names.LABELS_BUDGET_USED not in without_cap


def test_metrics_of_version_0_1_are_read_under_their_present_names(tmp_path: Path) -> None:
    begin_attempt(tmp_path, resumed_from=0)
    file = MetricsFile(tmp_path, 1, fence=lambda: None)
    file.write(StepKey(seed=1, step=1), {"collapse/surprise": Mean(0.5), "oracle/aim": Mean(0.25)})
    [row] = read_metrics(tmp_path)
    assert row[names.COLLAPSE_SAMPLED_ENTROPY] == 0.5
    assert row[names.ORACLE_SELECTION_PRECISION] == 0.25
    assert not set(names.RENAMED) & set(row)
    [narrow] = read_metrics(tmp_path, only=names.ORACLE_SELECTION_PRECISION)
    assert narrow == {"branch": 0, "step": 1, names.ORACLE_SELECTION_PRECISION: 0.25}
