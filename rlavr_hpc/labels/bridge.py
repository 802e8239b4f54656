"""The bridge between runs and their label sources: reads orders, asks, writes answers.

It runs where there is a network, and may be killed and started again at will: what it knows is in
the mailboxes. Two at once are no harm, because each call is claimed before it is made.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Set
from dataclasses import dataclass, field
from pathlib import Path

from rlavr_hpc.config.labels import LabelsConfig
from rlavr_hpc.errors import RlavrError
from rlavr_hpc.labels.line_files import start_name
from rlavr_hpc.labels.served_run import Say, ServedRun
from rlavr_hpc.labels.source import LabelSource
from rlavr_hpc.runs.done import is_done

SEARCH_SECONDS = 60.0
"""Between two searches for runs, at least."""
SEARCH_SHARE = 0.005
"""Of the bridge's time that it may spend on searching."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveRun:
    """A run whose labels come from a live source."""

    run_dir: Path
    config: LabelsConfig


@dataclass(slots=True, kw_only=True)
class Bridge:
    """Serves all live runs that it finds."""

    find: Callable[[], Iterable[LiveRun]]
    """Searches for runs; may be slow."""
    make_source: Callable[[LiveRun], LabelSource]
    say: Say
    after: Callable[[ServedRun], None] = lambda run: None
    """Called after each look at a run."""
    watch: Callable[[ServedRun], None] = lambda run: None
    """Called after each answer, and after each look."""
    wanted: Callable[[Path], bool] = lambda run: True
    """Whether a run may still use labels; nothing is asked for any other."""
    settled: Callable[[Path], Set[str]] = lambda run: frozenset()
    """Keys whose answers a run has on record; they are not asked for, whatever its mailbox says."""
    runs: dict[Path, ServedRun] = field(default_factory=dict)
    refused: dict[Path, str] = field(default_factory=dict)
    """Runs whose source cannot be made, and why."""
    start: str = field(default_factory=start_name)
    troubled: dict[Path, str] = field(default_factory=dict)
    """Runs whose folders, or banks, could not be read or written at the last look, and why."""
    _search_at: float = 0.0
    _retired: set[Path] = field(default_factory=set)
    """Runs whose open orders were taken back."""

    def look(self) -> int:
        """Serve every run once; how many answers came. One run's trouble is no harm to others."""
        self._search()
        return sum(self._look_at(run) for run in self.runs.values())

    def _look_at(self, run: ServedRun) -> int:
        came = 0
        try:
            if self.wanted(run.run_dir):
                self._retired.discard(run.run_dir)
                came = run.look()
                self.after(run)
            elif run.run_dir not in self._retired:
                self._retired.add(run.run_dir)
                if run.orders.orders:  # else it was so before this bridge looked at it
                    how = "done" if is_done(run.run_dir) else "cancelled"
                    self.say(f"{run.run_dir.name} is {how}: nothing more is asked for it")
                run.retire()
        except OSError as error:
            if self.troubled.get(run.run_dir) != str(error):
                self.say(f"{run.run_dir.name}: {error}; it is looked at again")
            self.troubled[run.run_dir] = str(error)
        else:
            self.troubled.pop(run.run_dir, None)
        return came

    @property
    def open(self) -> int:
        """Orders without an answer that a run may still use."""
        return sum(len(run.open) for run in self.runs.values() if run.run_dir not in self._retired)

    @property
    def failed(self) -> bool:
        """Whether anything has gone wrong at the last look, or before it and for good."""
        wrong = any(run.failed or run.stopped for run in self.runs.values())
        return wrong or bool(self.refused or self.troubled)

    @property
    def useless(self) -> bool:
        """Whether all sources of runs that still want labels have stopped for good."""
        wanting = [run for run in self.runs.values() if run.run_dir not in self._retired]
        return all(run.stopped for run in wanting) and bool(wanting or self.refused)

    @property
    def over(self) -> bool:
        """Whether none of its runs may still use labels."""
        return not self.refused and self.runs.keys() <= self._retired

    @property
    def poll(self) -> float:
        """Seconds until the next look."""
        return min((run.config.poll for run in self.runs.values()), default=SEARCH_SECONDS)

    def _search(self) -> None:
        begun = time.monotonic()
        if begun < self._search_at:
            return
        for found in self.find():
            if found.run_dir not in self.runs:
                self._serve(found)
        took = time.monotonic() - begun
        self._search_at = time.monotonic() + max(SEARCH_SECONDS, took / SEARCH_SHARE)

    def _serve(self, found: LiveRun) -> None:
        """Serve a run from now on; one that cannot be served is no harm to the others."""
        try:
            source = self.make_source(found)
        except (RlavrError, OSError) as error:
            if self.refused.get(found.run_dir) != str(error):
                self.say(f"{found.run_dir.name} is not served: {error}")
            self.refused[found.run_dir] = str(error)
            return
        self.refused.pop(found.run_dir, None)
        self.runs[found.run_dir] = ServedRun(
            run_dir=found.run_dir,
            config=found.config,
            source=source,
            say=self.say,
            start=self.start,
            watch=self.watch,
            settled=self.settled,
        )
