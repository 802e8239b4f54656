from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest

from rlavr_hpc.acquisition.buy import buy_labels, find_candidates
from rlavr_hpc.acquisition.buyable import buyable_prompts
from rlavr_hpc.acquisition.ledger import Ledger, read_ledger
from rlavr_hpc.acquisition.ledger_state import BudgetRules
from rlavr_hpc.acquisition.market import DatasetMarket
from rlavr_hpc.acquisition.policies.avg_prob import AvgProbPolicy
from rlavr_hpc.acquisition.policies.entropy import EntropyPolicy
from rlavr_hpc.acquisition.policies.full import FullPolicy
from rlavr_hpc.acquisition.policies.none import NonePolicy
from rlavr_hpc.acquisition.policies.random import RandomPolicy
from rlavr_hpc.acquisition.policy_protocol import choose_top
from rlavr_hpc.config.acquisition import CandidateRule
from rlavr_hpc.errors import FencedError, LedgerError
from rlavr_hpc.labels.dataset import DatasetLabels
from rlavr_hpc.runs.attempts import check_fence, segment
from rlavr_hpc.types import Group, Label, ResponseScore, Selection, StepKey, View
from tests.support.attempts import begin_attempt
from tests.support.groups import PLACE, group

GROUPS = [group(["1", "2"], name=f"p{i}") for i in range(6)]
ANSWERS = {f"p{i}": str(i) for i in range(6)}
RULES = BudgetRules(total=None, reuse=True)
STEP_2 = StepKey(seed=1, step=2)
MARKET = DatasetMarket(labels=DatasetLabels(answers=ANSWERS))


@pytest.mark.parametrize(
    ("rule", "labelled", "offered"),
    [
        (CandidateRule.auto, {"p0", "p1", "p2"}, None),
        (CandidateRule.auto, {"p0", "p1"}, {"p0", "p1"}),
        (CandidateRule.labelled, {"p0", "p1", "p2"}, {"p0", "p1", "p2"}),
        (CandidateRule.labelled, set(ANSWERS), set(ANSWERS)),
        (CandidateRule.all, {"p0"}, None),
    ],
)
def test_labelled_prompts_are_offered_where_most_have_no_label(
    rule: CandidateRule, labelled: set[str], offered: set[str] | None
) -> None:
    assert buyable_prompts(rule, prompts=GROUPS, labelled=labelled) == offered


def test_a_run_of_version_0_1_still_offers_all() -> None:
    few = {"p0"}
    auto, labelled = CandidateRule.auto, CandidateRule.labelled
    assert buyable_prompts(auto, prompts=GROUPS, labelled=few, auto=False) is None
    found = buyable_prompts(labelled, prompts=GROUPS, labelled=few, auto=False)
    assert found == frozenset(few)


def test_only_what_may_be_bought_is_a_candidate(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path)
    market = DatasetMarket(labels=CountingLabels(ANSWERS))
    offer = find_candidates(
        GROUPS,
        step_key=PLACE,
        ledger=ledger,
        rules=RULES,
        quota=2,
        market=market,
        buyable={"p3", "p5"},
    )
    assert [group.prompt.id for group in offer.candidates] == ["p3", "p5"]
    assert offer.quota == 2


class CountingLabels:
    """A label source that remembers what it was asked."""

    cost = 1.0

    def __init__(self, answers: Mapping[str, str]) -> None:
        self.answers, self.asked = answers, list[str]()

    def reveal(self, prompt_ids: Iterable[str]) -> Mapping[str, str]:
        selected = list(prompt_ids)
        self.asked += selected
        return {p: self.answers[p] for p in selected if p in self.answers}


def open_ledger(run_dir: Path) -> Ledger:
    attempt = begin_attempt(run_dir, resumed_from=0)
    return Ledger(run_dir, attempt.number, fence=lambda: check_fence(run_dir, attempt))


def buy(
    ledger: Ledger,
    *selected: str,
    step_key: StepKey = PLACE,
    rules: BudgetRules = RULES,
    source: CountingLabels | None = None,
) -> dict[str, Label]:
    market = DatasetMarket(labels=source or CountingLabels(ANSWERS))
    offer = find_candidates(
        GROUPS, step_key=step_key, ledger=ledger, rules=rules, quota=2, market=market
    )
    selection = Selection(selected=tuple(selected))
    return buy_labels(
        selection, offer=offer, step_key=step_key, ledger=ledger, market=market
    ).labels


def test_ties_keep_the_order_of_the_batch() -> None:
    scores = {"a": 1.0, "b": 2.0, "c": 1.0, "d": 2.0}
    assert choose_top(scores, quota=3).selected == ("b", "d", "a")


def test_none_buys_nothing_and_full_buys_all_within_the_quota() -> None:
    assert NonePolicy().choose(GROUPS, View(step_key=PLACE, quota=6)).selected == ()
    assert FullPolicy().choose(GROUPS, View(step_key=PLACE, quota=6)).selected == tuple(ANSWERS)
    assert FullPolicy().choose(GROUPS, View(step_key=PLACE, quota=2)).selected == ("p0", "p1")


