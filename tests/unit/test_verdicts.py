"""Verdicts on votes: what a wrong one trains, and what the probes learn of both kinds."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
import torch
import torch.distributed as dist
from torch.nn import functional

from rlavr_hpc.acquisition.ledger_state import budget_rules
from rlavr_hpc.acquisition.policies.anchored import AnchoredPolicy
from rlavr_hpc.acquisition.policies.care import CarePolicy
from rlavr_hpc.acquisition.probes.features import UNKNOWN, Examples, examples_of, joined
from rlavr_hpc.acquisition.probes.pair import Probes, Training
from rlavr_hpc.acquisition.probes.replay import class_weights
from rlavr_hpc.answers.recorded_verifier import RecordedVerifier
from rlavr_hpc.answers.timed_out_answers import TimedOutAnswers
from rlavr_hpc.answers.verifier import Verifier
from rlavr_hpc.config.algorithm import Advantage, LeaveOut
from rlavr_hpc.learning.advantages import compute_advantages, refuted_advantages
from rlavr_hpc.learning.batch import make_mini_batches
from rlavr_hpc.learning.reward_shaping import Shaping
from rlavr_hpc.learning.rewards import VoteReward, refute_votes
from rlavr_hpc.telemetry import names
from rlavr_hpc.telemetry.clock import StepClock
from rlavr_hpc.telemetry.collapse.early_warning import EarlyWarning
from rlavr_hpc.telemetry.learning_signal import losses_of
from rlavr_hpc.telemetry.reduce import as_row
from rlavr_hpc.telemetry.step_metrics import StepSpend, label_metrics
from rlavr_hpc.trainer.acquisition_state import AcquisitionState
from rlavr_hpc.trainer.components import Components
from rlavr_hpc.trainer.reporting.memory import FreeMemory
from rlavr_hpc.trainer.stages.buy import StepPurchase, acquire_labels
from rlavr_hpc.trainer.stages.context import StepContext
from rlavr_hpc.trainer.stages.grade import grade_groups, newly_labelled, refuted_groups
from rlavr_hpc.trainer.stages.probes import update_probes
from rlavr_hpc.trainer.stages.reward import reward_groups
from rlavr_hpc.trainer.stages.score import ScoringResult
from rlavr_hpc.training_types import TrainingGroup
from rlavr_hpc.types import Group, HiddenStates, LabelledGroup, SelfRewardInputs, StepKey, View
from tests.support.configs import composed
from tests.support.groups import group
from tests.support.live_runs import LiveFolder

HIDDEN = 6


# --- the advantage ---------------------------------------------------------------------------


@pytest.mark.parametrize(("votes", "expected"), [(1, -0.125), (3, -0.375), (8, -1.0)])
def test_the_refuted_are_pushed_down_by_their_share_and_nobody_up(
    votes: int, expected: float
) -> None:
    advantages = refuted_advantages(range(votes), group_size=8)
    assert advantages == (expected,) * votes + (0.0,) * (8 - votes)
    assert math.sqrt(sum(a * a for a in advantages)) <= math.sqrt(8) + 1e-12, "a group's norm"


def test_in_expectation_the_wrong_answer_gets_less_likely_and_the_more_the_likelier_it_is() -> None:
    """All G=3 rollouts over three answers, of which the first is wrong, exactly."""
    size, logits = 3, np.array([0.7, -0.2, 0.1])
    chances = np.exp(logits) / np.exp(logits).sum()
    scores = np.eye(3) - chances  # gradient of log p(answer) by the logits
    mean = np.zeros(3)
    for drawn in product(range(3), repeat=size):
        wrong = [i for i, answer in enumerate(drawn) if answer == 0]
        advantages = refuted_advantages(wrong, group_size=size)
        gradient = sum(a * scores[answer] for a, answer in zip(advantages, drawn, strict=True))
        mean += chances[list(drawn)].prod() * gradient / size
    gradient_of_chance = chances[0] * scores[0]
    assert mean == pytest.approx(-(1 + (size - 1) * chances[0]) / size * gradient_of_chance)


def training_group(answers: Sequence[str | None], *, name: str = "p") -> TrainingGroup:
    """Without a label, and with weight 0, as a prompt whose vote is wrong."""
    voted = group(answers, name=name)
    rewards = tuple(float(agrees) for agrees in voted.vote.majority)
    return TrainingGroup(group=voted, rewards=rewards, weight=0.0, bought=False)


@pytest.mark.parametrize("kind", list(Advantage))
def test_of_a_wrong_vote_the_verdict_alone_is_trained_on(kind: Advantage) -> None:
    dropped = training_group(["1/2", "3", "0.5", None])
    [negative] = refute_votes([dropped], {"p": "1/2"})
    assert refute_votes([dropped], {"p": "0.5"}) == [negative], "in whichever words it was asked"
    shaping = Shaping(advantage=kind)
    [nothing], [against] = (compute_advantages([one], shaping) for one in (dropped, negative))
    assert set(nothing) == {0.0}
    assert against == (-0.5, 0.0, -0.5, 0.0), "1/2 and 0.5 are one answer"
    [batch] = make_mini_batches([negative], [against], mini_batch=1, shaping=shaping)
    assert [sample.key[1] for sample in batch.samples] == [0, 2]
    assert batch.responses == 4, "the divisor does not depend on it"


def test_a_prompt_with_a_label_or_that_votes_otherwise_stays_as_it_is() -> None:
    voted = training_group(["1", "1", "2"])
    labelled = replace(voted, bought=True, weight=1.0)
    assert refute_votes([labelled], {"p": "1"}) == [labelled]
    assert refute_votes([voted], {"p": "7"}) == [voted]
    assert refute_votes([voted], {"q": "1"}) == [voted]


def test_a_unanimous_wrong_vote_is_neither_left_out_nor_called_a_step_that_teaches_nothing() -> (
    None
):
    unanimous = training_group(["1", "1"])
    [negative] = refute_votes([unanimous], {"p": "1"})
    shaping = Shaping(leave_out=LeaveOut.flat)
    assert shaping.leaves_out(unanimous)
    assert not shaping.leaves_out(negative)
    row = {names.COLLAPSE_ZERO_ADVANTAGE: 1.0, names.COLLAPSE_UNANIMOUS: 1.0}
    assert losses_of(row)
    assert not losses_of({**row, names.TRAIN_NEGATIVE_GROUPS: 1.0})


# --- what the probes are told ----------------------------------------------------------------


def states(groups: Sequence[Group], *, seed: int = 0) -> dict[str, HiddenStates]:
    rng = np.random.default_rng(seed)
    return {
        g.prompt.id: HiddenStates(
            prompt_D=rng.standard_normal(HIDDEN).astype(np.float32),
            responses_GD=rng.standard_normal((len(g.rollouts), HIDDEN)).astype(np.float32),
        )
        for g in groups
    }


def view(groups: Sequence[Group], *, step: int = 1) -> View:
    key = StepKey(seed=1, step=step)
    return View(step_key=key, quota=2, hidden=states(groups), max_response_tokens=6)


def wrong_vote(answers: Sequence[str | None], *, name: str = "p") -> LabelledGroup:
    voted = group(answers, name=name)
    [refuted] = refuted_groups([voted], {name: str(voted.vote.winner)})
    return refuted


def right_vote(answers: Sequence[str | None], *, name: str = "p") -> LabelledGroup:
    voted = group(answers, name=name)
    return LabelledGroup(group=voted, correct=voted.vote.majority)


def examples(*labelled: LabelledGroup) -> Examples:
    return examples_of(labelled, view([one.group for one in labelled]))


MIXED = ["1", "1", "2", None]


def test_a_wrong_vote_says_nothing_of_the_other_answers() -> None:
    told = examples(wrong_vote(MIXED), right_vote(MIXED, name="q"))
    assert told.right_N.tolist() == [0, 1]
    assert told.correct_NG.tolist() == [[0, 0, UNKNOWN, 0], [1, 1, 0, 0]]
    assert told.elsewhere_N.tolist() == [UNKNOWN, 0]


def test_where_there_is_no_other_answer_a_wrong_vote_says_all() -> None:
    told = examples(wrong_vote(["1", "1", None, None]))
    assert told.correct_NG.tolist() == [[0, 0, 0, 0]]
    assert told.elsewhere_N.tolist() == [0]


def test_a_group_that_votes_otherwise_by_now_teaches_nothing() -> None:
    assert refuted_groups([group(MIXED)], {"p1": "2"}) == []
    assert refuted_groups([group([None, None])], {"p1": "1"}) == []


def probes() -> Probes:
    return Probes(Training(updates=1, buffer=8), hidden=HIDDEN, group_size=4, seed=1)


def test_unknown_targets_are_in_no_loss_and_weigh_nothing() -> None:
    known = torch.tensor([0, 0, 1])
    some = torch.tensor([0, UNKNOWN, 0, UNKNOWN, 1])
    weights = [class_weights(c, count=2, lowest=0.25, highest=4.0) for c in (known, some)]
    assert torch.equal(*weights)
    logits = torch.randn(5, 2, generator=torch.Generator().manual_seed(0))
    rows = [0, 2, 4]
    expected = functional.cross_entropy(logits[rows], known, weight=weights[0].float())
    assert torch.equal(probes()._balanced(logits, some), expected)


def test_wrong_verdicts_teach_stage_1_and_stay_out_of_stage_2_also_when_replayed() -> None:
    both = probes()
    before = {name: w.clone() for name, w in both.count.state_dict().items()}
    wrong = examples(*(wrong_vote(MIXED, name=f"w{i}") for i in range(3)))
    for step in (1, 2):  # in the second step the first one's are replayed
        losses = both.learn(wrong, StepKey(seed=1, step=step))
        assert losses.keys() == {"vote"}
        assert math.isfinite(losses["vote"])
    assert all(torch.equal(w, before[name]) for name, w in both.count.state_dict().items())
    assert len(both.replay) == 6
    right = examples(*(right_vote(MIXED, name=f"r{i}") for i in range(2)))
    assert both.learn(right, StepKey(seed=1, step=3)).keys() == {"vote", "count"}
    rows = both.replay.stratified(8, np.random.default_rng(0))
    assert sorted(rows) == [6, 7], "the two whose number is known"


def test_stage_2_learns_of_labels_the_same_whatever_verdicts_come_with_them() -> None:
    labels = examples(*(right_vote(MIXED, name=f"r{i}") for i in range(3)))
    wrong = examples(wrong_vote(MIXED, name="w"))
    alone, together = probes(), probes()
    key = StepKey(seed=1, step=1)
    alone.learn(labels, key)
    together.learn(joined([labels, wrong]), key)
    counts = (alone.count.state_dict(), together.count.state_dict())
    assert all(torch.equal(w, counts[1][name]) for name, w in counts[0].items())
    weights = zip(alone.vote.parameters(), together.vote.parameters(), strict=True)
    assert not all(torch.equal(*pair) for pair in weights)


def test_verdicts_come_back_from_a_checkpoint_of_the_format_without_them(tmp_path: Path) -> None:
    both = probes()
    both.learn(examples(wrong_vote(MIXED, name="w"), right_vote(MIXED)), StepKey(seed=1, step=1))
    torch.save(both.state(), tmp_path / "probes.pt")
    saved = torch.load(tmp_path / "probes.pt", weights_only=True)
    again = probes()
    again.load(saved)
    key = StepKey(seed=1, step=2)
    assert again.learn(None, key) == both.learn(None, key)
    assert saved["replay"].keys() == {
        *("prompt_NP", "responses_NGD", "lengths_NG", "outside_NG", "allowed_NC", "majority_N"),
        *("right_N", "correct_NG", "elsewhere_N"),
    }, "no more than a program without verdicts writes"


def test_an_anchor_is_judged_by_a_verdict_only_where_it_says_something_of_it() -> None:
    first, later = group(["1", "1", "2", "2"]), group(["2", "2", "1", None])
    policy = AnchoredPolicy()
    policy.choose([first], view([first]))
    policy.learn(refuted_groups([later], {"p1": "2"}), view([later]))
    assert policy.state()["right"] == {}, "nobody has said that 1 is wrong"
    policy.learn(refuted_groups([first], {"p1": "1"}), view([first]))
    assert policy.state()["right"] == {"p1": 0.0}


# --- a step ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def _one_rank(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    store = tmp_path_factory.mktemp("ranks") / "store"
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=0, world_size=1)
    yield
    dist.destroy_process_group()


class TwoSteps:
    """The stages between rollouts and the update, on a run's own ledger and mailbox."""

    def __init__(self, folder: Path, *overrides: str, policy: object | None = None) -> None:
        asked = ("labels=people", "labels.ask=verdict", "labels.poll=0.01", "budget=0.05")
        self.config = composed(*asked, *overrides)
        self.live = LiveFolder(folder, self.config)
        ids = [question.id for question in self.live.data.questions[:4]]
        self.groups = [group(MIXED, name=name) for name in ids]
        self.policy = policy or CarePolicy(updates=1)
        self.scores = ScoringResult(hidden=states(self.groups))
        self.components = cast(
            Components,
            SimpleNamespace(
                config=self.config,
                ledger=self.live.ledger,
                rules=budget_rules(self.config),
                oracle=None,
                market=self.live.book,
                buyable=None,
                acquisition=self.policy,
                acquisition_state=AcquisitionState(name="care", policy=self.policy),  # type: ignore[arg-type]
                verifier=RecordedVerifier(
                    Verifier(), TimedOutAnswers(folder, 1, fence=lambda: None, answer_ids={})
                ),
                engine=SimpleNamespace(replica=0, replicas=1, is_leader=True),
                pseudo=VoteReward(),
                heartbeat=None,
            ),
        )

    def step(self, number: int, *, quota: int) -> StepContext:
        return StepContext(
            components=self.components,
            key=StepKey(seed=1, step=number),
            quota=quota,
            clock=StepClock(),
            free_memory=FreeMemory(),
        )

    def buy(self, step: StepContext) -> StepPurchase:
        return acquire_labels(step, self.groups, self.scores, drawn=self.groups)

    def say(self, **verdicts: str) -> None:
        keys = {prompt: order.key for prompt, (order,) in self.live.orders().items()}
        rows = [{"key": keys[p], "verdict": verdict} for p, verdict in verdicts.items()]
        self.live.say("001", *rows)


