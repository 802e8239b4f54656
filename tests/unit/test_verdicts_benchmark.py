"""The benchmark of verdicts: what it plans, how it breaks runs, and its tables."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from benchmarks.broken_parts import (
    UNEARNED,
    EndlessLoss,
    TurnedVoteReward,
    write_files,
)
from benchmarks.verdict_alarms import certificate_table, delay_table, false_alarm_table
from benchmarks.verdict_plan import BATCHES, SPIKE, planned
from benchmarks.verdict_report import disputed, sound_table, verdict_table, write_report
from benchmarks.verdict_rows import Row, append_row, first_breakage, read_rows
from benchmarks.verdict_ways import BREAK
from rlavr_hpc.config.run import RunConfig
from rlavr_hpc.config.warning import VoteAudit
from rlavr_hpc.learning.loss import TokenBatch
from rlavr_hpc.learning.losses.grpo import GrpoLoss
from rlavr_hpc.telemetry import names
from rlavr_hpc.telemetry.collapse.verdict import Fault
from rlavr_hpc.testbed.questions import make_world
from rlavr_hpc.types import SelfRewardInputs
from tests.support.configs import composed
from tests.support.groups import group

SOUND = Row(
    way="healthy",
    policy="care",
    world="A",
    batch=8,
    seed=1,
    sound=True,
    begins=1,
    expected="",
    faults="",
    accuracy_start=0.4,
    accuracy_end=0.7,
    hint_step=None,
    breakage_step=None,
    alarm_step=None,
    alarm_bound="",
    trusted_right=0.9,
    certified=0.8,
    trusted_mean=0.85,
    audits=100,
    seconds=10.0,
)
BROKEN = replace(
    SOUND,
    way="bad labels",
    seed=2,
    sound=False,
    begins=61,
    expected="collapsed|lost_accuracy",
    faults="collapsed@63 stopped_answering@70",
    accuracy_end=0.1,
    hint_step=75,
    alarm_step=71,
    alarm_bound="pairs",
    certified=0.0,
)


def test_sixty_sound_runs_and_four_of_each_of_ten_ways_none_of_them_with_anothers_seed() -> None:
    jobs = planned(quick=False)
    sound = Counter(job.batch for job in jobs if job.way.sound)
    broken = Counter(job.way.name for job in jobs if not job.way.sound)
    assert sound == dict.fromkeys(BATCHES, 15)
    assert set(broken.values()) == {4}
    assert len(broken) == 10
    assert len({job.seed for job in jobs}) == len({job.name for job in jobs}) == 100
    quick = planned(quick=True)
    assert sum(job.way.sound for job in quick) == 8
    assert sorted(job.way.name for job in quick if not job.way.sound) == sorted(broken)
    assert {job.seed for job in quick} <= {job.seed for job in jobs}


def configs() -> list[tuple[str, list[tuple[int | None, RunConfig]]]]:
    jobs = {job.way.name: job for job in planned(quick=False) if not job.way.sound}
    return [
        (name, [(stop, composed(*overrides)) for stop, overrides in job.parts(Path("F"))])
        for name, job in jobs.items()
    ]


def test_every_part_of_a_broken_run_is_a_config_and_allows_what_it_changes() -> None:
    for name, parts in configs():
        stops = [stop for stop, _ in parts]
        assert stops == [*[BREAK, SPIKE][: len(parts) - 1], None], name
        for _, config in parts[1:]:
            assert config.allow_change, name
        trusts = parts[0][1].acquisition.has_trust
        assert parts[0][1].warning.audit is (VoteAudit.both if trusts else VoteAudit.kept), name
    spike = dict(configs())["learning rate of 0.05 in steps 61 to 63"]
    assert [config.algorithm.lr for _, config in spike] == [5e-4, 0.05, 5e-4]
    assert spike[1][1].allow_change == ["algorithm.lr"]


def test_files_with_bad_labels_hold_out_the_questions_that_the_testbed_does(tmp_path: Path) -> None:
    write_files(tmp_path, kinds="HM", wrong_rule=0)
    truths = {q.name: str(q.truth) for q in make_world("HM", wrong_rule=0).questions}
    read = {
        path.stem: {row["id"]: row["answer"] for row in map(json.loads, path.open())}
        for path in tmp_path.iterdir()
    }
    held_out = read.pop("held_out")
    assert held_out == {name: truths[name] for name in held_out}
    for labels in read.values():
        assert set(labels) | set(held_out) == set(truths)
        assert not set(labels) & set(held_out)
    trained = {name: truths[name] for name in read["same"]}
    assert len(set(read["same"].values())) == 1
    assert set(read["unearned"].values()) == {UNEARNED}
    assert sorted(read["shuffled"].values()) == sorted(trained.values())
    assert sum(read["shuffled"][name] == trained[name] for name in trained) < 0.1 * len(trained)


def test_the_turned_reward_pays_against_the_vote() -> None:
    answers = group(["1", "1", "2"])
    assert TurnedVoteReward().of(answers, [1.0, 1.0, 0.0], SelfRewardInputs()) == (-1.0, -1.0, 0.0)


def test_the_endless_loss_is_grpo_but_for_the_last_token_of_each_response() -> None:
    logp_R = torch.tensor([-1.0, -2.0, -0.5], requires_grad=True)
    tokens = TokenBatch(
        advantage_R=torch.tensor([0.5, 0.5, 2.0]),
        sampler_logp_R=logp_R.detach(),
        old_logp_R=None,
        loss_mask_R=torch.ones(3),
        lengths_N=torch.tensor([2, 1]),
    )
    (broken,) = torch.autograd.grad(EndlessLoss()(logp_R, tokens).loss, logp_R)
    (right,) = torch.autograd.grad(GrpoLoss()(logp_R, tokens).loss, logp_R)
    assert right.tolist() == [-0.5, -0.5, -2.0]
    assert broken.tolist() == [-0.5, 1.0, 1.0]


def test_rows_are_read_as_they_were_written(tmp_path: Path) -> None:
    table = tmp_path / "verdicts.csv"
    rows = [replace(SOUND, certified=None, trusted_right=None), BROKEN]
    for row in reversed(rows):
        append_row(table, row)
    assert read_rows(table) == rows


def test_breakage_is_told_apart_from_the_hint() -> None:
    def row(step: int, unread: float) -> dict[str, float]:
        return {"step": step, names.COLLAPSE_UNPARSABLE: unread}

    rows = [row(step, 0.0) for step in range(1, 31)] + [row(step, 1.0) for step in range(31, 50)]
    found = first_breakage(rows, threshold=0.5)
    assert found is not None
    assert 31 < found <= 41
    assert first_breakage(rows[:30], threshold=0.5) is None


def test_a_verdict_is_a_hit_where_an_expected_fault_was_told() -> None:
    silent = replace(BROKEN, seed=3, batch=64, faults="stopped_ending@80")
    assert verdict_table([BROKEN, silent])[2:] == [
        "| bad labels | care | collapsed or lost accuracy | collapsed 1, stopped answering 1, "
        "stopped ending 1 | 1 of 2 | -/1/-/0 | +2 | 0.40 -> 0.10 |",
        "| **all** | | | | 1 of 2 | -/1/-/0 | | |",
    ]
    lost = replace(SOUND, seed=4, faults="lost_accuracy@90")
    assert sound_table([SOUND, lost])[-1] == (
        "| **all** | 2 | lost accuracy 1, nothing 1 | 1 | -/1/-/- | 0.40 -> 0.70 |"
    )
    assert [line.split("|")[5].strip() for line in disputed([SOUND, lost, BROKEN, silent])[4:]] == [
        "lost accuracy since 90",
        "stopped ending since 80",
    ]
    assert len(disputed([SOUND, BROKEN])) == 1


def test_delays_count_from_the_first_broken_step_and_earlier_alarms_are_told_apart() -> None:
    early = replace(BROKEN, seed=3, alarm_step=20, hint_step=None, breakage_step=61)
    assert delay_table([BROKEN, early])[2] == (
        "| bad labels | 2 | 1 of 2 | pairs 1 | 10 / 10 | 1 of 2 | 14 / 14 | 1 of 2 | 0 / 0 | 1, 0 |"
    )


@pytest.mark.parametrize(
    ("bound", "right", "false"),
    [("pairs", 0.5, 1), ("trust", 0.9, 1), ("trust", 0.5, 0), ("first", None, 1)],
)
def test_an_alarm_on_trust_is_true_where_trusted_votes_are_wrong(
    bound: str, right: float | None, false: int
) -> None:
    raised = replace(SOUND, seed=5, alarm_step=40, alarm_bound=bound, trusted_right=right)
    lines = false_alarm_table([SOUND, raised])
    assert lines[3].startswith(f"| **all** | 2 | 1 | {false} |")
    assert lines[-1].startswith(f"- seed 5, healthy, care, batch 8: `{bound}` at step 40")


def test_a_certificate_above_the_true_share_is_false() -> None:
    wrong = replace(SOUND, seed=6, certified=0.9)
    unaudited = replace(SOUND, seed=7, certified=None)
    assert certificate_table([SOUND, wrong, BROKEN, unaudited])[2] == (
        "| care | 3 | 2 | 0.80 to 0.90 | 0.85 to 0.85 | 1 |"
    )


def test_the_report_has_all_tables(tmp_path: Path) -> None:
    write_report([SOUND, BROKEN], tmp_path / "verdicts.md", machine="a machine")
    text = (tmp_path / "verdicts.md").read_text()
    assert "1 sound and\n1 broken" in text
    assert "seeds 1 to 2" in text
    assert [line for line in text.splitlines() if line.startswith("## ")] == [
        "## Verdicts",
        "## Alarm and hint",
        "## Certificates",
    ]
    assert str(Fault.collapsed) in text
