"""The reference policy of a KL term: the initial policy, frozen.

Shapes: R response tokens of a micro-batch.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch

from rlavr_hpc.trainer.policy.lora import without_adapters
from rlavr_hpc.trainer.policy.sequences import Sequences


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferencePolicy:
    """A frozen copy of the initial model, or the trained model without its adapters."""

    engine: Any
    """DeepSpeed's engine."""
    shares_weights: bool
    """It is the trained policy's own engine: adapters are switched off meanwhile."""

    def logprobs(self, sequences: Sequences) -> torch.Tensor:
        """(R,) log-probabilities."""
        self.engine.eval()
        initial = without_adapters(self.engine.module) if self.shares_weights else nullcontext()
        with torch.no_grad(), initial:
            logp_R: torch.Tensor = self.engine(sequences)[0]
        return logp_R