@pytest.mark.usefixtures("_one_rank")
@pytest.mark.parametrize("on_wrong", ["drop", "negative"])
def test_a_step_trains_towards_right_votes_and_away_from_wrong_ones(
    tmp_path: Path, on_wrong: str
) -> None:
    run = TwoSteps(tmp_path / "run", f"labels.on_wrong={on_wrong}", "labels.pending=go_on")
    step = run.step(1, quota=4)
    asked = run.buy(step)
    assert len(asked.pending) == 4
    a, b, c, d = asked.pending
    run.say(**{a: "right", b: "wrong", c: "wrong"})
    second = run.step(2, quota=0)
    late = run.buy(second)
    assert (late.late, late.late_wrong) == ({a: "1"}, {b: "1", c: "1"})
    assert (late.spend.wrong, late.spend.pending) == (2, 1)
    seen = replace(late, wrong=late.late_wrong)  # as if answered within the step
    grades = grade_groups(second, run.groups, seen)
    rewarded = reward_groups(
        second,
        run.groups,
        purchase=seen,
        grades=grades,
        self_inputs={g.prompt.id: SelfRewardInputs() for g in run.groups},
    )
    advantages = {
        one.group.prompt.id: row
        for one, row in zip(rewarded, compute_advantages(rewarded, Shaping()), strict=True)
    }
    against = (-0.5, -0.5, 0.0, 0.0) if on_wrong == "negative" else (0.0,) * 4
    assert advantages == {a: (1.0, 1.0, -1.0, -1.0), b: against, c: against, d: (0.0,) * 4}
    assert {one.weight for one in rewarded if not one.bought} == {0.0}
    labelled = newly_labelled(run.groups, seen, grades)
    assert [one.group.prompt.id for one in labelled if one.unknown] == [
        g.prompt.id for g in run.groups if g.prompt.id in (b, c)
    ]


