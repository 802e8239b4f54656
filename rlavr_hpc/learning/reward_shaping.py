"""Changes to rewards before they become advantages, and which responses train at all.

Shapes: G responses of a prompt.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from rlavr_hpc.config.algorithm import Advantage, LeaveOut, OverlongConfig
from rlavr_hpc.training_types import TrainingGroup
from rlavr_hpc.types import Rollout


@dataclass(frozen=True, slots=True, kw_only=True)
class Shaping:
    """The settings, and what they say of a training group."""

    advantage: Advantage = Advantage.normalized
    leave_out: LeaveOut = LeaveOut.none
    overlong: OverlongConfig = field(default_factory=OverlongConfig)
    max_tokens: int = 0
    """L_max, the limit on a response's length."""

    def leaves_out(self, group: TrainingGroup) -> bool:
        """Whether a prompt is left out of the update and its divisor: it teaches nothing.

        The task's rewards decide, before any length penalty, as in DAPO's filter by accuracy. A
        group with an answer known to be wrong teaches that, whatever its rewards.
        """
        if group.refuted:
            return False
        right = group.all_right and self.leave_out in (LeaveOut.all_right, LeaveOut.flat)
        wrong = group.all_wrong and self.leave_out in (LeaveOut.all_wrong, LeaveOut.flat)
        return right or wrong

    def masks(self, rollout: Rollout) -> bool:
        """Whether a response is left out because the length limit ended it before its answer.

        Its reward still counts in the advantages of its prompt's other responses.
        """
        return self.overlong.mask and rollout.truncated

    def penalty(self, rollout: Rollout) -> float:
        """Length penalty, subtracted from the reward (DAPO, arXiv 2503.14476, eq. 13).

        0 up to L_max - L_cache tokens; from there it grows linearly, to `overlong.penalty` at
        L_max.
        """
        buffer = self.overlong.buffer * self.max_tokens
        over = len(rollout.token_ids) - (self.max_tokens - buffer)
        return self.overlong.penalty * over / buffer if buffer > 0 and over > 0 else 0.0

    def shaped_rewards(self, group: TrainingGroup) -> list[float]:
        """(G,) rewards, less the penalty for a response's length."""
        pairs = zip(group.rewards, group.group.rollouts, strict=True)
        return [reward - self.penalty(rollout) for reward, rollout in pairs]
