"""Which variables Slurm's programs get: none that changes what they answer or submit."""

from __future__ import annotations

from collections.abc import Mapping

NOT_PASSED_ON = (
    "SLURM_",
    "SLURMD_",
    "SRUN_",
    "SBATCH_",
    "SQUEUE_",
    "SCANCEL_",
    "SCONTROL_",
    "SINFO_",
    "TORCHELASTIC_",
)
OF_A_RANK = (
    "RANK",
    "WORLD_SIZE",
    "LOCAL_RANK",
    "LOCAL_WORLD_SIZE",
    "MASTER_ADDR",
    "MASTER_PORT",
)


def environment_for(environment: Mapping[str, str]) -> dict[str, str]:
    """Without what changes what Slurm's programs answer or submit.

    That is the user's own defaults for them, and what tells a process of the allocation or the
    launch it is in: both would be handed on to the jobs.
    """
    return {
        key: value
        for key, value in environment.items()
        if key == "SLURM_CONF" or not (key.startswith(NOT_PASSED_ON) or key in OF_A_RANK)
    }
