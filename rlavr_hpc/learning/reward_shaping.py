"""What is done to rewards before they become advantages, and which responses train at all.

Shapes: G responses of a prompt.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from rlavr_hpc.config.algorithm import Advantage, LeaveOut, OverlongConfig
from rlavr_hpc.learning.advantages import group_advantages
from rlavr_hpc.types import Rollout, TrainingGroup


@dataclass(frozen=True, slots=True, kw_only=True)
class Shaping:
    """The settings, and what they say of a signal."""

    advantage: Advantage = Advantage.normalized
    leave_out: LeaveOut = LeaveOut.none
    overlong: OverlongConfig = field(default_factory=OverlongConfig)
    max_tokens: int = 0
    """L_max, the limit on a response's length."""

    def passes_over(self, signal: TrainingGroup) -> bool:
        """Whether a prompt is left out of the update and its divisor, as it teaches nothing.

        It goes by the task's rewards, before any length penalty, as DAPO's filter by accuracy does.
        """
        right = signal.all_right and self.leave_out in (LeaveOut.all_right, LeaveOut.flat)
        wrong = signal.all_wrong and self.leave_out in (LeaveOut.all_wrong, LeaveOut.flat)
        return right or wrong

    def masks(self, rollout: Rollout) -> bool:
        """Whether a response is left out because the limit ended it, and nobody knows its answer.

        Its reward still counts in the advantages of its prompt's other responses.
        """
        return self.overlong.mask and rollout.truncated

    def penalty(self, rollout: Rollout) -> float:
        """What is taken from a response's reward for its length (DAPO, arXiv 2503.14476, eq. 13).

        0 up to L_max - L_cache tokens; from there to L_max it grows in proportion to
        `overlong.penalty`.
        """
        buffer = self.overlong.buffer * self.max_tokens
        over = len(rollout.token_ids) - (self.max_tokens - buffer)
        return self.overlong.penalty * over / buffer if buffer > 0 and over > 0 else 0.0

    def advantages(self, signal: TrainingGroup) -> tuple[float, ...]:
        """(G,) of the shaped rewards, times the prompt's trust weight."""
        pairs = zip(signal.rewards, signal.group.rollouts, strict=True)
        shaped = [reward - self.penalty(rollout) for reward, rollout in pairs]
        return tuple(signal.weight * a for a in group_advantages(shaped, self.advantage))
