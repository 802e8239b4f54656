"""Exit codes of the jobs this process ran or launched; Hydra swallows what they return."""

from __future__ import annotations

from rlavr_hpc.errors import ExitCode

OUTCOMES: list[ExitCode] = []


def outcome() -> ExitCode:
    """The exit code for all of them: what went wrong counts more than that a run is parked."""
    others = [code for code in OUTCOMES if code is not ExitCode.WAITING_FOR_LABELS]
    worst = max(others, default=ExitCode.DONE)
    return max(OUTCOMES, default=worst) if worst is ExitCode.DONE else worst
