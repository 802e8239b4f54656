from __future__ import annotations

import math
from dataclasses import dataclass, replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rlavr_hpc.learning.advantages import group_advantages
from rlavr_hpc.learning.label_free_rewards import (
    ProbabilityReward,
    SelfCertaintyReward,
    TokenEntropyReward,
    TrajectoryEntropyReward,
)
from rlavr_hpc.learning.logprobs import token_logprobs, token_scores
from rlavr_hpc.learning.loss import TokenBatch
from rlavr_hpc.learning.losses.grpo import GrpoLoss
from rlavr_hpc.learning.micro_batch_packing import split_micro_batches
from rlavr_hpc.learning.rewards import (
    PseudoReward,
    VoteReward,
    assign_rewards,
    pseudo_label_weights,
)
from rlavr_hpc.plugins import load_plugin
from rlavr_hpc.training_types import Sample
from rlavr_hpc.types import Group, ResponseScore, Selection, SelfRewardInputs
from tests.support.batches import mini_batches_of
from tests.support.groups import group


def test_advantages_are_normalized_by_the_population_spread() -> None:
    assert group_advantages([1, 0, 0, 0]) == pytest.approx((math.sqrt(3), *[-1 / math.sqrt(3)] * 3))
    assert group_advantages([1, 1]) == (0.0, 0.0)
    assert group_advantages([3.0, -0.5]) == pytest.approx((1.0, -1.0))


@given(st.lists(st.floats(-3, 3), min_size=2, max_size=16))
def test_advantages_have_mean_zero_and_norm_root_g(rewards: list[float]) -> None:
    advantages = group_advantages(rewards)
    assert sum(advantages) == pytest.approx(0, abs=1e-6)
    norm = math.sqrt(sum(a * a for a in advantages))
    assert norm == pytest.approx(math.sqrt(len(rewards)), abs=1e-6) or norm == 0.0


def signals_of(unlabelled: str) -> list[tuple[tuple[float, ...], float, bool]]:
    bought, other, silent = (
        group(["1", "2"], name="a"),
        group(["1", "1"], name="b"),
        group([None, None], name="c"),
    )
    made = assign_rewards(
        [bought, other, silent],
        by_label={"a": (0.0, 1.0)},
        by_vote={"a": (1.0, 0.0), "b": (1.0, 1.0), "c": (-3.0, -3.0)},
        pseudo=VoteReward(),
        own={name: SelfRewardInputs() for name in "abc"},
        trust=pseudo_label_weights(
            "abc", unlabelled=unlabelled, selection=Selection(selected=()), soft_adv=1.0
        ),
    )
    return [(s.rewards, s.weight, s.bought) for s in made]


def test_bought_prompts_train_on_the_label_and_others_on_the_vote() -> None:
    assert signals_of("pseudo") == [
        ((0.0, 1.0), 1.0, True),
        ((1.0, 1.0), 1.0, False),
        ((0.0, 0.0), 1.0, False),
    ]
    assert [weight for _, weight, _ in signals_of("drop")] == [1.0, 0.0, 0.0]


def test_a_vote_is_trusted_less_where_its_label_would_be_worth_more() -> None:
    selection = Selection(selected=(), scores={"a": 0, "b": 2, "c": 4})
    trust = pseudo_label_weights("abcd", unlabelled="soft", selection=selection, soft_adv=0.5)
    assert trust == pytest.approx(
        {"a": 1.0, "b": math.exp(-0.5), "c": math.exp(-1.0), "d": math.exp(-0.5)}
    )
    no_gap = Selection(selected=(), scores={"a": 0.0, "b": 0.0})
    nothing = pseudo_label_weights("ab", unlabelled="soft", selection=no_gap, soft_adv=1.0)
    assert nothing == {"a": 1.0, "b": 1.0}