def test_random_depends_on_the_place_in_the_run_alone() -> None:
    def chosen(step_key: StepKey) -> tuple[str, ...]:
        return RandomPolicy().choose(GROUPS, View(step_key=step_key, quota=3)).selected

    assert chosen(PLACE) == chosen(PLACE)
    draws = {chosen(StepKey(seed=seed, step=step)) for seed in range(4) for step in range(4)}
    assert len(draws) > 8
    assert all(len(set(draw)) == 3 for draw in draws)


def test_entropy_prefers_disagreement_and_knows_natural_logs() -> None:
    split, agreed, silent = (
        group(["1", "2"], name="s"),
        group(["1", "1"], name="a"),
        group([None, None], name="n"),
    )
    selection = EntropyPolicy().choose([silent, agreed, split], View(step_key=PLACE, quota=1))
    assert selection.selected == ("s",)
    assert selection.scores["s"] == pytest.approx(math.log(2))
    assert selection.scores["a"] == selection.scores["n"] == 0.0


def test_a_label_is_on_disk_before_it_is_used(tmp_path: Path) -> None:
    labels = buy(open_ledger(tmp_path), "p3", "p1")
    assert {name: label.answer for name, label in labels.items()} == {"p3": "3", "p1": "1"}
    kinds = [json.loads(line)["kind"] for line in segment(tmp_path, "ledger", 1).open()]
    assert kinds == ["intent", "commit", "commit"]
    ledger_state = read_ledger(tmp_path)
    assert (ledger_state.bought, ledger_state.cost, ledger_state.open_intents) == (2, 2.0, 0)


def test_a_remembered_label_is_free_and_no_candidate(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path)
    buy(ledger, "p0")
    offer = find_candidates(
        GROUPS, step_key=STEP_2, ledger=ledger, rules=RULES, quota=2, market=MARKET
    )
    assert [g.prompt.id for g in offer.candidates] == ["p1", "p2", "p3", "p4", "p5"]
    labels = buy(ledger, "p1", step_key=STEP_2)
    assert {n: (x.cost, x.reused) for n, x in labels.items()} == {
        "p0": (0.0, True),
        "p1": (1.0, False),
    }
    assert ledger.state.bought == 2


def test_without_reuse_the_same_prompt_is_bought_again(tmp_path: Path) -> None:
    ledger, rules = open_ledger(tmp_path), BudgetRules(total=None, reuse=False)
    buy(ledger, "p0", rules=rules)
    buy(ledger, "p0", step_key=STEP_2, rules=rules)
    assert ledger.state.bought == 2
    ledger.state.check(rules)
    with pytest.raises(LedgerError, match="'p0' was bought twice, in step 1 and again in step 2"):
        ledger.state.check(RULES)


def test_a_prompt_without_label_is_void_spends_quota_and_is_not_asked_again(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path)
    labels = buy(ledger, "p0", "p1", source=CountingLabels({"p0": "0"}))
    assert set(labels) == {"p0"}
    assert (ledger.state.bought, ledger.state.void, ledger.state.cost) == (1, 1, 1.0)
    offer = find_candidates(
        GROUPS, step_key=STEP_2, ledger=ledger, rules=RULES, quota=2, market=MARKET
    )
    assert "p1" not in {g.prompt.id for g in offer.candidates}
    capped = BudgetRules(total=3, reuse=True)
    assert (
        find_candidates(
            GROUPS, step_key=STEP_2, ledger=ledger, rules=capped, quota=2, market=MARKET
        ).quota
        == 1
    )


def test_at_the_cap_the_run_goes_on_without_buying(tmp_path: Path) -> None:
    ledger, rules = open_ledger(tmp_path), BudgetRules(total=2, reuse=True)
    buy(ledger, "p0", "p1", rules=rules)
    assert (
        find_candidates(
            GROUPS, step_key=STEP_2, ledger=ledger, rules=rules, quota=2, market=MARKET
        ).quota
        == 0
    )
    assert set(buy(ledger, step_key=STEP_2, rules=rules)) == {"p0", "p1"}


def test_a_policy_that_overspends_is_stopped(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="3 labels wanted, 2 allowed"):
        buy(open_ledger(tmp_path), "p0", "p1", "p2")


def test_a_policy_that_chooses_what_is_not_on_offer_is_stopped(tmp_path: Path) -> None:
    ledger, source = open_ledger(tmp_path), CountingLabels(ANSWERS)
    buy(ledger, "p0")
    for name in ("p0", "nobody"):
        with pytest.raises(LedgerError, match="not on offer"):
            buy(ledger, name, step_key=STEP_2, source=source)
    assert source.asked == []


def test_a_step_done_again_keeps_its_decision_and_asks_for_no_label_twice(tmp_path: Path) -> None:
    buy(open_ledger(tmp_path), "p0", "p1")
    source = CountingLabels(ANSWERS)
    again = open_ledger(tmp_path)
    labels = buy(again, "p4", "p5", source=source)
    assert {name: label.cost for name, label in labels.items()} == {"p0": 1.0, "p1": 1.0}
    assert source.asked == []
    assert again.state.bought == 2