@pytest.mark.usefixtures("_one_rank")
def test_probes_learn_of_a_late_verdict_with_the_responses_it_was_asked_about(
    tmp_path: Path,
) -> None:
    run = TwoSteps(tmp_path / "run", "labels.pending=go_on")
    step = run.step(1, quota=3)
    purchase = run.buy(step)
    late = run.components.acquisition_state.late
    update_probes(step, run.groups, [], run.scores, purchase=purchase)
    assert late.groups.keys() == set(purchase.pending)
    a, b, c = purchase.pending
    run.say(**{a: "right", b: "wrong"})
    run.groups = [group(["5", "6", "7", "8"], name=g.prompt.id) for g in run.groups]
    second = run.step(2, quota=0)
    came = run.buy(second)
    losses = update_probes(second, run.groups, [], run.scores, purchase=came)
    assert losses.keys() == {"vote"}, "one of the two has a known number"
    assert late.groups.keys() == {c}
    assert isinstance(run.policy, CarePolicy)
    kept = run.policy.state()["replay"]
    assert kept["right_N"].tolist() == [1, 0]
    assert kept["correct_NG"].tolist() == [[1, 1, 0, 0], [0, 0, UNKNOWN, 0]]
    assert kept["elsewhere_N"].tolist() == [0, UNKNOWN]


