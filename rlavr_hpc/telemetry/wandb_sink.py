"""A mirror of the record on Weights & Biases: the only importer of wandb.

A dashboard may fail without stopping a run: what goes wrong is said once, and the record on disk
stays complete.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from rlavr_hpc.types import Place

log = logging.getLogger(__name__)


class WandbSink:
    """One run on the dashboard, the same one across attempts."""

    def __init__(
        self,
        run_dir: Path,
        *,
        run_id: str,
        mode: Literal["online", "offline"],
        project: str,
        entity: str | None,
        config: Mapping[str, Any],
    ) -> None:
        """Open or continue the run `run_id`; `mode` is "online" or "offline"."""
        self._run: Any = None
        try:
            import wandb

            self._run = wandb.init(
                project=project, entity=entity, id=run_id, name=run_dir.name, resume="allow",
                mode=mode, dir=str(run_dir), config=dict(config),
                settings=wandb.Settings(silent=True, disable_git=True, disable_code=True),
            )  # fmt: skip
            self._run.define_metric("*", step_metric="step")
        except Exception as error:  # noqa: BLE001  a dashboard must not stop a run
            self._give_up(error)

    def write(self, place: Place, values: Mapping[str, float]) -> None:
        """Mirror one row."""
        if self._run is None:
            return
        try:
            self._run.log({"step": place.step, "branch": place.branch, **values})
        except Exception as error:  # noqa: BLE001
            self._give_up(error)

    def close(self) -> None:
        """Flush and end the run on the dashboard."""
        if self._run is None:
            return
        try:
            self._run.finish()
        except Exception as error:  # noqa: BLE001
            self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        log.warning("the wandb mirror stops (%s: %s); the run goes on", type(error).__name__, error)
        self._run = None
