"""Hydra finds sweepers only here."""

from __future__ import annotations

from collections.abc import Sequence

from hydra._internal.core_plugins import basic_sweeper


class OnceSweeper(basic_sweeper.BasicSweeper):
    """Hydra's own sweeper without its trial composition of every job.

    Our launchers compose and check each job before they start any, so that the trial would only
    take the same time again.
    """

    def validate_batch_is_legal(self, batch: Sequence[Sequence[str]]) -> None:
        """Left to the launcher."""
