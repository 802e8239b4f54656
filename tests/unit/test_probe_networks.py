"""The probes' layers and losses, one by one: shapes, order, gradients, statistics."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import nn

from rlavr_hpc.acquisition.probes.features import Examples, Features
from rlavr_hpc.acquisition.probes.networks import CountProbe, VoteProbe, Widths
from rlavr_hpc.acquisition.probes.pair import Probes, Training
from rlavr_hpc.types import StepKey

HIDDEN, GROUP, CLASSES = 6, 4, 5
PROMPT = HIDDEN + 1 + GROUP
SMALL = Widths(prompt=3, response_inner=5, response=4, head=7)


def layers(network: nn.Module) -> list[tuple[str, int, int]]:
    """Each layer's kind, inputs and outputs, in the order in which they were made."""
    found = []
    for module in network.modules():
        if isinstance(module, nn.Linear):
            found.append(("Linear", module.in_features, module.out_features))
        elif isinstance(module, nn.BatchNorm1d):
            found.append(("BatchNorm", module.num_features, module.num_features))
        elif isinstance(module, nn.ReLU):
            found.append(("act", 0, 0))
    return found


def branch_layers(response_features: int) -> list[tuple[str, int, int]]:
    return [
        ("BatchNorm", PROMPT, PROMPT),
        ("Linear", PROMPT, 128),
        ("act", 0, 0),
        ("BatchNorm", response_features, response_features),
        ("Linear", response_features, 64),
        ("act", 0, 0),
        ("Linear", 64, 512),
        ("act", 0, 0),
    ]


def head_layers(outputs: int) -> list[tuple[str, int, int]]:
    return [
        ("BatchNorm", 640, 640),
        ("Linear", 640, 256),
        ("act", 0, 0),
        ("Linear", 256, outputs),
    ]


def test_the_layers_are_the_papers_in_its_order() -> None:
    vote = VoteProbe(prompt_features=PROMPT, hidden=HIDDEN, widths=Widths())
    assert layers(vote) == [*branch_layers(HIDDEN + 1), *head_layers(2), *head_layers(2)]
    assert layers(vote.pair_head) == head_layers(2)
    count = CountProbe(prompt_features=PROMPT, hidden=HIDDEN, classes=CLASSES, widths=Widths())
    assert layers(count) == [*branch_layers(HIDDEN), *head_layers(CLASSES)]


def examples_of(
    outside: Sequence[Sequence[int]], correct: Sequence[Sequence[int]], right: Sequence[int]
) -> Examples:
    """Examples with random states; `outside`, `correct` and `right` as in the records."""
    rng = torch.Generator().manual_seed(3)
    count = len(right)
    allowed = torch.zeros(count, CLASSES, dtype=torch.bool)
    allowed[:, 0] = True
    inside = 1 - torch.tensor(outside)
    elsewhere = (torch.tensor(correct) * torch.tensor(outside)).sum(1)
    return Examples(
        features=Features(
            prompt_NP=torch.randn(count, PROMPT, generator=rng),
            responses_NGD=torch.randn(count, GROUP, HIDDEN, generator=rng) + 2.0,
            lengths_NG=torch.rand(count, GROUP, generator=rng),
            outside_NG=torch.tensor(outside).bool(),
            allowed_NC=allowed,
            majority_N=inside.sum(1),
        ),
        right_N=torch.tensor(right),
        correct_NG=torch.tensor(correct),
        elsewhere_N=torch.where(torch.tensor(right).bool(), 0, elsewhere),
    )


def five() -> Examples:
    """Right, wrong with one, two and three correct elsewhere, and hopeless."""
    outside = [[0, 0, 1, 1], [0, 0, 1, 0], [0, 1, 1, 0], [0, 1, 1, 1], [0, 0, 0, 0]]
    correct = [[1, 1, 0, 0], [0, 0, 1, 0], [0, 1, 1, 0], [0, 1, 1, 1], [0, 0, 0, 0]]
    return examples_of(outside, correct, [1, 0, 0, 0, 0])


def probes(**training: float) -> Probes:
    settings = Training(**{"updates": 1, "replayed": 0, "widths": SMALL, **training})  # type: ignore[arg-type]
    return Probes(settings, hidden=HIDDEN, group_size=GROUP, seed=1)


KEY = StepKey(seed=1, step=1)


def trained(network: nn.Module) -> set[str]:
    """Parameters that the last update's gradient has reached."""
    return {
        name
        for name, parameter in network.named_parameters()
        if parameter.grad is not None and bool((parameter.grad != 0).any())
    }


def test_an_update_reaches_every_parameter_of_both_stages() -> None:
    ours = probes()
    ours.learn(five(), KEY)
    for network in (ours.vote, ours.count):
        assert trained(network) == {name for name, _ in network.named_parameters()}


def test_each_loss_of_the_first_stage_reaches_its_own_head_and_both_branches() -> None:
    vote = probes().vote
    features = five().features
    for index, mine, other in ((0, "head.", "pair_head."), (1, "pair_head.", "head.")):
        vote.zero_grad()
        logits = vote(features.prompt_NP, features.responses_and_lengths_NGF)[index]
        logits.square().sum().backward()
        reached = trained(vote)
        names = [name for name, _ in vote.named_parameters()]
        assert {name for name in names if not name.startswith(other)} == reached
        assert any(name.startswith(mine) for name in reached)


