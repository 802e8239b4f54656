"""Hydra finds launchers only here; the logic is in `rlavr_hpc.cluster.launcher`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from rlavr_hpc.errors import UserError


class _Launcher(Launcher):
    def __init__(self, **settings: Any) -> None:  # noqa: ANN401
        self.settings = settings

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Keep what composing the jobs needs."""
        self.context, self.config = hydra_context, config


class LocalLauncher(_Launcher):
    """Runs a sweep's jobs one after the other, each in processes of its own."""

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> list[object]:
        """Write the plan, then run it."""
        from rlavr_hpc.cluster.launcher import launch_local  # noqa: PLC0415

        ranks = self.settings.pop("ranks")
        if self.settings:
            told = ", ".join(sorted(self.settings))
            raise UserError(f"hydra.launcher.{{{told}}} needs hydra/launcher=slurm")
        return launch_local(self.context, self.config, job_overrides, ranks=ranks)


class SlurmLauncher(_Launcher):
    """Submits a sweep as one array, and comes back at once unless told to wait."""

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> list[object]:
        """Submit what is still to be done."""
        from rlavr_hpc.cluster.outcomes import OUTCOMES  # noqa: PLC0415
        from rlavr_hpc.cluster.slurm.launch import launch_slurm  # noqa: PLC0415
        from rlavr_hpc.overview.wait_for_end import wait  # noqa: PLC0415

        sweeps = launch_slurm(self.context, self.config, job_overrides, given=self.settings)
        if self.settings.get("wait") and not self.settings.get("dry_run"):
            OUTCOMES.extend(wait(sweeps))
        return []