def test_only_votes_the_policy_trusts_are_trained_on_and_never_with_more_than_weight_1() -> None:
    selection = Selection(
        selected=(), scores={"a": 3.0, "b": 0.0, "c": 3.0, "d": 0.5}, trusted=("d", "b", "a")
    )
    trust = pseudo_label_weights("abcde", unlabelled="trusted", selection=selection, soft_adv=1.0)
    assert trust == {"a": 1.0, "b": 0.0, "c": 0.0, "d": 0.5, "e": 0.0}
    assert pseudo_label_weights("a", unlabelled="trusted", selection=selection, soft_adv=0.1) == {
        "a": pytest.approx(0.3)
    }
    scoreless = Selection(selected=(), trusted=("a",))
    assert pseudo_label_weights("ab", unlabelled="trusted", selection=scoreless, soft_adv=0.0) == {
        "a": 1.0,
        "b": 0.0,
    }


def mini_batches(groups: list[Group], bought: set[str], size: int) -> list[tuple[int, int]]:
    signals = assign_rewards(
        groups,
        by_label=dict.fromkeys(bought, (1.0, 0.0)),
        by_vote={g.prompt.id: (1.0, 0.0) for g in groups},
        pseudo=VoteReward(),
        own={g.prompt.id: SelfRewardInputs() for g in groups},
        trust=dict.fromkeys((g.prompt.id for g in groups), 0.0),
    )
    return [(len(m.samples), m.response_tokens) for m in mini_batches_of(signals, mini_batch=size)]


def test_dropped_prompts_cost_no_backward_but_stay_in_the_divisor() -> None:
    groups = [group(["1", "2"], name=f"p{i}") for i in range(4)]
    assert mini_batches(groups, {"p1"}, 2) == [(2, 12), (1, 12)]
    assert mini_batches(groups, {"p1", "p3"}, 4) == [(4, 24)]


def sample(length: int, advantage: float = 1.0) -> Sample:
    return Sample(
        key=("p", length),
        prompt_ids=(1,),
        response_ids=(2,) * length,
        sampler_logprobs=(-1.0,) * length,
        advantage=advantage,
    )


@given(
    lengths=st.lists(st.integers(1, 30), min_size=1, max_size=40),
    ranks=st.integers(1, 4),
    micro=st.integers(1, 9),
)
def test_every_sample_is_dealt_once_and_every_rank_makes_as_many_passes(
    lengths: list[int], ranks: int, micro: int
) -> None:
    samples = [sample(n) for n in lengths]
    shares = split_micro_batches(samples, ranks=ranks, micro_batch=micro)
    real = [s for share in shares for batch in share for s, padding in batch if not padding]
    assert sorted(map(id, real)) == sorted(map(id, samples))
    assert len({tuple(len(batch) for batch in share) for share in shares}) == 1
    assert all(len(batch) <= micro for share in shares for batch in share)
    again = split_micro_batches(samples, ranks=ranks, micro_batch=micro)
    assert identities(again) == identities(shares), "scores are looked up by a sample's identity"


def identities(shares: list[list[list[tuple[Sample, bool]]]]) -> list[int]:
    return [id(sample) for share in shares for batch in share for sample, _ in batch]


Scores = tuple[torch.Tensor, torch.Tensor]


def plain_logprobs(
    hidden: torch.Tensor, weight: torch.Tensor, target: torch.Tensor, temperature: float
) -> Scores:
    logp = ((hidden @ weight.T) / temperature).log_softmax(-1)
    entropy = -(logp.exp() * logp).sum(-1)
    return logp.gather(-1, target[:, None])[:, 0], entropy


def slopes(scores: Scores, slope: torch.Tensor, *inputs: torch.Tensor) -> list[torch.Tensor]:
    """Gradients of the weighted log-probabilities, then the scores themselves."""
    logp, entropy = scores
    return [*torch.autograd.grad((logp * slope).sum(), inputs), logp.detach(), entropy.detach()]