class Notes:
    """A learning policy of a user's own, which knows of labels alone."""

    def __init__(self) -> None:
        self.told: list[LabelledGroup] = []

    def choose(self, candidates: Sequence[Group], view: View) -> object:
        raise NotImplementedError

    def learn(self, labelled: Sequence[LabelledGroup], view: View) -> dict[str, float]:
        self.told += labelled
        return {}

    def state(self) -> dict[str, object]:
        return {}

    def load(self, state: object, *, seed: int) -> None: ...


@pytest.mark.usefixtures("_one_rank")
def test_a_policy_that_does_not_ask_for_verdicts_is_told_only_what_is_known_of_all(
    tmp_path: Path,
) -> None:
    policy = Notes()
    run = TwoSteps(tmp_path / "run", policy=policy)
    purchase = cast(StepPurchase, SimpleNamespace(late={}, late_wrong={}, pending=()))
    full = wrong_vote(["1", "1", None, None], name=run.groups[1].prompt.id)
    labelled = [wrong_vote(MIXED, name=run.groups[0].prompt.id), full]
    update_probes(run.step(1, quota=0), run.groups, labelled, run.scores, purchase=purchase)
    assert policy.told == [full]


# --- the record ------------------------------------------------------------------------------


def test_verdicts_count_among_what_labels_say_of_votes() -> None:
    spend = StepSpend(quota=4, bought=1, cost=3.0, void=2, total=1, asked=3, cap=None, wrong=2)
    told = [right_vote(MIXED), wrong_vote(MIXED, name="q"), wrong_vote(["1"] * 4, name="r")]
    row = as_row(label_metrics({}, told, spend))
    assert row[names.LABELS_WRONG_VOTES] == 2
    assert row[names.LABELS_VOTE_RIGHT] == pytest.approx(1 / 3)
    assert row[names.LABELS_NONE_CORRECT] == 0.5, "of q this is not known"
    assert row[names.LABELS_REWARD_GAP] == pytest.approx((0.0 + 0.5 + 1.0) / 3)
    without = as_row(label_metrics({}, told, replace(spend, wrong=None)))
    assert names.LABELS_WRONG_VOTES not in without


def test_verdicts_that_votes_went_wrong_are_a_warning() -> None:
    """Not seen where right verdicts alone count: then every vote that is known is right."""
    votes = {
        names.COLLAPSE_MAJORITY_RATIO: 0.7,
        names.COLLAPSE_ANSWER_ENTROPY: 0.6,
        names.COLLAPSE_DISTINCT_ANSWERS: 3.0,
    }
    watch = EarlyWarning()
    for step in range(40):
        right = 9.0 if step < 20 else 1.0
        bought = {names.LABELS_BOUGHT: right, names.LABELS_WRONG_VOTES: 10.0 - right}
        watch.observe({**votes, **bought, names.LABELS_VOTE_RIGHT: right / 10.0})
    assert watch.alarm.risk == 1.0
