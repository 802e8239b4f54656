"""A job as Slurm's queue lists it."""

from __future__ import annotations

from dataclasses import dataclass

ACTIVE = ("RUNNING", "COMPLETING", "CONFIGURING", "SUSPENDED", "STOPPED", "SIGNALING", "STAGE_OUT")
"""States in which a job holds nodes; PENDING and the REQUEUE kinds wait."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuedJob:
    """One array task (or job) that squeue lists."""

    array_job: int
    task: int | None
    """Index in its array; None outside of one."""
    state: str
    """Slurm's word: PENDING, RUNNING, COMPLETING ..."""
    reason: str
    """Why it waits: Priority, Resources, BeginTime (just requeued) ..."""
    nodes: str
    start: str
    """ISO time of its start, or of the expected one; "N/A" where unknown."""
    partition: str
    comment: str

    @property
    def name(self) -> str:
        """As scontrol and scancel want it; A_T also for the task that owns the array's own id."""
        return str(self.array_job) if self.task is None else f"{self.array_job}_{self.task}"

    @property
    def is_active(self) -> bool:
        """Whether it holds nodes."""
        return self.state in ACTIVE
