"""Every loss and KL estimator on values worked out by hand, and whatever an update is cut into."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from math import exp, log
from typing import Any

import pytest
import torch

from rlavr_hpc.config.algorithm import AlgorithmConfig
from rlavr_hpc.config.plugin import PluginConfig
from rlavr_hpc.errors import UserError
from rlavr_hpc.learning.kl import ESTIMATORS
from rlavr_hpc.learning.loss import PolicyLoss, RatioLoss, TokenBatch, loss_divisor
from rlavr_hpc.learning.losses.cispo import CispoLoss
from rlavr_hpc.learning.losses.dr_grpo import DrGrpoLoss
from rlavr_hpc.learning.losses.grpo import GrpoLoss
from rlavr_hpc.learning.losses.gspo import GspoLoss
from rlavr_hpc.learning.losses.rloo import RlooLoss
from rlavr_hpc.learning.micro_batch_packing import MicroBatch
from rlavr_hpc.plugins import load_plugin
from rlavr_hpc.trainer.policy.collate import MicroBatches
from rlavr_hpc.training_types import MiniBatch, Sample, TrainingGroup
from tests.support.batches import mini_batches_of
from tests.support.configs import composed
from tests.support.groups import group

PRESETS: dict[str, tuple[type[RatioLoss], str]] = {
    "grpo": (GrpoLoss, "normalized"),
    "dapo": (GrpoLoss, "normalized"),
    "dr_grpo": (DrGrpoLoss, "centred"),
    "gspo": (GspoLoss, "normalized"),
    "cispo": (CispoLoss, "normalized"),
    "rloo": (RlooLoss, "leave_one_out"),
}


@cache
def plugin_of(name: str) -> PluginConfig:
    return composed(f"algorithm={name}").algorithm.loss


def loss_of(name: str, **settings: float | str | None) -> RatioLoss:
    """What `algorithm=NAME` composes to."""
    plugin = plugin_of(name)
    loss = load_plugin(plugin.target, {**plugin.settings, **settings}, where="algorithm.loss")
    assert isinstance(loss, RatioLoss)
    return loss


def tokens(
    advantages: Sequence[float],
    *,
    old: Sequence[float] | None,
    lengths: Sequence[int],
    sampler: Sequence[float] | None = None,
    counted: Sequence[float] | None = None,
    reference: Sequence[float] | None = None,
) -> TokenBatch:
    size = len(advantages)
    return TokenBatch(
        advantage_R=torch.tensor(advantages),
        sampler_logp_R=torch.tensor(sampler or old or [0.0] * size),
        old_logp_R=None if old is None else torch.tensor(old),
        loss_mask_R=torch.tensor(counted or [1.0] * size),
        lengths_N=torch.tensor(lengths),
        reference_logp_R=None if reference is None else torch.tensor(reference),
    )


def value_and_slope(
    loss: PolicyLoss, logp: Sequence[float], batch: TokenBatch
) -> tuple[float, list[float]]:
    logp_R = torch.tensor(logp, requires_grad=True)
    value = loss(logp_R, batch).loss
    [slope_R] = torch.autograd.grad(value, logp_R)
    return value.item(), slope_R.tolist()


@pytest.mark.parametrize(("name", "kind"), PRESETS.items())
def test_a_preset_names_its_loss_and_its_advantage(
    name: str, kind: tuple[type[RatioLoss], str]
) -> None:
    algorithm = composed(f"algorithm={name}").algorithm
    assert (type(loss_of(name)), str(algorithm.advantage)) == kind
    assert algorithm.loss.name == name
    assert composed(f"algorithm/loss={name}").algorithm.loss == algorithm.loss
    limit = composed("rollout.max_response_tokens=77", f"algorithm={name}").algorithm
    assert limit.loss.settings.get("length") == (77 if name == "dr_grpo" else None)


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("grpo", GrpoLoss()),
        ("dapo", GrpoLoss(clip_high=0.28)),
        ("gspo", GspoLoss()),
        ("cispo", CispoLoss()),
        ("rloo", RlooLoss()),
        ("dr_grpo", DrGrpoLoss(length=8)),
    ],
)
def test_a_yaml_and_its_class_have_the_same_defaults(name: str, plain: RatioLoss) -> None:
    assert loss_of(name) == plain


def test_every_loss_takes_the_settings_of_the_experiments() -> None:
    for name in PRESETS:
        settings = composed(f"algorithm={name}", "experiment=math").algorithm.loss.settings
        assert (settings["kl_coef"], settings["kl_estimator"]) == (0.0, "k3")


def test_dapo_lets_an_unlikely_token_rise_further_and_fall_no_further() -> None:
    ratios = [1.25, 1.5, 0.5, 0.5]
    batch = tokens([1.0, 1.0, 1.0, -1.0], old=[-2.0] * 4, lengths=[4])
    value, slope = value_and_slope(loss_of("dapo"), [log(r) - 2 for r in ratios], batch)
    assert value == pytest.approx(-(1.25 + 1.28 + 0.5 - 0.8))
    assert slope == pytest.approx([-1.25, 0.0, -0.5, 0.0])
    value, slope = value_and_slope(loss_of("grpo"), [log(r) - 2 for r in ratios], batch)
    assert value == pytest.approx(-(1.2 + 1.2 + 0.5 - 0.8))
    assert slope == pytest.approx([0.0, 0.0, -0.5, 0.0])


def test_gspo_has_one_ratio_per_response_and_clips_whole_responses() -> None:
    # means of the log ratios: 0.1, so s = 1.105, and -0.3, so s = 0.741, which 0.8 cuts
    logp, old = [-0.8, -1.0, -1.3], [-1.0, -1.0, -1.0]
    batch = tokens([2.0, 2.0, -1.0], old=old, lengths=[2, 1])
    value, slope = value_and_slope(loss_of("gspo", clip_low=0.2, clip_high=0.2), logp, batch)
    assert value == pytest.approx(-(2 * exp(0.1) - 0.8))
    assert slope == pytest.approx([-exp(0.1), -exp(0.1), 0.0])
    tight = GspoLoss()(torch.tensor(logp), batch)
    assert tight.loss.item() == pytest.approx(-(2 * (1 + 4e-4) - (1 - 3e-4)))
    assert (tight.stats["clip_high"].item(), tight.stats["clip_low"].item()) == (2.0, 1.0)
    assert tight.largest["ratio"].item() == pytest.approx(exp(0.1))


def test_gspo_is_the_formula_of_the_paper_with_the_gradient_through_the_ratio() -> None:
    draw = torch.Generator().manual_seed(3)
    lengths, advantages = [3, 1, 4], [0.7, -1.2, 0.4]
    logp_R = torch.randn(8, generator=draw, requires_grad=True)
    old_R = logp_R.detach() + 0.1 * torch.randn(8, generator=draw)
    advantage_R = torch.tensor(advantages).repeat_interleave(torch.tensor(lengths))
    batch = tokens(advantage_R.tolist(), old=old_R.tolist(), lengths=lengths)
    mine = GspoLoss(clip_low=0.5, clip_high=0.5)(logp_R, batch).loss
    ratios = [
        (a - b).mean().exp()
        for a, b in zip(logp_R.split(lengths), old_R.split(lengths), strict=True)
    ]
    plain = -torch.stack([s * a for s, a in zip(ratios, advantages, strict=True)]).sum()
    torch.testing.assert_close(mine, plain)
    torch.testing.assert_close(*(torch.autograd.grad(x, logp_R)[0] for x in (mine, plain)))


def test_gspo_weighs_a_response_against_the_sampler_as_a_whole() -> None:
    # trainer over sampler: exp(0.4) and exp(0) make exp(0.2); exp(3) is cut at 2
    sampler = [-1.4, -1.0, -4.0]
    batch = tokens([1.0, 1.0, 1.0], old=[-1.0] * 3, lengths=[2, 1], sampler=sampler)
    result = loss_of("gspo")(torch.tensor([-1.0] * 3), batch)
    assert result.loss.item() == pytest.approx(-(exp(0.2) + 2.0))
    assert result.stats["sampler_truncated"].item() == 1.0


def test_cispo_clips_the_weight_and_leaves_every_token_its_gradient() -> None:
    ratios, old = [6.0, 0.5, 1.5], [-3.0, -1.0, -1.0]
    logp = [o + log(r) for o, r in zip(old, ratios, strict=True)]
    batch = tokens([1.0, -2.0, 1.0], old=old, lengths=[2, 1])
    value, slope = value_and_slope(loss_of("cispo"), logp, batch)
    assert value == pytest.approx(-(5 * logp[0] - 2 * 0.5 * logp[1] + 1.5 * logp[2]))
    assert slope == pytest.approx([-5.0, 1.0, -1.5])
    _, slope = value_and_slope(loss_of("cispo", clip_low=0.2, clip_high=0.2), logp, batch)
    assert slope == pytest.approx([-1.2, 1.6, -1.2])
    stats = loss_of("cispo")(torch.tensor(logp), batch).stats
    assert (stats["clip_high"].item(), stats["clip_low"].item()) == (1.0, 0.0)


def test_rloo_is_reinforce_on_whole_responses_and_corrects_later_updates() -> None:
    batch = tokens([2.0, 2.0, -1.0], old=None, lengths=[2, 1], sampler=[-1.0, -2.0, -0.5])
    value, slope = value_and_slope(loss_of("rloo"), [-1.0, -2.0, -0.5], batch)
    assert value == pytest.approx(-(2 * (-1.0 - 2.0) + 0.5))
    assert slope == pytest.approx([-2.0, -2.0, 1.0])
    later = tokens([2.0, 2.0, -1.0], old=[-1.0 - log(3), -2.0, -0.5], lengths=[2, 1])
    _, slope = value_and_slope(loss_of("rloo"), [-1.0, -2.0, -0.5], later)
    assert slope == pytest.approx([-6.0, -2.0, 1.0])


@pytest.mark.parametrize(
    ("name", "divisor"),
    [("grpo", 10), ("dapo", 10), ("cispo", 10), ("gspo", 4), ("rloo", 4), ("dr_grpo", 4 * 8)],
)
def test_a_loss_is_divided_by_its_tokens_its_responses_or_a_constant(
    name: str, divisor: int
) -> None:
    batch = MiniBatch(samples=[], response_tokens=10, responses=4)
    assert loss_divisor(loss_of(name), batch) == divisor
    nothing = MiniBatch(samples=[], response_tokens=0, responses=0)
    assert loss_divisor(loss_of(name), nothing) == 1


class Plain:
    """A loss of one's own without a divisor."""

    needs_reference = False

    def __call__(self, logp_R: torch.Tensor, tokens: TokenBatch) -> Any:  # noqa: ANN401
        raise NotImplementedError


