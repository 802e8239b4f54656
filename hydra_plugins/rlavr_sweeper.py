"""Hydra finds sweepers only here."""

from __future__ import annotations

from hydra._internal.core_plugins import basic_sweeper
from hydra.core.override_parser.overrides_parser import OverridesParser


class OnceSweeper(basic_sweeper.BasicSweeper):
    """Hydra's own sweeper without its trial composition of every job, and without its file.

    Our launchers compose and check each job before they start any, so that the trial would only
    take the same time again; and multirun.yaml would hold settings that are about to be refused.
    """

    def sweep(self, arguments: list[str]) -> list[object]:
        """Hand all jobs to the launcher."""
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        overrides = parser.parse_overrides([*self._parse_config(), *arguments])
        for batch in self.split_arguments(overrides, self.max_batch_size):
            self.launcher.launch(batch, initial_job_idx=0)
        return []
