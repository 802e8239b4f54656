"""Samples as the tensors that forward passes and the loss take.

Shapes: R response tokens of a micro-batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from rlavr_hpc.config.algorithm import AlgorithmConfig
from rlavr_hpc.learning.loss import TokenBatch
from rlavr_hpc.learning.micro_batch_packing import (
    MicroBatch,
    pack_micro_batches,
    split_micro_batches,
)
from rlavr_hpc.trainer.policy.scoring_model import OldLogProbs
from rlavr_hpc.trainer.policy.sequences import Sequences, packed, padded
from rlavr_hpc.training_types import Sample


@dataclass(frozen=True, slots=True, kw_only=True)
class MicroBatches:
    """Distributes samples over ranks and micro-batches, and makes tensors of them."""

    algorithm: AlgorithmConfig
    ranks: int
    packed: bool
    pad_id: int
    device: torch.device

    def split(self, samples: Sequence[Sample]) -> list[list[MicroBatch]]:
        """`[rank][micro-batch]`; every rank gets the same number of micro-batches."""
        budget, size = self.algorithm.micro_tokens, self.algorithm.micro_batch
        if budget is None:
            return split_micro_batches(
                samples, ranks=self.ranks, micro_batch=size or len(samples) or 1
            )
        return pack_micro_batches(
            samples, ranks=self.ranks, micro_tokens=budget, packed=self.packed
        )

    def collate(self, micro: MicroBatch) -> Sequences:
        """The model's input."""
        samples = [sample for sample, _ in micro]
        if self.packed:
            return packed(samples, device=self.device)
        return padded(samples, pad_id=self.pad_id, device=self.device)

    def loss_mask(self, micro: MicroBatch) -> torch.Tensor:
        """(R,) 1 for tokens of real samples, 0 for padding samples and those left out."""
        return self._spread(micro, [float(s.counted and not padding) for s, padding in micro])

    def tokens(
        self, micro: MicroBatch, old: OldLogProbs | None, *, reference: torch.Tensor | None
    ) -> TokenBatch:
        """The loss's input besides the policy's log-probabilities.

        Args:
            micro: the micro-batch.
            old: log-probabilities before the step's first update; None when this is the first.
            reference: (R,) log-probabilities by the reference policy, where there is one.
        """
        sampler = [value for sample, _ in micro for value in sample.sampler_logprobs]
        advantages = [0.0 if padding else sample.advantage for sample, padding in micro]
        return TokenBatch(
            advantage_R=self._spread(micro, advantages),
            sampler_logp_R=torch.tensor(sampler, device=self.device),
            old_logp_R=None
            if old is None
            else torch.cat([old[s.key] for s, _ in micro]).to(self.device),
            loss_mask_R=self.loss_mask(micro),
            lengths_N=_lengths(micro).to(self.device),
            reference_logp_R=reference,
        )

    def _spread(self, micro: MicroBatch, values: list[float]) -> torch.Tensor:
        return torch.tensor(values).repeat_interleave(_lengths(micro)).to(self.device)


def _lengths(micro: MicroBatch) -> torch.Tensor:
    """(N,) response tokens of each sample."""
    return torch.tensor([len(sample.response_ids) for sample, _ in micro])
