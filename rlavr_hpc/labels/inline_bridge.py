"""A bridge inside the run's own first process (`labels.inline`), on a thread beside the steps."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Set
from pathlib import Path

from rlavr_hpc.config.labels import LabelsConfig
from rlavr_hpc.labels.line_files import start_name
from rlavr_hpc.labels.served_run import ServedRun
from rlavr_hpc.labels.source import LabelSource

log = logging.getLogger(__name__)
FIRST_PAUSE = 0.05
"""Seconds before an open order is looked at again; then twice as many, up to `labels.poll`."""


class InlineBridge:
    """Asks the source whenever orders were placed, and now and then while some are open."""

    def __init__(
        self,
        run_dir: Path,
        config: LabelsConfig,
        source: LabelSource,
        *,
        watch: Callable[[ServedRun], None],
        settled: Callable[[Path], Set[str]],
    ) -> None:
        """Start it; orders of earlier attempts are served at once.

        Args:
            run_dir: the run's folder.
            config: of the run.
            source: is asked.
            watch: called on that thread after each answer and each look.
            settled: keys whose answers the run has on record.
        """
        self._run = ServedRun(
            run_dir=run_dir,
            config=config,
            source=source,
            say=log.info,
            start=start_name(),
            watch=watch,
            settled=settled,
            until="the run is started again",
        )
        self._poll = config.poll
        self._placed = threading.Event()
        self._placed.set()
        threading.Thread(target=self._serve, name="labels", daemon=True).start()

    @property
    def stopped(self) -> str:
        """Why the source is not asked any more; "" = it is."""
        return self._run.stopped

    def placed(self) -> None:
        """There are new orders."""
        self._placed.set()

    def _serve(self) -> None:
        pause = FIRST_PAUSE
        while not self._run.stopped:
            if self._placed.wait(timeout=pause if self._run.open else None):
                pause = FIRST_PAUSE
            self._placed.clear()
            try:
                self._run.look()
            except OSError as error:
                log.warning("labels: %s; looked at again in %.0f s", error, self._poll)
                pause = self._poll
            except Exception as error:
                self._run.stopped = f"{type(error).__name__}: {error}"
                raise  # of a source of one's own: its traceback is printed
            pause = min(2 * pause, self._poll)