@pytest.mark.parametrize("chunk", [1, 3, 100])
@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_chunked_logprobs_equal_the_full_softmax_with_its_gradients(
    chunk: int, temperature: float
) -> None:
    torch.manual_seed(0)
    h, w = torch.randn(7, 5).requires_grad_(), torch.randn(11, 5).requires_grad_()
    target, slope = torch.randint(0, 11, (7,)), torch.randn(7)
    mine = token_logprobs(h, w, target, temperature=temperature, chunk=chunk)
    plain = plain_logprobs(h, w, target, temperature)
    for ours, theirs in zip(slopes(mine, slope, h, w), slopes(plain, slope, h, w), strict=True):
        torch.testing.assert_close(ours, theirs)


def tokens(
    advantages: list[float],
    sampler: list[float],
    old: list[float] | None = None,
    counted: list[float] | None = None,
) -> TokenBatch:
    return TokenBatch(
        advantage_R=torch.tensor(advantages),
        sampler_logp_R=torch.tensor(sampler),
        old_logp_R=None if old is None else torch.tensor(old),
        loss_mask_R=torch.tensor(counted or [1.0] * len(advantages)),
        lengths_N=torch.ones(len(advantages), dtype=torch.int64),
    )


def test_on_policy_the_gradient_is_the_advantage_weighted_score() -> None:
    logp = torch.tensor([-1.0, -2.0], requires_grad=True)
    loss = GrpoLoss()(logp, tokens([2.0, -1.0], [-1.0, -2.0])).loss
    [gradient] = torch.autograd.grad(loss, logp)
    assert gradient.tolist() == pytest.approx([-2.0, 1.0])


def test_the_ratio_is_clipped_low_and_high_apart() -> None:
    logp = torch.log(torch.tensor([1.5, 0.5, 1.5, 0.5]))
    batch = tokens([4.0, 1.0, -1.0, -2.0], [0.0] * 4, old=[0.0] * 4)
    result = GrpoLoss(clip_low=0.2, clip_high=0.3)(logp, batch)
    assert result.loss.item() == pytest.approx(-(4 * 1.3 + 0.5 - 1.5 - 2 * 0.8))
    assert (result.stats["clip_low"].item(), result.stats["clip_high"].item()) == (1.0, 1.0)


def test_the_sampler_ratio_is_truncated_at_its_cap() -> None:
    logp = torch.log(torch.tensor([0.8, 0.4]))
    sampler = torch.log(torch.tensor([0.1, 0.8])).tolist()
    result = GrpoLoss(sampler_ratio_cap=2.0)(logp, tokens([1.0, 1.0], sampler))
    assert result.loss.item() == pytest.approx(-(2.0 + 0.5))
    assert result.stats["sampler_truncated"].item() == 1.0
    off = GrpoLoss(sampler_ratio_cap=None)(logp, tokens([1.0, 1.0], sampler))
    assert off.loss.item() == pytest.approx(-2.0)


def test_the_kl_term_is_k3_and_pulls_towards_the_reference() -> None:
    logp = torch.tensor([-1.0, -2.0], requires_grad=True)
    batch = replace(
        tokens([0.0, 0.0], [-1.0, -2.0], counted=[1.0, 0.0]),
        reference_logp_R=torch.tensor([-1.5, -9.0]),
    )
    result = GrpoLoss(kl_coef=0.1)(logp, batch)
    kl = math.exp(-0.5) + 0.5 - 1
    assert result.stats["reference_kl"].item() == pytest.approx(kl)
    assert result.loss.item() == pytest.approx(0.1 * kl)
    [gradient] = torch.autograd.grad(result.loss, logp)
    assert gradient.tolist() == pytest.approx([0.1 * (1 - math.exp(-0.5)), 0.0])