def test_the_auxiliary_head_sees_each_response_beside_its_own_prompt() -> None:
    vote = probes().vote.eval()
    features = five().features
    before = vote(features.prompt_NP, features.responses_and_lengths_NGF)[1]
    prompts = features.prompt_NP.clone()
    prompts[2] += 1.0
    responses = features.responses_and_lengths_NGF.clone()
    responses[3, 1] += 1.0
    changed = (vote(prompts, responses)[1] != before).any(-1)
    expected = torch.zeros(5, GROUP, dtype=torch.bool)
    expected[2] = True
    expected[3, 1] = True
    assert torch.equal(changed, expected)


def test_the_auxiliary_head_normalizes_over_all_pairs() -> None:
    vote = probes().vote.train()
    features = five().features
    prompt_NH, responses_NGH = vote.branches(features.prompt_NP, features.responses_and_lengths_NGF)
    vote(features.prompt_NP, features.responses_and_lengths_NGF)
    norm = vote.pair_head[0]
    assert isinstance(norm, nn.BatchNorm1d)
    assert norm.running_mean is not None
    means = torch.cat([prompt_NH.mean(0), responses_NGH.mean((0, 1))])
    assert torch.allclose(norm.running_mean, 0.1 * means)  # from 0, with momentum 0.1


def test_the_second_stages_statistics_see_zeros_for_responses_of_the_vote() -> None:
    count = probes().count.train()
    features = five().features
    count(
        features.prompt_NP,
        features.responses_NGD,
        features.outside_NG,
        features.allowed_NC,
    )
    norm = count.branches.response[0]
    assert isinstance(norm, nn.BatchNorm1d)
    assert norm.running_mean is not None
    outside_D = features.responses_NGD[features.outside_NG].sum(0)
    assert torch.allclose(norm.running_mean, 0.1 * outside_D / (5 * GROUP))


def test_the_second_stage_takes_the_mean_over_the_responses_outside_the_vote() -> None:
    count = probes().count.eval()
    states = torch.randn(1, 1, HIDDEN).expand(1, GROUP, HIDDEN)
    prompt, allowed = torch.randn(1, PROMPT), torch.ones(1, CLASSES, dtype=torch.bool)
    one, three, none = (
        count(prompt, states, torch.tensor([mask]).bool(), allowed)
        for mask in ([0, 1, 0, 0], [0, 1, 1, 1], [0, 0, 0, 0])
    )
    assert torch.allclose(one, three)
    assert not torch.allclose(one, none)


def with_constant_logits(ours: Probes) -> None:
    """Each head says its last layer's bias, whatever it sees: 0 for the first class, else 1."""
    for head in (ours.vote.head, ours.vote.pair_head, ours.count.head):
        last = head[-1]
        assert isinstance(last, nn.Linear)
        nn.init.zeros_(last.weight)
        with torch.no_grad():
            last.bias.copy_((torch.arange(last.out_features) > 0).float())


def test_losses_by_hand() -> None:
    """The vote's is weighted by class, the auxiliary one is not, and counts every response."""
    ours = probes()
    with_constant_logits(ours)
    losses = ours.learn(five(), KEY)
    zero, one = math.log(1 + math.e), math.log(1 + math.e) - 1  # of the logits (0, 1)
    # one right and four wrong votes: weights 1 and 1/2 with mean 1 -> 4/3 and 2/3
    vote = (4 / 3 * one + 4 * 2 / 3 * zero) / (4 / 3 + 4 * 2 / 3)
    # 8 of 20 responses are correct
    auxiliary = (8 * one + 12 * zero) / 20
    assert losses["vote"] == pytest.approx(vote + 1.5 * auxiliary, rel=1e-6)
    # allowed: 0 and the target; two of class 0 alone, and one of each other class beside it
    weights = {0: 2**-0.5, 1: 1.0, 2: 1.0, 3: 1.0}
    single = {0: 0.0, 1: one, 2: one, 3: one}
    total = sum(weights[target] * single[target] for target in (0, 1, 2, 3, 0))
    count = total / sum(weights[target] for target in (0, 1, 2, 3, 0))
    assert losses["count"] == pytest.approx(count, rel=1e-6)


class WatchedProbes(Probes):
    """Keeps the mini-batches instead of training on them."""

    def _update_vote(self, examples: Examples) -> float:
        self.batches.setdefault("vote", []).append(examples.elsewhere_N.tolist())
        return 0.0

    def _update_count(self, examples: Examples) -> float:
        self.batches.setdefault("count", []).append(examples.elsewhere_N.tolist())
        return 0.0

    batches: dict[str, list[list[int]]]


def test_the_stages_replay_on_their_own_the_second_evenly_over_its_classes() -> None:
    watched = WatchedProbes(
        Training(updates=8, replayed=4, widths=SMALL), hidden=HIDDEN, group_size=GROUP, seed=1
    )
    common = five().take([4] * 40)  # nothing right outside the vote
    watched.replay.add(common)
    watched.replay.add(five().take([1]))
    watched.batches = {}
    watched.learn(five().take([3, 2]), KEY)
    assert all(batch[:2] == [3, 2] for batches in watched.batches.values() for batch in batches)
    assert [sorted(batch[2:]) for batch in watched.batches["count"]] == [[0, 0, 0, 1]] * 8
    assert sum(1 in batch for batch in watched.batches["vote"]) < 8


@pytest.mark.parametrize(("count", "trains"), [(1, False), (2, True)])
def test_a_single_example_trains_nothing_and_is_remembered(count: int, trains: bool) -> None:
    ours = probes()
    before = ours.vote.state_dict()["pair_head.1.weight"].clone()
    losses = ours.learn(five().take(range(count)), KEY)
    assert bool(losses) is trains
    after = ours.vote.state_dict()["pair_head.1.weight"]
    assert np.array_equal(before.numpy(), after.numpy()) is not trains
    assert len(ours.replay) == count
