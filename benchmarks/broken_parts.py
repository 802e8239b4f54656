"""What `benchmarks.verdicts` breaks runs with: a reward, a loss, and data files with bad labels.

The first two are plug-ins (`reward.target`, `algorithm.loss.target`), the files are read with
`data=jsonl`: nothing in the program is changed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from rlavr_hpc.learning.loss import LossSums, RatioLoss, TokenBatch
from rlavr_hpc.learning.losses.grpo import GrpoLoss
from rlavr_hpc.testbed.questions import WorldQuestion, make_world, split_names
from rlavr_hpc.types import Group, SelfRewardInputs

HOLDOUT = 0.15
"""Share of the questions that is never trained on, as in the testbed."""
UNEARNED = "1/7"
"""A label that no answer of the testbed can equal."""


@dataclass(frozen=True, slots=True)
class TurnedVoteReward:
    """The vote's reward with the wrong sign."""

    def of(
        self, group: Group, by_vote: Sequence[float], own: SelfRewardInputs
    ) -> tuple[float, ...]:
        """(G,) minus what agreement with the vote earns."""
        return tuple(-paid for paid in by_vote)


@dataclass(frozen=True, slots=True, kw_only=True)
class EndlessLoss(GrpoLoss):
    """GRPO's loss with an error at the last token of each response, the one that ends it.

    Its advantage is -1 whatever the response earns, so that the model unlearns to end.
    """

    def __call__(self, logp_R: torch.Tensor, tokens: TokenBatch) -> LossSums:
        """The loss summed over tokens."""
        advantage_R = tokens.advantage_R.clone()
        advantage_R[tokens.lengths_N.cumsum(0) - 1] = -1.0
        return RatioLoss.__call__(
            self, logp_R, replace(tokens, advantage_R=advantage_R * tokens.loss_mask_R)
        )


def shuffled(questions: Sequence[WorldQuestion]) -> list[str]:
    """The true labels, each at another question's place."""
    order = np.random.default_rng(len(questions)).permutation(len(questions))
    return [str(questions[int(place)].truth) for place in order]


def all_the_same(questions: Sequence[WorldQuestion]) -> list[str]:
    """One label for all."""
    return [str(questions[0].truth)] * len(questions)


def unearned(questions: Sequence[WorldQuestion]) -> list[str]:
    """Labels that nothing the model can write is equal to."""
    return [UNEARNED] * len(questions)


Relabel = Callable[[Sequence[WorldQuestion]], list[str]]
BAD_LABELS: Mapping[str, Relabel] = {
    "shuffled": shuffled,
    "same": all_the_same,
    "unearned": unearned,
}
"""Name of a training file -> how its labels were spoilt."""
TRUE_LABELS = "held_out"
"""Name of the file with the held-out questions, whose labels are true."""


def write_files(folder: Path, *, kinds: str, wrong_rule: int) -> None:
    """A world's questions as JSON lines: a training file for each of `BAD_LABELS`, and held-out.

    Args:
        folder: where `NAME.jsonl` go; files that are there stay.
        kinds: of the world, as `data.kinds`.
        wrong_rule: of the world, as `data.wrong_rule`.
    """
    world = make_world(kinds, wrong_rule=wrong_rule)
    kept_out = split_names(world, share=HOLDOUT, seed=0)
    trained = [q for q in world.questions if q.name not in kept_out]
    asked = [q for q in world.hopeful if q.name in kept_out]
    _write(folder / f"{TRUE_LABELS}.jsonl", asked, [str(q.truth) for q in asked])
    for name, relabel in BAD_LABELS.items():
        _write(folder / f"{name}.jsonl", trained, relabel(trained))


def _write(path: Path, questions: Sequence[WorldQuestion], labels: Sequence[str]) -> None:
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [
        {"id": q.name, "prompt": q.text, "answer": label}
        for q, label in zip(questions, labels, strict=True)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
