"""What a process must have in common with the run that it continues: ranks, threads, prompts."""

from __future__ import annotations

from dataclasses import dataclass

from rlavr_hpc.errors import UserError


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessSetup:
    """What a process must have in common with the one it continues."""

    world_size: int
    threads: int
    prompts_fingerprint: str


def check_fits(before: ProcessSetup, now: ProcessSetup, *, allowed: frozenset[str]) -> None:
    """Refuse to continue a run that this process cannot continue exactly.

    Args:
        before: of the run so far.
        now: of this process.
        allowed: config keys that may differ (`allow_change`).

    Raises:
        UserError: other ranks, other threads or other prompts.
    """
    resized = before.world_size != now.world_size
    if resized and "cluster.ranks" not in allowed:
        raise UserError(
            f"the run used {before.world_size} ranks, this start has {now.world_size}; start with "
            f"{before.world_size}, or allow_change=[cluster.ranks]: its state is then split "
            "differently, and results differ in their last bits"
        )
    if before.threads != now.threads and not resized and "cluster.threads" not in allowed:
        raise UserError(
            f"the run used {before.threads} threads a rank, this start would use {now.threads}, "
            f"and results would differ in their last bits; set cluster.threads={before.threads}, "
            "or allow_change=[cluster.threads]"
        )
    if before.prompts_fingerprint != now.prompts_fingerprint and "data" not in allowed:
        raise UserError(
            "the training prompts are not those this run began with (another file, or another "
            "filter); restore them, or allow_change=[data]"
        )
