"""The two probes together: what they guess, how they learn, and their state.

They run on the CPU of rank 0 in float32: a few hundred rows a step.
Shapes: N groups, G rollouts, C = G + 1 classes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from rlavr_hpc.acquisition.probes.features import Examples, Features
from rlavr_hpc.acquisition.probes.networks import CountProbe, VoteProbe, Widths
from rlavr_hpc.acquisition.probes.replay import Replay, class_weights
from rlavr_hpc.errors import CheckpointError
from rlavr_hpc.types import StepKey

INIT_STREAM, REPLAY_STREAM = 17, 19
"""Keep these draws apart from every other use of the run seed."""
FEWEST = 2
"""Batch normalization needs as many examples."""
LAYOUT = 2
"""Of a saved state. Version 0.1 had 1, without saying so: another auxiliary head, and a second
stage that left out the responses of the vote only after it had normalized them."""


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

    vote_right_N: list[float]
    """Probability that the vote is right; also of a group without a vote, though it is not."""
    elsewhere_NC: list[list[float]]
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
                prompt_features=prompt,
                hidden=hidden,
                classes=group_size + 1,
                widths=training.widths,
            )
        self._optimizers = [self._optimizer(net) for net in (self.vote, self.count)]
        self.replay = Replay(training.buffer)

    def guess(self, features: Features) -> Guess:
        """What to expect of groups whose label is not known."""
        self.vote.eval()
        self.count.eval()
        with torch.inference_mode():
            vote_N2, _ = self.vote(features.prompt_NP, features.responses_and_lengths_NGF)
            count_NC = self.count(
                features.prompt_NP,
                features.responses_NGD,
                features.outside_NG,
                features.allowed_NC,
            )
        return Guess(
            vote_right_N=vote_N2.double().softmax(-1)[:, 1].tolist(),
            elsewhere_NC=count_NC.double().softmax(-1).tolist(),
        )

    def learn(self, examples: Examples | None, step_key: StepKey) -> dict[str, float]:
        """Train on a step's bought labels, if any, and replayed ones, then remember the new.

        Stage 2 leaves out examples of which a verdict says only that their vote is wrong.

        Returns:
            Mean loss of each stage over the updates; none when there were too few examples.
        """
        rng = np.random.default_rng(
            np.random.SeedSequence([self._seed, step_key.branch, REPLAY_STREAM, step_key.step])
        )
        losses: dict[str, list[float]] = {"vote": [], "count": []}
        count = self._training.replayed
        counted = None if examples is None else examples.counted()
        for _ in range(self._training.updates):
            uniform, stratified = (
                self.replay.uniform(count, rng),
                self.replay.stratified(count, rng),
            )
            of_vote = self.replay.with_rows(examples, uniform)
            of_count = self.replay.with_rows(counted, stratified)
            if of_vote is not None and len(of_vote) >= FEWEST:
                losses["vote"].append(self._update_vote(of_vote))
            if of_count is not None and len(of_count) >= FEWEST:
                losses["count"].append(self._update_count(of_count))
        if examples is not None:
            self.replay.add(examples)
        return {stage: sum(values) / len(values) for stage, values in losses.items() if values}

    def state(self) -> dict[str, Any]:
        """Everything a checkpoint needs."""
        return {
            "layout": LAYOUT,
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
        if (layout := state.get("layout", 1)) != LAYOUT:
            raise CheckpointError(
                f"the saved probes do not fit: an earlier version of the program made them (layout "
                f"{layout!r}, here {LAYOUT}), and they had learnt something else; finish the run "
                "with the version that began it"
            )
        try:
            self.vote.load_state_dict(state["vote"])
            self.count.load_state_dict(state["count"])
            for optimizer, saved in zip(self._optimizers, state["optimizers"], strict=True):
                optimizer.load_state_dict(saved)
                for group in optimizer.param_groups:
                    group["lr"] = self._training.lr
                    group["weight_decay"] = self._training.weight_decay
            self.replay.load(state["replay"])
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise CheckpointError(f"the saved probes do not fit: {error}") from error

    def _optimizer(self, network: torch.nn.Module) -> torch.optim.Optimizer:
        training = self._training
        return torch.optim.AdamW(
            network.parameters(), lr=training.lr, weight_decay=training.weight_decay, fused=True
        )

    def _update_vote(self, examples: Examples) -> float:
        self.vote.train()
        vote_N2, pairs_NG2 = self.vote(
            examples.features.prompt_NP, examples.features.responses_and_lengths_NGF
        )
        pair_loss = functional.cross_entropy(pairs_NG2.flatten(0, 1), examples.correct_NG.flatten())
        loss = self._balanced(vote_N2, examples.right_N) + self._training.pair_weight * pair_loss
        return self._step(self.vote, self._optimizers[0], loss)

    def _update_count(self, examples: Examples) -> float:
        features, target_N1 = examples.features, examples.elsewhere_N.unsqueeze(-1)
        self.count.train()
        logits_NC = self.count(
            features.prompt_NP,
            features.responses_NGD,
            features.outside_NG,
            features.allowed_NC.scatter(1, target_N1, value=True),
        )
        loss = self._balanced(logits_NC, examples.elsewhere_N)
        return self._step(self.count, self._optimizers[1], loss)

    def _balanced(self, logits_NC: torch.Tensor, classes_N: torch.Tensor) -> torch.Tensor:
        weights_C = class_weights(
            classes_N,
            count=logits_NC.shape[1],
            lowest=self._training.class_weight_min,
            highest=self._training.class_weight_max,
        )
        return functional.cross_entropy(logits_NC, classes_N, weight=weights_C.to(logits_NC.dtype))

    def _step(
        self, network: torch.nn.Module, optimizer: torch.optim.Optimizer, loss: torch.Tensor
    ) -> float:
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), self._training.clip_grad)
        optimizer.step()
        return float(loss.detach())
