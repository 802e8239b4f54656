"""Roll-backs: continuing from an earlier checkpoint with other noise, on a branch of its own.

A roll-back is an attempt's token that runs nothing: it names the step to continue from and raises
the branch. The next attempt continues there. What was done on the old branch stays on record: its
purchases count as spent, its rows of metrics stay readable, and neither is repeated.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rlavr_hpc.errors import CheckpointError, RlavrError, UserError
from rlavr_hpc.runs.attempts import publish_attempt, read_attempts
from rlavr_hpc.runs.checkpoints import Checkpoint, candidates, is_healthy
from rlavr_hpc.runs.done import remove_done


@dataclass(frozen=True, slots=True, kw_only=True)
class RolledBack:
    """What a roll-back decided."""

    step: int
    """To go on from; 0 = from the start."""
    branch: int
    """The new one."""


def roll_back(run_dir: Path, *, healthy_below: float, to: int | None = None) -> RolledBack:
    """Have the run go on from a checkpoint on a new branch.

    Args:
        run_dir: the run's folder.
        healthy_below: risk of a healthy checkpoint.
        to: step of the checkpoint; None = the newest healthy one, or the start without any.

    Raises:
        UserError: there is no such checkpoint, or the run has not begun.
        RlavrError: another attempt began at this moment.
    """
    attempts = read_attempts(run_dir)
    if not attempts:
        raise UserError(f"{run_dir} has not started; there is nothing to roll back")
    usable = list(candidates(run_dir))
    step = _newest_healthy(usable, healthy_below) if to is None else _checked_step(usable, to)
    remove_done(run_dir)  # killed after this, the run just ends again
    token = publish_attempt(
        run_dir,
        resumed_from=step,
        after=len(attempts),
        branch=attempts[-1].branch + 1,
        reason="rollback",
    )
    if token is None:
        raise RlavrError(
            f"{run_dir}: another attempt began at the same moment; check `rlavr status`"
        )
    return RolledBack(step=step, branch=token.branch)


def _newest_healthy(usable: list[Checkpoint], below: float) -> int:
    for found in usable:
        if is_healthy(found.state, below=below):
            try:
                found.verify()
            except CheckpointError:
                continue
            return found.state.step
    return 0


def _checked_step(usable: list[Checkpoint], step: int) -> int:
    by_step = {found.state.step: found for found in usable}
    if step == 0:
        return 0
    if step not in by_step:
        there = ", ".join(str(known) for known in sorted(by_step)) or "none"
        raise UserError(f"there is no checkpoint of step {step} to go back to; there are: {there}")
    by_step[step].verify()
    return step
