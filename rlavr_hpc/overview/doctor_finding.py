"""One line of `rlavr doctor`: what a setting means for runs, and what would fix it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How bad a finding is."""

    ok = "ok"
    warn = "warn"
    """Works, but less well, or not for everybody."""
    bad = "bad"
    """Runs will fail or be lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DoctorFinding:
    """One line of the report."""

    level: Severity
    topic: str
    text: str
    fix: str = ""
    """The setting that changes it, by whom; "" where nothing has to change."""


def ok(topic: str, text: str, fix: str = "") -> DoctorFinding:
    """Nothing to worry about."""
    return DoctorFinding(level=Severity.ok, topic=topic, text=text, fix=fix)


def warn(topic: str, text: str, fix: str = "") -> DoctorFinding:
    """Something that works less well than it could."""
    return DoctorFinding(level=Severity.warn, topic=topic, text=text, fix=fix)


def bad(topic: str, text: str, fix: str = "") -> DoctorFinding:
    """Something that makes runs fail."""
    return DoctorFinding(level=Severity.bad, topic=topic, text=text, fix=fix)
