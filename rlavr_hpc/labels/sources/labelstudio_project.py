"""A Label Studio project as all runs of one process see it: read once for all of them.

Forty runs that each read all tasks of one project use up the CPU time that a login node allows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from rlavr_hpc.labels.sources.labelstudio_api import Project
from rlavr_hpc.labels.sources.labelstudio_reading import AskedTask, Counted, count, read_tasks


@dataclass(slots=True)
class SharedProject:
    """A project, and its tasks when it was read last."""

    project: Project
    asked: Mapping[str, AskedTask] = field(default_factory=dict)
    counted: Counted = field(default_factory=Counted)
    readings: int = 0
    """How often it was read."""
    _read_at: float | None = None
    """None = what was read says nothing any more."""

    def look(self, now: float, *, every: float) -> int:
        """Read it, unless that was done within `every` seconds; how often it was read by now.

        Raises:
            SourceError: it cannot be read.
        """
        if self._read_at is None or now - self._read_at >= every:
            self.asked = read_tasks(self.project.tasks())
            self.counted = count(self.asked)
            self._read_at = now
            self.readings += 1
        return self.readings

    def add(self, data: Sequence[Mapping[str, Any]]) -> None:
        """Make tasks; whoever looks next reads the project again, and sees them.

        Raises:
            UnknownEndError: they may have been made.
            SourceError: they were not.
        """
        self._read_at = None
        self.project.add(data)

    def delete(self, number: int) -> None:
        """Delete a task; whoever looks next reads the project again.

        Raises:
            SourceError: it was not deleted.
        """
        self._read_at = None
        self.project.delete(number)


@cache
def project_of(url: str, number: int, key_variable: str | None, seconds: float) -> SharedProject:
    """The one of this process."""
    return SharedProject(
        Project(url=url, number=number, key_variable=key_variable, seconds=seconds)
    )
