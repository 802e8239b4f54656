"""The benchmark of annotators' mistakes: what it runs, and its table."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.label_noise import SHARE, overrides, settings, truths
from benchmarks.label_noise_report import NoiseRun, NoiseSetting, as_table, cell
from rlavr_hpc.cluster.effects import Asked, idle_of
from rlavr_hpc.config.labels import Show
from tests.support.configs import composed


def made(seed: int, *, accuracy: float, wrong: int, error: float = 0.1) -> NoiseRun:
    return NoiseRun(
        setting=NoiseSetting(error=error, like_vote=True, redundancy=3, share=SHARE),
        seed=seed,
        accuracy=accuracy,
        accuracy_start=0.4,
        labels=100,
        void=2,
        wrong=wrong,
        charged=300.0,
        paid=250.0,
    )


def test_three_annotators_buy_a_third_of_the_labels_for_the_same_money_or_all_for_more() -> None:
    found = [(s.error, s.like_vote, s.redundancy) for s in settings((0.0, 0.3))]
    assert found == [
        *[(0.0, False, redundancy) for redundancy in (1, 3, 3)],
        *[(0.3, False, redundancy) for redundancy in (1, 3, 3)],
        *[(0.3, True, redundancy) for redundancy in (1, 3, 3)],
    ]
    one, third, whole = settings((0.0,))
    quotas = [
        composed("acquisition=care", *overrides(setting, Path("a.json"), quick=False)).quota
        for setting in (one, third, whole)
    ]
    assert quotas == [12, 4, 12]
    assert len({setting.name for setting in settings((0.0, 0.3))}) == 9


def test_only_annotators_who_err_like_the_vote_see_it() -> None:
    shown = []
    for like_vote in (False, True):
        setting = NoiseSetting(error=0.1, like_vote=like_vote, redundancy=1, share=SHARE)
        config = composed("acquisition=care", *overrides(setting, Path("a.json"), quick=True))
        shown.append(config.labels.show)
        assert ("--like-vote" in str(config.labels.command)) is like_vote
    assert shown == [Show.nothing, Show.votes]


@pytest.mark.parametrize("quick", [False, True])
def test_no_key_of_a_run_is_idle(quick: bool) -> None:
    for setting in settings((0.0, 0.3)):
        given = ("acquisition=care", *overrides(setting, Path("a.json"), quick=quick))
        assert idle_of(Asked(config=composed(*given), overrides=given, exists=False)) == []


def test_the_program_is_told_the_truth_of_every_question() -> None:
    assert len(truths()) == 1152
    assert truths()["f0-a1-b0"] == "1"


def test_a_setting_is_told_by_medians_over_its_seeds() -> None:
    runs = [made(1, accuracy=0.7, wrong=10), made(2, accuracy=0.6, wrong=20)]
    found = cell(runs)
    assert found["accuracy"] == pytest.approx(0.65)
    assert found["wrong_share"] == pytest.approx(0.15)
    assert found["gain_per_1000_charged"] == pytest.approx(1000 * 0.25 / 300)
    line = as_table(runs)[2]
    assert line == (
        "| 10% | the vote | 3 | 18.8% | 100 | 2 | 15.0% | 300 | 250 | 0.650 | 0.700 0.600 | "
        "+0.833 |"
    )
