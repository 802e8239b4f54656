"""Which job this process belongs to, as Slurm's variables tell it."""

from __future__ import annotations

from collections.abc import Mapping


def own_job(environment: Mapping[str, str]) -> dict[str, str | int]:
    """`job` (A_T), `restart` and `node`, for the heartbeat; empty outside of a job.

    Args:
        environment: usually `os.environ`.
    """
    array, task = environment.get("SLURM_ARRAY_JOB_ID"), environment.get("SLURM_ARRAY_TASK_ID")
    job = f"{array}_{task}" if array and task else environment.get("SLURM_JOB_ID")
    if not job:
        return {}
    restart = environment.get("SLURM_RESTART_COUNT", "")
    return {
        "job": job, "restart": int(restart) if restart.isdigit() else 0,
        "node": environment.get("SLURMD_NODENAME", ""),
    }  # fmt: skip
