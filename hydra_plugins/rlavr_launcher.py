"""Hydra finds launchers only here; the logic is in `rlavr_hpc.cluster.launcher`."""

from __future__ import annotations

from collections.abc import Sequence

from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class LocalLauncher(Launcher):
    """Runs a sweep's jobs one after the other, each in processes of its own."""

    def __init__(self, ranks: int) -> None:
        """`ranks` processes per run."""
        self.ranks = ranks

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Keep what composing the jobs needs."""
        self.context, self.config = hydra_context, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> list[object]:
        """Write the plan, then run it."""
        from rlavr_hpc.cluster.launcher import launch_local  # noqa: PLC0415

        return launch_local(self.context, self.config, job_overrides, ranks=self.ranks)