def test_a_loss_of_ones_own_is_a_mean_over_tokens_unless_it_says_otherwise() -> None:
    assert loss_divisor(Plain(), MiniBatch(samples=[], response_tokens=10, responses=4)) == 10


SAMPLES = [
    Sample(
        key=("p", i),
        prompt_ids=(1,) * (1 + i % 3),
        response_ids=(2,) * n,
        sampler_logprobs=tuple(-1.0 - 0.1 * t for t in range(n)),
        advantage=a,
    )
    for i, (n, a) in enumerate(
        [(3, 1.0), (1, -0.5), (7, 0.25), (2, -2.0), (5, 1.5), (4, -1.0), (6, 0.75)]
    )
]


def known(samples: Sequence[Sample], seed: int, spread: float) -> dict[tuple[str, int], Any]:
    draw = torch.Generator().manual_seed(seed)
    return {
        s.key: torch.tensor(s.sampler_logprobs)
        + spread * torch.randn(len(s.response_ids), generator=draw)
        for s in samples
    }


def summed(
    loss: PolicyLoss,
    samples: Sequence[Sample],
    ranks: int,
    micro_batch: int = 64,
    micro_tokens: int | None = None,
) -> tuple[float, list[float], dict[str, float]]:
    """Loss, its gradient in sample order, and figures, over all ranks and passes."""
    micro = MicroBatches(
        algorithm=AlgorithmConfig(micro_batch=micro_batch, micro_tokens=micro_tokens),
        ranks=ranks,
        pad_id=0,
        device=torch.device("cpu"),
        packed=micro_tokens is not None,
    )
    now, old, reference = (known(samples, seed, 0.3) for seed in (1, 2, 3))
    now = {key: value.requires_grad_() for key, value in now.items()}

    def flat(table: dict[tuple[str, int], Any], part: MicroBatch) -> torch.Tensor:
        return torch.cat([table[s.key] for s, _ in part])

    results = [
        loss(flat(now, part), micro.tokens(part, old, reference=flat(reference, part)))
        for share in micro.split(samples)
        for part in share
    ]
    whole = torch.stack([result.loss for result in results]).sum()
    slopes = torch.cat(torch.autograd.grad(whole, [now[s.key] for s in samples]))
    figures = {name: sum(float(r.stats[name]) for r in results) for name in results[0].stats}
    return whole.item(), slopes.tolist(), figures


