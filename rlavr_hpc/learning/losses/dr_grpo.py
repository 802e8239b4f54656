"""Dr. GRPO: no length bias, because no response is divided by its own length."""

from __future__ import annotations

from dataclasses import dataclass

from rlavr_hpc.learning.losses.grpo import GrpoLoss
from rlavr_hpc.training_types import MiniBatch


@dataclass(frozen=True, slots=True, kw_only=True)
class DrGrpoLoss(GrpoLoss):
    """GRPO's sum over tokens, divided by a constant: responses x the longest there can be.

    Dr. GRPO, arXiv 2503.20783, section 3.2. A token weighs the same in every update, however long
    the responses of its update are. Belongs with `algorithm.advantage=centred`.
    """

    length: int
    """Tokens, the same for every response: `rollout.max_response_tokens`."""

    def check(self) -> None:
        """Check bounds and length."""
        GrpoLoss.check(self)
        if self.length < 1:
            raise ValueError("length must be at least 1")

    def divisor(self, mini_batch: MiniBatch) -> int:
        """Responses x length."""
        return mini_batch.responses * self.length