def test_padding_samples_count_in_no_figure() -> None:
    logp = torch.tensor([-1.0, -5.0])
    result = GrpoLoss()(logp, tokens([1.0, 0.0], [-1.0, -1.0], counted=[1.0, 0.0]))
    assert result.stats["tokens"].item() == 1.0
    assert result.stats["sampler_gap"].item() == 0.0


@dataclass(frozen=True)
class ConstantReward:
    """A reward made for this test: one file and a YAML with its target are all it takes."""

    value: float = 0.5

    def of(self, group: Group, by_vote: object) -> tuple[float, ...]:
        return (self.value,) * len(group.rollouts)


def test_a_new_reward_is_a_class_and_a_target() -> None:
    target = f"{__name__}:ConstantReward"
    reward = load_plugin(target, {"value": 0.25}, where="reward")
    assert reward.of(group(["1"]), ()) == (0.25,)


@pytest.mark.parametrize(
    ("target", "settings", "message"),
    [
        (
            "rlavr_hpc.learning.losses.grpo:GrpoLoss",
            {"clip": 1},
            r"loss\.settings\.clip: no such setting",
        ),
        ("rlavr_hpc.learning.losses.grpo:GrpoLoss", {"clip_low": 2}, "clip_low must be in"),
        ("rlavr_hpc.learning.loss:Nothing", {}, "Nothing"),
        ("rlavr_hpc.nowhere:X", {}, "nowhere"),
        ("os:system", {}, "not a dataclass"),
        ("nonsense", {}, "package.module:Class"),
    ],
)
def test_a_wrong_plugin_is_refused(target: str, settings: dict[str, float], message: str) -> None:
    from rlavr_hpc.errors import UserError

    with pytest.raises(UserError, match=message):
        load_plugin(target, settings, where="loss")


def test_self_certainty_is_the_divergence_of_the_uniform_distribution() -> None:
    torch.manual_seed(0)
    hidden_RD, weight_VD = torch.randn(5, 4), torch.randn(7, 4)
    target_R = torch.tensor([0, 6, 3, 3, 1])
    logp_R, entropy_R, mine_R = token_scores(
        hidden_RD, weight_VD, target_R, temperature=0.7, chunk=2
    )
    logp_RV = (hidden_RD @ weight_VD.T / 0.7).log_softmax(-1)
    uniform_RV = torch.full_like(logp_RV, 1 / 7)
    expected_R = (uniform_RV * (uniform_RV.log() - logp_RV)).sum(-1)
    assert torch.allclose(mine_R, expected_R, atol=1e-5)
    assert torch.allclose(logp_R, logp_RV.gather(-1, target_R[:, None])[:, 0], atol=1e-5)
    assert torch.allclose(entropy_R, -(logp_RV.exp() * logp_RV).sum(-1), atol=1e-5)
    nothing_RD = torch.zeros(1, 4)
    even_R = token_scores(nothing_RD, weight_VD, target_R[:1], temperature=1.0, chunk=8)[2]
    assert even_R.abs() < 1e-6


def test_label_free_rewards_are_what_their_names_say() -> None:
    responses = [
        ResponseScore(
            logp_sum=-2.0, logp_mean=-0.5, prob_mean=0.6, entropy_mean=0.8, certainty_mean=1.5
        ),
        ResponseScore(
            logp_sum=-1.0, logp_mean=-0.1, prob_mean=0.9, entropy_mean=0.2, certainty_mean=3.0
        ),
    ]
    voted = group(["1", "2"])
    expected: list[tuple[PseudoReward, tuple[float, float]]] = [
        (SelfCertaintyReward(), (1.5, 3.0)),
        (TokenEntropyReward(), (-0.8, -0.2)),
        (TrajectoryEntropyReward(), (-0.5, -0.1)),
        (ProbabilityReward(), (math.exp(-2), math.exp(-1))),
    ]
    for reward, values in expected:
        assert reward.of(voted, (1.0, 0.0), SelfRewardInputs(scores=responses)) == pytest.approx(
            values
        )