@pytest.mark.parametrize("name", PRESETS)
def test_neither_ranks_nor_micro_batches_nor_packing_change_a_loss(name: str) -> None:
    loss = loss_of(name, kl_coef=0.1, kl_estimator="k2")
    value, slope, figures = summed(loss, SAMPLES, 1)
    for ranks, micro_batch, micro_tokens in (
        (1, 1, None),
        (2, 3, None),
        (3, 2, None),
        (2, 64, 9),
        (4, 64, 64),
    ):
        again = summed(loss, SAMPLES, ranks, micro_batch, micro_tokens)
        assert again[0] == pytest.approx(value, rel=1e-5)
        assert again[1] == pytest.approx(slope, rel=1e-5, abs=1e-6)
        assert again[2] == pytest.approx(figures, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("name", PRESETS)
def test_dropping_what_does_not_move_changes_neither_loss_nor_divisor(name: str) -> None:
    signals = [
        TrainingGroup(
            group=group(["1", "2", "1", "3"], name="a"),
            rewards=(1.0, 0.0, 1.0, 0.0),
            weight=1.0,
            bought=True,
        ),
        TrainingGroup(
            group=group(["1", "1", "1", "1"], name="b"),
            rewards=(1.0,) * 4,
            weight=1.0,
            bought=False,
        ),
        TrainingGroup(
            group=group(["1", "2", "3", "4"], name="c"),
            rewards=(1.0, 0.0, 0.0, 0.0),
            weight=0.0,
            bought=False,
        ),
    ]
    loss = loss_of(name)
    [dropped] = mini_batches_of(signals, mini_batch=3)
    [kept] = mini_batches_of(signals, mini_batch=3, keep_all=True)
    assert (len(dropped.samples), len(kept.samples)) == (4, 12)
    assert (dropped.response_tokens, dropped.responses) == (36, 12)
    assert loss_divisor(loss, dropped) == loss_divisor(loss, kept)
    few, all_of_them = (summed(loss, batch.samples, 1) for batch in (dropped, kept))
    assert few[0] == pytest.approx(all_of_them[0], rel=1e-5)
    assert few[1] == pytest.approx(all_of_them[1][:12], rel=1e-5)
    assert all_of_them[1][12:] == [0.0] * 24


@pytest.mark.parametrize(
    ("name", "value", "slope"),
    [
        ("k1", 0.5, 0.5),
        ("k2", 0.125, 0.5),
        ("k3", exp(-0.5) + 0.5 - 1, 1 - exp(-0.5)),
    ],
)
def test_a_kl_term_is_what_its_estimator_says(name: str, value: float, slope: float) -> None:
    batch = tokens(
        [0.0, 0.0, 0.0],
        old=[-1.0, -1.0, -2.0],
        lengths=[2, 1],
        counted=[1.0, 1.0, 0.0],
        reference=[-1.5, -1.0, -9.0],
    )
    loss = GrpoLoss(kl_coef=0.1, kl_estimator=name)
    found = value_and_slope(loss, [-1.0, -1.0, -2.0], batch)
    assert found[0] == pytest.approx(0.1 * value)
    assert found[1] == pytest.approx([0.1 * slope, 0.0, 0.0])
    told = loss(torch.tensor([-1.0, -1.0, -2.0]), batch).stats["reference_kl"].item()
    assert told == pytest.approx(exp(-0.5) + 0.5 - 1), "the record compares whatever is minimized"
    halved = value_and_slope(GspoLoss(kl_coef=0.1, kl_estimator=name), [-1.0, -1.0, -2.0], batch)
    assert halved[0] == pytest.approx(0.1 * value / 2), "a mean over the response's tokens"


@pytest.mark.parametrize(("name", "backwards"), [("k1", False), ("k2", False), ("k3", True)])
def test_the_mean_gradient_of_an_estimator_is_that_of_the_kl_it_names(
    name: str, backwards: bool
) -> None:
    """Over all tokens of a small vocabulary, weighted with the probability of being drawn."""
    logits_V = torch.tensor([0.3, -1.0, 0.8, 0.1], requires_grad=True)
    reference_V = torch.tensor([-0.2, 0.4, 0.1, -1.5]).log_softmax(-1)
    logp_V = logits_V.log_softmax(-1)
    mean = (logp_V.detach().exp() * ESTIMATORS[name](logp_V, reference_V)).sum()
    left_V, right_V = (reference_V, logp_V) if backwards else (logp_V, reference_V)
    divergence = (left_V.exp() * (left_V - right_V)).sum()
    torch.testing.assert_close(
        *(torch.autograd.grad(x, logits_V, retain_graph=True)[0] for x in (mean, divergence))
    )


@pytest.mark.parametrize("name", PRESETS)
def test_a_loss_refuses_what_makes_no_sense(name: str) -> None:
    with pytest.raises(UserError, match="kl_estimator='k4' is not one of"):
        loss_of(name, kl_estimator="k4")
    with pytest.raises(UserError, match="kl_coef must not be negative"):
        loss_of(name, kl_coef=-1.0)
    with pytest.raises(UserError, match="sampler_ratio_cap must be at least 1"):
        loss_of(name, sampler_ratio_cap=0.5)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: CispoLoss(clip_low=1.5), "clip_low must be in"),
        (lambda: GspoLoss(clip_high=0.0), "clip_high above 0"),
        (lambda: DrGrpoLoss(length=0), "length must be at least 1"),
        (lambda: DrGrpoLoss(length=5, clip_low=0.0), "clip_low must be in"),
    ],
)
def test_bounds_and_lengths_are_checked(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_a_clip_that_nothing_is_cut_by_is_no_setting_of_rloo() -> None:
    with pytest.raises(UserError, match=r"settings\.clip_low: no such setting"):
        loss_of("rloo", clip_low=0.2)


@pytest.mark.parametrize("name", PRESETS)
def test_padding_moves_nothing_and_counts_nowhere(name: str) -> None:
    loss = loss_of(name, kl_coef=0.1)
    batch = tokens(
        [1.0, 1.0, 0.0],
        old=[-1.0, -2.0, -9.0],
        lengths=[2, 1],
        counted=[1.0, 1.0, 0.0],
        reference=[-1.0, -1.0, -1.0],
    )
    whole = value_and_slope(loss, [-1.1, -2.1, -3.0], batch)
    short = replace(
        tokens([1.0, 1.0], old=[-1.0, -2.0], lengths=[2]),
        reference_logp_R=torch.tensor([-1.0, -1.0]),
    )
    alone = value_and_slope(loss, [-1.1, -2.1], short)
    assert whole[0] == pytest.approx(alone[0])
    assert whole[1] == pytest.approx([*alone[1], 0.0])
