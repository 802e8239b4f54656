"""The two probes together: what they guess, how they learn, and their state.

They run on the CPU of rank 0 in float32: a few hundred rows a step.
Shapes: N groups, G rollouts, C = G + 1 classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from rlavr_hpc.acquisition.probes.features import (
    Example,
    Features,
    stack_prompts,
    stack_responses,
)
from rlavr_hpc.acquisition.probes.networks import CountProbe, VoteProbe, Widths
from rlavr_hpc.acquisition.probes.replay import Replay, class_weights
from rlavr_hpc.errors import CheckpointError
from rlavr_hpc.types import Place

INIT_STREAM, REPLAY_STREAM = 17, 19
"""Keep these draws apart from every other use of the run seed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """How the probes learn; the defaults are the paper's."""

    updates: int = 3
    """AdamW updates a step."""
    lr: float = 1e-4
    weight_decay: float = 0.0
    clip_grad: float = 1.0
    pair_weight: float = 1.5
    """Of the auxiliary task: is this response correct?"""
    buffer: int = 2048
    """Bought labels that are remembered for replay."""
    replayed: int = 16
    """Of them, trained on again in every update."""
    class_weight_min: float = 0.25
    class_weight_max: float = 4.0
    widths: Widths = field(default_factory=Widths)


@dataclass(frozen=True, slots=True, kw_only=True)
class Guess:
    """What the probes think of N groups."""

    vote_right_N: np.ndarray[Any, np.dtype[np.float64]]
    """Probability that the vote is right; 0 without a vote."""
    elsewhere_NC: np.ndarray[Any, np.dtype[np.float64]]
    """Probability of each number of right rollouts outside the vote."""


class Probes:
    """Both stages, their optimizers and the replay buffer."""

    def __init__(self, training: Training, *, hidden: int, group_size: int, seed: int) -> None:
        """Fresh networks, a function of `seed`.

        Args:
            training: how they learn.
            hidden: D.
            group_size: G.
            seed: of the run.
        """
        self._training, self._seed = training, seed
        self.shape = {"hidden": hidden, "group_size": group_size}
        prompt = hidden + 1 + group_size
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(np.random.SeedSequence([seed, INIT_STREAM]).generate_state(1)[0]))
            self.vote = VoteProbe(prompt_features=prompt, hidden=hidden, widths=training.widths)
            self.count = CountProbe(
                prompt_features=prompt, hidden=hidden, classes=group_size + 1,
                widths=training.widths,
            )  # fmt: skip
        self._optimizers = [self._optimizer(net) for net in (self.vote, self.count)]
        self.replay = Replay(training.buffer)

    def guess(self, features: Sequence[Features]) -> Guess:
        """What to expect of groups whose label is not known."""
        self.vote.eval()
        self.count.eval()
        with torch.inference_mode():
            prompt_NP = torch.from_numpy(stack_prompts(features))
            vote_N2, _ = self.vote(prompt_NP, _responses(features, lengths=True))
            count_NC = self.count(prompt_NP, _responses(features, lengths=False), *_masks(features))
        right_N = vote_N2.double().softmax(-1)[:, 1].numpy()
        voted_N = np.array([f.majority > 0 for f in features])
        return Guess(
            vote_right_N=np.where(voted_N, right_N, 0.0),
            elsewhere_NC=count_NC.double().softmax(-1).numpy(),
        )

    def learn(self, examples: Sequence[Example], place: Place) -> dict[str, float]:
        """Train on a step's bought labels and replayed ones, then remember the new.

        Returns:
            Mean loss of each stage over the updates; none when there were too few examples.
        """
        rng = np.random.default_rng(
            np.random.SeedSequence([self._seed, place.branch, REPLAY_STREAM, place.step])
        )
        losses: dict[str, list[float]] = {"vote": [], "count": []}
        count = self._training.replayed
        for _ in range(self._training.updates):
            again = self.replay.uniform(count, rng)
            losses["vote"] += self._update_vote([*examples, *again])
            again = self.replay.stratified(count, rng, lambda e: e.elsewhere)
            losses["count"] += self._update_count([*examples, *again])
        self.replay.add(examples)
        return {stage: sum(values) / len(values) for stage, values in losses.items() if values}

    def state(self) -> dict[str, Any]:
        """Everything a checkpoint needs."""
        return {
            "shape": self.shape,
            "vote": self.vote.state_dict(),
            "count": self.count.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self._optimizers],
            "replay": self.replay.state(),
        }

    def load(self, state: dict[str, Any]) -> None:
        """Take over a saved state.

        Raises:
            CheckpointError: it is of other probes.
        """
        try:
            self.vote.load_state_dict(state["vote"])
            self.count.load_state_dict(state["count"])
            for optimizer, saved in zip(self._optimizers, state["optimizers"], strict=True):
                optimizer.load_state_dict(saved)
                for group in optimizer.param_groups:
                    group["lr"] = self._training.lr
            self.replay.load(state["replay"])
        except (KeyError, ValueError, RuntimeError) as error:
            raise CheckpointError(f"the saved probes do not fit: {error}") from error

    def _optimizer(self, network: torch.nn.Module) -> torch.optim.Optimizer:
        training = self._training
        return torch.optim.AdamW(
            network.parameters(), lr=training.lr, weight_decay=training.weight_decay, fused=True
        )

    def _update_vote(self, examples: Sequence[Example]) -> list[float]:
        if len(examples) < 2:  # batch normalization needs two
            return []
        features = [e.features for e in examples]
        self.vote.train()
        vote_N2, pairs_NG2 = self.vote(
            torch.from_numpy(stack_prompts(features)), _responses(features, lengths=True)
        )
        right = [int(e.vote_right) for e in examples]
        pairs = [int(c) for e in examples for c in e.correct_G]
        loss = self._balanced(vote_N2, right) + self._training.pair_weight * self._balanced(
            pairs_NG2.flatten(0, 1), pairs
        )
        return [self._step(self.vote, self._optimizers[0], loss)]

    def _update_count(self, examples: Sequence[Example]) -> list[float]:
        if len(examples) < 2:
            return []
        features = [e.features for e in examples]
        outside_NG, allowed_NC = _masks(features)
        targets = [e.elsewhere for e in examples]
        allowed_NC[torch.arange(len(targets)), torch.tensor(targets)] = True
        self.count.train()
        logits_NC = self.count(
            torch.from_numpy(stack_prompts(features)), _responses(features, lengths=False),
            outside_NG, allowed_NC,
        )  # fmt: skip
        return [self._step(self.count, self._optimizers[1], self._balanced(logits_NC, targets))]

    def _balanced(self, logits_NC: torch.Tensor, classes: Sequence[int]) -> torch.Tensor:
        weights_C = class_weights(
            classes, count=logits_NC.shape[1], lowest=self._training.class_weight_min,
            highest=self._training.class_weight_max,
        )  # fmt: skip
        return functional.cross_entropy(logits_NC, torch.tensor(classes), weight=weights_C)

    def _step(
        self, network: torch.nn.Module, optimizer: torch.optim.Optimizer, loss: torch.Tensor
    ) -> float:
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), self._training.clip_grad)
        optimizer.step()
        return float(loss.detach())


def _responses(features: Sequence[Features], *, lengths: bool) -> torch.Tensor:
    return torch.from_numpy(stack_responses(features, lengths=lengths))


def _masks(features: Sequence[Features]) -> tuple[torch.Tensor, torch.Tensor]:
    return (
        torch.from_numpy(np.stack([f.outside_G for f in features])),
        torch.from_numpy(np.stack([f.allowed_C for f in features])),
    )
