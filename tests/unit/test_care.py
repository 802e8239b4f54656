"""CARE: its inputs, its probes, its gate, and what it forgets on the way to disk: nothing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from rlavr_hpc.acquisition.policies.care import CarePolicy, expected_gaps, most_believed
from rlavr_hpc.acquisition.probes.features import Examples, examples_of, features_of, joined
from rlavr_hpc.acquisition.probes.networks import IMPOSSIBLE, CountProbe, Widths
from rlavr_hpc.acquisition.probes.pair import Guess, Probes, Training
from rlavr_hpc.acquisition.probes.replay import Replay, class_weights
from rlavr_hpc.errors import CheckpointError
from rlavr_hpc.learning.rewards import pseudo_label_weights
from rlavr_hpc.trainer.acquisition_state import FILE, AcquisitionState
from rlavr_hpc.types import Group, HiddenStates, LabelledGroup, StepKey, View
from tests.support.groups import group
from tests.support.snapshots import save

HIDDEN = 6


def view(groups: Sequence[Group], *, step: int = 1, quota: int = 2, seed: int = 0) -> View:
    rng = np.random.default_rng(seed)
    hidden = {
        g.prompt.id: HiddenStates(
            prompt_D=rng.standard_normal(HIDDEN).astype(np.float32),
            responses_GD=rng.standard_normal((len(g.rollouts), HIDDEN)).astype(np.float32),
        )
        for g in groups
    }
    step_key = StepKey(seed=1, step=step)
    return View(step_key=step_key, quota=quota, hidden=hidden, max_response_tokens=6)


def groups_of(*answers: Sequence[str | None]) -> list[Group]:
    return [group(a, name=f"p{i}") for i, a in enumerate(answers)]


def test_features_are_those_of_the_method() -> None:
    groups = groups_of(["1", "1", "2", None], [None, None, None, None], ["1", "2", "2", "3"])
    seen = view(groups)
    features = features_of(groups, seen)
    scalars = features.prompt_NP[:, HIDDEN:]
    assert scalars.tolist() == [
        [0.75, 0.5, 0.25, 0.0, 0.0],
        [0.0, 0.0, 0.0, 0.0, 0.0],
        [1.0, 0.5, 0.25, 0.25, 0.0],
    ]
    assert torch.equal(features.prompt_NP[2, :HIDDEN], torch.from_numpy(seen.hidden["p2"].prompt_D))
    assert features.lengths_NG.tolist() == [[0.5] * 4] * 3  # 3 of 6 tokens
    assert features.outside_NG.tolist() == [
        [False, False, True, False],
        [False] * 4,
        [True, False, False, True],
    ]
    assert features.allowed_NC.nonzero().tolist() == [[0, 0], [0, 1], [1, 0], [2, 0], [2, 1]]
    assert features.majority_N.tolist() == [2, 0, 2]


def test_lengths_past_the_limit_count_as_the_limit() -> None:
    groups = groups_of(["1", "2"])
    short = replace(view(groups), max_response_tokens=2)
    assert features_of(groups, short).lengths_NG.tolist() == [[1.0, 1.0]]


def labelled(g: Group, *correct: int) -> LabelledGroup:
    return LabelledGroup(group=g, correct=tuple(i in correct for i in range(len(g.rollouts))))


def test_a_right_vote_has_nothing_right_elsewhere_and_a_wrong_one_the_sum() -> None:
    groups = groups_of(["1", "1", "2", "3"], ["1", "1", "2", "3"], [None, None, None, None])
    labelled_groups = [labelled(groups[0], 0, 1), labelled(groups[1], 2, 3), labelled(groups[2])]
    examples = examples_of(labelled_groups, view(groups))
    assert examples.right_N.tolist() == [1, 0, 0]
    assert examples.elsewhere_N.tolist() == [0, 2, 0]
    assert examples.correct_NG.tolist() == [[1, 1, 0, 0], [0, 0, 1, 1], [0, 0, 0, 0]]


def test_class_weights_by_hand() -> None:
    weights = class_weights(torch.tensor([0] * 9 + [2]), count=4, lowest=0.25, highest=4.0)
    # 9^-1/2 = 1/3 and 1: mean 2/3 -> 0.5 and 1.5; absent classes weigh nothing
    assert weights.tolist() == pytest.approx([0.5, 0.0, 1.5, 0.0])
    rare = class_weights(torch.tensor([0] * 400 + [1]), count=2, lowest=0.25, highest=1.5)
    assert rare.tolist() == pytest.approx([0.25, 1.5])


def test_the_second_stage_looks_at_responses_outside_the_vote_alone() -> None:
    count = CountProbe(prompt_features=HIDDEN + 5, hidden=HIDDEN, classes=5, widths=Widths()).eval()
    prompt, responses = torch.randn(2, HIDDEN + 5), torch.randn(2, 4, HIDDEN)
    outside = torch.tensor([[False, True, True, False]] * 2)
    allowed = torch.tensor([[True, True, False, False, False]] * 2)
    logits = count(prompt, responses, outside, allowed)
    assert (logits[:, 2:] == IMPOSSIBLE).all()
    inside = responses.clone()
    inside[:, [0, 3]] += 1.0  # of the winning cluster, or unparsable: not looked at
    assert torch.equal(count(prompt, inside, outside, allowed), logits)
    beyond = responses.clone()
    beyond[:, 1] += 1.0
    assert not torch.equal(count(prompt, beyond, outside, allowed), logits)


def test_the_score_is_the_expected_gap_given_a_wrong_vote() -> None:
    groups = groups_of(["1"] * 5 + ["2"] * 3, ["1"] * 8, [None] * 8)
    features = features_of(groups, view(groups))
    chances = [0.0] * 9
    chances[0], chances[3] = 0.25, 0.75
    sure = [1.0] + [0.0] * 8
    guess = Guess(vote_right_N=[0.9, 0.9, 0.0], elsewhere_NC=[chances, sure, sure])
    # golden: G=8, (x, y) = (5, 0) -> sqrt(8), (5, 3) -> 5.6569
    assert expected_gaps(features, guess) == pytest.approx(
        [0.25 * math.sqrt(8) + 0.75 * 5.656854, 0.0, 0.0], abs=1e-4
    )


def test_the_gate_takes_the_ceiling_and_keeps_ties_in_order() -> None:
    assert most_believed("abcde", [0.5, 0.9, 0.5, 0.9, 0.1], share=0.25) == ("b", "d")
    assert most_believed("abcd", [0.5] * 4, share=0.25) == ("a",)
    assert most_believed("abcd", [0.5] * 4, share=0.0) == ()


EIGHT = groups_of(*([["1", "1", "2", "3"]] * 8))


def test_nobody_is_trusted_in_the_warm_up_and_trusted_prompts_are_never_bought() -> None:
    policy = CarePolicy(warmup_steps=3)
    policy.choose(EIGHT, view(EIGHT, step=1))
    early = policy.choose(EIGHT, view(EIGHT, step=3, quota=8))
    assert early.trusted == ()
    assert len(early.gate) == 2
    assert len(early.selected) == 8
    late = policy.choose(EIGHT, view(EIGHT, step=4, quota=8))
    assert late.trusted == late.gate
    assert len(late.trusted) == 2
    assert set(late.selected) == {g.prompt.id for g in EIGHT} - set(late.trusted)
    assert min(late.scores.values()) >= 2.0  # sqrt(G): given a wrong vote


def test_without_candidates_or_with_one_label_nothing_breaks() -> None:
    policy = CarePolicy()
    assert policy.choose([], view([])).selected == ()
    assert policy.learn([], view([])) == {}
    assert policy.state() == {}
    assert policy.learn([labelled(EIGHT[0], 0)], view(EIGHT)) == {}  # too few for batch norm
    assert set(policy.learn([labelled(EIGHT[0], 0)], view(EIGHT, step=2))) == {"vote", "count"}


def example(elsewhere: int) -> Examples:
    groups = groups_of(["1", "1", "2", "3"])
    made = examples_of([labelled(groups[0], *range(2, 2 + elsewhere))], view(groups))
    return made


def test_replay_forgets_the_oldest_and_spreads_over_classes() -> None:
    replay, rng = Replay(10), np.random.default_rng(0)
    for _ in range(20):
        replay.add(example(0))
    for elsewhere in (1, 2):
        replay.add(example(elsewhere))
    assert len(replay) == 10
    rows = replay.stratified(6, rng)
    kept = replay.state()["elsewhere_N"]
    assert sorted(kept[rows].tolist()) == [0, 0, 0, 0, 1, 2]
    assert len(set(rows)) == 6
    assert sorted(replay.uniform(99, rng)) == list(range(10))
    both = replay.with_rows(example(1), rows)
    assert both is not None
    assert len(both) == 7


def test_replay_is_the_newest_in_their_order_however_often_it_has_gone_round() -> None:
    """Also after a checkpoint, and when more come at once than it holds."""
    replay, naive = Replay(5), list[float]()
    for number in range(1, 9):
        new = [example(i % 3) for i in range(number)]
        replay.add(joined(new))
        naive = [*naive, *(one.elsewhere_N.item() for one in new)][-5:]
        assert replay.state()["elsewhere_N"].tolist() == naive
        again = Replay(5)
        again.load(replay.state())
        rows = again.uniform(3, np.random.default_rng(number))
        taken = again.with_rows(None, rows)
        assert taken is not None
        assert taken.elsewhere_N.tolist() == [naive[row] for row in rows]
        shuffled = np.random.default_rng(number).permutation(len(naive)).tolist()
        last = [row for row in shuffled if naive[row] == min(naive)][-1]
        assert again.stratified(1, np.random.default_rng(number)) == [last]


def taught(steps: int, policy: CarePolicy | None = None, *, start: int = 1) -> CarePolicy:
    policy = policy or CarePolicy(buffer=12)
    for step in range(start, start + steps):
        labelled_groups = [
            labelled(g, *((0, 1) if i % 2 else (2,))) for i, g in enumerate(EIGHT[:4])
        ]
        policy.learn(labelled_groups, view(EIGHT, step=step, seed=step))
    return policy


def scores(policy: CarePolicy) -> dict[str, float]:
    return dict(policy.choose(EIGHT, view(EIGHT, step=50, seed=9)).scores)


def test_a_policy_from_a_checkpoint_goes_on_bit_for_bit(tmp_path: Path) -> None:
    whole = taught(9)
    save(AcquisitionState(name="care", policy=taught(5)), tmp_path)
    resumed = CarePolicy(buffer=12)
    AcquisitionState(name="care", policy=resumed).load(tmp_path, seed=1, allowed=())
    taught(4, resumed, start=6)
    assert scores(resumed) == scores(whole)
    for name, tensor in whole.state()["replay"].items():
        assert torch.equal(resumed.state()["replay"][name], tensor)
    assert scores(taught(8)) != scores(whole)


def test_each_step_replays_other_examples() -> None:
    first, second = (
        AcquisitionState(name="care", policy=taught(6, CarePolicy(replayed=3))) for _ in "12"
    )
    losses = [
        acquisition_state.policy.learn([labelled(g, 2) for g in EIGHT[:2]], view(EIGHT, step=step))  # type: ignore[attr-defined]
        for acquisition_state, step in ((first, 90), (second, 91))
    ]
    assert losses[0] != losses[1]


def test_a_step_without_a_new_label_trains_on_remembered_ones() -> None:
    policy = taught(3)
    before = policy.state()["vote"]["head.1.weight"].clone()
    assert set(policy.learn([], view(EIGHT, step=4))) == {"vote", "count"}
    after = policy.state()
    assert not torch.equal(after["vote"]["head.1.weight"], before)
    assert len(after["replay"]["majority_N"]) == 12


def test_warm_up_counts_from_the_first_step_the_policy_has_seen(tmp_path: Path) -> None:
    late = CarePolicy(warmup_steps=3)
    assert late.choose(EIGHT, view(EIGHT, step=60)).trusted == ()
    assert late.choose(EIGHT, view(EIGHT, step=62)).trusted == ()
    save(AcquisitionState(name="care", policy=late), tmp_path)
    resumed = CarePolicy(warmup_steps=3)
    AcquisitionState(name="care", policy=resumed).load(tmp_path, seed=1, allowed=())
    assert resumed.choose(EIGHT, view(EIGHT, step=63)).trusted != ()


def test_a_prompt_without_a_vote_may_take_a_place_in_the_gate_and_trains_nothing() -> None:
    silent = groups_of(*([[None] * 4] * 7), ["1", "1", "2", "3"])
    chosen = CarePolicy(warmup_steps=0).choose(silent, view(silent, quota=8))
    assert len(chosen.trusted) == 2
    voteless = [name for name in chosen.trusted if name != "p7"]
    assert voteless
    assert len(chosen.selected) == 6, "what is trusted is not bought, with or without a vote"
    weights = pseudo_label_weights(
        [g.prompt.id for g in silent], unlabelled="trusted", selection=chosen, soft_adv=1.0
    )
    assert [weights[name] for name in voteless] == [0.0] * len(voteless)


def test_probes_that_do_not_fit_are_an_error_and_never_begin_anew(tmp_path: Path) -> None:
    save(AcquisitionState(name="care", policy=taught(2)), tmp_path)
    three = groups_of(["1", "2", "2"])
    resumed = CarePolicy()
    AcquisitionState(name="care", policy=resumed).load(tmp_path, seed=1, allowed=())
    with pytest.raises(CheckpointError, match=r"'group_size': 4.*'group_size': 3"):
        resumed.choose(three, view(three))
    narrow = CarePolicy(head_width=8)
    with pytest.raises(CheckpointError, match="do not fit"):
        AcquisitionState(name="care", policy=narrow).load(tmp_path, seed=1, allowed=())
    other = AcquisitionState(name="other", policy=CarePolicy())
    with pytest.raises(CheckpointError, match=r"probes of acquisition=care.*allow_change"):
        other.load(tmp_path, seed=1, allowed=())
    other.load(tmp_path, seed=1, allowed=("acquisition.name",))
    AcquisitionState(name="care", policy=narrow).load(tmp_path, seed=1, allowed=("acquisition",))
    assert narrow.state() == {}
    (tmp_path / FILE).unlink()
    with pytest.raises(CheckpointError, match="holds no probes"):
        AcquisitionState(name="care", policy=CarePolicy()).load(tmp_path, seed=1, allowed=())


def test_probes_of_an_earlier_version_are_refused_with_the_way_out(tmp_path: Path) -> None:
    save(AcquisitionState(name="care", policy=taught(2)), tmp_path)
    content = torch.load(tmp_path / FILE, weights_only=True)
    assert content["state"].pop("layout") == 2
    torch.save(content, tmp_path / FILE)
    resumed = CarePolicy()
    with pytest.raises(
        CheckpointError, match=r"acquisition\.pt.*earlier version.*allow_change=\[acquisition\]"
    ):
        AcquisitionState(name="care", policy=resumed).load(tmp_path, seed=1, allowed=())
    AcquisitionState(name="care", policy=resumed).load(tmp_path, seed=1, allowed=["acquisition"])
    assert resumed.state() == {}


def test_a_probe_file_with_code_in_it_is_refused(tmp_path: Path) -> None:
    torch.save({"version": 1, "name": "care", "state": Path("x")}, tmp_path / FILE)
    with pytest.raises(CheckpointError, match="cannot be read"):
        AcquisitionState(name="care", policy=CarePolicy()).load(tmp_path, seed=1, allowed=())


@pytest.mark.parametrize("settings", [{"gate": 1.5}, {"lr": 0.0}, {"buffer": -1}, {"updates": -3}])
def test_impossible_settings_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(settings))):
        CarePolicy(**settings)  # type: ignore[arg-type]


def synthetic(
    rng: np.random.Generator, names: Sequence[str]
) -> tuple[list[Group], View, list[LabelledGroup]]:
    """Groups whose hidden states say, through a fixed map and noise, what a label would."""
    groups, hidden, labelled_groups = [], {}, []
    direction = np.random.default_rng(5).standard_normal((3, 16))
    for name in names:
        kind = int(rng.integers(3))  # 0 right vote, 1 wrong with right ones elsewhere, 2 hopeless
        g = group(["1"] * 4 + ["2"] * 3 + ["3"], name=name)
        correct = {0: (0, 1, 2, 3), 1: (4, 5, 6), 2: ()}[kind]
        states = direction[kind] + 0.7 * rng.standard_normal((9, 16))
        hidden[name] = HiddenStates(
            prompt_D=states[0].astype(np.float32), responses_GD=states[1:].astype(np.float32)
        )
        groups.append(g)
        labelled_groups.append(labelled(g, *correct))
    seen = View(step_key=StepKey(seed=1, step=1), quota=13, hidden=hidden, max_response_tokens=6)
    return groups, seen, labelled_groups


def test_probes_find_the_largest_gaps_of_a_synthetic_task() -> None:
    """Recall of the true top-p set (p = 20%): at least 0.9 after 40 steps; by chance 0.2."""
    rng = np.random.default_rng(0)
    probes = Probes(Training(), hidden=16, group_size=8, seed=1)
    for step in range(1, 41):
        groups, seen, labelled_groups = synthetic(rng, [f"t{step}-{i}" for i in range(13)])
        probes.learn(examples_of(labelled_groups, seen), StepKey(seed=1, step=step))
    policy = CarePolicy()
    policy._probes, policy._begun = probes, 1
    groups, seen, labelled_groups = synthetic(rng, [f"x{i}" for i in range(200)])
    seen = replace(seen, quota=40, step_key=StepKey(seed=1, step=41))
    selection = policy.choose(groups, seen)
    valuable = {x.group.prompt.id for x in labelled_groups if any(x.correct[4:])}
    assert len(valuable) > 40
    assert sum(name in valuable for name in selection.selected) / 40 >= 0.9
    right = {x.group.prompt.id for x in labelled_groups if x.correct[0]}
    assert sum(name in right for name in selection.trusted) / len(selection.trusted) >= 0.9
