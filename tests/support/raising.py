"""A loss that raises when RAISE="CALL@RANK" comes true, or never ends: "sleep@0"."""

from __future__ import annotations

import itertools
import os
import time
from dataclasses import dataclass

import torch

from rlavr_hpc.learning.loss import LossSums, TokenBatch
from rlavr_hpc.learning.losses.grpo import GrpoLoss

CALLS = itertools.count(1)


@dataclass(frozen=True, slots=True)
class RaisingLoss(GrpoLoss):
    """GRPO's otherwise."""

    def __call__(self, logp_R: torch.Tensor, tokens: TokenBatch) -> LossSums:
        call, rank = os.environ.get("RAISE", "0@0").split("@")
        if call == "sleep":
            time.sleep(3600)
        if next(CALLS) == int(call) and os.environ.get("RANK") == rank:
            raise RuntimeError(f"the loss fails in call {call} of rank {rank}")
        return GrpoLoss.__call__(self, logp_R, tokens)