def test_steps_ahead_are_not_known_when_a_step_is_done_again(tmp_path: Path) -> None:
    first = open_ledger(tmp_path)
    buy(first, "p0")
    buy(first, "p1", step_key=STEP_2)
    offer = find_candidates(
        GROUPS, step_key=STEP_2, ledger=open_ledger(tmp_path), rules=RULES, quota=2, market=MARKET
    )
    assert set(offer.owned) == {"p0"}


def test_an_open_intent_is_completed_and_nothing_else_is_bought(tmp_path: Path) -> None:
    died = open_ledger(tmp_path)
    died.decide(PLACE, ["p2", "p3"], quota=2)
    assert read_ledger(tmp_path).open_intents == 2
    source = CountingLabels(ANSWERS)
    labels = buy(open_ledger(tmp_path), "p0", source=source)
    assert set(labels) == {"p2", "p3"}
    assert source.asked == ["p2", "p3"]


def test_a_superseded_attempt_buys_nothing(tmp_path: Path) -> None:
    zombie = open_ledger(tmp_path)
    open_ledger(tmp_path)
    source = CountingLabels(ANSWERS)
    with pytest.raises(FencedError):
        buy(zombie, "p0", source=source)
    assert source.asked == []


def test_a_ledger_that_cannot_be_written_yields_no_label(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger, source = open_ledger(tmp_path), CountingLabels(ANSWERS)

    def fail(rows: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(ledger._writer, "append", fail)
    with pytest.raises(LedgerError, match=r"No space left on device.*no label of step 1 was used"):
        buy(ledger, "p0", source=source)
    assert source.asked == []


def tampered(path: Path, number: int, old: str, new: str) -> None:
    lines = path.read_text().splitlines(keepends=True)
    assert old in lines[number - 1]
    lines[number - 1] = lines[number - 1].replace(old, new)
    path.write_text("".join(lines))


@pytest.mark.parametrize(
    ("number", "old", "new", "message"),
    [
        (2, '"label":"0"', '"label":"9"', r"1\.jsonl:2: the hash does not match"),
        (1, '"p1"', '"p2"', r"1\.jsonl:1: the hash does not match"),
        (3, '"v":1', '"v":4', r"1\.jsonl:3: version 4"),
        (2, "{", "", r"1\.jsonl:2: not a JSON line"),
    ],
)
def test_a_changed_line_is_named(
    tmp_path: Path, number: int, old: str, new: str, message: str
) -> None:
    buy(open_ledger(tmp_path), "p0", "p1")
    tampered(segment(tmp_path, "ledger", 1), number, old, new)
    with pytest.raises(LedgerError, match=message):
        read_ledger(tmp_path)


def test_a_dropped_line_is_noticed(tmp_path: Path) -> None:
    buy(open_ledger(tmp_path), "p0", "p1")
    path = segment(tmp_path, "ledger", 1)
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([lines[0], lines[2]]))
    with pytest.raises(LedgerError, match="some are lost"):
        read_ledger(tmp_path)


def test_the_chain_runs_across_attempts(tmp_path: Path) -> None:
    buy(open_ledger(tmp_path), "p0")
    second = open_ledger(tmp_path)
    buy(second, "p1", step_key=STEP_2)
    rows = [json.loads(line) for line in segment(tmp_path, "ledger", 2).open()]
    assert [row["seq"] for row in rows] == [2, 3]
    assert read_ledger(tmp_path).head == rows[-1]["hash"]


def test_more_than_the_quota_or_the_cap_is_an_error(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path)
    buy(ledger, "p0", "p1")
    with pytest.raises(LedgerError, match="budget_total=1"):
        ledger.state.check(BudgetRules(total=1, reuse=True))
    with pytest.raises(LedgerError, match="2 labels wanted, 1 allowed"):
        ledger.decide(STEP_2, ["p2", "p3"], quota=1)


def test_labels_do_not_show_in_a_sources_text() -> None:
    assert "secret" not in repr(DatasetLabels(answers={"p": "secret"}))


def test_groups_hold_no_label() -> None:
    assert "answer" not in {name for name in dir(Group) if not name.startswith("_")}


def test_avg_prob_buys_what_the_model_finds_least_likely() -> None:
    def scored(prob: float) -> ResponseScore:
        return ResponseScore(
            logp_sum=0.0, logp_mean=0.0, prob_mean=prob, entropy_mean=0.0, certainty_mean=0.0
        )

    responses = {f"p{i}": [scored(0.9 - 0.1 * i), scored(0.5)] for i in range(6)}
    view = View(step_key=PLACE, quota=2, responses=responses)
    selection = AvgProbPolicy().choose(GROUPS, view)
    assert selection.selected == ("p5", "p4")
    assert selection.scores["p0"] == pytest.approx(0.3)
