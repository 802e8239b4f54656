"""Roll-backs: continuing from an earlier checkpoint with other noise, on a branch of its own.

A roll-back is an attempt's token that runs nothing: it names the step to continue from and raises
the branch. The next attempt continues there. What was done on the old branch stays on record: its
purchases count as spent, its rows of metrics stay readable, and neither is repeated.

Until the new branch has begun, a second token takes the roll-back back: the run then stands where
it stood, its checkpoints are in line again, and one that was finished is finished.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rlavr_hpc.errors import CheckpointError, RlavrError, UserError
from rlavr_hpc.runs.attempts import (
    PLAIN_VERSION,
    VERSION,
    Attempt,
    publish_attempt,
    read_attempts,
    standing,
)
from rlavr_hpc.runs.checkpoints import Checkpoint, candidates, newest_valid
from rlavr_hpc.runs.done import read_done, remove_done, write_done
from rlavr_hpc.runs.healthy_steps import healthy_steps


@dataclass(frozen=True, slots=True, kw_only=True)
class RolledBack:
    """What a roll-back decided."""

    step: int
    """To go on from; 0 = from the start."""
    branch: int
    """The new one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RollBackUndone:
    """Where a run stands after its roll-back was taken back."""

    branch: int
    step: int
    """Of the newest valid checkpoint; 0 = the start."""
    finished: bool
    """Whether the run is finished again."""


def roll_back(
    run_dir: Path,
    *,
    healthy_below: float,
    to: int | None = None,
    before_start: Callable[[], None] | None = None,
) -> RolledBack:
    """Have the run go on from a checkpoint on a new branch.

    Args:
        run_dir: the run's folder.
        healthy_below: risk of a healthy checkpoint.
        to: step of the checkpoint; None = the newest healthy one, or the start without any.
        before_start: called before the run goes back to its start for want of a healthy checkpoint;
            may raise.

    Raises:
        UserError: there is no such checkpoint, or the run has not begun.
        RlavrError: another attempt began at this moment.
    """
    attempts = read_attempts(run_dir)
    if not attempts:
        raise UserError(f"{run_dir} has not started; there is nothing to roll back")
    usable = list(candidates(run_dir))
    step = _newest_healthy(usable, healthy_below) if to is None else _checked_step(usable, to)
    if to is None and step == 0 and before_start is not None:
        before_start()
    finished = _finished_steps(run_dir)
    remove_done(run_dir)  # killed after this, the run just ends again
    branch = max(attempt.branch for attempt in standing(attempts)) + 1
    token = publish_attempt(
        run_dir,
        resumed_from=step,
        after=len(attempts),
        branch=branch,
        reason="rollback",
        finished=finished,
        version=PLAIN_VERSION if finished is None else VERSION,
    )
    if token is None:
        raise _other_attempt(run_dir)
    return RolledBack(step=step, branch=token.branch)


def undo_roll_back(run_dir: Path) -> RollBackUndone:
    """Take back the roll-back that was the last thing to happen to a run.

    Raises:
        UserError: the last thing was none, or its branch has begun.
        RlavrError: another attempt began at this moment.
    """
    attempts = read_attempts(run_dir)
    stood = standing(attempts)
    _check_undoable(run_dir, stood)
    before, steps = stood[-2], stood[-1].finished
    token = publish_attempt(
        run_dir,
        resumed_from=before.resumed_from,
        after=len(attempts),
        branch=before.branch,
        reason="undo",
        version=VERSION,
    )
    if token is None:
        raise _other_attempt(run_dir)
    if steps is not None:
        write_done(run_dir, steps)
    newest = newest_valid(run_dir)
    return RollBackUndone(
        branch=token.branch,
        step=newest.state.step if newest else 0,
        finished=steps is not None,
    )


def _check_undoable(run_dir: Path, attempts: list[Attempt]) -> None:
    if attempts and attempts[-1].reason == "rollback":
        return
    begun = attempts[-1].branch if attempts else 0
    if begun and attempts[-1].reason == "start":
        raise UserError(
            f"{run_dir}: branch {begun} has begun, so the roll-back before it cannot be undone; "
            f"`rlavr ledger show {run_dir}` and `rlavr report` show what the other branches did"
        )
    raise UserError(f"{run_dir}: there is no roll-back to undo")


def _finished_steps(run_dir: Path) -> int | None:
    """After how many steps the run is finished; None where it is not."""
    try:
        return read_done(run_dir)
    except RlavrError:
        return None  # damaged; the next start finds out


def _other_attempt(run_dir: Path) -> RlavrError:
    return RlavrError(f"{run_dir}: another attempt began at the same moment; check `rlavr status`")


def _newest_healthy(usable: list[Checkpoint], below: float) -> int:
    by_step = {found.state.step: found for found in usable}
    for step in healthy_steps((found.state for found in usable), below=below):
        try:
            by_step[step].verify()
        except CheckpointError:
            continue
        return step
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
